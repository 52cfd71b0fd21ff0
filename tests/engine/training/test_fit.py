"""A training run as a user sees it: what it leaves behind, what it says, what it refuses."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed.run
from safetensors.torch import load_file

from mien.core.errors import MienError
from mien.engine.training.fit import fit, fit_command
from mien.systems.bundle import load, read_info

TOY = ["--system.name=toy", "--stage.name=guess", "--trainer.device=cpu", "--trainer.progress=false", "--optim.lr=1e-2",
       "--data.name=drawn", "--data.batch_size=8", "--data.cache=memory", "--data.augmentation=none"]  # fmt: skip


def files_below(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def checkpoint(folder: Path) -> dict:
    return torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)


def same_bundles(*folders: Path) -> bool:
    weights = [(folder / "bundle" / "model.safetensors").read_bytes() for folder in folders]
    return weights[0] == weights[1]


def stop_at(step: int, args: list[str]) -> None:
    """Trains up to a step, as if stopped by Ctrl-C."""
    import signal

    from mien.engine.training.loop import Checkpointer

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        proceed = Checkpointer.on_train_batch_end

        def and_interrupt(self, trainer, stage, *rest):
            if stage.position.step == step:
                signal.raise_signal(signal.SIGINT)
            proceed(self, trainer, stage, *rest)

        patch.setattr(Checkpointer, "on_train_batch_end", and_interrupt)
        fit_command(args)


@pytest.fixture
def toy_run(toy, faces, tmp_path):
    """A finished run of two epochs, and its folder."""
    folder = tmp_path / "run"
    (result,) = fit_command([*TOY, f"--data.root={faces}", "--trainer.epochs=2", f"--output={folder}"])
    return result, folder


def test_the_run_folder_holds_exactly_these_files(toy_run):
    _, folder = toy_run
    found = files_below(folder)
    logs = {name for name in found if name.startswith("logs/events.out.tfevents.")}
    assert len(logs) == 1
    assert found - logs == {
        "config.yaml", "metrics.jsonl", "curves.png", "report.html", "checkpoints/last.ckpt",
        "bundle/model.safetensors", "bundle/system.json", "bundle/README.md", "bundle/train_faces.npz",
    }  # fmt: skip


def test_metrics_say_epoch_by_epoch_and_of_the_bundle_what_was_measured(toy_run):
    result, folder = toy_run
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    by_epoch = [line for line in lines if "epoch" in line]
    assert {(line["metric"], line["epoch"]) for line in by_epoch} == {
        (name, epoch) for name in ("train/cross_entropy", "val/accuracy", "lr", "seconds") for epoch in (1, 2)
    }
    (kept,) = [line for line in lines if line["metric"] == "val/accuracy" and "bundle" in line]
    assert kept["bundle"] == read_info(folder / "bundle").weight_hash
    assert kept["value"] == result.scores["val/accuracy"]
    assert kept["value"] == max(line["value"] for line in by_epoch if line["metric"] == "val/accuracy")
    assert kept["protocol"] == "epoch with the highest accuracy on 0.1 of train, stratified, seed 0"
    assert kept["seconds"] > 0


def test_the_bundle_scores_what_the_run_says(toy_run, faces):
    from mien.engine.training.config import parse_fit
    from mien.engine.training.setup import build

    result, folder = toy_run
    system = load(result.bundle)
    _, data = build(parse_fit(["--output", str(folder)]))
    with torch.inference_mode():
        right = [system(b.image)["expression"].argmax(-1) == b.expression for b in data.val_dataloader()]
    assert float(torch.cat(right).double().mean()) == result.scores["val/accuracy"]


def test_the_resolved_config_repeats_the_run(toy_run, toy, tmp_path):
    _, folder = toy_run
    again = tmp_path / "again"
    fit(str(folder / "config.yaml"), output=str(again))
    first, second = (load_file(f / "bundle" / "model.safetensors") for f in (folder, again))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_frozen_weights_do_not_move_and_the_others_do(toy_run, toy, faces):
    from mien.engine.training.config import parse_fit
    from mien.engine.training.setup import build

    _, folder = toy_run
    before = build(parse_fit(["--output", str(folder)]))[0].system.state_dict()
    after = load(folder / "bundle").state_dict()
    same = {name for name in before if torch.equal(before[name], after[name])}
    assert same == {"frozen.weight", "frozen.bias"}


def test_a_run_is_not_written_over_and_goes_on_only_with_its_own_config(toy_run, toy, faces):
    _, folder = toy_run
    args = [*TOY, f"--data.root={faces}", f"--output={folder}"]
    with pytest.raises(MienError, match=r"holds a run. Resume it with --resume true"):
        fit_command([*args, "--trainer.epochs=2"])
    with pytest.raises(MienError, match=r"was begun with optim.lr 0.01, not 0.02"):
        fit_command([*args, "--optim.lr=0.02", "--resume"])
    (result,) = fit_command([*args, "--trainer.epochs=3", "--resume"])
    assert len([line for line in (folder / "metrics.jsonl").read_text().splitlines() if '"epoch": 3' in line]) == 4
    assert result.seconds > 0


def test_other_faces_than_the_run_began_with_are_refused(toy_run, toy, tmp_path):
    from mien.data.replicas import write_drawn

    _, folder = toy_run
    others = write_drawn(tmp_path / "others", faces=49, size=32, test_share=0.2)
    args = [f"--data.root={others}", f"--output={folder}", "--trainer.epochs=3", "--resume"]
    with pytest.raises(MienError, match="faces changed since this run began"):
        fit_command([*TOY, *args])


@pytest.mark.parametrize("legacy", ["false", "true"])
def test_selecting_on_the_test_split_is_refused_also_with_legacy(toy, faces, tmp_path, legacy):
    args = [
        *TOY,
        f"--data.root={faces}",
        "--data.val_split=test",
        f"--legacy={legacy}",
        f"--output={tmp_path / 'r'}",
    ]
    with pytest.raises(MienError, match="'test' is the test split"):
        fit_command(args)
    assert not (tmp_path / "r").exists()


def test_patience_ends_a_run_and_a_loss_that_explodes_is_one_error(toy, faces, tmp_path):
    args = [*TOY, f"--data.root={faces}", "--optim.sam_rho=0"]
    (result,) = fit_command(
        [*args, "--optim.lr=1e-12", "--trainer.epochs=9", "--trainer.patience=2", f"--output={tmp_path / 'still'}"]
    )
    assert result.best_epoch == 1
    assert '"epoch": 3' in (tmp_path / "still" / "metrics.jsonl").read_text()
    assert '"epoch": 4' not in (tmp_path / "still" / "metrics.jsonl").read_text()
    with pytest.raises(MienError, match=r"'cross_entropy' is (nan|inf) in epoch 1. Lower --optim.lr"):
        fit_command([*args, "--stage.options.scale=1e39", f"--output={tmp_path / 'boom'}"])


def test_repeated_seeds_run_into_their_own_folders_and_are_summed_up(toy, faces, tmp_path, capsys):
    args = [
        *TOY,
        f"--data.root={faces}",
        "--trainer.epochs=1",
        "--trainer.seeds=[3, 5]",
        f"--output={tmp_path / 'r'}",
    ]
    results = fit_command(args)
    assert [r.folder.name for r in results] == ["seed_3", "seed_5"]
    assert "seed: 5" in (tmp_path / "r" / "seed_5" / "config.yaml").read_text()
    values = [r.scores["val/accuracy"] for r in results]
    (line,) = [json.loads(text) for text in (tmp_path / "r" / "metrics.jsonl").read_text().splitlines()]
    assert line["mean"] == pytest.approx(np.mean(values)) and line["sd"] == pytest.approx(np.std(values, ddof=1))
    assert "over 2 seeds" in capsys.readouterr().out
    again = fit_command([f"--output={tmp_path / 'r'}", "--resume"])  # finished runs stay as they are
    assert [r.scores for r in again] == [r.scores for r in results]


@pytest.mark.parametrize("workers", [0, 1])
def test_a_last_batch_of_one_face_is_left_out(tiny, faces, tmp_path, workers):
    """35 faces in batches of 17 leave one over, on which the landmark head's BatchNorm cannot train."""
    args = [*tiny, "--stage.name=landmarks", "--data.name=drawn", f"--data.root={faces}", "--data.batch_size=17"]
    fit_command([*args, "--trainer.epochs=2", f"--data.workers={workers}", f"--output={tmp_path / 'r'}"])
    state = torch.load(tmp_path / "r" / "checkpoints" / "last.ckpt", weights_only=True)
    assert state["position"] == {"epoch": 2, "batch": 0, "step": 4}


