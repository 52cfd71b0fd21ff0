"""Text from data, made fit for a terminal, a page or a picture: every character visible."""

import re

# C0 and C1 controls, line and paragraph separators, lone surrogates (bytes of file names that are not UTF-8), and the
# characters that reorder text.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\u202a-\u202e\u2066-\u2069]")


def printable(text: str, *, keep: str = "") -> str:
    r"""The text with unprintable characters as escapes such as `\x07`. keep: those that stay, such as line breaks."""
    return _UNPRINTABLE.sub(lambda found: found[0] if found[0] in keep else _escape(found[0]), text)


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
