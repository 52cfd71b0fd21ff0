"""FaceSet: samples → numpy batches, as an PictureInput asks. The path of training and of evaluation, without torch.

Decoding, cropping and normalising are `media`'s own code, which reading uses too.
"""

import logging
import os
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Float, UInt8

from mien.core.errors import MienError
from mien.core.geometry import crop_of_box, crop_of_picture
from mien.core.labels import LabelSet
from mien.core.landmarks import scheme_of
from mien.core.records import Batch, Sample
from mien.core.spec import PictureInput
from mien.data.transforms import Augmentation, Augmented, erase, generator
from mien.media.crop import crop_pixels, normalise
from mien.media.image import Picture, load_image
from mien.media.parallel import map_ahead

log = logging.getLogger(__name__)
NumpyBatch: TypeAlias = Batch[np.ndarray]


class CutFace(NamedTuple):
    """A face crop ([size, size] for grey), its landmarks in crop pixels, and its side in pixels of the picture."""

    crop: UInt8[np.ndarray, "size size *channels"]
    landmarks_px: Float[np.ndarray, "points 2"] | None
    side: float


def prepare_face(
    sample: Sample, spec: PictureInput
) -> tuple[UInt8[np.ndarray, "size size 3"], Float[np.ndarray, "points 2"] | None]:
    """The face crop and its landmarks in crop pixels. Raises MienError for a broken picture."""
    return cut_face(sample, _picture(sample, spec), spec)


def cut_face(
    sample: Sample, picture: Picture, spec: PictureInput
) -> tuple[UInt8[np.ndarray, "size size 3"], Float[np.ndarray, "points 2"] | None]:
    """`prepare_face` of the picture that was loaded already."""
    face = _cut(sample, picture, spec)
    return face.crop, face.landmarks_px


def _picture(sample: Sample, spec: PictureInput) -> Picture:
    return load_image(sample.path, span=sample.span, min_side=spec.size if sample.box is None else None)


def _cut(sample: Sample, picture: Picture, spec: PictureInput) -> CutFace:
    width, height = picture.size
    crop = crop_of_picture(width, height, spec) if sample.box is None else crop_of_box(sample.box, spec)
    landmarks = None if sample.landmarks_px is None else crop.to_crop(sample.landmarks_px).astype(np.float32)
    return CutFace(crop_pixels(picture, crop, spec), landmarks, sum(crop.sides) / 2)


