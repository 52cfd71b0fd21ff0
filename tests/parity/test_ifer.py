"""IFER and ASIT give the numbers of the released implementation, from its names and shapes."""

import json
import sys
from pathlib import Path

import pytest
import torch

from mien.nn.losses.distribution import published_distribution_loss
from mien.nn.losses.inversion import code_norm, inversion_loss, same_picture_loss
from mien.nn.losses.lpips import Lpips
from mien.nn.ranger import Ranger
from mien.nn.stylegan2.discriminator import Discriminator, InversionDiscriminator
from mien.nn.stylegan2.generator import Generator, mixed
from mien.nn.stylegan2.names import (
    discriminator_names,
    generator_to_official,
    load_discriminator,
    load_generator,
)
from mien.nn.stylegan2.ops import Blur, fir_kernel, scaled_leaky_relu, upfirdn2d, upsample_2x

sys.path.insert(0, str(Path(__file__).parent))
from case import Case

pytestmark = pytest.mark.usefixtures("device")


def keep(outputs, module, name, pick=None):
    module.register_forward_hook(lambda _, __, out: outputs.__setitem__(name, (pick(out) if pick else out).clone()))


def check_all(case, outputs):
    for name, got in outputs.items():
        case.check(name, got)


def test_ranger():
    case = Case("ifer", "ranger")
    weight, bias = (torch.nn.Parameter(case.input(name)) for name in ("weight", "bias"))
    optimizer, trajectory = Ranger([weight, bias], lr=1e-2), []
    for i in range(20):
        weight.grad, bias.grad = case.input(f"weight_grad{i}"), case.input(f"bias_grad{i}")
        optimizer.step()
        trajectory.append(torch.cat([p.detach().flatten() for p in (weight, bias)]))
    case.check("trajectory", torch.stack(trajectory))


# (up, down, pad, kernel of the network)
SETTINGS = ((1, 1, (2, 1), True), (2, 1, (2, 1), True), (1, 2, (2, 2), True), (1, 1, (1, 1), True),
            (2, 2, (-1, 3), False), (1, 2, (1, 1), True), (3, 2, (4, -2), False))  # fmt: skip


@pytest.mark.parametrize("i", range(7))
def test_filters(i):
    case, (up, down, pad, own) = Case("ifer", "ops"), SETTINGS[i]
    kernel = fir_kernel(gain=up**2) if own else case.input("kernel")
    x = case.input("x").requires_grad_()
    y = upfirdn2d(x, kernel, up=up, down=down, pad=pad)
    case.check(f"y{i}", y)
    (gradient,) = torch.autograd.grad(y.square().sum(), x)
    case.check(f"grad{i}", gradient)


@torch.no_grad()
def test_the_networks_own_filters():
    case = Case("ifer", "ops")
    x = case.input("x")
    case.check("y1", upsample_2x(x))
    case.check("y3", Blur(3, pad=1)(x))
    case.check("y5", Blur(3, pad=1, stride=2)(x))


def test_scaled_leaky_relu():
    case = Case("ifer", "ops")
    x, bias = (case.input(name).requires_grad_() for name in ("x", "bias"))
    y = scaled_leaky_relu(x, bias)
    case.check("lrelu", y)
    by_x, by_bias = torch.autograd.grad(y.square().sum(), (x, bias))
    case.check("lrelu_grad", by_x)
    case.check("lrelu_grad_bias", by_bias)


def small_generator(case):
    net = Generator(size=64).eval()
    report = load_generator(net, case.weights())
    assert report.missing == report.unexpected == ()
    return net


@torch.no_grad()
def test_generator():
    case, outputs = Case("ifer", "stylegan2_generator_64"), {}
    net = small_generator(case)
    z, z2, w_plus = (case.input(name) for name in ("z", "z2", "w_plus"))
    codes = net.codes(z)
    case.check("latent_z", codes)
    case.check("image_z", net(codes).image)
    case.check("image_mixed_at_3", net(mixed(codes, net.codes(z2), at=3)).image)
    case.check("image_truncated_0.7", net(net.codes(z, truncation=0.7, mean=case.input("mean_latent"))).image)
    case.check("image_explicit_noise", net(codes, noise=[case.input(f"noise{i}") for i in range(9)]).image)
    keep(outputs, net.first, "conv1")
    keep(outputs, net.first_rgb, "to_rgb1")
    keep(outputs, net.blocks[0].up, "convs0")
    keep(outputs, net.blocks[0].conv, "convs1")
    keep(outputs, net.blocks[0], "to_rgbs0", lambda out: out[1])
    keep(outputs, net.blocks[2].up, "convs4")
    keep(outputs, net.blocks[3].conv, "convs7")
    outputs["image_w_plus"] = net(w_plus).image
    check_all(case, outputs)