def test_what_is_printed(toy, faces, tmp_path, capsys):
    fit_command([*TOY, f"--data.root={faces}", "--trainer.epochs=1", f"--output={tmp_path / 'r'}"])
    printed = capsys.readouterr().out
    assert "classes: surprise 5, fear 5," in printed
    assert "epoch 1/1  train cross_entropy " in printed and "accuracy 0." in printed
    assert f"bundle {tmp_path / 'r' / 'bundle'}" in printed


def test_an_output_that_cannot_be_written_is_one_line(toy, faces, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(MienError, match=r"Cannot write .*config.yaml: File exists"):
        fit_command([*TOY, f"--data.root={faces}", f"--output={tmp_path / 'file'}"])


def test_a_full_disk_keeps_what_was_written(toy, faces, tmp_path, monkeypatch):
    args = [*TOY, f"--data.root={faces}", f"--output={tmp_path / 'r'}"]
    fit_command([*args, "--trainer.epochs=1"])
    before = (tmp_path / "r" / "checkpoints" / "last.ckpt").read_bytes()

    def full(state, path):
        Path(path).write_bytes(b"half")
        raise RuntimeError("PytorchStreamWriter failed writing file data/7: file write failed")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(MienError, match=r"Cannot write .*last.ckpt.* What was written before is kept"):
        fit_command([*args, "--trainer.epochs=2", "--resume"])
    assert (tmp_path / "r" / "checkpoints" / "last.ckpt").read_bytes() == before
    assert [p.name for p in (tmp_path / "r" / "checkpoints").iterdir()] == ["last.ckpt"]


def test_without_the_train_extra_the_way_out_is_named(monkeypatch, tmp_path):
    from mien.engine.training import fit as module

    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(MienError, match=r"pip install '\S*\[train\]'"):
        fit_command(["--output", str(tmp_path / "r")])


def test_a_frozen_landmark_stream_must_come_trained(tiny, faces, tmp_path):
    args = [*tiny, "--data.name=drawn", f"--data.root={faces}", f"--output={tmp_path / 'r'}"]
    with pytest.raises(MienError, match="The landmark network is frozen, so it must come trained: --init BUNDLE"):
        fit_command(args)
    with pytest.raises(MienError, match=r"poster_v2_small has no stage 'expresion'. Did you mean 'expression'"):
        fit_command([*args, "--stage.name=expresion"])
    with pytest.raises(MienError, match=r"no option --system.options.drop_pth. Did you mean '--system.*drop_path'"):
        fit_command([*args, "--system.options.drop_pth=0.1", "--init=random"])


def test_landmarks_first_then_expressions(tiny, faces, tmp_path):
    args = [*tiny, "--data.name=drawn", f"--data.root={faces}", "--data.augmentation=none", "--data.batch_size=8",
             "--optim.lr=1e-3", "--trainer.epochs=1"]  # fmt: skip
    (first,) = fit_command([*args, "--stage.name=landmarks", f"--output={tmp_path / '0'}"])
    assert set(first.scores) == {"val/nme_interocular"}
    (second,) = fit_command([*args, f"--init={first.bundle}", f"--output={tmp_path / '1'}"])
    landmarks, whole = load(first.bundle), load(second.bundle)
    trained = landmarks.landmark_net.state_dict()
    assert all(torch.equal(value, trained[name]) for name, value in whole.landmark_net.state_dict().items())
    assert whole.info.provenance["init"] == landmarks.info.model_id


def test_a_network_is_fine_tuned_on_pictures_cut_out_as_it_knows_them(tiny, faces, tmp_path):
    words = [*tiny, "--data.name=drawn", f"--data.root={faces}", "--data.augmentation=none", "--data.batch_size=8",
             "--trainer.epochs=1"]  # fmt: skip
    framed = ["--init=random", "--input.box_scale=1.3", "--input.box_shift=[0.0, 0.1]"]
    (first,) = fit_command([*words, *framed, f"--output={tmp_path / '0'}"])
    tuned = ["--optim.layer_decay=0.5", "--trainer.freeze_batch_norm=true", f"--init={first.bundle}"]
    (second,) = fit_command([*words, *tuned, "--input.box_scale=1.1", f"--output={tmp_path / '1'}"])
    start, end = load(first.bundle), load(second.bundle)
    assert (end.picture.box_scale, end.picture.box_shift) == (1.1, (0.0, 0.1))
    before, after = start.state_dict(), end.state_dict()
    norms = [name for name in before if "running" in name]
    assert norms and all(torch.equal(before[name], after[name]) for name in norms)
    assert not torch.equal(start.trunk.stem_conv.weight, end.trunk.stem_conv.weight)


def test_ctrl_c_leaves_a_state_to_resume_from(toy, faces, tmp_path, capsys):
    import signal

    before = signal.getsignal(signal.SIGINT)  # a background job of a shell begins with it ignored
    stop_at(2, [*TOY, f"--data.root={faces}", "--trainer.epochs=2", f"--output={tmp_path / 'r'}"])
    assert f"Resume with: mien fit --output {tmp_path / 'r'} --resume true" in capsys.readouterr().out
    assert signal.getsignal(signal.SIGINT) is before


def test_a_stop_in_validation_is_resumed_with_the_validation(toy, faces, tmp_path, one_thread):
    import signal

    from mien.engine.training.loop import Checkpointer

    args = [*TOY, f"--data.root={faces}", "--trainer.epochs=2", "--optim.ema=0.5"]
    proceed, before = Checkpointer.on_validation_batch_end, signal.getsignal(signal.SIGTERM)

    def and_terminate(self, trainer, stage, *rest):
        if stage.position.epoch == 0:
            signal.raise_signal(signal.SIGTERM)
        proceed(self, trainer, stage, *rest)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as stopped:
        patch.setattr(Checkpointer, "on_validation_batch_end", and_terminate)
        fit_command([*args, f"--output={tmp_path / 'stopped'}"])
    assert stopped.value.code == 143 and signal.getsignal(signal.SIGTERM) is before
    assert checkpoint(tmp_path / "stopped")["position"] == {"epoch": 0, "batch": 5, "step": 5}
    fit_command([f"--output={tmp_path / 'stopped'}", "--resume"])
    fit_command([*args, f"--output={tmp_path / 'whole'}"])
    ends = [checkpoint(tmp_path / name) for name in ("stopped", "whole")]
    for end in ends:
        for epoch in end["history"]["epochs"]:
            epoch.pop("seconds")
    assert ends[0]["history"]["epochs"] == ends[1]["history"]["epochs"]
    assert same_bundles(tmp_path / "stopped", tmp_path / "whole")


def test_a_run_of_the_first_version_is_resumed(toy, faces, tmp_path, one_thread):
    """Its checkpoint had `optimizer`, `sums` and `diary`, its config fewer options."""
    args = [*TOY, f"--data.root={faces}", "--trainer.checkpoint_steps=3", f"--output={tmp_path / 'old'}"]
    stop_at(3, [*args, "--trainer.epochs=2"])
    state = checkpoint(tmp_path / "old")
    (optimizer,) = state["optimizers"]
    for group in optimizer["param_groups"]:
        group["share"] = group.pop("lr_scale")
    history = {k: v for k, v in state["history"].items() if k != "temperatures"} | {"temperature": 1.0}
    old = {name: state[name] for name in ("system", "ema", "position", "faces")}
    old |= {"optimizer": optimizer, "sums": state["losses"]["sums"], "diary": history}
    torch.save(old, tmp_path / "old" / "checkpoints" / "last.ckpt")
    config = (tmp_path / "old" / "config.yaml").read_text().splitlines()
    new = ("nesterov", "alpha", "eps", "milestones", "cycle_epochs", "cycle_gamma")
    kept = [line for line in config if line.strip().partition(":")[0] not in new]
    (tmp_path / "old" / "config.yaml").write_text("\n".join(kept))
    fit_command([*args, "--trainer.epochs=2", "--resume"])
    fit_command([*args[:-1], "--trainer.epochs=2", f"--output={tmp_path / 'whole'}"])
    assert same_bundles(tmp_path / "old", tmp_path / "whole")
    assert checkpoint(tmp_path / "old")["losses"] == checkpoint(tmp_path / "whole")["losses"]


def test_what_a_kill_left_is_removed_at_the_next_start(toy_run, toy, faces):
    _, folder = toy_run
    half = [
        folder / "checkpoints" / ".last.abc.ckpt",
        folder / ".config.abc.yaml",
        folder / ".bundle.abc" / "new" / "x",
    ]
    for path in half:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"half")
    fit_command([*TOY, f"--data.root={faces}", f"--output={folder}", "--trainer.epochs=3", "--resume"])
    assert not any(path.exists() for path in half) and not (folder / ".bundle.abc").exists()


def test_a_training_that_diverges_in_an_epochs_last_step_leaves_no_bundle(toy, faces, tmp_path):
    """The loss of the last step is finite, and then its weights are not."""
    args = [
        *TOY,
        f"--data.root={faces}",
        "--data.batch_size=9",
        "--trainer.epochs=1",
        "--stage.options.spike=1e38",
    ]
    with pytest.raises(MienError, match=r"Weights are not finite in epoch 1. Lower --optim.lr"):
        fit_command([*args, "--optim.name=sgd", "--optim.lr=100", f"--output={tmp_path / 'r'}"])
    assert not (tmp_path / "r" / "bundle").exists()


def test_finite_weights_with_a_score_that_is_none_leave_no_bundle(toy, faces, tmp_path, monkeypatch):
    from toy.stages import Guess

    monkeypatch.setattr(Guess, "validate", lambda self, predictions, samples: {"accuracy": float("nan")})
    with pytest.raises(MienError, match=r"The validation score 'accuracy' is nan in epoch 1. Lower --optim.lr"):
        fit_command([*TOY, f"--data.root={faces}", "--trainer.epochs=1", f"--output={tmp_path / 'r'}"])
    assert not (tmp_path / "r" / "bundle").exists()


@pytest.mark.parametrize("rate", [".inf", "1e999", "-1", ".nan", "0"])
def test_a_learning_rate_that_is_no_number_is_refused_before_anything_is_written(toy, faces, tmp_path, rate):
    with pytest.raises(MienError, match=r"optim.lr must be "):
        fit_command([*TOY, f"--data.root={faces}", f"--optim.lr={rate}", f"--output={tmp_path / 'r'}"])
    assert not (tmp_path / "r").exists()


