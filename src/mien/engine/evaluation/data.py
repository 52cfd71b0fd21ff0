"""The labelled faces of a command: opened once, and the options that an evaluation takes."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

from mien.core.errors import MienError
from mien.core.labels import LabelSet
from mien.core.records import Sample
from mien.data.framing import framed
from mien.data.options import DataOptions
from mien.data.selection import Target, select_for_evaluation


class NotMeasurableError(MienError):
    """These data lack what an output would be compared with."""


class EvaluationData:
    """One split of a data set, read once for all outputs and models."""

    def __init__(self, options: DataOptions, split: str | None) -> None:
        """split: None is `options.test_split`. Raises MienError for options without effect and for a missing split."""
        options.refuse_training_options()
        self.options = options
        self.reader = options.open(evaluation=True)
        self.crop_source, self.leaks = options.crop_source, options.leaks
        self.samples = self.reader.samples(split or options.test_split)
        self.split = self.reader.resolve(split or options.test_split)
        self.name, self.labels = self.reader.name, self.reader.labels
        self.notes = list(self.reader.notes)

    @cached_property
    def _whole(self) -> Target:
        return Target.of(self.reader, self.split)

    @property
    def described(self) -> str:
        """Data set and split, for messages."""
        return f"{self.name}, split {self.split}"

    def target(self, samples: Sequence[Sample], *, dropped: dict[str, int], unlabelled: int) -> Target:
        """These faces of the split, framed as `crop_source` says."""
        chosen = framed(samples, self.crop_source)
        return replace(self._whole, samples=chosen, dropped=dropped, unlabelled=unlabelled)

    def class_target(self, labels: LabelSet) -> Target:
        """The faces with a label, mapped to the classes of `labels` by name.

        Raises NotMeasurableError where the data have no expressions or none has a counterpart.
        """
        try:
            return select_for_evaluation(self.options, labels, split=self.split)
        except MienError as error:
            raise NotMeasurableError(str(error)) from error
