"""`mien report`: one self-contained page of a run, from its table; `mien analyze --report` writes it too."""

from pathlib import Path

from mien.core.errors import MienError, printable
from mien.engine.reading.output_folder import REPORT, TABLE, OutputFolder, list_file
from mien.media.files import refuse_existing, writable_folder
from mien.media.tables.stored import StoredTable, open_table


def report(run: str, *, output: str | None = None, pictures: bool = True, overwrite: bool = False) -> str:
    """Write one page (HTML) on a run: expressions over time, valence and arousal, pose, best faces, quality, limits.

    The page holds all its pictures and opens offline in any browser. It shows what the table has; faces are cut out of
    the videos and photos where these can still be read.

    Args:
        run: folder that mien analyze wrote, or a .parquet or .csv of it.
        output: the page; by default report.html in the run's folder.
        pictures: show faces; --no-pictures leaves them out.
        overwrite: replace an earlier page.
    """
    table = open_table(run)
    path = Path(output) if output else table.path.parent / REPORT
    if path.suffix.lower() not in (".html", ".htm"):
        raise MienError(f"--output {path}: the page is an HTML file. Name one, such as report.html.")
    writable_folder(path.parent)
    refuse_existing([path], overwrite=overwrite)
    if output is None and table.path.stem == TABLE:
        list_file(path.parent, path.name)
    return _written(table, path, pictures=pictures)


def write_report_of(out: OutputFolder) -> str:
    """Of a run that has just ended, into its folder."""
    return _written(open_table(out.table.with_suffix(".parquet")), out.new_file(REPORT), pictures=True)


def _written(table: StoredTable, path: Path, *, pictures: bool) -> str:
    from mien.engine.reading.page.gather import gather
    from mien.engine.reading.page.sections import sections_of
    from mien.engine.reading.page.thumbnails import thumbnails
    from mien.report.page import write_page

    facts = gather(table)
    if not facts.rows:
        raise MienError(f"{table.path} has no rows, so there is nothing to report.")
    wanted = [best for video in facts.videos for best in video.best.values()]
    wanted += [best for found in facts.best.values() for best in found]
    shown = thumbnails(wanted) if pictures else {}
    first = printable(facts.sources[0][0])
    rest = facts.video_count + facts.photo_count - 1
    subtitle = first if not rest else f"{first} and {rest:,} more"
    write_page(path, "Faces read", sections_of(facts, table.description, shown), subtitle=subtitle)
    size = path.stat().st_size
    return f"{path}  {size / 1e6:.1f} MB" if size >= 1e5 else f"{path}  {size / 1e3:.0f} kB"