def test_a_score_no_better_than_the_most_frequent_class_is_reported(toy, faces, tmp_path, capsys):
    args = [*TOY, f"--data.root={faces}", "--optim.lr=1e-12", "--trainer.epochs=1"]
    (result,) = fit_command([*args, f"--output={tmp_path / 'r'}"])
    assert result.scores["val/accuracy"] <= 1 / 7
    assert "does not beat the most frequent class (0.1429)" in capsys.readouterr().out


def test_a_stage_has_optimiser_options_of_its_own(toy):
    from mien.engine.training.config import parse_fit, stage_defaults

    args = ["--system.name=toy_face_voice", "--stage.name=together", "--optim.lr=1e-4"]
    optim = parse_fit(args, defaults=stage_defaults).optim
    assert (optim.name, optim.schedule, optim.weight_decay, optim.lr) == ("adamw", "cosine", 0.01, 1e-4)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_terminated_run_leaves_a_checkpoint_and_says_how_to_resume(faces, tmp_path, run_script, name, code):
    args = [*TOY, f"--data.root={faces}", "--trainer.epochs=2", f"--output={tmp_path / 'r'}"]
    ended = run_script("kill_at_step.py", name, "2", *args)
    assert ended.returncode == code, ended.stderr
    command = f"Resume with: mien fit --output {tmp_path / 'r'} --resume true"
    assert ended.stdout.splitlines()[-1] == f"Stopped by {name} in epoch 1. {command}"
    assert checkpoint(tmp_path / "r")["position"] == {"epoch": 0, "batch": 2, "step": 2}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs kill -9")
