"""The linear path of principal components, and the convolutions that begin at nothing beside it."""

import math

import numpy as np
import pytest
import torch

import mien
from mien.core.errors import MienError
from mien.nn.vae_gan.principal import PrincipalPath
from mien.nn.vae_gan.vae_gan import VaeGan
from mien.systems.can.recognition import Context, FaceClassifier
from mien.systems.can.reconstruction import FaceReconstruction
from systems.can.test_stages import batch, changed, stage_of, state_of

PLAIN = {"features": 0.0, "feature_share": 1.0, "pixels": 20.0, "kl": 1e-5}
PRINCIPAL = {"principal": True, "discriminator": False}


def faces(count=40, seed=0):
    """Smooth grey pictures [count, 3, 32, 32] of twelve random waves each."""
    random = torch.Generator().manual_seed(seed)
    waves = torch.randn(12, 1, 8, 8, generator=torch.Generator().manual_seed(9))
    waves = torch.nn.functional.interpolate(waves, size=32, mode="bicubic")
    weights = torch.randn(count, 12, generator=random) * torch.linspace(1, 0.1, 12)
    return (0.5 + 0.05 * torch.einsum("nk,kchw->nchw", weights, waves)).expand(-1, 3, -1, -1)


def fitted(pictures, latent=8):
    path = PrincipalPath(shape=(32, 32), latent=latent)
    path.fit(pictures.split(16))
    return path


def test_it_reconstructs_as_principal_components_do():
    pictures = faces()
    path = fitted(pictures)
    rows = pictures[:, 0].flatten(1).double().numpy()  # of grey pictures the components are those of one channel
    mean = rows.mean(0)
    _, values, axes = np.linalg.svd(rows - mean, full_matrices=False)
    expected = (rows - mean) @ axes[:8].T @ axes[:8] + mean
    found = path.decode(path.encode(pictures))
    for channel in range(3):
        np.testing.assert_allclose(found[:, channel].flatten(1).numpy(), expected, atol=1e-4)
    np.testing.assert_allclose(path.variances.numpy(), 3 * values[:8] ** 2 / len(rows), rtol=1e-3)
    code = path.encode(pictures)
    torch.testing.assert_close(code.T @ code / len(code), torch.eye(8), atol=1e-3, rtol=0)


def test_colour_is_kept_at_a_quarter_of_the_sides():
    path = PrincipalPath(shape=(32, 32), latent=8)
    picture = torch.rand(2, 3, 8, 8).repeat_interleave(4, 2).repeat_interleave(4, 3)
    numbers = path.numbers(picture)
    assert numbers.shape == (2, 32 * 32 + 2 * 8 * 8)
    torch.testing.assert_close(numbers.square().sum(1), picture.square().sum((1, 2, 3)))  # an orthonormal change
    flat = torch.rand(2, 3, 1, 1).expand(-1, -1, 32, 32)
    torch.testing.assert_close(path.picture(path.numbers(flat)), flat)


def test_the_same_pictures_give_the_same_bits_and_few_give_finite_codes():
    one, other = fitted(faces()), fitted(faces())
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in one.state_dict().items())
    few = fitted(faces(3))
    code = few.encode(faces(5, seed=2))
    assert not code[:, 2:].any() and 0 < code.abs().max() < 10


def test_the_variances_are_those_of_the_least_loss():
    path, pixels, kl = fitted(faces()), 20.0, 1e-3
    best = path.log_variance(pixels=pixels, kl=kl).double().exp()

    def loss(variance):
        blurred = pixels * (path.variances.double() * variance) / (3 * 32 * 32)
        return blurred + kl * (variance - variance.log() - 1) / 2

    assert (loss(best) <= loss(best * 1.05)).all() and (loss(best) <= loss(best / 1.05)).all()
    assert path.log_variance(pixels=pixels, kl=0).min() >= math.log(1e-4) - 1e-6


def test_a_run_begins_at_the_components_and_trains_the_rest():
    stage, pictures = stage_of(FaceReconstruction, system_options=PRINCIPAL, lr=1e-3, **PLAIN), faces()
    parts = [batch(8) for _ in pictures.split(8)]
    for part, image in zip(parts, pictures.split(8), strict=True):
        part.image = image
    stage.begin(lambda: parts)
    network, path = stage.system.vae_gan.eval(), fitted(pictures, latent=16)
    code = network.encode(pictures)
    torch.testing.assert_close(code.mean, path.encode(pictures))
    torch.testing.assert_close(network.decode(code.mean), path.decode(path.encode(pictures)))
    torch.testing.assert_close(code.log_variance[0], path.log_variance(pixels=20.0, kl=1e-5))
    before = state_of(stage.train().system.vae_gan)
    stage.training_step(parts[0], 0)
    assert changed(before, stage.system.vae_gan) == {"encoder", "decoder"}


def test_what_came_from_another_run_stays():
    other = mien.create_model("can_face", size=32, width=0.125, latent=16, **PRINCIPAL)
    stage = stage_of(FaceReconstruction, system_options=PRINCIPAL, **PLAIN)
    stage.initialize("network", other)
    before = state_of(stage.system)
    stage.begin(lambda: pytest.fail("reads the faces"))
    assert not changed(before, stage.system)


def test_there_is_none_by_default_and_stages_must_agree():
    assert VaeGan(channels=3, shape=(32, 32), latent=8).principal is None
    with pytest.raises(MienError, match="principal"):
        mien.create_model("can_voice", size=32, principal=True)
    face = mien.create_model("can_face", size=32, width=0.125, latent=16, principal=True)
    for kind in (FaceClassifier, Context):
        with pytest.raises(MienError, match=r"principal True, this network False. Set --system.options.principal True"):
            stage_of(kind).initialize("face", face)
        stage_of(kind, system_options={"principal": True}).initialize("face", face)


@torch.inference_mode()
def test_the_lean_network_keeps_the_path():
    system = mien.create_model("can", size=32, width=0.125, latent=16, principal=True).eval()
    system.face.principal.fit(faces().split(16))
    inputs = (faces(2), torch.rand(2, 1, 32, 32))
    expected, found = system(*inputs), system.for_inference()(*inputs)
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, atol=1e-4, rtol=1e-3)


def test_a_component_is_of_luminance_or_of_colour():
    random = torch.Generator().manual_seed(1)
    red = torch.rand(40, 1, 1, 1, generator=random) * torch.tensor([1.0, -0.5, 0.2])[:, None, None]
    path = fitted(faces() + 0.2 * red)  # colour that varies apart from the waves, which are grey
    luminance, colour = path.components.split((32 * 32, 2 * 8 * 8), 1)
    of_colour = colour.norm(dim=1) > 1e-3
    assert ((luminance.norm(dim=1) > 1e-3) ^ of_colour)[:6].all() and of_colour[:6].any()
    assert path.encode(faces())[:, of_colour].abs().max() < 1e-3  # of grey pictures
