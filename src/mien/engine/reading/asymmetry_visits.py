"""Two visits of one person: which inputs they are, and what changed."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mien.core.errors import MienError
from mien.runtime.asymmetry.examination import Examination
from mien.runtime.asymmetry.visits import Change, Items, by_task, changes, largest_change, sentence


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


def two_visits(inputs: Sequence[str], compare: bool | None) -> list[list[str]] | None:
    """The inputs of each visit; None where they are one. Raises MienError for a comparison of other than two inputs."""
    if compare is None:
        compare = len(inputs) == 2 and all(Path(item).is_dir() for item in inputs)
    if not compare:
        return None
    if len(inputs) != 2:
        raise MienError(
            f"--compare needs two inputs, the earlier visit first: two folders, pictures or videos; got {len(inputs)}."
        )
    return [[item] for item in inputs]


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
