"""Photos to aligned faces, their codes and their reconstructions; files, table and page."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mien.cli.progress import Advance, progress_bars
from mien.core.errors import MienError
from mien.core.framing import ffhq_crop
from mien.core.geometry import Crop, crop_of_box, crop_of_picture
from mien.core.spec import PictureInput
from mien.engine.reading.invert.codes import FaceCodes
from mien.engine.reading.invert.inverter import ESTIMATE, LOSS_AFTER, LOSS_BEFORE, PICTURE, STEPS, Inverter, Outputs
from mien.engine.reading.invert.sheet import gallery
from mien.engine.reading.output_names import OutputNames
from mien.media.crop import normalise, prepare
from mien.media.detect import create_detector
from mien.media.files import writable_folder, write_csv
from mien.media.image import load_image, save_png
from mien.metrics.image_quality import l2
from mien.metrics.reconstruction import psnr
from mien.report import parts
from mien.report.page import Section, write_page
from mien.runtime.landmarks import Landmarker

Aligner = Callable[[np.ndarray], list[Crop]]
RECONSTRUCTIONS, CODES, COUPLED = "reconstructions", "codes", "coupled"
COLUMNS = ("photo", "face", "name", "l2", "psnr", "centre_x", "centre_y", "side", "roll_deg")
REFINED_COLUMNS = ("estimate_l2", "estimate_psnr", LOSS_BEFORE, LOSS_AFTER, STEPS)


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
        found = sorted(find(pixels), key=lambda face: -face.side)[: 1 if largest else None]
        if landmarker is None:
            return [crop_of_box(face.box, spec) for face in found]
        points = landmarker.read_many([(pixels, face) for face in found]) if found else []
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
    refined: "Refinement | None" = None
    """What refinement changed, where it was asked for."""

    @property
    def errors(self) -> tuple[float, float]:
        """(l2 of pictures in -1..1, PSNR in dB), of the pixels as they are written."""
        return errors_of(self.rebuilt, self.pixels)


@dataclass(frozen=True, eq=False)
class Refinement:
    """Of one face."""

    estimate: np.ndarray
    """uint8, the picture of the encoder's codes."""
    before: float
    """Loss of these codes."""
    after: float
    """Loss of the refined ones."""
    steps: int
    """That were made."""


