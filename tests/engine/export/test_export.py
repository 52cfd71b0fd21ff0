"""Export: the ONNX file answers as the network does, or it is not written."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.core.errors import MienError
from mien.core.spec import Output
from mien.data.options import DataOptions
from shape_checks import unchecked

torch = pytest.importorskip("torch")
pytest.importorskip("onnxscript")

from mien import create_model  # noqa: E402
from mien.engine.export import command as module  # noqa: E402
from mien.engine.export import onnx_network  # noqa: E402
from mien.engine.export.command import export  # noqa: E402
from mien.engine.export.int8 import calibration_faces  # noqa: E402
from mien.runtime.runner import Runner  # noqa: E402
from mien.systems.bundle import load, save_bundle  # noqa: E402
from small_systems import CAN  # noqa: E402

TINY = {
    "input_size": 32, "trunk_size": 32, "widths": (8, 16, 24), "depths": (1, 1, 1), "stem": 8, "head_dim": 8,
    "landmark_widths": (8, 16, 16), "landmark_features": 16, "landmark_depths": (1, 1, 1), "token_width": 16,
    "vit_heads": 2, "vit_depth": 1,
}  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a bundle, and its network as it was exported once."""
    folder = tmp_path_factory.mktemp("made")
    torch.manual_seed(0)
    system = create_model("can_face_expression", labels="ferplus", **CAN)  # the quickest to export
    with torch.no_grad():
        for tensor in system.state_dict().values():
            if tensor.is_floating_point():
                tensor.add_(0.2 * torch.rand_like(tensor))
    save_bundle(folder / "bundle", system, card="# a card\n")
    onnx_network.write_onnx(system.eval(), folder / "model.onnx")
    return folder


