"""Progress bars on standard error: only on a terminal, and gone when the work is done."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

Item = TypeVar("Item")
Advance = Callable[[int], None]


class ProgressBars:
    """Several bars below each other; `progress_bars` opens and closes them."""

    def __init__(self, display: Any) -> None:
        self._display = display  # a rich Progress

    def add(self, title: str, total: int | None = None, *, done: int = 0) -> Advance:
        """A further bar: returns what advances it by so many items.

        total: None where the number of items is unknown; a bar for 0 items is not drawn. done: items finished before.
        """
        task = self._display.add_task(title, total=total, completed=done, visible=total != 0)
        return lambda count: self._display.advance(task, count)


@contextmanager
def progress_bars(*, console: Any = None, shown: bool = True) -> Iterator[ProgressBars]:
    """Bars with count, speed and remaining time.

    console: a rich Console other than one on standard error. shown: False for none, as off a terminal.
    """
    console = console or Console(stderr=True)
    columns = (
        TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(),
        TaskProgressColumn(text_format="", text_format_no_percentage="", show_speed=True), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(
        *columns, console=console, transient=True, disable=not (shown and console.is_terminal), refresh_per_second=5
    ) as display:
        yield ProgressBars(display)


@contextmanager
def progress_bar(title: str, total: int | None = None) -> Iterator[Advance]:
    """One bar; yields what advances it by so many items."""
    with progress_bars() as bars:
        yield bars.add(title, total)


def tracked(items: Iterable[Item], title: str, total: int | None = None) -> Iterator[Item]:
    """The same items, with a bar that each of them advances."""
    with progress_bar(title, total) as advance:
        for item in items:
            yield item
            advance(1)
