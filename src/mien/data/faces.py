"""FaceSet: samples → numpy batches, as a network's inputs ask. The path of training and of evaluation, without torch.

Decoding, cropping and normalising are `media`'s own code, which reading uses too.
"""

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Float, UInt8

from mien.core.errors import MienError
from mien.core.geometry import Crop, crop_of_box, crop_of_picture
from mien.core.labels import LabelSet
from mien.core.landmarks import scheme_of
from mien.core.records import Batch, Sample
from mien.core.spec import Input, PictureInput, SoundInput
from mien.data.inputs import Voices, checked_inputs, render_pixels
from mien.data.recent import load_picture
from mien.data.sounds import SoundAugmentation
from mien.data.transforms import Augmentation, Augmented, beside, erase, generator
from mien.media.crop import crop_pixels, normalise
from mien.media.image import Picture
from mien.media.parallel.ahead import map_ahead
from mien.synthetic.face.open_face import mirror

log = logging.getLogger(__name__)
NumpyBatch: TypeAlias = Batch[np.ndarray]


class CutFace(NamedTuple):
    """A face, cut out."""

    crop: UInt8[np.ndarray, "size size *channels"]
    """[size, size] where the input is grey."""
    landmarks_px: Float[np.ndarray, "points 2"] | None
    """In crop pixels."""
    side: float
    """Of the crop, in pixels of the picture."""
    render: UInt8[np.ndarray, "side side *channels"] | None = None
    """The rendered face in the same crop, where the inputs ask for it."""


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
    return load_picture(sample, min_side=spec.size if sample.box is None else None)


def _crop_of(sample: Sample, picture: Picture, spec: PictureInput) -> Crop:
    """In pixels of the file."""
    return crop_of_picture(*picture.size, spec) if sample.box is None else crop_of_box(sample.box, spec)


def _cut(sample: Sample, picture: Picture, spec: PictureInput) -> CutFace:
    crop = _crop_of(sample, picture, spec)
    landmarks = (
        None if sample.landmarks_px is None else crop.to_crop(np.asarray(sample.landmarks_px)).astype(np.float32)
    )
    return CutFace(crop_pixels(picture, crop, spec), landmarks, sum(crop.sides) / 2)


