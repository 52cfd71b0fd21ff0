"""Each loss against its paper's formula or another implementation; what the published code got wrong is shown."""

import numpy as np
import pytest
import torch
from torch import nn

from mien.core.errors import MienError
from mien.nn.losses import reconstruction
from mien.nn.losses.adversarial import critic_loss, fooling_loss, generator_loss, gradient_penalty, real_or_fake_loss
from mien.nn.losses.alignment import adaptive_wing, weight_map


def pictures(count: int = 2, side: int = 48, *, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    a = torch.rand(count, 3, side, side, generator=generator)
    return a, (0.7 * a + 0.3 * torch.rand(count, 3, side, side, generator=generator))


@pytest.mark.parametrize("target", [0.0, 0.3, 1.0])
def test_adaptive_wing_is_smooth_at_its_knee_and_as_published_it_jumps(target):
    at = torch.tensor([0.4999, 0.5001], dtype=torch.float64)
    target = torch.full((2,), target, dtype=torch.float64)
    below, above = adaptive_wing(target + at, target)
    assert float(above - below) < 0.01
    below, above = adaptive_wing(target + at, target, legacy=True)
    assert float(above - below) > 2


def test_adaptive_wing_by_its_formula():
    #  14 ln(1 + 0.3 ^ (2.1 - 0.8)) and beyond 0.5 the tangent at 0.5
    y, p = torch.tensor(0.8), 2.1 - 0.8
    assert float(adaptive_wing(y + 0.3, y)) == pytest.approx(14 * np.log1p(0.3**p), rel=1e-5)
    slope = 14 * p * 0.5 ** (p - 1) / (1 + 0.5**p)
    assert float(adaptive_wing(y - 0.7, y)) == pytest.approx(14 * np.log1p(0.5**p) + 0.2 * slope, rel=1e-5)


def test_adaptive_wing_has_finite_gradients_everywhere():
    target = torch.rand(1000, generator=torch.Generator().manual_seed(0))
    for distance in (0.0, 1e-8, 0.5, 3.0, 50.0):
        predicted = (target + distance).requires_grad_()
        adaptive_wing(predicted, target).sum().backward()
        assert torch.isfinite(predicted.grad).all()


def test_the_weight_map_covers_the_point_and_a_pixel_more():
    target = torch.zeros(1, 1, 9, 9)
    target[..., 4, 4] = 0.2
    expected = torch.ones(9, 9)
    expected[3:6, 3:6] = 11
    assert torch.equal(weight_map(target)[0, 0], expected)


def test_structure_is_ssim_without_its_luminance_term():
    metrics = pytest.importorskip("skimage.metrics")
    a, b = pictures()
    # equal means: subtracting them leaves only the contrast-structure term of SSIM
    got = reconstruction.structure(a, a)
    torch.testing.assert_close(got, torch.zeros(2), atol=1e-6, rtol=0)
    _, full = metrics.structural_similarity(
        a[0, 0].numpy(), b[0, 0].numpy(), win_size=31, gaussian_weights=True, sigma=1.5, truncate=10,
        use_sample_covariance=False, data_range=1.0, full=True,
    )  # fmt: skip
    ma, mb = (reconstruction._smoothed(x[:1])[0, 0].numpy() for x in (a, b))
    luminance = (2 * ma * mb + 1e-4) / (ma**2 + mb**2 + 1e-4)
    ours = reconstruction._contrast_structure(a[:1], b[:1], 0.03**2)[0, 0].numpy()
    np.testing.assert_allclose(ours, full[15:-15, 15:-15] / luminance, atol=1e-3)


def test_the_range_is_no_longer_guessed_from_the_first_picture():
    a, b = pictures()
    dark = a.clone()
    dark[0, 0, 0, 0] = -0.6  # as a pixel of red 0 does, once the mean is off
    torch.testing.assert_close(
        reconstruction.structure(b, dark)[1], reconstruction.structure(b, a)[1], rtol=0, atol=1e-7
    )
    published = [reconstruction.structure(b, x, legacy=True)[0] for x in (a, dark)]
    assert abs(float(published[0] - published[1])) > 1e-4
    one_by_one = torch.cat([reconstruction.structure(a[i : i + 1], b[i : i + 1]) for i in range(2)])
    torch.testing.assert_close(reconstruction.structure(a, b), one_by_one)


def vgg(last: int = 8) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    layers = [layer for layer in reconstruction._vgg19_layers()[: last + 1]]
    state = nn.Sequential(*layers).state_dict()
    return {f"features.{k}": 0.05 * torch.randn(v.shape, generator=generator) for k, v in state.items()}


def test_the_perceptual_loss_sees_the_picture_whatever_its_normalisation():
    a, b = pictures(1, 32)
    mean, std = (0.518, 0.418, 0.361), (1.0, 1.0, 1.0)
    plain = reconstruction.Perceptual(vgg(), side=32)
    shifted = reconstruction.Perceptual(vgg(), side=32, mean=mean, std=std)
    offset = torch.tensor(mean).view(3, 1, 1)
    torch.testing.assert_close(shifted(a - offset, b - offset), plain(a, b), rtol=1e-4, atol=1e-8)
    twice = reconstruction.Perceptual(vgg(), side=32, mean=mean, std=std, legacy=True)
    assert abs(float(twice(a - offset, b - offset) / plain(a, b)) - 1) > 1e-3
    assert len(plain.features) == 9 and not any(p.requires_grad for p in plain.parameters())


def test_vgg_has_torchvisions_layers():
    torchvision = pytest.importorskip("torchvision")
    with torch.device("meta"):
        theirs, ours = torchvision.models.vgg19().features, nn.Sequential(*reconstruction._vgg19_layers())
    assert len(theirs) == len(ours) == 37
    assert [(k, v.shape) for k, v in theirs.state_dict().items()] == [
        (k, v.shape) for k, v in ours.state_dict().items()
    ]
    assert [type(a) for a in theirs] == [type(b) for b in ours]


def test_without_weights_the_message_names_the_way_out(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(MienError, match=r"no file .*vgg19-dcbb9e9d.pth. Get it once .* --stage.options.perceptual 0"):
        reconstruction.vgg19_weights()
    with pytest.raises(MienError, match="is missing"):
        reconstruction.Perceptual({k: v for k, v in vgg().items() if k != "features.5.bias"})
    with pytest.raises(MienError, match=r"takes layers 0 to 36 of VGG-19; got \[40\]"):
        reconstruction.Perceptual(vgg(), layers=(40,))
    (tmp_path / "checkpoints").mkdir()
    torch.save(vgg(), tmp_path / "checkpoints" / reconstruction.VGG19_FILE)
    assert reconstruction.vgg19_weights().keys() == vgg().keys()


def test_a_linear_critic_of_unit_slope_has_no_penalty_and_twice_the_slope_ten():
    w = torch.randn(3 * 4 * 4, generator=torch.Generator().manual_seed(0))
    w /= w.norm()
    a, b = pictures(4, 4)
    mixing = torch.rand(4, 1, 1, 1)
    assert float(gradient_penalty(lambda x: x.flatten(1) @ w, a, b, mixing=mixing)) == pytest.approx(0, abs=1e-6)
    assert float(gradient_penalty(lambda x: 2 * x.flatten(1) @ w, a, b, mixing=mixing)) == pytest.approx(10, rel=1e-5)


def test_the_critic_gains_by_telling_apart_and_as_published_hardly():
    real, fake = torch.tensor([3.0, 5.0]), torch.tensor([-1.0, 1.0])
    assert float(critic_loss(real, fake)) == -4 and float(generator_loss(fake)) == 0
    surest = critic_loss(torch.ones(2), torch.zeros(2), legacy=True)
    assert float(surest) == pytest.approx(np.log(2) - np.log1p(np.e), abs=1e-5)


def test_the_first_gans_terms_are_cross_entropies():
    real, fake = torch.tensor([0.3, -1.0]), torch.tensor([0.1, 2.0])
    p, q = real.sigmoid(), fake.sigmoid()
    torch.testing.assert_close(real_or_fake_loss(real, fake), -(p.log().mean() + (1 - q).log().mean()))
    torch.testing.assert_close(fooling_loss(fake), -q.log().mean())


def test_ssim_is_scikit_images():
    metrics = pytest.importorskip("skimage.metrics")
    a, b = pictures(2, 40)
    for ours, x, y in zip(reconstruction.ssim(a, b), a, b, strict=True):
        theirs = metrics.structural_similarity(x.numpy(), y.numpy(), channel_axis=0, data_range=1.0)
        assert float(ours) == pytest.approx(theirs, abs=1e-5)
