"""Codes to changed codes and their pictures; files, sheets and page."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mien.cli.progress import tracked
from mien.core.bundle import BundleInfo
from mien.core.errors import MienError
from mien.engine.reading.invert.codes import CODES, FEATURES, STRUCTURE, FaceCodes, layers_of, read_codes
from mien.engine.reading.invert.directions import Directions, read_directions, same_bundle
from mien.engine.reading.invert.inverter import load_asit
from mien.engine.reading.invert.run import pixels_of
from mien.engine.reading.invert.sheet import enlarged, gallery
from mien.media.files import writable_folder
from mien.media.image import save_png
from mien.report import parts
from mien.report.contact_sheet import Row, Tile, row_sheet
from mien.report.page import Section, write_page

EDITED, SHEETS = "edited", "sheets"
BATCH = 8  # pictures through the generator at once


@dataclass(frozen=True, eq=False)
class Mixture:
    """Style mixing with another face."""

    other: FaceCodes
    """Whose codes replace the own ones."""
    layers: list[int]
    """Which of them."""
    parts: tuple[str, ...]
    """Of structure and features, those that are replaced too."""
    share: float
    """Of the other face, 0..1."""

    def of(self, face: FaceCodes) -> FaceCodes:
        """The face with these parts of the other."""
        mixed = dict(face.parts)
        mixed[CODES] = face.codes.copy()
        mixed[CODES][self.layers] += self.share * (self.other.codes - face.codes)[self.layers]
        for name in self.parts:
            mixed[name] = face.parts[name] + self.share * (self.other.parts[name] - face.parts[name])
        return replace(face, name=f"{face.name}_mix", parts=mixed)


@dataclass(frozen=True, eq=False)
class Edit:
    """Along one direction."""

    name: str
    """Of the direction."""
    vector: np.ndarray
    """[styles, width]"""
    strengths: tuple[float, ...]
    """In the order shown."""
    method: str = ""
    """How the direction was found."""

    def of(self, face: FaceCodes, strength: float) -> FaceCodes:
        """The face's codes plus strength times the vector."""
        changed = face.parts | {CODES: face.codes + np.float32(strength) * self.vector}
        return replace(face, name=f"{face.name}_{file_word(self.name)}_{strength:+g}", parts=changed)


def mixture_of(path: str | None, layers: str, share: float, info: BundleInfo) -> Mixture | None:
    """None without a file. Raises MienError for layers without a file, and for parts that the file has not."""
    if path is None:
        if layers or share != 1:
            raise MienError("--layers and --share are for --mix CODES, which is missing.")
        return None
    if not layers:
        raise MienError("--mix needs --layers: which codes are replaced, such as 4-7, coarse or fine.")
    if not 0 <= share <= 1:
        raise MienError(f"--share lies in 0..1; got {share:g}.")
    file = Path(path).expanduser()
    other = same_bundle(read_codes(file), info.model_id, file)
    parts = [part.strip() for part in layers.split(",")]
    named = tuple(name for name in (STRUCTURE, FEATURES) if name in parts)
    if lacking := [name for name in named if name not in other.parts]:
        raise MienError(f"{path} has no {lacking[0]}: leave it out of --layers.")
    numbers = ",".join(part for part in parts if part not in named)
    return Mixture(other, layers_of(numbers, len(other.codes)) if numbers else [], named, share)


def edits_of(path: Path | None, chosen: Sequence[str], strengths: str, info: BundleInfo) -> list[Edit]:
    """None without a file. Raises MienError for directions without a file, or of another bundle."""
    if path is None:
        if chosen:
            raise MienError("--direction is for --directions FILE, which is missing.")
        return []
    found: Directions = read_directions(path)
    if found.bundle != info.model_id:
        raise MienError(f"{path} lies in the code space of {found.bundle}, not of {info.model_id}. Find them anew.")
    own = {name: text for name, _, text in (item.partition(":") for item in chosen)}
    return [
        Edit(found.names[i], found.vectors[i], _numbers(own.get(found.names[i]) or strengths), found.method)
        for i in found.chosen(list(own))
    ]


def _numbers(text: str) -> tuple[float, ...]:
    try:
        found = tuple(float(item) for item in text.split(","))
    except ValueError:
        raise MienError(f"Strengths are numbers by commas, such as -2,0,2; got {text}.") from None
    if not all(abs(value) <= 1000 for value in found):
        raise MienError(f"Strengths lie in -1000..1000; got {text}.")
    return found


def _signed(strength: float) -> str:
    return f"{strength:+g}" if strength else "0 (before)"


def file_word(name: str) -> str:
    """A name that any file system takes."""
    return re.sub(r"[^\w.+-]", "_", name)[:60]


