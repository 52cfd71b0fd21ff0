"""What a bundle may be used for: its weights' licence, and that of the data behind them."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

Use = Literal["commercial", "research"]


@dataclass(frozen=True)
class Licence:
    """As `system.json` states it, in `licence`."""

    use: Use
    """research: not for commercial use, by the licence of the weights or of data that they were trained on."""
    weights: str
    """Of the weights, in a few words."""
    data: dict[str, str] = field(default_factory=dict)
    """Of each data set that they were trained on, by its name."""

    @property
    def summary(self) -> str:
        """One line: use, weights, data."""
        trained = "; ".join(f"{name}: {terms}" for name, terms in self.data.items())
        return f"{self.weights}{f' (trained on {trained})' if trained else ''}"


def inherited(licences: Iterable[Licence | None]) -> Licence | None:
    """Of weights that were trained from others: research only where one of them is; else not stated, as nobody has said
    what their own data allow."""
    strict = [licence for licence in licences if licence is not None and licence.use == "research"]
    if not strict:
        return None
    data = {name: terms for licence in strict for name, terms in licence.data.items()}
    return Licence("research", "follows the weights that training started from", data)
