"""StyleGAN2: its operations by hand, what a size implies, half precision, compilation, export, and training terms."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from mien.core.errors import MienError
from mien.nn.losses.adversarial import fooling_loss, real_or_fake_loss
from mien.nn.stylegan2 import modulation
from mien.nn.stylegan2.discriminator import Discriminator, InversionDiscriminator, minibatch_deviation
from mien.nn.stylegan2.generator import Generator, channels_at, mixed, style_count
from mien.nn.stylegan2.modulation import ModulatedConv
from mien.nn.stylegan2.names import generator_to_official, load_generator
from mien.nn.stylegan2.ops import upfirdn2d
from mien.nn.stylegan2.training import (
    PathLength,
    average_decay,
    path_lengths,
    r1_penalty,
    track_latent_avg,
    training_codes,
)
from mien.nn.stylegan2.winograd import winograd_conv, winograd_weights
from shape_checks import unchecked

TINY = {"size": 16, "style": 8, "mapping_layers": 2, "most_channels": 8}


def tiny(**options):
    """A generator in which noise and biases matter."""
    torch.manual_seed(0)
    net = Generator(**TINY | options).eval()
    with torch.no_grad():
        for name, p in net.named_parameters():
            if name.endswith(("noise_strength", "bias")):
                p.add_(0.1 * torch.randn_like(p))
    return net


def test_filter_by_hand():
    # A single pixel spread by 2: the kernel itself; flipped nowhere, since a convolution puts it down as it is.
    kernel = torch.arange(1.0, 10).view(3, 3)
    y = upfirdn2d(torch.tensor([[[[2.0]]]]), kernel, up=2, pad=(2, 1))
    assert torch.equal(y[0, 0], 2 * kernel)
    assert torch.equal(upfirdn2d(torch.ones(1, 1, 3, 3), kernel)[0, 0], torch.tensor([[45.0]]))


@pytest.mark.parametrize("up", [False, True])
def test_modulation_is_its_definition(up):
    """For each sample its own weights, normalised, in a convolution of its own."""
    torch.manual_seed(0)
    conv, x, style = ModulatedConv(4, 3, 3, style=5, up=up), torch.randn(2, 4, 6, 6), torch.randn(2, 5)
    want = []
    for one, s in zip(x, conv.affine(style), strict=True):
        weight = conv.weight / math.sqrt(4 * 9) * s[None, :, None, None]
        weight = weight / (weight.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()
        want.append(conv.convolve(one[None], weight))
    torch.testing.assert_close(conv(x, style), torch.cat(want))
    torch.testing.assert_close(conv(x[:1], style[:1]), want[0])


@torch.no_grad()
def test_winograd_is_the_convolution():
    torch.manual_seed(0)
    x, weight = torch.randn(2, 7, 8, 12), torch.randn(5, 7, 3, 3)
    want = torch.nn.functional.conv2d(x.double(), weight.double(), padding=1)
    got = winograd_conv(x, winograd_weights(weight))
    assert (got - want).abs().max() <= 3e-5 * want.abs().max()


@torch.no_grad()
@pytest.mark.parametrize("batch", [1, 3])
def test_for_inference_gives_the_same(batch, monkeypatch):
    """In all forms: Winograd's, filters in parts from 128 pixels on, scales in the weights of a single sample."""
    monkeypatch.setattr(modulation, "WINOGRAD_CHANNELS", 8)
    net = tiny(size=256, most_channels=8)
    lean = net.for_inference()
    assert sum(m.winograd is not None for m in lean.modules() if isinstance(m, ModulatedConv)) == 2
    codes = net.codes(torch.randn(batch, 8))
    with torch.enable_grad():
        want = net(codes.clone()).image.detach()
    for form in (net, lean):
        got = form(codes).image
        assert (got - want).abs().max() <= 2e-5 * want.abs().max()
    with torch.autocast("cpu", torch.bfloat16):
        assert (lean(codes).image - want).abs().max() < 0.03 * want.abs().max()
    assert net.state_dict().keys() == lean.state_dict().keys()


def test_what_a_size_implies():
    assert [style_count(size) for size in (64, 128, 256, 512, 1024)] == [10, 12, 14, 16, 18]
    assert [channels_at(side) for side in (4, 32, 64, 128, 256, 512, 1024)] == [512, 512, 512, 256, 128, 64, 32]
    assert [channels_at(side, channel_multiplier=1) for side in (32, 64, 1024)] == [512, 256, 16]
    with pytest.raises(MienError, match="8 to 1024 pixels, powers of two; got 100"):
        Generator(size=100)
    with pytest.raises(MienError, match="16 pixels takes 6 codes; got 18, which is for 1024 pixels"):
        tiny()(torch.zeros(1, 18, 8))


