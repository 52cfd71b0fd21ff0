"""Text from data, made fit for a page or a picture: every character visible, long names cut to a length."""

import re

# C0 and C1 controls, lone surrogates (bytes of file names that are not UTF-8), and the characters that reorder text.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]")


def printable(text: str, *, keep: str = "") -> str:
    r"""The text with unprintable characters as escapes such as `\x07`. keep: those that stay, such as line breaks."""
    return _UNPRINTABLE.sub(lambda found: found[0] if found[0] in keep else _escape(found[0]), text)


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def cut_end(text: str, length: int) -> str:
    """At most `length` characters, the end left out."""
    return text if len(text) <= length else f"{text[: length - 1]}…"


def cut_middle(text: str, length: int) -> str:
    """At most `length` characters, the middle left out: the suffix of a file name stays."""
    if len(text) <= length:
        return text
    half = (length - 1) // 2
    return f"{text[:half]}…{text[-half:]}"
