"""The folder that a run of `mien analyze` writes into: one run at a time, and never two runs' files side by side."""

import json
import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

from mien.core.errors import MienError
from mien.media.files import sweep
from mien.media.streams.segments import remove_segments
from mien.media.tables import table_files

TABLE, VOICES = "readings", "voice"
OVERLAYS, SHEET, POINTS, MESHES = "overlays", "contact_sheet", "points", "meshes"
FOLDERS = (OVERLAYS, POINTS, MESHES)
REPORT = "report.html"  # of mien report; mien asymmetry's page has the same name
FILES, LOCK = "files.jsonl", ".mien.lock"
STATE = f"{TABLE}.state.npz"  # of a half-read video
SEGMENTS = f"{TABLE}.segments"  # folder of the overlay video of a half-read video
LANDMARK_FILES = (".png", ".pts", ".obj", ".html")  # suffixes of what mien landmarks writes
FORMATTED = r"readings(_openface|_fex|_coco)?\.(csv|json|jsonl)|report\.html"  # of the formats and of mien report
# Whole names of what mien asymmetry writes.
ASYMMETRY_FILES = r"report\.html|measures\.(csv|json)|changes\.csv|curves_\d+\.csv"


class OutputFolder:
    """As a context manager it is locked: a second run is refused as long as the first one's process lives.

    folder: it exists. resume: what is there stays. overwrite: an earlier run's own files, which it listed in
    files.jsonl, may go (`begin`). suffixes: of files that this command writes beside its table, in no folder of their
    own. Raises MienError for a folder with an earlier run where neither is asked for, and with another command's files.
    """

    def __init__(
        self, folder: Path, *, resume: bool = False, overwrite: bool = False, suffixes: tuple[str, ...] = ()
    ) -> None:
        if resume and overwrite:
            raise MienError("--resume goes on with the earlier readings, --overwrite deletes them: name one of them.")
        self.folder, self.resume, self.overwrite, self.suffixes = folder, resume, overwrite, suffixes
        self.table = folder / TABLE
        """Of the table, without suffix."""
        self.segments = folder / SEGMENTS
        self._lock = ExitStack()
        self._list: IO[str] | None = None

    def __enter__(self) -> "OutputFolder":
        with ExitStack() as stack:
            stack.enter_context(one_run(self.folder))
            self._check()
            self._lock = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        if self._list is not None:
            self._list.close()
        self._lock.close()

    def begin(self) -> None:
        """Deletes an earlier run's files where that is asked for; everything else that can fail should be done.

        Of a killed run that is gone on with, only the half files.
        """
        sweep(self.folder, TABLE, SHEET)
        for name in (*FOLDERS, SEGMENTS):
            sweep(self.folder / name)
        if not self.overwrite:
            return
        remove_segments(self.segments)
        for path in [*self._listed(), *self._tables(), self.folder / FILES, self.folder / STATE]:
            path.unlink(missing_ok=True)
        for name in FOLDERS:
            if any_in(self.folder / name):
                raise MienError(
                    f"{self.folder / name} holds files that no run has listed in {FILES}, which --overwrite leaves "
                    "alone. Move them, or name another --output."
                )

    def _tables(self) -> Iterator[Path]:
        """The files of an earlier run's tables; commands with files beside their table read no voices."""
        yield from table_files(self.table)
        if not self.suffixes:
            yield from table_files(self.folder / VOICES)

    def new_file(self, *parts: str) -> Path:
        """The path of a file that is about to be written; it is listed first, so that a kill leaves none unlisted.

        Raises MienError where a file of that name stands beside the table that no run has listed: it is the user's.
        """
        if self.suffixes and self.folder.joinpath(*parts).exists():
            raise MienError(
                f"{self.folder.joinpath(*parts)} is there and was not written by this command. Name another --output."
            )
        if self._list is None:
            self._list = (self.folder / FILES).open("a", encoding="utf-8")
        self._list.write(json.dumps("/".join(parts)) + "\n")
        self._list.flush()
        return self.folder.joinpath(*parts)

    def remove_file(self, *parts: str) -> None:
        """Of that path, where this run or an earlier start of it has listed it."""
        if list(parts) in self._listed_parts():
            self.folder.joinpath(*parts).unlink(missing_ok=True)

    def _listed(self) -> Iterator[Path]:
        """The files that files.jsonl names and this command writes; nothing else, whatever stands in it."""
        return (self.folder.joinpath(*parts) for parts in self._listed_parts() if self._is_own(parts))

    def _is_own(self, parts: list[str]) -> bool:
        if any(part in ("", ".", "..") or "\\" in part for part in parts):
            return False
        in_room = len(parts) == 2 and parts[0] in FOLDERS
        alone = len(parts) == 1 and (
            parts[0].startswith(SHEET)
            or parts[0].endswith(self.suffixes or ("\0",))
            or re.fullmatch(FORMATTED, parts[0]) is not None
        )
        return in_room or alone

    def _listed_parts(self) -> Iterator[list[str]]:
        path = self.folder / FILES
        if not path.is_file():
            return
        with path.open(encoding="utf-8") as file:
            for line in file:
                with suppress(json.JSONDecodeError):  # the line that a kill cut off
                    yield str(json.loads(line)).split("/")

    def _check(self) -> None:
        listed = [parts[0] for parts in self._listed_parts() if len(parts) == 1 and parts[0] != REPORT]
        alone = [name for name in listed if name.endswith(LANDMARK_FILES)]
        foreign = [] if self.suffixes else [self.folder / name for name in alone]
        foreign += table_files(self.table) if self.suffixes else ()
        own = set(self._listed())
        foreign += [p for p in self.folder.iterdir() if re.fullmatch(ASYMMETRY_FILES, p.name) and p not in own]
        if there := [path for path in foreign if path.is_file()]:
            raise MienError(
                f"{self.folder} holds the results of another command ({there[0].name}). Name another --output."
            )
        earlier = [path for path in self._tables() if path.exists()]
        earlier += [self.folder / name for name in FOLDERS if any_in(self.folder / name)]
        earlier += sorted(self.folder.glob(f"{SHEET}*.jpg")) + [path for path in self._listed() if path.is_file()]
        if earlier and not (self.resume or self.overwrite):
            raise MienError(
                f"{self.folder} holds the results of an earlier run ({earlier[0].name}). Add "
                f"{'' if self.suffixes else '--resume to go on with them or '}--overwrite to replace them, or name "
                "another --output."
            )


