"""Every registered system through every command, tiny, on drawn faces, on the CPU.

small_systems.py says how each is made small, and by which stage it trains; one that is registered and missing there
fails.
"""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mien
from mien.__main__ import main
from mien.core.errors import MienError
from mien.media.files import read_info

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")
from small_systems import DISTINCT, SMALL, fit_words  # noqa: E402

READERS = [name for name in DISTINCT if SMALL[name].reads == "expression"]
POINTERS = [name for name in DISTINCT if SMALL[name].reads == "landmarks"]
RENDERED = [name for name in DISTINCT if SMALL[name].reads == "expression of photo and render"]
PICTURES = [name for name in DISTINCT if SMALL[name].reads == "picture"]
HEARERS = [name for name in DISTINCT if SMALL[name].reads == "heard expression"]
# Tracing a network takes seconds to half a minute, so one that is exported by another test is not exported here.
EXPORTED_ELSEWHERE = {
    "poster_v2_small": "tests/test_commands.py: the tour trains it, exports it and reads with it",
    "poster_v2_landmarks_small": "tests/engine/bundles/test_export.py, on both runtimes",
    "ddamfn": "if3d, which has two of its trunks, its heads and its classifier",
    "ifer": "tests/engine/reading/test_invert.py (asit, which has its encoder) and tests/nn/inversion (its head)",
}
pytestmark = pytest.mark.usefixtures("loaded_and_found_once")


def exported(names: list[str]) -> list[str]:
    return [name for name in names if name not in EXPORTED_ELSEWHERE]


def test_every_registered_system_is_tested_here() -> None:
    assert mien.list_models("systems") == list(SMALL)


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from mien.data.replicas import write_drawn

    return write_drawn(tmp_path_factory.mktemp("faces"), faces=56, size=40, layout="drawn", test_share=0.25)


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from mien.data.replicas.people import Plan, write_people
    from mien.synthetic.people import PeopleOptions

    folder = tmp_path_factory.mktemp("people")
    plan = Plan(faces=48, pictures=2, seed=0, shares=(0.6, 0.2, 0.2))
    write_people(folder, plan, options=PeopleOptions(size=64, palsy=0.5, renders=True), workers=1)
    return folder


