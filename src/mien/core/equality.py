"""Records that are equal where their numbers are."""

from dataclasses import fields
from typing import Any

import numpy as np


class SameNumbers:
    """A dataclass with arrays: equal to one of its kind with the same values. Numbers that are missing (NaN) are the
    same as well. It has no hash, since arrays can be changed."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and all(
            _same(getattr(self, each.name), getattr(other, each.name))
            for each in fields(self)  # type: ignore[arg-type]
        )

    __hash__ = None  # type: ignore[assignment]


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return np.array_equal(one, other, equal_nan=True)
    return bool(type(one) is type(other) and one == other)
