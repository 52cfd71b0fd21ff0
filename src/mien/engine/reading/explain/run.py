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
from mien.core.geometry import crop_of_box
from mien.engine.reading.output_names import OutputNames
from mien.media.crop import crop_pixels
from mien.media.files import atomic_path, printable, write_text
from mien.media.tables import Column, write_table
from mien.report.panels import heat_over, panels
from mien.runtime.analyzer import Analyzer
from mien.runtime.networks import FaceNetwork
from mien.runtime.occlusion import REGIONS, Fill, Occlusion, occlusion, region_drops
from mien.runtime.readings import FaceReading, picture_again

NAMES = r"explanations\.(csv|json)|.*_explained\.png"
LEAST_FULL = 0.05  # drop that the brightest colour stands for at least: a map of noise stays dark
METHOD = (
    "Parts of the face crop are hidden one after another and the class's probability is computed again (Zeiler and "
    "Fergus 2014). A drop says that the network's number rests on that part as it is shown here; it says nothing about "
    "the person, depends on what fills the part, and parts that matter only together show small drops alone."
)
COLUMNS = (
    Column("source", "text", meaning="the file, as it was named"),
    Column("face_id", "integer", meaning="number of the face within its picture, the largest first"),
    Column("expression", "text", meaning="the class that is explained"),
    Column("probability", "number", "probability", "0..1", "of that class, of the whole face", ".6f"),
    Column("probability_least", "number", "probability", "0..1", "with the part hidden that matters most", ".6f"),
    Column("x", "number", "pixels", "", "middle of that part in the picture", ".1f"),
    Column("y", "number", "pixels", "", "middle of that part in the picture", ".1f"),
    *(
        Column(
            f"drop_{name}", "number", "probability", "-1..1", f"drop of the probability with the {name} hidden", ".6f"
        )
        for name in REGIONS
    ),
    Column("model", "text", meaning="system@first digits of the SHA-256 of its weights"),
    Column("note", "text", meaning="why nothing was explained"),
)


@dataclass(eq=False)
class ExplainRun:
    """Reads photos with an analyzer and explains the first output of classes. Raises MienError where it has none."""

    analyzer: Analyzer
    """Of one network."""
    expression: str
    """"" for the most probable one."""
    part: float
    """Side of a hidden part over that of the crop."""
    fill: Fill
    """What stands in it."""
    rows: list[dict[str, Any]] = field(default_factory=list)
    """Of explanations.csv."""

    def __post_init__(self) -> None:
        network = self.network
        outputs = [(name, output) for name, output in network.outputs.items() if output.kind == "classes"]
        if not outputs or network.voice is not None:
            raise MienError(
                f"{network.info.model_id} reads no classes of a picture alone; mien explain explains these."
            )
        self.output, classes = outputs[0][0], outputs[0][1].names
        if self.expression and self.expression not in classes:
            raise MienError(
                f"--expression {self.expression!r} is no class of the model.{nearest(self.expression, classes)}"
            )

    @property
    def network(self) -> FaceNetwork:
        """That is explained."""
        return self.analyzer.networks[0]

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
        columns = {column.name: [row.get(column.name) for row in self.rows] for column in COLUMNS}
        table = write_table(folder / "explanations.csv", columns, described=COLUMNS)
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
        spec = self.network.spec
        crop = crop_of_box(reading.box, spec)
        pixels = crop_pixels(picture_again(reading), crop, spec)
        shares = self.network.read([pixels])[0][self.output]
        name = self.expression or max(shares, key=shares.__getitem__)

        def read(crops: Sequence[np.ndarray]) -> list[float]:
            return [float(each[self.output][name]) for each in self.network.read(crops)]

        found = occlusion(pixels, read, part=self.part, fill=self.fill)
        regions = {}
        if reading.points is not None and len(reading.points.landmarks_px) == 68:
            regions = dict(region_drops(pixels, read, crop.to_crop(reading.points.landmarks_px), fill=self.fill))
        x, y = crop.to_picture(np.array([found.place]))[0].tolist()
        self.rows.append(
            {
                "source": printable(reading.source), "face_id": reading.face_id, "expression": name,
                "probability": found.base, "probability_least": found.least, "x": x, "y": y,
                **{f"drop_{region}": drop for region, drop in regions.items()}, "model": self.network.info.model_id,
            }
        )  # fmt: skip
        with atomic_path(target) as temporary:
            _sheet(pixels, found, name, regions).save(temporary, format="PNG")
        return f"{reading.source}  face {reading.face_id}: {_sentence(found, name, regions)}"

    def _described(self) -> dict[str, Any]:
        return {
            "columns": {column.name: column.described() for column in COLUMNS},
            "method": METHOD,
            "part": self.part,
            "fill": self.fill,
            "model": self.network.info.model_id,
            "output": self.output,
            "mien": __version__,
        }


def _sheet(pixels: np.ndarray, found: Occlusion, name: str, regions: dict[str, float]) -> Image.Image:
    """The face as the network gets it, and where hiding lowers and where it raises the probability."""
    full = max(LEAST_FULL, float(np.abs(found.drop).max()))
    largest = max(regions, key=regions.__getitem__, default="")
    captions: list[tuple[str, ...]] = [
        (f"{name} {100 * found.base:.0f} %", "as the network gets it"),
        (
            "hiding lowers it",
            f"brightest: by {full:.2f} on average",
            f"one part hidden: {100 * found.least:.0f} % at least",
        ),
        ("hiding raises it", f"brightest: by {full:.2f} on average", ""),
    ]
    if largest:
        captions[0] = (captions[0][0], f"without the {largest}: {100 * (found.base - regions[largest]):.0f} %")
    maps = [heat_over(pixels, sign * found.drop / full) for sign in (1, -1)]
    return panels([pixels, *maps], captions)


def _sentence(found: Occlusion, name: str, regions: dict[str, float]) -> str:
    """`happiness 93 %; hiding the mouth takes 0.81 of it, the eyes 0.05, ...`."""
    ordered = sorted(regions.items(), key=lambda each: -each[1])
    hidden = ", ".join(f"{region} {drop:+.2f}".replace("-", "\N{MINUS SIGN}") for region, drop in ordered)
    text = f"{name} {100 * found.base:.0f} %; with one part hidden {100 * found.least:.0f} % at least"
    return f"{text}; drop with a region hidden: {hidden}" if hidden else text
