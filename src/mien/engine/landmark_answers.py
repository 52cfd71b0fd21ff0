"""What a landmark network answers on labelled faces: each face cut out as asked, its points back in its picture."""

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from mien.core.errors import MienError

if TYPE_CHECKING:
    import numpy as np

    from mien.core.geometry import Crop
    from mien.core.records import Box, Sample
    from mien.core.spec import InputSpec
    from mien.engine.networks import Network
    from mien.media.detect import Detector
    from mien.media.image import Picture

CropName = Literal["data", "landmarks", "detector"]
CROPS: dict[str, tuple[CropName, ...]] = {
    "data": ("data",),
    "landmarks": ("landmarks",),
    "detector": ("detector",),
    "both": ("landmarks", "detector"),
}
SAME_FACE = 0.3  # least overlap (intersection over union) of a detected box with that of the true points


@dataclass(frozen=True, eq=False)
class PointAnswers:
    """Points of faces, in pixels of their pictures; all lists are [faces, ...] in one order.

    crop: how the faces were cut out. crops: where. depth_px, true_depth_px: mean 0 over a face. sigma_px: the error
    that the network states. visible: what the data say. All four are None where the network or the data lack them.
    yaw_rad: NaN where the data do not say. affected: "R", "L" (the person's own) or "" of each face.
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
            lacking = "data have" if self.true_depth_px is None else "bundle gives"
            raise MienError(f"Errors in 3D need depth; the {lacking} none. Leave out --eval_3d.")
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
    affected: dict[str, str], batch_size: int = 64,
) -> Found:  # fmt: skip
    """The network's points for every face that can be read, once for each kind of crop.

    affected: key -> the side that a palsy weakens. Raises MienError when not one picture can be read, and when the
    detector finds none of the faces.
    """
    rows: dict[CropName, list[_Row]] = {name: [] for name in crops}
    result = Found({})
    for batch in _cut_batches(samples, network.info.input, crops, batch_size):
        result.failures += [(sample.key, cut) for sample, cut in batch if isinstance(cut, str)]
        read = [(sample, cut) for sample, cut in batch if not isinstance(cut, str)]
        for name in crops:
            here = [(sample, *views) for sample, cut in read if (views := cut[name]) is not None]
            rows[name] += _answered(network, here) if here else []
        result.missed += [sample.key for sample, cut in read if cut.get("detector", ()) is None]
    if len(result.failures) == len(samples):
        raise MienError(f"None of the {len(samples)} pictures could be read; the first: {result.failures[0][1]}")
    for name, found in rows.items():
        if not found:
            raise MienError(f"The detector finds none of the {len(samples)} faces. Take --crop data or landmarks.")
        result.answers[name] = _collected(name, found, affected)
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
    images = normalise(np.stack([pixels for _, pixels, _ in faces]), network.info.input)
    outputs = network.outputs(images)
    return [
        _Row(sample, crop, {name: values[i] for name, values in outputs.items()})
        for i, (sample, _, crop) in enumerate(faces)
    ]


def _collected(name: "CropName", rows: list[_Row], affected: dict[str, str]) -> PointAnswers:
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
    yaw = [np.nan if row.sample.pose_rad is None else row.sample.pose_rad[1] for row in rows]
    return PointAnswers(
        crop=name,
        keys=tuple(row.sample.key for row in rows),
        crops=tuple(row.crop for row in rows),
        truth_px=np.stack([reduced(np.asarray(row.sample.landmarks_px, float), points) for row in rows]),
        predicted_px=np.stack([_in_picture(row) for row in rows]),
        yaw_rad=np.array(yaw, float),
        affected=tuple(affected.get(row.sample.key, "") for row in rows),
        depth_px=None if depth is None else depth - depth.mean(1, keepdims=True),
        true_depth_px=None if true_depth is None else true_depth - true_depth.mean(1, keepdims=True),
        sigma_px=of_outputs("sigma"),
        visible=of_samples([row.sample.visible for row in rows]),
    )


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


_Views = dict[str, "tuple[np.ndarray, Crop] | None"]


def _cut_batches(
    samples: "Sequence[Sample]", spec: "InputSpec", crops: "Sequence[CropName]", batch_size: int
) -> "Iterator[list[tuple[Sample, _Views | str]]]":
    """Batches in order, the next one decoded meanwhile: each face's views by kind of crop, or why it has none."""
    import os
    from concurrent.futures import ThreadPoolExecutor

    from mien.engine.networks import progress_bar

    detectors = threading.local()

    def cut(sample: "Sample") -> "_Views | str":
        try:
            return _views(sample, spec, crops, lambda: _detector(detectors))
        except MienError as error:
            return str(error)

    batches = [samples[i : i + batch_size] for i in range(0, len(samples), batch_size)]
    with progress_bar() as progress, ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        task = progress.add_task("reading faces", total=len(samples))
        ahead = [pool.submit(cut, sample) for sample in batches[0]]
        for number, batch in enumerate(batches):
            following = batches[number + 1] if number + 1 < len(batches) else ()
            current, ahead = ahead, [pool.submit(cut, sample) for sample in following]
            yield [(sample, future.result()) for sample, future in zip(batch, current, strict=True)]
            progress.advance(task, len(batch))


