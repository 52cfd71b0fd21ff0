"""RunFolder: what a training run leaves behind, and what it needs to go on.

config.yaml          the whole config        bundle/       the best network so far
checkpoints/last.ckpt  to resume from        metrics.jsonl every score, by epoch and of the bundle
logs/                TensorBoard             curves.png    report.html
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from mien.core.errors import MienError
from mien.engine.training.config import FitConfig
from mien.media.files import atomic_path, write_text

# What may change when a run goes on: nothing here moves a weight.
FREE_OF_TRAINER = (
    "epochs", "patience", "seeds", "device", "devices", "nodes", "compile", "progress",
    "checkpoint_steps", "checkpoint_minutes",
)  # fmt: skip
# split_file is a path, and what leaks and fold change is seen by the hash of the faces.
FREE_OF_DATA = ("root", "workers", "cache", "eval_batch_size", "split_file", "fold", "leaks")
FREE = {"output", "resume", *(f"trainer.{n}" for n in FREE_OF_TRAINER), *(f"data.{n}" for n in FREE_OF_DATA)}


@dataclass(frozen=True)
class RunFolder:
    root: Path

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
    def metrics(self) -> Path:
        return self.root / "metrics.jsonl"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    def begin(self, config: FitConfig) -> None:
        """Writes config.yaml. Raises MienError where a run stands there already and nobody asked to resume it, and
        where one is resumed with another config.
        """
        if self.checkpoint.is_file():
            if not config.resume:
                raise MienError(f"{self.root} holds a run. Go on with it: --resume true; or name another --output.")
            self._refuse_changes(config)
        elif not self.config.is_file() and self.root.is_dir() and any(self.root.iterdir()):
            raise MienError(f"{self.root} is not empty and holds no run. Name another --output.")
        write_text(self.config, config.to_yaml())

    def _refuse_changes(self, config: FitConfig) -> None:
        before, now = (
            _flat(yaml.safe_load(self.config.read_text(encoding="utf-8"))),
            _flat(yaml.safe_load(config.to_yaml())),
        )
        free = FREE - ({"trainer.epochs"} if config.optim.schedule == "cosine" else set())
        for key in sorted(before.keys() | now.keys()):
            if before.get(key) != now.get(key) and key not in free:
                raise MienError(
                    f"{self.root} was begun with {key} {before.get(key)!r}, not {now.get(key)!r}: another run. "
                    f"Leave it as it was, or name another --output."
                )

    def save(self, state: dict[str, Any]) -> None:
        """Writes the checkpoint whole or not at all."""
        import torch

        with atomic_path(self.checkpoint) as temporary:
            try:
                torch.save(state, temporary)
            except RuntimeError as error:  # torch's own word for a full disk
                raise OSError(str(error).splitlines()[0]) from error

    def load(self) -> dict[str, Any] | None:
        """The checkpoint; None where none was written yet. Raises MienError for a file that is none of ours."""
        from mien.nn.torch_files import read_torch_file  # torch.load would run a TorchScript program

        if not self.checkpoint.is_file():
            return None
        try:
            state: dict[str, Any] = read_torch_file(self.checkpoint)
            return {key: state[key] for key in ("system", "ema", "optimizer", "position", "sums", "diary", "faces")}
        except Exception as error:  # a damaged or foreign file fails in many ways; none may execute anything
            raise MienError(
                f"{self.checkpoint} cannot be read ({type(error).__name__}). Begin again in another --output."
            ) from error

    def write_metrics(self, lines: list[dict[str, Any]]) -> None:
        write_text(self.metrics, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat
