"""Files of directions in a bundle's code space, and the two ways to find some."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mien.core.errors import MienError, nearest
from mien.engine.reading.invert.codes import FaceCodes, layers_of, read_codes, read_npz
from mien.engine.reading.invert.inverter import require_torch
from mien.engine.reading.invert.label_directions import label_directions
from mien.media.bundles import bundle_folder
from mien.media.csv_text import given_rows
from mien.media.files import atomic_path, read_info

NAME_COLUMNS = ("name", "file", "path", "photo", "picture", "source")


@dataclass(frozen=True, eq=False)
class Directions:
    """Of one bundle."""

    names: list[str]
    """Each once."""
    vectors: np.ndarray
    """[number, styles, width]; 0 in layers that a direction does not change. What a strength of 1 adds to the codes."""
    bundle: str
    """Model id of the network in whose code space they lie."""
    method: str
    """How they were found, in words."""

    def write(self, path: Path) -> None:
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(
                file, names=np.array(self.names), directions=self.vectors.astype(np.float32), bundle=self.bundle,
                method=self.method,
            )  # fmt: skip

    def chosen(self, names: Sequence[str]) -> list[int]:
        """Their places; all without names. Raises MienError for a name that there is not."""
        for name in names:
            if name not in self.names:
                raise MienError(f"There is no direction {name!r}.{nearest(name, self.names)}")
        return [self.names.index(name) for name in names] if names else list(range(len(self.names)))


def read_directions(path: Path) -> Directions:
    """Raises MienError for what `mien directions` did not write."""
    content = read_npz(path, needed=("names", "directions", "bundle"), what="directions, which mien directions writes")
    vectors, names = content["directions"], [str(name) for name in content["names"].ravel()]
    if vectors.ndim != 3 or len(vectors) != len(names) or not np.isfinite(vectors).all():
        raise MienError(
            f"{path}: directions must be finite numbers [{len(names)}, styles, width]; got {vectors.shape}."
        )
    return Directions(names, vectors, str(content["bundle"]), str(content.get("method", "")))


def factorised_directions(bundle: str, *, number: int, layers: str) -> tuple[Directions, list[str]]:
    """Closed-form factorisation (SeFa) of the bundle's generator, and a line for each direction.

    A strength of 1 is one standard deviation of the mapped codes along the direction. Raises MienError for a bundle
    without a generator.
    """
    folder = bundle_folder(bundle)
    info = read_info(folder)
    require_torch("Factorising a generator")
    from typing import Any

    from mien.nn.stylegan2.directions import affine_weights, factorised, mapped_codes
    from mien.systems.bundle import load

    system: Any = load(folder)
    generator = getattr(getattr(system, "inversion", system), "generator", None)
    if generator is None:
        raise MienError(f"{bundle} is a {info.system}, which has no generator. Name a bundle of asit or stylegan2.")
    places = layers_of(layers, generator.style_count)
    found = factorised(affine_weights(generator, places), number)
    deviations = (mapped_codes(generator) @ found.directions.T).std(0)
    vectors = np.zeros((number, generator.style_count, generator.style), np.float32)
    vectors[:, places] = (deviations[:, None] * found.directions).numpy()[:, None]
    names = [f"sefa_{i + 1}" for i in range(number)]
    lines = [
        f"{name}: changes the layers {strength:.3f} times its length; a strength of 1 is {deviation:.3f} long"
        for name, strength, deviation in zip(names, found.strengths.tolist(), deviations.tolist(), strict=True)
    ]
    return Directions(names, vectors, info.model_id, f"closed-form factorisation of layers {layers}"), lines


def labelled_directions(
    bundle: str, files: Sequence[Path], table: Path, *, column: str, layers: str
) -> tuple[Directions, list[str]]:
    """Of classes, from codes and the table's labels, and a line for each direction."""
    info = read_info(bundle_folder(bundle))
    faces = [same_bundle(read_codes(path), info.model_id, path) for path in files]
    labels = _labels(table, column)
    labelled = [face for face in faces if face.name in labels]
    if not labelled:
        raise MienError(
            f"None of {len(faces)} codes has a label in {table}: its column {' or '.join(NAME_COLUMNS)} must name the "
            f"files, such as {faces[0].name}."
        )
    if len(shapes := {face.codes.shape for face in labelled}) > 1:
        raise MienError(f"Codes of one bundle have one shape; got {', '.join(map(str, sorted(shapes)))}.")
    stacked = np.stack([face.codes for face in labelled])
    places = layers_of(layers, stacked.shape[1])
    chosen = stacked[:, places]
    found, few = label_directions(chosen.reshape(len(chosen), -1), [labels[face.name] for face in labelled])
    vectors = np.zeros((len(found), *stacked.shape[1:]), np.float32)
    for i, direction in enumerate(found):
        vectors[i, places] = direction.vector.reshape(chosen.shape[1:])
    lines = [
        f"{each.name}: {each.faces} of {len(labelled)} faces, AUC {each.auc:.3f} on faces left out" for each in found
    ]
    lines += [f"left out, too few faces: {', '.join(few)}"] if few else []
    lines += [f"{len(faces) - len(labelled)} codes have no label"] if len(faces) > len(labelled) else []
    method = f"ridge regression of {column} on {len(labelled)} codes, layers {layers}"
    return Directions([each.name for each in found], vectors, info.model_id, method), lines


def same_bundle(face: FaceCodes, model_id: str, path: Path) -> FaceCodes:
    """The codes. Raises MienError where another network made them: they mean nothing to this one."""
    if face.bundle != model_id:
        raise MienError(f"{path} was made by {face.bundle}, not by {model_id}. Name that bundle, or invert again.")
    return face


def _labels(table: Path, column: str) -> dict[str, str]:
    """{stem of the file: label}; empty labels are left out. Raises MienError for a table without these columns."""
    if not table.is_file():
        raise MienError(f"{table}: no such table (CSV with the columns name and {column}).")
    rows = list(given_rows(table))
    columns = list(rows[0]) if rows else []
    named = next((name for name in NAME_COLUMNS if name in columns), None)
    if named is None or column not in columns:
        missing = f"no column {column}" if named else f"no column {' or '.join(NAME_COLUMNS)}"
        raise MienError(f"{table} has {missing}; it has {', '.join(columns) or 'no rows'}.")
    return {Path(row[named]).stem: row[column] for row in rows if row[named] and row[column]}
