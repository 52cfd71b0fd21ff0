"""`mien evaluate` on bundles that give values, pictures, or several outputs: one pass, one report, clear refusals."""

import csv
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mien.core.bundle import BundleInfo
from mien.core.errors import MienError
from mien.core.labels import LabelSet
from mien.core.spec import Output, PictureInput, SoundInput
from mien.data.options import DataOptions
from mien.data.readers.manifest import Manifest
from mien.engine.bundles.inputs import prefetch
from mien.engine.bundles.predictor import Predictor
from mien.engine.evaluation import run as engine
from mien.engine.evaluation.compare import compare
from mien.engine.evaluation.evaluate import evaluate
from mien.metrics import affect

SPEC = PictureInput(size=16, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
LABELS = LabelSet("own", ("happiness", "neutral"))
CLASSES, VALUES = Output.classes(LABELS), Output("values", ("valence", "arousal"))
PICTURE, VECTOR = Output("picture"), Output("vector")
COUNT = 12
Function = Callable[[np.ndarray], dict[str, np.ndarray]]


def grey(number: int) -> int:
    return 10 + 20 * number


def true_values(number: int) -> tuple[float, float]:
    """Valence rises with the brightness; arousal is high in the middle."""
    return -1 + 2 * number / (COUNT - 1), 1 - abs(number - 5) / 6


def table_of_faces(root: Path, *, affect_known: bool = True) -> Path:
    """A manifest of flat grey faces, the number in the brightness; the brighter half is happy."""
    root.mkdir()
    rows = []
    for i in range(COUNT):
        Image.new("RGB", (20, 20), (grey(i),) * 3).save(root / f"{i:02d}.png")
        valence, arousal = true_values(i) if affect_known else ("", "")
        rows.append([f"{i:02d}.png", "test", "happiness" if i >= COUNT // 2 else "neutral", valence, arousal])
    with (root / "manifest.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["path", "split", "expression", "valence", "arousal"], *rows])
    return root


def numbers_of(images: np.ndarray) -> np.ndarray:
    shares = images.mean((1, 2, 3)) * 0.25 + 0.5
    return np.round((255 * shares - 10) / 20).astype(int)


def predict(images: np.ndarray, *, shift: float = 0.0) -> dict[str, np.ndarray]:
    """Classes all right; valence off by `shift`; the picture 10 grey levels brighter."""
    numbers = numbers_of(images)
    happy = numbers >= COUNT // 2
    values = np.array([true_values(n) for n in numbers]) + [shift, 0]
    return {
        "expression": np.stack([4.0 * happy, 4.0 * ~happy], axis=1),
        "affect": values,
        "picture": images + np.float32(10 / 255 / 0.25),
        "latent": np.zeros((len(images), 5)),
    }


def install(
    monkeypatch: pytest.MonkeyPatch, functions: Mapping[str, Function], outputs: dict[str, Output]
) -> list[int]:
    """Lets plain functions of the pictures predict; returns the list of batch sizes, which grows with every call."""
    batches: list[int] = []

    def open_predictor(bundle: str, **_: object) -> Predictor:
        files = {"model.safetensors": f"{bundle:0<64}"}
        about = BundleInfo("stand_in", {}, {"image": SPEC}, outputs, files=files)

        def forward(inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
            batches.append(len(inputs["image"]))
            return {name: values for name, values in functions[bundle](inputs["image"]).items() if name in outputs}

        return Predictor(about, "a test", forward)

    monkeypatch.setattr(engine, "open_predictor", open_predictor)
    return batches


def options(root: Path, **more: Any) -> DataOptions:
    return DataOptions(name="manifest", root=str(root), leaks="ignore", **more)


def lines_of(folder: Path) -> dict[str, dict]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return {line["metric"]: line for line in lines}


def files_of(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_two_outputs_give_one_report_from_one_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    outputs = {"expression": CLASSES, "affect": VALUES, "latent": VECTOR}
    batches = install(monkeypatch, {"cafe": lambda images: predict(images, shift=0.2)}, outputs)
    root = table_of_faces(tmp_path / "set")
    opened, make = [], Manifest.__init__
    monkeypatch.setattr(Manifest, "__init__", lambda self, *a, **k: (opened.append(1), make(self, *a, **k))[1])
    found = evaluate("cafe", data=options(root), output=str(tmp_path / "out"), bootstrap=50, batch_size=5)
    assert (list(found), batches, opened) == (["expression", "affect"], [5, 5, 2], [1])
    lines = lines_of(tmp_path / "out")
    assert lines["accuracy"]["value"] == 1 and lines["accuracy"]["output"] == "expression"
    truth = np.array([true_values(i)[0] for i in range(COUNT)])
    assert lines["ccc/valence"]["value"] == pytest.approx(affect.ccc(truth + 0.2, truth))
    assert lines["rmse/valence"]["value"] == pytest.approx(0.2)
    assert (lines["mae/arousal"]["value"], lines["pearson/valence"]["value"]) == pytest.approx((0, 1), abs=1e-9)
    assert lines["rmse/mean"]["value"] == pytest.approx(0.1)
    assert lines["ccc/valence"]["low"] <= lines["ccc/valence"]["value"] <= lines["ccc/valence"]["high"]
    assert (lines["ccc/valence"]["output"], lines["ccc/valence"]["labels"]) == ("affect", "")
    assert files_of(tmp_path / "out") == [
        "affect/circumplex.png", "affect/failures.csv", "affect/scatter_arousal.png", "affect/scatter_valence.png",
        "affect/values.csv", "affect/values.parquet", "expression/confusion.csv", "expression/confusion.png",
        "expression/failures.csv", "expression/predictions.csv", "expression/predictions.parquet",
        "expression/reliability.png", "metrics.jsonl", "report.html",
    ]  # fmt: skip
    text = (tmp_path / "out/report.html").read_text()
    assert "<h2>expression</h2>" in text and "<h2>affect</h2>" in text and "affect: All metrics" in text
    assert text.count("<h2>How to read this</h2>") == 1 and text.count("<h1>") == 1
    printed = capsys.readouterr().out
    assert "ccc/valence" in printed and "accuracy" in printed


def test_metrics_of_one_name_are_distinguished_by_their_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forward(images: np.ndarray) -> dict[str, np.ndarray]:
        found = predict(images)
        return {"face": found["expression"], "voice": -found["expression"], "affect": found["affect"]}

    install(monkeypatch, {"cafe": forward}, {"face": CLASSES, "voice": CLASSES, "affect": VALUES})
    evaluate("cafe", data=options(table_of_faces(tmp_path / "set")), output=str(tmp_path / "out"), bootstrap=0)
    lines = lines_of(tmp_path / "out")
    assert (lines["face/accuracy"]["value"], lines["voice/accuracy"]["value"]) == (1, 0)
    assert "accuracy" not in lines and lines["ccc/valence"]["value"] == pytest.approx(1)


def test_what_these_data_cannot_measure_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    install(monkeypatch, {"cafe": predict}, {"expression": CLASSES, "affect": VALUES})
    root = table_of_faces(tmp_path / "set", affect_known=False)
    found = evaluate("cafe", data=options(root), output=str(tmp_path / "out"), bootstrap=0)
    assert list(found) == ["expression"]
    why = "Not measured: affect. manifest, split test, has no valence and arousal"
    assert why in capsys.readouterr().out and why in (tmp_path / "out/report.html").read_text()
    assert "output" not in lines_of(tmp_path / "out")["accuracy"]  # as of a bundle with one output
    assert "predictions.csv" in files_of(tmp_path / "out")
    install(monkeypatch, {"cafe": predict}, {"affect": VALUES})
    with pytest.raises(MienError, match="has no valence and arousal, so nothing can be compared"):
        evaluate("cafe", data=options(root), output=str(tmp_path / "none"))
    install(monkeypatch, {"cafe": predict}, {"affect": Output("values", ("dominance",))})
    with pytest.raises(MienError, match="no labels of 'dominance'"):
        evaluate("cafe", data=options(root), output=str(tmp_path / "none"))


def test_a_face_without_one_of_the_labels_counts_for_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = table_of_faces(tmp_path / "set")
    rows = list(csv.reader((root / "manifest.csv").open()))
    rows[1][3], rows[2][3], rows[2][4] = "", "", ""
    with (root / "manifest.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    install(monkeypatch, {"cafe": predict}, {"affect": VALUES})
    found = evaluate("cafe", data=options(root), output=str(tmp_path / "out"), bootstrap=0)["affect"]
    lines = lines_of(tmp_path / "out")
    counts = [lines[f"ccc/{name}"]["n"] for name in ("valence", "arousal", "mean")]
    assert (counts, found.target.unlabelled) == ([COUNT - 2, COUNT - 1, COUNT - 2], 1)
    first = next(csv.DictReader((tmp_path / "out/values.csv").open()))
    assert first["true_valence"] == "" and float(first["true_arousal"]) == pytest.approx(true_values(0)[1], abs=1e-5)
    assert "Left out: 1 faces without a label." in (tmp_path / "out/report.html").read_text()


def test_a_reconstruction_is_measured_against_the_prepared_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, {"cafe": predict}, {"picture": PICTURE, "latent": VECTOR})
    root = table_of_faces(tmp_path / "set")
    (root / "03.png").write_bytes(b"")
    found = evaluate("cafe", data=options(root), output=str(tmp_path / "out"), bootstrap=50, batch_size=4)["picture"]
    lines = lines_of(tmp_path / "out")
    assert lines["abs_error"]["value"] == pytest.approx(10, abs=1e-3)
    assert lines["psnr"]["value"] == pytest.approx(20 * np.log10(25.5), abs=1e-3)
    assert 0.9 < lines["ssim@7"]["value"] < 1
    assert (lines["abs_error"]["n"], lines["abs_error"]["failures"]) == (COUNT - 1, 1)
    assert found.failures[0][0] == "03.png"
    assert files_of(tmp_path / "out") == [
        "failures.csv", "metrics.jsonl", "pictures.csv", "pictures.parquet", "report.html",
    ]  # fmt: skip
    install(monkeypatch, {"cafe": lambda images: {"picture": images[..., ::2]}}, {"picture": PICTURE})
    with pytest.raises(MienError, match=r"cafe gives picture of \(3, 16, 8\), not of \(3, 16, 16\)"):
        evaluate("cafe", data=options(root), output=str(tmp_path / "half"))


def test_two_bundles_are_compared_output_by_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In memory as by the tables of two evaluations."""
    rng = np.random.default_rng(0)

    def noisy(images: np.ndarray) -> dict[str, np.ndarray]:
        found = predict(images, shift=0.4)
        return found | {"picture": images + rng.normal(0.4, 0.1, images.shape).astype(np.float32)}

    functions = {"good": lambda images: predict(images, shift=0.1), "bad": noisy}
    install(monkeypatch, functions, {"expression": CLASSES, "affect": VALUES, "picture": PICTURE})
    root = table_of_faces(tmp_path / "set")
    found = evaluate("bad", data=options(root), output=str(tmp_path / "both"), bootstrap=50, compare="good")
    affects, picture = found["affect"].comparison, found["picture"].comparison
    assert [d.name for d in affects.differences] == ["ccc/valence", "ccc/arousal", "rmse/valence", "rmse/arousal"]
    assert affects.differences[2].value == pytest.approx(-0.3)
    assert affects.differences[0].interval.low > 0 and affects.verdict.startswith("good is better")
    assert picture.differences[0].name == "abs_error" and picture.verdict.startswith("good is better")
    assert found["expression"].comparison.mcnemar.p_value == 1
    text = (tmp_path / "both/report.html").read_text()
    assert "good is better: ccc/valence differs by" in text
    for name in functions:
        evaluate(name, data=options(root), output=str(tmp_path / name), bootstrap=0)
    again = compare(str(tmp_path / "bad"), str(tmp_path / "good"), bootstrap=50)
    assert list(again) == ["affect", "expression", "picture"]
    for one, other in zip(again["affect"].differences, affects.differences, strict=True):
        assert one.value == pytest.approx(other.value, abs=1e-4)
    assert again["picture"].differences[0].n == COUNT
    one_table = compare(str(tmp_path / "bad/affect/values.csv"), str(tmp_path / "good/affect"), bootstrap=50)
    assert one_table[""].differences == again["affect"].differences
    with pytest.raises(MienError, match="have no output in common"):
        compare(str(tmp_path / "bad/affect"), str(tmp_path / "good/picture"))


def test_two_bundles_without_a_common_output_do_not_compare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def open_predictor(bundle: str, **_: object) -> Predictor:
        outputs = {"expression": CLASSES} if bundle == "one" else {"affect": VALUES}
        return Predictor(BundleInfo("stand_in", {}, {"image": SPEC}, outputs), "a test", lambda inputs: {})

    monkeypatch.setattr(engine, "open_predictor", open_predictor)
    with pytest.raises(MienError, match="compare on one task; one gives classes, two gives values"):
        evaluate(
            "one", data=options(table_of_faces(tmp_path / "set")), output=str(tmp_path / "out"), compare="two"
        )  # fmt: skip


def test_outputs_that_only_one_bundle_has_are_measured_and_not_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The classes of one have no published order and another name; being the only ones they are compared."""

    def open_predictor(bundle: str, **_: object) -> Predictor:
        both = {"expression": Output("classes", LABELS.classes), "affect": VALUES}
        outputs = both if bundle == "both" else {"mood": CLASSES}

        def forward(inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
            found = predict(inputs["image"])
            return {"mood": found["expression"]} | found

        return Predictor(BundleInfo("stand_in", {}, {"image": SPEC}, outputs), "a test", forward)

    monkeypatch.setattr(engine, "open_predictor", open_predictor)
    data, output = options(table_of_faces(tmp_path / "set")), str(tmp_path / "out")
    found = evaluate("both", data=data, output=output, compare="classes", bootstrap=20)
    assert found["expression"].comparison.agreement == 1
    assert found["affect"].comparison is None
    assert "Not compared: affect. classes has no such output of these data." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"sampler": "imbalanced"}, r"data\.sampler is for training and has"),
        ({"augment": {"flip": 0.5}, "drop_last": True}, r"data\.augment, data\.drop_last are for training and have"),
        ({"train_split": "all"}, r"data\.train_split is for training and has"),
        ({"batch_size": 8}, r"data\.batch_size is for training and has"),
    ],
)
def test_options_without_effect_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], named: str
) -> None:
    install(monkeypatch, {"cafe": predict}, {"expression": CLASSES})
    with pytest.raises(MienError, match=named + r" no effect on an evaluation\. It takes data\.name, data\.root"):
        evaluate("cafe", data=options(table_of_faces(tmp_path / "set"), **given), output=str(tmp_path / "out"))


def test_the_test_split_of_the_data_options_is_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, {"cafe": predict}, {"expression": CLASSES})
    root = table_of_faces(tmp_path / "set")
    text = (root / "manifest.csv").read_text()
    (root / "manifest.csv").write_text(text.replace(",test,", ",train,", 4))
    found = evaluate("cafe", data=options(root, test_split="train"), output=str(tmp_path / "out"), bootstrap=0)
    assert (found["expression"].target.split, len(found["expression"].target.samples)) == ("train", 4)
    found = evaluate("cafe", data=options(root), split="test", output=str(tmp_path / "out"), bootstrap=0)
    assert len(found["expression"].target.samples) == COUNT - 4


def test_the_crop_source_of_the_data_applies_to_classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, {"cafe": predict}, {"expression": CLASSES})
    root = table_of_faces(tmp_path / "set")
    with pytest.raises(MienError, match=r"data\.crop_source: landmarks needs points of every face"):
        evaluate("cafe", data=options(root, crop_source="landmarks"), output=str(tmp_path / "out"))


def test_an_output_cannot_name_a_folder_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forward(images: np.ndarray) -> dict[str, np.ndarray]:
        found = predict(images)
        return {"../other": found["expression"], "affect": found["affect"]}

    install(monkeypatch, {"cafe": forward}, {"../other": CLASSES, "affect": VALUES})
    with pytest.raises(MienError, match=r"an output named '\.\./other'"):
        evaluate("cafe", data=options(table_of_faces(tmp_path / "set")), output=str(tmp_path / "out"), bootstrap=0)
    assert not (tmp_path / "other").exists()


def test_inputs_that_the_faces_lack_are_refused_before_any_face_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(inputs: Any) -> Any:
        raise AssertionError("a face was read")

    info = BundleInfo("listener", {}, {"image": SPEC, "voice": SoundInput()}, {"affect": VALUES})
    predictor = Predictor(info, "a test", never)
    monkeypatch.setattr("mien.engine.evaluation.run.open_predictor", lambda *names, **options: predictor)
    with pytest.raises(MienError, match=r"The network takes .voice., and .* has none"):
        evaluate("cafe", data=options(table_of_faces(tmp_path / "set")), output=str(tmp_path / "out"))


def test_a_network_of_several_inputs_gets_them_by_name_in_its_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = pytest.importorskip("torch")
    from mien.engine.bundles.predictor import open_predictor

    class Weighted(torch.nn.Module):
        input_names = ("render", "image")
        info = BundleInfo("weighted", {}, {"image": SPEC, "render": SPEC}, {"affect": VALUES})

        def for_inference(self) -> "Weighted":
            return self

        def forward(self, render: Any, image: Any) -> dict[str, Any]:
            return {"affect": torch.stack([2 * render.mean((1, 2, 3)), image.mean((1, 2, 3))], dim=1)}

    (tmp_path / "system.json").write_text(Weighted.info.to_json())
    (tmp_path / "model.safetensors").write_bytes(b"")
    monkeypatch.setattr("mien.systems.bundle.load", lambda folder: Weighted())
    images = np.ones((2, 3, 16, 16), np.float32)
    found = open_predictor(str(tmp_path), device="cpu").outputs({"image": 3 * images, "render": images})
    np.testing.assert_array_equal(found["affect"], [[2, 3], [2, 3]])
    assert found["affect"].dtype == np.float64


def test_the_next_batch_is_prepared_meanwhile_and_failures_come_with_their_reason() -> None:
    def prepare(number: int) -> int:
        if number == 3:
            raise MienError("three is broken.")
        return 10 * number

    batches = list(prefetch([*range(5)], prepare, batch_size=2))
    assert batches == [[(0, 0), (1, 10)], [(2, 20), (3, "three is broken.")], [(4, 40)]]
    assert list(prefetch([], prepare, batch_size=2)) == []
