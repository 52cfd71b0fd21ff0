"""The user's own list: a CSV or Parquet table, one face a row. What is in it is said by the names of its columns.

path (below the table's folder, or absolute); expression, or label (a class name), or one column of votes or
probabilities a class; split, subject; x0, y0, x1, y1 (the face's box in picture pixels, edges). Other columns are
ignored. A picture may have several rows; their keys are then the path and `#2`, `#3`, ...
"""

import csv
import difflib
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mien.core.errors import MienError, nearest
from mien.core.labels import SYNONYMS, LabelSet, label_set
from mien.core.records import Box, Sample
from mien.data.readers.reader import SPLIT_WORDS, Reader, file_names, need_column

_BOX = ("x0", "y0", "x1", "y1")
_OPTIONAL = ("expression", "split", "subject", *_BOX)
Column = list[Any]


class Manifest(Reader):
    """A table of samples; `root` is the file, or a folder with `manifest.csv` or `manifest.parquet`.

    labels: a published order by name. classes: an order of the user's own. Neither: the sorted names in the column.
    Class columns are read when `labels` or `classes` says which they are. Without a split column all rows are "all".
    """

    name = "manifest"

    def __init__(self, root: Path, *, labels: str | None = None, classes: Sequence[str] | None = None) -> None:
        super().__init__(root.parent if root.is_file() else root)
        self.table = root if root.is_file() else self._find(root)
        given = label_set(self.name, classes) if classes is not None else label_set(labels) if labels else None
        self._columns = self._load()
        self._known: dict[Any, int] = {}  # class words that were met
        self._class_columns = self._check_columns(given)
        self.labels = given or self._found_labels()
        splits = [self._split(word) for word in self._columns.get("split", ["all"])]
        self.splits = tuple(dict.fromkeys(sorted(splits, key=_split_order)))

    def _find(self, root: Path) -> Path:
        for name in ("manifest.parquet", "manifest.csv"):
            if (root / name).is_file():
                return root / name
        raise self.error(f"no manifest.csv or manifest.parquet under {root}. Name the table itself as the root.")

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

    def _check_columns(self, given: LabelSet | None) -> list[str]:
        """The class columns in class order ([] without). Renames `label` to `expression`."""
        need_column(self, "path", self._columns, where=self.table)
        if "label" in self._columns and "expression" not in self._columns:
            self._columns["expression"] = self._columns.pop("label")
        self._refuse_misspelt()
        by_word = {SYNONYMS.get(name.casefold(), name.casefold()): name for name in self._columns}
        found = [by_word.get(SYNONYMS.get(name, name)) for name in given.classes] if given else []
        if found and all(found):
            return [name for name in found if name]
        if "expression" not in self._columns:
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
        if 0 < sum(name in self._columns for name in _BOX) < 4:
            raise self.error(f"{self.table}: a box needs all of x0, y0, x1, y1.")

    def _found_labels(self) -> LabelSet:
        return LabelSet(self.name, tuple(sorted({str(word).strip() for word in self._columns["expression"]})))

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
        subject = self._columns["subject"][row] if "subject" in self._columns else None
        expression, distribution = self._label(row)
        key = path.replace("\\", "/") + (f"#{face}" if face > 1 else "")
        return Sample(
            key, Path(self.root, path), split, expression, distribution, self._box(row),
            subject=None if subject is None else str(subject).strip() or None,
        )  # fmt: skip

    def _label(self, row: int) -> tuple[int, tuple[float, ...] | None]:
        assert self.labels is not None
        if not self._class_columns:
            word = self._columns["expression"][row]
            if word not in self._known:
                try:
                    self._known[word] = self.labels.index(str(word))
                except MienError as error:
                    raise self._bad(row, str(error)) from error
            return self._known[word], None
        weights = [self._number(row, name) for name in self._class_columns]
        total = sum(weights)
        if total <= 0 or min(weights) < 0:
            raise self._bad(row, f"class columns must be at least 0 with a sum above 0; got {weights}.")
        return weights.index(max(weights)), tuple(weight / total for weight in weights)

    def _box(self, row: int) -> Box | None:
        if "x0" not in self._columns or self._columns["x0"][row] in ("", None):
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
    return {name: column.to_pylist() for name, column in columns.items()}
