"""Released files behind one protocol: a new system's files are listed and converted without a change of mien."""

import subprocess
import sys
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest
import torch

import mien
from mien.__main__ import main
from mien.core.errors import MienError
from mien.media.files import sha256_of
from mien.nn.weights import weight_names
from mien.systems import registry
from mien.systems.official import convert_options, official_module, official_modules

HERE = Path(__file__).parent


@pytest.fixture
def toy(monkeypatch):
    monkeypatch.syspath_prepend(str(HERE))
    monkeypatch.setitem(registry.SYSTEMS, "toy", ("toy_official.network:Toy", "base"))


@pytest.fixture
def toy_file(tmp_path):
    layer = {"toy.weight": torch.arange(576.0).reshape(3, 192), "toy.bias": torch.ones(3)}
    torch.save({"state_dict": layer, "epoch": 3, "best_acc": torch.tensor(0.5)}, tmp_path / "toy.pth")
    return tmp_path / "toy.pth"


@pytest.fixture
def run(capsys):
    def command(*arguments):
        code = main(["weights", *map(str, arguments)])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return command


def test_every_module_follows_the_protocol():
    modules = official_modules()
    assert {"poster_v2", "parface"} <= modules.keys()
    for module in modules.values():
        assert all(file.name and file.description and file.result for file in module.FILES)
        assert is_dataclass(module.ConvertOptions)
        assert module.ConvertOptions() is not None  # every option has a default
        assert module.recognise({"weight": torch.zeros(1)}) is False
        assert module.recognise({"epoch": 3}) is False
        assert callable(module.convert)


def test_help_needs_neither_torch_nor_numpy_and_the_ledger_no_torch():
    code = (
        "import sys; from mien.__main__ import run; run(['weights', 'convert', '--help']);"
        "print([name for name in ('torch', 'numpy') if name in sys.modules]); run(['weights', 'list']);"
        "print('torch' in sys.modules)"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert process.stdout.splitlines() == ["[]", "False"]


def test_variants_of_a_system_share_its_files():
    assert official_module("parface_small_3d") is official_module("parface")
    assert "parface_small_3d" not in official_modules()


def test_a_registered_system_is_listed_and_explained(toy, run):
    code, out, _ = run("list")
    assert code == 0
    assert "toy (options: --colour, --bright-light)" in out
    assert "toy.pth  one linear layer  classifier; state --colour" in out
    code, out, _ = run("convert", "--help")
    assert code == 0
    assert "--colour" in out and "Colour of the toy, which its file does not state." in out
    assert "--labels" in out and "--activation" in out


def test_a_registered_system_converts_with_its_own_options(toy, toy_file, tmp_path, run):
    command = ("convert", toy_file, "--system", "toy", "--output", tmp_path / "bundle")
    code, out, errors = run(*command, "--colour", "red", "--bright-light")
    assert (code, errors) == (0, "")
    assert "toy.pth: 2 matched, 0 missing" in out and "outputs expression (class_0, class_1, class_2)" in out
    network = mien.load(tmp_path / "bundle")
    assert network.config.colour == "bright red"
    assert network.head.weight[2, 191] == 575
    run(*command, "--no-bright-light", "--colour=green")
    assert mien.load(tmp_path / "bundle").config.colour == "green"


def test_a_converted_bundle_states_where_it_comes_from(toy, toy_file, tmp_path, run):
    digest = sha256_of(toy_file)
    assert run("convert", toy_file, "--system", "toy", "--output", tmp_path / "bundle")[0] == 0
    provenance = mien.load(tmp_path / "bundle").info.provenance
    assert provenance["files"] == {"toy.pth": digest}
    assert (provenance["epoch"], provenance["best_acc"]) == (3, 0.5)
    card = (tmp_path / "bundle" / "README.md").read_text()
    assert f"| toy.pth | `{digest}` |" in card and "2 matched" in card and str(tmp_path) not in card


def test_files_of_the_same_name_keep_a_hash_each(tmp_path):
    from mien.engine.bundles.weights import _provenance

    files = [tmp_path / folder / "saae.mdl" for folder in "abc"]
    for path in files:
        path.parent.mkdir()
        path.write_text(path.parent.name)
    stated = [{"epoch": float("nan")}, {"epoch": [1]}, {"best_acc": torch.zeros(2)}]
    provenance = _provenance(dict(zip(files, stated, strict=True)), [])
    assert list(provenance["files"]) == ["saae.mdl", "saae.mdl (2)", "saae.mdl (3)"]
    assert list(provenance["files"].values()) == [sha256_of(path) for path in files]
    assert "epoch" not in provenance and "best_acc" not in provenance  # only finite numbers


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--system", "toy", "--color", "red"), "has no option --color. Did you mean '--colour'?"),
        (("--system", "toy", "--colour", "rde"), "--colour must be"),
        (("--system", "toy", "--labels", "rafdb"), "--system toy converts without --labels, an option of --system pos"),
        (
            ("--colour", "red"),
            "--system poster_v2 converts without --colour, an option of --system toy. It has --label",
        ),
        (("--system", "tyo"), "No system 'tyo'. Did you mean 'toy'?"),
        (("--system", "parface"), "toy.pth is a released file of toy, not of parface: add --system toy."),
        ((), "toy.pth is a released file of toy, not of poster_v2: add --system toy."),
    ],
)
@pytest.mark.usefixtures("toy")
def test_a_wrong_option_names_the_right_one(toy_file, tmp_path, run, arguments, message):
    code, _, errors = run("convert", toy_file, "--output", tmp_path / "bundle", *arguments)
    assert code == 2 and errors.count("\n") == 1
    assert message in errors
    assert not (tmp_path / "bundle").exists()


def test_options_are_checked_in_python_too(toy):
    with pytest.raises(MienError, match=r"--system toy has no option --color\. Did you mean '--colour'"):
        convert_options("toy", {"color": "red"})
    options = convert_options("toy", {"colour": "red"})
    assert [getattr(options, field.name) for field in fields(options)] == ["red", False]


def test_a_system_without_released_files_is_named(monkeypatch):
    monkeypatch.setitem(registry.SYSTEMS, "bare", ("json.decoder:JSONDecoder", "base"))
    with pytest.raises(MienError, match=r"bare has no released files\. Systems that have some: poster_v2, parface"):
        official_module("bare")
    assert "bare" not in official_modules()


@pytest.mark.parametrize("arguments", [("convert",), ("convert", "x.pth"), ("convert", "--output", "bundle")])
def test_files_and_output_are_needed(run, arguments):
    code, _, errors = run(*arguments)
    assert code == 2 and errors.startswith("mien: mien weights convert needs ")


def test_names_of_what_holds_no_weights():
    assert weight_names({"state_dict": {"module.a": torch.zeros(1)}, "epoch": 1}) == {"a"}
    assert weight_names({"epoch": 1}) == weight_names({}) == weight_names({"state": {}, "param_groups": []}) == set()


def test_a_best_file_belongs_to_its_system(tmp_path, run):
    torch.save({"state": {}, "param_groups": []}, tmp_path / "best.pth")
    code, _, errors = run("convert", tmp_path / "best.pth", "--system", "parface", "--output", tmp_path / "bundle")
    assert code == 2 and "add --system poster_v2" in errors
