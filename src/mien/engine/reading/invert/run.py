"""Photos to aligned faces, their codes and their reconstructions; files, table and page."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from mien.core.errors import MienError
from mien.core.framing import ffhq_crop
from mien.core.geometry import Crop, crop_of_box, crop_of_picture
from mien.core.spec import PictureInput
from mien.engine.reading.invert.inverter import PICTURE, Inverter
from mien.engine.reading.output_names import OutputNames
from mien.media.crop import normalise, prepare
from mien.media.detect import create_detector
from mien.media.files import atomic_path, writable_folder, write_csv
from mien.media.image import load_image
from mien.metrics.image_quality import l2
from mien.metrics.reconstruction import psnr
from mien.report import parts
from mien.report.page import Section, write_page
from mien.runtime.landmarks import Landmarker

Aligner = Callable[[np.ndarray], list[Crop]]
RECONSTRUCTIONS, CODES, COUPLED = "reconstructions", "codes", "coupled"
COLUMNS = ("photo", "face", "name", "l2", "psnr", "centre_x", "centre_y", "side", "roll_deg")
LEAST_SHOWN = 128  # pixels of a face on the page


def aligner(
    align: str, spec: PictureInput, *, detector: str, weights: str | None, min_face: float | None, largest: bool
) -> Aligner:
    """From a photo to the crops of its faces, the largest face first."""
    if align == "auto":
        align = "box" if spec.point_box == "detector" else "ffhq"
    if align == "none":
        return lambda pixels: [crop_of_picture(pixels.shape[1], pixels.shape[0], spec)]
    find = create_detector(detector, weights=weights, min_face=min_face)
    landmarker = Landmarker() if align == "ffhq" else None

    def crops(pixels: np.ndarray) -> list[Crop]:
        boxes = [face.box for face in sorted(find(pixels), key=lambda face: -face.side)][: 1 if largest else None]
        if landmarker is None:
            return [crop_of_box(box, spec) for box in boxes]
        points = landmarker.read_many([(pixels, box) for box in boxes]) if boxes else []
        return [ffhq_crop(face.landmarks_px, size=spec.size) for face in points]

    return crops


@dataclass(frozen=True, eq=False)
class Inverted:
    """One face."""

    photo: Path
    """Where it was found."""
    number: int
    """Of the face in the photo, the largest 0."""
    name: str
    """Of its files."""
    crop: Crop
    """Where it lies in the photo."""
    pixels: np.ndarray
    """uint8 [side, side, 3], aligned."""
    rebuilt: np.ndarray
    """uint8, the same shape."""

    @property
    def errors(self) -> tuple[float, float]:
        """(l2 of pictures in -1..1, PSNR in dB), of the pixels as they are written."""
        rebuilt, truth = (
            pixels.transpose(2, 0, 1)[None].astype(np.float64) / 255 for pixels in (self.rebuilt, self.pixels)
        )
        return float(l2(rebuilt, truth)[0]), float(psnr(rebuilt, truth)[0])


class InvertRun:
    """Writes each face when it is done, then table and page. errors: photos that could not be read, in words."""

    def __init__(self, inverter: Inverter, cut: Aligner, folder: Path, *, couple: bool) -> None:
        self.inverter, self.cut, self.folder, self.couple = inverter, cut, folder, couple
        self.faces: list[Inverted] = []
        self.lines: list[str] = []
        self.errors: list[str] = []

    def read(self, files: Sequence[Path]) -> None:
        names = OutputNames(files)
        for path in files:
            try:
                pixels = load_image(path).pixels
            except MienError as error:
                self.errors.append(str(error))
                self.lines.append(f"not read: {error}")
                continue
            found = self._faces_of(path, pixels, names)
            self.faces += found
            values = "; ".join(f"l2 {face.errors[0]:.4f}, PSNR {face.errors[1]:.1f} dB" for face in found)
            self.lines.append(f"{path}: {values}" if found else f"{path}: no face found")

    def _faces_of(self, path: Path, pixels: np.ndarray, names: OutputNames) -> list[Inverted]:
        crops, spec = self.cut(pixels), self.inverter.info.picture
        if not crops:
            return []
        aligned = np.stack([prepare(pixels, crop, spec) for crop in crops])
        found = self.inverter.outputs(normalise(aligned, spec))
        scale, offset = (np.array(values)[:, None, None] for values in (spec.std, spec.mean))
        rebuilt = np.round(255 * np.clip(found[PICTURE] * scale + offset, 0, 1)).astype(np.uint8)
        faces = [
            Inverted(path, i, names.face(path, i), crop, aligned[i], rebuilt[i].transpose(1, 2, 0))
            for i, crop in enumerate(crops)
        ]
        for face in faces:
            self._write(face, self.inverter.shaped(found, face.number))
        return faces

    def _write(self, face: Inverted, codes: dict[str, np.ndarray]) -> None:
        _save(writable_folder(self.folder / RECONSTRUCTIONS) / f"{face.name}.png", face.rebuilt)
        if self.couple:
            _save(writable_folder(self.folder / COUPLED) / f"{face.name}.png", _beside(face))
        about = {"bundle": self.inverter.info.model_id, "matrix": face.crop.matrix}
        path = writable_folder(self.folder / CODES) / f"{face.name}.npz"
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, **codes, **about)  # type: ignore[arg-type]

    def finish(self) -> str:
        """Writes table and page; the lines to print."""
        rows = [_row(face) for face in self.faces]
        write_csv(self.folder / "faces.csv", COLUMNS, rows)
        errors = np.array([face.errors for face in self.faces]).mean(0)
        facts = {
            "faces": len(self.faces), "bundle": self.inverter.info.model_id, "mean l2 (-1..1)": f"{errors[0]:.4f}",
            "mean PSNR": f"{errors[1]:.1f} dB",
        }  # fmt: skip
        sections = [Section("", parts.facts(facts))] + [_section(face) for face in self.faces]
        write_page(self.folder / "report.html", "Inverted faces", sections, subtitle="each beside its reconstruction")
        ending = f"{len(self.faces)} faces inverted by {self.inverter.info.model_id}, in {self.folder}"
        return "\n".join([*self.lines, ending])


def _row(face: Inverted) -> list[object]:
    (x, y), side = face.crop.centre, sum(face.crop.sides) / 2
    values = [*face.errors, x, y, side, np.degrees(face.crop.roll_rad)]
    return [str(face.photo), face.number, face.name, *(f"{value:.6g}" for value in values)]


def _section(face: Inverted) -> Section:
    pair = Image.fromarray(_beside(face))
    factor = max(1, -(-LEAST_SHOWN // face.pixels.shape[0]))
    shown = pair.resize((pair.width * factor, pair.height * factor), Image.Resampling.BICUBIC)
    return Section(face.name, parts.photo(shown, alt=f"{face.name} beside its reconstruction", quality=92))


def _beside(face: Inverted) -> np.ndarray:
    return np.concatenate([face.pixels, face.rebuilt], axis=1)


def _save(path: Path, pixels: np.ndarray) -> None:
    with atomic_path(path) as temporary:
        Image.fromarray(pixels).save(temporary, format="PNG")
