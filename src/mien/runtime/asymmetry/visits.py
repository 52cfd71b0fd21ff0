"""Two visits of one person: the change of each difference between the sides, against the change that errors make."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mien.core.errors import MienError
from mien.runtime.asymmetry.examination import Examination, FilmExamination
from mien.runtime.asymmetry.measures import Calibrated, Measure
from mien.runtime.asymmetry.significance.headline import MEASURES, amount_of_unit

Items = Sequence[Examination | FilmExamination]


@dataclass(frozen=True)
class Change:
    """A measure at two visits."""

    task: str
    """What both pictures show."""
    before: Measure
    """At the first visit."""
    after: Measure
    """At the second."""
    value: float
    """True difference after minus before, in the measure's unit; right minus left."""
    detectable_90: float
    """Change that errors alone exceed in 10 of 100 pairs of pictures like these."""
    detectable_95: float
    """Likewise in 5 of 100."""

    @property
    def beyond_90(self) -> bool:
        return abs(self.value) > self.detectable_90

    @property
    def beyond_95(self) -> bool:
        return abs(self.value) > self.detectable_95

    @property
    def verdict(self) -> Literal["within error", "more equal", "less equal"]:
        """At 95 %; equal: by the size of the difference, whatever side is larger."""
        if not self.beyond_95:
            return "within error"
        return "more equal" if abs(_true(self.after).value) < abs(_true(self.before).value) else "less equal"


def change_of(task: str, before: Measure, after: Measure) -> Change | None:
    """None where one of the two has no fitted error."""
    if before.true is None or after.true is None:
        return None
    one, two = before.true, after.true
    wide = [
        one.repeat * float(np.hypot(*halves)) for halves in ((one.half_90, two.half_90), (one.half_95, two.half_95))
    ]
    return Change(task, before, after, two.value - one.value, *wide)


def changes(before: Mapping[str, Examination], after: Mapping[str, Examination]) -> list[Change]:
    """Of all measures of the tasks that both visits show, in the order of the first visit."""
    found = []
    for task, photo in before.items():
        if task in after:
            pairs = zip(photo.measured.measures, after[task].measured.measures, strict=True)
            found += [change for one, two in pairs if (change := change_of(task, one, two)) is not None]
    return found


def by_task(items: Items, *, visit: str) -> dict[str, Examination]:
    """Task -> photo; a video gives its frames of rest and of the movement, where no photo shows them. Raises MienError
    for two photos of one task: which of them would be compared?"""
    photos: dict[str, Examination] = {}
    for item in items:
        if isinstance(item, Examination):
            if item.task in photos:
                shown = f"the task {item.task}" if item.task else "no task by name"
                raise MienError(
                    f"A visit has one picture for each task; {visit} has {photos[item.task].source} and {item.source}, "
                    f"which both show {shown}. Name tasks as in smile=FILE."
                )
            photos[item.task] = item
    for item in items:
        if isinstance(item, FilmExamination):
            photos.setdefault("rest", item.at_rest)
            photos.setdefault(item.movement.task, item.at_peak)
    return photos


def largest_change(found: Sequence[Change]) -> Change | None:
    """Furthest beyond error, of the measures that a headline names."""
    named = [change for change in found if change.before.name in MEASURES]
    return max(named, key=lambda change: abs(change.value) / change.detectable_95, default=None)


def sentence(change: Change) -> str:
    """One line for people."""
    one, two = _true(change.before), _true(change.after)
    unit = amount_of_unit(change.before)
    numbers = (f"{v:+.1f}".replace("-", "\N{MINUS SIGN}") for v in (one.value, two.value, change.value))
    first, second, moved = numbers
    shown = f" ({change.task.replace('_', ' ')})" if change.task else ""
    return (
        f"{change.before.definition.region}, {change.before.definition.title}{shown}: right minus left {first} before, "
        f"{second}{unit} after; change {moved}{unit}, {change.verdict} (errors alone stay below "
        f"{change.detectable_90:.1f} in 90 %, {change.detectable_95:.1f} in 95 % of pairs)"
    )


def _true(measure: Measure) -> Calibrated:
    assert measure.true is not None
    return measure.true
