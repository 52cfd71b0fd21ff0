"""What the models of one chain reach on the test split, over all seeds, and how far each is from one of them.

Every run is evaluated as `mien evaluate` does, into RUN/evaluation. A difference is the mean over the seeds of what
both reach with the same seed on the same faces. Its interval draws the people of the test split (the faces, where
nobody knows whose they are) and keeps the seeds; what the seeds do is their standard deviation.
"""

import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from mien.core.errors import MienError
from mien.data.options import DataOptions
from mien.engine.evaluation.classes.predictions import ClassPredictions
from mien.engine.evaluation.compare_tables import tables_of
from mien.engine.evaluation.evaluate import evaluate
from mien.engine.evaluation.task import SharedPassTask, task_of
from mien.engine.evaluation.values.predictions import ValuePredictions
from mien.engine.training.chain.table import SHARES, ComparedMetric, markdown
from mien.engine.training.config import FitConfig
from mien.media.files import read_info, write_csv, write_text
from mien.metrics import expression
from mien.metrics.significance import RESAMPLES, cluster_weights, mcnemar, percentiles

EVALUATION, COMPARISON = "evaluation", "comparison"
CLASS_METRICS = {name: getattr(expression, name) for name in SHARES}
_DEFINED = 0.95  # of the resamples, for an interval
Sums = Float[np.ndarray, "*resamples sums"]


@dataclass(frozen=True, eq=False)
class Statistic:
    """A metric of sums over faces, so that resampled faces cost a weighted sum."""

    keys: tuple[str, ...]
    """Of the faces."""
    faces: Float[np.ndarray, "faces sums"]
    """What each face adds."""
    value: Callable[[Sums], np.ndarray]
    """The metric of such sums, [*resamples]."""

    @property
    def plain(self) -> float:
        """Of all faces."""
        return float(self.value(self.faces.sum(0)))

    def of(self, keys: Sequence[str]) -> "Statistic":
        """Of these faces, in this order."""
        place = {key: i for i, key in enumerate(self.keys)}
        return replace(self, keys=tuple(keys), faces=self.faces[[place[key] for key in keys]])


def compare_steps(runs: Mapping[Path, Sequence[FitConfig]], steps: Sequence[str], output: Path, reference: str) -> str:
    """Writes comparison.md, .csv and .json into `output`; returns the table with what it says in sentences.

    runs: the configs of the steps, in their order, by the folder of a seed's chain. reference: the step that the others
    are compared with. Raises MienError for models that have no output or no face in common.
    """
    found = {step: [_statistics(_predictions(configs[i])) for configs in runs.values()] for i, step in enumerate(steps)}
    found, left_out = _on_same_faces(found)
    config = next(iter(runs.values()))[steps.index(reference)]
    samples = config.data.open(evaluation=True).samples(config.data.test_split)
    keys = sorted({key for each in found[reference][0].values() for key in each.keys})
    faces = Resamples.of(keys, {sample.key: sample.subject for sample in samples})
    rows = [
        row
        for step in steps
        for row in _compared(step, found[step], None if step == reference else found[reference], faces)
    ]
    about = {
        "reference": reference, "seeds": [configs[0].trainer.seed for configs in runs.values()],
        "faces": len(faces.places), "left_out": left_out, "people": faces.people, "split": config.data.test_split,
        "data": f"{config.data.name} ({Path(config.data.root).name})",
    }  # fmt: skip
    text = markdown(rows, steps, about)
    write_text(output / f"{COMPARISON}.md", text)
    lines = {"about": about, "metrics": [asdict(row) for row in rows]}
    write_text(output / f"{COMPARISON}.json", json.dumps(lines, indent=1) + "\n")
    header = ("model", "metric", "mean", "sd", "difference", "low", "high", "values", "mcnemar_p")
    write_csv(output / f"{COMPARISON}.csv", header, [[_cell(getattr(row, name)) for name in header] for row in rows])
    return f"{text}\n{output / COMPARISON}.md (.csv, .json)"


