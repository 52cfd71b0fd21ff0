"""DataOptions: what a user says about data, in `fit` and `evaluate` alike (`--data.name`, `--data.root`, ...).

Light to import: the command line builds its parser from it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from mien.core.errors import MienError, nearest

if TYPE_CHECKING:
    from mien.core.labels import LabelSet
    from mien.data.readers.reader import Reader

SAMPLERS = ("shuffle", "imbalanced")
CACHES = ("none", "memory")
ON_BROKEN = ("stop", "skip")
CROP_SOURCES = ("box", "landmarks", "detector")
LEAKS = ("refuse", "drop", "report", "ignore")
# What `select_for_evaluation` and the evaluation obey; of the other fields only training knows a use.
USED_BY_EVALUATION = (
    "name", "root", "reader", "eval_reader", "test_split", "crop_source", "split_file", "fold", "leaks",
)  # fmt: skip


@dataclass(frozen=True)
class DataOptions:
    """Where faces come from and how they are served.

    Args:
        name: Data set reader, such as rafdb or manifest; `mien data list` names all.
        root: Folder of the data set (for manifest: the table).
        reader: Options of the reader, such as majority of ferplus or classes of image_folder.
        eval_reader: Options of the reader that differ for validation and test.
        labels: Published class order to train in; none is the data set's own.
        train_split: Split to train on.
        val_split: Split to select on; "auto" is the set's own or else a cut of train, "cut" always a cut.
        test_split: Split to report on. Selecting on it is refused.
        val_fraction: Share of train that is cut for validation.
        limit: Train on about so many faces, each class in its share; 0 is all.
        batch_size: Faces in a training batch, on each process.
        eval_batch_size: Faces in an evaluation batch; 0 is the same as batch_size.
        workers: Processes that prepare faces; 0 is the main one.
        crop_source: Where a face is cut out: "box" (its own), "landmarks" (ParFace's), "detector" (like one's).
        augmentation: Name of a recipe (published, published_other, reproduction, strong, daug0 to daug7, none).
        augment: Single values of the recipe to change, such as rotation_deg or flip.
        sampler: "shuffle", or "imbalanced": every class equally often, with replacement.
        soft_labels: Serve the distribution of votes beside the class.
        drop_last: Leave out the last, smaller training batch.
        cache: "memory" keeps the prepared 8-bit crops, for sets of small pictures.
        on_broken: What a broken picture does: "stop", or "skip" (named once, left out).
        seed: Decides the cut, the order and every augmentation.
        split_file: A split that `mien data split` wrote; its parts take the place of the set's own splits.
        fold: With a split file of folds, the one to report on.
        leaks: Faces on both sides: "refuse", "drop" (leave them out), "report" (go on and say so), "ignore".
    """

    name: str = ""
    root: str = ""
    reader: dict[str, Any] = field(default_factory=dict)
    eval_reader: dict[str, Any] = field(default_factory=dict)
    labels: str | None = None
    train_split: str = "train"
    val_split: str = "auto"
    test_split: str = "test"
    val_fraction: float = 0.1
    limit: int = 0
    batch_size: int = 64
    eval_batch_size: int = 0
    workers: int = 0
    crop_source: str = "box"
    augmentation: str = "published"
    augment: dict[str, Any] = field(default_factory=dict)
    sampler: str = "shuffle"
    soft_labels: bool = False
    drop_last: bool = False
    cache: str = "none"
    on_broken: str = "stop"
    seed: int = 0
    split_file: str = ""
    fold: int = -1
    leaks: str = "refuse"

    def __post_init__(self) -> None:
        choices = {
            "sampler": SAMPLERS, "cache": CACHES, "on_broken": ON_BROKEN, "leaks": LEAKS, "crop_source": CROP_SOURCES,
        }  # fmt: skip
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise MienError(f"data.{name}: no {getattr(self, name)!r}.{nearest(str(getattr(self, name)), known)}")
        least = {"batch_size": 1, "eval_batch_size": 0, "workers": 0, "limit": 0, "seed": 0, "fold": -1}
        for name, minimum in least.items():
            if getattr(self, name) < minimum:
                raise MienError(f"data.{name} must be at least {minimum}; got {getattr(self, name)}.")
        if not 0 < self.val_fraction < 1:
            raise MienError(f"data.val_fraction must lie between 0 and 1; got {self.val_fraction}.")

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> DataOptions:
        """Raises MienError for a key that is no option, with the nearest one."""
        known = [f.name for f in fields(cls)]
        for key in values:
            if key not in known:
                raise MienError(f"data has no option {key!r}.{nearest(key, known)}")
        return cls(**values)

    def refuse_training_options(self) -> None:
        """Raises MienError for fields that an evaluation has no use for and that differ from their default."""
        default = DataOptions()
        names = [f.name for f in fields(self) if f.name not in USED_BY_EVALUATION]
        given = [f"data.{name}" for name in names if getattr(self, name) != getattr(default, name)]
        if given:
            words = "is for training and has" if len(given) == 1 else "are for training and have"
            used = ", ".join(f"data.{name}" for name in USED_BY_EVALUATION)
            raise MienError(
                f"{', '.join(given)} {words} no effect on an evaluation. It takes {used}: leave the others out."
            )

    def open(self, *, evaluation: bool = False) -> Reader:
        """The reader, opened once by one DataOptions. Raises MienError when no name or root was given."""
        opened: dict[bool, Reader] = self.__dict__.setdefault("_opened", {})
        evaluation = evaluation and bool(self.eval_reader)
        if evaluation not in opened:
            opened[evaluation] = self._open(self.reader | (self.eval_reader if evaluation else {}))
        return opened[evaluation]

    def _open(self, reader_options: dict[str, Any]) -> Reader:
        from mien.data.readers import list_readers, open_reader

        if not self.name:
            raise MienError(f"Name a data set: --data.name NAME. Known: {', '.join(list_readers())}.")
        if not self.root:
            raise MienError(f"Name the folder of {self.name}: --data.root DIR. See docs/data.md for how it must lie.")
        reader = open_reader(self.name, self.root, **reader_options)
        if not self.split_file:
            if self.fold >= 0:
                raise MienError("data.fold chooses a part of a split file: name it with --data.split_file.")
            return reader
        from mien.data.readers.divided import Divided
        from mien.data.split_file import read_split_file

        return Divided(reader, read_split_file(self.split_file), fold=self.fold, where=self.split_file)

    def target_labels(self) -> LabelSet | None:
        """The class order to train in: the one named in `labels`, else the data set's own; None without expressions."""
        from mien.core.labels import label_set

        return label_set(self.labels) if self.labels else self.open().labels
