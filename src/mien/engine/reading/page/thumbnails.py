"""Faces cut out of the files that a run read, for its page; what cannot be read any more is left out."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import groupby

from PIL import Image

from mien.core.errors import MienError
from mien.core.records import Box
from mien.engine.reading.page.gather import Best
from mien.media.image import Picture, load_image
from mien.media.video import Place, frames

SIDE = 144  # pixels
MARGIN = 1.7  # side of the cut-out over the larger side of the box


def thumbnails(found: Iterable[Best]) -> dict[Best, Image.Image]:
    """By face; of a video each frame is sought."""
    shown: dict[Best, Image.Image] = {}
    by_source: dict[str, list[Best]] = {}
    for best in found:
        by_source.setdefault(best.source, []).append(best)
    for source, own in by_source.items():
        with suppress(MienError, OSError, ImportError):
            if own[0].time_s is None:
                picture = load_image(source)
                shown |= {best: cut_out(picture, best.box) for best in own}
            else:
                for best, picture in _frames(source, own):
                    shown[best] = cut_out(picture, best.box)
    return shown


def _frames(source: str, wanted: Iterable[Best]) -> Iterator[tuple[Best, Picture]]:
    """Each sought from the keyframe before it."""
    for (index, time_s), own in groupby(sorted(wanted, key=_place), key=_place):
        found = next(frames(source, first=index, near=Place(index, time_s)), None)
        if found is not None and found.index == index:
            picture = Picture(found.pixels, 1.0, (found.pixels.shape[1], found.pixels.shape[0]))
            yield from ((best, picture) for best in own)


def _place(best: Best) -> tuple[int, float]:
    return best.frame, best.time_s or 0.0


def cut_out(picture: Picture, box: Box | None) -> Image.Image:
    """The face with a margin, square, moved into the picture; the whole picture where there is no box."""
    image = Image.fromarray(picture.pixels)
    if box is None:
        return image.resize((SIDE, round(SIDE * image.height / image.width)))
    x0, y0, x1, y1 = (edge * picture.scale for edge in box)
    side = min(MARGIN * max(x1 - x0, y1 - y0, 1.0), image.width, image.height)
    left, top = (
        min(max(middle - side / 2, 0), limit - side)
        for middle, limit in (((x0 + x1) / 2, image.width), ((y0 + y1) / 2, image.height))
    )
    return image.resize((SIDE, SIDE), Image.Resampling.LANCZOS, box=(left, top, left + side, top + side))
