"""Count, sum, sum of squares, least and largest of measures, in bins that can be added to; NaN counts as nothing."""

import numpy as np
from jaxtyping import Float, Int

MOST_BINS = 1024  # of a course of unknown length: at 640 pixels more could not be seen


class Moments:
    """Of several measures in each of some bins."""

    def __init__(self, bins: int, measures: int) -> None:
        self.count = np.zeros((bins, measures))
        self.sum = np.zeros((bins, measures))
        self.squares = np.zeros((bins, measures))
        self.least = np.full((bins, measures), np.inf)
        self.largest = np.full((bins, measures), -np.inf)

    def add(self, bins: Int[np.ndarray, " rows"], values: Float[np.ndarray, "rows measures"]) -> None:
        """Adds each row to its bin."""
        known = np.isfinite(values)
        filled = np.where(known, values, 0.0)
        if len(bins) == 1:  # a photo
            self._add_row(int(bins[0]), filled[0], known[0])
            return
        order = np.argsort(bins, kind="stable")
        places, starts = np.unique(bins[order], return_index=True)
        for into, what in ((self.count, known[order]), (self.sum, filled[order]), (self.squares, filled[order] ** 2)):
            into[places] += np.add.reduceat(what, starts, axis=0, dtype=float)
        low = np.minimum.reduceat(np.where(known, values, np.inf)[order], starts, axis=0)
        high = np.maximum.reduceat(np.where(known, values, -np.inf)[order], starts, axis=0)
        self.least[places] = np.minimum(self.least[places], low)
        self.largest[places] = np.maximum(self.largest[places], high)

    def _add_row(self, place: int, filled: np.ndarray, known: np.ndarray) -> None:
        self.count[place] += known
        self.sum[place] += filled
        self.squares[place] += filled**2
        self.least[place] = np.where(known & (filled < self.least[place]), filled, self.least[place])
        self.largest[place] = np.where(known & (filled > self.largest[place]), filled, self.largest[place])

    @property
    def mean(self) -> Float[np.ndarray, "bins measures"]:
        """NaN in a bin without values."""
        return np.divide(self.sum, self.count, out=np.full_like(self.sum, np.nan), where=self.count > 0)

    @property
    def sd(self) -> Float[np.ndarray, "bins measures"]:
        """Of single values, n - 1 in the denominator; NaN of fewer than two."""
        spread = np.maximum(self.squares - self.count * np.nan_to_num(self.mean) ** 2, 0.0)
        known = self.count > 1
        return np.sqrt(np.divide(spread, self.count - 1, out=np.full_like(spread, np.nan), where=known))

    def halve(self) -> None:
        """Puts each two bins into one; the second half is empty then."""
        half = len(self.count) // 2
        for array, empty, join in (
            (self.count, 0, np.add), (self.sum, 0, np.add), (self.squares, 0, np.add),
            (self.least, np.inf, np.minimum), (self.largest, -np.inf, np.maximum),
        ):  # fmt: skip
            array[:half] = join(array[0::2], array[1::2])
            array[half:] = empty


class Course:
    """Measures over time, of a video of unknown length: as it goes on, bins become twice as wide, never more than
    MOST_BINS."""

    def __init__(self, measures: int, *, width_s: float = 1 / 32) -> None:
        self.moments = Moments(MOST_BINS, measures)
        self.width_s = width_s
        """Of a bin."""
        self.bins = 0
        """Up to the last one with a row."""

    def add(self, times_s: Float[np.ndarray, " rows"], values: Float[np.ndarray, "rows measures"]) -> None:
        """Adds rows with a time of 0 or more."""
        known = np.isfinite(times_s) & (times_s >= 0)
        if not known.any():
            return
        times_s, values = times_s[known], values[known]
        while times_s.max() / self.width_s >= MOST_BINS:
            self.moments.halve()
            self.width_s, self.bins = 2 * self.width_s, -(-self.bins // 2)
        bins = np.floor(times_s / self.width_s).astype(np.int64)
        self.moments.add(bins, values)
        self.bins = max(self.bins, int(bins.max()) + 1)

    @property
    def times_s(self) -> Float[np.ndarray, " bins"]:
        """The middle of each bin."""
        return (np.arange(self.bins) + 0.5) * self.width_s