def list_file(folder: Path, name: str) -> None:
    """Adds a file of a finished run, made from its table, to the run's list, so that --overwrite takes it away too."""
    with (folder / FILES).open("a", encoding="utf-8") as file:
        file.write(json.dumps(name) + "\n")


def earlier_results(folder: Path, names: str, *, overwrite: bool) -> list[Path]:
    """The files of the folder whose whole name that regular expression matches: an earlier run's, to be deleted.

    Raises MienError where there are some and overwrite is not asked for.
    """
    if (folder / FILES).is_file() or (folder / f"{TABLE}.csv").is_file():
        raise MienError(f"{folder} holds the results of another command. Name another --output.")
    found = sorted(path for path in folder.iterdir() if re.fullmatch(names, path.name) and path.is_file())
    if found and not overwrite:
        raise MienError(
            f"{folder} holds the results of an earlier run ({found[0].name}). Add --overwrite to replace them, or name "
            "another --output."
        )
    return found


@contextmanager
def one_run(folder: Path) -> Iterator[None]:
    """The folder is this process's meanwhile. Raises MienError while another one writes into it."""
    file = _locked(folder / LOCK, folder)
    try:
        yield
    finally:
        (folder / LOCK).unlink(missing_ok=True)
        os.close(file)


def any_in(folder: Path) -> bool:
    """Whether there is such a folder with something in it."""
    return folder.is_dir() and next(folder.iterdir(), None) is not None


def _locked(path: Path, folder: Path) -> int:
    """The open lock file with this process's number in it. Raises MienError while another process holds it.

    The kernel's lock goes with its process, so what a kill leaves behind is no obstacle. Where there is none (network
    file systems), the number in the file says whether its process still runs.
    """
    while True:
        try:
            file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise MienError(f"Cannot write {path}: {error.strerror}. Name another --output.") from error
        owner = os.read(file, 20).decode("ascii", "replace").strip()
        if not _alone(file, owner):
            os.close(file)
            raise MienError(
                f"{folder}: another run (process {owner}) writes into it. Wait for it, or name another --output."
            )
        if path.exists() and os.fstat(file).st_ino == path.stat().st_ino:
            break
        os.close(file)  # its owner has just deleted it
    os.ftruncate(file, 0)
    os.pwrite(file, str(os.getpid()).encode(), 0)
    return file


def _alone(file: int, owner: str) -> bool:
    try:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return False
    except (ImportError, OSError):
        return not (owner.isdigit() and int(owner) != os.getpid() and _runs(int(owner)))


def _runs(process: int) -> bool:
    if os.name != "posix":  # there os.kill would end it
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