@pytest.fixture(scope="module")
def talking_faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A manifest of drawn faces with voices."""
    pytest.importorskip("soxr")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parent / "engine"))
        from toy.talking_faces import write_talking_faces

        return write_talking_faces(tmp_path_factory.mktemp("talking_faces"))


@pytest.fixture(scope="module")
def runs(faces: Path, people: Path, talking_faces: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """name -> run folder, fitted by the command when first asked for: two epochs, one where it is like another."""
    runs: dict[str, Path] = {}
    roots = {"drawn": faces, "people": people, "manifest": talking_faces}

    def run(name: str) -> Path:
        if name not in runs:
            folder = tmp_path_factory.mktemp("runs") / name
            epochs = 2 if name in DISTINCT else 1
            words = fit_words(name, roots[SMALL[name].data], folder, **{"trainer.epochs": epochs})
            assert main(["fit", *words]) == 0
            runs[name] = folder
        return runs[name]

    return run


@pytest.mark.parametrize("name", SMALL)
def test_created_without_any_file(name: str) -> None:
    small = SMALL[name]
    torch.manual_seed(0)
    system = mien.create_model(name, **small.options).eval()
    with torch.inference_mode():
        outputs = system(*_random_inputs(system))
    assert list(outputs) == list(system.outputs)
    assert all(len(values) == 2 and bool(torch.isfinite(values).all()) for values in outputs.values())


@pytest.mark.parametrize("name", SMALL)
def test_an_unknown_option_names_the_nearest(name: str) -> None:
    option = next(iter(SMALL[name].options))
    with pytest.raises(MienError, match=f"Did you mean '{option}'"):
        mien.create_model(name, **{option + "s": 1})


@pytest.mark.parametrize("name", SMALL)
def test_fit_leaves_a_bundle_that_loads(name: str, runs: Any) -> None:
    folder = runs(name)
    assert {"config.yaml", "bundle", "checkpoints", "metrics.jsonl", "report.html", "logs"} <= {
        path.name for path in folder.iterdir()
    }
    system = mien.load(folder / "bundle")
    assert not system.training
    assert system.info is not None
    assert main(["weights", "verify", str(folder)]) == 0


@pytest.mark.parametrize("name", SMALL)
def test_a_bundle_survives_the_round_trip_bit_for_bit(name: str, runs: Any, tmp_path: Path) -> None:
    from mien.systems.bundle import save_bundle

    system = mien.load(runs(name) / "bundle")
    save_bundle(tmp_path / "again", system)
    again = mien.load(tmp_path / "again")
    given = _random_inputs(system)
    with torch.inference_mode():
        before, after = system(*given), again(*given)
    assert before.keys() == after.keys() == system.outputs.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert (again.outputs, again.inputs, again.config) == (system.outputs, system.inputs, system.config)


@pytest.mark.parametrize("name", DISTINCT)
def test_going_on_with_a_finished_run_changes_nothing(name: str, runs: Any) -> None:
    folder = runs(name)
    before = (folder / "bundle" / "model.safetensors").read_bytes()
    assert main(["fit", "--output", str(folder), "--resume", "true"]) == 0
    assert (folder / "bundle" / "model.safetensors").read_bytes() == before


@pytest.mark.parametrize("name", [*READERS, *RENDERED])
def test_evaluate_writes_its_tables_and_report(name: str, runs: Any, faces: Path, people: Path, tmp_path: Path) -> None:
    data = SMALL[name].data
    root, count = (faces, 14) if data == "drawn" else (people, 10)
    options = ["--data.name", data, "--data.root", str(root), "--split", "test", "--output", str(tmp_path / "out")]
    assert main(["evaluate", str(runs(name)), *options, "--bootstrap", "50"]) == 0
    table = tmp_path / "out" / ("expression" if name in RENDERED else "") / "predictions.csv"  # beside valence, arousal
    rows = list(csv.DictReader(table.open(encoding="utf-8")))
    assert len(rows) == count
    lines = [json.loads(line) for line in (tmp_path / "out" / "metrics.jsonl").read_text("utf-8").splitlines()]
    assert any(line["metric"].endswith("accuracy") and 0 <= line["value"] <= 1 for line in lines)
    assert "<html" in (tmp_path / "out" / "report.html").read_text("utf-8")


@pytest.mark.parametrize("name", POINTERS)
def test_evaluate_measures_points(
    name: str, runs: Any, people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = [
        "--data.name",
        "people",
        "--data.root",
        str(people),
        "--split",
        "test",
        "--output",
        str(tmp_path / "out"),
    ]
    run = runs(name)
    capsys.readouterr()
    assert main(["evaluate", str(run), *options, "--bootstrap", "50", "--benchmark", "true"]) == 0
    output = capsys.readouterr().out
    assert all(line in output for line in ("NME", "STD", "FR@10", "AUC"))
    lines = [json.loads(line) for line in (tmp_path / "out" / "metrics.jsonl").read_text("utf-8").splitlines()]
    assert any(line["metric"] == "data_crop/nme_interocular" and line["value"] > 0 for line in lines), lines[:3]
    assert "<html" in (tmp_path / "out" / "report.html").read_text("utf-8")


@pytest.mark.parametrize("name", HEARERS)
def test_evaluate_measures_a_face_with_its_voice(name: str, runs: Any, talking_faces: Path, tmp_path: Path) -> None:
    options = ["--data.name", "manifest", "--data.root", str(talking_faces), "--output", str(tmp_path / "out")]
    command = ["evaluate", str(runs(name)), *options, "--split", "test", "--data.leaks", "ignore", "--bootstrap", "50"]
    assert main(command) == 0
    lines = [json.loads(line) for line in (tmp_path / "out" / "metrics.jsonl").read_text("utf-8").splitlines()]
    outputs = [output for output, about in mien.load(runs(name) / "bundle").outputs.items() if about.kind == "classes"]
    assert {line["output"] for line in lines if line["metric"] == f"{line['output']}/accuracy"} == set(outputs)
    assert len(outputs) == 3 and "<html" in (tmp_path / "out" / "report.html").read_text("utf-8")


@pytest.mark.parametrize("name", HEARERS)
def test_the_exported_network_hears(name: str, runs: Any, tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    bundle = tmp_path / "reading"
    assert main(["export", str(runs(name)), "--output", str(bundle)]) == 0
    from mien.runtime.runner import Runner

    system = mien.load(runs(name) / "bundle")
    arrays = dict(zip(system.input_names, (value.numpy() for value in _random_inputs(system)), strict=True))
    with torch.inference_mode():
        expected = system(*(torch.from_numpy(value) for value in arrays.values()))
    runner = Runner(bundle, threads=1)
    found = runner.outputs(arrays)
    assert list(found) == list(expected)
    for output, values in expected.items():
        torch.testing.assert_close(torch.from_numpy(found[output]), values, atol=1e-3, rtol=1e-3)
    controls = {each: np.full((len(values), about.length), 0.5, "f4") for each, about in system.controls.items()}
    assert controls.keys() == runner.info.controls.keys()
    with torch.inference_mode():
        expected = system(*map(torch.from_numpy, (*arrays.values(), *controls.values())))
    found = runner.outputs(arrays | controls)
    for output, values in expected.items():
        torch.testing.assert_close(torch.from_numpy(found[output]), values, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("name", PICTURES)
def test_evaluate_measures_pictures(name: str, runs: Any, faces: Path, tmp_path: Path) -> None:
    options = ["--data.name", "drawn", "--data.root", str(faces), "--output", str(tmp_path / "out")]
    assert main(["evaluate", str(runs(name)), *options, "--bootstrap", "50"]) == 0
    lines = [json.loads(line) for line in (tmp_path / "out" / "metrics.jsonl").read_text("utf-8").splitlines()]
    assert {"abs_error", "psnr"} <= {line["metric"] for line in lines}
    assert "<html" in (tmp_path / "out" / "report.html").read_text("utf-8")


@pytest.mark.parametrize("name", exported(READERS))
def test_export_then_analyze_without_the_weights_beside(name: str, runs: Any, faces: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    bundle = tmp_path / "reading"
    assert main(["export", str(runs(name)), "--output", str(bundle)]) == 0
    assert {path.name for path in bundle.iterdir()} == {"model.onnx", "system.json", "README.md", "train_faces.npz"}
    pictures = _portraits(tmp_path / "pictures")
    options = ["--bundle", str(bundle), "--output", str(tmp_path / "out"), "--threads", "1"]
    assert main(["analyze", str(pictures), *options]) == 0
    rows = list(csv.DictReader((tmp_path / "out" / "readings.csv").open(encoding="utf-8")))
    read = [row for row in rows if row["success"] == "1"]
    assert len(read) >= 2
    for row in read:
        assert sum(float(value) for key, value in row.items() if key.startswith("prob_")) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("name", RENDERED)
def test_a_network_that_needs_renders_is_exported_and_refused_for_photos_alone(
    name: str, runs: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("onnx")
    bundle = tmp_path / "reading"
    assert main(["export", str(runs(name)), "--output", str(bundle)]) == 0
    options = ["--bundle", str(bundle), "--output", str(tmp_path / "out"), "--threads", "1"]
    capsys.readouterr()
    assert main(["analyze", str(_portraits(tmp_path / "pictures")), *options]) == 2
    assert "render" in capsys.readouterr().err


@pytest.mark.parametrize("name", exported(POINTERS))
def test_export_then_landmarks_and_asymmetry_without_the_weights_beside(
    name: str, runs: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The network of parface_small_3d has every option, so each part of ParFace-Net is exported here."""
    pytest.importorskip("onnx")
    run, bundle = runs(name), tmp_path / "reading"
    capsys.readouterr()
    assert main(["export", str(run), "--output", str(bundle)]) == 0
    output = capsys.readouterr().out
    assert "every output within" in output and "the same points on 100%" in output
    assert f"mien analyze PHOTO --landmark-bundle {bundle}" in output
    system = mien.load(run / "bundle")
    assert read_info(bundle).outputs == system.outputs
    if name == "parface_small_3d":
        assert list(system.outputs) == ["landmarks", "sigma", "visible", "depth", "latent"]
    pictures = _portraits(tmp_path / "pictures")
    options = ["--bundle", str(bundle), "--threads", "1"]
    assert main(["landmarks", str(pictures), *options, "--output", str(tmp_path / "points")]) == 0
    assert len(list((tmp_path / "points").rglob("*.pts"))) >= 2
    assert main(["asymmetry", str(pictures / "neutral.png"), *options, "--output", str(tmp_path / "sides")]) == 0
    assert "<html" in (tmp_path / "sides" / "report.html").read_text("utf-8")


@pytest.mark.parametrize("name", PICTURES)
def test_reconstruct_shows_the_picture_again(name: str, runs: Any, tmp_path: Path) -> None:
    options = ["--bundle", str(runs(name) / "bundle"), "--output", str(tmp_path / "out")]
    assert main(["reconstruct", str(_portraits(tmp_path / "pictures")), *options]) == 0
    assert list((tmp_path / "out").glob("*.png")) or list((tmp_path / "out").glob("*.jpg"))


def _random_inputs(system: Any) -> list[Any]:
    return [torch.randn(2, *system.inputs[name].shape) for name in system.input_names]


def _portraits(folder: Path) -> Path:
    import cv2
    import numpy as np

    from mien.synthetic.drawn import draw_face

    folder.mkdir()
    for i, expression in enumerate(("happiness", "surprise", "neutral")):
        pixels, _ = draw_face(expression, np.random.default_rng(i), size=220)
        cv2.imwrite(str(folder / f"{expression}.png"), pixels[..., ::-1])
    return folder
