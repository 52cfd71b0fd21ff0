"""Two models on the same pictures: who is right where the other is wrong, and whether that could be luck."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mien.core.errors import MienError

if TYPE_CHECKING:
    import numpy as np

    from mien.engine.evaluation.scores import Answers
    from mien.metrics.significance import Interval, McNemar


@dataclass(frozen=True)
class Difference:
    """A metric of the second model minus that of the first, with its paired bootstrap interval, over n samples."""

    name: str
    first: float
    second: float
    interval: "Interval"
    n: int

    @property
    def value(self) -> float:
        return self.second - self.first


@dataclass(frozen=True)
class Comparison:
    """agreement: share of the samples on which both give the same answer, right or wrong.

    differences: accuracy, balanced accuracy, then the recall of each class that occurs (`recall/CLASS`).
    """

    first: str
    second: str
    n: int
    differences: tuple[Difference, ...]
    mcnemar: "McNemar"
    agreement: float

    @property
    def verdict(self) -> str:
        """One sentence for a person."""
        gap, p = self.differences[0], self.mcnemar.p_value
        if p >= 0.05:
            return f"The two cannot be told apart on these {self.n:,} samples (p = {p:.2g})."
        better = self.second if gap.value > 0 else self.first
        return f"{better} is better by {abs(gap.value):.1%} of the samples (p = {p:.2g})."


def compare(first: str, second: str, *, bootstrap: int = 2000, seed: int = 0) -> Comparison:
    """Compare two evaluations of the same split.

    Args:
        first: folder that `mien evaluate` wrote, or its predictions.csv.
        second: the other folder or file.
        bootstrap: resamples for the intervals.
        seed: of the resampling.
    """
    from mien.engine.evaluation.scores import read_answers

    if bootstrap < 1 or seed < 0:
        raise MienError(f"--bootstrap must be at least 1 and --seed at least 0; got {bootstrap} and {seed}.")
    answers = [read_answers(Path(path)) for path in (first, second)]
    result = compare_answers(*answers, names=(first, second), resamples=bootstrap, seed=seed)
    print_comparison(result)
    return result


def compare_answers(
    first: "Answers", second: "Answers", *, names: tuple[str, str], resamples: int = 2000, seed: int = 0
) -> Comparison:
    """Raises MienError when the two did not answer the same samples, or were told different truths."""
    import numpy as np

    from mien.metrics.significance import mcnemar

    second_at = _same_samples(first, second, names)
    right = first.right, second.right[second_at]
    words = [np.array(a.labels.classes)[a.predicted] for a in (first, second)]
    return Comparison(
        first=names[0],
        second=names[1],
        n=len(first),
        differences=_differences(first, *right, resamples=resamples, seed=seed),
        mcnemar=mcnemar(*right),
        agreement=float((words[0] == words[1][second_at]).mean()),
    )


def print_comparison(result: Comparison) -> None:
    """The differences as a table on standard output, then McNemar's test and the verdict."""
    from rich.console import Console
    from rich.table import Table

    console, table, test = Console(), Table(), result.mcnemar
    for name in ("metric", "first", "second", "difference", "95 % interval", "faces"):
        table.add_column(name, justify="left" if name == "metric" else "right")
    for d in result.differences:
        interval = f"{100 * d.interval.low:+.1f} to {100 * d.interval.high:+.1f}"
        table.add_row(d.name, f"{d.first:.1%}", f"{d.second:.1%}", f"{100 * d.value:+.1f}", interval, f"{d.n:,}")
    console.print(table)
    pairs = f"right only in the first: {test.only_first:,}, only in the second: {test.only_second:,}"
    console.print(f"McNemar ({test.method}): {pairs}, p = {test.p_value:.3g}", highlight=False, soft_wrap=True)
    console.print(result.verdict, markup=False, highlight=False, soft_wrap=True)


def _same_samples(first: "Answers", second: "Answers", names: tuple[str, str]) -> list[int]:
    """For each sample of the first its place in the second."""
    places = {key: i for i, key in enumerate(second.keys)}
    only_first, only_second = set(first.keys) - places.keys(), places.keys() - set(first.keys)
    if only_first or only_second:
        example = sorted(only_first or only_second)[0]
        raise MienError(
            f"Two models compare only on the same samples: {len(only_first)} are only in {names[0]}, "
            f"{len(only_second)} only in {names[1]} ({example}, ...). Evaluate both on one data set and split."
        )
    order = [places[key] for key in first.keys]
    for i, j in enumerate(order):
        truths = first.labels.classes[first.truth[i]], second.labels.classes[second.truth[j]]
        if truths[0] != truths[1]:
            raise MienError(
                f"Two models compare only against the same truth: {first.keys[i]} is {truths[0]} in {names[0]} "
                f"and {truths[1]} in {names[1]}."
            )
    return order


def _differences(
    answers: "Answers", first: "np.ndarray", second: "np.ndarray", *, resamples: int, seed: int
) -> tuple[Difference, ...]:
    """Samples fall into cells (true class, first right, second right); resampling their counts is paired."""
    import numpy as np

    from mien.metrics.significance import resampled

    classes = len(answers.labels)
    cells = np.bincount(answers.truth * 4 + first * 2 + second, minlength=classes * 4).reshape(classes, 4)
    whole = cells.sum(0, keepdims=True)
    within = resampled(cells, resamples=resamples, seed=seed, stratified=True)
    return (
        _difference("accuracy", whole, resampled(whole, resamples=resamples, seed=seed)),
        _difference("balanced_accuracy", cells, within),
        *(
            _difference(f"recall/{name}", cells[k : k + 1], within[:, k : k + 1])
            for k, name in enumerate(answers.labels.classes)
            if cells[k].sum()
        ),
    )


def _difference(name: str, cells: "np.ndarray", drawn: "np.ndarray") -> Difference:
    import numpy as np

    from mien.metrics.significance import Interval

    first, second = _recalls(cells)
    low, high = np.quantile(np.subtract(*_recalls(drawn)[::-1]), [0.025, 0.975])
    interval = Interval(float(low), float(high), 0.95, "paired bootstrap percentile")
    return Difference(name, float(first), float(second), interval, int(cells.sum()))


def _recalls(cells: "np.ndarray") -> tuple["np.ndarray", "np.ndarray"]:
    """Mean over the classes that occur of the share right, for both models. cells: [..., classes, 4]."""
    support = cells.sum(-1)
    occurs = (support > 0).sum(-1)
    first, second = cells[..., 2] + cells[..., 3], cells[..., 1] + cells[..., 3]
    return tuple((right / support.clip(min=1)).sum(-1) / occurs for right in (first, second))  # type: ignore[return-value]
