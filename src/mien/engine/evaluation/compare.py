"""`mien compare`: two evaluations of the same faces, by the tables that `mien evaluate` wrote.

Its help reads this module, which therefore imports nothing heavy at its top.
"""

from typing import TYPE_CHECKING

from mien.core.errors import MienError
from mien.engine.evaluation.options import Bootstrap

if TYPE_CHECKING:
    from mien.engine.evaluation.comparison import Comparison


def compare(first: str, second: str, *, bootstrap: int = 2000, seed: int = 0) -> "dict[str, Comparison]":
    """Compare two evaluations of the same split, output by output.

    Args:
        first: folder that `mien evaluate` wrote, or one of its tables (predictions.csv, points.csv, values.csv,
            pictures.csv).
        second: the other folder or table.
        bootstrap: bootstrap resamples for the confidence intervals.
        seed: seed of the resampling.
    """
    from mien.engine.evaluation.compare_tables import compare_tables

    if bootstrap < 1 or seed < 0:
        raise MienError(f"--bootstrap must be at least 1 and --seed at least 0; got {bootstrap} and {seed}.")
    return compare_tables(first, second, Bootstrap(bootstrap, seed))
