"""ASIT's stages: the encoder learns through the generator, what is held still stays, the residual begins at nothing."""

import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")

import mien  # noqa: E402
from mien.core.errors import MienError  # noqa: E402
from mien.nn.losses.laplacian import laplacian_loss, laplacian_pyramid  # noqa: E402
from mien.systems.ifer.reconstruction import errors_of  # noqa: E402

sys.path.insert(0, str(Path(__file__).parents[1]))
from ifer_stages import ENCODER, GENERATOR, NO_FILES, changed, copied, faces, stage_of  # noqa: E402

SMALL = {**GENERATOR, **ENCODER, "feature_side": 0}
RESIDUAL = {**GENERATOR, **ENCODER, "feature_side": 16}


def test_by_default_the_encoder_learns_and_the_generator_is_held_still():
    stage = stage_of("asit_small", "inversion", options=NO_FILES, **SMALL)
    before, query = copied(stage.system.inversion), copied(stage.discriminator.query)
    stage.training_step(faces(), 0)
    terms = stage.losses.means()
    assert set(terms) == {"discriminator", "l2", "adversarial", "distribution"}
    moved = changed(before, stage.system.inversion)
    assert "encoder.trunk.stem.weight" in moved and not any(name.startswith("generator.") for name in moved)
    assert changed(query, stage.discriminator.query)


def test_a_gradient_reaches_every_weight_of_the_encoder_and_of_the_residual():
    options = {**NO_FILES, "realism": 0.1, "laplacian": 1.0, "tune_generator": 1.0}
    stage = stage_of("asit_small", "inversion", options=options, **{**RESIDUAL, "depths": (2, 2, 2, 2)})
    torch.nn.init.normal_(stage.system.inversion.residual.last.weight)
    batch = faces()
    torch.stack(list(stage.encoder_terms(batch, stage.shared(batch)).values())).sum().backward()
    without = {name for name, p in stage.system.named_parameters() if p.requires_grad and p.grad is None}
    # mapping: held still; constant: the structure code takes its place
    assert without == {name for name in without if ".mapping." in name or name.endswith(".constant")}
    flat = {name for name, p in stage.system.named_parameters() if p.grad is not None and not p.grad.abs().sum()}
    assert not {name for name in flat if "noise" not in name and "qkv.bias" not in name}


def test_the_published_adversarial_term_has_no_gradient_and_ours_has():
    options = {**NO_FILES, "l2": 0.0, "distribution": 0.0, "adversarial": 1.0}
    for legacy in (False, True):
        stage = stage_of("asit_small", "inversion", options=options, legacy=legacy, **SMALL)
        batch = faces()
        terms = stage.encoder_terms(batch, stage.shared(batch))
        assert terms["adversarial"].requires_grad != legacy


def test_eight_faces_are_learned_by_heart_better_with_the_residual():
    options = {**NO_FILES, "adversarial": 0.0, "distribution": 0.0, "codes_alone": 0.5, "tune_generator": 1.0}
    stage = stage_of("asit_small", "inversion", options=options, **RESIDUAL)
    batch = faces(8)
    for group in stage._optimizers()[0].param_groups:
        group["lr_scale"] *= 30
    first = None
    for _ in range(25):
        stage.training_step(batch, 0)
        first = first or stage.losses.latest_values()["l2"]
    with torch.no_grad():
        found = stage.validate(stage.predict(stage.system.eval(), batch), [])
    assert found["l2"] < 0.5 * first
    assert found["l2"] < found["l2_codes"]


def test_the_residual_begins_at_nothing_and_changes_the_picture_alone():
    torch.manual_seed(0)
    system = mien.create_model("asit_small", **RESIDUAL).eval()
    image = faces(2).image
    with torch.no_grad():
        outputs = system(image)
        encoded = system.encode(image)
        assert torch.equal(outputs["picture"], system.decode(encoded, use_residual=False)[0].image)
        system.inversion.residual.last.weight.normal_()
        again = system(image)
    assert not torch.equal(again["picture"], outputs["picture"])
    assert all(torch.equal(again[name], outputs[name]) for name in ("codes", "structure", "features"))
    numbers = system.config.numbers
    assert (
        {name: outputs[name].shape[1] for name in numbers}
        == numbers
        == {"codes": 80, "structure": 64, "features": 2048}
    )


