"""A prepared data set on disk: parts that are written whole or not at all, then one table of them.

    pictures/...            or shards/train-00000.tar (uncompressed; the table names offset and length of each picture)
    manifest.parquet        a row a face: what the reader `manifest` reads, and where each crop lay
    failures.csv            every face that is not there, with the reason
    prepared.json           how it was made

Each part is a fixed share of the faces, whoever works on it and however often the work stops; so the same set gives the
same bytes. `parts/NAME.json` says that a part is whole; the folder goes when the table is written.
"""

import json
import math
import re
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from arro3.core import Array, DataType, Field, Schema, Table, list_array
from arro3.io import write_parquet

from mien.core.errors import MienError
from mien.core.labels import LabelSet
from mien.core.limits import MB
from mien.core.records import Sample
from mien.data.parallel import stopped
from mien.data.preparation.face_crop import CutError, Face, Preparation, cut, encoded
from mien.data.readers.reader import printable
from mien.data.recent import Recent
from mien.media.files import atomic_path, write_csv, write_text
from mien.media.listing import PICTURES
from mien.media.tables.arrow import arrow_errors

PARTS, TABLE, FAILURES = "parts", "manifest.parquet", "failures.csv"
_FEWEST, _MOST, _PARTS = 16, 1000, 64  # faces of a part; at least so many parts where the set is large enough
_TEXT = ("path", "expression", "split", "subject", "clip", "key", "affected", "voice")
_WHOLE = ("offset", "length", "frame")
_LISTS = ("landmarks", "landmark_depth", "landmark_visible")
_REAL = ("valence", "arousal", "crop_x", "crop_y", "crop_width", "crop_height", "crop_roll_rad", "score")
_PICTURE_SUFFIX = re.compile(rf"({'|'.join(map(re.escape, PICTURES))})(?=$|_\d+$)", re.IGNORECASE)
Row = dict[str, Any]
_recent = Recent[tuple[bytes, Face, int]](32 * MB, weigh=lambda cut: len(cut[0]) + cut[1].pixels.size, kept=CutError)


@dataclass(frozen=True, eq=False)
class Part:
    """Faces that one worker prepares in one go."""

    name: str
    """SPLIT-NUMBER."""
    folder: Path
    """The output folder."""
    samples: tuple[Sample, ...]
    """Faces, in order."""
    names: tuple[str, ...]
    """Of the pictures, below `pictures/` or in the shard."""
    classes: tuple[str, ...]
    """Class names; empty without labels."""
    how: Preparation
    """Detector, alignment, size and encoding."""
    shards: bool
    """Write a tar file instead of a folder."""

    @property
    def index(self) -> Path:
        return self.folder / PARTS / f"{self.name}.json"

    @property
    def shard(self) -> Path:
        return self.folder / "shards" / f"{self.name}.tar"

    def is_done(self) -> bool:
        """Whether an earlier run wrote it whole."""
        if not self.index.is_file():
            return False
        rows = json.loads(self.index.read_text(encoding="utf-8"))["rows"]
        needed = {self.shard} if self.shards and rows else {self.folder / row["path"] for row in rows}
        return all(path.is_file() for path in needed)


def parts_of(
    splits: dict[str, list[Sample]], folder: Path, how: Preparation, *, labels: LabelSet | None, shards: bool
) -> list[Part]:
    """All faces in parts. A face that stands in several splits is prepared once, with the first of them.

    Rendered faces are not carried over: a network that takes them is trained on the data set itself.
    """
    suffix = ".png" if how.encoding == "png" else ".jpg"
    used: dict[str, int] = {}
    prepared: set[str] = set()
    parts = []
    for split, samples in splits.items():
        fresh = [sample for sample in samples if sample.key not in prepared]
        prepared.update(sample.key for sample in fresh)
        size = min(max(math.ceil(len(fresh) / _PARTS), _FEWEST), _MOST)
        for number, start in enumerate(range(0, len(fresh), size)):
            share = tuple(fresh[start : start + size])
            names = tuple(_file_name(sample.key, suffix, used) for sample in share)
            classes = labels.classes if labels else ()
            parts.append(Part(f"{split}-{number:05d}", folder, share, names, classes, how, shards))
    return parts