class FaceSet:
    """Batches of `samples` by (epoch, index).

    inputs: by name ("image", "render", "voice") what a batch holds; a PictureInput alone is the image. labels: the
    order that sample.expression counts in; its length is that of a distribution. augmentation, sound_augmentation: None
    for evaluation. cache: keep all prepared 8-bit crops in memory; they are decoded when the set is made. on_broken:
    "stop" raises MienError at a broken file, "skip" leaves it out of its batch. broken: their messages by index.

    Raises MienError for samples that lack what an input asks for.
    """

    def __init__(
        self, samples: Sequence[Sample], inputs: Mapping[str, Input] | PictureInput, *,
        labels: LabelSet | None = None, augmentation: Augmentation | None = None,
        sound_augmentation: SoundAugmentation | None = None, seed: int = 0, soft_labels: bool = False,
        cache: bool = False, on_broken: str = "stop",
    ) -> None:  # fmt: skip
        self.samples, self.labels = list(samples), labels
        self.inputs = checked_inputs(inputs, self.samples)
        self.augmentation, self.seed, self.soft_labels, self.on_broken = augmentation, seed, soft_labels, on_broken
        self.broken: dict[int, str] = {}
        voice = self.inputs.get("voice")
        changes = sound_augmentation if sound_augmentation is not None and sound_augmentation.active else None
        self._voices = Voices(voice, changes) if isinstance(voice, SoundInput) else None
        self._has_affect = any(s.valence is not None or s.arousal is not None for s in self.samples)
        self._face3d = next((len(s.face3d) for s in self.samples if s.face3d is not None), 0)
        self._cached = self._decode_all() if cache else None

    def __len__(self) -> int:
        return len(self.samples)

    def batch(self, places: Sequence[tuple[int, int]]) -> NumpyBatch:
        """The faces at these (epoch, index). Raises MienError when none of them can be read."""
        faces = [(epoch, index, face) for epoch, index in places if (face := self._face(index)) is not None]
        if not faces:
            raise MienError(f"No picture of a whole batch can be read: {self.broken[places[0][1]]}")
        augmented = [self._augmented(*face) for face in faces]
        indices = [index for _, index, _ in faces]
        batch = self._labelled(self._image(augmented), indices)
        self._add_points(batch, augmented, [face.side for _, _, face in faces])
        if renders := [face.render for face in augmented if face.render is not None]:
            batch.render = normalise(_coloured(np.stack(renders)), self._picture_input("render"))
        if self._voices is not None:
            batch.voice = np.stack([self._voice(self._voices, epoch, index) for epoch, index, _ in faces])
        if self._face3d:
            batch.face3d = np.stack([
                _face3d(self.samples[index], self._face3d, mirrored=face.mirrored)
                for index, face in zip(indices, augmented, strict=True)
            ])  # fmt: skip
        return batch

    def _image(self, augmented: Sequence[Augmented]) -> Float[np.ndarray, "batch 3 height width"]:
        """float32; without an input `image` of no height and width."""
        if "image" not in self.inputs:
            return np.zeros((len(augmented), 3, 0, 0), np.float32)
        image = normalise(_coloured(np.stack([face.crop for face in augmented])), self._picture_input("image"))
        for picture, face in zip(image, augmented, strict=True):
            erase(picture, face.holes)
        return image

    def _picture_input(self, name: str) -> PictureInput:
        given = self.inputs[name]
        assert isinstance(given, PictureInput)
        return given

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
        if self._has_affect:
            batch.affect = np.array([[_or_nan(s.valence), _or_nan(s.arousal)] for s in samples], np.float32)
        return batch

    def _add_points(self, batch: NumpyBatch, augmented: Sequence[Augmented], sides: Sequence[float]) -> None:
        """Landmarks, depth and visibility, where every face of the batch has landmarks (and depth)."""
        points = [face.landmarks_px for face in augmented if face.landmarks_px is not None]
        if len(points) < len(augmented):
            return
        if len(counts := sorted({len(landmarks) for landmarks in points})) > 1:
            raise MienError(
                f"One batch has faces of {' and '.join(map(str, counts))} points; a network takes one kind."
            )
        batch.landmarks = (np.stack(points) + 0.5) / np.float32(self._picture_input("image").size)
        pairs = [(self.samples[i], face) for i, face in zip(batch.index.tolist(), augmented, strict=True)]
        visible = np.stack([_visible(sample, face) for sample, face in pairs])
        inside = ((batch.landmarks >= 0) & (batch.landmarks <= 1)).all(-1)
        batch.visible = np.where(inside, visible, np.float32(0))
        if all(sample.depth_px is not None for sample, _ in pairs):
            scales = [np.float32(face.scale / side) for face, side in zip(augmented, sides, strict=True)]
            batch.depth = np.stack([_depth(*pair) * scale for pair, scale in zip(pairs, scales, strict=True)])

    def _augmented(self, epoch: int, index: int, face: CutFace) -> Augmented:
        if self.augmentation is None or "image" not in self.inputs:
            return Augmented(face.crop, face.landmarks_px, (), render=face.render)
        rng = generator(self.seed, epoch, index)
        return self.augmentation(face.crop, rng, face.landmarks_px, render=face.render)

    def _voice(self, voices: Voices, epoch: int, index: int) -> Float[np.ndarray, "1 mels frames"]:
        if voices.augmentation is None:
            return voices.of(self.samples[index])
        return voices.augmented(self.samples[index], beside(generator(self.seed, epoch, index), 2))

    def _face(self, index: int) -> CutFace | None:
        """None for a broken file that is to be skipped."""
        if self._cached is not None:
            return self._cached[index]
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
        """Raises MienError for a broken picture or sound."""
        sample = self.samples[index]
        if self._voices is not None:
            self._voices.of(sample)
        if "image" not in self.inputs:
            return CutFace(np.zeros((0, 0, 3), np.uint8), None, 1.0)
        given = self._picture_input("image")
        picture = _picture(sample, given)
        face = _cut(sample, picture, given)
        face = face._replace(crop=_one_channel(face.crop, given))
        if "render" in self.inputs:
            wanted = self._picture_input("render")
            pixels = render_pixels(sample, picture.size, _crop_of(sample, picture, given), wanted)
            face = face._replace(render=_one_channel(pixels, wanted))
        return face

    def _decode_all(self) -> list[CutFace | None]:
        """Every face, None for a broken one. Raises MienError for them with on_broken "stop"."""
        shapes = {
            name: (len(self), given.size, given.size, *([3] if given.color == "rgb" else []))
            for name, given in self.inputs.items()
            if isinstance(given, PictureInput)
        }
        _refuse_above_memory(sum(int(np.prod(shape)) for shape in shapes.values()))
        # One array for all: processes that share it by fork do not copy it.
        kept = {name: np.zeros(shape, np.uint8) for name, shape in shapes.items()}

        def decoded(index: int) -> CutFace | None:
            try:
                face = self._prepared(index)
            except MienError as error:
                self.broken[index] = str(error)
                return None
            for field, name in (("crop", "image"), ("render", "render")):
                if name in kept:
                    kept[name][index] = getattr(face, field)
                    face = face._replace(**{field: kept[name][index]})
            return face

        faces = list(map_ahead(decoded, range(len(self))))
        if self.broken and self.on_broken == "stop":
            first = self.broken[min(self.broken)]
            raise MienError(
                f"{len(self.broken)} of {len(self)} pictures are broken, first {first} "
                "(data.on_broken: skip leaves them out)"
            )
        return faces


def _one_channel(pixels: np.ndarray, given: PictureInput) -> np.ndarray:
    """[size, size] of a grey input, whose channels are alike: a third of the memory."""
    return np.ascontiguousarray(pixels[..., 0]) if given.color == "grey" else pixels


def _coloured(crops: np.ndarray) -> UInt8[np.ndarray, "batch size size 3"]:
    return np.repeat(crops[..., None], 3, axis=-1) if crops.ndim == 3 else crops


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else value


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


def _face3d(sample: Sample, count: int, *, mirrored: bool) -> Float[np.ndarray, " parameters"]:
    """float32; of the mirrored face where the picture is; NaN where the data set does not say."""
    if sample.face3d is None:
        return np.full(count, np.nan, np.float32)
    values = np.asarray(sample.face3d, np.float32)
    if not mirrored:
        return values
    places, signs = mirror()
    return values[places] * signs


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
