"""Scores of several folders of rebuilt pictures as one table: on the screen, in Markdown, JSON and CSV."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from mien.engine.evaluation.images.measure import Measured
from mien.engine.evaluation.images.networks import notes_on
from mien.engine.evaluation.scores import Score
from mien.media.files import write_csv, write_text

BETTER = {"l2": "lower", "lpips": "lower", "fid": "lower"}  # the others: higher


def summary(found: Sequence[Measured]) -> str:
    """A line for each metric of each folder, then the notes."""
    lines, width = [], max(18, *(len(score.metric) for run in found for score in run.scores))
    for run in found:
        lines.append(f"{run.folder}: {len(run.stems)} pictures")
        lines += [f"  {score.metric:{width}} {_value(score)}" for score in run.scores]
        lines += [f"  note: {note}" for note in run.notes]
    lines += [f"network of {note}" for note in notes_on(found[0].networks)]
    return "\n".join(lines)


def markdown(found: Sequence[Measured]) -> str:
    """A table with a row for each folder."""
    metrics = [score.metric for score in found[0].scores]
    heads = [f"{name} ({BETTER.get(name.partition('@')[0], 'higher')} is better)" for name in metrics]
    lines = ["| rebuilt | pictures | " + " | ".join(heads) + " |", "| --- | ---: |" + " ---: |" * len(metrics)]
    for run in found:
        values = " | ".join(_value(score) for score in run.scores)
        lines.append(f"| {run.folder} | {len(run.stems)} | {values} |")
    notes = [f"- {run.folder}: {note}" for run in found for note in run.notes]
    notes += [f"- network of {note}" for note in notes_on(found[0].networks)]
    return "\n".join([*lines, "", *notes]).rstrip() + "\n"


def write_tables(folder: Path, found: Sequence[Measured], *, truth: str, resize: int) -> None:
    """metrics.json (means, intervals, pairs left out, the networks' files), metrics.md, pictures.csv (every pair)."""
    runs = [
        {"rebuilt": run.folder, "pictures": len(run.stems), "scores": [asdict(score) for score in run.scores],
         "left_out": _left_out(run), "notes": run.notes}
        for run in found
    ]  # fmt: skip
    about = {"truth": truth, "resize": resize, "networks": found[0].networks, "runs": runs}
    write_text(folder / "metrics.json", json.dumps(about, indent=1) + "\n")
    write_text(folder / "metrics.md", markdown(found))
    names = list(found[0].columns)
    rows = (
        [run.folder, stem, *(_cell(run.columns[name][i]) for name in names)]
        for run in found
        for i, stem in enumerate(run.stems)
    )
    write_csv(folder / "pictures.csv", ["rebuilt", "picture", *names], rows)


def _left_out(run: Measured) -> dict[str, list[str]]:
    """{metric: names of the pairs that it has no value of}, of the metrics with such pairs."""
    found = {name: [run.stems[i] for i in np.flatnonzero(np.isnan(values))] for name, values in run.columns.items()}
    return {name: stems for name, stems in found.items() if stems}


def _cell(value: float) -> str:
    """Empty where there is none."""
    return "" if np.isnan(value) else f"{value:.6g}"


def _value(score: Score) -> str:
    if score.value is None:
        return "undefined"
    interval = "" if score.low is None else f" [{score.low:.4f}, {score.high:.4f}]"
    return f"{score.value:.4f}{interval}"
