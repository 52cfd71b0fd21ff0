"""One kind of error for everything a user can mend: a single line that states the rule, what came, and the way out."""

import difflib
from collections.abc import Iterable

from mien.core.text import printable

LONGEST = 1500  # characters of a message


class MienError(ValueError):
    """Bad input. The command line prints its message as one line and exits with code 2.

    What a file or a name brings into the message can neither break the line nor steer the terminal, and a long message
    loses its middle.
    """

    def __init__(self, message: str = "") -> None:
        text = printable(" ".join(message.splitlines()))
        super().__init__(text if len(text) <= LONGEST else f"{text[: LONGEST - 300]} ... {text[-300:]}")


def one_line(error: BaseException) -> str:
    """What a library's exception says, on one line; its kind where it says nothing."""
    return " ".join(str(error).split()) or type(error).__name__


def nearest(name: str, known: Iterable[str]) -> str:
    """` Did you mean X?` for the closest known word, else the list of known words (or nothing when there are none)."""
    known = list(known)
    close = difflib.get_close_matches(name[:80], known, n=1, cutoff=0.5)
    if close:
        return f" Did you mean {close[0]!r}?"
    return f" Known: {', '.join(known)}." if known else ""
