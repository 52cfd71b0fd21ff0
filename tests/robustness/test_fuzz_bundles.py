"""Damaged weight files, bundles and configs: each is read, or refused in one line; within time and memory.

Every test tries files for some seconds with a fixed seed; MIEN_FUZZ_SECONDS names more seconds. A case is made again
from the number in its name.
"""

import io
import json
import shutil
import zipfile
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

import mien.runtime
from mien.core.errors import MienError
from mien.media.files import sha256_of
from robustness.bounded import SEED, run_bounded, seconds_of_fuzzing, within
from robustness.mutate import mutated, mutated_document

torch = pytest.importorskip("torch")  # in each bounded process before its limits: this file is imported there
pytest.importorskip("lightning")

SHIPPED = Path(mien.runtime.__file__).parent / "bundles"
CONFIGS = sorted((Path(__file__).parents[2] / "configs").rglob("*.yaml"))
SECONDS = seconds_of_fuzzing(12) / 6


def open_weights(path: Path) -> None:
    from mien.nn.weights import read_checkpoint, weights_of

    weights_of(read_checkpoint(path))


def open_in_onnxruntime(folder: Path) -> None:
    from mien.runtime.runner import Runner

    Runner(folder, backend="onnxruntime", threads=1)


def open_in_openvino(folder: Path) -> None:
    from mien.runtime.runner import Runner

    Runner(folder, backend="openvino", threads=1)


def open_system(folder: Path) -> None:
    from mien.systems.bundle import load

    load(folder)


def open_train_faces(folder: Path) -> None:
    from mien.data.leakage.contamination import read_train_faces
    from mien.media.files import read_info

    read_train_faces(folder, read_info(folder))


def open_config(path: Path) -> None:
    from mien.engine.training.config import parse_fit, stage_defaults

    parse_fit([str(path)], defaults=stage_defaults)


def cases(name: str) -> Iterator[tuple[int, Random]]:
    for number in count():
        yield number, Random(f"{SEED} {name} {number}")


def check(function: Callable[[Path], None], files: Iterator[Path], *, least: int) -> None:
    """At least so many files are tried, and most are refused."""
    found = run_bounded(function, within(SECONDS, files, least=least), seconds=5, megabytes=600)
    assert found.failures == []
    assert found.tried >= least and found.refused > found.tried / 4


def weight_files() -> dict[str, bytes]:
    from safetensors.torch import save

    layers = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.Linear(4, 2))
    state: dict[str, Any] = dict(layers.state_dict())
    zipped, pickled = io.BytesIO(), io.BytesIO()
    torch.save(
        {"state_dict": state, "epoch": 3, "optimizer": torch.optim.Adam(layers.parameters()).state_dict()}, zipped
    )
    torch.save(state, pickled, _use_new_zipfile_serialization=False)
    return {"a.pth": zipped.getvalue(), "b.pth": pickled.getvalue(), "c.t7": pickled.getvalue(),
            "d.safetensors": save(state)}  # fmt: skip


def test_weight_files(tmp_path: Path) -> None:
    files = weight_files()

    def damaged() -> Iterator[Path]:
        for number, random in cases("weights"):
            name = random.choice(list(files))
            path = tmp_path / f"{number}_{name}"
            path.write_bytes(_repacked(files[name], random) if name == "a.pth" else mutated(files[name], random))
            yield path
            path.unlink()

    check(open_weights, damaged(), least=100)


def _repacked(content: bytes, random: Random) -> bytes:
    """The archive damaged, or written anew around a damaged member, so that its checksums and directory are right."""
    if random.random() < 0.3:
        return mutated(content, random)
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(target, "w") as archive:
        names = source.namelist()
        chosen = random.choice([*names, *[name for name in names if name.endswith("data.pkl")] * 8])
        for name in names:
            inside = source.read(name)
            archive.writestr(name, mutated(inside, random) if name == chosen else inside)
    return target.getvalue()


def restated(folder: Path) -> Path:
    """The bundle with the right hashes in its system.json, so that the files themselves are read."""
    path = folder / "system.json"
    values = json.loads(path.read_text())
    values["files"] = {name: sha256_of(folder / name) for name in values["files"] if (folder / name).is_file()}
    path.write_text(json.dumps(values))
    return folder


def damaged_bundles(source: Path, room: Path, file: str) -> Iterator[Path]:
    content = (source / file).read_bytes()
    for number, random in cases(f"{source.name} {file}"):
        folder = Path(shutil.copytree(source, room / f"{number}"))
        (folder / file).write_bytes(mutated(content, random))
        yield restated(folder)
        shutil.rmtree(folder)


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A bundle with an ONNX graph of all that ours have: the shipped expression model's nodes on a small picture."""
    folder = tmp_path / "tiny"
    shutil.copytree(SHIPPED / "poster_v2_landmarks_small_300w", folder)
    (folder / "model.safetensors").unlink(missing_ok=True)
    return restated(folder)


@pytest.mark.parametrize("open_graph", [open_in_onnxruntime, open_in_openvino])
def test_graphs(open_graph: Callable[[Path], None], tiny: Path, tmp_path: Path) -> None:
    pytest.importorskip(open_graph.__name__.removeprefix("open_in_"))
    check(open_graph, damaged_bundles(tiny, tmp_path, "model.onnx"), least=20)


def test_train_faces(tiny: Path, tmp_path: Path) -> None:
    check(open_train_faces, damaged_bundles(tiny, tmp_path, "seen_faces.npz"), least=20)


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    from mien.systems.bundle import save_bundle
    from mien.systems.registry import create_model

    save_bundle(tmp_path / "trained", create_model("poster_v2_small", labels="rafdb", num_classes=7))
    return tmp_path / "trained"


def test_trained_weights(trained: Path, tmp_path: Path) -> None:
    check(open_system, damaged_bundles(trained, tmp_path, "model.safetensors"), least=10)


def test_descriptions(trained: Path, tmp_path: Path) -> None:
    document = json.loads((trained / "system.json").read_text())

    def damaged() -> Iterator[Path]:
        for _, random in cases("system.json"):
            text = json.dumps(mutated_document(document, random))
            content = mutated(text.encode(), random) if random.random() < 0.2 else text.encode()
            (trained / "system.json").write_bytes(content)
            yield trained

    check(open_system, damaged(), least=20)


def test_configs(tmp_path: Path) -> None:
    import yaml

    def damaged() -> Iterator[Path]:
        for number, random in cases("configs"):
            text = random.choice(CONFIGS).read_bytes()
            if random.random() < 0.6:
                document = mutated_document(yaml.safe_load(text), random)
                text = json.dumps(document).encode("utf-8", "surrogatepass")
            path = tmp_path / f"{number}.yaml"
            path.write_bytes(mutated(text, random) if random.random() < 0.5 else text)
            yield path
            path.unlink()

    check(open_config, damaged(), least=50)


def test_numbers_that_no_file_should_hold(tmp_path: Path) -> None:
    """Arrays of every real type in weight files: read, whatever their values."""
    values = torch.tensor(np.array([0, 1, np.inf, -np.inf, np.nan]))
    for dtype in (torch.float16, torch.bfloat16, torch.float64, torch.int8, torch.bool):
        torch.save({"x": values.to(dtype)}, tmp_path / "a.pth")
        open_weights(tmp_path / "a.pth")
    torch.save({"x": values.to(torch.complex64)}, tmp_path / "a.pth")
    with pytest.raises(MienError, match="no weight is"):
        open_weights(tmp_path / "a.pth")
