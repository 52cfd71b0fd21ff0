"""`mien fit` follows the grammar of every command, and its help lists the options of a config's network and stage."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from mien.__main__ import main, run
from mien.core.errors import MienError
from mien.engine.training.config import FitConfig, described_configs, list_configs, parse_fit, resolve
from mien.media.bundles import shipped_bundles

NAMES = ["runs/try #2", "2026-11-26", "20261126", "no", "@home", " x ", "#2", "1e3", "12:30:00", "null", "[1", "~"]


@pytest.mark.parametrize("name", NAMES)
def test_names_and_folders_are_the_text_itself(name: str) -> None:
    arguments = [
        "--output",
        name,
        "--data.root",
        name,
        f"--init={name}",
        "--data.name",
        name,
        f"--data.train_split={name}",
    ]
    config = parse_fit(["poster_v2/own_folder", *arguments])
    data = config.data
    assert [config.output, config.init, data.root, data.name, data.train_split] == [name] * 5
    if name != "null":
        assert parse_fit(["--data.labels", name]).data.labels == name


def test_a_text_option_of_a_stage_is_text_too() -> None:
    pytest.importorskip("lightning")
    stage = ["--stage.options.vgg", "20261126", "--stage.options.latent_gan", "--no-stage.options.train_decoder"]
    options = parse_fit(["parface/1_self_supervised", *stage]).stage.options
    assert (options["vgg"], options["latent_gan"], options["train_decoder"]) == ("20261126", True, False)


def test_flags_and_values_as_in_every_command(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("resume: true\nlegacy: true\n")
    assert parse_fit([str(tmp_path / "a.yaml")]).resume is True
    assert parse_fit([str(tmp_path / "a.yaml"), "--no-resume"]).resume is False
    assert parse_fit(["--no-resume", str(tmp_path / "a.yaml")]).legacy is True
    assert parse_fit(["--legacy", "poster_v2/rafdb"]).data.name == "rafdb"
    assert parse_fit(["--no-trainer.progress"]).trainer.progress is False
    assert parse_fit(["--trainer.checkpoint-steps=5"]) == parse_fit(["--trainer.checkpoint_steps", "5"])
    assert parse_fit(["--optim.lr=1e-4", "--", "poster_v2/rafdb"]).optim.lr == 1e-4
    assert parse_fit(["--data.reader.boxes", "--data.reader.n", "3"]).data.reader == {"boxes": True, "n": 3}
    assert parse_fit(["--optim", "{lr: 0.5}"]).optim.lr == 0.5


def test_an_input_after_two_dashes_may_begin_with_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("--mine.yaml").write_text("output: x\n")
    assert parse_fit(["--", "--mine.yaml"]).output == "x"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--output"], "--output needs a value after it: "),
        (["--stage.options.lable_smoothing", "0.1"],
         "mien fit has no option --stage.options.lable_smoothing. Did you mean '--stage.options.label_smoothing'?"),
        (["--system.options.depth", "1"], "mien fit has no option --system.options.depth. Did you mean "),
        (["--system.options.drop_path", "much"], "--system.options.drop_path must be float; got 'much'."),
        (["--stage.options.monitor", "f1"],
         "--stage.options.monitor must be one of 'accuracy', 'balanced_accuracy', 'nll', 'ccc'; got 'f1'."),
        (["--trainer.seeds", "100000000000"], "trainer.seeds is 0 to 1000 seeds"),
        (["--trainer.seeds", "x"], "--trainer.seeds must be int or a list of int; got 'x'."),
        (["--optim.lr", ".inf"], "--optim.lr must be float; got '.inf'."),
    ],
)  # fmt: skip
def test_mistakes_are_one_line(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", *arguments]) == 2
    errors = capsys.readouterr().err
    assert errors.startswith(f"mien: {message}")
    assert errors.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("optim: null\n", "--optim has fields of its own (such as --optim.name); got None."),
        ("optim: {lr: null}\n", "--optim.lr must be float; got None."),
        ("optim: {lr: .inf}\n", "--optim.lr must be float; got inf."),
        ("optim: {lr: .nan}\n", "--optim.lr must be float; got nan."),
        ("trainer: {epochs: 1e400}\n", "--trainer.epochs must be int; got inf."),
        ("trainer: {epochs: 99999999999999999999}\n", "--trainer.epochs must be int; got 99999999999999999999."),
        ("output: no\n", "--output must be text; got False."),
        ("output: 20261126\n", "--output must be text; got 20261126."),
        ("system: {options: {width: .inf}}\n", "--system.options.width must be a plain value; got inf."),
        ("1: 2\n", "No option --1."),
        ("a: &a [*a]\n", "a.yaml, line 1, is not YAML: *a stands inside the value that it refers to."),
        ("- 1\n", "a.yaml: a config is a mapping of keys to values; got list."),
    ],
)
def test_strange_files_end_in_one_line(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(MienError) as caught:
        parse_fit([str(tmp_path / "a.yaml")])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_may_quote_what_yaml_reads_as_something_else(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("output: 'no'\ninit: 2026-11-26\ndata: {labels: null, soft_labels: yes}\n")
    config = parse_fit([str(tmp_path / "a.yaml")])
    assert (config.output, config.init, config.data.labels, config.data.soft_labels) == ("no", "2026-11-26", None, True)


@pytest.mark.parametrize("name", NAMES)
def test_a_written_config_reads_back_equal_whatever_its_names(name: str, tmp_path: Path) -> None:
    config = parse_fit(["--output", name, "--data.root", name])
    (tmp_path / "config.yaml").write_text(config.to_yaml())
    assert resolve([str(tmp_path / "config.yaml")], {}) == config


def rows(text: str) -> dict[str, str]:
    """Option -> its description and default, from a help text."""
    found = re.findall(r"^  --(\S+)(.*(?:\n {30}.*)*)", text, re.MULTILINE)
    return {key: " ".join(rest.split()) for key, rest in found}


def test_help_of_a_config_lists_its_network_and_stage_with_their_values() -> None:
    pytest.importorskip("lightning")
    shown = rows(run(["fit", "parface/1_self_supervised", "--help"]))
    assert shown["stage.options.adversarial"].endswith("Weight of the adversarial loss on reconstructions. [0.001]")
    assert shown["stage.options.perceptual_layers"].endswith("[3, 8, 15, 22]")
    assert shown["system.name"].endswith("[parface_autoencoder]")
    assert shown["system.options.heads"].endswith("[]")  # of the variant
    assert shown["data.augment.rotation_deg"].endswith("[45]")  # of the recipe
    assert shown["data.name"].endswith("[vggface2]")
    assert "system.options" not in shown and "stage.options" not in shown
    shown = rows(run(["fit", "--help", "poster_v2/rafdb", "--system.name", "poster_v2_small", "--optim.lr", "0.5"]))
    assert shown["system.options.token_width"].endswith("[168]")
    assert shown["stage.options.monitor"].startswith("accuracy|balanced_accuracy|nll|ccc ")
    assert shown["optim.lr"].endswith("[0.5]")


@pytest.mark.parametrize("name", list_configs())
def test_help_describes_every_option_of_every_config(name: str) -> None:
    pytest.importorskip("lightning")
    shown = rows(run(["fit", name, "--help"]))
    assert any(key.startswith("system.options.") for key in shown)
    assert any(key.startswith("stage.options.") for key in shown)
    assert [key for key, text in shown.items() if "." not in text] == []


def test_help_of_a_config_that_does_not_exist_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", "poster_v2/rafbd", "--help"]) == 2
    assert "Did you mean 'poster_v2/rafdb'?" in capsys.readouterr().err


def test_help_lists_the_packaged_configs_and_what_they_start_from() -> None:
    lines = run(["fit", "--help"]).splitlines()
    assert max(map(len, lines)) <= 120
    for name, text in described_configs():
        (line,) = [line for line in lines if line.startswith(f"    {name} ")]
        assert line.split()[1] == text.split()[0]
        assert len(text) > 10
    text = " ".join(" ".join(lines).split())
    assert "test split. Starts from poster_v2/0_landmarks_300w. " in text
    assert "Starts from can/1a_face, can/1b_voice, can/2_face_expression." in text


def test_a_run_that_a_config_starts_from_is_made_by_a_config_or_by_its_own_comment() -> None:
    named = {
        name for _, text in described_configs() for name in re.findall(r"[\w/]+", text.partition("Starts from")[2])
    }
    made = {*list_configs(), *(folder.name for folder, _ in shipped_bundles()), "runs/if3d/trunk", "BUNDLE"}
    assert named and named <= made


def test_an_unknown_field_in_a_file_is_named_by_help_too(tmp_path: Path) -> None:
    pytest.importorskip("lightning")
    (tmp_path / "a.yaml").write_text("system: {options: {drop_pth: 0.1}}\n")
    with pytest.raises(MienError, match=r"No option --system\.options\.drop_pth\. Did you mean '--system.*drop_path'"):
        run(["fit", str(tmp_path / "a.yaml"), "--help"])


def test_plain_options_need_no_torch() -> None:
    code = (
        "import sys; from mien.engine.training.config import parse_fit; "
        "parse_fit(['poster_v2/rafdb', '--output', 'x', '--data.reader.n', '3', '--data.augment.flip', '0.1']); "
        "assert 'torch' not in sys.modules and 'cv2' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_defaults_alone_are_a_config() -> None:
    assert parse_fit([]) == FitConfig()


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("stage: {name: expresion}", "mine.yaml, line 1: poster_v2_small has no stage 'expresion'"),
        ("data: {name: rafd}", "mine.yaml, line 1: No data set reader 'rafd'. Did you mean 'rafdb'?"),
        ("data: {augment: {fliip: 1}}", "mine.yaml, line 1: Augmentation has no option 'fliip'."),
        ("data: {reader: {fliip: 1}}", "mine.yaml, line 1: Reader image_folder has no option 'fliip'."),
        ("trainer: {epochs: 0}", "mine.yaml, line 1: trainer.epochs must be at least 1; got 0."),
        ("trainer: {epochs: [", "mine.yaml, line 1, is not YAML: "),
    ],
)
def test_a_mistake_in_a_config_names_its_file(
    written: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mien.engine.training.fit import fit

    monkeypatch.chdir(tmp_path)
    (tmp_path / "faces" / "a").mkdir(parents=True)
    Path("mine.yaml").write_text(written, encoding="utf-8")
    with pytest.raises(MienError) as raised:
        fit("poster_v2/own_folder", "mine.yaml", **{"data.root": "faces", "output": "run"})
    assert str(raised.value).startswith(message)


def test_a_mistake_of_the_command_line_names_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mien.engine.training.fit import fit

    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text("data: {name: rafdb}", encoding="utf-8")
    with pytest.raises(MienError, match=r"^No data set reader 'rafd'"):
        fit("mine.yaml", **{"data.root": "faces", "data.name": "rafd", "output": "run"})
