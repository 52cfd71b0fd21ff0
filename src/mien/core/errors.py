"""One kind of error for everything a user can mend: a single line that states the rule, what came, and the way out."""

import difflib
from collections.abc import Iterable

LONGEST = 1500  # characters of a message


class MienError(ValueError):
    """Bad input. Its message is one line, whatever names stand in it; the command line exits with code 2."""

    def __init__(self, message: object = "") -> None:
        text = shown(str(message).replace("\n", " "))
        super().__init__(text if len(text) <= LONGEST else f"{text[: LONGEST - 300]} ... {text[-300:]}")


def shown(text: str, *, keep: str = "") -> str:
    r"""Text for a terminal: what would move the cursor, colour or break a line stands as an escape such as `\x1b`.

    keep: characters that stay, such as line breaks.
    """
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() or each in keep else _escape(each) for each in text)


def _escape(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")


def nearest(word: str, known: Iterable[str]) -> str:
    """` Did you mean X?` for the closest known word, else the list of known words (or nothing when there are none)."""
    known = list(known)
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    if close:
        return f" Did you mean {close[0]!r}?"
    return f" Known: {', '.join(known)}." if known else ""
