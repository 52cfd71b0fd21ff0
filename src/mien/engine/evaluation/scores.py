"""Answers (what a model said of a labelled set) and their scores: every metric with its interval, as lines to keep."""

import csv
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.core.errors import MienError

if TYPE_CHECKING:
    import numpy as np

    from mien.core.labels import LabelSet
    from mien.metrics.calibration import ReliabilityBins

OVER_SET = ("accuracy", "balanced_accuracy", "f1_macro", "f1_weighted", "kappa")
OVER_CLASSES = ("balanced_accuracy", "f1_macro")  # averages that leave out classes without samples
Metric = Callable[["np.ndarray"], "np.ndarray"]


@dataclass(frozen=True, eq=False)
class Answers:
    """logits [samples, classes] in the order of `labels`, the model's own; truth [samples] holds indices into it too.

    temperature divides the logits. keys are the samples' own, unique.
    """

    labels: "LabelSet"
    keys: tuple[str, ...]
    truth: "np.ndarray"
    logits: "np.ndarray"
    temperature: float = 1.0

    def __len__(self) -> int:
        return len(self.keys)

    @cached_property
    def probabilities(self) -> "np.ndarray":
        from mien.core.decode import probabilities

        return probabilities(self.logits, temperature=self.temperature)

    @cached_property
    def predicted(self) -> "np.ndarray":
        return self.probabilities.argmax(-1)

    @cached_property
    def right(self) -> "np.ndarray":
        return self.predicted == self.truth

    @cached_property
    def confusion(self) -> "np.ndarray":
        from mien.metrics.expression import confusion_matrix

        return confusion_matrix(self.truth, self.predicted, classes=len(self.labels))

    @cached_property
    def reliability(self) -> "ReliabilityBins":
        from mien.metrics.calibration import reliability_bins

        return reliability_bins(self.probabilities, self.truth)

    def mistakes(self, most: int) -> list[int]:
        """Indices of the wrong answers, the most confident first."""
        confidence = self.probabilities.max(-1)
        return sorted((int(i) for i in (~self.right).nonzero()[0]), key=lambda i: -confidence[i])[:most]


@dataclass(frozen=True)
class Score:
    """One metric. value is None, and `note` says why, where it is undefined. low, high: an interval of that level.

    Sets of faces and their averages have bootstrap intervals; recall and precision, being shares of few, Wilson's.
    """

    metric: str
    value: float | None
    low: float | None = None
    high: float | None = None
    level: float = 0.95
    method: str = ""
    n: int = 0
    note: str = ""


def score(answers: Answers, *, resamples: int = 2000, seed: int = 0) -> list[Score]:
    """Every metric of the set, then of each class. resamples=0 leaves the intervals out."""
    if len(answers) == 0:
        raise MienError("Nothing to score: no sample has both a readable picture and a label that the model knows.")
    found = [*_over_set(answers, resamples, seed), *_calibration(answers, resamples, seed)]
    return found + [s for k in range(len(answers.labels)) for s in _of_class(answers, k, resamples, seed)]


def _over_set(answers: Answers, resamples: int, seed: int) -> list[Score]:
    from mien.metrics import expression

    absent = expression.absent_classes(answers.confusion, answers.labels.classes)
    note = f"classes without samples left out: {', '.join(absent)}" if absent else ""
    scores = [_scored(answers, name, getattr(expression, name), resamples, seed) for name in OVER_SET]
    scores = [replace(s, note=s.note or note) if s.metric in OVER_CLASSES else s for s in scores]
    usual = answers.labels.classes[int(answers.confusion.sum(1).argmax())]
    baseline = float(expression.majority_accuracy(answers.confusion))
    return [*scores, Score("majority_accuracy", baseline, n=len(answers), note=f"always answering {usual}")]


def _of_class(answers: Answers, index: int, resamples: int, seed: int) -> list[Score]:
    from functools import partial

    from mien.metrics import expression

    name, confusion = answers.labels.classes[index], answers.confusion
    precision, recall, f1 = (
        partial(metric, index=index, name=name) for metric in (expression.precision, expression.recall, expression.f1)
    )
    answered, support = int(confusion[:, index].sum()), int(confusion[index].sum())
    scores = [
        _share(f"precision/{name}", precision, confusion, answered),
        _share(f"recall/{name}", recall, confusion, support),
        replace(_scored(answers, f"f1/{name}", f1, resamples, seed), n=support),
    ]
    return scores if resamples else [replace(s, low=None, high=None, method="") for s in scores]


def _share(name: str, metric: Metric, confusion: "np.ndarray", n: int) -> Score:
    """A share of n samples, with Wilson's interval."""
    from mien.metrics.significance import wilson_interval

    try:
        value = float(metric(confusion))
    except MienError as error:
        return Score(name, None, note=str(error))
    return replace(Score(name, value, n=n), **asdict(wilson_interval(round(value * n), n)))


