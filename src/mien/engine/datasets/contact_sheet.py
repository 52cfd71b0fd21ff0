"""The contact sheet of a data set: a row of random faces for each class, so that a person sees what the labels mean."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from mien.core.errors import MienError
from mien.core.labels import LabelSet
from mien.core.records import Sample
from mien.core.spec import PictureInput
from mien.data.faces import prepare_face
from mien.media.image import save_png
from mien.report.contact_sheet import Row, Tile, row_sheet
from mien.report.text import cut_middle

SIDE = 112  # pixels of a face
PER_LINE = 10
BOX_SCALE = 1.3  # a box with what is around it; the whole picture where the set has no boxes
POINT = (0, 229, 160)  # colour of a landmark
_CAPTION = 20  # characters of a caption


def random_faces(
    splits: Mapping[str, Sequence[Sample]], labels: LabelSet | None, *, each: int, seed: int
) -> dict[str, tuple[int, list[Sample]]]:
    """Row → (number of its faces, `each` of them): a class a row, over all splits; a split a row without classes.

    The same seed and set give the same faces, each once.
    """
    rows: dict[str, dict[str, Sample]] = {name: {} for name in (labels.classes if labels else splits)}
    for split, samples in splits.items():
        for sample in samples:
            if labels is None:
                rows[split][sample.key] = sample
            elif sample.expression is not None:
                rows[labels.classes[sample.expression]][sample.key] = sample
    chosen = {}
    for place, (name, faces) in enumerate(rows.items()):
        rng = np.random.Generator(np.random.PCG64([seed, place]))
        keys = sorted(faces)
        order = rng.permutation(len(keys))[:each]
        chosen[name] = (len(keys), [faces[keys[i]] for i in order])
    return chosen


def write_contact_sheet(path: Path, rows: Mapping[str, tuple[int, Sequence[Sample]]], *, title: str, note: str) -> None:
    """A PNG with the rows; a picture that cannot be read is a grey tile that says so."""
    total = sum(count for count, _ in rows.values())
    tiles = [_row(name, count, total, faces) for name, (count, faces) in rows.items()]
    pixels = row_sheet(tiles, columns=PER_LINE, side=SIDE, title=title, note=note)
    save_png(path, pixels)


def _row(name: str, count: int, total: int, faces: Sequence[Sample]) -> Row:
    note = f"{count:,} faces, {100 * count / max(total, 1):.1f} %" if count else "no face"
    return Row(name, [_tile(sample) for sample in faces], note, warns=not count)


def _tile(sample: Sample) -> Tile:
    """The face as the set frames it, its points drawn; a whole picture keeps its proportions."""
    spec = PictureInput(size=SIDE, fit="pad", box_scale=BOX_SCALE, box_shift=(0.0, -0.05))
    try:
        pixels, points = prepare_face(sample, spec)
    except MienError:
        return Tile(_caption(sample), None)
    return Tile(_caption(sample), pixels if points is None else _with_points(pixels, points))


def _with_points(pixels: np.ndarray, points: np.ndarray) -> np.ndarray:
    image = Image.fromarray(pixels)
    draw = ImageDraw.Draw(image)
    for x, y in points:
        draw.ellipse((x - 1, y - 1, x + 1, y + 1), fill=POINT)
    return np.asarray(image)


def _caption(sample: Sample) -> str:
    """The split and the file's name without its suffix."""
    name = sample.key.rpartition("/")[2]
    stem = name.rpartition(".")[0] or name
    split = "" if sample.split in ("", "all") or stem.startswith(sample.split) else f"{sample.split} "
    return split + cut_middle(stem, max(_CAPTION - len(split), 6))
