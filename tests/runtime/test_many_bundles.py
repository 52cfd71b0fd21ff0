"""Bundles that read together: faces are found once, each network gets its own crop, each output its own columns."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper, save
from tiny_bundle import write_tiny_bundle
from tiny_points import frontal_face, write_point_bundle

from mien import Analyzer
from mien.core.bundle import BundleInfo
from mien.core.decode import probabilities
from mien.core.errors import MienError
from mien.core.geometry import crop_of_box
from mien.core.labels import LabelSet, label_set
from mien.core.spec import Output, PictureInput, SoundInput
from mien.media.crop import normalise, prepare
from mien.runtime.faces import FaceFinder
from mien.runtime.landmarks import Landmarker
from mien.runtime.runner import Runner

COLOURS = LabelSet("landmarks_of_nobody", ("red", "blue"))  # a name that says something else than the outputs do


def write_many(folder: Path, outputs: dict[str, Output], lengths: dict[str, int], *, inputs=None) -> Path:
    """A network whose outputs are linear in the mean colour of its picture, of the lengths given."""
    folder.mkdir(parents=True, exist_ok=True)
    rng, stored, nodes, infos = np.random.default_rng(5), [], [], []
    nodes.append(helper.make_node("ReduceMean", ["image"], ["mean"], axes=[2, 3], keepdims=0))
    for name, length in lengths.items():
        stored.append(numpy_helper.from_array(rng.normal(0, 3, (3, length)).astype(np.float32), f"{name}_weights"))
        nodes.append(helper.make_node("MatMul", ["mean", f"{name}_weights"], [name]))
        infos.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", length]))
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, 32, 32])
    graph = helper.make_graph(nodes, "many", [image], infos, stored)
    path = folder / "model.onnx"
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), str(path))
    files = {"model.onnx": hashlib.sha256(path.read_bytes()).hexdigest()}
    inputs = inputs or {"image": PictureInput(size=32, box_scale=1.7, color="grey")}
    info = BundleInfo("many", {}, inputs, outputs, temperatures={"colour": 2.0}, files=files)
    (folder / "system.json").write_text(info.to_json(), encoding="utf-8")
    return folder


OUTPUTS = {
    "affect": Output("values", ("valence", "arousal"), range=(-1, 1)),
    "colour": Output.classes(COLOURS),
    "codes": Output("vector"),
}


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_many(tmp_path_factory.mktemp("many"), OUTPUTS, {"affect": 2, "colour": 2, "codes": 5})


@pytest.fixture(scope="module")
def dots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_point_bundle(tmp_path_factory.mktemp("dots"), {"landmarks": frontal_face()[:, :2]})


def analyzer_of(*bundles: Path, **options) -> Analyzer:
    return Analyzer(list(bundles), backend="onnxruntime", threads=1, **options)


def test_each_network_reads_its_own_crop_as_if_it_were_alone(
    tiny_bundle: Path, many: Path, dots: Path, astronaut: np.ndarray
) -> None:
    together = analyzer_of(tiny_bundle, many, dots, arrays=True).read(astronaut)[0]
    for bundle in (tiny_bundle, many):
        run = Runner(bundle, backend="onnxruntime", threads=1)
        spec = run.info.picture
        outputs = run.outputs(normalise(prepare(astronaut, crop_of_box(together.box, spec), spec)[None], spec))
        for name, output in run.info.outputs.items():
            found = outputs[name][0]
            if output.kind == "vector":
                np.testing.assert_array_equal(together.arrays[name], found)
                continue
            if output.kind == "classes":
                found = probabilities(found, temperature=run.info.temperature(name))
            assert together.outputs[name] == dict(zip(output.names, found.tolist(), strict=True))
    alone = Landmarker(dots, backend="onnxruntime", threads=1).read(astronaut, together.box)
    np.testing.assert_array_equal(together.points.landmarks_px, alone.landmarks_px)
    assert together.expression == max(together.probabilities, key=together.probabilities.get)
    assert together.probabilities == together.outputs["expression"] and together.model.count("@") == 3


def test_faces_are_found_once(
    tiny_bundle: Path, many: Path, dots: Path, astronaut: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, find = [], FaceFinder.find
    monkeypatch.setattr(FaceFinder, "find", lambda self, task: found.append(task) or find(self, task))
    analyzer = analyzer_of(tiny_bundle, many, dots)
    analyzer.read(astronaut)
    assert len(found) == 1 and "codes" not in [output.name for output in analyzer.outputs]


def test_the_first_classes_are_the_expression_whatever_they_are_called(many: Path, astronaut: np.ndarray) -> None:
    (reading,) = analyzer_of(many, landmarks=False).read(astronaut)
    assert reading.expression in COLOURS.classes and reading.points is None
    names = [column.name for column in analyzer_of(many, landmarks=False).columns.columns]
    assert names[11:16] == ["valence", "arousal", "expression", "prob_red", "prob_blue"]


def test_two_models_of_one_kind_stand_side_by_side(tmp_path: Path, tiny_bundle: Path, astronaut: np.ndarray) -> None:
    other = write_tiny_bundle(tmp_path / "b", seed=7, labels=label_set("fer2013"), size=48)
    analyzer = analyzer_of(tiny_bundle, other)
    (reading,) = analyzer.read(astronaut)
    (alone,) = analyzer_of(other).read(astronaut)
    assert list(reading.outputs) == ["expression", "expression_2"]
    assert reading.outputs["expression_2"] == alone.probabilities
    row = analyzer.columns.row(reading)
    assert row["expression_2"] == alone.expression and row["prob_expression_2_anger"] == alone.probabilities["anger"]


def test_points_alone_are_read(dots: Path, astronaut: np.ndarray) -> None:
    analyzer = analyzer_of(dots)
    (reading,) = analyzer.read(astronaut)
    assert reading.success and reading.points is not None and reading.expression is None and reading.outputs == {}
    names = [column.name for column in analyzer.columns.columns]
    assert "x_0" in names and "expression" not in names


def test_bundles_that_cannot_be_read_with_are_refused_in_one_line(
    tmp_path: Path, tiny_bundle: Path, many: Path, dots: Path
) -> None:
    picture, lengths = {"image": PictureInput(size=32)}, {"affect": 2}
    affect = {"affect": OUTPUTS["affect"]}
    voice = write_many(tmp_path / "v", affect, lengths, inputs=picture | {"voice": SoundInput()})
    render = write_many(tmp_path / "r", affect, lengths, inputs=picture | {"render": PictureInput(size=32)})
    vector = write_many(tmp_path / "c", {"codes": Output("vector")}, {"codes": 5})
    heard = write_many(tmp_path / "h", affect, lengths, inputs={"voice": SoundInput()})
    both = write_many(tmp_path / "b", affect, lengths, inputs=picture | {"voice": SoundInput(), "sound": SoundInput()})
    for bundles, reason in (
        ([heard], "takes voice; a photograph gives one picture, and a video its sound as 'voice' beside it"),
        ([tiny_bundle, both], "takes image and voice and sound; a photograph gives"),
        ([render], "takes image and render; a photograph gives one picture"),
        ([vector], "gives codes: no classes, values or points"),
        ([tiny_bundle, tiny_bundle], "is named twice"),
        ([dots, write_point_bundle(tmp_path / "d", {"landmarks": np.full((5, 2), 0.5)})], "reads them already"),
        ([], "No bundle"),
    ):
        with pytest.raises(MienError, match=reason) as caught:
            analyzer_of(*bundles)
        assert "\n" not in str(caught.value)
    with pytest.raises(MienError, match="takes image and voice; points are read from the picture alone"):
        Landmarker(voice)
    assert analyzer_of(vector, arrays=True).outputs[0].name == "codes"


def test_a_bundle_may_be_repeated_on_the_command_line(
    tmp_path: Path, tiny_bundle: Path, many: Path, astronaut: np.ndarray, capsys: pytest.CaptureFixture
) -> None:
    from PIL import Image

    from mien.__main__ import main
    from mien.media.tables import read_rows

    Image.fromarray(astronaut).save(tmp_path / "a.png")
    args = [
        "analyze",
        str(tmp_path / "a.png"),
        "--output",
        str(tmp_path / "o"),
        "--no-overlay",
        "--landmarks",
        "no",
    ]
    assert main([*args, "--bundle", str(tiny_bundle), f"--bundle={many}", "--backend", "onnxruntime"]) == 0
    (row,) = read_rows(tmp_path / "o" / "readings.csv")
    assert {"prob_happiness", "valence", "colour", "prob_colour_red"} <= set(row) and float(row["arousal"]) is not None
    assert "tiny@" in capsys.readouterr().out and row["model"].count("@") == 2
