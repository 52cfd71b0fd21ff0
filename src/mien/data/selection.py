"""Which faces are trained on, selected on and reported on, in the classes of the system. No torch, nothing decoded."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations

from mien.core.errors import MienError
from mien.core.labels import LabelSet
from mien.core.records import Sample
from mien.data.framing import framed
from mien.data.leakage.duplicates import pairs_of_keys
from mien.data.leakage.leaks import find_leaks, leak_counts, refuse, summary, without
from mien.data.options import DataOptions
from mien.data.readers import Reader
from mien.data.readers.divided import Divided
from mien.data.relabelling import dropped_note, labelled, relabelled, relabelled_with_counts
from mien.data.splits import split_hash, stratified_holdout, stratified_part

WAYS_OUT = (
    "See them: mien data leaks. Leave them out: --data.leaks drop; go on and say so: --data.leaks report; "
    "divide anew: mien data split."
)


@dataclass
class Selection:
    """Training and validation faces of one run."""

    train: list[Sample] = field(default_factory=list)
    """Faces to train on."""
    val: list[Sample] = field(default_factory=list)
    """Faces to validate on."""
    names: dict[str, str] = field(default_factory=dict)
    """Side ("train", "val") → how it came about, for reports."""
    notes: list[str] = field(default_factory=list)
    """What was left out, for the log."""
    division: dict[str, object] = field(default_factory=dict)
    """Of the split file, if there is one."""
    leaks: dict[str, object] = field(default_factory=dict)
    """Policy, and by pair of sides what stands on both."""

    def provenance(self) -> dict[str, object]:
        """Split names, counts and hashes as plain values."""
        sides = {"train": self.train, "val": self.val}
        about: dict[str, object] = {
            side: {"split": self.names.get(side, side), "faces": len(samples), "hash": split_hash(samples)}
            for side, samples in sides.items()
        }
        return about | {"leaks": self.leaks} | ({"split_file": self.division} if self.division else {})


@dataclass(frozen=True)
class Target:
    """The faces of one split that one output of a model is measured on."""

    data: str
    """Name of the data set's reader."""
    split: str
    """As the reader calls it."""
    split_hash: str
    """Of the whole split, in the data set's own classes."""
    samples: list[Sample]
    """For an output of classes their expression counts in the model's LabelSet."""
    dropped: dict[str, int] = field(default_factory=dict)
    """Kind of face that the model cannot be measured on, such as a class that it lacks → faces left out."""
    unlabelled: int = 0
    """Faces left out because they have no label."""
    split_file: str = ""
    """Hash of the file that made the split, and the fold."""
    notes: list[str] = field(default_factory=list)
    """What was left out, for the log."""

    @classmethod
    def of(cls, reader: Reader, split: str) -> "Target":
        """The whole split."""
        samples = reader.samples(split)
        return cls(
            reader.name, reader.resolve(split), split_hash(samples), samples, split_file=_split_file(reader),
            notes=list(reader.notes),
        )  # fmt: skip


def select_for_training(options: DataOptions, labels: LabelSet | None) -> Selection:
    """Train and validation faces; with labels only those that have an expression.

    Raises MienError when selecting on test or train is asked for, when sides overlap, and for one class only.
    """
    if labels is not None and len(labels) < 2:
        raise MienError(f"{options.name} has one class only, {labels.classes[0]!r}: nothing can be told apart.")
    reader = options.open()
    train_split, val_split = _train_split(options, reader), _validation_split(options, reader)
    selection = Selection(division=_division(reader))
    train, val = _train_and_validation(options, train_split, val_split, selection)
    sides = {train_split: train, val_split or "validation": val}
    if _has(reader, options.test_split):
        sides[reader.resolve(options.test_split)] = reader.samples(options.test_split)
    kept = list(checked_for_leaks(options, sides, selection).values())[:2]
    selection.notes += reader.notes
    for side, own in zip(("train", "val"), kept, strict=True):
        wanted = relabelled(own, reader.labels, labels, notes=selection.notes, where=side)
        if labels is not None:
            wanted = labelled(wanted, notes=selection.notes, where=side)
        setattr(selection, side, framed(wanted, options.crop_source))
    return selection