class FaceSet:
    """Batches of `samples` by (epoch, index).

    labels: the order that sample.expression counts in; its length is that of a distribution. augmentation: None for
    evaluation. cache: keep all prepared 8-bit crops in memory; they are decoded when the set is made. on_broken: "stop"
    raises MienError at a broken picture, "skip" leaves it out of its batch. broken: their messages by index.
    """

    def __init__(
        self, samples: Sequence[Sample], spec: PictureInput, *, labels: LabelSet | None = None,
        augmentation: Augmentation | None = None, seed: int = 0, soft_labels: bool = False, cache: bool = False,
        on_broken: str = "stop",
    ) -> None:  # fmt: skip
        self.samples, self.spec, self.labels = list(samples), spec, labels
        self.augmentation, self.seed, self.soft_labels, self.on_broken = augmentation, seed, soft_labels, on_broken
        self.broken: dict[int, str] = {}
        self._placed: list[tuple[np.ndarray | None, float]] = []
        self._crops = self._decode_all() if cache else None

    def __len__(self) -> int:
        return len(self.samples)

    def batch(self, places: Sequence[tuple[int, int]]) -> NumpyBatch:
        """The faces at these (epoch, index). Raises MienError when none of them can be read."""
        faces = [(epoch, index, face) for epoch, index in places if (face := self._face(index)) is not None]
        if not faces:
            raise MienError(f"No picture of a whole batch can be read: {self.broken[places[0][1]]}")
        moved = [self._augmented(*face) for face in faces]
        crops = np.stack([face.crop for face in moved])
        if crops.ndim == 3:
            crops = np.repeat(crops[..., None], 3, axis=-1)
        image = normalise(crops, self.spec)
        for picture, augmented in zip(image, moved, strict=True):
            erase(picture, augmented.holes)
        batch = self._labelled(image, [index for _, index, _ in faces])
        self._add_points(batch, moved, [face.side for _, _, face in faces])
        return batch

    def numpy_batches(self, batch_size: int) -> Iterator[NumpyBatch]:
        """Yields all faces in order, `batch_size` at a time."""
        for start in range(0, len(self), batch_size):
            yield self.batch([(0, i) for i in range(start, min(start + batch_size, len(self)))])

    def _labelled(self, image: np.ndarray, index: list[int]) -> NumpyBatch:
        samples = [self.samples[i] for i in index]
        batch: NumpyBatch = Batch(image, np.array(index, np.int64))
        if all(sample.expression is not None for sample in samples):
            batch.expression = np.array([sample.expression for sample in samples], np.int64)
        if self.soft_labels and batch.expression is not None and self.labels is not None:
            batch.distribution = np.stack([_distribution(sample, len(self.labels)) for sample in samples])
        return batch

    def _add_points(self, batch: NumpyBatch, moved: Sequence[Augmented], sides: Sequence[float]) -> None:
        """Landmarks, depth and visibility, where every face of the batch has landmarks (and depth)."""
        points = [face.landmarks_px for face in moved if face.landmarks_px is not None]
        if len(points) < len(moved):
            return
        if len(counts := sorted({len(landmarks) for landmarks in points})) > 1:
            raise MienError(
                f"One batch has faces of {' and '.join(map(str, counts))} points; a network takes one kind."
            )
        batch.landmarks = (np.stack(points) + 0.5) / np.float32(self.spec.size)
        pairs = [(self.samples[i], face) for i, face in zip(batch.index.tolist(), moved, strict=True)]
        visible = np.stack([_visible(sample, face) for sample, face in pairs])
        inside = ((batch.landmarks >= 0) & (batch.landmarks <= 1)).all(-1)
        batch.visible = np.where(inside, visible, np.float32(0))
        if all(sample.depth_px is not None for sample, _ in pairs):
            scales = [np.float32(face.scale / side) for face, side in zip(moved, sides, strict=True)]
            batch.depth = np.stack([_depth(*pair) * scale for pair, scale in zip(pairs, scales, strict=True)])

    def _augmented(self, epoch: int, index: int, face: CutFace) -> Augmented:
        if self.augmentation is None:
            return Augmented(face.crop, face.landmarks_px, ())
        return self.augmentation(face.crop, generator(self.seed, epoch, index), face.landmarks_px)

    def _face(self, index: int) -> CutFace | None:
        """None for a broken picture that is to be skipped."""
        if self._crops is not None:
            return None if index in self.broken else CutFace(self._crops[index], *self._placed[index])
        try:
            return self._prepared(index)
        except MienError as error:
            if self.on_broken == "stop":
                raise MienError(f"{error} (data.on_broken: skip leaves broken pictures out)") from error
            if index not in self.broken:
                log.warning("left out: %s", error)
            self.broken[index] = str(error)
            return None

    def _prepared(self, index: int) -> CutFace:
        sample = self.samples[index]
        face = _cut(sample, _picture(sample, self.spec), self.spec)
        return face._replace(crop=np.ascontiguousarray(face.crop[..., 0])) if self.spec.color == "grey" else face

    def _decode_all(self) -> np.ndarray:
        shape = (len(self), self.spec.size, self.spec.size, *([3] if self.spec.color == "rgb" else []))
        _refuse_above_memory(int(np.prod(shape)))
        crops = np.zeros(shape, np.uint8)
        self._placed = [(None, 1.0)] * len(self)

        def fill(index: int) -> None:
            try:
                face = self._prepared(index)
                crops[index], self._placed[index] = face.crop, (face.landmarks_px, face.side)
            except MienError as error:
                self.broken[index] = str(error)

        for _ in map_ahead(fill, range(len(self))):
            pass
        if self.broken and self.on_broken == "stop":
            first = self.broken[min(self.broken)]
            raise MienError(
                f"{len(self.broken)} of {len(self)} pictures are broken, first {first} "
                "(data.on_broken: skip leaves them out)"
            )
        return crops


def _distribution(sample: Sample, classes: int) -> Float[np.ndarray, " classes"]:
    """float32; one-hot where the data set gives no distribution."""
    if sample.distribution is not None:
        return np.array(sample.distribution, np.float32)
    one_hot = np.zeros(classes, np.float32)
    one_hot[sample.expression] = 1
    return one_hot


def _visible(sample: Sample, face: Augmented) -> Float[np.ndarray, " points"]:
    """float32, 1 or 0; NaN where the data set does not say."""
    assert face.landmarks_px is not None
    if sample.visible is None:
        return np.full(len(face.landmarks_px), np.nan, np.float32)
    return np.asarray(sample.visible, np.float32)[_order(face)]


def _depth(sample: Sample, face: Augmented) -> Float[np.ndarray, " points"]:
    """float32, pixels of the picture, mean 0."""
    depth = np.asarray(sample.depth_px, np.float32)[_order(face)]
    return depth - depth.mean()


def _order(face: Augmented) -> Any:
    """Of what is known of each point, after the warp."""
    assert face.landmarks_px is not None
    return scheme_of(len(face.landmarks_px)).mirror if face.mirrored else slice(None)


def _refuse_above_memory(size: int) -> None:
    """Raises MienError when the cache would take more than 60 % of the machine's memory."""
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return
    if size > 0.6 * memory:
        raise MienError(
            f"data.cache: memory would take {size / 1e9:.1f} GB of {memory / 1e9:.1f}. Use data.cache: none."
        )
