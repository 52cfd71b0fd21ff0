"""What single pictures are: readable or not, their bytes, size, light, sharpness; in parallel where there are many."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import cv2

from mien.core.errors import MienError
from mien.core.records import Sample
from mien.core.spec import PictureInput
from mien.data.faces import cut_face
from mien.data.parallel import cores, parallel_map, stopped
from mien.data.recent import load_picture, recent_picture
from mien.media.listing import is_video
from mien.media.parallel.limits import checked_count
from mien.media.parts import part_of
from mien.media.sound.audio import read_sound

SIDE = 112  # pixels of the crop that light and sharpness are measured in, so that they compare between pictures
_CHUNK = 200
_ALONE = 600  # pictures from which processes are worth starting


class Facts(NamedTuple):
    """What one picture is."""

    why_broken: str = ""
    """Empty for one that can be read."""
    sha256: bytes = b""
    """Of the bytes of the file or its part; of a video of the frame's pixels."""
    size: tuple[int, int] = (0, 0)
    """Width and height of the upright picture, pixels; 0 of a voice alone."""
    mean: tuple[float, ...] = ()
    """By channel of the face crop, of values in 0..1."""
    square: tuple[float, ...] = ()
    """By channel, mean of the squares."""
    brightness: float = 0.0
    """Mean luminance, 0..1."""
    sharpness: float = 0.0
    """Standard deviation of the Laplacian of luminance, grey levels."""


@dataclass(frozen=True, eq=False)
class _Chunk:
    samples: Sequence[Sample]
    spec: PictureInput | None


def inspect(
    samples: Sequence[Sample], *, spec: PictureInput | None = None, advance: Callable[[int], None] = lambda done: None,
    workers: int | None = None,
) -> list[Facts]:  # fmt: skip
    """Facts in the order of the samples. With a spec the faces are cut out and measured, else the files are hashed."""
    chunks = [_Chunk(samples[i : i + _CHUNK], spec) for i in range(0, len(samples), _CHUNK)]
    found: list[list[Facts]] = [[] for _ in chunks]
    workers = cores() if workers is None else checked_count(workers, "--workers")
    workers = 1 if len(samples) < _ALONE else workers
    for position, facts in parallel_map(_facts_of, chunks, workers=workers):
        found[position] = facts
        advance(len(facts))
    return [facts for share in found for facts in share]


def _facts_of(chunk: _Chunk) -> list[Facts]:
    look = _hashed if chunk.spec is None else _measured
    known: dict[Any, Facts] = {}  # of rows that state the same part of the same picture
    facts = []
    for sample in chunk.samples:
        if stopped():
            break
        key = (*sample.place, None if chunk.spec is None else sample.box)
        if key not in known:
            try:
                known[key] = look(sample, chunk.spec)
            except (MienError, OSError) as error:
                known[key] = Facts(why_broken=str(error))
        facts.append(known[key])
    return facts


def _hashed(sample: Sample, spec: PictureInput | None) -> Facts:
    size = (0, 0)
    if sample.has_picture:
        picture = load_picture(sample)  # first: it refuses pipes, devices and files without end
        size = picture.size
        if is_video(sample.path):
            return Facts("", hashlib.sha256(picture.pixels.tobytes()).digest(), size)
    else:
        read_sound(sample.path)
    with sample.path.open("rb") as file:
        content: Any = file if sample.span is None else part_of(file, sample.path, sample.span)
        return Facts("", hashlib.file_digest(content, "sha256").digest(), size)


def _measured(sample: Sample, spec: PictureInput | None) -> Facts:
    assert spec is not None
    picture = recent_picture(sample, min_side=spec.size if sample.box is None else None)
    crop = cut_face(sample, picture, spec)[0]
    mean, std = (values.ravel() / 255 for values in cv2.meanStdDev(crop))
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
    sharpness = cv2.meanStdDev(cv2.Laplacian(grey, cv2.CV_16S))[1].item()
    return Facts(
        size=picture.size, mean=tuple(mean.tolist()), square=tuple((std**2 + mean**2).tolist()),
        brightness=cv2.mean(grey)[0] / 255, sharpness=sharpness,
    )  # fmt: skip
