"""The configs: files, overrides, and what is said of a word that is no option."""

import subprocess
import sys

import pytest

from mien.cli.help import help_text
from mien.core.errors import MienError
from mien.engine.training.config import FitConfig, find_config, list_configs, option_keys, parse_fit, resolve
from mien.engine.training.fit import fit


def test_later_files_and_overrides_win_key_by_key(tmp_path):
    (tmp_path / "a.yaml").write_text("optim: {lr: 1e-3, clip: 2}\nsystem: {options: {drop_path: 0.1, dropout: 0.2}}\n")
    (tmp_path / "b.yaml").write_text("optim: {lr: 2e-3}\n")
    config = parse_fit(
        [str(tmp_path / "a.yaml"), "--system.options.dropout", "0.3", str(tmp_path / "b.yaml"), "--optim.ema=9e-1"]
    )
    assert (config.optim.lr, config.optim.clip, config.optim.ema) == (2e-3, 2.0, 0.9)
    assert config.system.options == {"drop_path": 0.1, "dropout": 0.3}


def test_yaml_values_have_their_type():
    config = parse_fit(["--optim.betas", "[0.8, 0.9]", "--trainer.seeds", "3", "--legacy", "--optim.lr", "1e-4"])
    assert config.optim.betas == (0.8, 0.9) and config.trainer.repeated == (0, 1, 2) and config.legacy is True
    assert config.optim.lr == 1e-4


def test_the_resolved_config_reads_back_equal(tmp_path):
    config = parse_fit(["--optim.betas", "[0.8, 0.9]", "--data.augment.flip=0.2", "--optim.lr=1e-9"])
    (tmp_path / "config.yaml").write_text(config.to_yaml())
    assert resolve([str(tmp_path / "config.yaml")], {}) == config
    assert resolve([], {"output": str(tmp_path)}).optim == config.optim  # the config of the run that stands there
    assert resolve([], {}) == FitConfig()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--trainer.epoch", "3"], "mien fit has no option --trainer.epoch. Did you mean '--trainer.epochs'?"),
        (["--lr", "1"], "mien fit has no option --lr. Did you mean '--optim.lr'?"),
        (["--data.rot", "x"], "mien fit has no option --data.rot. Did you mean '--data.root'?"),
        (["--optm.lr", "1"], "mien fit has no option --optm. Did you mean '--optim'?"),
        (["--optim.lr", "fast"], "--optim.lr must be float; got 'fast'."),
        (["--trainer", "3"], "trainer has options of its own (such as trainer.epochs); got 3."),
        (["--trainer.precision", "16"],
         "--trainer.precision must be one of 'fp32', 'bf16'; got '16'. Did you mean 'bf16'?"),
        (["--output", "nowhere", "--resume"], "nowhere holds no run to go on with. Name its folder: --output RUN."),
        (["--trainer.epochs", "0"], "trainer.epochs must be at least 1; got 0."),
        (["--data.sampler", "imbalance"], "data.sampler: no 'imbalance'. Did you mean 'imbalanced'?"),
        (["poster_v2/rafbd"], "No config poster_v2/rafbd: neither a file nor one that mien brings. "
                              "Did you mean 'poster_v2/rafdb'?"),
    ],
)  # fmt: skip
def test_mistakes_are_one_line_with_the_way_out(arguments, message):
    with pytest.raises(MienError) as caught:
        parse_fit(arguments)
    assert str(caught.value) == message


def test_broken_files_are_reported(tmp_path):
    (tmp_path / "x.yaml").write_text("optim: {lr: 1\n")
    with pytest.raises(MienError, match=r"x.yaml, line 2, is not YAML: "):
        parse_fit([str(tmp_path / "x.yaml")])
    (tmp_path / "y.yaml").write_text("- 1\n")
    with pytest.raises(MienError, match="a config is a mapping"):
        parse_fit([str(tmp_path / "y.yaml")])


@pytest.fixture
def unfilled(monkeypatch):
    """Networks of published size are built without drawing their weights: hundreds of millions of random numbers."""
    import torch

    for name in ("uniform_", "normal_", "trunc_normal_", "kaiming_uniform_", "kaiming_normal_", "xavier_uniform_"):
        monkeypatch.setattr(torch.nn.init, name, lambda tensor, *_, **__: tensor)


@pytest.mark.usefixtures("unfilled")
@pytest.mark.parametrize("name", list_configs())
def test_every_config_that_mien_brings_is_whole(name):
    from mien.core.options import from_plain
    from mien.data.readers import READERS
    from mien.systems.registry import create_model, stage_class

    config = resolve([name], {})
    assert config.data.name in READERS
    stage = stage_class(config.system.name, config.stage.name)
    from_plain(stage.options_class, config.stage.options, where=name)
    create_model(stage.system_name(config.system.name), **config.system.options)


def test_a_config_is_found_by_path_and_by_name():
    by_name, by_path = find_config("poster_v2/rafdb"), find_config("configs/poster_v2/rafdb.yaml")
    assert by_name.read_bytes() == by_path.read_bytes()  # the installed one and the checkout's may be two files
    assert resolve(["poster_v2/rafdb"], {}).optim.lr == 3.5e-5


def test_help_names_every_key_and_reading_a_config_needs_no_torch():
    text = help_text(fit, "mien fit")
    assert all(f"--{key} " in text for key in option_keys())
    code = (
        "import sys; from mien.__main__ import run; from mien.engine.training.config import parse_fit; "
        "run(['fit', '--help']); parse_fit(['poster_v2/rafdb', '--data.root', 'x']); "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
