"""The user's own list: a CSV or Parquet table, one face a row. What is in it is said by the names of its columns.

path (below the table's folder, or absolute); expression, or label (a class name), and/or one column of votes or
probabilities a class (without expression the highest counts); split, subject, clip; x0, y0, x1, y1 (the face's box in
picture pixels, edges); valence, arousal; landmarks (`x y x y ...` in picture pixels, pixel centres at whole numbers; in
Parquet a list); offset, length (bytes of the picture inside the file, such as a shard); key (the face's own name).
Other columns are ignored. A picture may have several rows; without a key their keys are the path and `#2`, `#3`, ...
"""

import csv
import difflib
import json
import os
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from mien.core.errors import MienError, nearest
from mien.core.labels import SYNONYMS, LabelSet, label_set
from mien.core.records import Box, Sample
from mien.data.readers.reader import SPLIT_WORDS, Reader, file_names, need_column

_BOX = ("x0", "y0", "x1", "y1")
_SPAN = ("offset", "length")
_OPTIONAL = ("expression", "split", "subject", "clip", "key", "valence", "arousal", "landmarks", *_SPAN, *_BOX)
PREPARED = "prepared.json"  # what `mien data prepare` writes beside its table; says the order of the classes
Column = Sequence[Any]


class Manifest(Reader):
    """A table of samples; `root` is the file, or a folder with `manifest.csv` or `manifest.parquet`.

    labels: a published order by name. classes: an order of the user's own. Neither: the order in prepared.json, where
    `mien data prepare` wrote the table, else the sorted names in the column.
    Class columns are read when `labels` or `classes` says which they are. Without a split column all rows are "all".
    """

    name = "manifest"

    def __init__(self, root: Path, *, labels: str | None = None, classes: Sequence[str] | None = None) -> None:
        super().__init__(root.parent if root.is_file() else root)
        self.table = root if root.is_file() else self._find(root)
        given = label_set(self.name, classes) if classes is not None else label_set(labels) if labels else None
        prepared = self._prepared() if given is None else {}
        given = given or prepared.get("labels")
        self._columns = self._load()
        self._known: dict[Any, int] = {}  # class words that were met
        self._class_columns = self._check_columns(given, unlabelled=bool(prepared) and given is None)
        self.labels = given or self._found_labels()
        splits = [self._split(word) for word in self._columns.get("split", ["all"])]
        self.splits = tuple(dict.fromkeys(sorted(splits, key=_split_order)))

    def _find(self, root: Path) -> Path:
        for name in ("manifest.parquet", "manifest.csv"):
            if (root / name).is_file():
                return root / name
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
            return _parquet(self.table)
        rows = list(csv.reader(self.lines(self.table)))
        if not rows:
            raise self.error(f"{self.table} is empty.")
        header = [word.strip() for word in rows[0]]
        for number, row in enumerate(rows[1:], 2):
            if len(row) != len(header):
                raise self.error(f"{self.table}, row {number}: {len(row)} fields where the header has {len(header)}.")
        return {name: [row[i] for row in rows[1:]] for i, name in enumerate(header)}

    def _check_columns(self, given: LabelSet | None, *, unlabelled: bool) -> list[str]:
        """The class columns in class order ([] without). Renames `label` to `expression`."""
        need_column(self, "path", self._columns, where=self.table)
        if "label" in self._columns and "expression" not in self._columns:
            self._columns["expression"] = self._columns.pop("label")
        self._refuse_misspelt()
        by_word = {SYNONYMS.get(name.casefold(), name.casefold()): name for name in self._columns}
        found = [by_word.get(SYNONYMS.get(name, name)) for name in given.classes] if given else []
        if found and all(found):
            return [name for name in found if name]
        if "expression" not in self._columns and not unlabelled and "landmarks" not in self._columns:
            raise self.error(
                f"{self.table} has no column 'expression'.{nearest('expression', self._columns)} "
                "For one column a class, name their order with labels or classes."
            )
        return []

    def _refuse_misspelt(self) -> None:
        """A column that is nearly one of ours is a typing error, not a column to ignore."""
        for name in self._columns:
            free = [word for word in _OPTIONAL if len(word) > 2 and word not in self._columns]
            if name not in _OPTIONAL and (close := difflib.get_close_matches(name, free, n=1, cutoff=0.8)):
                raise self.error(f"{self.table} has a column {name!r}. Did you mean {close[0]!r}?")
        for what, names in (("a box", _BOX), ("a part of a file", _SPAN)):
            if 0 < sum(name in self._columns for name in names) < len(names):
                raise self.error(f"{self.table}: {what} needs all of {', '.join(names)}.")

    def _found_labels(self) -> LabelSet | None:
        if "expression" not in self._columns:
            return None
        words = [word for word in self._columns["expression"] if word is not None]
        return LabelSet(self.name, tuple(sorted({str(word).strip() for word in words})))

    def _split(self, word: Any) -> str:
        name = str(word).strip().lower()
        return SPLIT_WORDS.get(name, name)

    def _read(self, split: str) -> list[Sample]:
        splits = self._columns.get("split")
        seen: Counter[str] = Counter()
        samples = []
        for row, path in enumerate(self._columns["path"]):
            seen[path] += 1
            if splits is None or self._split(splits[row]) == split:
                samples.append(self._sample(row, split, seen[path]))
        present: dict[str, set[str]] = {}
        missing = []
        for sample in samples:
            folder, name = os.path.split(sample.path)
            if folder not in present:
                present[folder] = file_names(Path(folder))
            if name not in present[folder]:
                missing.append(sample.path)
        self.refuse_missing(missing, listed_in=self.table, total=len(samples))
        return samples

    def _sample(self, row: int, split: str, face: int) -> Sample:
        path = str(self._columns["path"][row]).strip()
        expression, distribution = self._label(row)
        key = self._word(row, "key") or path.replace("\\", "/") + (f"#{face}" if face > 1 else "")
        return Sample(
            key, Path(self.root, path), split, expression, distribution, self._box(row), self._landmarks(row),
            self._affect(row, "valence"), self._affect(row, "arousal"), self._word(row, "subject"),
            self._word(row, "clip"), self._span(row),
        )  # fmt: skip

    def _given(self, row: int, column: str) -> bool:
        return column in self._columns and self._columns[column][row] not in ("", None)

    def _word(self, row: int, column: str) -> str | None:
        return str(self._columns[column][row]).strip() or None if self._given(row, column) else None

    def _affect(self, row: int, column: str) -> float | None:
        if not self._given(row, column):
            return None
        value = self._number(row, column)
        if not -1 <= value <= 1:
            raise self._bad(row, f"{column} lies in -1..1; got {value:g}.")
        return value

    def _span(self, row: int) -> tuple[int, int] | None:
        if not self._given(row, "offset"):
            return None
        offset, length = self._number(row, "offset"), self._number(row, "length")
        if offset < 0 or length < 1 or offset % 1 or length % 1:
            raise self._bad(row, f"offset and length are whole bytes from 0 and 1; got {offset:g} and {length:g}.")
        return int(offset), int(length)

    def _landmarks(self, row: int) -> np.ndarray | None:
        """float32 [points, 2] or None."""
        if "landmarks" not in self._columns or (given := self._columns["landmarks"][row]) is None:
            return None
        try:
            points = np.array(given.split() if isinstance(given, str) else given, np.float32)
        except ValueError:
            raise self._bad(row, f"landmarks are numbers `x y x y ...`; got {str(given)[:40]!r}.") from None
        if len(points) % 2 or not np.isfinite(points).all():
            raise self._bad(row, f"landmarks are pairs of finite numbers; got {len(points)} values.")
        return points.reshape(-1, 2) if len(points) else None

    def _label(self, row: int) -> tuple[int | None, tuple[float, ...] | None]:
        if self.labels is None:
            return None, None
        named = self._class_of(row) if "expression" in self._columns else None
        if not self._class_columns or self._columns[self._class_columns[0]][row] is None:
            return named, None
        weights = [self._number(row, name) for name in self._class_columns]
        total = sum(weights)
        if total <= 0 or min(weights) < 0:
            raise self._bad(row, f"class columns must be at least 0 with a sum above 0; got {weights}.")
        distribution = tuple(weight / total for weight in weights)
        return weights.index(max(weights)) if named is None else named, distribution

    def _class_of(self, row: int) -> int | None:
        assert self.labels is not None
        word = self._columns["expression"][row]
        if word is None:  # Parquet's null: nobody labelled it; an empty word in a CSV is a mistake
            return None
        if word not in self._known:
            try:
                self._known[word] = self.labels.index(str(word))
            except MienError as error:
                raise self._bad(row, str(error)) from error
        return self._known[word]

    def _box(self, row: int) -> Box | None:
        if not self._given(row, "x0"):
            return None
        x0, y0, x1, y1 = (self._number(row, name) for name in _BOX)
        if not (x1 > x0 and y1 > y0):
            raise self._bad(row, f"a box needs x1 > x0 and y1 > y0; got {(x0, y0, x1, y1)}.")
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


def _parquet(path: Path) -> dict[str, Column]:
    """Columns of a Parquet file by arro3 (base install). Raises MienError when it is not one."""
    import arro3.io

    with path.open("rb") as file:
        if file.read(4) != b"PAR1":
            raise MienError(f"{path}: not a Parquet file. Is it a CSV? Then name it .csv.")
    try:
        table = arro3.io.read_parquet(str(path)).read_all()
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # arro3 panics on damaged files, and a panic is no Exception
        raise MienError(f"{path}: damaged Parquet file ({str(error).splitlines()[0][:80]}).") from error
    columns: dict[str, Any] = {name: table.column(name) for name in table.column_names}
    return {name: _lists(column) if name == "landmarks" else column.to_pylist() for name, column in columns.items()}


def _lists(column: Any) -> Column:
    """The rows of a list column as views of one array: 300,000 faces' points as Python numbers would take gigabytes."""
    from arro3.core import list_flatten, list_offsets

    chunk = column.combine_chunks()
    try:
        values, offsets = np.asarray(list_flatten(chunk), np.float32), np.asarray(list_offsets(chunk))
    except Exception:  # text, as in a CSV
        return list(column.to_pylist())
    return [values[first:last] for first, last in pairwise(offsets.tolist())]
