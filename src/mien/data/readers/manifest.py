"""The user's own list: a CSV or Parquet table, one face a row. What is in it is said by the names of its columns.

path (below the table's folder, or absolute); expression, or label (a class name), and/or one column of votes or
probabilities a class (without expression the highest counts); split, subject, clip, frame (of its video, from 0);
affected (R or L: the person's own side that a palsy weakens); voice, render (paths of a sound and of a rendered face
that belong to the picture); voice_expression (what the voice expresses, where that may be another class); x0, y0, x1,
y1 (the face's box in picture pixels, edges); valence, arousal; landmarks (`x y x y ...` in picture pixels, pixel
centres at whole numbers; in Parquet a list), landmark_depth (one a point, in picture pixels, larger is nearer),
landmark_visible (1 or 0); offset, length (bytes of the picture inside the file, such as a shard); key (the face's own
name). Other columns are ignored. A picture may have several rows; without a key their keys are the path and `#2`, `#3`,
...
"""

import difflib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np

from mien.core.errors import MienError, nearest
from mien.core.labels import SYNONYMS, LabelSet, label_set
from mien.core.limits import SPLITS
from mien.core.records import Box, Sample
from mien.data.readers.columns import Column, read_csv, read_parquet
from mien.data.readers.reader import ENDLESS_BOX, SPLIT_NAMES, Listing, Reader, edges_are_within, need_column

_BOX = ("x0", "y0", "x1", "y1")
_SPAN = ("offset", "length")
_POINTS = ("landmarks", "landmark_depth", "landmark_visible")
_FILES = ("voice", "render")
_OPTIONAL = (
    "expression", "split", "subject", "clip", "frame", "affected", "key", "voice_expression", "valence", "arousal",
    *_FILES, *_POINTS, *_SPAN, *_BOX,
)  # fmt: skip
PREPARED = "prepared.json"  # what `mien data prepare` writes beside its table; says the order of the classes


