"""IFER: the classifier starts from an ASIT's encoder, reads both codes, and learns; released files become systems."""

import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")

import mien  # noqa: E402
from mien.core.errors import MienError  # noqa: E402
from mien.nn.inversion.names import asit_names, classifier_names  # noqa: E402
from mien.nn.stylegan2.names import generator_to_official  # noqa: E402
from mien.systems.ifer import official  # noqa: E402

sys.path.insert(0, str(Path(__file__).parents[1]))
from ifer_stages import ENCODER, GENERATOR, faces, stage_of  # noqa: E402

SMALL = {**GENERATOR, **ENCODER}


def test_it_takes_over_the_encoder_and_trains_all_of_it():
    stage = stage_of("ifer_small", "expression", **SMALL)
    asit = mien.create_model("asit_small", **SMALL, feature_side=16)
    stage.initialize("inversion", asit)
    own = stage.system.encoder.state_dict()
    assert all(torch.equal(value, own[name]) for name, value in asit.inversion.encoder.state_dict().items()
               if not name.startswith("feature_convs."))  # fmt: skip
    stage.loss_terms(faces())["cross_entropy"].backward()
    assert {n for n, p in stage.system.named_parameters() if p.grad is None or not p.requires_grad} == {
        n
        for n, _ in stage.system.named_parameters()
        if ".query." in n  # their readers are the second blocks
    }
    with pytest.raises(MienError, match=r"--system\.options\.width 12"):
        stage.initialize("inversion", mien.create_model("asit_small", **{**SMALL, "width": 12}))


def test_faces_are_learned_by_heart():
    stage = stage_of("ifer_small", "expression", **SMALL)
    for group in stage._optimizers()[0].param_groups:
        group["lr_scale"] *= 300
    stage.steps_per_epoch, stage.position.step = 10, 200  # past the warm-up
    batch = faces(4)
    for _ in range(30):
        stage.training_step(batch, 0)
    with torch.no_grad():
        logits = stage.predict(stage.system.eval(), batch)["logits"]
    assert (logits.argmax(1) == batch.expression.numpy()).all()


def test_both_codes_are_read_and_attention_begins_as_the_mean():
    torch.manual_seed(0)
    mean = mien.create_model("ifer_small", **SMALL).eval()
    attention = mien.create_model("ifer_small", pooling="attention", **SMALL).eval()
    attention.load_state_dict(mean.state_dict(), strict=False)
    image = faces(2).image
    with torch.no_grad():
        before = mean(image)["expression"]
        torch.testing.assert_close(attention(image)["expression"], before)
        encoded = mean.encoder(image)
        other_codes = mean.head(encoded.codes.flip(0), encoded.structure)
        other_structure = mean.head(encoded.codes, encoded.structure.flip(0))
    assert not torch.allclose(other_codes, before) and not torch.allclose(other_structure, before)


def test_classes_of_another_ifer_go_over_by_name():
    stage = stage_of("ifer_small", "expression", labels="rafdb", **SMALL)
    other = mien.create_model("ifer_small", labels="ferplus", **SMALL)
    stage.initialize("inversion", other)
    ours, theirs = stage.system.labels.classes, other.labels.classes
    row = stage.system.head.head.weight[ours.index("happiness")]
    assert torch.equal(row, other.head.head.weight[theirs.index("happiness")])


def released(network, names, prefix):
    own = network.state_dict()
    return {prefix + theirs: own[ours].clone() for ours, theirs in names.items()}


def test_released_files_become_the_three_systems(tmp_path):
    torch.manual_seed(0)
    wide = {"size": 256, "style": 16, "mapping_layers": 2, "most_channels": 32}
    options = {**wide, "width": 8, "depths": (1, 1, 1, 1), "heads": (1, 1, 1, 1), "head_width": 32, "drop_path": 0.0}
    path, image = tmp_path / "best_model.pt", faces(1, side=256).image

    generator = mien.create_model("stylegan2", **wide).eval()
    weights = generator_to_official(generator.generator)
    found, _ = official.convert({path: {"g_ema": weights, "latent_avg": torch.ones(16)}}, official.ConvertOptions())
    z = torch.randn(1, 16)
    with torch.no_grad():
        torch.testing.assert_close(found(z)["picture"], generator(z)["picture"])
    assert (found.generator.latent_avg == 1).all()

    assert official.recognise({"g_ema": weights}) and not official.recognise({"conv.weight": torch.zeros(1)})
    with pytest.raises(MienError, match="leave --labels out"):
        official.convert({path: {"g_ema": weights}}, official.ConvertOptions(labels="rafdb"))

    asit = mien.create_model("asit", **options, legacy=True).eval()
    held = released(asit.inversion.encoder, asit_names(asit.inversion.encoder), "encoder.")
    held |= {f"decoder.{name}": value for name, value in generator_to_official(asit.inversion.generator).items()}
    held_file = {"state_dict": held, "latent_avg": torch.zeros(14, 16), "opts": {"start_from_latent_avg": True}}
    again, _ = official.convert({path: held_file}, official.ConvertOptions())
    with torch.no_grad():
        wanted, got = asit(image), again(image)
    assert all(torch.equal(wanted[name], got[name]) for name in wanted)
    assert official.convert({path: held_file}, official.ConvertOptions(generator=True))[0].name == "stylegan2"

    ifer = mien.create_model("ifer", **options, legacy=True).eval()
    ifer.encoder.feature_convs = asit.inversion.encoder.feature_convs  # the files have them
    held = released(ifer.encoder, asit_names(ifer.encoder), "feature_model.")
    held |= released(ifer.head, classifier_names(ifer.head), "")
    again, report = official.convert({path: held}, official.ConvertOptions(labels="rafdb"))
    with torch.no_grad():
        torch.testing.assert_close(again(image)["expression"], ifer(image)["expression"])
    assert again.labels.name == "rafdb" and "7 classes" in report[0]
