"""Every command from the outside: its help, its mistakes in one line, its exit codes, and how light it starts."""

import errno
import os
import pickle
import re
import subprocess
import sys
from dataclasses import dataclass
from inspect import unwrap
from pathlib import Path
from typing import Any, Literal

import pytest

from mien import __main__ as cli
from mien.cli import grammar
from mien.cli.parameters import parameters_of
from mien.core.errors import MienError
from mien.core.extras import install_hint

NOT_FOR_HELP = ("torch", "lightning", "onnxruntime", "matplotlib", "pandas")


def mien(*args: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a command."""
    code = cli.main([str(arg) for arg in args])
    return code, *capsys.readouterr()


def python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


# --- help


def test_the_list_of_commands_imports_no_parser_and_is_quick() -> None:
    code = (
        "import sys, time; start = time.process_time(); from mien.__main__ import main; main(['--help']);"
        "took = time.process_time() - start;"
        f"print([m for m in ('argparse', 'jsonargparse', 'yaml', 'rich', *{NOT_FOR_HELP}) if m in sys.modules], took)"
    )
    output = [python(code).splitlines() for _ in range(3)]
    assert all(f"  {name} " in "\n".join(output[0]) for name in cli.COMMANDS)
    assert {lines[-1].rpartition(" ")[0] for lines in output} == {"[]"}
    assert min(float(lines[-1].rpartition(" ")[2]) for lines in output) < 0.15


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_each_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, output, errors = mien(*name.split(), "--help", capsys=capsys)
    assert (code, errors) == (0, "")
    assert output.startswith(f"usage: mien {name}")
    function = cli.imported(cli.COMMANDS[name][0])
    unused = unwrap(function).__globals__.get("NOT_IN_HELP", ())
    parameters = [p for p in parameters_of(function) if p.key not in unused]
    assert [p.key for p in parameters if not p.text] == [], "a parameter without a description"
    assert all(f"--{p.spelling} " in output or p.spelling.upper() in output for p in parameters)


def test_help_of_evaluate_shows_what_it_uses(capsys: pytest.CaptureFixture[str]) -> None:
    """The words of a training run are taken (`--data.sampler`), but only those that matter here are explained."""
    assert cli.main(["evaluate", "--help"]) == 0
    shown = capsys.readouterr().out
    assert "--data.root" in shown and "--data.reader" in shown and "--data.sampler" not in shown


def test_help_of_commands_loads_nothing_heavy() -> None:
    code = (
        "import sys, time; from mien.__main__ import COMMANDS, run; times = {}\n"
        "for name in COMMANDS:\n"
        "    start = time.process_time(); run([*name.split(), '--help']); times[name] = time.process_time() - start\n"
        f"print([m for m in {NOT_FOR_HELP} if m in sys.modules], max(times.values()))"
    )
    found, slowest = python(code).strip().rsplit(" ", 1)
    assert found == "[]"
    assert float(slowest) < 0.5


def test_every_command_is_a_plain_function() -> None:
    for target, line in cli.COMMANDS.values():
        assert callable(cli.imported(target))
        assert len(line) < 90


@pytest.mark.parametrize("args", [["--version"], ["-V"]])
def test_version(args: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert re.fullmatch(r"mien \d+\.\d+\.\d+\n", mien(*args, capsys=capsys)[1])


@pytest.mark.parametrize("args", [[], ["help"], ["-h"], ["data"], ["weights", "--help"]])
def test_asking_what_there_is_is_no_mistake(args: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    code, output, _ = mien(*args, capsys=capsys)
    assert code == 0
    assert output.startswith("usage: mien")


# --- mistakes: one line, the way out, exit code 2


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["analyse"], "No command 'analyse'. Did you mean 'analyze'?"),
        (["evalute", "x"], "Did you mean 'evaluate'?"),
        (["data", "chek"], "No command 'mien data chek'. Did you mean 'check'?"),
        (["weights", "convrt"], "Did you mean 'convert'?"),
        (["evaluate", "x", "--data.nam", "y"], "mien evaluate has no option --data.nam. Did you mean '--data.name'?"),
        (["evaluate", "x", "--spilt", "test"], "Did you mean '--split'?"),
        (["evaluate"], "mien evaluate needs BUNDLE"),
        (["evaluate", "x", "y"], "mien evaluate takes BUNDLE; 'y' is one word too many."),
        (["evaluate", "x", "--split"], "--split needs a value after it"),
        (["evaluate", "x", "--batch-size", "many"], "--batch-size must be int; got 'many'."),
        (["evaluate", "x", "--runner", "torhc"], "--runner must be one of 'auto', 'torch', 'onnx'; got 'torhc'."),
        (["evaluate", "nowhere", "--data.name", "drawn", "--data.root", "x"], "nowhere is not a bundle"),
        (["analyze"], "mien analyze needs INPUTS"),
        (["analyze", "--output", "out"], "mien analyze needs INPUTS"),
        (["analyze", "nowhere.jpg", "--output", "out"], "nowhere.jpg"),
        (["export", "nowhere"], "nowhere is not a bundle"),
        (["data", "check", "rafbd", "--root", "x"], "No data set reader 'rafbd'. Did you mean 'rafdb'?"),
        (["data", "check", "drawn"], "Name the folder of the data set: --root DIR of drawn"),
        (["weights", "verify", "nowhere"], "nowhere is not a bundle"),
        (["weights", "convert", "x.pth"], "mien weights convert needs --output"),
        (["weights", "convert", "x.pth", "--output", "o"], "No weight file at x.pth."),
        (["weights", "convert", "x", "--output", "o", "--system", "poster"], "Did you mean 'poster_v2'?"),
        (["fit", "nowhere.yaml"], "No config nowhere.yaml"),
        (["fit", "poster_v2/rafbd"], "Did you mean 'poster_v2/rafdb'?"),
        (
            ["fit", "poster_v2/rafdb", "--trainer.epoch", "1"],
            "mien fit has no option --trainer.epoch. Did you mean '--trainer.epochs'?",
        ),
        (["models", "all"], "mien models takes no input; 'all' is one word too many."),
    ],
)
def test_a_mistake_is_one_line_with_the_way_out(
    args: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, errors = mien(*args, capsys=capsys)
    assert code == 2
    assert message in errors
    assert errors.count("\n") == 1
    assert errors.startswith("mien: ")


def raising(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """`mien models` raises it."""

    def models() -> None:
        raise error

    monkeypatch.setattr(cli, "imported", lambda target: models)


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (MienError("one\nline"), 2, "mien: one line\n"),
        (OSError(errno.ENOSPC, "No space left on device", "out/x"), 2, "mien: No space left on device: out/x\n"),
        (KeyboardInterrupt(), 130, "mien: stopped.\n"),
        (ModuleNotFoundError("no", name="torch.nn"), 2,
         f"mien: This needs torch, which is not installed: {install_hint('train')}.\n"),
        (ModuleNotFoundError("no", name="av"), 2,
         f"mien: This needs av, which is not installed: {install_hint('video')}.\n"),
    ],
)  # fmt: skip
def test_what_a_user_can_mend_shows_no_traceback(
    error: BaseException, code: int, message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    raising(error, monkeypatch)
    assert mien("models", capsys=capsys) == (code, "", message)


@pytest.mark.parametrize("error", [ZeroDivisionError(), ImportError("no", name="mien.nothing"), AssertionError()])
def test_our_own_faults_are_not_hidden(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    raising(error, monkeypatch)
    with pytest.raises(type(error)):
        cli.main(["models"])


def test_where_a_mistake_came_from_is_shown_on_demand(monkeypatch: pytest.MonkeyPatch) -> None:
    raising(MienError("here"), monkeypatch)
    monkeypatch.setenv("MIEN_DEBUG", "1")
    with pytest.raises(MienError):
        cli.main(["models"])


def test_a_closed_pipe_is_quiet() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        command = [sys.executable, "-m", "mien", "data", "list"]
        result = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    finally:
        os.close(writer)
    assert (result.returncode, result.stderr) == (cli.PIPE_CLOSED, "")


# --- the grammar itself


@dataclass(frozen=True)
class Section:
    """Where."""

    name: str = "first"
    """Which one."""
    options: dict[str, Any] | None = None
    """Of its own."""


def test_a_flag_that_may_be_left_open_is_a_flag() -> None:
    def flagged(*, legacy: bool | None = None) -> bool | None:
        return legacy

    found = [grammar.call(flagged, args, command="x") for args in ([], ["--legacy"], ["--no-legacy"])]
    assert found == [None, True, False]


def command(
    first: str, second: str = "2", *, data: Section, min_face: int | None = None, draw: bool = True,
    kind: Literal["a", "b"] = "a", share: float = 0.5,
) -> dict[str, Any]:  # fmt: skip
    """Returns what came."""
    return locals()


def came(*args: str) -> dict[str, Any]:
    found: dict[str, Any] = grammar.call(command, args, command="mien command")
    return found


def test_inputs_and_options_mix_freely() -> None:
    found = came("one", "--min-face", "40", "two", "--data.name=other", "--share", "1e-3")
    assert (found["first"], found["second"], found["min_face"]) == ("one", "two", 40)
    assert found["data"] == Section("other")
    assert found["share"] == 1e-3


def test_flags_stand_alone_or_with_a_value() -> None:
    assert came("one", "--draw", "two")["draw"] is True
    assert came("one", "--no-draw", "two") == came("one", "--draw", "false", "two")
    assert came("one", "--draw=no")["draw"] is False


def test_arguments_that_look_like_options_can_be_inputs() -> None:
    assert came("--", "--one")["first"] == "--one"
    assert came("-")["first"] == "-"
    assert came("-1")["first"] == "-1"


def test_options_of_a_reader_are_passed_on_as_values() -> None:
    assert came("one", "--data.options.majority", "strict", "--data.options.n", "3")["data"].options == {
        "majority": "strict",
        "n": 3,
    }


def test_an_abbreviation_is_refused_with_the_whole_name() -> None:
    with pytest.raises(MienError, match=r"no option --min-fac\. Did you mean '--min-face'"):
        came("one", "--min-fac", "3")


# --- data, models, weights


def test_lists_name_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    from mien.core.labels import list_label_sets
    from mien.data.readers import list_readers
    from mien.systems.registry import list_models

    output = mien("data", "list", capsys=capsys)[1]
    assert all(name in output for name in [*list_readers(), *list_label_sets()])
    output = mien("models", capsys=capsys)[1]
    assert all(name in output for name in [*list_models(), "poster_v2_small_ferplus"])
    assert "ir50.pth" in mien("weights", "list", capsys=capsys)[1]


@pytest.fixture
def drawn(tmp_path: Path) -> Path:
    from mien.data.replicas import write_drawn

    return write_drawn(tmp_path / "faces", faces=28, size=32, layout="drawn", test_share=0.5)


def test_check_counts_and_opens(drawn: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, output, _ = mien("data", "check", "drawn", "--root", drawn, capsys=capsys)
    assert code == 0
    assert re.search(r"happiness +2 +14.3 +2 +14.3\n", output)
    assert "All 28 pictures can be read." in output


def test_check_names_broken_pictures(drawn: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = sorted(drawn.glob("train/anger/*.png"))[0]
    broken.write_bytes(b"not a picture")
    code, output, errors = mien("data", "check", "drawn", "--root", drawn, capsys=capsys)
    assert code == 2
    assert "1 of 28 pictures cannot be read" in errors
    assert broken.name in output
    assert mien("data", "check", "drawn", "--root", drawn, "--no-decode", capsys=capsys)[0] == 0


def test_a_shipped_bundle_verifies_and_a_changed_one_does_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import shutil

    from mien.media.bundles import shipped_bundles

    for folder, info in shipped_bundles():
        assert mien("weights", "verify", folder, capsys=capsys)[0] == 0
        copy = tmp_path / folder.name
        shutil.copytree(folder, copy)
        name = next(iter(info.files))
        content = bytearray((copy / name).read_bytes())
        content[-1] ^= 1
        (copy / name).write_bytes(content)
        code, _, errors = mien("weights", "verify", copy, capsys=capsys)
        assert code == 2
        assert f"{name} was changed: SHA-256" in errors


class Hostile:
    """Unpickled carelessly, it would make a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


def test_a_hostile_file_executes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import torch

    trap = tmp_path / "trap"
    torch.save({"state_dict": {"x": torch.zeros(1)}, "recorder": Hostile(trap)}, tmp_path / "a.pth")
    (tmp_path / "b.pth").write_bytes(pickle.dumps(Hostile(trap)))
    for name in ("a.pth", "b.pth"):
        assert mien("weights", "convert", tmp_path / name, "--output", tmp_path / "out", capsys=capsys)[0] == 2
    assert not trap.exists()
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_released_classifier_becomes_a_bundle(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import torch

    import mien as package
    from mien.systems.poster_v2.official_names import to_official

    torch.manual_seed(0)
    network = package.create_model("poster_v2", labels="rafdb", legacy=True).eval()
    released = {f"module.{name}": value for name, value in to_official(network).items()}
    torch.save({"state_dict": released, "epoch": 7, "best_acc": torch.tensor(92.2)}, tmp_path / "raf.pth")
    args = ("weights", "convert", tmp_path / "raf.pth", "--output", tmp_path / "bundle", "--labels", "rafdb")
    code, output, errors = mien(*args, capsys=capsys)
    assert (code, errors) == (0, "")
    assert "0 missing, 0 unexpected" in output
    assert "surprise, fear, disgust, happiness, sadness, anger, neutral" in output
    converted = package.load(tmp_path / "bundle")
    picture = torch.randn(1, 3, 224, 224)
    with torch.inference_mode():
        assert torch.equal(converted(picture)["expression"], network(picture)["expression"])
    assert converted.info is not None
    assert converted.info.provenance["epoch"] == 7
    assert mien("weights", "verify", tmp_path / "bundle", capsys=capsys)[0] == 0
    del released["module.VIT.norm.weight"]
    torch.save({"state_dict": released}, tmp_path / "raf.pth")
    code, _, errors = mien(*args[:3], "--output", tmp_path / "again", capsys=capsys)
    assert code == 2
    assert "1 missing" in errors


@pytest.mark.slow
def test_released_backbones_begin_a_training_and_a_best_file_is_explained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """docs/weights.md has the command that rescues it; tests/systems/poster_v2 checks what comes out."""
    import torch

    import mien as package
    from mien.systems.poster_v2.official_names import parameter_names, to_official

    torch.manual_seed(0)
    network = package.create_model("poster_v2", labels="rafdb", legacy=True)
    released = to_official(network)
    trunk, landmarks, best = (tmp_path / name for name in ("ir50.pth", "landmarks.pth.tar", "best.pth"))
    torch.save({"state_dict": to_official(network.trunk)}, trunk)
    landmark_net = {k.removeprefix("face_landback."): v for k, v in released.items() if k.startswith("face_landback.")}
    torch.save({"state_dict": landmark_net}, landmarks)
    kept = {i: {"old_p": released[name]} for i, name in enumerate(parameter_names()) if "face_landback" not in name}
    torch.save({"state": kept, "param_groups": [{"params": list(range(len(parameter_names())))}]}, best)

    assert mien("weights", "convert", trunk, landmarks, "--output", tmp_path / "start", capsys=capsys)[0] == 0
    start = package.load(tmp_path / "start")
    assert not start.config.legacy
    assert torch.equal(start.trunk.stem_conv.weight, network.trunk.stem_conv.weight)

    code, _, errors = mien("weights", "convert", best, "--output", tmp_path / "rescued", capsys=capsys)
    assert code == 2
    assert "holds only an optimiser's state" in errors


# --- hostile and wrong inputs


def test_broken_pictures_do_not_stop_the_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import csv

    import cv2
    import numpy as np

    from mien.synthetic.drawn import draw_face

    folder = tmp_path / "photos"
    folder.mkdir()
    cv2.imwrite(str(folder / "face.jpg"), draw_face("happiness", np.random.default_rng(0), size=200)[0][..., ::-1])
    whole = (folder / "face.jpg").read_bytes()
    (folder / "cut.jpg").write_bytes(whole[: len(whole) // 3])
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "text.jpg").write_text("this is not a picture")
    code, output, _ = mien("analyze", folder, "--output", tmp_path / "out", "--threads", "1", capsys=capsys)
    assert code == 0
    assert "could not be read" in output
    rows = list(csv.DictReader((tmp_path / "out" / "readings.csv").open(encoding="utf-8")))
    assert {Path(row["source"]).name: row["success"] for row in rows if row["success"] == "0"}.keys() >= {
        "empty.jpg",
        "text.jpg",
    }
    assert any(row["success"] == "1" for row in rows)


def test_an_output_that_is_a_file_is_one_line(drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    occupied = tmp_path / "taken"
    occupied.write_text("mine")
    for args in (
        ["analyze", drawn, "--output", occupied],
        ["demo", "--output", occupied],
        ["evaluate", "poster_v2_small_ferplus", "--data.name", "drawn", "--data.root", drawn, "--output", occupied],
    ):
        code, _, errors = mien(*args, capsys=capsys)
        assert code == 2
        assert errors.count("\n") == 1
    assert occupied.read_text() == "mine"


def test_the_tour_leaves_what_is_not_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    code, _, errors = mien("demo", "--output", tmp_path, capsys=capsys)
    assert code == 2
    assert "Name another --output." in errors
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.slow
@pytest.mark.usefixtures("loaded_and_found_once")
def test_the_tour_ends_with_a_report_that_stands_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second tour, where training is not installed, replaces the first and reads only."""
    pytest.importorskip("lightning")
    from mien.engine.demo import demo

    folder = tmp_path / "tour"
    code, output, _ = mien("demo", "--output", folder, "--faces", "42", "--epochs", "1", capsys=capsys)
    assert code == 0
    report = folder / "report.html"
    assert str(report.resolve()) in output
    page = report.read_text(encoding="utf-8")
    assert all(
        arg in page
        for arg in ("Faces that nobody has", "Training", "Measured", "just trained", "astronaut", "with a palsy")
    )
    assert not re.search(r'(src|href)="(https?:)?//', page)
    for link in re.findall(r'href="([^"]+)"', page):
        assert (folder / link).is_file()

    monkeypatch.setattr(demo, "find_spec", lambda name: None)
    code, output, _ = mien("demo", "--output", folder, "--faces", "14", capsys=capsys)
    assert code == 0
    assert "it needs torch" in output and re.search(r"This takes about \d+ (seconds|minutes) on this machine", output)
    page = report.read_text(encoding="utf-8")
    assert "models that ship" in page and "Asymmetry of a smile" in page
    assert "Measured" not in page
    assert not (folder / "expression").exists()
