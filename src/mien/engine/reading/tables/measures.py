"""What of a table's columns can be averaged: probabilities, values, action units, pose, quality; and the asymmetry."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float

from mien.core.errors import MienError
from mien.media.tables.stored import Rows, StoredTable
from mien.metrics.asymmetry import asymmetry_index
from mien.runtime.formats.source import point_columns

POINTS = 68
ASYMMETRY = "asymmetry_index"
ASYMMETRY_MEANING = (
    "mean distance between a point and the mirror image of its counterpart, over that of the outer eye corners; "
    "0 for a symmetric face; in 3D where the table has depth, else in 2D, where a turned head is unequal too"
)
# Numbers of a row that are places, parameters or counts: their mean over frames says nothing.
_PLACES = re.compile(
    r"(box|face3d_(shape|expression|jaw|pose|camera|crop|lid|pitch|yaw|roll))_.*|[xyz]_\d+|(confidence|visible)_\d+"
    r"|timestamp|score|face3d_(pitch|yaw|roll)"
)


@dataclass(frozen=True)
class Measures:
    """The measures of one table, in its order; the asymmetry is computed from the points."""

    table: StoredTable
    """That has the columns."""

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Of the table."""
        return tuple(c.name for c in self.table.columns if c.kind == "number" and not _PLACES.fullmatch(c.name))

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Columns, then what is computed."""
        return (*self.columns, *((ASYMMETRY,) if self._flat else ()))

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """Of the first output of classes, in its order; none in a table without."""
        if "expression" not in self.table.names:
            return ()
        first = (self.table.description.get("models") or [self.table.description.get("model", {})])[0]
        known = [str(name) for name in first.get("labels", {}).get("classes", ())]
        shares = [name.removeprefix("prob_") for name in self.columns if name.startswith("prob_")]
        return tuple(name for name in known if name in shares) or tuple(shares)

    @cached_property
    def units(self) -> tuple[str, ...]:
        """Names of action units."""
        return tuple(name for name in self.columns if re.match(r"AU\d+", name))

    def of(self, rows: Rows) -> Float[np.ndarray, "rows measures"]:
        """Of each row; NaN where it has none, as in a row without a face."""
        found = [rows.numbers(name) for name in self.columns]
        if self._flat:
            found.append(self._asymmetry(rows))
        return np.stack(found, axis=1) if found else np.zeros((rows.count, 0))

    def unit(self, name: str) -> str:
        """Of a measure, for axes and tables."""
        if name == ASYMMETRY:
            return "of the outer eye corners' distance"
        return next(column.unit for column in self.table.columns if column.name == name)

    def meaning(self, name: str) -> str:
        """Of a measure, for a sidecar."""
        if name == ASYMMETRY:
            return ASYMMETRY_MEANING
        return next(column.meaning for column in self.table.columns if column.name == name)

    @cached_property
    def _flat(self) -> tuple[str, ...]:
        x, y = (point_columns(self.table, axis, POINTS) for axis in "xy")
        return (*x, *y) if x and y else ()

    @cached_property
    def _depth(self) -> tuple[str, ...]:
        return point_columns(self.table, "z", POINTS)

    def _asymmetry(self, rows: Rows) -> Float[np.ndarray, " rows"]:
        axes = (self._flat[:POINTS], self._flat[POINTS:], *((self._depth,) if self._depth else ()))
        points = np.stack([np.stack([rows.numbers(name) for name in names], axis=1) for names in axes], axis=2)
        found = np.full(rows.count, np.nan)
        known = np.flatnonzero(np.isfinite(points).all(axis=(1, 2)))
        if len(known):
            found[known] = _index(points[known])
        return found


def _index(points: Float[np.ndarray, "faces points dims"]) -> Float[np.ndarray, " faces"]:
    """NaN for a face whose points lie in one place, which has no mirror."""
    try:
        return np.asarray(asymmetry_index(points))
    except MienError:
        return np.array([_index(points[i : i + 1])[0] if len(points) > 1 else np.nan for i in range(len(points))])


def shown(name: str) -> str:
    """A measure's name for people: `valence`, `AU12 right`, `happiness`."""
    return name.removeprefix("prob_").replace("_", " ")


def stretches(values: Sequence[str | None]) -> list[tuple[int, int]]:
    """Start and end of each run of equal values."""
    starts = [i for i in range(len(values)) if i == 0 or values[i] != values[i - 1]]
    return list(zip(starts, [*starts[1:], len(values)], strict=True))
