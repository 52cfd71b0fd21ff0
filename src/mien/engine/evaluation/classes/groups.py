"""Scores of recordings and people: of clips instead of frames, with intervals over people, and of disagreeing voices.

Frames of one clip and clips of one person resemble each other, so that a bootstrap over faces is too sure of itself;
here whole people are drawn (cluster bootstrap).
"""

from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int

from mien.core.errors import MienError
from mien.core.labels import LabelSet
from mien.core.records import Sample
from mien.engine.evaluation.classes.predictions import ClassPredictions
from mien.engine.evaluation.options import Bootstrap
from mien.engine.evaluation.scores import Score
from mien.metrics.expression import balanced_accuracy
from mien.metrics.significance import cluster_weights, percentiles

METHOD = "cluster bootstrap over {}, percentile"


def group_scores(predictions: ClassPredictions, samples: Sequence[Sample], bootstrap: Bootstrap) -> list[Score]:
    """Those that the data allow; the samples in the order of the predictions.

    `@subjects`: over faces, where every one has a subject. `clip_`: over clips, where every face has one, some clip has
    several and each has one label. `congruent_` and `incongruent_`: where some voice expresses another class.
    """
    faces = Grouped(predictions.probabilities, predictions.truth, [s.subject for s in samples], "subjects")
    found = faces.scores("accuracy@subjects", "balanced_accuracy@subjects", bootstrap) if faces.known else []
    if (clips := _clips(predictions, samples)) is not None:
        found += clips.scores("clip_accuracy", "clip_balanced_accuracy", bootstrap)
    return found + _congruence(predictions, samples, bootstrap)


class Grouped:
    """Predictions in clusters that are drawn as a whole."""

    def __init__(
        self, probabilities: Float[np.ndarray, "samples classes"], truth: Int[np.ndarray, " samples"],
        clusters: Sequence[str | None], unit: str,
    ) -> None:  # fmt: skip
        """unit: what the clusters are, in words."""
        self.probabilities, self.truth, self.unit = probabilities, truth, unit
        self.known = all(name is not None for name in clusters)
        self.names, self.cluster = np.unique([str(name) for name in clusters], return_inverse=True)

    @cached_property
    def predicted(self) -> Int[np.ndarray, " samples"]:
        return self.probabilities.argmax(-1)

    @cached_property
    def tables(self) -> Int[np.ndarray, "clusters classes classes"]:
        """A confusion matrix of each cluster."""
        count, classes = len(self.names), self.probabilities.shape[1]
        places = np.ravel_multi_index((self.cluster, self.truth, self.predicted), (count, classes, classes))
        return np.bincount(places, minlength=count * classes**2).reshape(count, classes, classes)

    def scores(self, accuracy: str, recall: str, bootstrap: Bootstrap) -> list[Score]:
        """Accuracy and mean recall by these names."""
        right = np.asarray(self.predicted == self.truth, float)
        return [self.mean(accuracy, right, bootstrap), self._mean_recall(recall, bootstrap)]

    def mean(
        self, metric: str, values: Float[np.ndarray, " samples"], bootstrap: Bootstrap,
        among: Bool[np.ndarray, " samples"] | None = None,
    ) -> Score:  # fmt: skip
        """Of the values, or of those `among` them; at least one."""
        chosen = np.ones(len(values), bool) if among is None else among
        plain = Score(metric, float(values[chosen].mean()), n=int(chosen.sum()))
        if (weights := self._weights(bootstrap)) is None:
            return replace(plain, note=self._without_interval(bootstrap))
        count, total = (
            np.bincount(self.cluster, part, minlength=len(self.names)) for part in (chosen, values * chosen)
        )
        drawn = weights @ np.stack([total, count], axis=1)
        return self._with_interval(plain, drawn[drawn[:, 1] > 0, 0] / drawn[drawn[:, 1] > 0, 1])

    def _mean_recall(self, metric: str, bootstrap: Bootstrap) -> Score:
        plain = Score(metric, float(balanced_accuracy(self.tables.sum(0))), n=len(self.truth))
        if (weights := self._weights(bootstrap)) is None:
            return replace(plain, note=self._without_interval(bootstrap))
        return self._with_interval(plain, balanced_accuracy(np.tensordot(weights, self.tables, axes=1)))

    def _weights(self, bootstrap: Bootstrap) -> Int[np.ndarray, "resamples clusters"] | None:
        """How often each cluster is drawn; None where there is nothing to draw from."""
        try:
            return cluster_weights(len(self.names), resamples=bootstrap.resamples, seed=bootstrap.seed)
        except MienError:
            return None

    def _without_interval(self, bootstrap: Bootstrap) -> str:
        return f"no interval: one of {self.unit}" if bootstrap.resamples else ""

    def _with_interval(self, plain: Score, drawn: Float[np.ndarray, " resamples"]) -> Score:
        return replace(plain, **asdict(percentiles(drawn)) | {"method": METHOD.format(self.unit)})


def _clips(predictions: ClassPredictions, samples: Sequence[Sample]) -> Grouped | None:
    """The mean of each clip's probabilities; None where these data are no clips."""
    names = [sample.clip for sample in samples]
    if any(name is None for name in names) or len(set(names)) == len(names):
        return None
    clips, first, place = np.unique([str(name) for name in names], return_index=True, return_inverse=True)
    truth = predictions.truth[first]
    if (truth[place] != predictions.truth).any():  # from neutral to the peak: a clip is not of one class
        return None
    sums = np.stack([np.bincount(place, column) for column in predictions.probabilities.T], axis=1)
    means = sums / np.bincount(place)[:, None]
    subjects = [samples[i].subject for i in first]
    known = all(subject is not None for subject in subjects)
    return Grouped(means, truth, subjects if known else list(clips), "subjects" if known else "clips")


def _congruence(predictions: ClassPredictions, samples: Sequence[Sample], bootstrap: Bootstrap) -> list[Score]:
    """Whether the voice pulls the answer where it expresses another class than the face, which is the label."""
    voices = [_index(predictions.labels, sample.voice_expression) for sample in samples]
    if any(voice is None for voice in voices):
        return []
    voice = np.array(voices, int)
    agree = voice == predictions.truth
    if agree.all():
        return []
    subjects = [sample.subject if sample.subject is not None else sample.key for sample in samples]
    faces = Grouped(predictions.probabilities, predictions.truth, subjects, "subjects")
    of_voice = predictions.probabilities[np.arange(len(voice)), voice]
    right, pulled = (np.asarray(predictions.predicted == other, float) for other in (predictions.truth, voice))
    found = [faces.mean("congruent_accuracy", right, bootstrap, agree)] if agree.any() else []
    return [
        *found,
        faces.mean("incongruent_accuracy", right, bootstrap, ~agree),
        faces.mean("incongruent_as_voice", pulled, bootstrap, ~agree),
        faces.mean("incongruent_voice_probability", of_voice, bootstrap, ~agree),
    ]


def _index(labels: LabelSet, name: str | None) -> int | None:
    """None for a voice without an expression, or with one that the model does not know."""
    try:
        return None if name is None else labels.index(name)
    except MienError:
        return None