class Manifest(Reader):
    """A table of samples; `root` is the file, or a folder with `manifest.csv` or `manifest.parquet`.

    labels: a published order by name. classes: an order of the user's own. Neither: the order in prepared.json, where
    `mien data prepare` wrote the table, else the sorted names in the column.
    Class columns are read when `labels` or `classes` says which they are. Without a split column all rows are "all".
    """

    name = "manifest"
    signs = ("manifest.csv", "manifest.parquet")

    def __init__(self, root: Path, *, labels: str | None = None, classes: Sequence[str] | None = None) -> None:
        super().__init__(root.parent if root.is_file() else root)
        self.table = root if root.is_file() else self._find(root)
        given = label_set(self.name, classes) if classes is not None else label_set(labels) if labels else None
        prepared = self._prepared() if given is None else {}
        given = given or prepared.get("labels")
        self._columns = self._load()
        self._class_columns = self._check_columns(given, unlabelled=bool(prepared) and given is None)
        self.labels = given or self._found_labels()
        splits = set(self._split_names().values()) if "split" in self._columns else {"all"}
        if len(splits) > SPLITS:
            raise self.error(f"{self.table} names {len(splits):,} splits; {SPLITS:,} are the most.")
        self.splits = tuple(sorted(splits, key=_split_order))

    def _find(self, root: Path) -> Path:
        for name in ("manifest.parquet", "manifest.csv"):
            if (root / name).is_file():
                return root / name
        if not root.exists():
            raise self.error(f"no file or folder {root}.")
        raise self.error(f"no manifest.csv or manifest.parquet under {root}. Name the table itself as the root.")

    def _prepared(self) -> dict[str, LabelSet | None]:
        """{"labels": the classes of the set that this table was prepared from}; empty where it was not."""
        path = self.root / PREPARED
        if not path.is_file():
            return {}
        try:
            labels = json.loads(path.read_text(encoding="utf-8"))["labels"]
            return {"labels": label_set(labels["name"], labels["classes"]) if labels else None}
        except (ValueError, KeyError, TypeError) as error:
            raise self.error(
                f"{path} is damaged: not what `mien data prepare` writes. Prepare the set anew."
            ) from error

    def _load(self) -> dict[str, Column]:
        if self.table.suffix.lower() in (".parquet", ".pq"):
            return read_parquet(self, self.table)
        return read_csv(self, self.table)

    def _check_columns(self, given: LabelSet | None, *, unlabelled: bool) -> list[str]:
        """The class columns in class order ([] without). Renames `label` to `expression`."""
        need_column(self, "path", self._columns, where=self.table)
        if "label" in self._columns and "expression" not in self._columns:
            self._columns["expression"] = self._columns.pop("label")
        self._refuse_misspelt()
        by_name = {SYNONYMS.get(name.casefold(), name.casefold()): name for name in self._columns}
        found = [by_name.get(SYNONYMS.get(name, name)) for name in given.classes] if given else []
        if found and all(found):
            return [name for name in found if name]
        if not unlabelled and self._columns.keys().isdisjoint(("expression", "landmarks", "valence", "arousal")):
            raise self.error(
                f"{self.table} has no column 'expression'.{nearest('expression', self._columns)} "
                "For one column a class, name their order with labels or classes."
            )
        return []

    def _refuse_misspelt(self) -> None:
        """A column that is nearly one of ours is a typing error, not a column to ignore."""
        for name in self._columns:
            free = [cell for cell in _OPTIONAL if len(cell) > 2 and cell not in self._columns]
            if name not in _OPTIONAL and (close := difflib.get_close_matches(name, free, n=1, cutoff=0.8)):
                raise self.error(f"{self.table} has a column {name!r}. Did you mean {close[0]!r}?")
        for what, names in (("a box", _BOX), ("a part of a file", _SPAN)):
            if 0 < sum(name in self._columns for name in names) < len(names):
                raise self.error(f"{self.table}: {what} needs all of {', '.join(names)}.")

    def _found_labels(self) -> LabelSet | None:
        if "expression" not in self._columns:
            return None
        cells = {str(cell).strip() for cell in self._columns["expression"] if cell is not None} - {""}
        return self.label_set_of(cells, self.table) if cells else None

    def _split_names(self) -> dict[Any, str]:
        """What each word in the column means."""
        cells = {cell: str(cell).strip().lower() for cell in set(self._columns["split"])}
        return {cell: SPLIT_NAMES.get(name, name) for cell, name in cells.items()}

    def _read(self, split: str) -> list[Sample]:
        """Column by column: half the time of row by row."""
        rows: Sequence[int] = range(len(self._columns["path"]))
        if "split" in self._columns:
            means = self._split_names()
            rows = [row for row, cell in enumerate(self._columns["split"]) if means[cell] == split]
        listing, listed = Listing(self.root), self._paths()
        paths = [listed[row] for row in rows]
        places = map(listing.place, self.on_disk(paths, listing, listed_in=self.table))
        columns = (
            self._keys(listed, rows), places, *self._labels(rows), self._boxes(rows),
            self._each("landmarks", rows, self._landmarks), self._affect("valence", rows),
            self._affect("arousal", rows), self._texts("subject", rows), self._texts("clip", rows),
            self._each("offset", rows, self._span), self._each("landmark_depth", rows, self._depth),
            self._each("landmark_visible", rows, self._visible), repeat(None, len(rows)),
            self._each("affected", rows, self._affected), self._each("frame", rows, self._frame),
            self._files("voice", rows, listing), self._files("render", rows, listing),
            self._texts("voice_expression", rows),
        )  # fmt: skip
        return [
            Sample(key, place, split, *rest) for key, place, *rest in zip(*columns, strict=True) if place is not None
        ]

    def _paths(self) -> list[str]:
        """Of all rows. Raises MienError for a cell without a name."""
        for row, cell in enumerate(cells := self._columns["path"]):
            if not isinstance(cell, str) or not cell.strip():
                raise self._bad(row, f"path names the picture's file; got {cell!r}.")
        return [cell.strip() for cell in cells]

    def _keys(self, listed: list[str], rows: Sequence[int]) -> list[str]:
        """The column, else the path; a path's second face is `#2`, counted over all splits."""
        names = [path.replace("\\", "/") for path in listed] if any("\\" in path for path in listed) else listed
        if len(set(listed)) < len(listed):
            uses, names = Counter[str](), list(names)
            for i, path in enumerate(listed):
                uses[path] += 1
                names[i] += f"#{uses[path]}" if uses[path] > 1 else ""
        keys = [given or names[row] for given, row in zip(self._texts("key", rows), rows, strict=True)]
        if "key" in self._columns and len(set(keys)) < len(keys):
            twice = next(key for key, times in Counter(keys).items() if times > 1)
            raise self.error(f"{self.table}: {twice!r} is the key of several rows; each face has its own.")
        return keys

    def _each(self, column: str, rows: Sequence[int], read: Callable[[int], Any]) -> Iterable[Any]:
        """What `read` makes of each row; None for all where there is no such column."""
        return map(read, rows) if column in self._columns else repeat(None, len(rows))

    def _texts(self, column: str, rows: Sequence[int]) -> list[str | None]:
        if column not in self._columns:
            return [None] * len(rows)
        cells = self._columns[column]
        return [None if (cell := cells[row]) is None else str(cell).strip() or None for row in rows]

    def _floats(self, column: str, rows: Sequence[int]) -> list[float] | None:
        """The column as numbers; None where a row holds none, and is to be looked at by itself."""
        cells = self._columns[column]
        try:
            return [float(cells[row]) for row in rows]
        except (TypeError, ValueError):
            return None

    def _affect(self, column: str, rows: Sequence[int]) -> Iterable[float | None]:
        if column not in self._columns:
            return repeat(None, len(rows))
        values = self._floats(column, rows)
        if values is not None and all(-1 <= value <= 1 for value in values):
            return values
        return [self._affect_of(row, column) for row in rows]

    def _boxes(self, rows: Sequence[int]) -> Iterable[Box | None]:
        if "x0" not in self._columns:
            return repeat(None, len(rows))
        edges = [self._floats(name, rows) for name in _BOX]
        if all(values is not None for values in edges):
            boxes: list[Box] = list(zip(*edges, strict=True))  # type: ignore[arg-type]
            inside = edges_are_within(np.array(boxes, float).reshape(-1, 4)).all()
            if inside and all(x1 > x0 and y1 > y0 for x0, y0, x1, y1 in boxes):
                return boxes
        return [self._box(row) for row in rows]

    def _labels(self, rows: Sequence[int]) -> tuple[Iterable[int | None], Iterable[tuple[float, ...] | None]]:
        """Class indices and distributions."""
        if self.labels is None:
            return repeat(None, len(rows)), repeat(None, len(rows))
        if self._class_columns:
            votes = [self._votes(row) for row in rows]
            return [weights.index(max(weights)) for weights in votes], votes
        cells = self._columns["expression"]
        known = {cell: self._class_of(cell, rows) for cell in {cells[row] for row in rows}}
        return [known[cells[row]] for row in rows], repeat(None, len(rows))

    def _class_of(self, cell: Any, rows: Sequence[int]) -> int | None:
        assert self.labels is not None
        if cell is None or not str(cell).strip():  # not labelled
            return None
        try:
            return self.labels.index(str(cell))
        except MienError as error:
            first = next(row for row in rows if self._columns["expression"][row] == cell)
            raise self._bad(first, str(error)) from error

    def _votes(self, row: int) -> tuple[float, ...]:
        weights = [self._number(row, name) for name in self._class_columns]
        total = sum(weights)
        if total <= 0 or min(weights) < 0:
            raise self._bad(row, f"class columns must be at least 0 with a sum above 0; got {weights}.")
        return tuple(weight / total for weight in weights)

    def _given(self, row: int, column: str) -> bool:
        return column in self._columns and self._columns[column][row] not in ("", None)

    def _affect_of(self, row: int, column: str) -> float | None:
        if not self._given(row, column):
            return None
        value = self._number(row, column)
        if not -1 <= value <= 1:
            raise self._bad(row, f"{column} lies in -1..1; got {value:g}.")
        return value

    def _files(self, column: str, rows: Sequence[int], listing: Listing) -> Iterable[Path | None]:
        """Paths on disk. Raises MienError for missing files, unless they are to be skipped."""
        cells = self._texts(column, rows)
        given = [cell for cell in cells if cell is not None]
        found = dict(zip(given, self.on_disk(given, listing, listed_in=self.table, what=f"{column}s"), strict=True))
        return [None if cell is None else listing.place(found[cell]) for cell in cells]

    def _affected(self, row: int) -> str | None:
        if not self._given(row, "affected"):
            return None
        side = str(self._columns["affected"][row]).strip().upper()
        if side not in ("R", "L"):
            raise self._bad(row, f"affected is R or L, or empty; got {side!r}.")
        return side

    def _frame(self, row: int) -> int | None:
        if not self._given(row, "frame"):
            return None
        frame = self._number(row, "frame")
        if frame < 0 or frame % 1:
            raise self._bad(row, f"frame is a whole number from 0; got {frame:g}.")
        return int(frame)

    def _span(self, row: int) -> tuple[int, int] | None:
        if not self._given(row, "offset"):
            return None
        offset, length = self._number(row, "offset"), self._number(row, "length")
        if offset < 0 or length < 1 or offset % 1 or length % 1:
            raise self._bad(row, f"offset and length are whole bytes from 0 and 1; got {offset:g} and {length:g}.")
        return int(offset), int(length)

    def _landmarks(self, row: int) -> np.ndarray | None:
        """float32 [points, 2] or None."""
        points = self._numbers("landmarks", row)
        if len(points) % 2 or not np.isfinite(points).all():
            raise self._bad(row, f"landmarks are pairs of finite numbers; got {len(points)} values.")
        return points.reshape(-1, 2) if len(points) else None

    def _depth(self, row: int) -> np.ndarray | None:
        return self._of_points("landmark_depth", row)

    def _visible(self, row: int) -> np.ndarray | None:
        """bool [points] or None."""
        found = self._of_points("landmark_visible", row)
        return None if found is None else found > 0.5

    def _of_points(self, name: str, row: int) -> np.ndarray | None:
        """float32 [points] or None."""
        values = self._numbers(name, row)
        count = len(self._numbers("landmarks", row)) // 2
        if len(values) not in (0, count) or not np.isfinite(values).all():
            raise self._bad(row, f"{name} is a finite number for each of {count} points; got {len(values)} values.")
        return values if len(values) else None

    def _numbers(self, name: str, row: int) -> np.ndarray:
        """float32, empty where nothing is given."""
        if name not in self._columns or (given := self._columns[name][row]) is None:
            return np.zeros(0, np.float32)
        try:
            return np.asarray(given.split() if isinstance(given, str) else given, np.float32)
        except ValueError:
            rule = "numbers `x y x y ...`" if name == "landmarks" else "numbers"
            raise self._bad(row, f"{name} are {rule}; got {str(given)[:40]!r}.") from None

    def _box(self, row: int) -> Box | None:
        missing = [name for name in _BOX if not self._given(row, name)]
        if len(missing) == len(_BOX):
            return None
        if missing:
            raise self._bad(row, f"a box needs {', '.join(_BOX)}; without a value: {', '.join(missing)}.")
        x0, y0, x1, y1 = (self._number(row, name) for name in _BOX)
        if not (x1 > x0 and y1 > y0):
            raise self._bad(row, f"a box needs x1 > x0 and y1 > y0; got {(x0, y0, x1, y1)}.")
        if not edges_are_within(np.array([[x0, y0, x1, y1]])).all():
            raise self._bad(row, f"{ENDLESS_BOX}; got {(x0, y0, x1, y1)}.")
        return x0, y0, x1, y1

    def _number(self, row: int, column: str) -> float:
        try:
            return float(self._columns[column][row])
        except (TypeError, ValueError):
            raise self._bad(row, f"column {column!r} holds {self._columns[column][row]!r}, not a number.") from None

    def _bad(self, row: int, text: str) -> MienError:
        return self.error(f"{self.table}, row {row + 2}: {text}")


def _split_order(name: str) -> tuple[int, str]:
    known = ("train", "valid", "test")
    return (known.index(name) if name in known else len(known)), name