def test_a_run_killed_in_mid_epoch_goes_on_as_if_nothing_had_happened(tiny, faces, tmp_path, run_script, one_thread):
    args = [*tiny, "--data.name=drawn", f"--data.root={faces}", "--data.augmentation=strong", "--data.batch_size=8",
             "--optim.lr=1e-3", "--optim.sam_rho=0.05", "--optim.ema=0.9", "--system.options.drop_path=0.3",
             "--trainer.epochs=3", "--trainer.checkpoint_steps=3", "--init=random", "--data.mixup=0.4",
             "--data.cutmix=1", "--data.mix_prob=0.8"]  # fmt: skip
    killed = run_script("kill_at_step.py", "SIGKILL", "8", *args, f"--output={tmp_path / 'killed'}")
    assert killed.returncode == -9, killed.stderr
    state = torch.load(tmp_path / "killed" / "checkpoints" / "last.ckpt", weights_only=True)
    assert state["position"] == {"epoch": 1, "batch": 1, "step": 6}  # of 5 steps an epoch: in mid-epoch
    fit_command([f"--output={tmp_path / 'killed'}", "--resume"])
    fit_command([*args, f"--output={tmp_path / 'whole'}"])
    ends = [
        torch.load(tmp_path / name / "checkpoints" / "last.ckpt", weights_only=True) for name in ("killed", "whole")
    ]
    for part in ("system", "ema"):
        assert all(torch.equal(ends[0][part][name], value) for name, value in ends[1][part].items())
    states = [end["optimizers"][0]["state"] for end in ends]
    for number, moments in states[1].items():
        assert all(torch.equal(states[0][number][name], m) for name, m in moments.items())
    bundles = [(tmp_path / name / "bundle" / "model.safetensors").read_bytes() for name in ("killed", "whole")]
    assert bundles[0] == bundles[1]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs gloo")
