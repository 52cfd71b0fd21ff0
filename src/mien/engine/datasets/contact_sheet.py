"""A contact sheet: a row of faces for each class, drawn by lot, so that a person sees what the labels call what."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.core.errors import MienError

if TYPE_CHECKING:
    import numpy as np

    from mien.core.labels import LabelSet
    from mien.core.records import Sample

SIDE, GAP, LEFT, TOP, CAPTION = 112, 8, 190, 64, 18
PER_LINE = 10
INK, MUTED, FAINT = "#1b1f24", "#5b6470", "#dde1e6"
BOX_SCALE = 1.3  # a box with what is around it; the whole picture where the set has no boxes


def drawn_by_lot(
    splits: Mapping[str, "Sequence[Sample]"], labels: "LabelSet | None", *, each: int, seed: int
) -> dict[str, tuple[int, "list[Sample]"]]:
    """Row → (faces there are, some of them): a class a row, over all splits; a split a row for sets without classes.

    The same seed and set give the same faces, each once.
    """
    import numpy as np

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
        lot = rng.permutation(len(keys))[:each]
        chosen[name] = (len(keys), [faces[keys[i]] for i in lot])
    return chosen


def write_contact_sheet(
    path: Path, rows: "Mapping[str, tuple[int, Sequence[Sample]]]", *, title: str, note: str
) -> None:
    """A PNG with the rows; a picture that cannot be read is a grey square that says so."""
    from PIL import Image, ImageDraw

    from mien.media.files import atomic_path

    columns = max(4, *(min(len(faces), PER_LINE) for _, faces in rows.values()))
    lines = sum(max(1, -(-len(faces) // PER_LINE)) for _, faces in rows.values())
    width = LEFT + columns * (SIDE + GAP) + GAP
    image = Image.new("RGB", (width, TOP + lines * (SIDE + CAPTION + GAP) + GAP), "white")
    draw = ImageDraw.Draw(image)
    draw.text((GAP * 2, 14), title, fill=INK, font=_font(20))
    draw.text((GAP * 2, 40), note, fill=MUTED, font=_font(13))
    total = sum(count for count, _ in rows.values())
    top = TOP
    for name, (count, faces) in rows.items():
        draw.line((GAP, top - GAP // 2, width - GAP, top - GAP // 2), fill=FAINT)
        _write_name(draw, name, count, total, top)
        for first in range(0, max(len(faces), 1), PER_LINE):
            for place, sample in enumerate(faces[first : first + PER_LINE]):
                _paste(image, draw, sample, (LEFT + place * (SIDE + GAP), top))
            top += SIDE + CAPTION + GAP
    with atomic_path(path) as temporary:
        image.save(temporary, format="PNG")


def _write_name(draw: Any, name: str, count: int, total: int, top: int) -> None:
    size = 18
    while size > 9 and draw.textlength(name, font=_font(size)) > LEFT - 3 * GAP:
        size -= 1
    draw.text((GAP * 2, top + SIDE / 2 - 12), name, fill=INK, font=_font(size), anchor="lm")
    share = f"{count:,} faces, {100 * count / max(total, 1):.1f} %" if count else "no face"
    draw.text((GAP * 2, top + SIDE / 2 + 12), share, fill=MUTED if count else "#b85014", font=_font(13), anchor="lm")


def _paste(image: Any, draw: Any, sample: "Sample", corner: tuple[int, int]) -> None:
    from PIL import Image

    left, top = corner
    try:
        pixels, points = _picture(sample)
    except MienError:
        draw.rectangle((left, top, left + SIDE - 1, top + SIDE - 1), fill="#eeeeee")
        draw.text((left + SIDE / 2, top + SIDE / 2), "cannot be read", fill="#b85014", font=_font(12), anchor="mm")
    else:
        image.paste(Image.fromarray(pixels), corner)
        for x, y in points if points is not None else ():
            if 0 <= x < SIDE and 0 <= y < SIDE:
                draw.ellipse((left + x - 1, top + y - 1, left + x + 1, top + y + 1), fill="#00e5a0")
    draw.text((left + SIDE / 2, top + SIDE + 2), _caption(sample), fill=MUTED, font=_font(10), anchor="ma")


def _picture(sample: "Sample") -> "tuple[np.ndarray, np.ndarray | None]":
    """The face as the set frames it; a whole picture keeps its proportions."""
    from mien.core.spec import PictureInput
    from mien.data.faces import prepare_face

    spec = PictureInput(size=SIDE, fit="pad", box_scale=BOX_SCALE, box_shift=(0.0, -0.05))
    return prepare_face(sample, spec)


def _caption(sample: "Sample") -> str:
    """The split and the file's name, as much of its end as stands below a picture."""
    from mien.data.readers.reader import printable

    name = printable(sample.key).rpartition("/")[2]
    stem = name.rpartition(".")[0] or name
    split = "" if sample.split in ("", "all") or stem.startswith(sample.split) else f"{sample.split} "
    text, letters = f"{split}{stem}", len(stem)
    while letters > 4 and _font(10).getlength(text) > SIDE:
        letters -= 1
        text = f"{split}…{stem[-letters:]}"
    return text


def _font(size: int) -> Any:
    from PIL import ImageFont

    return ImageFont.load_default(size)
