"""ParFace-Net from pictures without labels to points with depth: its eight configs in order, tiny, by the command."""

import json
from pathlib import Path

import pytest

from mien.engine.training.config import list_configs
from mien.engine.training.fit import fit_command
from mien.systems.bundle import load

TINY = [
    "--system.options.size=128", "--system.options.width=0.125", "--system.options.latent=16", "--input.size=128",
    "--system.options.head_layers=1", "--system.options.sigma=2", "--trainer.device=cpu", "--trainer.progress=false",
    "--trainer.epochs=1", "--data.batch_size=8", "--data.workers=0", "--data.limit=16", "--data.val_fraction=0.2",
    "--data.cache=memory", "--optim.lr=1e-3", "--data.leaks=ignore",
]  # fmt: skip
STAGES = [name for name in list_configs() if name.startswith("parface/") and name[8].isdigit()]


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from mien.data.replicas import write_drawn

    return write_drawn(tmp_path_factory.mktemp("faces"), faces=28, size=96, layout="w300lp", test_share=0.2)


def test_each_bundle_is_the_next_ones_init(faces: Path, tmp_path: Path) -> None:
    init: list[str] = []
    for config in STAGES:
        args = [config, *TINY, "--data.name=w300lp", f"--data.root={faces}", f"--output={tmp_path / config[8:]}"]
        args += ["--stage.options.perceptual=0"] if config[8] in "123" else []
        (result,) = fit_command([*args, *init])
        init = [f"--init={result.bundle}"]
        lines = [json.loads(line) for line in (result.folder / "metrics.jsonl").read_text().splitlines()]
        assert {"val/abs_error", "val/nme_interocular", "val/gte"} & {line["metric"] for line in lines}
    assert len(STAGES) == 8
    system = load(result.bundle)
    assert system.name == "parface" and set(system.parts()) == {"encoder", "decoder", "landmark_head", "depth_head"}
    assert result.scores.keys() == {"val/gte", "val/nme_interocular", "val/nme_bbox"}


def test_a_stopped_game_of_two_networks_goes_on_from_its_checkpoint(faces: Path, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file

    args = [STAGES[0], *TINY, "--data.name=w300lp", f"--data.root={faces}", "--stage.options.perceptual=0"]
    (whole,) = fit_command([*args, "--trainer.epochs=2", f"--output={tmp_path / 'whole'}"])
    fit_command([*args, f"--output={tmp_path / 'parts'}"])
    (parts,) = fit_command([*args, "--trainer.epochs=2", f"--output={tmp_path / 'parts'}", "--resume"])
    first, second = (load_file(run.bundle / "model.safetensors") for run in (whole, parts))
    assert all(torch.equal(first[name], second[name]) for name in first)
