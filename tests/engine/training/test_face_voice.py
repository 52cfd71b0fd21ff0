"""A stage with everything a stage may have, trained by the command: two inputs, two roles, two optimisers, a gate."""

import json
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from mien.core.errors import MienError
from mien.engine.training.fit import fit_command
from mien.systems.bundle import load, read_info

COMMON = ["--trainer.device=cpu", "--trainer.progress=false", "--data.name=manifest", "--data.batch_size=8",
          "--data.cache=memory", "--data.augmentation=none", "--data.leaks=ignore"]  # fmt: skip
TOGETHER = ["--system.name=toy_face_voice", "--stage.name=together", "--system.options.dropout=0.2"]


@pytest.fixture
def args(talking_faces, tmp_path) -> list[str]:
    torch.manual_seed(0)
    save_file({"weight": torch.randn(4, 3 * 8 * 8)}, tmp_path / "eye.safetensors")
    return [*COMMON, f"--data.root={talking_faces}", *TOGETHER, f"--stage.options.eye={tmp_path / 'eye.safetensors'}"]


def guess(talking_faces: Path, folder: Path, system: str) -> Path:
    """A bundle of a stage with one objective."""
    args = [
        *COMMON,
        f"--data.root={talking_faces}",
        f"--system.name={system}",
        "--stage.name=guess",
        "--optim.lr=1e-2",
    ]
    (result,) = fit_command([*args, "--trainer.epochs=1", f"--output={folder}"])
    return result.bundle


def state_of(folder: Path) -> dict:
    return torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)


def test_it_trains_from_two_bundles_with_two_optimisers(toy, talking_faces, args, tmp_path, capsys):
    face, voice = (
        guess(talking_faces, tmp_path / "face", "toy"),
        guess(talking_faces, tmp_path / "voice", "toy_face_voice"),
    )
    inits = [f"--init.face={face}", f"--init.voice={voice}"]
    (result,) = fit_command([*args, *inits, "--trainer.epochs=2", "--optim.ema=0.5", f"--output={tmp_path / 'run'}"])
    info, state = read_info(result.bundle), state_of(result.folder)
    assert info.provenance["init"] == f"face {read_info(face).model_id}, voice {read_info(voice).model_id}"
    assert set(info.provenance["frozen"]) == {"eye"} and set(info.temperatures) == {"expression"}
    assert [info.inputs[name].shape for name in ("image", "voice")] == [(3, 8, 8), (1, 8, 16)]
    assert {name: output.kind for name, output in info.outputs.items()} == {
        "expression": "classes", "affect": "values", "picture": "picture",
    }  # fmt: skip
    assert set(state["companions"]) == {"discriminator", "slow_ear"} and set(state["frozen"]) == {"eye"}
    weights = load_file(result.bundle / "model.safetensors")
    assert not any(name.startswith(("discriminator", "slow_ear", "eye")) for name in weights)
    lines, epochs = (result.folder / "metrics.jsonl").read_text().splitlines(), state["history"]["epochs"]
    assert {json.loads(line)["metric"] for line in lines} >= {
        "train/real_or_fake", "train/spread", "train/affect", "val/subject_accuracy", "val/affect_rmse", "temperature",
    }  # fmt: skip
    assert [epoch["discriminator/lr"] for epoch in epochs] == [1e-2, 5e-3]  # multistep, by the objective
    assert epochs[0]["lr"] > epochs[1]["lr"] > 0  # the stage's own default: cosine from 5e-3
    groups = [[g["lr_scale"] for g in o["param_groups"]] for o in state["optimizers"]]
    assert groups == [[1.0, 1.0], [2.0, 2.0, 1.0, 1.0]]
    images, sounds = torch.zeros(2, 3, 8, 8), torch.zeros(2, 1, 8, 16)
    assert {n: tuple(v.shape) for n, v in load(result.bundle)(images, sounds).items()} == {
        "expression": (2, 7), "affect": (2, 2), "picture": (2, 3, 8, 8),
    }  # fmt: skip


