"""A data set on its way into a prepared folder: what was begun, what is left, and the note that says how."""

import csv
import json
import shutil
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mien import __version__
from mien.cli.progress import progress_bar
from mien.cli.text import columns
from mien.core.errors import MienError
from mien.data.parallel import cores, parallel_map
from mien.data.preparation.face_crop import Preparation
from mien.data.preparation.prepared import PARTS, Part, parts_of, write_part, write_tables
from mien.data.readers import Reader
from mien.data.splits import split_hash
from mien.engine.reading.output_folder import LOCK, one_run
from mien.media.files import refuse_inside, sha256_of, write_text

NOTE = "prepared.json"
MANY_PICTURES = 100  # from here on processes are worth their start of half a second each
MANY = 0.1  # share of failures from which a word on the detector is due


class PrepareRun:
    """One set on its way into one folder."""

    def __init__(
        self, reader: Reader, folder: Path, how: Preparation, *, shards: bool, options: dict[str, Any]
    ) -> None:
        self.reader, self.folder, self.how, self.shards = reader, folder, how, shards
        refuse_inside(folder, reader.root)
        self.splits = {split: reader.samples(split) for split in reader.splits}
        if not any(sample.has_picture for samples in self.splits.values() for sample in samples):
            raise reader.error("these are voices alone: there is no face to prepare. Train on the set as it is.")
        self.parts = parts_of(self.splits, folder, how, labels=reader.labels, shards=shards)
        self.note = self._note(options)

    def through(self, workers: int | None) -> str:
        """Prepares what is left to do. Returns the summary."""
        before = _state_of(self.folder)
        _refuse_other(self.folder, before, self.note)
        if before.get("state") == "complete":
            if _files(self.folder) != before["files"]:
                raise MienError(f"{self.folder} was complete, and files are gone from it. Delete it to prepare anew.")
            return f"{self.folder} is complete already.\n{self._summary(before)}"
        self._write({"state": "unfinished"})
        with one_run(self.folder):
            return self._finished(workers)

    def _finished(self, workers: int | None) -> str:
        self._work([part for part in self.parts if not part.is_done()], workers)
        counts = write_tables(self.folder, self.parts, self.splits, self.reader.labels)
        note: dict[str, Any] = {"state": "complete", "counts": counts, "failures": _reasons(self.folder)}
        note["files"] = _files(self.folder)
        if not any(split["prepared"] for split in counts.values()):
            raise MienError(f"No face could be prepared. Reasons: {self.folder / 'failures.csv'}.{_advice(note, ' ')}")
        self._write(note)
        _clear(self.folder / PARTS)
        return self._summary(note)

    def _work(self, parts: list[Part], workers: int | None) -> None:
        _sweep(self.folder)
        total, left = (sum(len(part.samples) for part in each) for each in (self.parts, parts))
        workers = workers or (cores() if left >= MANY_PICTURES else 1)
        with progress_bar("preparing faces", total) as advance:
            advance(total - left)
            for position, _ in parallel_map(write_part, parts, workers=workers):
                advance(len(parts[position].samples))

    def _note(self, options: dict[str, Any]) -> dict[str, Any]:
        """What makes the result: equal notes mean equal bytes."""
        labels = self.reader.labels
        how = asdict(self.how) | {"weights": _weights_hash(self.how.weights)}
        return {
            "mien": __version__,
            "data": self.reader.name,
            "reader": options,
            "labels": {"name": labels.name, "classes": list(labels.classes)} if labels else None,
            "splits": {split: split_hash(samples) for split, samples in self.splits.items()},
            "format": "shards" if self.shards else "folder",
            "preparation": how,
            "input": self.how.spec.to_dict(),
        }

    def _write(self, state: dict[str, Any]) -> None:
        write_text(self.folder / NOTE, json.dumps(self.note | state, indent=2) + "\n")

    def _summary(self, note: dict[str, Any]) -> str:
        rows = [[split, f"{n['prepared']:,}", "of", f"{n['faces']:,}", "faces"] for split, n in note["counts"].items()]
        failures = ", ".join(f"{reason} {count:,}" for reason, count in note["failures"].items())
        summary = f"{columns(rows)}\n{failures or 'no failures'}{': failures.csv' if failures else ''}"
        notes = "".join(f"\nnote: {text}" for text in self.reader.notes)
        return f"{summary}{_advice(note)}{notes}\nTrain on it: --data.name manifest --data.root {self.folder}"


def _state_of(folder: Path) -> dict[str, Any]:
    """prepared.json of an earlier run; {} for a folder that is new or empty. Raises MienError for any other folder."""
    if folder.exists() and not folder.is_dir():
        raise MienError(f"--output {folder} is a file. Name a folder.")
    if not folder.is_dir() or not any(folder.iterdir()):
        return {}
    path = folder / NOTE
    if not path.is_file():
        raise MienError(f"--output {folder} is not empty, and no {NOTE} in it says that mien wrote it. Name a new one.")
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except ValueError as error:
        raise MienError(f"{path} is damaged. Delete {folder}, or name another --output.") from error


def _refuse_other(folder: Path, before: dict[str, Any], now: dict[str, Any]) -> None:
    """Raises MienError where the folder was begun in another way, with what differs."""
    now = json.loads(json.dumps(now))
    names = [name for name in now if name != "input" and before.get(name) != now[name]]  # input follows from the rest
    changed = [_change(name, before.get(name), now[name]) for name in names]
    if before and changed:
        raise MienError(
            f"{folder} was begun otherwise: {'; '.join(changed)}. Give the same options to go on, name another "
            "--output, or delete it to begin anew."
        )


def _change(name: str, before: Any, now: Any) -> str:
    if isinstance(before, dict) and isinstance(now, dict):
        names = [key for key in now if before.get(key) != now[key]]
        if names:
            return ", ".join(_change(key, before.get(key), now[key]) for key in names)
    return f"{name} {before}, now {now}"


def _weights_hash(path: str | None) -> str | None:
    return sha256_of(Path(path))[:12] if path and Path(path).is_file() else path


def _reasons(folder: Path) -> dict[str, int]:
    with (folder / "failures.csv").open(encoding="utf-8", newline="") as file:
        return dict(Counter(row["reason"] for row in csv.DictReader(file)).most_common())


def _advice(note: dict[str, Any], gap: str = "\n") -> str:
    """A word on the detector where it found too few."""
    faces = sum(split["faces"] for split in note["counts"].values())
    if note["failures"].get("no face", 0) <= MANY * faces:
        return ""
    return f"{gap}Many pictures without a face: if the set is crops already, --detector none keeps their own framing."


def _files(folder: Path) -> int:
    """Pictures or shards, and the table, that lie in the folder."""
    return sum(path.suffix in (".jpg", ".png", ".tar", ".parquet") for path in folder.rglob("*.*"))


def _sweep(folder: Path) -> None:
    """Takes away what a killed run left half written (hidden files beside their targets)."""
    for path in folder.rglob(".*.*"):
        if path.is_file() and path.name != LOCK:
            path.unlink(missing_ok=True)


def _clear(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
