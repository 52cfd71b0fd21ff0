"""What a landmark network answers on labelled faces: each face cut out as asked, its points back in its picture."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mien.core.errors import MienError
from mien.engine.evaluation.points.crops import CropName, cut_batches, pixels_of

if TYPE_CHECKING:
    import numpy as np

    from mien.core.geometry import Crop
    from mien.core.records import Sample
    from mien.engine.bundles.predictor import Network


def no_depth(lacking: str) -> MienError:
    """lacking: "data have" or "bundle gives"."""
    return MienError(f"Errors in 3D need depth; the {lacking} none. Leave out --eval-3d.")


@dataclass(frozen=True, eq=False)
class PointAnswers:
    """Points of faces, in pixels of their pictures; all lists are [faces, ...] in one order.

    crop: how the faces were cut out. crops: where. depth_px, true_depth_px: mean 0 over a face. sigma_px: the error
    that the network states. visible: what the data say. All four are None where the network or the data lack them.
    yaw_rad: NaN where it is unknown. yaw_estimated: from the true points, as the data do not say.
    affected: "R", "L" (the person's own) or "" of each face.
    """

    crop: CropName
    keys: tuple[str, ...]
    crops: "tuple[Crop, ...]"
    truth_px: "np.ndarray"
    predicted_px: "np.ndarray"
    yaw_rad: "np.ndarray"
    affected: tuple[str, ...]
    depth_px: "np.ndarray | None" = None
    true_depth_px: "np.ndarray | None" = None
    yaw_estimated: bool = False
    sigma_px: "np.ndarray | None" = None
    visible: "np.ndarray | None" = None

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def has_depth(self) -> bool:
        return self.depth_px is not None and self.true_depth_px is not None

    def in_3d(self) -> "tuple[np.ndarray, np.ndarray]":
        """Predicted and true points [faces, points, 3]. Raises MienError where either lacks depth."""
        import numpy as np

        if self.depth_px is None or self.true_depth_px is None:
            raise no_depth("data have" if self.true_depth_px is None else "bundle gives")
        pairs = (self.predicted_px, self.depth_px), (self.truth_px, self.true_depth_px)
        predicted, truth = (np.concatenate([flat, z[..., None]], axis=-1) for flat, z in pairs)
        return predicted, truth

    def in_crops(self) -> "tuple[np.ndarray, np.ndarray]":
        """Predicted and true points in pixels of the crops, with depth where both have it."""
        import numpy as np

        flat = [
            np.stack([c.to_crop(p) for c, p in zip(self.crops, points, strict=True)])
            for points in (self.predicted_px, self.truth_px)
        ]
        if self.depth_px is None or self.true_depth_px is None:
            return flat[0], flat[1]
        scale = np.array([2 * c.size / sum(c.sides) for c in self.crops])[:, None]
        depths = (self.depth_px * scale, self.true_depth_px * scale)
        predicted, truth = (np.concatenate([p, z[..., None]], axis=-1) for p, z in zip(flat, depths, strict=True))
        return predicted, truth


@dataclass
class Found:
    """What came of a split. failures: (key, reason) of pictures that could not be read. missed: keys of faces that the
    detector did not find."""

    answers: "dict[CropName, PointAnswers]"
    failures: list[tuple[str, str]] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)


def point_answers(
    network: "Network", samples: "Sequence[Sample]", crops: "Sequence[CropName]", *,
    batch_size: int = 64,
) -> Found:  # fmt: skip
    """The network's points for every face that can be read, once for each kind of crop.

    Raises MienError when not one picture can be read, and when the detector finds none of the faces.
    """
    rows: dict[CropName, list[_Row]] = {name: [] for name in crops}
    result = Found({})
    for batch in cut_batches(samples, network.info.picture, crops, batch_size):
        result.failures += [(sample.key, cut) for sample, cut in batch if isinstance(cut, str)]
        read = [(sample, cut) for sample, cut in batch if not isinstance(cut, str)]
        for name in crops:
            here = [(sample, *views) for sample, cut in read if (views := cut[name]) is not None]
            found_here = _answered(network, here) if here else []
            rows[name] += _read_again(network, found_here) if name == "reading" and here else found_here
        result.missed += [sample.key for sample, cut in read if any(view is None for view in cut.values())]
    if len(result.failures) == len(samples):
        raise MienError(f"None of the {len(samples)} pictures could be read; the first: {result.failures[0][1]}")
    for name, found in rows.items():
        if not found:
            raise MienError(f"The detector finds none of the {len(samples)} faces. Take --crop data or landmarks.")
        result.answers[name] = _collected(name, found)
    return result


@dataclass(frozen=True, eq=False)
class _Row:
    sample: "Sample"
    crop: "Crop"
    outputs: "dict[str, np.ndarray]"  # of this face, as the network gives them


def _answered(network: "Network", faces: "Sequence[tuple[Sample, np.ndarray, Crop]]") -> list[_Row]:
    import numpy as np

    from mien.media.crop import normalise

    assert network.outputs is not None
    images = normalise(np.stack([pixels for _, pixels, _ in faces]), network.info.picture)
    outputs = network.outputs(images)
    return [
        _Row(sample, crop, {name: values[i] for name, values in outputs.items()})
        for i, (sample, _, crop) in enumerate(faces)
    ]


def _collected(name: "CropName", rows: list[_Row]) -> PointAnswers:
    import numpy as np

    points = rows[0].outputs["landmarks"].shape[-2]

    def of_outputs(output: str) -> "np.ndarray | None":
        if output not in rows[0].outputs:
            return None
        return np.stack([row.outputs[output].astype(float) * (sum(row.crop.sides) / 2) for row in rows])

    def of_samples(values: "list[np.ndarray | None]") -> "np.ndarray | None":
        if any(v is None for v in values):
            return None
        return np.stack([reduced(np.asarray(v)[:, None], points)[:, 0] for v in values])

    depth, true_depth = of_outputs("depth"), of_samples([row.sample.depth_px for row in rows])
    truth = np.stack([reduced(np.asarray(row.sample.landmarks_px, float), points) for row in rows])
    stated = [row.sample.pose_rad[1] for row in rows if row.sample.pose_rad is not None]
    estimated = len(stated) < len(rows)
    return PointAnswers(
        crop=name,
        keys=tuple(row.sample.key for row in rows),
        crops=tuple(row.crop for row in rows),
        truth_px=truth,
        predicted_px=np.stack([_in_picture(row) for row in rows]),
        yaw_rad=_yaw(truth) if estimated else np.array(stated, float),
        yaw_estimated=estimated,
        affected=tuple(row.sample.affected or "" for row in rows),
        depth_px=None if depth is None else depth - depth.mean(1, keepdims=True),
        true_depth_px=None if true_depth is None else true_depth - true_depth.mean(1, keepdims=True),
        sigma_px=of_outputs("sigma"),
        visible=of_samples([row.sample.visible for row in rows]),
    )


def _yaw(truth: "np.ndarray") -> "np.ndarray":
    """How far each head is turned, from its true points; NaN where that cannot be said."""
    import numpy as np

    from mien.core.landmarks import to_68
    from mien.runtime.pose import head_pose

    if truth.shape[1] not in (68, 84, 98):
        return np.full(len(truth), np.nan)
    return np.array([np.nan if (pose := head_pose(face)) is None else pose[1] for face in to_68(truth)])


def _read_again(network: "Network", rows: list[_Row]) -> list[_Row]:
    """The same faces, cut out again by the points found."""
    from concurrent.futures import ThreadPoolExecutor

    from mien.media.image import load_image
    from mien.runtime.landmarks import next_crop

    spec = network.info.picture

    def cut(row: _Row) -> "tuple[Sample, np.ndarray, Crop]":
        crop = next_crop(row.crop, row.outputs["landmarks"], spec=spec)
        return row.sample, pixels_of(load_image(row.sample.path, span=row.sample.span), crop, spec), crop

    with ThreadPoolExecutor(4) as pool:
        return _answered(network, list(pool.map(cut, rows)))


def _in_picture(row: _Row) -> "np.ndarray":
    return row.crop.to_picture(row.outputs["landmarks"].astype(float) * row.crop.size - 0.5)


def reduced(landmarks: "np.ndarray", points: int) -> "np.ndarray":
    """The landmarks in the model's scheme: themselves, or the 68 of them. Raises MienError where that cannot be."""
    from mien.core.landmarks import to_68

    if landmarks.shape[-2] == points:
        return landmarks
    if points != 68:
        raise MienError(f"A model of {points} points cannot be measured on {landmarks.shape[-2]} points.")
    return to_68(landmarks)
