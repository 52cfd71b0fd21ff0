"""How long the tour will take on this machine, from a second of its own work."""

import tempfile
import time
from collections.abc import Callable
from math import ceil
from pathlib import Path
from typing import Any

from mien.data.replicas import write_drawn
from mien.engine.demo.pictures import PERSON, PORTRAIT
from mien.engine.demo.tour import FACE, one_thread
from mien.synthetic.drawn import EXPRESSIONS
from mien.synthetic.people import unframed_portrait

BATCH, TRAINED = 32, 0.72  # faces of a step; share of the faces that are trained on
DRAWN = 2 * len(EXPRESSIONS)  # faces that are drawn to time it
# Of everything beside: validation of each epoch, reports, loading of networks; in times of the measured work, and in
# seconds on the machine that these were fitted on, scaled by how long a portrait took there.
VALIDATION, PORTRAITS, BESIDE, PORTRAIT_S = 1.25, 4, 22.0, 0.6


def seconds_ahead(faces: int, epochs: int, *, trains: bool, network: dict[str, Any]) -> float:
    """An estimate in seconds, good to about half of it."""
    portrait = _timed(lambda: unframed_portrait(0, PERSON, expression="happiness", size=PORTRAIT))
    with tempfile.TemporaryDirectory() as folder:
        drawn = _timed(lambda: write_drawn(Path(folder), faces=DRAWN, size=FACE)) / DRAWN
    whole = faces * drawn + PORTRAITS * portrait + BESIDE * portrait / PORTRAIT_S * (1.0 if trains else 0.3)
    if trains:
        steps = ceil(TRAINED * faces / BATCH) * (epochs + max(1, epochs // 2))
        whole += VALIDATION * steps * _step_seconds(network)
    return whole


def in_words(seconds: float) -> str:
    """`about 40 seconds`, `about 3 minutes`."""
    if seconds < 90:
        return f"about {max(10, round(seconds, -1)):.0f} seconds"
    return f"about {round(seconds / 60)} minutes"


def _step_seconds(network: dict[str, Any]) -> float:
    """One step of training, forwards and backwards, on one thread."""
    import torch

    from mien.systems.registry import create_model

    system = create_model("poster_v2_small", num_classes=len(EXPRESSIONS), **network).train()
    batch = torch.randn(BATCH, *next(iter(system.inputs.values())).shape)

    def step() -> None:
        sum(output.square().mean() for output in system(batch).values()).backward()

    with one_thread():
        step()  # the first one prepares memory
        return _timed(step)


def _timed(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
