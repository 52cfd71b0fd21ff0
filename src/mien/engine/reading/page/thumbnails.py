"""Faces cut out of the files that a run read, for its page; what cannot be read any more is left out."""

from collections.abc import Iterable, Iterator
from contextlib import suppress

from PIL import Image

from mien.core.errors import MienError
from mien.core.records import Box
from mien.engine.reading.page.gather import Best
from mien.media.image import Picture, load_image
from mien.media.video import frames

SIDE = 144  # pixels
MARGIN = 1.7  # side of the cut-out over the larger side of the box
LAST_FRAME = 9000  # videos are decoded from their start: later frames are not looked for


def thumbnails(found: Iterable[Best]) -> dict[Best, Image.Image]:
    """By face; a video is decoded once, up to its last face."""
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
    by_frame: dict[int, list[Best]] = {}
    for best in wanted:
        if best.frame <= LAST_FRAME:
            by_frame.setdefault(best.frame, []).append(best)
    if not by_frame:
        return
    last = max(by_frame)
    for frame in frames(source, first=min(by_frame)):
        for best in by_frame.get(frame.index, ()):
            yield best, Picture(frame.pixels, 1.0, (frame.pixels.shape[1], frame.pixels.shape[0]))
        if frame.index >= last:
            return


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
