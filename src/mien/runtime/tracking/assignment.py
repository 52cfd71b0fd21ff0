"""Assignment: which row goes with which column at the least total cost, exactly. For tens of rows."""

import numpy as np
from jaxtyping import Float


def assigned(cost: Float[np.ndarray, "rows columns"], *, most: float) -> list[tuple[int, int]]:
    """Pairs (row, column) of least total cost; a row may stay alone at the cost `most`, so no pair costs more.

    Shortest augmenting paths with potentials (Jonker and Volgenant, Computing 38, 1987). Costs that are not finite
    are never paired. In order of the rows.
    """
    rows, columns = cost.shape
    if not rows or not columns:
        return []
    alone = np.full((rows, rows), most)  # a column of its own for each row that stays alone
    wide = np.concatenate([np.where(np.isfinite(cost), cost, 2 * abs(most) + 1e6), alone], axis=1)
    owner = _owners(wide)
    pairs = [(int(row), column) for column, row in enumerate(owner[:columns]) if row >= 0]
    return sorted((row, column) for row, column in pairs if cost[row, column] <= most)


def _owners(cost: Float[np.ndarray, "rows columns"]) -> np.ndarray:
    """The row of each column, -1 for none; there are at least as many columns as rows."""
    rows, columns = cost.shape
    owner = np.full(columns + 1, -1)  # the last column is where a row begins its path
    row_price, column_price = np.zeros(rows), np.zeros(columns + 1)
    for row in range(rows):
        owner[columns], at = row, columns
        reached, nearest, before = np.zeros(columns + 1, bool), np.full(columns, np.inf), np.full(columns, columns)
        while owner[at] >= 0:
            reached[at] = True
            length = cost[owner[at]] - row_price[owner[at]] - column_price[:columns]
            better = ~reached[:columns] & (length < nearest)
            nearest[better], before[better] = length[better], at
            following = int(np.argmin(np.where(reached[:columns], np.inf, nearest)))
            step = nearest[following]
            row_price[owner[reached]] += step
            column_price[reached] -= step
            nearest[~reached[:columns]] -= step
            at = following
        while at != columns:
            owner[at], at = owner[before[at]], before[at]
    return owner[:columns]