def errors_of(rebuilt: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """(l2 of pictures in -1..1, PSNR in dB) of uint8 pixels [side, side, 3]."""
    first, second = (pixels.transpose(2, 0, 1)[None].astype(np.float64) / 255 for pixels in (rebuilt, truth))
    return float(l2(first, second)[0]), float(psnr(first, second)[0])


class InvertRun:
    """Writes each face when it is done, then table and page. errors: photos that could not be read, in words."""

    def __init__(self, inverter: Inverter, cut: Aligner, folder: Path, *, couple: bool) -> None:
        self.inverter, self.cut, self.folder, self.couple = inverter, cut, folder, couple
        self.faces: list[Inverted] = []
        self.lines: list[str] = []
        self.errors: list[str] = []

    def read(self, files: Sequence[Path]) -> None:
        names = OutputNames(files)
        with progress_bars() as bars:
            photos = bars.add("photos", len(files))
            steps = bars.add("steps of refinement") if self.inverter.refines else lambda count: None
            for path in files:
                self._read(path, names, steps)
                photos(1)

    def _read(self, path: Path, names: OutputNames, advance: Advance) -> None:
        try:
            pixels = load_image(path).pixels
        except MienError as error:
            self.errors.append(str(error))
            self.lines.append(f"not read: {error}")
            return
        found = self._faces_of(path, pixels, names, advance)
        self.faces += found
        self.lines.append(f"{path}: " + ("; ".join(_in_words(face) for face in found) or "no face found"))

    def _faces_of(self, path: Path, pixels: np.ndarray, names: OutputNames, advance: Advance) -> list[Inverted]:
        crops, spec = self.cut(pixels), self.inverter.info.picture
        if not crops:
            return []
        aligned = np.stack([prepare(pixels, crop, spec) for crop in crops])
        found = self.inverter.outputs(normalise(aligned, spec), advance)
        rebuilt, refined = pixels_of(found[PICTURE], spec), self._refinements(found)
        faces = [
            Inverted(path, i, names.face(path, i), crop, aligned[i], rebuilt[i], refined[i] if refined else None)
            for i, crop in enumerate(crops)
        ]
        for face in faces:
            self._write(face, self.inverter.shaped(found, face.number))
        return faces

    def _refinements(self, found: Outputs) -> list[Refinement]:
        """One for each face; none without refinement."""
        if ESTIMATE not in found:
            return []
        estimates = pixels_of(found[ESTIMATE], self.inverter.info.picture)
        numbers = zip(found[LOSS_BEFORE], found[LOSS_AFTER], found[STEPS], strict=True)
        return [
            Refinement(picture, float(before), float(after), int(steps))
            for picture, (before, after, steps) in zip(estimates, numbers, strict=True)
        ]

    def _write(self, face: Inverted, codes: dict[str, np.ndarray]) -> None:
        save_png(writable_folder(self.folder / RECONSTRUCTIONS) / f"{face.name}.png", face.rebuilt)
        if self.couple:
            both = np.concatenate([face.pixels, face.rebuilt], axis=1)
            save_png(writable_folder(self.folder / COUPLED) / f"{face.name}.png", both)
        made = FaceCodes(face.name, codes, self.inverter.info.model_id, face.crop.matrix, face.pixels)
        made.write(writable_folder(self.folder / CODES) / f"{face.name}.npz")

    def finish(self) -> str:
        """Writes table and page; the lines to print."""
        rows = [_row(face) for face in self.faces]
        columns = COLUMNS + (REFINED_COLUMNS if self.inverter.refines else ())
        write_csv(self.folder / "faces.csv", columns, rows)
        sections = [Section("", parts.facts(self._facts()))] + [_section(face) for face in self.faces]
        write_page(self.folder / "report.html", "Inverted faces", sections, subtitle="each beside its reconstruction")
        count = f"{len(self.faces)} face{'s' if len(self.faces) > 1 else ''}"
        return "\n".join([*self.lines, f"{count} inverted by {self.inverter.info.model_id}, in {self.folder}"])

    def _facts(self) -> dict[str, object]:
        errors = np.array([face.errors for face in self.faces]).mean(0)
        facts: dict[str, object] = {
            "faces": len(self.faces), "bundle": self.inverter.info.model_id,
            "mean l2 (-1..1)": f"{errors[0]:.4f}", "mean PSNR": f"{errors[1]:.1f} dB",
        }  # fmt: skip
        if estimates := [errors_of(face.refined.estimate, face.pixels) for face in self.faces if face.refined]:
            before = np.array(estimates).mean(0)
            facts |= {"before refinement": f"l2 {before[0]:.4f}, PSNR {before[1]:.1f} dB"}
        if self.errors:
            facts |= {"photos not read": len(self.errors)}
        return facts


def pixels_of(pictures: np.ndarray, spec: PictureInput) -> np.ndarray:
    """Normalised [n, 3, side, side] to uint8 [n, side, side, 3]."""
    scale, offset = (np.array(values)[:, None, None] for values in (spec.std, spec.mean))
    return np.round(255 * np.clip(pictures * scale + offset, 0, 1)).astype(np.uint8).transpose(0, 2, 3, 1)


def _in_words(face: Inverted) -> str:
    text = f"l2 {face.errors[0]:.4f}, PSNR {face.errors[1]:.1f} dB"
    if face.refined is None:
        return text
    refined = face.refined
    return f"{text} (loss {refined.before:.4f} before, {refined.after:.4f} after {refined.steps} steps)"


def _row(face: Inverted) -> list[object]:
    (x, y), side = face.crop.centre, sum(face.crop.sides) / 2
    values = [*face.errors, x, y, side, np.degrees(face.crop.roll_rad)]
    if refined := face.refined:
        values += [*errors_of(refined.estimate, face.pixels), refined.before, refined.after, refined.steps]
    return [str(face.photo), face.number, face.name, *(f"{value:.6g}" for value in values)]


def _section(face: Inverted) -> Section:
    shown = [("aligned face", face.pixels)]
    if face.refined:
        estimate = face.refined.estimate
        shown.append((_caption("encoder's estimate", errors_of(estimate, face.pixels)), estimate))
    shown.append((_caption("refined" if face.refined else "reconstruction", face.errors), face.rebuilt))
    return Section(face.name, gallery(shown, of=face.name))


def _caption(what: str, errors: tuple[float, float]) -> str:
    return f"{what}\nl2 {errors[0]:.4f}, {errors[1]:.1f} dB"
