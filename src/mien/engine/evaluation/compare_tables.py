"""Finds the tables that two evaluations have in common, and compares the models by them."""

from pathlib import Path

from rich.table import Table

from mien.cli.text import plain_console
from mien.core.errors import MienError
from mien.engine.evaluation.comparison import Comparison
from mien.engine.evaluation.options import Bootstrap
from mien.engine.evaluation.page import difference_rows
from mien.engine.evaluation.task import TASKS, Task, task_of


def compare_tables(first: str, second: str, bootstrap: Bootstrap) -> dict[str, Comparison]:
    """By output; its name is "" where a folder holds the tables of one output only. Prints every comparison.

    Raises MienError where the two have no table of one kind, and for tables that do not compare.
    """
    tables = [tables_of(Path(path)) for path in (first, second)]
    found: dict[str, Comparison] = {}
    for output, kind in tables[0]:
        if (output, kind) in tables[1]:
            paths = tables[0][output, kind], tables[1][output, kind]
            found[output] = task_of(kind).compare_tables(*paths, (first, second), bootstrap)
            print_comparison(found[output], title=output)
    if not found:
        known = [", ".join(f"{output} ({kind})".strip() for output, kind in each) for each in tables]
        raise MienError(f"{first} and {second} have no output in common: {known[0]}; {known[1]}.")
    return found


def tables_of(path: Path) -> dict[tuple[str, str], Path]:
    """(output, kind) → table, of a folder that `mien evaluate` wrote, or of one table."""
    tasks = {kind: task_of(kind) for kind in TASKS}
    if path.is_file():
        return {("", _kind_of(path, tasks)): path}
    folders = {"": path} | {folder.name: folder for folder in sorted(path.glob("*/")) if folder.is_dir()}
    found = {
        (output, kind): folder / task.table
        for output, folder in folders.items()
        for kind, task in tasks.items()
        if (folder / task.table).is_file()
    }
    own = {key: table for key, table in found.items() if not key[0]}
    if not found:
        others = ", ".join(task.table for task in list(tasks.values())[1:])
        raise MienError(
            f"No {tasks['classes'].table} at {path}, and no {others}. Expected the --output folder of `mien evaluate`."
        )
    return own or found


def _kind_of(path: Path, tasks: dict[str, Task]) -> str:
    for kind, task in tasks.items():
        if path.name == task.table:
            return kind
    raise MienError(f"{path} is not a table that compares. Known: {', '.join(task.table for task in tasks.values())}.")


def print_comparison(result: Comparison, *, title: str = "") -> None:
    """The differences as a table on standard output, then the verdict."""
    columns, rows = difference_rows(result)
    console, table = plain_console(), Table(title=title or None)
    for name in columns:
        table.add_column(name, justify="left" if name == "metric" else "right")
    for row in rows:
        table.add_row(*row)
    console.print(table)
    for line in result.lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)
