"""kill -9 at random moments of a training: resumed, it ends in the same bundle, bit for bit."""

import json
import os
import sys
import time
from pathlib import Path
from random import Random

import pytest

from forked import Forked, ready

pytest.importorskip("lightning")
from small_systems import fit_words

TOY = [
    "--system.name=toy", "--stage.name=guess", "--data.name=drawn", "--data.batch_size=4", "--data.augmentation=strong",
    "--optim.lr=1e-2", "--optim.ema=0.9", "--trainer.epochs=3", "--trainer.checkpoint_steps=2", "--trainer.device=cpu",
    "--trainer.progress=false",
]  # fmt: skip
KILLS = {"toy": 3, "poster_v2": 1, "parface": 0}  # MIEN_KILLS asks for another number, of each


def words_of(system: str, faces: Path) -> list[str]:
    if system == "toy":
        return [*TOY, f"--data.root={faces}"]
    more = {"trainer.checkpoint_steps": 1, "data.augmentation": "strong", "optim.ema": 0.9}
    return [word for word in fit_words(system, faces, Path(), **more) if not word.startswith("--output=")]


def fit(*options: str) -> Forked:
    return Forked(Path(__file__).parents[1] / "engine" / "fit_toy.py", *options)


def finished(process: Forked) -> None:
    done = process.finished()
    assert done.returncode == 0, done.stderr[-2000:]


def contents(run: Path) -> dict[str, bytes]:
    """Of the bundle; its card and description state no time. Nothing half-written may lie beside them."""
    assert not [path for path in run.rglob(".*")], "a leftover"
    return {path.name: path.read_bytes() for path in sorted((run / "bundle").iterdir())}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs kill -9")
@pytest.mark.parametrize("system", KILLS)
def test_a_training_that_is_killed_anywhere_ends_in_the_same_bundle(system: str, tmp_path: Path) -> None:
    from mien.data.replicas import write_drawn

    if not (kills := int(os.environ.get("MIEN_KILLS", KILLS[system]))):
        pytest.skip("takes 40 seconds: MIEN_KILLS asks for it")
    faces, random = write_drawn(tmp_path / "faces", faces=56, size=32, test_share=0.25), Random(20)
    words = words_of(system, faces)
    ready()
    began = time.monotonic()
    finished(fit(*words, f"--output={tmp_path / 'whole'}"))
    whole, took = contents(tmp_path / "whole"), time.monotonic() - began
    assert json.loads(whole["system.json"])["provenance"]["epoch"] >= 1
    for number in range(kills):
        run, after = tmp_path / f"killed_{number}", random.uniform(0, 1) * took
        process = fit(*words, f"--output={run}")
        time.sleep(after)
        process.kill()
        process.finished()
        begun = (run / "config.yaml").is_file()
        finished(fit(f"--output={run}", "--resume") if begun else fit(*words, f"--output={run}"))
        assert contents(run) == whole, f"kill {number} after {after:.2f} s of {took:.2f}"
