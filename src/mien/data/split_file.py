"""A split written down: which face stands in which part, in a CSV that people can read (reader: readers/divided.py).

    # mien split, version 1
    # data: ferplus
    # within: train, valid
    # seed: 0
    # rule: train 0.8, valid 0.1, test 0.1; classes in equal shares; subjects, clips and near-duplicates together
    # hash: 5f0c1d2e3a4b
    key,part
    FER2013Train/fer0000000.png,train

With folds the parts are numbers, and `--data.fold K` makes part K the test split and all others train. The hash is that
of the lines below it; without a `hash` line the file is taken as it is.
"""

import csv
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mien.core.errors import MienError
from mien.data.splits import SPLIT_NAMES
from mien.media.files import home_expanded, write_text

_FIRST = "# mien split, version 1"


@dataclass(frozen=True)
class SplitFile:
    """What a split file says."""

    data: str
    """Name of the data set's reader."""
    within: tuple[str, ...]
    """Splits of the data set that were divided anew."""
    seed: int
    """Of the division."""
    rule: str
    """How it was divided, in words."""
    parts: Mapping[str, str]
    """Key of a face → its part."""

    @property
    def names(self) -> tuple[str, ...]:
        """Of the parts: train, valid, test first, numbers in order."""
        known = ("train", "valid", "test")
        found = sorted(set(self.parts.values()), key=lambda part: (len(part), part))
        return (*(part for part in known if part in found), *(part for part in found if part not in known))

    @property
    def is_folds(self) -> bool:
        return all(part.isdigit() for part in self.names)

    @property
    def hash(self) -> str:
        """First 12 digits of SHA-256 over the sorted lines `key<TAB>part`."""
        lines = sorted(f"{key}\t{part}" for key, part in self.parts.items())
        return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()[:12]

    def write(self, path: Path) -> None:
        """The file, whole or not at all."""
        head = {"data": self.data, "within": ", ".join(self.within), "seed": self.seed, "rule": self.rule}
        lines = [_FIRST, *(f"# {name}: {value}" for name, value in (head | {"hash": self.hash}).items()), "key,part"]
        lines += [f"{_quoted(key)},{part}" for key, part in sorted(self.parts.items())]
        write_text(path, "\n".join(lines) + "\n")


def read_split_file(path: Path | str) -> SplitFile:
    """Raises MienError for a file that is missing, no split file, or not what its hash says."""
    path = home_expanded(path)
    if not path.is_file():
        raise MienError(f"No split file {path}. Make one: mien data split NAME --root DIR --output {path.name}.")
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise MienError(f"{path} is not UTF-8 text (byte {error.start}). Save it as UTF-8.") from error
    head = {found[1]: found[2] for line in lines if (found := re.match(r"# (\w+): ?(.*)", line))}
    rows = list(csv.reader(line for line in lines if line.strip() and not line.startswith("# ")))
    if not rows or rows[0] != ["key", "part"]:
        raise MienError(f"{path} is no split file: it has no line `key,part`. See docs/data.md, Splits.")
    parts = {row[0]: row[1] for row in rows[1:] if len(row) == 2}
    if len(parts) != len(rows) - 1:
        raise MienError(f"{path}: each line is one key and its part, each key once; {len(rows) - 1} lines, "
                        f"{len(parts)} keys.")  # fmt: skip
    within = tuple(item.strip() for item in head.get("within", "").split(",") if item.strip())
    seed = int(head["seed"]) if head.get("seed", "").isdigit() else 0
    file = SplitFile(head.get("data", ""), within, seed, head.get("rule", "made by hand"), parts)
    if head.get("hash", file.hash) != file.hash:
        raise MienError(
            f"{path} was changed after it was made: its hash says {head['hash']}, its lines {file.hash}. "
            "Make it anew, or delete the `# hash` line to take it as yours."
        )
    return file


def parts_from(text: str) -> dict[str, float]:
    """`train=.8,valid=.1,test=.1` → shares. Raises MienError for other words, shares that are not above 0, or one."""
    shares: dict[str, float] = {}
    for item in text.split(","):
        name, _, share = item.strip().partition("=")
        name = SPLIT_NAMES.get(name, name)
        try:
            shares[name] = float(share)
        except ValueError:
            shares[name] = 0.0
        if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or not 0 < shares[name] < float("inf"):
            raise MienError(f"--parts is like train=.8,valid=.1,test=.1, shares above 0; got {item.strip()!r}.")
    if len(shares) < 2:
        raise MienError(f"--parts needs two parts or more; got {text!r}.")
    return shares


def _quoted(key: str) -> str:
    return '"' + key.replace('"', '""') + '"' if any(c in key for c in ',"#') else key
