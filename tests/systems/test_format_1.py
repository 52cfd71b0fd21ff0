"""Bundles of format 1, as they were before networks declared their inputs and outputs, are read for ever."""

import json
import shutil
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from mien.runtime.runner import Runner

BUNDLES = Path(str(resources.files("mien.runtime"))) / "bundles"
FORMAT_1 = Path(__file__).parents[1] / "core" / "format_1"


def in_format_1(name: str, folder: Path) -> Path:
    """A copy of the bundle that ships, described as one of its name was then; its files may be newer ones."""
    shutil.copytree(BUNDLES / name, folder)
    then, now = (json.loads(path.read_text()) for path in (FORMAT_1 / f"{name}.json", folder / "system.json"))
    then["files"] = {file: digest for file, digest in now["files"].items() if file.startswith("model.")}
    if "temperature" in then and now["temperatures"]:
        then["temperature"] = now["temperatures"]["expression"]
    (folder / "system.json").write_text(json.dumps(then))
    return folder


@pytest.mark.parametrize("path", sorted(FORMAT_1.glob("*.json")), ids=lambda path: path.stem)
def test_the_runner_reads_both_formats_alike(path: Path, tmp_path: Path) -> None:
    new = Runner(BUNDLES / path.stem, backend="onnxruntime", threads=1)
    old = Runner(in_format_1(path.stem, tmp_path / "old"), backend="onnxruntime", threads=1)
    assert (old.info.format, new.info.format) == (1, 2)
    assert (old.info.inputs, old.info.outputs) == (new.info.inputs, new.info.outputs)
    assert old.info.temperatures == new.info.temperatures
    images = np.random.default_rng(0).normal(size=(2, *new.info.picture.shape)).astype(np.float32)
    before, after = old.outputs(images), new.outputs(images)
    assert before.keys() == after.keys()
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_weights_of_format_1_are_loaded_into_the_system(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from mien.systems.bundle import load

    name = "poster_v2_landmarks_small_300w"
    old, new = load(in_format_1(name, tmp_path / "old")), load(BUNDLES / name)
    image = torch.randn(2, *old.picture.shape)
    with torch.inference_mode():
        assert torch.equal(old(image)["landmarks"], new(image)["landmarks"])
    assert old.outputs == new.outputs