class EditRun:
    """Writes each face when it is done, then the page."""

    def __init__(
        self, bundle: Path, info: BundleInfo, folder: Path, *, mixture: Mixture | None, edits: Sequence[Edit],
        residual: bool,
    ) -> None:  # fmt: skip
        self.info, self.folder, self.mixture, self.edits, self.residual = info, folder, mixture, edits, residual
        self.asit = load_asit(bundle)
        self.sections: list[Section] = []

    def through(self, files: Sequence[Path]) -> str:
        """The lines to print."""
        for path in tracked(files, "editing faces", len(files)):
            self._edit(same_bundle(read_codes(path), self.info.model_id, path))
        facts = {"faces": len(files), "bundle": self.info.model_id} | self._facts()
        sections = [Section("", parts.facts(facts)), *self.sections]
        write_page(self.folder / "report.html", "Edited faces", sections, subtitle="before and after, by their codes")
        count = f"{len(files)} face{'s' if len(files) > 1 else ''}"
        return f"{count} edited by {self.info.model_id}, in {self.folder}: report.html, {EDITED}, {CODES}, {SHEETS}"

    def _facts(self) -> dict[str, object]:
        facts: dict[str, object] = {}
        if mixture := self.mixture:
            layers = [f"layers {', '.join(map(str, mixture.layers))}"] if mixture.layers else []
            facts["mixed"] = (
                f"{' and '.join([*layers, *mixture.parts])} of {mixture.other.name}, share {mixture.share:g}"
            )
        if self.edits:
            facts["directions"] = ", ".join(edit.name for edit in self.edits)
            facts["found by"] = self.edits[0].method
            facts["strength"] = "1 is one standard deviation of the codes along the direction"
        return facts

    def _edit(self, face: FaceCodes) -> None:
        self._check(face)
        rows: list[tuple[str, list[tuple[str, np.ndarray]]]] = [(face.name, self._first_row(face))]
        base = face if self.mixture is None else self.mixture.of(face)
        if self.mixture is not None:
            self._write(base, rows[0][1][-1][1])
        for edit in self.edits:
            changed = [edit.of(base, strength) for strength in edit.strengths]
            pictures = self.pictures(changed)
            for strength, each, pixels in zip(edit.strengths, changed, pictures, strict=True):
                if strength:  # else the face as it was
                    self._write(each, pixels)
            captions = [_signed(strength) for strength in edit.strengths]
            rows.append((edit.name, list(zip(captions, pictures, strict=True))))
        self._show(face.name, rows)

    def _first_row(self, face: FaceCodes) -> list[tuple[str, np.ndarray]]:
        """The aligned face, its reconstruction, and with mixing the other's and what came of both."""
        row = [] if face.face is None else [("aligned face", face.face)]
        shown = [("reconstruction", face)]
        if mixture := self.mixture:
            shown += [(f"other: {mixture.other.name}", mixture.other), ("mixed", mixture.of(face))]
        pictures = self.pictures([codes for _, codes in shown])
        return row + [(caption, pixels) for (caption, _), pixels in zip(shown, pictures, strict=True)]

    def pictures(self, faces: Sequence[FaceCodes]) -> list[np.ndarray]:
        """uint8 [side, side, 3] of each, with the generator's stored noise."""
        import torch

        found: list[np.ndarray] = []
        for start in range(0, len(faces), BATCH):
            some = faces[start : start + BATCH]
            codes, structure, features = (
                torch.from_numpy(np.stack([face.parts[name] for face in some])) if name in some[0].parts else None
                for name in (CODES, STRUCTURE, FEATURES)
            )
            assert codes is not None
            with torch.inference_mode():
                decoded = self.asit.inversion.decode(
                    codes, structure, feature_code=features if self.residual else None
                ).image
            found += list(pixels_of(decoded.numpy(), self.info.picture))
        return found

    def _check(self, face: FaceCodes) -> None:
        """Raises MienError for codes of another shape than the generator's, and for parts that mixing needs."""
        generator = self.asit.inversion.generator
        wanted = (generator.style_count, generator.style)
        if face.codes.shape != wanted:
            raise MienError(f"{face.name}: codes have the shape {face.codes.shape}; this bundle takes {wanted}.")
        for edit in self.edits:
            if edit.vector.shape != wanted:
                raise MienError(f"The direction {edit.name} has the shape {edit.vector.shape}; codes have {wanted}.")
        if self.mixture and (lacking := [name for name in self.mixture.parts if name not in face.parts]):
            raise MienError(f"{face.name} has no {lacking[0]}: leave it out of --layers.")
        if self.mixture and self.mixture.other.parts.keys() != face.parts.keys():
            raise MienError(
                f"{face.name} has {', '.join(face.parts)} and {self.mixture.other.name} has "
                f"{', '.join(self.mixture.other.parts)}: invert both with the same --structure and --residual."
            )

    def _write(self, face: FaceCodes, pixels: np.ndarray) -> None:
        save_png(writable_folder(self.folder / EDITED) / f"{face.name}.png", pixels)
        face.write(writable_folder(self.folder / CODES) / f"{face.name}.npz")

    def _show(self, name: str, rows: Sequence[tuple[str, list[tuple[str, np.ndarray]]]]) -> None:
        """Its section of the page, and its sheet as a picture."""
        self.sections.append(Section(name, gallery(rows[0][1], of=name)))
        self.sections += [Section(f"{name}: {title}", gallery(row, of=name)) for title, row in rows[1:]]
        side = max(enlarged(pixels).shape[0] for _, row in rows for _, pixels in row)
        tiles = [Row(title, [Tile(caption, enlarged(pixels)) for caption, pixels in row]) for title, row in rows]
        sheet = row_sheet(tiles, columns=max(len(row) for _, row in rows), side=side)
        save_png(writable_folder(self.folder / SHEETS) / f"{name}.png", sheet)