def _views(
    sample: "Sample", spec: "InputSpec", crops: "Sequence[CropName]", detector: "Callable[[], Detector]"
) -> _Views:
    from mien.core.geometry import crop_of_box, crop_of_picture
    from mien.data.readers.points import box_of
    from mien.media.image import load_image

    whole = sample.box is None and tuple(crops) == ("data",)
    picture = load_image(sample.path, span=sample.span, min_side=spec.size if whole else None)
    assert sample.landmarks_px is not None
    around = box_of(sample.landmarks_px)
    found: _Views = {}
    for name in crops:
        box = (
            around if name == "landmarks" else sample.box if name == "data" else _detected(picture, around, detector())
        )
        if box is None and name == "detector":
            found[name] = None
            continue
        crop = crop_of_picture(*picture.size, spec) if box is None else crop_of_box(box, spec)
        found[name] = (pixels_of(picture, crop, spec), crop)
    return found


def pixels_of(picture: "Picture", crop: "Crop", spec: "InputSpec") -> "np.ndarray":
    """The crop, uint8, of a picture that may have been decoded at a reduced size; `crop` is in pixels of the file."""
    from mien.data.faces import scaled_crop
    from mien.media.crop import prepare

    rows, columns = picture.pixels.shape[:2]
    return prepare(picture.pixels, scaled_crop(crop, columns / picture.size[0], rows / picture.size[1]), spec)


def _detected(picture: "Picture", around: "Box", detector: "Detector") -> "Box | None":
    """The detected box that shares most with that of the true points; None where none is this face."""
    rows, columns = picture.pixels.shape[:2]
    x, y = picture.size[0] / columns, picture.size[1] / rows
    boxes = [(b[0] * x, b[1] * y, b[2] * x, b[3] * y) for b in (face.box for face in detector(picture.pixels))]
    best = max(boxes, key=lambda box: overlap(box, around), default=None)
    return best if best is not None and overlap(best, around) >= SAME_FACE else None


def overlap(a: "Box", b: "Box") -> float:
    """Intersection over union of two boxes."""
    width, height = (max(min(a[k + 2], b[k + 2]) - max(a[k], b[k]), 0.0) for k in (0, 1))
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    union = sum(areas) - width * height
    return width * height / union if union > 0 else 0.0


def _detector(store: threading.local) -> "Detector":
    """One for each thread: it keeps state while it searches."""
    from mien.media.detect import create_detector

    if not hasattr(store, "detector"):
        store.detector = create_detector("dlib")
    return store.detector