def _predictions(config: FitConfig) -> dict[str, Any]:
    """By output, of a run's bundle on its test split; evaluated where that was not done with these weights."""
    run = Path(config.output)
    folder, weights = run / EVALUATION, read_info(run / "bundle").weight_hash
    if _weights_of(folder) != weights:
        policy = "report" if config.data.leaks == "drop" else config.data.leaks  # all are measured on the same faces
        evaluate(str(run), data=DataOptions(leaks=policy), output=str(folder), bootstrap=0)
    tables = {name: (kind, path) for (name, kind), path in tables_of(folder).items() if kind in ("classes", "values")}
    return {name: _read(kind, path) for name, (kind, path) in tables.items()}


def _read(kind: str, table: Path) -> Any:
    task = task_of(kind)
    assert isinstance(task, SharedPassTask)
    return task.read(table)


def _weights_of(folder: Path) -> str:
    """Of an evaluation; empty where there is none, or half of one."""
    try:
        lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        return str(json.loads(lines[0])["weights"])
    except (OSError, ValueError, IndexError, KeyError):
        return ""


def _on_same_faces(
    found: Mapping[str, Sequence[Mapping[str, Statistic]]],
) -> tuple[dict[str, list[dict[str, Statistic]]], int]:
    """The metrics that all models have, of the faces that all were tested on, in one order; and how many faces others
    were tested on (a face without a render has no fusion). Raises MienError where nothing is in common."""
    every = [each for runs in found.values() for each in runs]
    shared = set.intersection(*(set(each) for each in every))
    if not shared:
        raise MienError("The models of this chain have no output of classes or values in common; nothing compares.")
    keys = {metric: sorted(set.intersection(*(set(each[metric].keys) for each in every))) for metric in shared}
    if empty := [metric for metric, known in keys.items() if not known]:
        raise MienError(f"The models of this chain were tested on different faces; {empty[0]} does not compare.")
    largest = max(len(each[metric].keys) for each in every for metric in shared)
    same = {
        step: [{m: each[m].of(keys[m]) for m in each if m in shared} for each in runs] for step, runs in found.items()
    }
    return same, largest - max(map(len, keys.values()))


@dataclass(frozen=True, eq=False)
class Resamples:
    """The test faces, drawn with replacement, people by people."""

    places: Mapping[str, int]
    """Of each face by key."""
    counts: Float[np.ndarray, "resamples faces"]
    """How often each face is drawn; no resample where there is one person, or one face of nobody known."""
    people: int | None
    """How many there are; None where not all faces have a known person, and faces are drawn."""

    @classmethod
    def of(cls, keys: Sequence[str], subjects: Mapping[str, str | None]) -> "Resamples":
        """Of faces by key. subjects: who they are, None or absent where nobody knows."""
        known = all(subjects.get(key) is not None for key in keys)
        names, group = np.unique([str(subjects[key]) if known else key for key in keys], return_inverse=True)
        drawn = cluster_weights(len(names), resamples=RESAMPLES) if len(names) > 1 else np.zeros((0, 1), int)
        return cls({key: i for i, key in enumerate(keys)}, drawn[:, group].astype(float), len(names) if known else None)

    def values(self, statistic: Statistic) -> Float[np.ndarray, " resamples"]:
        """The metric in each resample."""
        columns = [self.places[key] for key in statistic.keys]
        return np.asarray(statistic.value(self.counts[:, columns] @ statistic.faces))


def _compared(
    step: str, own: Sequence[Mapping[str, Statistic]], other: Sequence[Mapping[str, Statistic]] | None, faces: Resamples
) -> list[ComparedMetric]:
    """Every metric that all seeds have and that is defined.

    other: of the model that is compared with, None for that model itself.
    """
    rows = []
    for metric in own[0]:
        mine = [each[metric] for each in own if metric in each]
        theirs = [each[metric] for each in other or () if metric in each]
        if len(mine) < len(own) or (other is not None and len(theirs) < len(own)):
            continue
        values = tuple(each.plain for each in mine)
        if not np.isfinite([*values, *(each.plain for each in theirs)]).all():
            continue  # undefined: no face has the label, or all have the same
        sd = statistics.stdev(values) if len(values) > 1 else None
        row = ComparedMetric(step, metric, values, statistics.mean(values), sd)
        rows.append(_beside(row, mine, theirs, faces) if theirs else row)
    return rows


