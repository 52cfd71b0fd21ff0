"""A run of `mien render`: what is done already, what is left, and the tables that say what became of every photo."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from mien import __version__
from mien.cli.progress import progress_bar
from mien.core.errors import MienError
from mien.data.parallel import cores, parallel_map
from mien.data.splits import SPLIT_NAMES
from mien.engine.reading.output_folder import one_run
from mien.engine.reading.output_names import OutputNames
from mien.engine.reading.render.task import (
    PARAMETERS,
    PHOTOS,
    RENDERS,
    PhotoTask,
    Rendered,
    RenderOptions,
    render_photo,
)
from mien.media.files import atomic_path, printable, sweep, write_csv, write_text

NOTE, MANIFEST, FAILURES, ARRAYS, DONE = "render.json", "manifest.csv", "failures.csv", "parameters.npz", "done.jsonl"
ROWS = ("camera", "pose", "shape", "expression", "jaw", "lids")
SPLITS = ("train", "valid", "test")
MANY_PHOTOS = 16  # a photo takes a tenth of a second, the start of a process two or three


class RenderRun:
    """The photos on their way into one folder. by_folder: their folders are their expressions."""

    def __init__(self, files: Sequence[Path], folder: Path, options: RenderOptions, *, by_folder: bool) -> None:
        self.files, self.folder, self.options, self.by_folder = list(files), folder, options, by_folder
        self.note = self._note()
        names = OutputNames(self.files)
        self.tasks = [PhotoTask(path, _plain(names.stem(path)), options) for path in self.files]

    def through(self, workers: int | None) -> str:
        """Renders what is left to do, then writes the tables. Returns the summary.

        Raises MienError for a folder of another command or of other options, and where no photo has a face.
        """
        _refuse_other(self.folder, self.note)
        with one_run(self.folder):
            write_text(self.folder / NOTE, json.dumps(self.note, indent=1) + "\n")
            done = self._earlier()
            self._work([task for task in self.tasks if str(task.path) not in done], workers, done)
            return self._tables(done)

    def _work(self, tasks: Sequence[PhotoTask], workers: int | None, done: dict[str, Rendered]) -> None:
        workers = workers or (cores() if len(tasks) >= MANY_PHOTOS else 1)
        for name in (PHOTOS, RENDERS, PARAMETERS):
            sweep(self.folder / name)
        with progress_bar("rendering faces", len(self.tasks)) as advance, self._log() as log:
            advance(len(self.tasks) - len(tasks))
            for position, result in parallel_map(render_photo, tasks, workers=workers):
                path = str(tasks[position].path)
                done[path] = result
                log.write(json.dumps([printable(path), list(result.stems), result.reason]) + "\n")
                log.flush()
                advance(1)

    def _log(self) -> Any:
        return (self.folder / DONE).open("a", encoding="utf-8")

    def _earlier(self) -> dict[str, Rendered]:
        """Photos whose faces an earlier start of this run has written; failures are tried again."""
        path, found = self.folder / DONE, dict[str, Rendered]()
        if not path.is_file():
            return found
        known = {printable(str(task.path)): str(task.path) for task in self.tasks}
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                photo, stems, _ = json.loads(line)
            except ValueError:  # the line that a kill cut off
                continue
            written = all((self.folder / PARAMETERS / f"{stem}.json").is_file() for stem in stems)
            if photo in known and stems and written:
                found[known[photo]] = Rendered(tuple(stems))
        return found

    def _tables(self, done: dict[str, Rendered]) -> str:
        rows = list(self._rows(done))
        failures = [(printable(str(t.path)), done[str(t.path)].reason) for t in self.tasks if done[str(t.path)].reason]
        write_csv(self.folder / FAILURES, ("photo", "reason"), failures)
        if not rows:
            raise MienError(f"No face could be rendered. Reasons: {self.folder / FAILURES}. First: {failures[0][1]}.")
        header = list(dict.fromkeys(name for row in rows for name in row))
        write_csv(self.folder / MANIFEST, header, [[row.get(name, "") for name in header] for row in rows])
        self._write_arrays([row["key"] for row in rows])
        reasons = ", ".join(
            f"{reason[:60]} {count:,}" for reason, count in Counter(r for _, r in failures).most_common(4)
        )
        lines = [
            f"{len(rows):,} faces of {len(self.tasks):,} photos in {self.folder}",
            f"{len(failures):,} photos without a face ({reasons}): {FAILURES}" if failures else "no failures",
        ]
        return "\n".join([*lines, f"Train on it: --data.name manifest --data.root {self.folder}"])

    def _rows(self, done: dict[str, Rendered]) -> Iterator[dict[str, Any]]:
        """A row of the manifest for each face, in the order of the photos."""
        for task in self.tasks:
            for stem in done[str(task.path)].stems:
                values = json.loads((self.folder / PARAMETERS / f"{stem}.json").read_text(encoding="utf-8"))
                points = " ".join(f"{value:.2f}" for point in values["landmarks_px"] for value in point)
                row = {"key": stem, "path": f"{PHOTOS}/{stem}.png", "render": f"{RENDERS}/{stem}.png"}
                yield row | self._labels(task.path) | {"landmarks": points, "photo": values["photo"]}

    def _labels(self, path: Path) -> dict[str, str]:
        if not self.by_folder:
            return {}
        folder = path.absolute().parent  # a link's own folder, not that of the picture that it leads to
        above = folder.parent.name.lower()
        split = SPLIT_NAMES.get(above, above)
        return {"expression": folder.name} | ({"split": split} if split in SPLITS else {})

    def _write_arrays(self, stems: Sequence[str]) -> None:
        """parameters.npz: a row for each row of the manifest."""
        held = [json.loads((self.folder / PARAMETERS / f"{stem}.json").read_text(encoding="utf-8")) for stem in stems]
        arrays = {name: np.array([values[name] for values in held], np.float32) for name in ROWS}
        names = {"key": np.array(stems), "expression_names": np.array(held[0]["expression_names"])}
        with atomic_path(self.folder / ARRAYS) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, **arrays, **names)  # type: ignore[arg-type]

    def _note(self) -> dict[str, Any]:
        """What makes the result: equal notes mean equal files."""
        how = asdict(self.options)
        del how["folder"]
        return {"mien": __version__, "render": how, "labels": "folders" if self.by_folder else "none"}


def _plain(stem: str) -> str:
    """A file name that CSV, JSON and every file system take."""
    return printable(stem).replace("\\", "_")


def _refuse_other(folder: Path, note: dict[str, Any]) -> None:
    """Raises MienError for a folder that is not empty and not this run's."""
    path = folder / NOTE
    if not path.is_file():
        if folder.is_dir() and any(folder.iterdir()):
            raise MienError(f"--output {folder} is not empty, and no {NOTE} in it says that mien render wrote it.")
        return
    try:
        before = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise MienError(f"{path} is damaged. Delete {folder}, or name another --output.") from error
    if not isinstance(before, dict) or before.get("render") != note["render"]:
        raise MienError(
            f"{folder} was begun with other options ({NOTE}). Give the same ones to go on, or name another --output."
        )