def test_two_processes_train_what_one_trains_on_both_their_batches(toy, faces, tmp_path, run_script, one_thread):
    args = [*TOY, f"--data.root={faces}", "--trainer.epochs=2", "--data.drop_last=true"]
    torchrun = (torch.distributed.run.__file__, "--nproc_per_node=2", "--standalone")
    script = str(Path(__file__).parents[1] / "fit_toy.py")
    ran = run_script(*torchrun, script, *args, "--data.batch_size=4", f"--output={tmp_path / 'two'}")
    assert ran.returncode == 0, ran.stderr[-2000:]
    fit_command([*args, "--data.batch_size=8", f"--output={tmp_path / 'one'}"])
    two, one = (load_file(tmp_path / name / "bundle" / "model.safetensors") for name in ("two", "one"))
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=0, atol=2e-6)
    assert ran.stdout.count("epoch 2/2") == 1  # one process speaks and writes
    assert len(list((tmp_path / "two" / "logs").iterdir())) == 1


def test_a_gpu_that_is_not_there_is_refused_in_one_line(toy, faces, tmp_path, monkeypatch):
    """Before anything is read or written."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    words = [*TOY, f"--data.root={faces}", f"--output={tmp_path / 'run'}"]
    with pytest.raises(MienError, match=r"needs 2 GPUs on this machine; PyTorch finds 1.*--trainer.devices 1"):
        fit_command([*words, "--trainer.device=auto", "--trainer.devices=2"])
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(MienError, match=r"--trainer.device cuda .*needs 1 GPU on .*finds 0.*--trainer.device cpu\.$"):
        fit_command([*words, "--trainer.device=cuda"])
    with pytest.raises(MienError, match=r"--trainer.cuda_graph needs a GPU"):
        fit_command([*words, "--trainer.cuda_graph=true"])
    assert not (tmp_path / "run").exists()
