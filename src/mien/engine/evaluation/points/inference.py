"""Runs a landmark network on labelled faces, cut out by every kind of crop; its points in pixels of the picture."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from mien.core.errors import MienError
from mien.core.geometry import Crop
from mien.core.landmarks import to_68
from mien.core.records import Sample
from mien.core.spec import Output, PictureInput
from mien.engine.bundles.predictor import Predictor
from mien.engine.evaluation.points.crops import CropName, view_batches
from mien.engine.evaluation.points.predictions import PointPredictions
from mien.media.crop import crop_pixels, normalise
from mien.media.image import load_image
from mien.media.parallel.ahead import map_ahead
from mien.runtime.landmarks import next_crop
from mien.runtime.pose import head_pose


@dataclass
class PointPass:
    """What came of running a network over a split, once for each kind of crop."""

    predictions: dict[CropName, PointPredictions] = field(default_factory=dict)
    """By kind of crop."""
    failures: list[tuple[str, str]] = field(default_factory=list)
    """(key, reason) of pictures that could not be read."""
    missed: list[str] = field(default_factory=list)
    """Keys of faces that the detector did not find."""
    seconds: float = 0.0
    """Time of all of it."""


def predict_points(
    predictor: Predictor, output: str, samples: Sequence[Sample], crops: Sequence[CropName], *,
    batch_size: int = 64,
) -> PointPass:  # fmt: skip
    """The network's points for every face that can be read, for each kind of crop.

    Raises MienError when not one picture can be read, and when the detector finds none of the faces.
    """
    start, reader = time.perf_counter(), _PointReader(predictor, output)
    rows: dict[CropName, list[_Row]] = {name: [] for name in crops}
    result = PointPass()
    for batch in view_batches(samples, reader.spec, crops, batch_size=batch_size):
        result.failures += [(sample.key, views) for sample, views in batch if isinstance(views, str)]
        read = [(sample, views) for sample, views in batch if not isinstance(views, str)]
        for name in crops:
            rows[name] += reader.read(name, [(s, *view) for s, views in read if (view := views[name]) is not None])
        result.missed += [sample.key for sample, views in read if any(view is None for view in views.values())]
    if len(result.failures) == len(samples):
        raise MienError(f"None of the {len(samples)} pictures could be read; the first: {result.failures[0][1]}")
    for name, found in rows.items():
        if not found:
            raise MienError(f"The detector finds none of the {len(samples)} faces. Take --crop data or landmarks.")
        result.predictions[name] = _collected(name, found, reader.qualities)
    result.seconds = time.perf_counter() - start
    return result


@dataclass(frozen=True, eq=False)
class _Row:
    sample: Sample
    crop: Crop
    points: np.ndarray  # [points, 2] in crop sides
    values: dict[str, np.ndarray]  # by quality ("depth", "sigma"), [points] in crop sides


@dataclass(frozen=True)
class _PointReader:
    """Runs the network on cut faces and keeps the points with what qualifies them."""

    predictor: Predictor
    output: str

    @property
    def spec(self) -> PictureInput:
        return self.predictor.info.picture

    @property
    def qualities(self) -> tuple[str, ...]:
        """Outputs in crop sides that describe these points one by one: their depth and their stated error."""
        return qualities_of(self.predictor.info.outputs, self.output)

    def read(self, crop: CropName, faces: Sequence[tuple[Sample, np.ndarray, Crop]]) -> list[_Row]:
        """Rows of faces (pixels, crop); on the crop "reading" they are cut out again by the points found."""
        if not faces:
            return []
        rows = self._rows(faces)
        if crop != "reading":
            return rows
        return self._rows(list(map_ahead(self._cut_again, rows)))

    def _rows(self, faces: Sequence[tuple[Sample, np.ndarray, Crop]]) -> list[_Row]:
        images = normalise(np.stack([pixels for _, pixels, _ in faces]), self.spec)
        (name,) = self.predictor.info.inputs
        outputs = self.predictor.outputs({name: images})
        return [
            _Row(sample, crop, outputs[self.output][i], {quality: outputs[quality][i] for quality in self.qualities})
            for i, (sample, _, crop) in enumerate(faces)
        ]

    def _cut_again(self, row: _Row) -> tuple[Sample, np.ndarray, Crop]:
        crop = next_crop(row.crop, row.points, spec=self.spec)
        return row.sample, crop_pixels(load_image(row.sample.path, span=row.sample.span), crop, self.spec), crop


def qualities_of(outputs: Mapping[str, Output], points: str) -> tuple[str, ...]:
    """Names of the outputs "depth" and "sigma" that describe the output `points`."""
    return tuple(name for name in ("depth", "sigma") if name in outputs and outputs[name].of == points)


def _collected(name: CropName, rows: list[_Row], qualities: Sequence[str]) -> PointPredictions:
    points = rows[0].points.shape[-2]

    def of_outputs(output: str) -> np.ndarray | None:
        if output not in qualities:
            return None
        return np.stack([row.values[output].astype(float) * (sum(row.crop.sides) / 2) for row in rows])

    depth, true_depth = of_outputs("depth"), _labelled(rows, lambda sample: sample.depth_px)
    truth = np.stack([reduced(np.asarray(row.sample.landmarks_px, float), points) for row in rows])
    stated = [row.sample.pose_rad[1] for row in rows if row.sample.pose_rad is not None]
    estimated = len(stated) < len(rows)
    return PointPredictions(
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
        visible=_labelled(rows, lambda sample: sample.visible),
    )


def _labelled(rows: list[_Row], value: Callable[[Sample], np.ndarray | None]) -> np.ndarray | None:
    """[faces, points] of what the data say of each point; None where they do not say it of every face."""
    points, values = rows[0].points.shape[-2], [value(row.sample) for row in rows]
    if any(v is None for v in values):
        return None
    return np.stack([reduced(np.asarray(v)[:, None], points)[:, 0] for v in values])


def _yaw(truth: np.ndarray) -> np.ndarray:
    """How far each head is turned, from its true points; NaN where that cannot be said."""
    if truth.shape[1] not in (68, 84, 98):
        return np.full(len(truth), np.nan)
    return np.array([np.nan if (pose := head_pose(face)) is None else pose[1] for face in to_68(truth)])


def _in_picture(row: _Row) -> np.ndarray:
    return row.crop.to_picture(row.points.astype(float) * row.crop.size - 0.5)


def reduced(landmarks: np.ndarray, points: int) -> np.ndarray:
    """The landmarks in the model's scheme: themselves, or the 68 of them. Raises MienError where that cannot be."""
    if landmarks.shape[-2] == points:
        return landmarks
    if points != 68:
        raise MienError(f"A model of {points} points cannot be measured on {landmarks.shape[-2]} points.")
    return to_68(landmarks)