def select_for_evaluation(options: DataOptions, labels: LabelSet | None, *, split: str | None = None) -> Target:
    """The faces of a split (None: `test_split`), framed as `crop_source` says.

    With labels they are in that class order and unlabelled ones are left out; without, all faces are there as they are.
    Obeys USED_BY_EVALUATION of the options but `leaks`, which takes the fingerprints of a bundle. Raises MienError for
    a data set without expressions where labels are asked for, and when no face is left.
    """
    reader = options.open(evaluation=True)
    chosen = Target.of(reader, split or options.test_split)
    if labels is not None:
        chosen = _labelled(chosen, reader, labels)
    return replace(chosen, samples=framed(chosen.samples, options.crop_source))


def _labelled(whole: Target, reader: Reader, labels: LabelSet) -> Target:
    if reader.labels is None:
        raise MienError(f"{reader.name} has no expression labels, so no expression model can be measured on it.")
    kept, dropped = relabelled_with_counts(whole.samples, reader.labels, labels)
    samples = [sample for sample in kept if sample.expression is not None]
    if not samples:
        lacks = f"only of classes that the model lacks ({', '.join(dropped)})" if dropped else "without a label"
        raise MienError(
            f"{reader.name}, split {whole.split}: all {len(whole.samples)} samples are {lacks}; the model has "
            f"{', '.join(labels.classes)}."
        )
    unlabelled = len(kept) - len(samples)
    notes = whole.notes + dropped_note(dropped, labels, where=whole.split)
    notes += [f"{whole.split}: {unlabelled:,} faces without an expression are left out."] if unlabelled else []
    return replace(whole, samples=samples, dropped=dict(dropped), unlabelled=unlabelled, notes=notes)


def _train_and_validation(
    options: DataOptions, train_split: str, val_split: str | None, selection: Selection
) -> tuple[list[Sample], list[Sample]]:
    """Both sides in the data set's own classes; train cut to `limit`. Writes names and notes of the selection."""
    train = options.open().samples(train_split)
    if val_split is None:
        pairs = [] if options.leaks == "ignore" else pairs_of_keys(train)
        train, held = stratified_holdout(train, fraction=options.val_fraction, seed=options.seed, pairs=pairs)
        val = _as_evaluated(held, options, train_split)
        name = f"{options.val_fraction:g} of {options.train_split}, stratified, seed {options.seed}"
        selection.notes.append(f"{len(val)} of the {options.train_split} faces are held out to select the epoch on.")
    else:
        val, name = options.open(evaluation=True).samples(val_split), val_split
    if options.limit and options.limit < len(train):
        train = stratified_part(train, options.limit, seed=options.seed)
    selection.names = {"train": options.train_split, "val": name}
    return train, val


def checked_for_leaks(
    options: DataOptions, sides: dict[str, list[Sample]], selection: Selection
) -> dict[str, list[Sample]]:
    """The sides, after `options.leaks` was obeyed; what was found goes into the selection.

    Raises MienError for leaks that are to be refused. Dropped faces are taken from the earlier side: test stays whole.
    """
    selection.leaks = {"policy": options.leaks}
    if options.leaks == "ignore":
        selection.notes.append("Faces on two sides were not looked for (data.leaks: ignore).")
        return sides
    leaks = find_leaks(sides)
    if options.leaks == "refuse":
        refuse(leaks, ways_out=WAYS_OUT)
    for pair in combinations(sides, 2):
        here = [leak for leak in leaks if leak.sides == pair]
        if here and options.leaks == "drop":
            kept = without(sides[pair[0]], here, side=0)
            lost = len(sides[pair[0]]) - len(kept)
            selection.notes.append(f"{lost} faces of {pair[0]} are left out: {summary(here)} in {pair[1]} too.")
            sides = sides | {pair[0]: kept}
        elif here:
            selection.notes.append(f"{summary(here)} in both {pair[0]} and {pair[1]}: its scores flatter.")
        if here:
            selection.leaks[f"{pair[0]} and {pair[1]}"] = leak_counts(here)
    if empty := [name for name, side in sides.items() if not side]:
        raise MienError(f"data.leaks: drop leaves no face of {empty[0]}. Divide the set anew: mien data split.")
    return sides


def _division(reader: Reader) -> dict[str, object]:
    return reader.provenance() if isinstance(reader, Divided) else {}


def _split_file(reader: Reader) -> str:
    if not isinstance(reader, Divided):
        return ""
    return reader.file.hash + (f", fold {reader.fold}" if reader.file.is_folds else "")


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