def _beside(
    row: ComparedMetric, mine: Sequence[Statistic], theirs: Sequence[Statistic], faces: Resamples
) -> ComparedMetric:
    """The row with its differences from the other model."""
    difference = statistics.mean(a.plain - b.plain for a, b in zip(mine, theirs, strict=True))
    right = row.metric == "accuracy"
    p_values = tuple(_mcnemar(a, b) for a, b in zip(mine, theirs, strict=True)) if right else ()
    row = replace(row, difference=difference, mcnemar_p=p_values)
    drawn = np.mean([faces.values(a) - faces.values(b) for a, b in zip(mine, theirs, strict=True)], 0)
    defined = drawn[np.isfinite(drawn)]
    if not len(drawn) or len(defined) < _DEFINED * len(drawn):
        return row
    interval = percentiles(defined)
    return replace(row, low=interval.low, high=interval.high)


def _mcnemar(mine: Statistic, theirs: Statistic) -> float:
    """Of two models' cells of the confusion matrix, the faces in one order."""
    side = int(np.sqrt(mine.faces.shape[1]))
    first, second = (each.faces[:, :: side + 1].sum(1) > 0 for each in (theirs, mine))
    return mcnemar(first, second).p_value


def _statistics(predictions: Mapping[str, Any]) -> dict[str, Statistic]:
    """Of all outputs by metric; of two outputs with one metric, the first."""
    found: dict[str, Statistic] = {}
    for each in predictions.values():
        found = (_of_classes(each) if isinstance(each, ClassPredictions) else _of_values(each)) | found
    return {name: found[name] for name in sorted(found, key=lambda name: name not in SHARES)}


def _of_classes(predictions: ClassPredictions) -> dict[str, Statistic]:
    count = len(predictions.labels)
    cells = np.eye(count * count)[predictions.truth * count + predictions.predicted]

    def of(metric: Callable[[np.ndarray], np.ndarray]) -> Statistic:
        def value(sums: Sums) -> np.ndarray:
            return metric(np.rint(sums).astype(int).reshape(*sums.shape[:-1], count, count))

        return Statistic(predictions.keys, cells, value)

    return {name: of(metric) for name, metric in CLASS_METRICS.items()}


def _of_values(predictions: ValuePredictions) -> dict[str, Statistic]:
    found: dict[str, Statistic] = {}
    for place, name in enumerate(predictions.names):
        known = predictions.known(name)
        p, t = (np.where(known, values[:, place], 0.0) for values in (predictions.predicted, predictions.truth))
        sums = np.stack([known, p, t, p * p, t * t, p * t], axis=1).astype(float)
        keys = predictions.keys
        found |= {f"ccc/{name}": Statistic(keys, sums, _ccc), f"rmse/{name}": Statistic(keys, sums, _rmse)}
    return found


def _ccc(sums: Sums) -> np.ndarray:
    """metrics.affect.ccc, of the sums of 1, p, t, p^2, t^2 and p t."""
    n, p, t, pp, tt, pt = np.moveaxis(sums, -1, 0)
    with np.errstate(invalid="ignore", divide="ignore"):  # NaN where it is undefined
        covariance = pt / n - p / n * t / n
        apart = pp / n - (p / n) ** 2 + tt / n - (t / n) ** 2 + (p / n - t / n) ** 2
        return np.asarray(2 * covariance / apart)


def _rmse(sums: Sums) -> np.ndarray:
    n, _, _, pp, tt, pt = np.moveaxis(sums, -1, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.sqrt(np.maximum((pp + tt - 2 * pt) / n, 0)))


def _cell(value: Any) -> Any:
    return " ".join(f"{each:.6g}" for each in value) if isinstance(value, tuple) else value