def _scored(answers: Answers, name: str, metric: Metric, resamples: int, seed: int) -> Score:
    from mien.metrics.significance import bootstrap_interval

    try:
        plain = Score(name, float(metric(answers.confusion)), n=len(answers))
    except MienError as error:
        return Score(name, None, n=len(answers), note=str(error))
    if not resamples:
        return plain
    over_classes = name in OVER_CLASSES
    try:
        interval = bootstrap_interval(
            answers.confusion, metric, resamples=resamples, seed=seed, stratified=over_classes
        )
    except MienError as error:
        return replace(plain, note=str(error))
    return replace(plain, **asdict(interval))


def _calibration(answers: Answers, resamples: int, seed: int) -> list[Score]:
    """ECE, NLL and Brier; the ECE's interval leans upwards, as every resample of an ECE does."""
    import numpy as np

    from mien.metrics import calibration
    from mien.metrics.significance import bootstrap_samples

    bins = calibration.BINS
    chances = answers.probabilities
    index = np.clip(np.ceil(chances.max(-1) * bins).astype(int) - 1, 0, bins - 1)
    gap = answers.right - chances.max(-1)
    losses = calibration.nll_of_samples(answers.logits, answers.truth, temperature=answers.temperature)
    squares = calibration.brier_of_samples(chances, answers.truth)

    def ece(drawn: np.ndarray) -> float:
        return float(np.abs(np.bincount(index[drawn], gap[drawn])).sum() / len(drawn))

    statistics: dict[str, tuple[float, Callable[[np.ndarray], float]]] = {
        f"ece@{bins}": (answers.reliability.ece, ece),
        "nll": (float(losses.mean()), lambda drawn: float(losses[drawn].mean())),
        "brier": (float(squares.mean()), lambda drawn: float(squares[drawn].mean())),
    }
    scores = []
    for name, (value, statistic) in statistics.items():
        plain = Score(name, value, n=len(answers))
        drawn = bootstrap_samples(statistic, len(answers), resamples=resamples, seed=seed) if resamples else None
        scores.append(replace(plain, **asdict(drawn)) if drawn else plain)
    return scores


def value_of(scores: list[Score], metric: str) -> Score:
    """The score of that name."""
    return next(s for s in scores if s.metric == metric)


def write_scores(path: Path, scores: list[Score], **common: Any) -> None:
    """metrics.jsonl: one line a metric, each with all that says what was measured (`common`)."""
    from mien.media.files import write_text

    write_text(path, "".join(json.dumps(asdict(s) | common, ensure_ascii=False) + "\n" for s in scores))


def write_answers(folder: Path, answers: Answers) -> None:
    """predictions.csv and predictions.parquet: key, truth, predicted, then p_CLASS in the model's order."""
    from arro3.core import Array, DataType, Table
    from arro3.io import write_parquet

    from mien.media.files import atomic_path

    names = answers.labels.classes
    words = {
        "key": list(answers.keys),
        "truth": [names[i] for i in answers.truth],
        "predicted": [names[i] for i in answers.predicted],
    }
    with atomic_path(folder / "predictions.csv") as path, path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*words, *(f"p_{name}" for name in names)])
        for *row, chances in zip(*words.values(), answers.probabilities, strict=True):
            writer.writerow([*row, *(f"{p:.8g}" for p in chances)])
    columns: dict[str, Any] = {name: Array(values, type=DataType.utf8()) for name, values in words.items()}
    columns |= {f"p_{name}": Array(answers.probabilities[:, k].copy()) for k, name in enumerate(names)}
    with atomic_path(folder / "predictions.parquet") as path:
        write_parquet(Table.from_pydict(columns), path)


def read_answers(path: Path) -> Answers:
    """The answers of a predictions.csv (or of the folder that holds it). The logits are the logarithms of p_CLASS."""
    import numpy as np

    from mien.core.labels import LabelSet

    path = path / "predictions.csv" if path.is_dir() else path
    if not path.is_file():
        raise MienError(f"No predictions.csv at {path}. Expected the --output folder of `mien evaluate`.")
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    names = tuple(c[2:] for c in rows[0] if c and c.startswith("p_")) if rows else ()
    if not names or not {"key", "truth", "predicted"} <= set(rows[0]):
        raise MienError(
            f"{path}: not a predictions file; it needs rows with key, truth, predicted and p_CLASS columns."
        )
    labels = LabelSet(path.parent.name or "predictions", names)
    try:
        chances = np.array([[float(row[f"p_{n}"]) for n in names] for row in rows])
    except (TypeError, ValueError) as error:
        raise MienError(f"{path}: a probability is not a number ({error}).") from error
    truth = np.array([labels.index(row["truth"]) for row in rows])
    return Answers(labels, tuple(row["key"] for row in rows), truth, np.log(np.maximum(chances, 1e-300)))
