"""A system that no file of mien knows goes through every command: face and voice in, classes, values and picture out.

It is registered by one line and lives in tests/engine/toy. Fit and resume are in training/test_face_voice.py.
"""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")

from safetensors.torch import save_file  # noqa: E402

import mien  # noqa: E402
from mien.__main__ import main  # noqa: E402
from mien.core.decode import probabilities  # noqa: E402
from mien.data.options import DataOptions  # noqa: E402
from mien.engine.bundles.inputs import prepare_inputs  # noqa: E402
from mien.engine.bundles.predictor import open_predictor  # noqa: E402
from mien.runtime.runner import Runner  # noqa: E402

EXPRESSIONS = ["anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise"]
OUTPUTS = ["expression", "affect", "picture"]
pytestmark = pytest.mark.usefixtures("toys")
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def fitted(toys: None, talking_faces: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """The run folder of a short training with that seed, trained once."""
    folders: dict[int, Path] = {}
    eye = tmp_path_factory.mktemp("eye") / "eye.safetensors"
    torch.manual_seed(0)
    save_file({"weight": torch.randn(4, 3 * 8 * 8)}, eye)

    def run(seed: int) -> Path:
        if seed not in folders:
            folders[seed] = tmp_path_factory.mktemp("runs") / f"seed_{seed}"
            options = {
                "system.name": "toy_face_voice", "stage.name": "together", "stage.options.eye": eye, "init": "random",
                "data.name": "manifest", "data.root": talking_faces, "data.batch_size": 8, "data.cache": "memory",
                "data.augmentation": "none", "data.leaks": "ignore", "trainer.epochs": 3, "trainer.seed": seed,
                "trainer.device": "cpu", "trainer.progress": "false", "output": folders[seed],
            }  # fmt: skip
            assert main(["fit", *(f"--{key}={value}" for key, value in options.items())]) == 0
        return folders[seed]

    return run


@pytest.fixture(scope="module")
def bundle(fitted: Callable[[int], Path]) -> Path:
    """With weights and model.onnx."""
    pytest.importorskip("onnxscript")
    assert main(["export", str(fitted(0))]) == 0
    return fitted(0) / "bundle"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def command(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main([*map(str, arguments)])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return command


@pytest.fixture
def evaluated(run: Run, talking_faces: Path, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Evaluates a bundle on the test split into a folder below tmp_path; metric → its line."""

    def command(bundle: Path, name: str, *more: object) -> dict[str, Any]:
        data = ["--data.name", "manifest", "--data.root", talking_faces, "--data.leaks", "ignore", "--split", "test"]
        code, _, errors = run("evaluate", bundle, *data, "--output", tmp_path / name, "--bootstrap", 20, *more)
        assert (code, errors) == (0, "")
        lines = map(json.loads, (tmp_path / name / "metrics.jsonl").read_text(encoding="utf-8").splitlines())
        return {line["metric"]: line for line in lines}

    return command


@pytest.fixture(scope="module")
def prepared(talking_faces: Path, fitted: Callable[[int], Path]) -> dict[str, np.ndarray]:
    """The test faces as the network takes them."""
    samples = DataOptions(name="manifest", root=str(talking_faces)).open(evaluation=True).samples("test")
    return prepare_inputs(samples, mien.load(fitted(0) / "bundle").info.inputs)


def test_one_evaluation_measures_every_output(fitted, evaluated, tmp_path):
    found = evaluated(fitted(0), "out")
    assert {line["output"] for line in found.values()} == set(OUTPUTS)
    names = ("accuracy", "ccc/valence", "rmse/arousal", "abs_error", "ssim@7")
    assert all(np.isfinite(found[name]["value"]) for name in names)
    assert (found["accuracy"]["n"], found["ccc/valence"]["n"], found["abs_error"]["n"]) == (14, 7, 14)
    text = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert all(f"<h2>{output}</h2>" in text for output in OUTPUTS)
    assert "image 8 x 8 pixels, rgb; voice 0.5 s at 8000 Hz, 8 bands" in text
    for table in ("expression/predictions.csv", "affect/values.csv", "picture/pictures.csv"):
        assert len(list(csv.DictReader((tmp_path / "out" / table).open(encoding="utf-8")))) in (7, 14)


def test_the_predictions_are_those_of_the_network(fitted, evaluated, prepared, tmp_path):
    evaluated(fitted(0), "out")
    system = mien.load(fitted(0) / "bundle")
    with torch.inference_mode():
        outputs = system(*(torch.from_numpy(prepared[name]) for name in system.input_names))
    expected = probabilities(outputs["expression"].numpy(), temperature=system.info.temperature("expression"))
    rows = list(csv.DictReader((tmp_path / "out/expression/predictions.csv").open(encoding="utf-8")))
    found = [[float(row[f"p_{name}"]) for name in EXPRESSIONS] for row in rows]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_data_without_voices_are_refused_in_one_line(fitted, faces, run, tmp_path):
    data = ["--data.name", "drawn", "--data.root", faces, "--data.leaks", "ignore"]
    code, _, errors = run("evaluate", fitted(0), *data, "--output", tmp_path / "out")
    assert code == 2 and errors.count("\n") == 1
    assert "takes 'voice', and" in errors and "has none" in errors


def test_the_exported_network_has_both_inputs_and_all_outputs(bundle, run, tmp_path):
    import onnx

    graph = onnx.load(str(bundle / "model.onnx")).graph
    assert [port.name for port in graph.input] == ["image", "voice"]
    assert [port.name for port in graph.output] == OUTPUTS
    code, out, errors = run("export", bundle, "--output", tmp_path / "light", "--half", "true")
    assert (
        (code, errors) == (0, "")
        and "every output within" in out
        and "Read videos with it: mien analyze VIDEO --bundle" in out
    )
    assert not (tmp_path / "light" / "model.safetensors").exists()


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_the_runner_gives_what_torch_gives(backend, bundle, prepared):
    pytest.importorskip(backend)
    expected = open_predictor(str(bundle), runner="torch", device="cpu").outputs(prepared)
    runner = Runner(bundle, backend=backend, threads=2)
    found = runner.outputs(prepared)
    assert list(found) == OUTPUTS == list(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, atol=2e-5)
    alone = runner.outputs({name: values[3:4] for name, values in prepared.items()})
    assert all(np.array_equal(found[name][3:4], alone[name]) for name in OUTPUTS)


def test_the_bundle_is_measured_without_its_weights(bundle, run, evaluated, tmp_path):
    assert run("export", bundle, "--output", tmp_path / "light")[0] == 0
    assert sorted(path.name for path in (tmp_path / "light").iterdir()) == ["README.md", "model.onnx", "system.json"]
    whole, light = evaluated(bundle, "whole", "--runner", "torch"), evaluated(tmp_path / "light", "light_out")
    assert whole.keys() == light.keys()
    for name, line in whole.items():
        assert light[name]["value"] == pytest.approx(line["value"], abs=1e-3), name


def test_two_models_are_compared_output_by_output(fitted, evaluated, run, tmp_path):
    found = evaluated(fitted(0), "first", "--compare", fitted(1))
    assert {"accuracy", "ccc/valence", "abs_error"} <= found.keys()
    text = (tmp_path / "first" / "report.html").read_text(encoding="utf-8")
    assert text.count("Second minus first") >= 2 and "McNemar" in text
    evaluated(fitted(1), "second")
    code, out, errors = run("compare", tmp_path / "first", tmp_path / "second", "--bootstrap", 20)
    assert (code, errors) == (0, "")
    assert all(output in out for output in OUTPUTS)


def test_released_files_are_converted(run, fitted, evaluated, tmp_path):
    from toy.official import NAMES

    system, theirs = mien.load(fitted(0) / "bundle"), {ours: name for name, ours in NAMES.items()}
    released = {f"{theirs[n.partition('.')[0]]}.{n.partition('.')[2]}": v for n, v in system.state_dict().items()}
    torch.save({"state_dict": released, "epoch": 7}, tmp_path / "talking.pth")
    code, out, _ = run("weights", "list")
    assert code == 0 and "talking.pth  the network of face and voice" in out and "--dropout" in out
    output = tmp_path / "converted"
    convert = ("weights", "convert", tmp_path / "talking.pth", "--output", output, "--dropout", 0.25)
    code, out, errors = run(*convert, "--system", "toy_face_voice")
    assert (code, errors) == (0, "") and "affect (values); picture (picture)" in out
    again = mien.load(output)
    assert again.config.dropout == 0.25 and again.info.provenance["epoch"] == 7
    arrays = [torch.randn(3, *system.inputs[name].shape) for name in system.input_names]
    with torch.inference_mode():
        one, other = system(*arrays), again(*arrays)
    assert all(torch.equal(one[name], other[name]) for name in OUTPUTS)
    assert run("weights", "verify", output)[0] == 0
    assert run("export", output)[0] == 0
    code, _, errors = run(*convert, "--system", "poster_v2")
    assert code == 2 and "--dropout" in errors


def test_it_is_listed_and_described(run, bundle):
    code, out, _ = run("models")
    assert code == 0 and "toy_face_voice" in out and "FaceVoice" in out
    card = (bundle / "README.md").read_text(encoding="utf-8")
    assert "toy_face_voice (together)" in card
    assert "Inputs: image 8 x 8 pixels, rgb; voice 0.5 s at 8000 Hz, 8 bands." in card
    assert f"expression ({', '.join(EXPRESSIONS)}); affect (valence, arousal); picture" in card
    assert run("weights", "verify", bundle)[0] == 0


@pytest.fixture(scope="module")
def portrait() -> np.ndarray:
    return pytest.importorskip("skimage.data").astronaut()[40:240, 120:320]


def rows_of(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "readings.csv").open(encoding="utf-8")))


def test_a_video_is_read_with_its_sound(bundle, portrait, run, tmp_path):
    pytest.importorskip("av")
    from PIL import Image
    from toy.talking_faces import voice_of

    from mien.media.video import write_video

    frames, sound = np.repeat(portrait[None], 8, 0), voice_of(3, 0, seconds=0.8)
    write_video(tmp_path / "talking.mp4", frames, rate_hz=10.0, sound=sound)
    write_video(tmp_path / "silent.mp4", frames[:2], rate_hz=10.0)
    Image.fromarray(portrait).save(tmp_path / "photo.png")
    inputs = [tmp_path / name for name in ("talking.mp4", "silent.mp4", "photo.png")]
    command = ["analyze", *inputs, "--bundle", bundle, "--landmarks", "no", "--output", tmp_path / "out"]
    code, _, errors = run(*command)
    assert (code, errors) == (0, "")
    rows = rows_of(tmp_path / "out")
    assert [row["success"] for row in rows] == ["1"] * 11
    heard = [row for row in rows if row["source"].endswith("talking.mp4")]
    others = [row for row in rows if not row["source"].endswith("talking.mp4")]
    assert len(heard) == 8 and all(row["note"] == "" and row["expression"] in EXPRESSIONS for row in heard)
    assert all(-1 <= float(row["valence"]) <= 1 for row in heard)
    assert len({row["valence"] for row in heard}) == 8  # one picture, eight windows of sound
    for row in others:
        assert row["note"].startswith("no voice, needed by toy_face_voice@")
        assert row["box_x0"] and not row["expression"] and not row["valence"] and not row["prob_fear"]
    described = json.loads((tmp_path / "out" / "readings.json").read_text(encoding="utf-8"))
    assert "ends at the frame's time" in described["voice"] and "damaged" not in described
    assert run(*command, "--resume")[0] == 0
    assert rows_of(tmp_path / "out") == rows
    assert "damaged" not in json.loads((tmp_path / "out" / "readings.json").read_text(encoding="utf-8"))


def test_beside_another_bundle_each_reads_what_it_can(bundle, portrait, run, tmp_path):
    from PIL import Image

    Image.fromarray(portrait).save(tmp_path / "photo.png")
    both = ["--bundle", "poster_v2_small_ferplus", "--bundle", bundle, "--landmarks", "no"]
    assert run("analyze", tmp_path / "photo.png", *both, "--output", tmp_path / "both")[0] == 0
    assert run("analyze", tmp_path / "photo.png", "--landmarks", "no", "--output", tmp_path / "alone")[0] == 0
    (row,), (alone,) = rows_of(tmp_path / "both"), rows_of(tmp_path / "alone")
    assert {name: row[name] for name in alone if name not in ("model", "note")} == {
        name: value for name, value in alone.items() if name not in ("model", "note")
    }
    assert row["expression_2"] == row["valence"] == "" and "no voice" in row["note"]


def test_what_needs_a_picture_alone_refuses_it_in_one_line(bundle, portrait, run, tmp_path):
    from PIL import Image

    Image.fromarray(portrait).save(tmp_path / "photo.png")
    photo, output = tmp_path / "photo.png", ["--output", tmp_path / "out"]
    code, _, errors = run("reconstruct", photo, "--bundle", bundle, *output)
    assert code == 2 and "does not reconstruct pictures: it takes image and voice" in errors
    code, _, errors = run("landmarks", photo, "--bundle", bundle, *output)
    assert code == 2 and "points are read from the picture alone" in errors and errors.count("\n") == 1


def test_a_system_of_the_voice_alone_needs_no_picture(talking_faces, evaluated, run, tmp_path):
    """Whatever shows a face or describes an input does so of a network without one too."""
    options = [
        "fit", "--system.name=toy_voice", "--stage.name=listen", "--data.name=manifest", "--data.batch_size=8",
        f"--data.root={talking_faces}", "--data.leaks=ignore", "--optim.lr=0.05", "--trainer.epochs=20",
        "--trainer.device=cpu", "--trainer.progress=false", f"--output={tmp_path / 'run'}",
    ]  # fmt: skip
    code, _, errors = run(*options, "--input.size=32")
    assert code == 2 and "toy_voice takes voice, no picture; leave input.size out." in errors
    assert run(*options)[0] == 0
    assert "Inputs: 0.5 s at 8000 Hz, 8 bands." in (tmp_path / "run/bundle/README.md").read_text(encoding="utf-8")
    code, out, _ = run("export", tmp_path / "run")
    assert code == 0 and "mien analyze" not in out
    torch_scores = evaluated(tmp_path / "run", "one", "--runner", "torch", "--show_faces", "true")
    onnx_scores = evaluated(tmp_path / "run", "other", "--runner", "onnx")
    assert torch_scores["accuracy"]["value"] == onnx_scores["accuracy"]["value"] > 0.5  # a pitch for each class
    command = ["analyze", talking_faces / "test", "--bundle", tmp_path / "run", "--output", tmp_path / "readings"]
    code, out, _ = run(*command)  # the face model that ships reads the pictures
    assert code == 0 and "no video and no sound among the inputs, so there is no voice to read" in out