@pytest.mark.parametrize(("size", "count"), [(64, 27_032_600), (256, 30_034_338), (1024, 30_370_060)])
def test_published_parameter_counts(size, count):
    with torch.device("meta"):
        assert sum(p.numel() for p in Generator(size=size).parameters()) == count


@torch.no_grad()
def test_structure_code_noise_truncation_and_mixing():
    net = tiny()
    codes = net.codes(torch.randn(2, 8))
    same = net(codes, structure=net.constant.expand(2, -1, -1, -1)).image
    torch.testing.assert_close(net(codes).image, same)
    assert not torch.allclose(net(codes, structure=torch.randn(2, 8, 4, 4)).image, same)
    random = torch.Generator().manual_seed(1)
    assert not torch.allclose(net(codes, noise=net.random_noise(2, generator=random)).image, same)
    net.latent_avg.copy_(net.estimate_latent_avg(samples=2000))
    assert torch.equal(net.codes(torch.randn(1, 8), truncation=0)[0, 3], net.latent_avg)
    assert torch.equal(mixed(codes, codes.flip(0), at=2)[0], torch.cat((codes[0, :2], codes[1, 2:])))


@torch.no_grad()
def test_estimated_mean_code_is_the_mean_and_repeats():
    net = tiny()
    mean = net.estimate_latent_avg(samples=20_000)
    assert torch.equal(mean, net.estimate_latent_avg(samples=20_000))
    w = net.mapping(torch.randn(20_000, 8, generator=torch.Generator().manual_seed(7)))
    assert ((mean - w.mean(0)).abs() < 6 * w.std(0) * (2 / 20_000) ** 0.5).all()


@torch.no_grad()
def test_half_precision_and_channels_last():
    net = tiny()
    codes = net.codes(torch.randn(3, 8))
    want = net(codes).image
    torch.testing.assert_close(net.to(memory_format=torch.channels_last)(codes).image, want, rtol=1e-5, atol=1e-5)
    with torch.autocast("cpu", torch.bfloat16):
        half = net(codes).image.float()
    assert 0 < (half - want).abs().max() < 0.03 * want.abs().max()
    net.to(torch.bfloat16)
    assert (net(codes.bfloat16()).image.float() - want).abs().max() < 0.05 * want.abs().max()


@torch.no_grad()
def test_compiles_in_one_graph():
    net = tiny(size=8)
    codes = net.codes(torch.randn(2, 8)).contiguous()
    with unchecked():
        compiled = torch.compile(net, fullgraph=True, backend="aot_eager")
        torch.testing.assert_close(compiled(codes).image, net(codes).image, rtol=1e-4, atol=1e-5)


class Pictures(nn.Module):
    def __init__(self, generator):
        super().__init__()
        self.generator = generator

    def forward(self, codes):
        return self.generator(codes).image