def _file_name(key: str, suffix: str, used: dict[str, int]) -> str:
    """A relative path after the key that any file system takes, each once whatever the case of its letters.

    used: names, and of each the number that a further one of it was given last.
    """
    parts = [re.sub(r"[^\w.+=@ -]", "_", part) for part in re.split(r"[/\\]", key) if part not in ("", ".", "..")]
    stem = _PICTURE_SUFFIX.sub("", "/".join(parts))
    stem = stem.encode("utf-8", "replace").decode()
    name, first = stem + suffix, (stem + suffix).casefold()
    number = used.get(first, 1)  # counting from 1 each time would take hours for a million faces of one name
    while name.casefold() in used:
        number += 1
        name = f"{stem}-{number}{suffix}"
    used[name.casefold()] = used.get(name.casefold(), 1)
    used[first] = number
    return name


def write_part(part: Part) -> tuple[int, int]:
    """Prepares the faces of a part; returns how many there are and how many failed. An earlier half of it is replaced.

    Raises MienError when the disk is full or the run was stopped.
    """
    rows: list[Row] = []
    failures: list[Row] = []
    pictures = []
    for sample, name in zip(part.samples, part.names, strict=True):
        if stopped():
            raise MienError("stopped")
        try:
            content, row = _prepared(sample, part)
        except CutError as error:
            failures.append(
                {"key": printable(sample.key), "picture": printable(str(sample.path)), "reason": error.reason,
                 "detail": printable(error.detail)}
            )  # fmt: skip
            continue
        pictures.append((name, content))
        rows.append(row)
    places = _write_shard(part.shard, pictures) if part.shards else _write_pictures(part.folder / "pictures", pictures)
    done = {"rows": [place | row for place, row in zip(places, rows, strict=True)], "failures": failures}
    write_text(part.index, json.dumps(done))
    return len(rows), len(failures)


def _prepared(sample: Sample, part: Part) -> tuple[bytes, Row]:
    content, face, side = _cut(sample, part.how)
    points = None if face.landmarks_px is None else face.landmarks_px.ravel().astype(float).tolist()
    row: Row = {
        "key": printable(sample.key),
        "expression": None if sample.expression is None else part.classes[sample.expression],
        "distribution": sample.distribution, "subject": sample.subject, "clip": sample.clip,
        "frame": sample.frame, "affected": sample.affected,
        "voice": None if sample.voice is None else printable(str(sample.voice.absolute())),
        "valence": sample.valence, "arousal": sample.arousal, "landmarks": points,
        "landmark_depth": _scaled(sample, side / (sum(face.crop.sides) / 2)),
        "landmark_visible": None if sample.visible is None else np.asarray(sample.visible, float).tolist(),
        "crop_x": face.crop.centre[0], "crop_y": face.crop.centre[1], "crop_width": face.crop.sides[0],
        "crop_height": face.crop.sides[1], "crop_roll_rad": face.crop.roll_rad, "score": face.score,
    }  # fmt: skip
    return content, row


def _cut(sample: Sample, how: Preparation) -> tuple[bytes, Face, int]:
    """The encoded face, the face, and its side; rows that state the same part of the same picture share them."""

    def fresh() -> tuple[bytes, Face, int]:
        face = cut(sample, how)
        return encoded(face.pixels, how), face, len(face.pixels)

    if sample.landmarks_px is not None:  # they belong to the face
        return fresh()
    return _recent.get((*sample.place, sample.box, how), fresh)


