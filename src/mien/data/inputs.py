"""What a network takes beside the face picture: rendered faces and voices, prepared as its inputs declare them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from mien.core.errors import MienError, nearest
from mien.core.geometry import Crop
from mien.core.records import Sample
from mien.core.spec import Input, PictureInput, SoundInput
from mien.data.sounds import SoundAugmentation
from mien.media.crop import crop_pixels, scaled_crop
from mien.media.image import Picture, load_image
from mien.media.sound.audio import Sound
from mien.media.sound.mel import log_mel
from mien.media.video.soundtrack import load_sound

KINDS: dict[str, type[PictureInput] | type[SoundInput]] = {
    "image": PictureInput,
    "render": PictureInput,
    "voice": SoundInput,
}
_SOUNDS = 512  # kept where they are augmented, 350 KB each at 4 s
_VOICES = 2048  # mel pictures kept, 64 KB each: the frames of one clip share one


def checked_inputs(inputs: Mapping[str, Input] | PictureInput, samples: Sequence[Sample]) -> dict[str, Input]:
    """The inputs by name; a PictureInput alone stands for `image`.

    Raises MienError for a name that is no field of a sample, an input of the wrong kind, and for a sample that lacks
    what an input asks for.
    """
    named: dict[str, Input] = {"image": inputs} if isinstance(inputs, PictureInput) else dict(inputs)
    for name, given in named.items():
        if name not in KINDS:
            raise MienError(f"Data have no input {name!r}.{nearest(name, KINDS)}")
        if not isinstance(given, KINDS[name]):
            raise MienError(f"The input {name!r} is a {KINDS[name].__name__}; got a {type(given).__name__}.")
        if name != "image" and (without := next((s for s in samples if getattr(s, name) is None), None)):
            raise MienError(
                f"The network takes {name!r}, and {without.key} has none. Take a data set that has one for every face "
                f"(a manifest's column {name!r}), or a network that does not."
            )
    if "render" in named and "image" not in named:
        raise MienError("The input 'render' is cut out as the photograph is: it goes with an input 'image'.")
    return named


def render_pixels(
    sample: Sample, picture_size: tuple[int, int], crop: Crop, given: PictureInput
) -> UInt8[np.ndarray, "size size 3"]:
    """The rendered face, cut out where `crop` (in pixels of the photograph, of that width and height) lies in it.

    Raises MienError for a broken picture and for one of other proportions than the photograph.
    """
    assert sample.render is not None
    render: Picture = load_image(sample.render)
    x, y = render.size[0] / picture_size[0], render.size[1] / picture_size[1]
    if not 0.98 < x / y < 1.02:
        raise MienError(
            f"{sample.render}: a render lies in the frame of its photograph, which has {picture_size[0]} x "
            f"{picture_size[1]} pixels; it has {render.size[0]} x {render.size[1]}."
        )
    return crop_pixels(render, scaled_crop(replace(crop, size=given.size), x, y), given)


class Voices:
    """Mel pictures by file, each computed once; with an augmentation the sounds are kept, and each picture is new."""

    def __init__(self, given: SoundInput, augmentation: SoundAugmentation | None = None) -> None:
        self.given, self.augmentation = given, augmentation
        self._known: dict[Path, np.ndarray] = {}
        self._sounds: dict[Path, Sound] = {}

    def of(self, sample: Sample) -> Float[np.ndarray, "1 mels frames"]:
        """float32. Raises MienError for what is no sound."""
        assert sample.voice is not None
        if sample.voice not in self._known:
            if len(self._known) >= _VOICES:
                self._known.clear()
            sound = load_sound(sample.voice, sample_rate_hz=self.given.rate_hz)
            self._known[sample.voice] = log_mel(sound, self.given)
        return self._known[sample.voice]

    def augmented(self, sample: Sample, rng: np.random.Generator) -> Float[np.ndarray, "1 mels frames"]:
        """float32: `of` another version of the sound."""
        assert sample.voice is not None and self.augmentation is not None
        if sample.voice not in self._sounds:
            if len(self._sounds) >= _SOUNDS:
                self._sounds.clear()
            self._sounds[sample.voice] = load_sound(sample.voice, sample_rate_hz=self.given.rate_hz)
        return self.augmentation(self._sounds[sample.voice], self.given, rng)
