"""One kind of error for everything a user can mend: a single line that states the rule, what came, and the way out."""

import difflib
import re
from collections.abc import Iterable

# C0 and C1 controls, line and paragraph separators, lone surrogates (bytes of file names that are not UTF-8), and the
# characters that reorder text.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\u202a-\u202e\u2066-\u2069]")
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


def printable(text: str, *, keep: str = "") -> str:
    r"""The text with unprintable characters as escapes such as `\x07`. keep: those that stay, such as line breaks."""
    return _UNPRINTABLE.sub(lambda found: found[0] if found[0] in keep else _escape(found[0]), text)


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
