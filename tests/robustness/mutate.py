"""Seeded damage: to the bytes of any file, and to the values of a JSON or YAML document.

The same seed gives the same damage on every machine, so that a failing case can be made again from its number.
"""

from collections.abc import Iterator
from copy import deepcopy
from random import Random
from typing import Any

# Whole numbers at which length fields, counts and offsets overflow, change sign or end.
NUMBERS = (
    0,
    1,
    2,
    127,
    128,
    255,
    256,
    32767,
    32768,
    65535,
    65536,
    2**24,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**63 - 1,
    2**64 - 1,
)
LONGEST = 4096  # bytes that one step inserts, removes or repeats


def mutated(content: bytes, random: Random) -> bytes:
    """The bytes after one to four steps of damage. Half of them hit the first or last kilobyte, where headers lie."""
    damaged = bytearray(content)
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        random.choice(STEPS)(damaged, random)
    return bytes(damaged)


def _place(content: bytearray, random: Random) -> int:
    near = min(len(content), 1024)
    return random.choice((
        random.randrange(near + 1), len(content) - random.randrange(near + 1),
        random.randrange(len(content) + 1), random.randrange(len(content) + 1),
    ))  # fmt: skip


def flip(content: bytearray, random: Random) -> None:
    """One bit in each of up to eight bytes."""
    for _ in range(random.randint(1, 8) if content else 0):
        content[min(_place(content, random), len(content) - 1)] ^= 1 << random.randrange(8)


def overwrite(content: bytearray, random: Random) -> None:
    """Some bytes in a row become random ones, or all the same."""
    start, count = _place(content, random), random.choice((1, 2, 4, 16, 256))
    new = random.choice((random.randbytes(count), bytes(count), b"\xff" * count))
    content[start : start + count] = new[: max(0, len(content) - start)]


def number(content: bytearray, random: Random) -> None:
    """A field of one to eight bytes becomes one of `NUMBERS`."""
    start, count, order = _place(content, random), random.choice((1, 2, 4, 8)), random.choice(("little", "big"))
    value = random.choice(NUMBERS) % 256**count
    content[start : start + count] = value.to_bytes(count, order)[: max(0, len(content) - start)]


def truncate(content: bytearray, random: Random) -> None:
    """The end is missing."""
    del content[_place(content, random) :]


def insert(content: bytearray, random: Random) -> None:
    """Bytes too many: random ones, zeros, or a part of the file itself."""
    start, count, source = _place(content, random), random.randint(1, LONGEST), _place(content, random)
    content[start:start] = random.choice(
        (random.randbytes(count), bytes(count), bytes(content[source : source + count]))
    )


def remove(content: bytearray, random: Random) -> None:
    """Bytes too few."""
    start = _place(content, random)
    del content[start : start + random.randint(1, LONGEST)]


def repeat(content: bytearray, random: Random) -> None:
    """A part of the file follows itself many times."""
    start, count = _place(content, random), random.randint(1, 64)
    content[start:start] = bytes(content[start : start + count]) * random.choice((2, 16, 256))


STEPS = (flip, flip, overwrite, number, number, truncate, insert, remove, repeat)


def nested(depth: int) -> Any:
    """A list in a list in a list."""
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


# Of each kind that JSON and YAML can hold, values that a field does not expect. JSON has no limit on numbers, and
# Python's writer and reader of it also know infinities and NaN.
WRONG_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 10**9, 10**40, -(10**40), 0.5, -0.0, 1e308, float("inf"), float("-inf"), float("nan"),
    "", "x", "0", "\0", "\ud800", "x" * 100_000, "a\nb\x1b[31m", [], [None], [1, "x"], [0.5] * 1000, {}, {"x": 1},
    {"": None}, nested(60),
)  # fmt: skip

Path = tuple[str | int, ...]


def places(value: Any, at: Path = ()) -> Iterator[Path]:
    """The place of each value of a document, the document itself first."""
    yield at
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*at, key))


def replaced(document: Any, at: Path, value: Any) -> Any:
    """The document with another value at a place; what is beside the way to it is shared."""
    if not at:
        return value
    copy = document.copy()
    copy[at[0]] = replaced(document[at[0]], at[1:], value)
    return copy


def removed(document: Any, at: Path) -> Any:
    """A copy without the value at a place, which is not the document itself."""
    copy = deepcopy(document)
    inner = copy
    for key in at[:-1]:
        inner = inner[key]
    del inner[at[-1]]
    return copy


def mutated_document(document: Any, random: Random) -> Any:
    """A copy with one value replaced, removed, moved, or given a neighbour."""
    every = list(places(document))
    at = random.choice(every)
    kind = random.randrange(4)
    if kind == 0 and at:
        return removed(document, at)
    if kind == 1:
        return replaced(document, at, value_at(document, random.choice(every)))
    if kind == 2 and isinstance(value_at(document, at), dict | list):
        inner = deepcopy(value_at(document, at))
        wrong = random.choice(WRONG_VALUES)
        inner = inner | {"unknown": wrong} if isinstance(inner, dict) else [*inner, wrong]
        return replaced(document, at, inner)
    return replaced(document, at, random.choice(WRONG_VALUES))


def value_at(document: Any, at: Path) -> Any:
    for key in at:
        document = document[key]
    return document