@pytest.fixture
def bundle(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Exporting it takes no time: the graph is there already."""
    monkeypatch.setattr(onnx_network, "write_onnx", lambda system, path: shutil.copy(made / "model.onnx", path))
    return shutil.copytree(made / "bundle", tmp_path / "bundle")


def test_the_exported_network_gives_what_the_bundle_gives(bundle: Path) -> None:
    output = export(str(bundle))
    assert "MB, every output within" in output and "the same class on 100%" in output
    x = np.random.default_rng(0).normal(0, 1, (5, 3, 32, 32)).astype(np.float32)
    with torch.inference_mode():
        wanted = load(bundle)(torch.from_numpy(x))["expression"].numpy()
    for backend in ("onnxruntime", "openvino"):
        if backend == "openvino":
            pytest.importorskip("openvino")
        run = Runner(bundle, backend=backend, precision="fp32", threads=1)
        np.testing.assert_allclose(run(x), wanted, atol=1e-4 * np.abs(wanted).max())
        np.testing.assert_allclose(run(x[:1]), wanted[:1], atol=1e-4 * np.abs(wanted).max())


def test_a_bundle_for_reading_only_names_what_lies_in_it(bundle: Path, tmp_path: Path) -> None:
    export(str(bundle), output=str(tmp_path / "light"))
    assert sorted(path.name for path in (tmp_path / "light").iterdir()) == ["README.md", "model.onnx", "system.json"]
    described = json.loads((tmp_path / "light" / "system.json").read_text())
    assert list(described["files"]) == ["model.onnx"]
    assert described["provenance"]["exported_from"] == load(bundle).info.model_id
    assert not (bundle / "model.onnx").exists()
    assert Runner(tmp_path / "light").info.outputs == load(bundle).outputs


def test_a_network_that_differs_is_not_written(bundle: Path) -> None:
    before = (bundle / "system.json").read_text()
    with pytest.raises(MienError, match=r"differs from the original: \w+ by .* Nothing was written"):
        export(str(bundle), tolerance=-1.0)
    assert not (bundle / "model.onnx").exists() and (bundle / "system.json").read_text() == before
    assert sorted(path.name for path in bundle.iterdir()) == ["README.md", "model.safetensors", "system.json"]


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> DataOptions:
    """56 smooth pictures in two classes."""
    root, rng = tmp_path_factory.mktemp("faces"), np.random.default_rng(0)
    for number in range(56):
        (root / "train" / ("happiness", "sadness")[number % 2]).mkdir(parents=True, exist_ok=True)
        picture = Image.fromarray(rng.integers(0, 255, (5, 5, 3), dtype=np.uint8)).resize((32, 32))
        picture.save(root / "train" / ("happiness", "sadness")[number % 2] / f"{number}.png")
    return DataOptions("image_folder", root=str(root))


def test_a_network_in_integers_reads_nearly_the_same(bundle: Path, faces: DataOptions, tmp_path: Path) -> None:
    output = export(str(bundle), int8=True, output=str(tmp_path / "small"), data=faces)
    assert re.search(r"the same class on [\d.]+% of 24 other faces", output)
    card = (tmp_path / "small" / "README.md").read_text()
    assert card.startswith(
        "# a card\n\n**Computed in 8-bit integers, ranges from 32 faces of image_folder, split train. "
    )
    assert not (bundle / "model.onnx").exists()
    whole, small = bundle_of_model(bundle, tmp_path), tmp_path / "small"
    assert (small / "model.onnx").stat().st_size < 0.5 * (whole / "model.onnx").stat().st_size
    x = calibration_faces(load(bundle).info, faces, "train")[1][0]["image"]
    wanted = Runner(whole, backend="onnxruntime", threads=1)(x)
    for backend in ("onnxruntime", "openvino"):
        if backend == "openvino":
            pytest.importorskip("openvino")
        run = Runner(small, backend=backend, precision="fp32", threads=1)
        got = run(x)
        assert 0 < np.abs(got - wanted).max() < 0.15 * np.abs(wanted).max()
        np.testing.assert_array_equal(run(x[:1]), got[:1])
    assert run.info.provenance["int8"].startswith("8-bit integers")
    assert run.info.provenance["exported_from"] == load(bundle).info.model_id


def bundle_of_model(bundle: Path, folder: Path) -> Path:
    export(str(bundle), output=str(folder / "whole"))
    return folder / "whole"


def test_integers_that_differ_too_much_and_too_few_faces_are_refused(
    bundle: Path, faces: DataOptions, tmp_path: Path
) -> None:
    output = str(tmp_path / "small")
    few = tmp_path / "few" / "train" / "happiness"
    shutil.copytree(Path(faces.root) / "train" / "happiness", few)
    for options, reason in (
        ({"data": faces, "tolerance": 1e-6}, r"differs from the original: \w+ by .* \(accepted: 1e-06\)"),
        ({"data": faces, "tolerance": 0.0}, r"\(accepted: 0\)"),
        ({"data": replace(faces, root=str(tmp_path / "few"))}, r"has 28 readable faces; --int8 needs 32"),
        ({"data": replace(faces, root=str(tmp_path / "absent"))}, "no folder"),
        ({"data": faces, "half": True}, "name one of them"),
        ({"data": faces, "split": "nights"}, "nights"),
        ({}, "Name a data set"),
    ):
        with pytest.raises(MienError, match=reason):
            export(str(bundle), int8=True, output=output, **options)
        assert not Path(output).exists()
    with pytest.raises(MienError, match="name a folder for it"):
        export(str(bundle), int8=True, data=faces)
    with pytest.raises(MienError, match="Add --int8"):
        export(str(bundle), data=faces)


def test_mistakes_are_one_line(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MienError, match="Did you mean 'onnx'"), unchecked():
        export(str(bundle), to="onx")  # type: ignore[arg-type]
    with pytest.raises(MienError, match="is not a bundle"):
        export(str(tmp_path / "absent"))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("x")
    with pytest.raises(MienError, match="is there and is not a bundle"):
        export(str(bundle), output=str(tmp_path / "full"))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MienError, match=r"Export needs onnx, .*pip install"):
        module._needs_onnx()


def test_a_network_of_points_keeps_all_its_outputs(tmp_path: Path) -> None:
    torch.manual_seed(0)
    options = {name: value for name, value in TINY.items() if name != "landmark_depths"}
    system = create_model("poster_v2_landmarks_small", **options, landmark_depths=(1, 1, 1))
    forward = type(system).forward

    class Described(type(system)):  # type: ignore[misc]
        """Gives more of its points than the stream alone does."""

        def forward(self, image):
            points = forward(self, image)["landmarks"]
            return {"landmarks": points, "sigma": points.std(2) + 0.01, "depth": points[..., 0] - points[..., 1]}

    system.__class__ = Described
    system.outputs |= {name: Output.per_point("landmarks", 68, unit="crop sides") for name in ("sigma", "depth")}
    info = save_bundle(tmp_path / "bundle", system)
    onnx_network.write_onnx(system.eval(), tmp_path / "bundle" / "model.onnx")
    found = onnx_network.compare(system, tmp_path / "bundle" / "model.onnx")
    assert found.kind == "points" and found.difference < 1e-5 and found.same == 1.0
    module._describe(info, tmp_path / "bundle", tmp_path / "bundle")
    images = np.random.default_rng(0).normal(0, 1, (5, 3, 32, 32)).astype(np.float32)
    with torch.inference_mode():
        wanted = {name: value.numpy() for name, value in system(torch.from_numpy(images)).items()}
    for backend in ("onnxruntime", "openvino"):
        if backend == "openvino":
            pytest.importorskip("openvino")
        run = Runner(tmp_path / "bundle", backend=backend, threads=1)
        assert run.main == "landmarks" and set(run.names) == set(wanted) and run.precision == "fp32"
        for some in (images, images[:2]):
            got = run.outputs(some)
            for name, values in wanted.items():
                np.testing.assert_allclose(got[name], values[: len(some)], atol=1e-4)
        np.testing.assert_array_equal(run(images), run.outputs(images)["landmarks"])
        assert run.outputs(images[:0])["sigma"].shape == (0, 68)
