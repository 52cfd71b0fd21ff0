"""Released files of DDAMFN and If3D through `mien weights convert`, and what a training takes over from a bundle."""

import json
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")
import mien  # noqa: E402
from mien.__main__ import main  # noqa: E402
from mien.core.errors import MienError  # noqa: E402
from mien.systems.if3d import official_names  # noqa: E402
from mien.systems.if3d.stages import Expression  # noqa: E402
from mien.systems.optim import OptimOptions  # noqa: E402
from mien.systems.stage import StepOptions  # noqa: E402
from small_systems import IF3D, batch_of  # noqa: E402

sys.path.insert(0, str(Path(__file__).parents[2] / "parity"))
from case import Case  # noqa: E402


def info(bundle: Path) -> dict:
    return json.loads((bundle / "system.json").read_text(encoding="utf-8"))


def test_a_classifier_becomes_a_bundle_with_the_released_behaviour(tmp_path: Path) -> None:
    weights = Case("if3d", "ddam").weights()
    torch.save({"iter": 3, "model_state_dict": weights, "optimizer_state_dict": {}}, tmp_path / "affecnet8sota.pth")
    words = ["weights", "convert", str(tmp_path / "affecnet8sota.pth"), "--system", "ddamfn", "--labels", "affectnet8"]
    assert main([*words, "--output", str(tmp_path / "bundle")]) == 0
    config = info(tmp_path / "bundle")["config"]
    assert (config["legacy"], config["heads"], config["affect"]) == (True, 2, False)
    assert mien.load(tmp_path / "bundle").labels.name == "affectnet8"


def test_the_face_recogniser_begins_a_training_also_where_the_module_was_pickled(tmp_path: Path) -> None:
    class Pickled(torch.nn.Module):
        """As MFN_msceleb.pth: parts with the released names."""

    whole, weights = Pickled(), Case("if3d", "mixed_feature_net").weights()
    for name, value in weights.items():
        *path, leaf = name.split(".")
        inner = whole
        for part in path:
            if part not in inner._modules:
                inner.add_module(part, torch.nn.Module())
            inner = inner._modules[part]
        inner.register_buffer(leaf, value)
    globals()["Pickled"] = Pickled
    Pickled.__qualname__ = "Pickled"
    torch.save(whole, tmp_path / "MFN_msceleb.pth")
    words = ["weights", "convert", str(tmp_path / "MFN_msceleb.pth"), "--system", "if3d"]
    assert main([*words, "--output", str(tmp_path / "bundle")]) == 0
    trunk = mien.load(tmp_path / "bundle").trunk.state_dict()
    assert torch.equal(trunk["conv1.conv.weight"], weights["conv1.conv.weight"])
    assert torch.equal(trunk["stages.2.6.project.conv.weight"], weights["conv_5.model.5.project.conv.weight"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.pop("output.bias"), "output"),
        (lambda w: w.update({"fc9.weight": torch.zeros(1)}), "fc9"),
        (lambda w: w.update({"fc1.weight": torch.zeros(2, 2)}), "classifier.layers.0.0.weight"),
    ],
)
def test_a_name_or_a_shape_that_does_not_fit_is_refused(change, message: str) -> None:
    with torch.device("meta"):
        weights = official_names.to_official(mien.create_model("if3d", fusion="linear", legacy=True, num_classes=8))
    change(weights)
    with pytest.raises(MienError, match=message):
        official_names.converted(weights)


def stage(name: str, *, options: dict | None = None, **changes) -> Expression:
    torch.manual_seed(0)
    system = mien.create_model(name, **IF3D, **changes)
    return Expression(system, options=options or {}, optim=OptimOptions(), step=StepOptions(), epochs=1)


def test_a_fusion_takes_trunk_and_heads_of_a_stream_for_both_of_its_own() -> None:
    torch.manual_seed(5)
    stream = mien.create_model("ddamfn", **IF3D)
    fused = stage("if3d", fusion="gate")
    fused.initialize("network", stream)
    for own in (fused.system.trunk, fused.system.render_trunk):
        assert all(torch.equal(a, b) for a, b in zip(own.parameters(), stream.trunk.parameters(), strict=True))
    with pytest.raises(MienError, match="start the fusion from the stream"):
        stage("ddamfn").initialize("network", fused.system)
    with pytest.raises(MienError, match="other widths or depths"):
        fused.initialize("network", mien.create_model("ddamfn", **{**IF3D, "depths": [2, 1, 1]}))


def test_the_released_losses_pull_heads_together_and_ours_push_them_apart() -> None:
    for legacy in (False, True):
        fused = stage("if3d", options={"legacy": legacy, "affect": 0}, fusion="linear")
        batch = batch_of(fused.system)
        terms = fused.loss_terms(batch)
        maps = fused.system.streams(batch.image, batch.render).attention["image"]
        spread = (maps[0] - maps[1]).square().mean()
        assert (terms["heads"] < 1) == legacy and set(terms) == {"cross_entropy", "heads"} and spread > 0


def test_affect_is_learned_where_it_is_known_only() -> None:
    one = stage("ddamfn")
    batch = batch_of(one.system)
    assert {"affect_mse", "affect_ccc"} <= set(one.loss_terms(batch))
    batch.affect = None
    assert "affect_mse" not in one.loss_terms(batch)
