"""The inverter's run, dry on the CPU: the pack, the baselines worked by hand, resuming, and what comes back."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from mien.core.errors import MienError
from mien.systems.bundle import load

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import gpu_inverter
from inverter import pack as packing
from inverter import results
from inverter.faces import HELD_OUT, SIDE, SOURCES, TRAIN, VERSION, Faces, lit, mirrored, moved, normalised, read_pack

CPU = torch.device("cpu")
GENERATOR = {"style": 4, "mapping_layers": 1, "most_channels": 4}
ENCODER = {"width": 4, "head_width": 4, "depths": [1, 1, 1, 1], "heads": [1, 1, 1, 1], "structure_channels": 2}


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Smooth coloured pictures, two of each source to train on and one held out."""
    rng = np.random.default_rng(0)
    arrays: dict[str, Any] = {"version": np.array(VERSION), "side": np.array(SIDE)}
    for source in SOURCES:
        for part, count in ((TRAIN, 2), (HELD_OUT, 1)):
            faces = np.repeat(np.repeat(rng.integers(40, 215, (count, 4, 4, 3)), 16, 1), 16, 2).astype(np.uint8)
            arrays[f"{source}_{part}_jpg"] = packing.sheet(faces, grey=source == "lfw", quality=95)
            arrays[f"{source}_{part}_count"] = np.array(count)
    path = tmp_path_factory.mktemp("pack") / "pack.npz"
    with path.open("wb") as file:
        np.savez(file, **arrays)
    return path


def options_of(pack: Path, output: Path, *more: str) -> Any:
    words = ["--data", str(pack), "--output", str(output), "--steps", "2", "--batch", "4", "--inverter-batch", "4"]
    return gpu_inverter.arguments([*words, "--config", json.dumps(GENERATOR), "--encoder", json.dumps(ENCODER), *more])


@pytest.fixture(scope="module")
def finished(pack: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("finished") / "out"
    assert gpu_inverter.train(options_of(pack, output))
    return output


def weights(output: Path, phase: str) -> dict[str, torch.Tensor]:
    return {name: v for file in sorted((output / phase).glob("*.safetensors")) for name, v in load_file(file).items()}


def test_what_comes_back_makes_bundles(finished: Path, tmp_path: Path) -> None:
    scores = json.loads((finished / "metrics.json").read_text("utf-8"))
    assert scores["numbers"] == {"codes": 40, "structure": 32, "features": 2048}
    assert {"inverter, 2120 numbers", "inverter, codes alone, 72 numbers", "principal components, 72 numbers"} <= set(
        scores["errors"]["real"]
    )
    assert scores["errors"]["real"]["faces"]["count"] == 3 and scores["errors"]["people"]["faces"]["count"] == 1
    assert {"samples.png", "faces.png", "log.csv"} <= {path.name for path in finished.iterdir()}
    gpu_inverter.write_bundles(finished, tmp_path)
    system = load(tmp_path / "asit_small")
    given = weights(finished, "inverter")
    assert all(torch.equal(value, given[name].float()) for name, value in system.state_dict().items())
    assert load(tmp_path / "stylegan2_small").config.size == SIDE


def test_a_run_that_was_cut_off_in_the_second_phase_ends_the_same(
    pack: Path, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options, training_step = options_of(pack, tmp_path / "out"), gpu_inverter.stages.InverterRun.training_step

    def cut_off(stage: Any, batch: Any, number: int) -> None:
        if stage.position.step == 1:
            raise KeyboardInterrupt
        training_step(stage, batch, number)

    with monkeypatch.context() as patch:
        patch.setattr(gpu_inverter, "SAVE_S", 0.0)  # a checkpoint after each step
        patch.setattr(gpu_inverter.stages.InverterRun, "training_step", cut_off)
        with pytest.raises(KeyboardInterrupt):
            gpu_inverter.train(options)
    assert options.checkpoint.is_file()
    assert gpu_inverter.train(options)
    assert not options.checkpoint.exists()
    again, before = weights(tmp_path / "out", "inverter"), weights(finished, "inverter")
    assert before.keys() == again.keys() and all(torch.equal(before[name], again[name]) for name in before)


def test_principal_components_of_mirrored_faces_are_those_of_twice_as_many(pack: Path) -> None:
    train, _ = read_pack(pack, CPU)
    shares = torch.linspace(1, 2, len(train))
    components = results.components_of(train, shares)
    image = normalised(train.pixels)
    both, weight = torch.cat([image, image.flip(3)]).flatten(1).double(), torch.cat([shares, shares]).double()
    centred = both - (both * weight[:, None]).sum(0) / weight.sum()
    _, _, axes = torch.linalg.svd(centred * (weight / weight.sum()).sqrt()[:, None], full_matrices=False)
    wanted = both[:3] - centred[:3] + centred[:3] @ axes[:5].T @ axes[:5]
    torch.testing.assert_close(components.rebuild(image[:3], 5).flatten(1).double(), wanted, atol=1e-4, rtol=0)
    assert results.measures(components.rebuild(image, 2 * len(train)), image)["l2"] < 1e-6


def test_the_measures_are_best_for_the_same_picture_and_gmsd_is_as_worked_by_hand() -> None:
    image = 2 * torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(0)) - 1
    same = results.measures(image, image)
    assert same["l2"] == same["gmsd"] == same["laplacian"] == 0 and same["ssim"] == pytest.approx(1)
    edge = torch.zeros(1, 3, 4, 8)
    edge[..., 4:] = 1  # after halving: rows 0 0 1 1; Prewitt gives 0, 1/3 x rows that meet, ...
    magnitude = torch.tensor([[0.0, 2 / 3, 2 / 3, 2 / 3], [0.0, 2 / 3, 2 / 3, 2 / 3]])
    vertical = torch.tensor([[0.0, 1 / 3, 2 / 3, 2 / 3], [0.0, 1 / 3, 2 / 3, 2 / 3]])
    magnitude = (magnitude**2 + vertical**2).sqrt()
    alike = results.GMSD_C / (magnitude**2 + results.GMSD_C)
    assert results.gmsd(torch.zeros_like(edge), edge).item() == pytest.approx(alike.std(unbiased=False).item())


def test_a_batch_has_the_shares_of_its_sources_and_stays_in_range(pack: Path) -> None:
    train, held = read_pack(pack, CPU)
    shares = train.shares({"london": 0.5, "people": 0.5})
    assert shares[train.of("london").source.new_tensor(0)] == 0.25 and shares.sum() == 1
    assert len(held.of("lfw")) == 1 and torch.equal(held.of("lfw").pixels[:, 0], held.of("lfw").pixels[:, 2])
    image, generator = normalised(train.pixels), torch.Generator().manual_seed(0)
    changed = lit(moved(mirrored(image, generator), generator), generator)
    assert changed.shape == image.shape and changed.abs().max() <= 1 and not torch.equal(changed, image)
    still = moved(image, generator, shift=0, turn_deg=0, scale=0)
    torch.testing.assert_close(still, image, atol=1e-4, rtol=0)


def test_another_file_is_no_pack(tmp_path: Path) -> None:
    other = tmp_path / "other.npz"
    np.savez(other, version=np.array(9))
    with pytest.raises(MienError, match="not a pack of version"):
        read_pack(other, CPU)
    assert isinstance(Faces(torch.zeros(1, 3, 2, 2), torch.zeros(1)), Faces)
