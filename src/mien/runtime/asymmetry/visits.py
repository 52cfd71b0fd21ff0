"""Two visits of one person: the change of each difference between the sides, against the change that errors make."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mien.core.errors import MienError
from mien.runtime.asymmetry.examination import Examination, VideoExamination
from mien.runtime.asymmetry.measures import Calibrated, Measure
from mien.runtime.asymmetry.significance.headline import MEASURES, amount_of_unit

Items = Sequence[Examination | VideoExamination]


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
        if isinstance(item, VideoExamination):
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


@dataclass(frozen=True, eq=False)
class Comparison:
    """What two visits show."""

    before: dict[str, Examination]
    """Task → picture of the first visit."""
    after: dict[str, Examination]
    """Task → picture of the second visit."""
    changes: tuple[Change, ...]
    """Of every measure of the tasks that both show."""

    @property
    def tasks(self) -> list[str]:
        """Tasks that both visits show."""
        return [task for task in self.before if task in self.after]

    @property
    def unmatched(self) -> list[str]:
        """What only one visit shows."""
        return [_shown(task) for task in {**self.before, **self.after} if (task in self.before) != (task in self.after)]

    @property
    def lines(self) -> list[str]:
        """For the terminal."""
        largest = largest_change(self.changes)
        if largest is None:
            return ["change: no errors were fitted for this bundle and these options, so no change can be stated"]
        beyond = sum(change.beyond_95 for change in self.changes)
        count = f"{beyond} of {len(self.changes)} measures changed beyond error at 95 %"
        first = (
            f"largest change: {sentence(largest)}"
            if beyond
            else f"no change of a region is certain: {sentence(largest)}"
        )
        return [first, f"  {count}; by errors alone about {0.05 * len(self.changes):.0f} would"]


def compared(visits: Sequence[Items]) -> Comparison:
    """Raises MienError where a visit has nothing that could be measured, and where no task is shown by both."""
    names = ("the first visit", "the second visit")
    for name, items in zip(names, visits, strict=True):
        if not items:
            raise MienError(f"Nothing of {name} could be measured, so there is nothing to compare.")
    before, after = (by_task(items, visit=name) for name, items in zip(names, visits, strict=True))
    if len(before) == len(after) == 1 and "" in {*before, *after}:  # one picture each, a task stated for one at most
        task = next((name for name in (*before, *after) if name), "")
        before, after = {task: next(iter(before.values()))}, {task: next(iter(after.values()))}
    if not before.keys() & after.keys():
        shown = [", ".join(map(_shown, visit)) for visit in (before, after)]
        raise MienError(f"Visits are compared task by task, and no task is in both: {shown[0]}; {shown[1]}.")
    return Comparison(before, after, tuple(changes(before, after)))


def _shown(task: str) -> str:
    return task.replace("_", " ") or "a picture without a task"


def rest_of(
    items: Sequence[Examination | VideoExamination], item: Examination | VideoExamination
) -> Examination | None:
    """The picture at rest of the same visit; None where there is none, or more than one."""
    photos = [part for one in items for part in ([one] if isinstance(one, Examination) else [one.at_rest])]
    found = [photo for photo in photos if photo.task == "rest"]
    if len(found) > 1:  # two visits: sources begin with the folder
        found = [photo for photo in found if photo.source.rpartition("/")[0] == item.source.rpartition("/")[0]]
    return found[0] if len(found) == 1 else None


def _true(measure: Measure) -> Calibrated:
    assert measure.true is not None
    return measure.true
