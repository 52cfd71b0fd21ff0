"""RunFolder: the files of a training run, among them what it needs to resume.

config.yaml          the whole config        bundle/       the best network so far
checkpoints/last.ckpt  to resume from        metrics.jsonl every score, by epoch and of the bundle
logs/                TensorBoard             curves.png    report.html
pictures/            what stages that make pictures made, by epoch
"""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from mien.core.errors import MienError
from mien.engine.training.checkpoint import upgraded
from mien.engine.training.config import FitConfig
from mien.media.files import atomic_path, write_text
from mien.media.image import save_png
from mien.systems.bundle_folder import previous_bundle, restore_bundle

# What may change when a run goes on: nothing here moves a weight.
FREE_OF_TRAINER = (
    "epochs", "patience", "seeds", "soup", "device", "devices", "nodes", "compile", "cuda_graph", "progress",
    "checkpoint_steps", "checkpoint_minutes",
)  # fmt: skip
# split_file is a path, and what leaks and fold change is seen by the hash of the faces.
FREE_OF_DATA = ("root", "workers", "cache", "eval_batch_size", "split_file", "fold", "leaks", "divide")
# What a kill may leave beside the files that were being written.
LEFTOVERS = (".bundle.*", ".config.*.yaml", ".metrics.*.jsonl", ".curves.*.png", ".report.*.html")
FREE = {"output", "resume", *(f"trainer.{n}" for n in FREE_OF_TRAINER), *(f"data.{n}" for n in FREE_OF_DATA)}


@dataclass(frozen=True)
class RunFolder:
    """Paths and files of a training run."""

    root: Path
    """The folder."""

    @property
    def config(self) -> Path:
        return self.root / "config.yaml"

    @property
    def checkpoint(self) -> Path:
        return self.root / "checkpoints" / "last.ckpt"

    @property
    def bundle(self) -> Path:
        return self.root / "bundle"

    @property
    def split(self) -> Path:
        """How the run divided its data set, where it did so itself."""
        return self.root / "split.csv"

    @property
    def metrics(self) -> Path:
        return self.root / "metrics.jsonl"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def pictures(self) -> Path:
        return self.root / "pictures"

    def write_sheet(self, sheet: np.ndarray, *, epoch: int) -> None:
        """Writes an RGB picture of that epoch."""
        self.pictures.mkdir(exist_ok=True)
        save_png(self.pictures / f"epoch_{epoch:04d}.png", sheet)

    def begin(self, config: FitConfig, *, epochs_are_free: bool = True) -> None:
        """Writes config.yaml, and removes what a killed run left half-written.

        epochs_are_free: whether the run may be resumed with another number of epochs. Raises MienError where a run
        stands there already and nobody asked to resume it, and where one is resumed with another config.
        """
        leftovers = self._leftovers()
        if self.checkpoint.is_file():
            if not config.resume:
                raise MienError(f"{self.root} holds a run. Resume it with --resume true, or name another --output.")
            self.refuse_changes(config, epochs_are_free=epochs_are_free)
        elif not self.config.is_file() and self.root.is_dir() and {*self.root.iterdir()} - {*leftovers}:
            raise MienError(f"{self.root} is not empty and holds no run. Name another --output.")
        restore_bundle(self.bundle)
        for path in leftovers:
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        write_text(self.config, config.to_yaml())

    def _leftovers(self) -> list[Path]:
        """Temporary files and folders of writes that were killed, but for a bundle that has no successor yet."""
        found = [path for pattern in LEFTOVERS for path in self.root.glob(pattern)]
        found += self.checkpoint.parent.glob(f".{self.checkpoint.stem}.*{self.checkpoint.suffix}")
        return [path for path in found if path != previous_bundle(self.bundle)]

    def refuse_changes(self, config: FitConfig, *, epochs_are_free: bool = True) -> None:
        """Raises MienError where the run was begun with another config. An option that the run's own config does not
        have yet is taken to have been at its default."""
        before = _flat(FitConfig()) | _flat(yaml.safe_load(self.config.read_text(encoding="utf-8")))
        now, free = _flat(config), FREE - (set() if epochs_are_free else {"trainer.epochs"})
        for key in sorted(before.keys() | now.keys()):
            if before.get(key) != now.get(key) and key not in free:
                way_out = "Leave it as it was, or name another --output."
                if key == "trainer.epochs":
                    way_out = (
                        "By its optim.schedule every learning rate depends on it. Leave it as it was, or train on from "
                        f"what it reached: --init {self.bundle} --output OTHER."
                    )
                raise MienError(
                    f"{self.root} was begun with {key} {before.get(key)!r}, not {now.get(key)!r}: another run. "
                    f"{way_out}"
                )

    def save(self, state: dict[str, Any]) -> None:
        """Writes the checkpoint whole or not at all."""
        import torch

        with atomic_path(self.checkpoint) as temporary:
            try:
                torch.save(state, temporary)
            except RuntimeError as error:  # torch's own error for a full disk
                raise OSError(str(error).splitlines()[0]) from error

    def load(self) -> dict[str, Any] | None:
        """The checkpoint; None where none was written yet. Raises MienError for a file that is none of ours."""
        from mien.nn.files.torch_files import read_torch_file  # torch.load would run a TorchScript program

        if not self.checkpoint.is_file():
            return None
        try:
            state: dict[str, Any] = read_torch_file(self.checkpoint)
            return upgraded(state)
        except Exception as error:  # a damaged or foreign file fails in many ways; none may execute anything
            raise MienError(
                f"{self.checkpoint} cannot be read ({type(error).__name__}). Begin again in another --output."
            ) from error

    def write_metrics(self, lines: list[dict[str, Any]]) -> None:
        write_text(self.metrics, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))


def _flat(values: FitConfig | dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Dotted keys of a config, with plain values."""
    values = yaml.safe_load(values.to_yaml()) if isinstance(values, FitConfig) else values
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat
