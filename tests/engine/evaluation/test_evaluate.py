"""`mien evaluate`: what lands in the folder, that the numbers are right for known predictors, and what is refused."""

import csv
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.core.bundle import BundleInfo
from mien.core.errors import MienError
from mien.core.labels import LabelSet
from mien.core.spec import Output, PictureInput
from mien.data.options import DataOptions
from mien.data.selection import Selection
from mien.engine.bundles import predictor as networks
from mien.engine.bundles.predictor import Predictor
from mien.engine.evaluation import run as engine
from mien.engine.evaluation.contamination import provenance_warnings
from mien.engine.evaluation.data import EvaluationData
from mien.engine.evaluation.evaluate import evaluate
from mien.media.files import sha256_of

CLASSES = ("anger", "happiness", "neutral", "sadness")  # a folder set's own order: sorted
COUNTS = {"anger": 4, "happiness": 12, "neutral": 16, "sadness": 8}
MODEL = LabelSet("own", ("neutral", "happiness", "sadness", "anger"))  # another order: labels must meet by name
SPEC = PictureInput(size=16, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
Function = Callable[[np.ndarray], np.ndarray]
FILES = (
    "predictions.csv", "predictions.parquet", "failures.csv", "confusion.csv", "confusion.png", "reliability.png",
    "metrics.jsonl", "report.html",
)  # fmt: skip


def folder_of_faces(root: Path, *, classes: tuple[str, ...] = CLASSES) -> Path:
    """Flat grey pictures; the class is in the brightness: 40 for the model's first class, then 80, 120, 160."""
    for name in classes:
        level = 40 * (1 + MODEL.classes.index(name)) if name in MODEL.classes else 200
        folder = root / "test" / name
        folder.mkdir(parents=True)
        for i in range(COUNTS.get(name, 5)):
            Image.new("RGB", (20, 20), (level,) * 3).save(folder / f"{name}_{i:02d}.png")
    return root


def perfect(images: np.ndarray) -> np.ndarray:
    levels = np.round(images.mean((1, 2, 3)) * 255 / 40).astype(int) - 1
    return 4.0 * np.eye(len(MODEL))[levels.clip(0, len(MODEL) - 1)]


def constant(images: np.ndarray) -> np.ndarray:
    return np.tile([5.0, 0.0, 0.0, 0.0], (len(images), 1))


def wrong(images: np.ndarray) -> np.ndarray:
    return np.roll(perfect(images), 1, axis=1)


def described(labels: LabelSet = MODEL, *, temperature: float = 1.0, **info: object) -> BundleInfo:
    """Of a stand-in that takes a picture and gives classes."""
    return BundleInfo(
        "stand_in", {}, {"image": SPEC}, {"expression": Output.classes(labels)}, {"expression": temperature}, **info
    )  # type: ignore[arg-type]  # fmt: skip


def install(
    monkeypatch: pytest.MonkeyPatch, functions: dict[str, Function], *, labels: LabelSet = MODEL, **info: object
) -> None:
    """Lets plain functions of the pictures predict for the bundles of these names."""

    def open_predictor(bundle: str, **_: object) -> Predictor:
        about = described(labels, files={"model.safetensors": f"{bundle:0<64}"}, **info)  # type: ignore[arg-type]
        return Predictor(about, "a test", lambda inputs: {"expression": functions[bundle](inputs["image"])})

    monkeypatch.setattr(engine, "open_predictor", open_predictor)


def lines_of(folder: Path) -> dict[str, dict[str, object]]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return {line["metric"]: line for line in lines}


def options(root: Path, **more: object) -> DataOptions:
    return DataOptions(name="image_folder", root=str(root), **more)  # type: ignore[arg-type]


def test_a_perfect_predictor_scores_one_though_the_orders_differ(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, {"cafe": perfect})
    data = options(folder_of_faces(tmp_path / "set"))
    result = evaluate("cafe", data=data, output=str(tmp_path / "out"), bootstrap=50, batch_size=7)["expression"]
    lines = lines_of(tmp_path / "out")
    for name in (
        "accuracy",
        "balanced_accuracy",
        "f1_macro",
        "f1_weighted",
        "kappa",
        "recall/anger",
        "precision/anger",
    ):
        assert lines[name]["value"] == 1.0
    assert lines["majority_accuracy"]["value"] == pytest.approx(16 / 40)
    assert result.predictions.confusion.tolist() == np.diag([16, 12, 8, 4]).tolist()
    assert "There are none." in (tmp_path / "out/report.html").read_text()


def test_a_constant_predictor_scores_the_majority_and_its_undefined_metrics_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, {"cafe": constant})
    evaluate("cafe", data=options(folder_of_faces(tmp_path / "set")), output=str(tmp_path / "out"), bootstrap=50)
    lines = lines_of(tmp_path / "out")
    assert lines["accuracy"]["value"] == lines["majority_accuracy"]["value"] == pytest.approx(0.4)
    assert lines["balanced_accuracy"]["value"] == pytest.approx(1 / 4)
    assert lines["kappa"]["value"] == pytest.approx(0)
    assert lines["precision/anger"]["value"] is None
    assert "anger was never predicted" in str(lines["precision/anger"]["note"])
    assert lines["f1/anger"]["value"] == 0
    text = (tmp_path / "out/report.html").read_text()
    assert "not clearly better than always giving one answer" in text
    assert "undefined" in text


def test_a_random_predictor_is_near_chance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    install(monkeypatch, {"cafe": lambda images: rng.normal(size=(len(images), 4))})
    data = options(folder_of_faces(tmp_path / "set"))
    result = evaluate("cafe", data=data, output=str(tmp_path / "out"), bootstrap=500)["expression"]
    accuracy, kappa = result.scores[0], result.scores[4]
    assert accuracy.low is not None and accuracy.high is not None and accuracy.low <= 0.25 <= accuracy.high
    assert kappa.low is not None and kappa.high is not None and kappa.low <= 0 <= kappa.high


def test_the_folder_holds_exactly_these_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, {"cafe": perfect})
    evaluate("cafe", data=options(folder_of_faces(tmp_path / "set")), output=str(tmp_path / "out"), bootstrap=0)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(FILES)
    rows = list(csv.DictReader((tmp_path / "out/predictions.csv").open()))
    assert list(rows[0]) == ["key", "truth", "predicted", "p_neutral", "p_happiness", "p_sadness", "p_anger"]
    assert (rows[0]["key"], rows[0]["truth"], rows[0]["predicted"]) == ("test/anger/anger_00.png", "anger", "anger")
    assert sum(float(rows[0][f"p_{name}"]) for name in MODEL.classes) == pytest.approx(1)
    parquet = pytest.importorskip("pyarrow.parquet").read_table(tmp_path / "out/predictions.parquet")
    assert parquet.column_names == list(rows[0])
    assert parquet["key"].to_pylist() == [row["key"] for row in rows]
    confusion = (tmp_path / "out/confusion.csv").read_text().splitlines()
    assert confusion[0] == "truth \\ predicted,neutral,happiness,sadness,anger"
    assert confusion[1] == "neutral,16,0,0,0"
    for name in ("confusion.png", "reliability.png"):
        with Image.open(tmp_path / "out" / name) as image:
            assert min(image.size) > 300


def test_every_line_says_what_was_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, {"cafe": perfect}, temperature=1.5)
    evaluate("cafe", data=options(folder_of_faces(tmp_path / "set")), output=str(tmp_path / "out"), bootstrap=50)
    lines = lines_of(tmp_path / "out")
    for line in lines.values():
        assert (line["data"], line["split"], line["weights"]) == ("image_folder", "test", "cafe00000000")
        assert (line["labels"], line["temperature"], line["failures"]) == (MODEL.checksum, 1.5, 0)
        assert re.fullmatch(r"[0-9a-f]{12}", str(line["split_hash"]))
        assert isinstance(line["seconds"], float)
    confidence = np.exp(4 / 1.5) / (np.exp(4 / 1.5) + 3)  # the temperature is in the probabilities
    assert lines["ece@15"]["value"] == pytest.approx(1 - confidence)
    assert lines["recall/anger"]["n"] == 4


def test_broken_pictures_are_counted_and_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    install(monkeypatch, {"cafe": perfect})
    root = folder_of_faces(tmp_path / "set")
    (root / "test/anger/anger_01.png").write_bytes(b"")
    (root / "test/anger/anger_02.png").write_text("not a picture")
    evaluate("cafe", data=options(root), output=str(tmp_path / "out"), bootstrap=50)
    rows = list(csv.DictReader((tmp_path / "out/failures.csv").open()))
    assert [row["key"] for row in rows] == ["test/anger/anger_01.png", "test/anger/anger_02.png"]
    assert "empty" in rows[0]["reason"]
    assert lines_of(tmp_path / "out")["accuracy"]["n"] == 38
    assert lines_of(tmp_path / "out")["accuracy"]["failures"] == 2
    assert "2 pictures could not be read" in capsys.readouterr().out
    assert "2 pictures could not be read" in (tmp_path / "out/report.html").read_text()


def test_classes_without_a_counterpart_are_dropped_and_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, {"cafe": perfect})
    data = options(folder_of_faces(tmp_path / "set", classes=("happy", "boredom", "neutral")))
    (tmp_path / "set/test/happy/happy_00.png").unlink()  # "happy" is a synonym; its pictures have another brightness
    result = evaluate("cafe", data=data, output=str(tmp_path / "out"), bootstrap=50)["expression"]
    assert result.target.dropped == {"boredom": 5}
    assert len(result.predictions) == 16 + 4
    text = (tmp_path / "out/report.html").read_text()
    assert "Left out, because the model has no such class: boredom (5)." in text
    assert "classes without samples left out: sadness, anger" in text


@pytest.mark.parametrize(
    ("provenance", "warning"),
    [
        (
            {"data": "image_folder", "train": {"split": "test", "hash": "other"}},
            "trained on faces of image_folder, split test",
        ),
        ({"data": {"data": "image_folder", "val": {"split": "test"}}}, "selected on faces of image_folder, split test"),
        ({"data": "another", "train": {"split": "test", "hash": "other"}}, ""),
        ({}, ""),
    ],
)
def test_a_set_that_the_model_was_trained_on_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, provenance: dict[str, object], warning: str
) -> None:
    install(monkeypatch, {"cafe": perfect}, provenance=provenance)
    result = evaluate("cafe", data=options(folder_of_faces(tmp_path / "set")), output=str(tmp_path / "o"), bootstrap=0)[
        "expression"
    ]
    assert (warning in result.contamination[0]) if warning else not result.contamination
    assert ("this is no test of new faces" in (tmp_path / "o/report.html").read_text()) == bool(warning)


def test_the_very_faces_of_training_are_recognised_by_hash(tmp_path: Path) -> None:
    """The hash that training stores is over the faces in the model's own class order."""
    root = folder_of_faces(tmp_path / "set")
    target = EvaluationData(options(root), "test").class_target(MODEL)
    stored = Selection(train=target.samples, val=target.samples[:3], names={"train": "elsewhere"}).provenance()
    warnings = provenance_warnings(described(provenance={"data": "image_folder", **stored}), target)
    assert len(warnings) == 1
    assert "trained on these very faces" in warnings[0]


def test_two_models_are_compared_on_the_same_faces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, {"good": perfect, "bad": wrong})
    data = options(folder_of_faces(tmp_path / "set"))
    result = evaluate("good", data=data, output=str(tmp_path / "out"), bootstrap=100, compare="bad")["expression"]
    assert result.comparison is not None
    assert (result.comparison.mcnemar.only_first, result.comparison.mcnemar.only_second) == (40, 0)
    assert result.comparison.agreement == 0
    assert "good is better by 100.0% of the samples" in (tmp_path / "out/report.html").read_text()


def test_faces_are_shown_only_when_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, {"cafe": wrong})
    data = options(folder_of_faces(tmp_path / "set"))
    evaluate("cafe", data=data, output=str(tmp_path / "plain"), bootstrap=0)
    evaluate("cafe", data=data, output=str(tmp_path / "faces"), bootstrap=0, show_faces=True)
    assert "<img" not in (tmp_path / "plain/report.html").read_text()
    assert (tmp_path / "faces/report.html").read_text().count('<img class="face" alt="the face in test/') == 12


def test_refusals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, {"cafe": perfect})
    root = folder_of_faces(tmp_path / "set")
    with pytest.raises(MienError, match="no split 'valid'"):
        evaluate("cafe", data=options(root), split="valid", output=str(tmp_path / "out"))
    with pytest.raises(MienError, match="lies inside the data set"):
        evaluate("cafe", data=options(root), output=str(root / "test/anger/run"))
    (tmp_path / "file").touch()
    with pytest.raises(MienError, match="is a file; a folder is needed"):
        evaluate("cafe", data=options(root), output=str(tmp_path / "file"))
    for path in root.rglob("*.png"):
        path.write_bytes(b"")
    with pytest.raises(MienError, match="None of the 40 pictures could be read"):
        evaluate("cafe", data=options(root), output=str(tmp_path / "out"))
    install(monkeypatch, {"cafe": perfect}, labels=LabelSet("moods", ("calm", "tense")))
    with pytest.raises(MienError, match=r"No class of image_folder .* is one of moods \(calm, tense\)"):
        evaluate("cafe", data=options(root), output=str(tmp_path / "out"))


def test_what_is_not_a_bundle_is_refused_by_message(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    for name, why in (("empty", "a folder without system.json"), ("file", "a file"), ("nowhere", "no such folder")):
        with pytest.raises(MienError, match=f"{name} is not a bundle .{why}.*"):
            networks.open_predictor(str(tmp_path / name))
    (tmp_path / "empty/system.json").write_text(described().to_json())
    with pytest.raises(MienError, match=r"has no model\.onnx, which the onnx runner needs"):
        networks.open_predictor(str(tmp_path / "empty"))


def test_a_torch_bundle_gives_what_its_system_gives(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    import mien
    from mien.systems.bundle import save_bundle

    torch.manual_seed(0)
    system = mien.create_model("poster_v2_small", labels="rafdb").eval()
    save_bundle(tmp_path / "run" / "bundle", system, temperatures={"expression": 1.7})
    network = networks.open_predictor(str(tmp_path / "run"))  # a run folder stands for its bundle
    size = system.picture.size
    images = np.random.default_rng(0).normal(size=(3, 3, size, size)).astype(np.float32)
    with torch.inference_mode():
        expected = system(torch.from_numpy(images))["expression"].numpy()
    np.testing.assert_allclose(network.outputs({"image": images})["expression"], expected, atol=1e-4)
    assert (network.info.temperature("expression"), network.info.labels.name) == (1.7, "rafdb")
    with pytest.raises(MienError, match="--device gpu cannot be used"):
        networks.open_predictor(str(tmp_path / "run"), device="gpu")


def onnx_bundle(folder: Path) -> Path:
    """A real network in a real bundle: the nearest of the four brightnesses, as a linear function of the mean."""
    onnx = pytest.importorskip("onnx")
    make, levels = onnx.helper, np.array([40, 80, 120, 160]) / 255
    weights = np.tile(400 * levels / 3, (3, 1)).astype(np.float32)  # -200 (m - level)^2, without its m^2
    bias = (-200 * levels**2).astype(np.float32)
    graph = make.make_graph(
        [
            make.make_node("ReduceMean", ["image", "axes"], ["mean"], keepdims=0),
            make.make_node("MatMul", ["mean", "weights"], ["product"]),
            make.make_node("Add", ["product", "bias"], ["logits"]),
        ],
        "nearest_level",
        [make.make_tensor_value_info("image", onnx.TensorProto.FLOAT, ["n", 3, 16, 16])],
        [make.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, ["n", 4])],
        [
            onnx.numpy_helper.from_array(values, name)
            for name, values in (("weights", weights), ("bias", bias), ("axes", np.array([2, 3])))
        ],
    )
    folder.mkdir()
    model = make.make_model(graph, opset_imports=[make.make_opsetid("", 18)], ir_version=10)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    info = described(files={"model.onnx": sha256_of(folder / "model.onnx")})
    (folder / "system.json").write_text(info.to_json())
    return folder


def test_an_onnx_bundle_is_measured_without_torch_and_matplotlib(tmp_path: Path) -> None:
    """The whole command, with nothing replaced, as on a light installation."""
    bundle, root = onnx_bundle(tmp_path / "bundle"), folder_of_faces(tmp_path / "set")
    heavy = "torch", "torchvision", "lightning", "matplotlib", "pandas", "pyarrow", "scipy", "sklearn"
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({heavy})); from mien.__main__ import main; "
        f"sys.exit(main(['evaluate', {str(bundle)!r}, '--data.name', 'image_folder', '--data.root', {str(root)!r}, "
        f"'--output', {str(tmp_path / 'out')!r}, '--bootstrap', '50']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "100.0%" in done.stdout
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(FILES)
    assert lines_of(tmp_path / "out")["accuracy"]["value"] == 1.0


def test_an_earlier_report_survives_a_mistake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, {"cafe": perfect})
    data, output = options(folder_of_faces(tmp_path / "set")), str(tmp_path / "out")
    evaluate("cafe", data=data, output=output, bootstrap=0)
    before = (tmp_path / "out/report.html").read_bytes()
    for mistake, message in (({"split": "dev"}, "no split 'dev'"), ({"batch_size": 0}, "must be at least 1; got 0")):
        with pytest.raises(MienError, match=message):
            evaluate("cafe", data=data, output=output, **mistake)  # type: ignore[arg-type]
    assert (tmp_path / "out/report.html").read_bytes() == before
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(FILES)


def test_importing_the_command_reaches_neither_torch_nor_a_runtime() -> None:
    code = (
        "import sys, mien.engine.evaluation.evaluate, mien.engine.evaluation.compare; "
        "print([m for m in ('torch', 'onnxruntime', 'openvino', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
