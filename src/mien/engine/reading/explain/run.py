"""One run of `mien explain`: each face of each photo, its picture and its row."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mien import __version__
from mien.cli.progress import tracked
from mien.core.errors import MienError, nearest
from mien.core.errors import printable as escaped
from mien.core.geometry import Crop, crop_of_box
from mien.engine.reading.explain.method import Explanation, Face, Method, explained_output, per_cent
from mien.engine.reading.output_names import OutputNames
from mien.media.crop import crop_pixels
from mien.media.files import printable, write_text
from mien.media.image import save_png
from mien.media.tables import Column, write_table
from mien.report.panels import heat_over, panels
from mien.runtime.analyzer import Analyzer
from mien.runtime.networks import FaceNetwork
from mien.runtime.readings import FaceReading, picture_again

NAMES = r"explanations\.(csv|json)|.*_explained\.png"
FIRST = (
    Column("source", "text", meaning="the file, as it was named"),
    Column("face_id", "integer", meaning="number of the face within its picture, the largest first"),
    Column("expression", "text", meaning="the class that is explained"),
    Column("probability", "number", "probability", "0..1", "of that class, of the whole face", ".6f"),
)
LAST = (
    Column("model", "text", meaning="system@first digits of the SHA-256 of its weights"),
    Column("note", "text", meaning="why nothing was explained"),
)


@dataclass(eq=False)
class ExplainRun:
    """Reads photos with an analyzer and explains the first output of classes. Raises MienError where it has none, and
    for a class that it lacks."""

    analyzer: Analyzer
    """Of one network."""
    expression: str
    """"" for the most probable one."""
    method: Method
    """How."""
    rows: list[dict[str, Any]] = field(default_factory=list)
    """Of explanations.csv."""

    def __post_init__(self) -> None:
        self.output = explained_output(self.network)
        classes = self.network.outputs[self.output].names
        if self.expression and self.expression not in classes:
            raise MienError(
                f"--expression {self.expression!r} is no class of the model.{nearest(self.expression, classes)}"
            )

    @property
    def network(self) -> FaceNetwork:
        """That is explained."""
        return self.analyzer.networks[0]

    @property
    def columns(self) -> tuple[Column, ...]:
        """Of explanations.csv."""
        return (*FIRST, *self.method.columns, *LAST)

    def read(self, files: Sequence[Path], folder: Path) -> str:
        """Writes everything; a line for each face. Raises MienError where no file could be read."""
        names, lines = OutputNames(files), list[str]()
        unreadable = 0
        for path in tracked(files, "photos", len(files)):
            try:
                lines += self._photo(path, folder, names)
            except MienError as error:
                unreadable += 1
                lines.append(f"not read: {error}")
                self.rows.append({"source": printable(str(path)), "note": str(error)})
        if unreadable == len(files):
            raise MienError(f"Nothing could be read: {lines[0].removeprefix('not read: ')}")
        columns = {column.name: [row.get(column.name) for row in self.rows] for column in self.columns}
        table = write_table(folder / "explanations.csv", columns, described=self.columns)
        write_text(folder / "explanations.json", json.dumps(self._described(), indent=2, ensure_ascii=False) + "\n")
        return "\n".join([*map(escaped, lines), f"{table} (columns in .json)"])

    def _photo(self, path: Path, folder: Path, names: OutputNames) -> Iterator[str]:
        for reading in self.analyzer.read(path):
            if not reading.success or reading.box is None:
                self.rows.append({"source": printable(str(path)), "note": reading.note})
                yield f"{path}  {reading.note}"
                continue
            yield self._face(reading, folder / f"{names.face(path, reading.face_id)}_explained.png")

    def _face(self, reading: FaceReading, target: Path) -> str:
        assert reading.box is not None
        crop = crop_of_box(reading.box, self.network.spec)
        face = self._shown(reading, crop)
        found = self.method.explain(face)
        x, y = crop.to_picture(np.array([found.place]))[0].tolist()
        self.rows.append(
            {
                "source": printable(reading.source), "face_id": reading.face_id, "expression": face.expression,
                "probability": found.base, "x": x, "y": y, **found.values, "model": self.network.info.model_id,
            }
        )  # fmt: skip
        save_png(target, _sheet(face, found))
        return f"{reading.source}  face {reading.face_id}: {found.sentence}"

    def _shown(self, reading: FaceReading, crop: Crop) -> Face:
        pixels = crop_pixels(picture_again(reading), crop, self.network.spec)
        shares = self.network.read([pixels])[0][self.output]
        name = self.expression or max(shares, key=shares.__getitem__)

        def read(crops: Sequence[np.ndarray]) -> list[float]:
            return [float(each[self.output][name]) for each in self.network.read(crops)]

        points = reading.points
        known = points is not None and len(points.landmarks_px) == 68
        return Face(pixels, name, read, crop.to_crop(points.landmarks_px) if points is not None and known else None)

    def _described(self) -> dict[str, Any]:
        return {
            "columns": {column.name: column.described() for column in self.columns},
            **self.method.described,
            "model": self.network.info.model_id,
            "output": self.output,
            "mien": __version__,
        }


def _sheet(face: Face, found: Explanation) -> Image.Image:
    """The face as the network gets it, and the maps over it."""
    captions: list[tuple[str, ...]] = [(f"{face.expression} {per_cent(found.base)}", found.caption)]
    captions += [texts for _, texts in found.panels]
    return panels([face.pixels, *(heat_over(face.pixels, share) for share, _ in found.panels)], captions)