def test_pictures_are_rebuilt_alike_alone_and_in_a_batch():
    torch.manual_seed(0)
    system = mien.create_model("asit_small", **RESIDUAL).eval()
    image = faces(3).image
    with torch.no_grad():
        for block in system.inversion.encoder.modules():
            if hasattr(block, "gamma1"):
                block.gamma1.fill_(0.3)
        together, alone = system(image), system(image[1:2])
    for name, values in together.items():
        torch.testing.assert_close(values[1:2], alone[name], atol=1e-5, rtol=1e-4)


def test_a_larger_picture_is_read_at_256_pixels():
    tiny = {**SMALL, "size": 512, "most_channels": 2, "channel_multiplier": 0.25}
    system = mien.create_model("asit_small", **tiny).eval()
    with torch.no_grad():
        picture = system(torch.zeros(1, 3, 512, 512))["picture"]
    assert picture.shape == (1, 3, 512, 512) and system.inversion.encoder.trunk.size == 256


def test_the_generator_is_taken_over_with_its_mean_code_and_another_one_is_refused():
    stage = stage_of("asit_small", "inversion", options=NO_FILES, **SMALL)
    generator = mien.create_model("stylegan2_small", **GENERATOR)
    generator.generator.latent_avg.fill_(0.25)
    stage.initialize("generator", generator)
    assert torch.equal(stage.generator.constant, generator.generator.constant)
    assert (stage.system.inversion.latent_avg == 0.25).all() and stage.system.inversion.latent_avg.shape == (10, 8)
    with pytest.raises(MienError, match=r"size 128.*--system\.options\.size 128"):
        stage.initialize("generator", mien.create_model("stylegan2_small", **{**GENERATOR, "size": 128}))
    with pytest.raises(MienError, match="takes a stylegan2 bundle"):
        stage.initialize("generator", stage.system)
    assert "--init.generator" in stage.needs_init("generator")


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({}, "LPIPS loss needs a file"),
        ({"lpips": 0.0}, "identity loss needs a file"),
        ({**NO_FILES, "codes_alone": 1.0}, "has not"),
        ({**NO_FILES, "realism": -1.0}, "realism must be at least 0"),
    ],
)
def test_what_a_loss_lacks_is_said_by_name(options, why):
    with pytest.raises(MienError, match=why):
        stage_of("asit_small", "inversion", options=options, **SMALL)


def test_fine_tuning_goes_on_with_every_weight():
    stage = stage_of("asit_small", "fine_tune", options=NO_FILES, **SMALL)
    torch.manual_seed(7)
    other = mien.create_model("asit_small", **SMALL)
    stage.initialize("inversion", other)
    assert all(torch.equal(a, b) for a, b in zip(stage.system.parameters(), other.parameters(), strict=True))


def test_the_laplacian_term_is_worked_by_hand_and_adds_up():
    image = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    bands = laplacian_pyramid(image)
    assert [band.shape[-1] for band in bands] == [32, 16, 8]
    flat = torch.full_like(image, 0.5)
    assert laplacian_loss(image, image) == 0
    assert laplacian_loss(flat, flat - 0.25).item() == pytest.approx(0.25)  # in the coarsest level alone
    rebuilt = bands[-1]
    for band in bands[-2::-1]:
        rebuilt = band + torch.nn.functional.interpolate(rebuilt, size=band.shape[-2:], mode="bilinear")
    torch.testing.assert_close(rebuilt, image)


def test_errors_are_of_pictures_cut_off_at_the_ends():
    image = torch.full((1, 3, 16, 16), 0.5)
    found = errors_of(image + 0.2, image)
    assert found["l2"].item() == pytest.approx(0.04) and found["psnr"].item() == pytest.approx(20.0, abs=1e-3)
    assert errors_of(image + 9, image)["l2"].item() == pytest.approx(0.25)
