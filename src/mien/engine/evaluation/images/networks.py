"""Metrics that look through a trained network, whose file is named on the command line: LPIPS, identity, FID.

What a network is and which file it came from (SHA-256) stands beside the numbers. Nothing is downloaded.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mien.core.errors import MienError
from mien.engine.evaluation.images.identity import AlignedFaces, MtcnnPoints, OwnPoints
from mien.engine.evaluation.scores import Score
from mien.media.files import required_file, sha256_of
from mien.metrics.frechet import Moments, frechet_distance

Metric = Callable[[np.ndarray, np.ndarray], np.ndarray]
BATCH = 8  # pictures through Inception at once
FEATURES = 2048  # of Inception; with fewer pictures a covariance has directions without any variance


@dataclass(frozen=True)
class NetworkFiles:
    """Files of the networks that lpips, id and fid look through."""

    lpips_network: str = "alex"
    """Backbone of LPIPS."""
    lpips_backbone: str = ""
    """Its ImageNet weights."""
    lpips_heads: str = ""
    """Its linear heads."""
    recogniser: str = ""
    """ArcFace IR-SE50."""
    curricular: str = ""
    """CurricularFace IR-101."""
    inception: str = ""
    """Inception of 2015-12-05."""
    id_crop: Literal["points", "mtcnn", "ffhq"] = "points"
    """How id cuts faces out."""
    mtcnn: str = ""
    """Folder of MTCNN's three files."""


@dataclass(eq=False)
class NetworkMetrics:
    """The metrics that were asked for, and what they look through."""

    legacy: bool = False
    """Whether identity is also measured as published, faults of the alignment included."""
    pairs: dict[str, Metric] = field(default_factory=dict)
    """Of a pair of pictures [1, 3, height, width] in 0..1, by the name that carries the protocol."""
    sets: "dict[str, FrechetDistance]" = field(default_factory=dict)
    """Of all pictures together."""
    networks: dict[str, dict[str, str]] = field(default_factory=dict)
    """{metric: {network, file, sha256}}, for the table and its sidecar."""
    faces: list[AlignedFaces] = field(default_factory=list)
    """Which faces id found, by each way to align them."""

    def add(self, name: str, files: NetworkFiles) -> None:
        """One of lpips, id and fid. Raises MienError, by the name of the metric, where its file is not there."""
        {"lpips": self._lpips, "id": self._identity, "fid": self._frechet}[name](files)

    def restart(self) -> None:
        """Begins another folder of pictures, through the same networks."""
        for whole in self.sets.values():
            whole.restart()
        for faces in self.faces:
            faces.restart()

    def _lpips(self, files: NetworkFiles) -> None:
        backbone = _file("lpips", files.lpips_backbone, "--lpips-backbone")
        heads = _file("lpips", files.lpips_heads, "--lpips-heads")
        from mien.nn.losses.auxiliary import lpips_of
        from mien.nn.weights import read_checkpoint

        which: Any = files.lpips_network
        name = f"lpips@{which}"
        self.pairs[name] = _of_tensors(lpips_of(read_checkpoint(backbone), read_checkpoint(heads), which=which).eval())
        self._note(name, f"LPIPS, backbone {which}", backbone)
        self._note(f"{name} heads", f"LPIPS, linear heads for {which}", heads)

    def _identity(self, files: NetworkFiles) -> None:
        given = {"ir_se50": files.recogniser, "ir_101": files.curricular}
        named = {which: path for which, path in given.items() if path}
        if not named:
            raise MienError(
                "The metric id needs a file and none is named: --recogniser FILE (ArcFace IR-SE50), --curricular FILE "
                "(CurricularFace IR-101), or both. Or leave id out of --metrics."
            )
        paths = {
            which: _file("id", path, "--recogniser" if which == "ir_se50" else "--curricular")
            for which, path in named.items()
        }
        from mien.nn.losses.auxiliary import RECOGNISERS, recogniser_of
        from mien.nn.losses.inversion import IdentityLoss
        from mien.nn.weights import read_checkpoint

        alignments = self._alignments(files)
        self.faces = [aligned for aligned in alignments.values() if aligned]
        for which, path in paths.items():
            recogniser = recogniser_of(read_checkpoint(path), which)  # type: ignore[arg-type]
            for suffix, aligned in alignments.items():
                name = f"id@{which}{suffix}"
                if aligned is None:
                    self.pairs[name] = _cosine(IdentityLoss(recogniser).embed)
                else:
                    self.pairs[name] = aligned.metric(_cosine(recogniser))
                self._note(name, RECOGNISERS[which], path)

    def _alignments(self, files: NetworkFiles) -> dict[str, AlignedFaces | None]:
        """By what the metric's name ends in; None is the fixed crop."""
        if files.mtcnn and files.id_crop != "mtcnn":
            raise MienError(f"--mtcnn is for --id-crop mtcnn; here --id-crop is {files.id_crop}. State one of the two.")
        if files.id_crop == "points":
            return {"": AlignedFaces(OwnPoints())}
        if files.id_crop == "ffhq":
            return {"_ffhq_crop": None}
        if not files.mtcnn:
            raise MienError(
                "--id-crop mtcnn needs the folder of MTCNN's pnet, rnet and onet and none is named: --mtcnn DIR "
                "(pSp's .npy files or facenet-pytorch's .pt files)."
            )
        from mien.nn.mtcnn.cascade import CascadeOptions
        from mien.nn.mtcnn.files import TITLES, files_in, mtcnn_of

        paths = files_in(Path(files.mtcnn).expanduser())
        for name, path in paths.items():
            self._note(f"mtcnn {name}", TITLES[name], path)
        found: dict[str, AlignedFaces | None] = {}
        for legacy in (False, True) if self.legacy else (False,):
            mtcnn = mtcnn_of(paths, CascadeOptions(legacy=legacy))
            ends, name = ("_mtcnn_published", "MTCNN as published") if legacy else ("_mtcnn", "MTCNN")
            found[ends] = AlignedFaces(MtcnnPoints(_points_of(mtcnn), name), skip=True)
        return found

    def _frechet(self, files: NetworkFiles) -> None:
        path = _file("fid", files.inception, "--inception")
        from mien.nn.inception import inception_of
        from mien.nn.weights import read_checkpoint

        name = f"fid@inception_{FEATURES}"
        self.sets[name] = FrechetDistance(name, _features(inception_of(read_checkpoint(path))))
        self._note(name, "Inception v3 of 2015-12-05", path)

    def _note(self, metric: str, network: str, path: Path) -> None:
        self.networks[metric] = {"network": network, "file": str(path), "sha256": sha256_of(path)}


