"""DataOptions: the data set, split and loading options of `fit` and `evaluate` (`--data.name`, `--data.root`, ...).

Light to import: the command line builds its parser from it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from mien.core.errors import MienError, nearest
from mien.core.limits import COUNT
from mien.core.options import at_least, check_rules
from mien.core.typed import shown

if TYPE_CHECKING:
    from mien.core.labels import LabelSet
    from mien.data.readers.reader import Reader

SAMPLERS = ("shuffle", "imbalanced")
CACHES = ("none", "memory")
ON_BROKEN = ("stop", "skip")
CROP_SOURCES = ("box", "landmarks", "detector")
LEAKS = ("refuse", "drop", "report", "ignore")
MAX_BETA = 1000  # above it every weight is a half
# What `select_for_evaluation` and the evaluation obey; of the other fields only training knows a use.
USED_BY_EVALUATION = (
    "name", "root", "reader", "eval_reader", "test_split", "crop_source", "split_file", "fold", "leaks",
)  # fmt: skip


@dataclass(frozen=True)
class DataOptions:
    """The data set, its split, and how samples are loaded."""

    name: str = ""
    """Reader of the data set, such as rafdb or manifest; `mien data list` prints all."""
    root: str = ""
    """Folder of the data set; for manifest, the table."""
    reader: dict[str, Any] = field(default_factory=dict)
    """Options of the reader, such as majority of ferplus or classes of image_folder: --data.reader.KEY VALUE."""
    eval_reader: dict[str, Any] = field(default_factory=dict)
    """Options of the reader that differ for validation and test."""
    labels: str | None = None
    """Published class order to train in, such as rafdb or affectnet7; by default that of the data set."""
    train_split: str = "train"
    """Split to train on."""
    val_split: str = "auto"
    """Split to select the epoch on; auto is the set's validation split, or a part held out of train where there is
    none; cut always holds out a part of train."""
    test_split: str = "test"
    """Split that results are reported on; selecting on it is refused."""
    val_fraction: float = 0.1
    """Share of train held out for validation, between 0 and 1, stratified by class."""
    limit: int = 0
    """Approximate number of training samples to use, stratified by class; 0 uses all."""
    batch_size: int = 64
    """Samples in a training batch of each process."""
    eval_batch_size: int = 0
    """Samples in an evaluation batch; 0 takes batch_size."""
    workers: int = 0
    """Processes that load samples; 0 loads them in the main process."""
    crop_source: str = "box"
    """Box that the face is cropped by: box is the data set's own, landmarks is ParFace's box around the true points,
    detector imitates a face detector's box."""
    augmentation: str = "published"
    """Augmentation recipe: published, published_other, published_if3d, reproduction, strong, daug0 to daug7, none."""
    augment: dict[str, Any] = field(default_factory=dict)
    """Values that replace those of the recipe, such as rotation_deg or flip: --data.augment.KEY VALUE."""
    sound: dict[str, Any] = field(default_factory=dict)
    """Augmentation of voices, such as speed, noise or masks, none by default: --data.sound.KEY VALUE."""
    mixup: float = 0.0
    """Mixup of training batches: each face is blended with another and so are their targets, by a weight from
    Beta(x, x), such as 0.8; 0 for none. For stages that train classes, with valence and arousal, from pictures and
    sounds."""
    cutmix: float = 0.0
    """CutMix of training batches: a box of another face is pasted in, and the targets are blended by its area; Beta(x,
    x) of the share that is kept, such as 1; 0 for none. For stages that train classes from pictures."""
    mix_prob: float = 1.0
    """Probability that a batch is mixed, 0..1."""
    mix_switch_prob: float = 0.5
    """Probability of CutMix rather than mixup where both are on, 0..1."""
    mix_off_epoch: int = 0
    """Finished epochs after which batches are no longer mixed; 0 for never."""
    sampler: str = "shuffle"
    """shuffle draws each sample once an epoch; imbalanced draws every class equally often, with replacement."""
    soft_labels: bool = False
    """Use the distribution of the annotators' votes as target, where the data set has it."""
    drop_last: bool = False
    """Drop the last training batch of an epoch when it is smaller than the others."""
    cache: str = "none"
    """memory keeps the cropped 8-bit images in memory after the first epoch, for sets of small images; none reads them
    each time."""
    on_broken: str = "stop"
    """What an image that cannot be read does: stop ends the run, skip reports it once and leaves it out."""
    seed: int = 0
    """Seed of the held-out split, the order of samples and their augmentation."""
    order_seed: int = -1
    """Seed of the order of samples and their augmentation alone, where the split is to stay; -1 takes seed."""
    split_file: str = ""
    """Split file written by `mien data split`; its parts replace the data set's own splits."""
    fold: int = -1
    """Fold to report on, of a split file with folds; -1 for a split file without."""
    leaks: str = "refuse"
    """What faces on both sides of a split do: refuse stops, drop leaves them out of train, report goes on and lists
    them, ignore does not search."""

    divide: str = ""
    """Parts in which fit divides a data set that has no splits of its own, such as train=.8,valid=.1,test=.1; people,
    clips and near-duplicates stay in one part, data.seed selects the division, and RUN/split.csv states it."""

    def __post_init__(self) -> None:
        choices = {
            "sampler": SAMPLERS, "cache": CACHES, "on_broken": ON_BROKEN, "leaks": LEAKS, "crop_source": CROP_SOURCES,
        }  # fmt: skip
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise MienError(
                    f"data.{name}: no {shown(getattr(self, name))}.{nearest(str(getattr(self, name)), known)}"
                )
        rules = at_least(self, 1, "batch_size") | at_least(self, -1, "fold", "order_seed")
        rules |= at_least(self, 0, "eval_batch_size", "limit", "seed", "mix_off_epoch")
        most = {"workers": COUNT, "mixup": MAX_BETA, "cutmix": MAX_BETA, "mix_prob": 1, "mix_switch_prob": 1}
        rules |= {name: (0 <= getattr(self, name) <= highest, f"in 0..{highest}") for name, highest in most.items()}
        check_rules(self, "data.", rules | {"val_fraction": (0 < self.val_fraction < 1, "between 0 and 1")})

    @property
    def seed_of_order(self) -> int:
        """Of the order of samples and of their augmentation."""
        return self.seed if self.order_seed < 0 else self.order_seed

    def refuse_training_options(self) -> None:
        """Raises MienError for fields that an evaluation has no use for and that differ from their default."""
        default = DataOptions()
        names = [f.name for f in fields(self) if f.name not in USED_BY_EVALUATION]
        given = [f"data.{name}" for name in names if getattr(self, name) != getattr(default, name)]
        if given:
            clause = "is for training and has" if len(given) == 1 else "are for training and have"
            used = ", ".join(f"data.{name}" for name in USED_BY_EVALUATION)
            raise MienError(
                f"{', '.join(given)} {clause} no effect on an evaluation. It takes {used}: leave the others out."
            )

    def refuse_inside(self, output: str) -> None:
        """Raises MienError for an output among class folders of any name, where it would be a class of the next run."""
        if self.name == "image_folder" and self.root:
            from mien.media.files import refuse_inside

            refuse_inside(output, self.root)

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
            return self._divided(reader) if self.divide and reader.splits == ("all",) else reader
        from mien.data.readers.divided import Divided
        from mien.data.split_file import read_split_file

        return Divided(reader, read_split_file(self.split_file), fold=self.fold, where=self.split_file)

    def _divided(self, reader: Reader) -> Reader:
        from mien.data.divide import divided_reader
        from mien.data.split_file import parts_from

        return divided_reader(
            reader, parts_from(self.divide), seed=self.seed, pictures=self.leaks != "ignore", where="data.divide"
        )

    def target_labels(self) -> LabelSet | None:
        """The class order to train in: the one named in `labels`, else the data set's own; None without expressions."""
        from mien.core.labels import label_set

        return label_set(self.labels) if self.labels else self.open().labels
