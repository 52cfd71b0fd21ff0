"""Which faces are trained on, selected on and reported on, in the classes of the system. No torch, nothing decoded."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from mien.core.errors import MienError
from mien.core.labels import LabelSet
from mien.core.records import Sample
from mien.data.options import DataOptions
from mien.data.readers import Reader
from mien.data.relabelling import relabelled
from mien.data.splits import refuse_overlap, split_hash, stratified_holdout


@dataclass
class Selection:
    """Faces of one run. names: split → how it came about, for reports. notes: what a person should be told, once."""

    train: list[Sample] = field(default_factory=list)
    val: list[Sample] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def provenance(self) -> dict[str, object]:
        """Split names, counts and hashes as plain values."""
        sides = {"train": self.train, "val": self.val}
        return {
            side: {"split": self.names.get(side, side), "faces": len(samples), "hash": split_hash(samples)}
            for side, samples in sides.items()
        }


def select_for_training(options: DataOptions, labels: LabelSet | None) -> Selection:
    """Train and validation faces. Raises MienError when selecting on test or train is asked for, or sides overlap."""
    reader = options.open()
    val_split = _validation_split(options, reader)
    selection = Selection()
    train = reader.samples(_train_split(options, reader))
    if val_split is None:
        train, held = stratified_holdout(train, fraction=options.val_fraction, seed=options.seed)
        val = _as_evaluated(held, options, _train_split(options, reader))
        name = f"{options.val_fraction:g} of {options.train_split}, stratified, seed {options.seed}"
        selection.notes.append(f"{len(val)} of the {options.train_split} faces are held out to select the epoch on.")
    else:
        val, name = options.open(evaluation=True).samples(val_split), val_split
        refuse_overlap(train, val, names=(options.train_split, val_split))
    test = options.test_split
    if train[0].subject is not None and _has(reader, test):
        refuse_overlap([*train, *val], reader.samples(test), names=("train or validation", test))
    if options.limit and options.limit < len(train):
        train = stratified_holdout(train, fraction=options.limit / len(train), seed=options.seed)[1]
    selection.names = {"train": options.train_split, "val": name}
    selection.train = relabelled(train, reader.labels, labels, notes=selection.notes, where="train")
    selection.val = relabelled(val, reader.labels, labels, notes=selection.notes, where="val")
    return selection


def select_for_evaluation(
    options: DataOptions, labels: LabelSet | None, *, split: str
) -> tuple[list[Sample], list[str]]:
    """The faces of a split in the classes of `labels`, and notes on what was left out."""
    reader = options.open(evaluation=True)
    notes: list[str] = []
    return relabelled(reader.samples(split), reader.labels, labels, notes=notes, where=split), notes


def _train_split(options: DataOptions, reader: Reader) -> str:
    """An undivided data set has one split, "all": it stands for train where nothing else was asked for."""
    undivided = reader.splits == ("all",) and options.train_split == "train"
    return "all" if undivided else reader.resolve(options.train_split)


def _validation_split(options: DataOptions, reader: Reader) -> str | None:
    """The split to select on, or None for a cut of train."""
    test = reader.resolve(options.test_split) if _has(reader, options.test_split) else options.test_split
    if options.val_split == "cut":
        return None
    if options.val_split == "auto":
        return "valid" if "valid" in reader.splits and test != "valid" else None
    split = reader.resolve(options.val_split)
    if split in (test, "test"):
        raise MienError(
            f"data.val_split: {options.val_split!r} is the test split, and selecting an epoch on it is refused. "
            "Use 'cut' (a share of train) or another split."
        )
    if split == _train_split(options, reader):
        raise MienError(
            f"data.val_split: {options.val_split!r} is what is trained on. Use 'cut' to hold a share of it out."
        )
    return split


def _has(reader: Reader, split: str) -> bool:
    try:
        return bool(reader.resolve(split))
    except MienError:
        return False


def _as_evaluated(held: Sequence[Sample], options: DataOptions, split: str) -> list[Sample]:
    """The held-out faces as the evaluation reader has them: those it leaves out are left out."""
    if not options.eval_reader:
        return list(held)
    evaluated = {sample.key: sample for sample in options.open(evaluation=True).samples(split)}
    return [evaluated[sample.key] for sample in held if sample.key in evaluated]
