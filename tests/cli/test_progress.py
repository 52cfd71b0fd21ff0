"""Bars: on a terminal only, and gone afterwards."""

import io

import pytest
from rich.console import Console

from mien.cli.progress import progress_bar, progress_bars, tracked


def terminal() -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=100)


def test_off_a_terminal_nothing_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(tracked(range(3), "reading", 3)) == [0, 1, 2]
    with progress_bar("reading", 10) as advance:
        advance(10)
    assert capsys.readouterr() == ("", "")


def test_a_terminal_shows_title_and_count_and_the_bar_goes() -> None:
    console = terminal()
    with progress_bars(console=console) as bars:
        advance = bars.add("videos [a]", 4, done=1)
        bars.add("nothing to do", 0)
        advance(1)
    printed = console.file.getvalue()
    assert "videos [a]" in printed
    assert "2/4" in printed
    assert "nothing to do" not in printed
    assert printed.endswith("\x1b[2K")  # the line is erased


def test_a_bar_can_be_switched_off() -> None:
    console = terminal()
    with progress_bars(console=console, shown=False) as bars:
        bars.add("videos", 4)(4)
    assert console.file.getvalue() == ""


def test_an_error_ends_the_bar_and_passes_through() -> None:
    def broken():
        yield 1
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(tracked(broken(), "x"))