@torch.no_grad()
def test_generator_in_other_forms_of_the_same():
    """One sample at a time, and with gradients on: other branches of the modulated convolution."""
    case = Case("ifer", "stylegan2_generator_64")
    net, w_plus = small_generator(case), case.input("w_plus")
    case.check("image_w_plus", torch.cat([net(w_plus[i : i + 1]).image for i in range(2)]))
    with torch.enable_grad():
        case.check("image_w_plus", net(w_plus).image)
        case.check("image_w_plus", torch.cat([net(w_plus[i : i + 1]).image for i in range(2)]))


def test_generator_there_and_back():
    case = Case("ifer", "stylegan2_generator_64")
    theirs, listed = case.weights(), json.loads((case.folder / "keys.json").read_text())
    back = generator_to_official(small_generator(case))
    assert len(back) == 99 and [name for name in back if name in theirs] == list(listed["keys"])
    assert set(back) - set(theirs) == set(listed["constants"])
    for name, value in theirs.items():
        assert torch.equal(back[name], value), name


@torch.no_grad()
def test_discriminator():
    case, outputs = Case("ifer", "stylegan2_discriminator_64"), {}
    net = Discriminator(size=64).eval()
    load_discriminator(net, case.weights())
    assert set(discriminator_names(net).values()) == set(case.weights())
    for i in (0, 1, 4):
        keep(outputs, net.convs[i], f"convs{i}")
    keep(outputs, net.last_conv, "final_conv")
    case.check("logit", net(case.input("image")))
    check_all(case, outputs)


@pytest.mark.slow
@torch.no_grad()
def test_inversion_discriminator():
    case = Case("ifer", "inversion_discriminator")
    net, weights = InversionDiscriminator(legacy=True).eval(), case.weights()
    for part, prefix in ((net.query, "model_q."), (net.key, "model_k.")):
        load_discriminator(part, {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)})
    outputs, first, second = {}, case.input("first"), case.input("second")
    for call in (1, 2):
        hooks = [
            part.register_forward_hook(lambda _, __, out, name=f"{name}_call{call}": outputs.__setitem__(name, out))
            for part, name in ((net.query, "query"), (net.key, "key"))
        ]
        case.check(f"similarity_call{call}", net(first, second))
        for hook in hooks:
            hook.remove()
    check_all(case, outputs)
    own = net.key.state_dict()
    ours = {f"model_k.{theirs}": own[our] for our, theirs in discriminator_names(net.key).items()}
    case.check("key_weights_sum_after", torch.stack([ours[name].sum() for name in case.meta["tensors"]]))


def test_distribution_loss():
    case = Case("ifer", "losses")
    sides = (64, 32, 16)
    source = [case.input(f"source{side}") for side in sides]
    for i, drawn in enumerate(case.meta["draws"]):
        target = [case.input(f"target{side}").requires_grad_() for side in sides]
        loss = published_distribution_loss(source, target, layers=drawn["layers"], pictures=drawn["images"])
        case.check(f"distribution{i}", loss)
        if f"distribution{i}_grad_abssum" in case.meta["outputs"]:
            found = torch.autograd.grad(loss, target, allow_unused=True)
            sums = [torch.zeros(()) if g is None else g.abs().sum() for g in found]
            case.check(f"distribution{i}_grad_abssum", torch.stack(sums))


def test_adversarial_terms_and_code_norm():
    case = Case("ifer", "losses")
    real, fake, latent = (case.input(name) for name in ("real", "fake", "latent"))
    case.check("discriminator", same_picture_loss(real, fake))
    case.check("generator", inversion_loss(fake))
    case.check("w_norm", code_norm(latent, case.input("latent_avg")))
    case.check("w_norm_plain", code_norm(latent))


@torch.no_grad()
def test_lpips():
    case = Case("ifer", "losses")
    net, picture, other = Lpips(case.weights()), case.input("picture"), case.input("other")
    for i, got in enumerate(net.features_of(picture)):
        case.check(f"lpips_feature{i}", got)
    case.check("lpips_per_layer", net.by_layer(picture, other).mean(0))
    case.check("lpips", net(picture, other).mean())
