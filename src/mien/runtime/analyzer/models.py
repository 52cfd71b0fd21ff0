"""What an Analyzer reads with: the networks of its bundles, a landmark model, a regressor of 3D faces."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mien.core.bundle import BundleInfo
from mien.core.errors import MienError
from mien.core.labels import AFFECT
from mien.core.typed import checked
from mien.media.bundles import bundle_folder, shipped_folder, shipped_with
from mien.runtime.face3d.regressor import Regressor
from mien.runtime.landmarks import Landmarker, shipped_landmarks
from mien.runtime.networks import FaceNetwork, FaceOutput, gives_affect, named_outputs

SHIPPED = "poster_v2_small_ferplus"
Bundle = str | Path


class Models:
    """Of bundles, as Analyzer takes them; the options of networks too. Raises MienError as it does."""

    def __init__(
        self, bundle: Bundle | Sequence[Bundle] | None, *, landmarks: Landmarker | Bundle | bool, affect: Bundle | bool,
        face3d: Regressor | Bundle | bool, backend: str, precision: str, threads: int | None, **options: Any,
    ) -> None:  # fmt: skip
        options |= {"backend": backend, "precision": precision, "threads": threads}
        self.networks = [FaceNetwork(folder, **options) for folder in _folders(bundle)]
        self.networks += _affect_network(self.networks, affect, options)
        self.landmarks = self._landmarker(landmarks, backend, precision, threads)
        self.face3d = self._regressor(face3d, threads)
        _check_all_add(self.networks, self.landmarks)
        self.named = named_outputs(self.networks)
        """Of each network what the readings hold."""

    def _landmarker(
        self, wanted: Landmarker | Bundle | bool, backend: str, precision: str, threads: int | None
    ) -> Landmarker | None:
        """Reads the points; bfloat16 would move them, so it is not taken for it."""
        own = next((network.runner for network in self.networks if network.gives_points), None)
        if isinstance(wanted, Landmarker):
            return wanted
        if wanted in (False, None) or (wanted is True and own is None and shipped_landmarks() is None):
            return None
        if wanted is True and own is not None:
            return Landmarker(own)
        precision = "auto" if precision == "bf16" else precision
        return Landmarker(
            None if isinstance(wanted, bool) else wanted, backend=backend, precision=precision, threads=threads
        )

    def _regressor(self, wanted: Regressor | Bundle | bool, threads: int | None) -> Regressor | None:
        """Reads faces in 3D; a fit takes the points that are read in any case, where they have depths."""
        if isinstance(wanted, Regressor):
            return wanted
        if wanted in (False, None):
            return None
        given = None if isinstance(wanted, bool) else wanted
        return Regressor(given, threads=threads, landmarker=self.solid_landmarks)

    @property
    def solid_landmarks(self) -> Landmarker | None:
        """The landmark model, where it gives what a 3D face is fitted to."""
        found = self.landmarks
        return found if found and found.scheme.points == 68 and "depth" in found.outputs else None

    @property
    def id(self) -> str:
        """Of all bundles."""
        return ", ".join(dict.fromkeys(network.info.model_id for network in self.networks))

    @property
    def engine(self) -> str:
        """What computes: `onnxruntime fp32`, `openvino bf16`, ..."""
        runners = [network.runner for network in self.networks]
        return ", ".join(dict.fromkeys(f"{runner.backend} {runner.precision}" for runner in runners))

    @property
    def infos(self) -> tuple[BundleInfo, ...]:
        """Of all bundles, in order."""
        return tuple(network.info for network in self.networks)

    @property
    def outputs(self) -> tuple[FaceOutput, ...]:
        """What `Reading.outputs` and `Reading.arrays` hold, in order."""
        return tuple(output for own in self.named for output in own)


def shipped_bundle() -> Path:
    """The folder of the model that comes with mien. Raises MienError where this copy has none."""
    folder = shipped_folder() / SHIPPED
    if not (folder / "system.json").is_file():
        raise MienError(f"This copy of mien has no {SHIPPED}. Name a bundle: --bundle FOLDER.")
    return folder


def _affect_network(
    networks: Sequence[FaceNetwork], wanted: Bundle | bool, options: Mapping[str, Any]
) -> list[FaceNetwork]:
    """What reads valence and arousal, and nothing else, beside these networks; none where it is not wanted or one of
    them does. Raises MienError for a bundle that does not give them, and where none ships."""
    if wanted is False or (wanted is True and any(gives_affect(n.outputs.values()) for n in networks)):
        return []
    folder = shipped_with(values=AFFECT) if wanted is True else bundle_folder(wanted)
    if folder is None:
        raise MienError(
            "No model of valence and arousal ships with this copy. Name a bundle that gives them: --bundle."
        )
    network = FaceNetwork(folder, **options, kinds=("values",))
    if not gives_affect(network.outputs.values()):
        raise MienError(f"{folder} gives {network.info.gives}, not {' and '.join(AFFECT)}.")
    return [network]


def _folders(bundle: Bundle | Sequence[Bundle] | None) -> list[Path]:
    if bundle is None:
        return [shipped_bundle()]
    bundle = [bundle] if isinstance(bundle, str | Path) else bundle
    folders = [bundle_folder(each) for each in checked(bundle, list[str], key="bundle")]
    if not folders:
        raise MienError("No bundle: name one folder or more, or None for the model that ships.")
    for folder in folders:
        if folders.count(folder) > 1:
            raise MienError(f"{folder} is named twice. Name each bundle once.")
    return folders


def _check_all_add(networks: Sequence[FaceNetwork], landmarks: Landmarker | None) -> None:
    """Raises MienError for a bundle that has nothing to add: no outputs but points that another one reads, or none."""
    for network in networks:
        folder, is_landmarks = network.runner.folder, landmarks is not None and landmarks.info is network.info
        if network.outputs or is_landmarks:
            continue
        if network.gives_points and landmarks is not None:
            other = landmarks.info.model_id
            raise MienError(f"{folder} gives points only, and {other} reads them already. Name one bundle with points.")
        raise MienError(f"{folder} gives {network.info.gives}: no classes, values or points of a face to read.")
