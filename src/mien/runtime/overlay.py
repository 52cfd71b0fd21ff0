"""Readings drawn on their pictures, legible at any size: boxes, plates with class and probability.

Lines and letters grow with the picture. A plate stands above its face where there is room, else below, inside or beside
it, wherever it hides least of the other faces and plates; it never leaves the picture.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import cv2
import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from mien.core.face3d import Face3DReading
from mien.core.records import Box, Reading
from mien.runtime.face3d.drawing import draw as draw_face
from mien.runtime.landmarks import scaled_points
from mien.runtime.point_overlay import draw_points
from mien.synthetic.faces3d import face_named

# One colour for each place in the alphabet of classes; dark enough for white letters (contrast 4.5 and more).
COLOURS = ("#1f5fa8", "#a33a17", "#1b7a3d", "#8a2f8f", "#6b5b00", "#00707a", "#b3134f", "#5a4fcf", "#4d4d4d")
_SMALLEST_LETTERS = 11
_LARGEST_RENDER = 768  # pixels of a side; larger ones are enlarged
_BEHIND = 0.35  # brightness of the picture behind its renders
_SMALL_FACE = 64  # pixels of a side, below which a frame within the box would cover the face
Pixels = UInt8[np.ndarray, "height width 3"]


def draw(pixels: Pixels, readings: Sequence[Reading]) -> UInt8[np.ndarray, "height drawn_width 3"]:
    """A copy of the picture with every face framed and labelled, its points drawn; boxes and points in its own pixels.

    A picture without a face has a note in a corner. Beside a picture with 3D faces stands the same picture with their
    renders, and is then twice as wide.
    """
    return np.asarray(drawn(pixels, readings))


def drawn(pixels: Pixels, readings: Sequence[Reading], *, own: bool = False) -> Image.Image:
    """As `draw`, without a further copy. own: the points may be drawn into `pixels` themselves."""
    solid = [reading.face3d for reading in readings if reading.face3d is not None]
    beside = rendered(pixels, solid) if solid else None
    photo = _labelled(pixels, readings, own=own)
    if beside is None:
        return photo
    both = Image.new("RGB", (2 * photo.width, photo.height))
    both.paste(photo, (0, 0))
    both.paste(Image.fromarray(beside), (photo.width, 0))
    return both


def rendered(pixels: Pixels, faces: Sequence[Face3DReading]) -> Pixels:
    """The picture, darkened, with the grey render of each face where it stands; the first in front."""
    shown = (pixels * np.float32(_BEHIND)).astype(np.uint8)
    for found in reversed(faces):
        _lay_render(shown, found)
    return shown


def _lay_render(pixels: Pixels, found: Face3DReading) -> None:
    """In place."""
    crop = found.parameters.crop
    size = int(np.clip(round(crop.sides[0]), 8, _LARGEST_RENDER))
    given = replace(found.parameters, crop=replace(crop, size=size))
    grey = draw_face(face_named(found.face), given)
    x0, y0 = (max(0, int(np.floor(edge))) for edge in crop.box[:2])
    x1, y1 = (min(limit, int(np.ceil(edge))) for edge, limit in zip(crop.box[2:], pixels.shape[1::-1], strict=True))
    if x1 <= x0 or y1 <= y0:
        return
    matrix = given.crop.matrix
    matrix[:, 2] -= (x0, y0)
    placed = cv2.warpAffine(grey, matrix, (x1 - x0, y1 - y0), flags=cv2.INTER_LINEAR)
    covers = cv2.warpAffine((grey > 0).astype(np.float32), matrix, (x1 - x0, y1 - y0), flags=cv2.INTER_LINEAR)
    region, share = pixels[y0:y1, x0:x1], covers[..., None]
    region[:] = np.round(region * (1 - share) + placed[..., None]).clip(0, 255).astype(np.uint8)


def _labelled(pixels: Pixels, readings: Sequence[Reading], *, own: bool) -> Image.Image:
    """With boxes, plates and points."""
    pointed = [reading.points for reading in readings if reading.points is not None]
    if pointed and not (own and pixels.flags.writeable):
        pixels = pixels.copy()
    for points in pointed:
        draw_points(pixels, points)
    image = Image.fromarray(pixels)
    canvas = ImageDraw.Draw(image)
    faces = [reading for reading in readings if reading.success and reading.box]
    size = letter_height(image.size, [_side(face.box) for face in faces if face.box])
    if not faces:
        note = _cut((readings[0].note if readings else "") or "no face found", 60)
        _plate(canvas, (0, 0), note, _font(size, image.width, note), "#4d4d4d")
        return image
    line = max(2, round(size / 8))
    for face in faces:
        _frame(canvas, face, image.size, line)
    labelled = [face for face in faces if plate_text(face)]
    for face, (corner, text, font) in zip(labelled, place(labelled, image.size, size), strict=True):
        _leader(canvas, corner, plate_size(text, font), face, line)
        _plate(canvas, corner, text, font, colour_of(face))
    return image


def _frame(canvas: ImageDraw.ImageDraw, face: Reading, size: tuple[int, int], line: int) -> None:
    """Around the face's box; thinner for a small face, and outside of it, so that nothing of it is covered."""
    assert face.box is not None
    side = _side(face.box)
    own = min(line, max(1, round(side / 40)))
    if side < _SMALL_FACE:
        x0, y0, x1, y1 = face.box
        box = _clipped((x0 - own, y0 - own, x1 + own, y1 + own), size, own)
        canvas.rectangle(box, outline=colour_of(face), width=own)
        return
    canvas.rectangle(_clipped(face.box, size, own), outline="white", width=own + max(1, own // 2))
    canvas.rectangle(_clipped(face.box, size, own), outline=colour_of(face), width=own)


def plate_text(face: Reading) -> str:
    """What stands on a face's plate: a line for its expression, in a video after the number of its track, one for
    valence and arousal where both are read, and one for what is wrong with the picture."""
    label = "no expression" if face.abstained else face.label
    label = label if face.track_id is None else f"#{face.track_id} {label}".rstrip()
    affect = face.affect.summary if face.affect and face.expression else ""
    flags = face.abstained_text or (face.quality.summary if face.quality else "")
    return "\n".join(filter(None, [label, affect, flags]))


def colour_of(face: Reading) -> str:
    names = list(face.probabilities)
    return COLOURS[names.index(face.expression) % len(COLOURS)] if face.expression in names else COLOURS[-1]


def letter_height(size: tuple[int, int], sides: Sequence[float]) -> int:
    """Font size in pixels: a thirtieth of the picture's shorter side, less where the faces are many and small."""
    shorter = min(size)
    wanted = shorter / 30
    if sides:
        wanted = min(wanted, max(float(np.median(sides)) / 5, shorter / 55))
    return max(_SMALLEST_LETTERS, round(wanted))


Placed = tuple[tuple[float, float], str, ImageFont.FreeTypeFont]


def place(faces: Sequence[Reading], size: tuple[int, int], letters: int) -> list[Placed]:
    """For each face the upper left corner of its plate, its text and font; largest faces choose first."""
    boxes = [face.box for face in faces if face.box]
    occupied: list[Box] = []
    placed: list[Placed] = []
    for face in faces:
        assert face.box is not None
        text = plate_text(face)
        font = _font(letters, size[0], text)
        width, height = plate_size(text, font)
        places = [_inside(spot, width, height, size) for spot in _spots(face.box, width, height)]
        others = [box for box in boxes if box is not face.box]
        costs = [_cost(spot, order, face.box, others, occupied) for order, spot in enumerate(places)]
        best = places[int(np.argmin(costs))]
        occupied.append(best)
        placed.append(((best[0], best[1]), text, font))
    return placed


def plate_size(text: str, font: ImageFont.FreeTypeFont) -> tuple[float, float]:
    pad, lines = font.size * 0.3, text.split("\n")
    return max(map(font.getlength, lines)) + 2 * pad, len(lines) * sum(font.getmetrics()) + pad


def _spots(box: Box, width: float, height: float) -> list[Box]:
    """Where a plate may stand, the best first: above, below, inside at the edges, beside."""
    x0, y0, x1, y1 = box
    lefts = (x0, x1 - width, (x0 + x1 - width) / 2)
    tops = (y0 - height, y1, y0, y1 - height)
    corners = [(left, top) for top, left in product(tops, lefts)]
    corners += [(left, top) for left, top in product((x1, x0 - width), (y0, y1 - height))]
    # One plate further out, for crowds.
    corners += [(left, top) for top, left in product((y0 - 2 * height, y1 + height), lefts)]
    return [(left, top, left + width, top + height) for left, top in corners]


def _inside(spot: Box, width: float, height: float, size: tuple[int, int]) -> Box:
    left = min(max(spot[0], 0), max(size[0] - width, 0))
    top = min(max(spot[1], 0), max(size[1] - height, 0))
    return left, top, left + width, top + height


def _cost(spot: Box, order: int, own: Box, others: Sequence[Box], plates: Sequence[Box]) -> float:
    """Shares of the plate that hide a plate (dear), another face, and its own face; then the order of preference."""
    area = (spot[2] - spot[0]) * (spot[3] - spot[1])
    hides = 20 * sum(_shared(spot, box) for box in plates) + 6 * sum(_shared(spot, box) for box in others)
    return (hides + 2 * _shared(spot, own)) / area + 0.02 * order


def _shared(a: Box, b: Box) -> float:
    return max(min(a[2], b[2]) - max(a[0], b[0]), 0) * max(min(a[3], b[3]) - max(a[1], b[1]), 0)


def _font(size: float, room: float, text: str) -> ImageFont.FreeTypeFont:
    """Pillow's own scalable font, smaller where the text would be wider than the picture."""
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont)
    width = plate_size(text, font)[0]
    if width > room and size > 6:
        font = ImageFont.load_default(max(6, size * room / width * 0.98))
        assert isinstance(font, ImageFont.FreeTypeFont)
    return font


def _leader(
    canvas: ImageDraw.ImageDraw, corner: tuple[float, float], plate: tuple[float, float], face: Reading, line: int
) -> None:
    """A line from a plate to its face where the two do not touch."""
    assert face.box is not None
    x0, y0, x1, y1 = face.box
    left, top, right, bottom = corner[0], corner[1], corner[0] + plate[0], corner[1] + plate[1]
    if left <= x1 + line and right >= x0 - line and top <= y1 + line and bottom >= y0 - line:
        return
    centre = ((left + right) / 2, (top + bottom) / 2)
    nearest = (min(max(centre[0], x0), x1), min(max(centre[1], y0), y1))
    canvas.line((*centre, *nearest), fill=colour_of(face), width=line)


def _plate(
    canvas: ImageDraw.ImageDraw, corner: tuple[float, float], text: str, font: ImageFont.FreeTypeFont, colour: str
) -> None:
    width, height = plate_size(text, font)
    x, y = corner
    canvas.rectangle((round(x), round(y), round(x + width) - 1, round(y + height) - 1), fill=colour)
    for number, line in enumerate(text.split("\n")):
        top = y + font.size * 0.15 + number * sum(font.getmetrics())
        canvas.text((x + font.size * 0.3, top), line, fill="white", font=font)


def _clipped(box: Box | None, size: tuple[int, int], line: int) -> tuple[int, int, int, int]:
    """The frame's pixels, moved into the picture so that all of it is visible."""
    assert box is not None
    x0, y0 = (min(max(round(edge), 0), limit - 2) for edge, limit in zip(box[:2], size, strict=True))
    x1 = max(min(round(box[2]) - 1, size[0] - 1), x0 + 1)
    y1 = max(min(round(box[3]) - 1, size[1] - 1), y0 + 1)
    return x0, y0, x1, y1


def _side(box: Box) -> float:
    return (box[2] - box[0] + box[3] - box[1]) / 2


def _cut(text: str, letters: int) -> str:
    """At most so many letters, the middle left out."""
    if len(text) <= letters:
        return text
    half = (letters - 1) // 2
    return f"{text[:half]}…{text[-half:]}"


def thumbnail(
    pixels: Pixels, readings: Sequence[Reading], *, side: int
) -> UInt8[np.ndarray, "small_height small_width 3"]:
    """The picture fitted into side x side, small ones enlarged, with its labels drawn at that size; without renders."""
    height, width = pixels.shape[:2]
    factor = min(side / width, side / height)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    small = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0))
    return draw(small, [replace(scaled(reading, factor), face3d=None) for reading in readings])


def scaled(reading: Reading, factor: float) -> Reading:
    """The reading for its picture resized by `factor`."""
    if reading.box is None:
        return reading
    x0, y0, x1, y1 = reading.box
    points = None if reading.points is None else scaled_points(reading.points, factor)
    solid = None if reading.face3d is None else reading.face3d.scaled(factor)
    box = (x0 * factor, y0 * factor, x1 * factor, y1 * factor)
    return replace(reading, box=box, points=points, face3d=solid)
