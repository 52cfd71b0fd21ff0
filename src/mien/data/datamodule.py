"""FaceDataModule: DataOptions + inputs + LabelSet → loaders of Batch[Tensor] for Lightning.

Order and augmentation are functions of (seed, epoch, index), so a run can stop after any batch and go on exactly: set
`start_epoch` and `start_batch` before `train_dataloader()` is called. The loader's samplers already share the faces
among processes: build the Trainer with `use_distributed_sampler=False`.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import cv2
import lightning as L
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader

from mien.core.errors import MienError
from mien.core.labels import LabelSet
from mien.core.records import Batch, Sample
from mien.core.spec import Input, PictureInput
from mien.data.faces import FaceSet
from mien.data.options import DataOptions
from mien.data.sampling import EpochSampler, ShardSampler
from mien.data.selection import Selection, select_for_evaluation, select_for_training
from mien.data.sounds import sound_augmentation
from mien.data.splits import split_hash
from mien.data.transforms import augmentation

TorchBatch = Batch[Tensor]
log = logging.getLogger(__name__)


class FaceDataModule(L.LightningDataModule):
    """Faces of one data set.

    start_epoch, start_batch: the training loader leaves out the first `start_batch` batches of epoch `start_epoch` (of
    this process; `len(loader)` stays that of a whole epoch). `train_dataloader()` reads them when it is called; every
    other epoch is whole. Lightning calls `set_epoch` on its sampler; other callers do so themselves.
    pin_memory: of the batches, for a GPU; set it before the loaders are made.
    selection: the faces, after `setup("fit")`. notes: what was left out, in words, each said once in the log.
    """

    def __init__(
        self, options: DataOptions, inputs: Mapping[str, Input] | PictureInput, labels: LabelSet | None
    ) -> None:
        super().__init__()
        self.options, self.inputs, self.labels = options, inputs, labels
        self.augmentation = augmentation(options.augmentation, **options.augment)
        self.sound_augmentation = sound_augmentation(**options.sound)
        self.start_epoch = self.start_batch = 0
        self.pin_memory = False
        self.selection = Selection()
        self.test_samples: list[Sample] = []
        self.notes: list[str] = []
        self._sets: dict[str, FaceSet] = {}

    def setup(self, stage: str | None = None) -> None:
        """Reads the index (and, with the cache, the pictures) of what `stage` needs; a second call does nothing."""
        if stage in ("fit", "validate", None) and not self.selection.train:
            self.selection = select_for_training(self.options, self.labels)
            self._warn_once(self.selection.notes)
        if stage == "test" and not self.test_samples:
            chosen = select_for_evaluation(self.options, self.labels)
            self.test_samples = chosen.samples
            self._warn_once(chosen.notes)

    @property
    def class_counts(self) -> np.ndarray:
        """int64 [classes]: training faces of each class. Raises MienError for data without expressions."""
        if self.labels is None:
            raise MienError(f"{self.options.name} has no expressions to count.")
        return np.bincount([s.expression or 0 for s in self.selection.train], minlength=len(self.labels))

    def provenance(self) -> dict[str, Any]:
        """Data set, splits with counts and hashes, seed: plain values for a bundle."""
        return {"data": self.options.name, "seed": self.options.seed} | self.selection.provenance()

    def train_dataloader(self) -> "FaceLoader":
        faces = self._set("train", self.selection.train)
        rank, world = self._process()
        sampler = EpochSampler(
            len(faces), seed=self.options.seed_of_order, classes=self._imbalanced_classes(), rank=rank, world=world,
            epoch=self.start_epoch, start=self.start_batch * self.options.batch_size,
        )  # fmt: skip
        return self._loader(faces, sampler, self.options.batch_size, drop_last=self.options.drop_last)

    def plain_batches(self) -> Iterator[TorchBatch]:
        """Every training sample once, in order and not augmented; in each process all of them."""
        options = self.options
        faces = FaceSet(
            self.selection.train, self.inputs, labels=self.labels, seed=options.seed_of_order,
            on_broken=options.on_broken,
        )  # fmt: skip
        for batch in faces.numpy_batches(options.eval_batch_size or options.batch_size):
            yield batch.map(torch.from_numpy)

    def val_dataloader(self) -> "FaceLoader":
        return self._evaluation_loader("val", self.selection.val)

    def test_dataloader(self) -> "FaceLoader":
        return self._evaluation_loader("test", self.test_samples)

    def transfer_batch_to_device(self, batch: TorchBatch, device: torch.device, dataloader_idx: int) -> TorchBatch:
        return batch.map(lambda value: value.to(device))

    def state_dict(self) -> dict[str, Any]:
        return {side: split_hash(getattr(self.selection, side)) for side in ("train", "val")}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Raises MienError when a run would go on with other faces than it began with."""
        for side, stored in state_dict.items():
            current = split_hash(getattr(self.selection, side))
            if current != stored:
                raise MienError(
                    f"The {side} faces changed since this run began (hash {stored}, now {current}). "
                    "Resume with the same data, seed and splits, or begin a new run."
                )

    def _evaluation_loader(self, side: str, samples: Sequence[Sample]) -> "FaceLoader":
        faces = self._set(side, samples)
        rank, world = self._process()
        size = self.options.eval_batch_size or self.options.batch_size
        return self._loader(faces, ShardSampler(len(faces), rank=rank, world=world), size)

    def _set(self, side: str, samples: Sequence[Sample]) -> FaceSet:
        if not samples:
            raise MienError(f"The data module has no {side} faces yet: call setup first.")
        if side not in self._sets:
            options = self.options
            train = side == "train"
            self._sets[side] = FaceSet(
                samples, self.inputs, labels=self.labels, augmentation=self.augmentation if train else None,
                sound_augmentation=self.sound_augmentation if train else None, seed=options.seed_of_order,
                soft_labels=options.soft_labels, cache=options.cache == "memory", on_broken=options.on_broken,
            )  # fmt: skip
            if broken := self._sets[side].broken:
                first = broken[min(broken)]
                self._warn_once([f"{side}: {len(broken)} broken pictures are left out, first {first}"])
        return self._sets[side]

    def _imbalanced_classes(self) -> list[int] | None:
        if self.options.sampler == "shuffle":
            return None
        classes = [s.expression for s in self.selection.train if s.expression is not None]
        if len(classes) != len(self.selection.train):
            raise MienError("data.sampler: imbalanced needs the expression of every face. Use shuffle.")
        return classes

    def _process(self) -> tuple[int, int]:
        """This process and how many there are."""
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            return torch.distributed.get_rank(), torch.distributed.get_world_size()
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)

    def _loader(
        self, faces: FaceSet, sampler: EpochSampler | ShardSampler, batch_size: int, *, drop_last: bool = False
    ) -> "FaceLoader":
        places: Any = sampler  # torch's BatchSampler is typed for plain indices
        batches = BatchSampler(places, batch_size, drop_last and len(sampler) >= batch_size)
        workers = self.options.workers
        return FaceLoader(
            TorchFaces(faces), batch_sampler=batches, num_workers=workers, collate_fn=_as_it_is,
            worker_init_fn=_one_thread, persistent_workers=workers > 0, pin_memory=self.pin_memory,
            # Its own: the loader would otherwise draw from torch's global generator at each epoch.
            generator=torch.Generator().manual_seed(self.options.seed_of_order),
        )  # fmt: skip

    def _warn_once(self, notes: Sequence[str]) -> None:
        for note in notes:
            if note not in self.notes:
                self.notes.append(note)
                if self._process()[0] == 0:
                    log.warning(note)


class TorchFaces(torch.utils.data.Dataset):
    """A FaceSet for torch's loader, a whole batch at a time (`__getitems__`).

    A MienError is handed on as a value: raised in a worker it would come out as a page of traceback.
    """

    def __init__(self, faces: FaceSet) -> None:
        self.faces = faces

    def __len__(self) -> int:
        return len(self.faces)

    def __getitem__(self, place: tuple[int, int]) -> TorchBatch | MienError:
        return self.__getitems__([place])

    def __getitems__(self, places: list[tuple[int, int]]) -> TorchBatch | MienError:
        try:
            return self.faces.batch(places).map(torch.from_numpy)
        except MienError as error:
            return error


class FaceLoader(DataLoader):
    """torch's loader; raises the MienError that a worker met, as one line."""

    def __iter__(self) -> Iterator[TorchBatch]:  # type: ignore[override]
        for batch in super().__iter__():
            if isinstance(batch, MienError):
                raise batch
            yield batch


def _as_it_is(batch: Any) -> Any:
    return batch


def _one_thread(worker: int) -> None:
    """OpenCV's own threads would fight over the cores that the workers share."""
    cv2.setNumThreads(0)
