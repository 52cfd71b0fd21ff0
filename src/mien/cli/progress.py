"""A bar on a terminal, and nothing in a pipe: how far a command has come."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

Item = TypeVar("Item")


@contextmanager
def bar(title: str, total: int) -> Iterator[Callable[[int], None]]:
    """Yields what advances it by so many; it goes when the block ends."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    parts = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*parts, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(title, total=total)
        yield lambda done: progress.advance(task, done)


def shown(items: Iterable[Item], title: str, total: int) -> Iterator[Item]:
    """The same items, with a bar that each of them advances."""
    with bar(title, total) as advance:
        for item in items:
            yield item
            advance(1)
