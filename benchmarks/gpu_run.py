"""What the programs that train within minutes on one GPU have in common: command line, time, checkpoints, ending.

gpu_teacher.py and gpu_inverter.py.
"""

import argparse
import json
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from mien.core.errors import MienError
from mien.media.files import atomic_path

START = time.monotonic()
Train = Callable[[argparse.Namespace], bool]
WriteBundle = Callable[[Path, Path], None]


def run_program(options: argparse.Namespace, train: Train, write_bundle: WriteBundle) -> None:
    """Trains, or with --bundle makes bundles of what came back; ends the program with 1 where training stopped early
    and 2 for a mistake."""
    try:
        if options.bundle:
            write_bundle(options.output, options.bundle)
        else:
            sys.exit(0 if train(options) else 1)
    except MienError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


def parser_of(text: str | None, *, pack: str, batch: int, batch_text: str) -> argparse.ArgumentParser:
    """The options of every such program; its own come on top. pack: the program that writes --data."""
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help=f"the pack that {pack} wrote")
    parser.add_argument("--output", type=Path, required=True, help="folder of the results")
    parser.add_argument("--minutes", type=float, default=8.0, help="from the start of the program to its end (8)")
    parser.add_argument("--checkpoint", type=Path, help="file to go on from (OUTPUT.checkpoint.pt, beside OUTPUT)")
    parser.add_argument("--steps", type=int, default=0, help="steps of each training, instead of what fits the minutes")
    parser.add_argument("--batch", type=int, default=batch, help=f"{batch_text} ({batch})")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--bundle", type=Path, help="only make a bundle of the results in OUTPUT, at this place")
    return parser


def parsed(parser: argparse.ArgumentParser, given: list[str] | None) -> argparse.Namespace:
    """The options, with the checkpoint's place; ends the program where --data is missing."""
    options = parser.parse_args(given)
    if not options.bundle and not options.data:
        parser.error("--data PACK is missing")
    options.checkpoint = options.checkpoint or options.output.with_name(f"{options.output.name}.checkpoint.pt")
    return options


def scores_of(folder: Path) -> dict[str, Any]:
    """metrics.json of a finished run."""
    metrics = folder / "metrics.json"
    if not metrics.is_file():
        raise MienError(f"{folder} has no metrics.json: it is not the output of a run that was finished.")
    found: dict[str, Any] = json.loads(metrics.read_text(encoding="utf-8"))
    return found


def say(text: str) -> None:
    print(f"[{time.monotonic() - START:6.1f} s] {text}", flush=True)


@dataclass
class Budget:
    """How much of a run is done: by steps where their number is given, else by time."""

    seconds: float
    steps: int = 0
    spent: float = 0.0
    """Seconds before this process."""
    started: float = field(default_factory=time.monotonic)

    @property
    def elapsed(self) -> float:
        return self.spent + time.monotonic() - self.started

    def progress(self, step: int) -> float:
        return step / self.steps if self.steps else self.elapsed / self.seconds


def device_of() -> torch.device:
    if not torch.cuda.is_available():
        return torch.device("cpu")
    torch.backends.cudnn.benchmark = True
    torch.set_float32_matmul_precision("high")
    return torch.device("cuda")


def machine(device: torch.device) -> dict[str, Any]:
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    return {"device": name, "torch": torch.__version__}


class CheckpointWriter:
    """Writes in a thread of its own: half a gigabyte takes a second or two, in which the GPU goes on."""

    def __init__(self, path: Path) -> None:
        self.path, self._thread = path, threading.Thread()

    def write(self, state: dict[str, Any]) -> None:
        self.wait()
        self._thread = threading.Thread(target=self._write, args=(on_cpu(state),))
        self._thread.start()

    def wait(self) -> None:
        if self._thread.ident is not None:
            self._thread.join()

    def _write(self, state: dict[str, Any]) -> None:
        with atomic_path(self.path) as temporary:
            torch.save(state, temporary)


def on_cpu(value: Any) -> Any:
    """A copy with every tensor in main memory, so that training may go on changing its own."""
    if isinstance(value, torch.Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, dict):
        return {key: on_cpu(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(on_cpu(item) for item in value)
    return value
