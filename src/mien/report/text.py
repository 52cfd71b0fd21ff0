"""Long names cut to a length."""


def cut_end(text: str, length: int) -> str:
    """At most `length` characters, the end left out."""
    return text if len(text) <= length else f"{text[: length - 1]}…"


def cut_middle(text: str, length: int) -> str:
    """At most `length` characters, the middle left out: the suffix of a file name stays."""
    if len(text) <= length:
        return text
    half = (length - 1) // 2
    return f"{text[:half]}…{text[-half:]}"