class FrechetDistance:
    """FID of pictures that come pair by pair; memory does not grow with their number."""

    def __init__(self, name: str, features: Callable[[np.ndarray], np.ndarray]) -> None:
        self.name, self._features = name, features
        self.restart()

    def restart(self) -> None:
        """Forgets the pictures."""
        self._moments: tuple[Moments, Moments] | None = None
        self._waiting: list[tuple[np.ndarray, np.ndarray]] = []

    def add(self, predicted: np.ndarray, truth: np.ndarray) -> None:
        """[1, 3, height, width] each, in 0..1."""
        self._waiting.append((predicted, truth))
        if len(self._waiting) == BATCH:
            self._compute()

    def score(self) -> Score:
        """Without an interval: it is a statistic of the set, biased upwards for few pictures."""
        self._compute()
        assert self._moments is not None
        count = self._moments[0].count
        few = f"{count:,} pictures, fewer than {FEATURES:,}: not comparable with published values"
        note = few if count < FEATURES else ""
        try:
            return Score(self.name, frechet_distance(*self._moments), n=count, note=note)
        except MienError as error:
            return Score(self.name, None, n=count, note=str(error))

    def _compute(self) -> None:
        if not self._waiting:
            return
        found = [self._features(np.concatenate(side)) for side in zip(*self._waiting, strict=True)]
        self._waiting = []
        if self._moments is None:
            self._moments = Moments(found[0].shape[1]), Moments(found[0].shape[1])
        for moments, features in zip(self._moments, found, strict=True):
            moments.add(features)


def notes_on(networks: Mapping[str, Mapping[str, str]]) -> list[str]:
    """A line for each network."""
    return [
        f"{metric}: {about['network']}, {about['file']}, SHA-256 {about['sha256'][:12]}"
        for metric, about in networks.items()
    ]


def _of_tensors(network: Callable[[Any, Any], Any]) -> Metric:
    """The network of pictures in -1..1 as a metric of pictures in 0..1."""
    import torch

    def metric(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
        given = [torch.from_numpy(2 * pictures - 1).float() for pictures in (predicted, truth)]
        with torch.inference_mode():
            return np.asarray(network(*given).double().reshape(-1).numpy())

    return metric


def _cosine(embed: Callable[[Any], Any]) -> Metric:
    """Of embeddings of length 1."""
    return _of_tensors(lambda a, b: (embed(a) * embed(b)).sum(1))


def _points_of(mtcnn: Callable[[np.ndarray], Any]) -> Callable[[np.ndarray], np.ndarray]:
    return lambda pixels: np.asarray(mtcnn(pixels).landmarks_px)


def _features(network: Callable[[Any], Any]) -> Callable[[np.ndarray], np.ndarray]:
    import torch

    def features(pictures: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return np.asarray(network(torch.from_numpy(pictures).float()).double().numpy())

    return features


def _file(metric: str, path: str, option: str) -> Path:
    return required_file(
        path, what=f"The metric {metric}", option=option, otherwise=f"Or leave {metric} out of --metrics."
    )
