"""`mien convert`: the table of a run in the formats that other tools read, and `mien analyze --format`."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from mien.core.errors import MienError
from mien.engine.reading.output_folder import TABLE, OutputFolder, list_file
from mien.media.files import refuse_existing, writable_folder
from mien.media.tables import table_files
from mien.media.tables.stored import StoredTable, open_table


def convert(run: str, *, format_: list[str], output: str | None = None, overwrite: bool = False) -> str:
    """Write the table of a run in the formats of other tools: OpenFace, py-feat, JSON lines, COCO.

    What a format has and mien does not read is left out by name, never 0; the .json beside each CSV lists it with the
    reason.

    Args:
        run: folder that mien analyze wrote, or a .parquet or .csv of it.
        format_: openface (OpenFace 2.2's CSV), fex (py-feat's Fex), jsonl (a reading a line) or coco (keypoints);
            several separated by commas, or repeated.
        output: file to write; for several formats a folder. By default beside the table.
        overwrite: replace files of an earlier conversion.
    """
    from mien.runtime.formats import FORMATS, files_of, formats_of

    names, table = formats_of(format_), open_table(run)
    if not names:
        raise MienError(f"--format names no format. Known: {', '.join(FORMATS)}.")
    target = _target(output, names, table)
    paths = {name: target(FORMATS[name].file) for name in names}
    refuse_existing((path for name in names for path in files_of(name, paths[name])), overwrite=overwrite)
    beside = output is None and table.path.stem == TABLE
    return "\n".join(write_formats(table, paths, listed_in=table.path.parent if beside else None))


def _target(output: str | None, names: Sequence[str], table: StoredTable) -> Callable[[str], Path]:
    """Where the file of a format goes, by its usual name."""
    if output is None:
        return lambda file: table.path.parent / file
    path = Path(output)
    if len(names) > 1 or not path.suffix or path.is_dir():
        folder = writable_folder(path)
        return lambda file: folder / file
    if path.resolve() in [file.resolve() for file in table_files(table.path)]:
        raise MienError(f"--output {output} is the table itself. Name another file.")
    writable_folder(path.parent)
    return lambda file: path


def write_formats(table: StoredTable, paths: dict[str, Path], *, listed_in: Path | None = None) -> Iterable[str]:
    """Writes each format; a line for each. listed_in: the run's folder, whose list of files gets them."""
    from mien.runtime.formats import FORMATS, files_of

    for name, path in paths.items():
        for file in files_of(name, path) if listed_in else ():
            list_file(listed_in or Path(), file.name)
        FORMATS[name].write(table, path)
        yield f"{path}  {FORMATS[name].title}"


def write_formats_of(out: OutputFolder, names: Sequence[str]) -> Iterable[str]:
    """Of a run that has just ended, into its folder."""
    from mien.runtime.formats import FORMATS

    if not names:
        return []
    table = open_table(out.table.with_suffix(".parquet"))
    return list(write_formats(table, {name: out.folder / FORMATS[name].file for name in names}, listed_in=out.folder))
