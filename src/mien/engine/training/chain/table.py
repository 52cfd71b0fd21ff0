"""The models of a chain in a table for people, and in a sentence each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SHARES = ("accuracy", "balanced_accuracy", "f1_macro")  # metrics that are written in percent


@dataclass(frozen=True)
class ComparedMetric:
    """One metric of one model."""

    model: str
    """Name of the step."""
    metric: str
    """Such as accuracy or ccc/valence."""
    values: tuple[float, ...]
    """By seed."""
    mean: float
    """Over the seeds."""
    sd: float | None
    """Over the seeds (n - 1); None for one seed."""
    difference: float | None = None
    """Mean over the seeds of this model minus the one that is compared with; None for that one itself."""
    low: float | None = None
    """Lower end of the difference's 95 % interval."""
    high: float | None = None
    """Upper end."""
    mcnemar_p: tuple[float, ...] = ()
    """Of accuracy: two-sided p-values of McNemar's test, by seed."""

    @property
    def apart(self) -> bool:
        """Whether the interval leaves out no difference."""
        return self.low is not None and self.high is not None and not self.low <= 0 <= self.high


def markdown(rows: Sequence[ComparedMetric], steps: Sequence[str], about: Mapping[str, Any]) -> str:
    """What comparison.md holds. about: reference, seeds, faces, left_out, people, split, data."""
    metrics = list(dict.fromkeys(row.metric for row in rows))
    by_name = {(row.model, row.metric): row for row in rows}
    reference, seeds = about["reference"], about["seeds"]
    people = f" of {about['people']:,} people" if about["people"] else ""
    left_out = f" ({about['left_out']:,} that not all models read are left out)" if about["left_out"] else ""
    where = f"{about['data']}, {about['split']}: {about['faces']:,} faces{people}{left_out}"
    lines = [
        f"{where}; mean and standard deviation over the seeds {', '.join(map(str, seeds))}.", "",
        f"| model | {' | '.join(metrics)} |", f"| --- |{' --- |' * len(metrics)}",
    ]  # fmt: skip
    for step in steps:
        cells = [_value(by_name.get((step, metric))) for metric in metrics]
        lines.append(f"| {step} | {' | '.join(cells)} |")
    lines += ["", f"Minus {reference}, with 95 % intervals; McNemar's test of each seed:", ""]
    lines += [f"| model | {' | '.join(metrics)} | McNemar p |", f"| --- |{' --- |' * (len(metrics) + 1)}"]
    for step in steps:
        if step != reference:
            cells = [_difference(by_name.get((step, metric))) for metric in metrics]
            p_values = (by_name.get((step, "accuracy")) or rows[0]).mcnemar_p
            lines.append(f"| {step} | {' | '.join(cells)} | {', '.join(f'{p:.2g}' for p in p_values)} |")
    return "\n".join([*lines, "", *_sentences(rows, steps, reference), ""])


def _value(row: ComparedMetric | None) -> str:
    if row is None:
        return ""
    share = row.metric in SHARES
    spread = "" if row.sd is None else f" ± {100 * row.sd:.1f}" if share else f" ± {row.sd:.3f}"
    return f"{100 * row.mean:.1f}{spread} %" if share else f"{row.mean:.3f}{spread}"


def _difference(row: ComparedMetric | None) -> str:
    if row is None or row.difference is None:
        return ""
    scale, digits = (100, 1) if row.metric in SHARES else (1, 3)
    ends = (
        "no interval"
        if row.low is None or row.high is None
        else (f"{scale * row.low:+.{digits}f} to {scale * row.high:+.{digits}f}")
    )
    return f"{scale * row.difference:+.{digits}f} ({ends})"


def _sentences(rows: Sequence[ComparedMetric], steps: Sequence[str], reference: str) -> list[str]:
    """One for each model, by the first metric that it shares with the reference."""
    lines = []
    for step in steps:
        row = next((r for r in rows if r.model == step and r.difference is not None), None)
        if row is None:
            continue
        better = (row.difference or 0) > 0
        verdict = f"is {'better' if better else 'worse'} than" if row.apart else "cannot be told apart from"
        lines.append(f"- {step} {verdict} {reference} in {row.metric.replace('_', ' ')}: {_difference(row)}.")
    return lines
