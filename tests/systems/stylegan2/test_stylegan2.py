"""StyleGAN2's stage: each network learns by its own objective, regularisation is lazy, augmentation is steered."""

import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")

import mien  # noqa: E402
from mien.core.errors import MienError  # noqa: E402
from mien.core.spec import VectorInput  # noqa: E402
from mien.nn.stylegan2.augment import AdaptiveAugment  # noqa: E402
from mien.nn.stylegan2.discriminator import minibatch_deviation  # noqa: E402
from mien.systems.ifer.generation import numbered_z, to_pixels  # noqa: E402

sys.path.insert(0, str(Path(__file__).parents[1]))
from ifer_stages import GENERATOR, changed, copied, faces, stage_of  # noqa: E402

SMALL = {**GENERATOR, "size": 16}


def test_each_objective_moves_its_own_network_and_regularisation_is_lazy():
    stage = stage_of("stylegan2_small", "generator", options={"path_every": 2, "r1_every": 2}, **SMALL)
    batch, seen = faces(side=16), []
    discriminator, generator = copied(stage.discriminator), copied(stage.system)
    for _ in range(2):
        stage.losses.start_epoch()
        stage.training_step(batch, 0)
        seen.append(set(stage.losses.means()))
    assert seen[0] - seen[1] == {"r1", "path_length"}
    assert set(discriminator) == changed(discriminator, stage.discriminator)
    moved = changed(generator, stage.system)
    assert {"generator.constant", "generator.latent_avg"} <= moved
    assert not any(name.startswith("generator.noise_") for name in moved)
    assert {name for name, _ in stage.system.named_parameters()} <= moved
    assert stage.path.mean > 0


def test_the_discriminator_learns_to_tell_drawn_from_real():
    stage = stage_of("stylegan2_small", "generator", options={"augment": False, "r1": 0, "path_length": 0}, **SMALL)
    batch = faces(side=16)
    optimizers = stage._optimizers()[:1]
    stage._objectives = stage._objectives[:1]
    stage.__dict__["_optimizers"] = lambda: optimizers
    values = []
    for _ in range(60):
        stage.training_step(batch, 0)
        values.append(stage.losses.latest_values()["discriminator"])
    assert min(values[-10:]) < 0.7 * values[0]


def test_the_picture_of_a_number_is_always_the_same_and_truncation_moves_it_to_the_mean():
    system = mien.create_model("stylegan2_small", **SMALL).eval()
    assert isinstance(system.inputs["z"], VectorInput) and list(system.data_inputs) == ["image"]
    first, again = numbered_z(torch.tensor([3, 5]), 8), numbered_z(torch.tensor([5]), 8)
    assert torch.equal(first[1:], again) and not torch.equal(first[0], first[1])
    with torch.no_grad():
        system.generator.latent_avg.copy_(system.generator.estimate_latent_avg(samples=100))
        pictures = [system(first, truncation=psi)["picture"] for psi in (1.0, 0.5, 0.0)]
        mean = system.generator(system.generator.latent_avg.expand(1, 6, 8)).image
    apart = [float((picture - mean).abs().mean()) for picture in pictures]
    assert apart[0] > apart[1] > apart[2] and apart[2] < 1e-5


def test_validation_scores_a_generator_of_the_same_pictures_best():
    stage = stage_of("stylegan2_small", "generator", **SMALL)
    rng = np.random.default_rng(0)
    real = np.repeat(np.repeat(rng.integers(0, 255, (12, 4, 4, 3)), 4, 1), 4, 2).astype(np.uint8)
    same = stage.validate({"generated": real, "real": real}, [])
    noise = stage.validate({"generated": rng.integers(0, 255, real.shape).astype(np.uint8), "real": real}, [])
    assert same == {"swd": 0, "swd_16": 0} and noise["swd"] > 50
    with torch.no_grad():
        stage.predictions = stage.predict(stage.system.eval(), faces(side=16))
    sheet = stage.sheet()
    assert sheet.shape == (18, 8 * 18, 3) and sheet.dtype == np.uint8
    assert to_pixels(torch.tensor([-1.5, -1, 0, 1]).view(1, 1, 2, 2)).flatten().tolist() == [0, 0, 128, 255]


def test_augmentation_is_steered_by_the_sign_and_does_nothing_at_0():
    augment, image = AdaptiveAugment(target=0.6, pictures=100), faces(8).image
    torch.testing.assert_close(augment(image), image, atol=1e-5, rtol=0)
    for _ in range(50):
        augment.observe(torch.ones(8, 1))
    assert augment.p == 1  # 400 pictures whose sign is above the target
    torch.manual_seed(0)
    altered = augment(image)
    assert all(not torch.allclose(a, b, atol=1e-3) for a, b in zip(altered, image, strict=True))
    for _ in range(60):
        augment.observe(-torch.ones(8, 1))
    assert augment.p < 0.3
    picture = image.clone().requires_grad_()
    augment(picture).sum().backward()
    assert picture.grad.abs().sum() > 0


def test_a_batch_that_groups_of_four_do_not_divide_has_smaller_groups():
    maps = torch.randn(6, 2, 3, 3)
    whole = minibatch_deviation(maps)
    pairs = maps.unflatten(0, (3, 2))
    wanted = (pairs.var(0, unbiased=False) + 1e-8).sqrt().mean((1, 2, 3))
    torch.testing.assert_close(whole[:2, 2, 0, 0], wanted)
    assert minibatch_deviation(maps[:1])[:, 2].max() < 1e-3


@pytest.mark.parametrize(("option", "value", "rule"), [("size", 48, "one of 16, 32"), ("style", 0, "at least 1")])
def test_a_size_that_no_stylegan2_has_is_refused(option, value, rule):
    with pytest.raises(MienError, match=f"stylegan2: {option} must be {rule}"):
        mien.create_model("stylegan2", **{option: value})
