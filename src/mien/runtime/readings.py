"""Readings as the Analyzer returns them: they print in one line, show in notebooks, and become drawings and tables."""

import base64
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from html import escape
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from mien.core.errors import MienError
from mien.core.labels import AFFECT
from mien.core.records import Affect, Reading
from mien.media.files import atomic_path
from mien.media.image import Picture, load_image, picture_of_array, picture_of_pillow
from mien.media.tables.columns import Column
from mien.media.tables.frames import FrameKind, frame_of, installed_kind
from mien.media.video import Place, frames
from mien.runtime.face3d.reading import save_mesh
from mien.runtime.networks import FaceOutput, gives_affect
from mien.runtime.overlay import draw, scaled
from mien.runtime.tables import ReadingColumns

SHOWN_SIDE = 640  # pixels, of a picture in a notebook
SHOWN_PICTURES = 8  # of a list
Origin = bytes | np.ndarray | Image.Image


@dataclass(frozen=True, slots=True, repr=False)
class FaceReading(Reading):
    """A Reading that finds its picture again: it can be drawn, and shows itself in a notebook."""

    origin: Origin | None = field(default=None, compare=False)
    """What was read, where it was no file or video: bytes, an array or a Pillow image."""
    columns: ReadingColumns | None = field(default=None, compare=False)
    """The columns of its table."""

    def plot(self, path: str | Path | None = None) -> Image.Image:
        """The picture with this face drawn; also saved, where a path is given. Raises MienError as `Readings.plot`."""
        return Readings([self]).plot(path)

    def save_mesh(self, path: str | Path, *, posed: bool = False) -> None:
        """Writes the 3D face as .obj or .glb, in metres; posed: with the head turned as in the photo.

        Raises MienError for a reading without a 3D face, and for another suffix.
        """
        if self.face3d is None:
            raise MienError("This reading has no 3D face. Read it with Analyzer(face3d=True).")
        save_mesh(self.face3d, Path(path), posed=posed)

    def _repr_html_(self) -> str:
        return Readings([self])._repr_html_()


class Readings(list[FaceReading]):
    """The faces of one picture or frame, largest first; a list."""

    def plot(self, path: str | Path | None = None) -> Image.Image:
        """The picture with its faces drawn: boxes, labels, points. path: saves it, in the format of its suffix.

        A picture that was read from a file is read from it again. Raises MienError where that fails, and for a suffix
        that is no picture's.
        """
        shown = Image.fromarray(draw(*self._picture()))
        if path is not None:
            _save(shown, Path(path))
        return shown

    def to_dict(self) -> list[dict[str, Any]]:
        """Of each face `Reading.to_dict`."""
        return [reading.to_dict() for reading in self]

    def _picture(self) -> tuple[np.ndarray, list[Reading]]:
        """Its pixels, and the readings in those pixels."""
        if not self:
            raise MienError("No readings, so there is no picture to draw.")
        picture = picture_again(self[0])
        return picture.pixels, [scaled(reading, picture.scale) for reading in self]

    def _repr_html_(self) -> str:
        try:
            picture = _html_picture(*self._picture())
        except MienError as error:  # its file is gone
            picture = f"<p>{escape(str(error))}</p>"
        head = "<tr><th>face<th>expression<th>probability<th>box<th>pitch, yaw, roll</tr>"
        return f"<div>{picture}<table>{head}{''.join(_html_row(reading) for reading in self)}</table></div>"


class ManyReadings(list[Readings]):
    """The faces of several pictures, in their order; a list of lists."""

    def _repr_html_(self) -> str:
        """Of the first pictures."""
        more = len(self) - SHOWN_PICTURES
        shown = "".join(readings._repr_html_() for readings in self[:SHOWN_PICTURES])
        return shown + (f"<p>and {more} more pictures</p>" if more > 0 else "")


class PictureReadings(NamedTuple):
    """One picture or video frame: its name, its pixels (None where they could not be read), its faces."""

    source: str
    picture: Picture | None
    readings: Readings

    def __repr__(self) -> str:
        return f"PictureReadings({self.source!r}, {'; '.join(reading.summary for reading in self.readings)})"

    def _repr_html_(self) -> str:
        return self.readings._repr_html_()


def to_table(readings: Iterable[Any], kind: FrameKind = "auto") -> Any:
    """The table that `mien analyze` writes: a row for each face, and one with success 0 for a picture without.

    readings: what `Analyzer.read`, `read_many` or `read_video` gave, in lists of any depth. kind: "pandas" or "polars"
    gives a DataFrame, "arrow" an Arrow table (arro3, which pyarrow.table and duckdb take without a copy); "auto" is the
    first of them that is installed. Raises MienError for another kind, for a package that is not installed, and for
    what is no reading of an Analyzer.
    """
    kind = installed_kind(kind)
    rows, columns = [], dict[str, Column]()
    for reading in _flat(readings):
        assert reading.columns is not None
        columns |= {column.name: column for column in reading.columns.columns}
        rows.append(reading.columns.row(reading))
    if not rows:
        raise MienError("to_table takes one reading at least: the columns of a table are those of its readings.")
    return frame_of(list(columns.values()), {name: [row.get(name) for row in rows] for name in columns}, kind)