def test_weights_come_from_the_bundle_of_their_role(toy, talking_faces, args, tmp_path):
    from mien.engine.training.config import parse_fit
    from mien.engine.training.setup import build

    face, voice = (
        guess(talking_faces, tmp_path / "face", "toy"),
        guess(talking_faces, tmp_path / "voice", "toy_face_voice"),
    )
    stage, _ = build(parse_fit([*args, f"--init.face={face}", f"--init.voice={voice}"]))
    assert torch.equal(stage.system.first.weight, load(face).first.weight)
    assert torch.equal(stage.system.ear.weight, load(voice).ear.weight)


def test_roles_are_checked(toy, talking_faces, args, tmp_path):
    face = guess(talking_faces, tmp_path / "face", "toy")
    output = f"--output={tmp_path / 'run'}"
    with pytest.raises(MienError, match=r"starts from 2 bundles: --init.face BUNDLE --init.voice BUNDLE; got --init "):
        fit_command([*args, f"--init={face}", output])
    with pytest.raises(MienError, match=r"has no --init.fase. Did you mean 'face'"):
        fit_command([*args, f"--init.fase={face}", output])
    with pytest.raises(MienError, match=r"takes a toy_face_voice bundle as --init.voice; got toy"):
        fit_command([*args, "--init.face=random", f"--init.voice={face}", output])
    with pytest.raises(MienError, match=r"needs a voice: --init.voice BUNDLE"):
        fit_command([*args, f"--init.face={face}", output])
    with pytest.raises(MienError, match=r"guess starts from no bundle; leave --init out"):
        own = [arg for arg in args if not arg.startswith("--stage.options")]
        fit_command([*own, "--stage.name=guess", f"--init={face}", output])


def test_a_changed_file_of_a_frozen_network_is_refused(toy, args, tmp_path):
    args = [*args, "--init=random", f"--output={tmp_path / 'run'}"]
    fit_command([*args, "--trainer.epochs=1", "--optim.schedule=constant"])
    save_file({"weight": torch.ones(4, 3 * 8 * 8)}, tmp_path / "eye.safetensors")
    with pytest.raises(MienError, match=r"eye.safetensors \(eye\) is not the file that this run began with"):
        fit_command([*args, "--trainer.epochs=2", "--optim.schedule=constant", "--resume"])


def test_a_schedule_that_ends_with_the_run_keeps_its_length(toy, args, tmp_path):
    args = [*args, "--init=random", f"--output={tmp_path / 'run'}"]
    fit_command([*args, "--trainer.epochs=1"])
    why = r"trainer.epochs 1, not 2: another run\. By its optim\.schedule .* --init .*bundle --output"
    with pytest.raises(MienError, match=why):
        fit_command([*args, "--trainer.epochs=2", "--resume"])


def test_a_batch_may_come_in_parts(toy, args, tmp_path):
    (result,) = fit_command(
        [*args, "--init=random", "--trainer.epochs=1", "--trainer.accumulate=2", f"--output={tmp_path / 'run'}"]
    )
    assert result.scores["val/affect_rmse"] > 0


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs kill -9")
def test_a_killed_game_of_networks_goes_on_bit_for_bit(toy, args, tmp_path, run_script, one_thread):
    args = [*args, "--init=random", "--trainer.epochs=3", "--trainer.checkpoint_steps=3", "--optim.ema=0.9"]
    killed = run_script("kill_at_step.py", "SIGKILL", "8", *args, f"--output={tmp_path / 'killed'}")
    assert killed.returncode == -9, killed.stderr
    assert state_of(tmp_path / "killed")["position"] == {"epoch": 1, "batch": 1, "step": 6}
    fit_command([f"--output={tmp_path / 'killed'}", "--resume"])
    fit_command([*args, f"--output={tmp_path / 'whole'}"])
    ends = [state_of(tmp_path / name) for name in ("killed", "whole")]
    for part in ("system", "ema"):
        assert all(torch.equal(ends[0][part][name], value) for name, value in ends[1][part].items())
    for name, module in ends[1]["companions"].items():
        assert all(torch.equal(ends[0]["companions"][name][key], value) for key, value in module.items())
    assert ends[0]["losses"] == ends[1]["losses"]
    bundles = [(tmp_path / name / "bundle" / "model.safetensors").read_bytes() for name in ("killed", "whole")]
    assert bundles[0] == bundles[1]