@torch.no_grad()
def test_exports_to_onnx(tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    net = tiny(size=8)
    codes = net.codes(torch.randn(3, 8)).contiguous()
    with unchecked():
        torch.onnx.export(
            Pictures(net).eval(), (codes,), tmp_path / "g.onnx", dynamo=True, verbose=False,
            dynamic_shapes=({0: torch.export.Dim("batch", min=2)},), external_data=False,
        )  # fmt: skip
    session = onnxruntime.InferenceSession(tmp_path / "g.onnx", providers=["CPUExecutionProvider"])
    for batch in (1, 3):
        (got,) = session.run(None, {session.get_inputs()[0].name: codes[:batch].numpy()})
        np.testing.assert_allclose(got, net(codes[:batch]).image.numpy(), rtol=1e-4, atol=1e-4)


def test_deviation_by_hand():
    x = torch.tensor([1.0, 5.0]).view(2, 1, 1, 1)  # mean 3, deviation 2
    assert minibatch_deviation(x)[:, 1].flatten().tolist() == [2, 2]
    six = torch.tensor([1.0, 1, 1, 5, 1, 1]).view(6, 1, 1, 1)  # groups of three: places 0, 2, 4 and 1, 3, 5
    found = minibatch_deviation(six)[:, 1].flatten().tolist()
    assert found == pytest.approx([1e-4, 2 * 8**0.5 / 3 * 1.0] * 3, abs=1e-6)  # of 1, 5, 1: root of 32 / 9


def test_inversion_discriminator_moves_its_key_when_asked():
    torch.manual_seed(0)
    a, b = torch.randn(2, 2, 3, 8, 8).requires_grad_()
    net, legacy = (InversionDiscriminator(legacy=flag, size=8, outputs=4, most_channels=4) for flag in (False, True))
    for one in (net, legacy):
        with torch.no_grad():
            one.query.linear.weight.add_(1)
    before, old = net(a, b), net.key.linear.weight.clone()
    assert before.shape == (2, 1) and before.abs().max() <= 1
    assert torch.equal(net(a, b), before) and torch.equal(net.key.linear.weight, old)
    net.move_key()
    torch.testing.assert_close(net.key.linear.weight, old + 0.001)
    start = legacy.key.linear.weight.clone()
    legacy.eval()(a, b)
    torch.testing.assert_close(legacy.key.linear.weight, start + 0.001)
    before.sum().backward()
    assert net.query.linear.weight.grad.abs().sum() > 0 and net.key.linear.weight.grad is None


def test_r1_by_hand():
    # logit = sum of 3x: the gradient is 3 at each of 12 numbers; 10 / 2 * 9 * 12.
    assert r1_penalty(lambda x: 3 * x.sum((1, 2, 3)), torch.randn(5, 3, 2, 2)).item() == pytest.approx(540)


def test_path_length_by_hand():
    # picture = 2 * first code at every pixel: J^T y = 2 * sum of y / 2 pixels a side; two codes of width 1.
    codes = torch.randn(3, 2, 1, requires_grad=True)
    image = 2 * codes[:, :1, :, None].expand(3, 3, 2, 2)
    y = torch.randn(3, 3, 2, 2)
    want = (2 * y.sum((1, 2, 3)) / 2).abs() / math.sqrt(2)
    torch.testing.assert_close(path_lengths(image, codes, y), want)
    penalty = PathLength()
    torch.manual_seed(0)
    value = penalty(image, codes)
    torch.manual_seed(0)
    lengths = path_lengths(image, codes, torch.randn(3, 3, 2, 2))
    torch.testing.assert_close(penalty.mean, 0.01 * lengths.mean().detach())
    torch.testing.assert_close(value, 2 * (lengths - 0.01 * lengths.mean()).square().mean())


def test_average_and_mixing():
    assert average_decay(100, half_life=100) == 0.5 and average_decay(50, half_life=100) ** 2 == pytest.approx(0.5)
    net = tiny()
    codes = training_codes(net, 2, mixing=1.0, random=torch.Generator().manual_seed(0))
    assert torch.equal(codes, training_codes(net, 2, mixing=1.0, random=torch.Generator().manual_seed(0)))
    changes = (codes[0].diff(dim=0).abs().sum(1) > 0).sum()
    assert changes == 1
    assert (training_codes(net, 2, mixing=0.0).diff(dim=1) == 0).all()
    track_latent_avg(net, codes, decay=0.5)
    torch.testing.assert_close(net.latent_avg, codes[:, 0].mean(0).detach() / 2)


def test_a_tiny_gan_learns_a_colour():
    """Pictures are all of one colour: after some steps the generator's are near it."""
    torch.manual_seed(0)
    net, critic = Generator(**TINY | {"size": 8}), Discriminator(size=8, most_channels=16)
    steps = [torch.optim.Adam(n.parameters(), lr=1e-2, betas=(0.0, 0.99)) for n in (net, critic)]
    real = torch.tensor([0.7, -0.4, 0.1]).view(1, 3, 1, 1).expand(8, 3, 8, 8)
    penalty = PathLength()

    def fake(codes):
        return net(codes, noise=net.random_noise(8)).image

    def off():
        with torch.no_grad():
            return (fake(training_codes(net, 8)).mean((0, 2, 3)) - real[0, :, 0, 0]).abs().mean().item()

    before = off()
    for i in range(60):
        loss = real_or_fake_loss(critic(real), critic(fake(training_codes(net, 8)).detach()))
        loss = loss + (16 * r1_penalty(critic, real, weight=0.1) if i % 16 == 0 else 0)
        steps[1].zero_grad()
        loss.backward()
        steps[1].step()
        codes = training_codes(net, 8)
        image = fake(codes)
        loss = fooling_loss(critic(image)) + (4 * penalty(image, codes) if i % 4 == 0 else 0)
        steps[0].zero_grad()
        loss.backward()
        steps[0].step()
    assert off() < 0.3 * before
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.mapping.parameters())


def test_wrong_files_are_refused_in_one_line():
    net = tiny()
    weights = generator_to_official(net)
    load_generator(tiny(), weights)
    with pytest.raises(MienError, match=r"weights of 16 pixels; this generator makes 32"):
        load_generator(tiny(size=32), weights)
    with pytest.raises(MienError, match="channels differ"):
        load_generator(tiny(most_channels=4), weights)
    with pytest.raises(MienError, match="Not a StyleGAN2 generator"):
        load_generator(net, {"encoder.weight": torch.zeros(1)})
    del weights["convs.1.noise.weight"]
    with pytest.raises(MienError, match=r"missing: .*blocks.0.conv.noise_strength"):
        load_generator(net, weights)