def picture_again(reading: FaceReading) -> Picture:
    """The picture of a reading: from memory, its file, or its video's frame. Raises MienError where it is gone."""
    if isinstance(reading.origin, np.ndarray):
        return picture_of_array(reading.origin)
    if isinstance(reading.origin, Image.Image):
        return picture_of_pillow(reading.origin)
    if reading.origin is not None:
        return load_image(reading.origin)
    if reading.timestamp_s is None:
        return load_image(reading.source)
    place = Place(reading.frame, reading.timestamp_s)
    found = next(islice(frames(reading.source, first=reading.frame, near=place), 1), None)
    if found is None:
        raise MienError(f"{reading.source} has no frame {reading.frame} any more.")
    return picture_of_array(found.pixels)


def finite_outputs(given: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """What the networks gave of a face without the classes and values that are NaN or infinite, and a note of these."""
    broken = [n for n, each in given.items() if isinstance(each, dict) and not np.isfinite(list(each.values())).all()]
    kept = {name: value for name, value in given.items() if name not in broken}
    return kept, f"{' and '.join(broken)}: the model gives no finite numbers" if broken else ""


def with_outputs(face: FaceReading, given: Mapping[str, Any], outputs: Sequence[FaceOutput]) -> FaceReading:
    """The reading with what the networks gave of it, by output name."""
    numbers = {name: dict(value) for name, value in given.items() if isinstance(value, dict)}
    arrays = {name: value for name, value in given.items() if not isinstance(value, dict)}
    main = next((output.name for output in outputs if output.output.kind == "classes"), None)
    shares: dict[str, float] = numbers.get(main, {}) if main is not None else {}
    expression = max(shares, key=shares.__getitem__) if shares else None
    return replace(
        face, expression=expression, probabilities=shares, outputs=numbers, arrays=arrays,
        affect=affect_of(numbers, outputs),
    )  # fmt: skip


def affect_of(numbers: Mapping[str, dict[str, float]], outputs: Sequence[FaceOutput]) -> Affect | None:
    """Of the first output that holds both values."""
    for each in outputs:
        if each.name in numbers and gives_affect([each.output]):
            valence, arousal = (numbers[each.name][name] for name in AFFECT)
            return Affect(valence, arousal, each.output.proxy)
    return None


def _flat(readings: Any) -> Iterator[FaceReading]:
    """The readings in lists of any depth."""
    if isinstance(readings, PictureReadings):
        readings = readings.readings
    if isinstance(readings, FaceReading) and readings.columns is not None:
        yield readings
    elif isinstance(readings, Iterable) and not isinstance(readings, str | bytes | np.ndarray):
        for each in readings:
            yield from _flat(each)
    else:
        raise MienError(
            f"to_table takes readings of an Analyzer, in lists of any depth; got {type(readings).__name__}."
        )


def _save(image: Image.Image, path: Path) -> None:
    Image.init()
    if path.suffix.lower() not in Image.EXTENSION:
        raise MienError(f"{path}: the suffix names no kind of picture. Take .png or .jpg.")
    try:
        with atomic_path(path) as temporary:
            image.save(temporary, format=Image.EXTENSION[path.suffix.lower()], quality=92)
    except (KeyError, ValueError) as error:  # a kind that is read only
        raise error if isinstance(error, MienError) else MienError(f"{path}: cannot be written. Take .png.") from error


def _html_picture(pixels: np.ndarray, readings: Sequence[Reading]) -> str:
    """As a JPEG inside the page, its longer side SHOWN_SIDE at most, drawn at that size."""
    height, width = pixels.shape[:2]
    factor = min(1.0, SHOWN_SIDE / max(height, width))
    small = Image.fromarray(pixels).resize((max(1, round(width * factor)), max(1, round(height * factor))))
    drawn = draw(np.asarray(small), [scaled(reading, factor) for reading in readings])
    content = io.BytesIO()
    Image.fromarray(drawn).save(content, "JPEG", quality=88)
    text = base64.b64encode(content.getvalue()).decode("ascii")
    return f'<img alt="the picture with its faces drawn" src="data:image/jpeg;base64,{text}">'


def _html_row(reading: Reading) -> str:
    if not reading.success:
        return f"<tr><td colspan=5>{escape(reading.summary)}</tr>"
    name, _, share = reading.label.rpartition(" ") if reading.expression else ("", "", reading.label)
    box = ", ".join(f"{edge:.0f}" for edge in reading.box or ())
    pose = reading.points.pose_rad if reading.points else None
    angles = ", ".join(f"{round(float(np.degrees(angle)))}°" for angle in pose or ())
    cells = (str(reading.face_id), name, share, box, angles)
    return f"<tr>{''.join(f'<td>{escape(cell)}' for cell in cells)}</tr>"
