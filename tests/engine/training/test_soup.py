"""A soup: its weights are the mean of its members', it goes on, and its report names them."""

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch import nn

pytest.importorskip("lightning")
from mien.core.errors import MienError
from mien.core.records import Batch
from mien.engine.training.config import FitConfig, TrainerOptions, parse_fit
from mien.engine.training.fit import fit_command
from mien.engine.training.soup import _estimate_statistics, mean_state, member_configs
from mien.systems.bundle import load, read_info
from shape_checks import unchecked

TOY = ["--system.name=toy", "--stage.name=guess", "--trainer.device=cpu", "--trainer.progress=false", "--optim.lr=1e-2",
       "--data.name=drawn", "--data.batch_size=8", "--data.cache=memory", "--data.augmentation=none",
       "--trainer.freeze_batch_norm=true", "--data.leaks=ignore", "--trainer.epochs=1"]  # fmt: skip


def test_the_mean_of_weights_by_hand() -> None:
    states = [
        {"w": torch.tensor([0.0, 4.0]), "n": torch.tensor(3)},
        {"w": torch.tensor([1.0, 1.0]), "n": torch.tensor(5)},
    ]
    found = mean_state(states)
    assert found["w"].tolist() == [0.5, 2.5] and int(found["n"]) == 3
    half = mean_state(
        [{"w": torch.tensor([1.0], dtype=torch.float16)}, {"w": torch.tensor([1.001], dtype=torch.float16)}]
    )
    assert half["w"].dtype == torch.float16


def test_members_share_the_split_and_differ_in_their_seed() -> None:
    config = parse_fit(["poster_v2/own_folder", "--output=r", "--trainer.soup=3", "--trainer.seed=2", "--data.seed=1"])
    members = member_configs(config)
    assert [m.trainer.seed for m in members] == [2000, 2001, 2002]
    assert [m.data.seed_of_order for m in members] == [1000, 1001, 1002] and {m.data.seed for m in members} == {1}
    assert all(m.trainer.soup == m.trainer.seeds == 0 and not m.resume for m in members)
    assert FitConfig().data.seed_of_order == 0 and replace(FitConfig().data, seed=7).seed_of_order == 7
    with pytest.raises(MienError, match=r"trainer\.soup must be 0 or in 2\.\.1000; got 1"):
        TrainerOptions(soup=1)


@pytest.fixture
def args(toy, faces, tmp_path, monkeypatch) -> list[str]:
    """A toy that starts from the bundle of another run."""
    from toy.network import Toy
    from toy.stages import Guess

    monkeypatch.setattr(Guess, "starts_from", {"network": (Toy,)})
    monkeypatch.setattr(Guess, "start_from", lambda self, role, other: self.load_weights(other.state_dict()))
    (start,) = fit_command([*TOY, f"--data.root={faces}", f"--output={tmp_path / 'start'}", "--trainer.soup=2"])
    assert start.best_epoch == 1 and not (tmp_path / "start" / "member_0").exists()  # random weights: no soup
    return [*TOY, f"--data.root={faces}", f"--output={tmp_path / 'r'}", f"--init={start.bundle}"]


def test_a_soup_is_the_mean_of_its_members_and_goes_on(args, tmp_path, capsys) -> None:
    run = tmp_path / "r"
    (result,) = fit_command([*args, "--trainer.soup=2"])
    states = [load(run / name).state_dict() for name in ("member_0/bundle", "member_1/bundle")]
    found = load(run / "bundle").state_dict()
    assert any(not torch.equal(states[0][name], states[1][name]) for name in found)
    for name, value in found.items():
        torch.testing.assert_close(
            value, (states[0][name] + states[1][name]) / 2 if value.is_floating_point() else value
        )
    assert "mean weights of 2 members: accuracy" in (shown := capsys.readouterr().out) and "member 2 of 2" in shown
    about = read_info(run / "bundle").provenance
    assert about["soup"]["seeds"] == [0, 1] and about["soup"]["epochs"] == [1, 1] and "epoch" not in about
    assert "mean weights of 2 runs, each its epoch with" in (run / "bundle" / "README.md").read_text()
    page = (run / "report.html").read_text()
    assert "mean weights of 2 runs" in page and "members alone" in page and "No epoch has ended yet" not in page
    (line,) = [json.loads(text) for text in (run / "metrics.jsonl").read_text().splitlines()]
    assert line["value"] == result.scores["val/accuracy"] and len(line["members"]) == 2
    with pytest.raises(MienError, match=r"holds a run. Resume it with --resume true"):
        fit_command([*args, "--trainer.soup=2"])
    before = (run / "member_1" / "checkpoints" / "last.ckpt").stat().st_mtime_ns
    (again,) = fit_command([f"--output={run}", "--resume"])
    assert again.model_id == result.model_id
    assert (run / "member_1" / "checkpoints" / "last.ckpt").stat().st_mtime_ns == before  # it was finished


@unchecked()
def test_statistics_are_those_of_the_averaged_network_and_frozen_norms_keep_theirs() -> None:
    learned, frozen = nn.BatchNorm1d(2), nn.BatchNorm1d(2)
    frozen.running_mean.fill_(7.0)
    system = nn.Sequential(learned, frozen)
    system.input_names = ("image",)

    class ToStage(nn.Module):
        device = torch.device("cpu")

        def __init__(self) -> None:
            super().__init__()
            self.system = system

        def train(self, mode: bool = True):
            super().train(mode)
            frozen.eval()
            return self

    batches = [Batch(image=torch.tensor([[0.0, 2.0], [2.0, 4.0]]), index=torch.arange(2)),
               Batch(image=torch.tensor([[4.0, 0.0], [6.0, 0.0]]), index=torch.arange(2))]  # fmt: skip
    _estimate_statistics(ToStage(), SimpleNamespace(train_dataloader=lambda: batches))
    assert learned.running_mean.tolist() == [3.0, 1.5] and learned.momentum == 0.1
    assert frozen.running_mean.tolist() == [7.0, 7.0]