def _scaled(sample: Sample, scale: float) -> list[float] | None:
    """Depth in pixels of the prepared picture."""
    return None if sample.depth_px is None else (np.asarray(sample.depth_px, float) * scale).tolist()


def _write_pictures(folder: Path, pictures: Sequence[tuple[str, bytes]]) -> list[Row]:
    for name, content in pictures:
        with atomic_path(folder / name) as temporary:
            temporary.write_bytes(content)
    return [{"path": f"{folder.name}/{name}"} for name, _ in pictures]


def _write_shard(path: Path, pictures: Sequence[tuple[str, bytes]]) -> list[Row]:
    """An uncompressed tar without times or owners; none where no face is left. Where each picture lies in it."""
    places: list[Row] = []
    if not pictures:
        return places
    with atomic_path(path) as temporary, tarfile.open(temporary, "w", format=tarfile.GNU_FORMAT) as tar:
        for name, content in pictures:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, BytesIO(content))
            padded = -(-len(content) // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
            places.append({"path": f"shards/{path.name}", "offset": tar.offset - padded, "length": len(content)})
    return places


def write_tables(
    folder: Path, parts: Sequence[Part], splits: dict[str, list[Sample]], labels: LabelSet | None
) -> dict[str, dict[str, int]]:
    """manifest.parquet and failures.csv from the parts, in the order of split and key. Returns counts by split."""
    rows: dict[str, Row] = {}
    failures: dict[str, Row] = {}
    for part in parts:
        done = json.loads(part.index.read_text(encoding="utf-8"))
        rows |= {row["key"]: row for row in done["rows"]}
        failures |= {row["key"]: row for row in done["failures"]}
    keys = {split: [printable(sample.key) for sample in samples] for split, samples in splits.items()}
    table = [rows[key] | {"split": split} for split, names in keys.items() for key in names if key in rows]
    failed = [failures[key] | {"split": split} for split, names in keys.items() for key in names if key in failures]
    columns = ["split", "key", "picture", "reason", "detail"]
    write_csv(folder / FAILURES, columns, ([row.get(name, "") for name in columns] for row in failed))
    if table:
        _write_table(folder / TABLE, table, labels)
    return {
        split: {"faces": len(names), "prepared": sum(key in rows for key in names)} for split, names in keys.items()
    }


def _write_table(path: Path, rows: Sequence[Row], labels: LabelSet | None) -> None:
    columns = {name: Array([row.get(name) for row in rows], type=kind) for name, kind in _kinds(rows, DataType)}
    for name in _LISTS:
        if any(row.get(name) for row in rows):
            lists = [np.array(row.get(name) or (), np.float32) for row in rows]
            offsets = np.concatenate([[0], np.cumsum([len(values) for values in lists])]).astype(np.int32)
            columns[name] = list_array(Array.from_numpy(offsets), Array.from_numpy(np.concatenate(lists)))
    columns |= dict(_votes(rows, labels, Array, DataType))
    schema = Schema([Field(name, array.type, nullable=True) for name, array in columns.items()])
    with atomic_path(path) as temporary, arrow_errors(path):
        write_parquet(Table.from_arrays(list(columns.values()), schema=schema), str(temporary))


def _kinds(rows: Sequence[Row], types: Any) -> Iterator[tuple[str, Any]]:
    """The columns that some row has a value for."""
    for names, kind in ((_TEXT, types.utf8()), (_WHOLE, types.int64()), (_REAL, types.float64())):
        for name in names:
            if any(row.get(name) is not None for row in rows):
                yield name, kind


def _votes(rows: Sequence[Row], labels: LabelSet | None, array: Any, types: Any) -> Iterator[tuple[str, Any]]:
    """A column a class with its share of the votes, where the set has votes."""
    if labels is None or not any(row["distribution"] for row in rows):
        return
    for place, name in enumerate(labels.classes):
        shares = [row["distribution"][place] if row["distribution"] else None for row in rows]
        yield name, array(shares, type=types.float64())
