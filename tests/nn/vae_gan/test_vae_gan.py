"""Blocks of the VAE-GAN by what they must give: torch's own formulas, maps written out, and memory that is counted."""

import pytest
import torch
from torch import nn
from torch.distributions import Normal, kl_divergence
from torch.utils._python_dispatch import TorchDispatchMode

from mien.core.errors import MienError
from mien.nn.folding import fold_norms
from mien.nn.vae_gan.context_attention import ContextAttention, row_entropy
from mien.nn.vae_gan.gaussian import Gaussian, divergence, divergence_from_prior, product
from mien.nn.vae_gan.vae_gan import VaeGan

LATENT = 24


def code(seed, batch=3):
    random = torch.Generator().manual_seed(seed)
    return Gaussian(*(torch.randn(batch, LATENT, generator=random) for _ in range(2)))


def small(**more):
    torch.manual_seed(0)
    return VaeGan(**({"channels": 3, "shape": (32, 64), "latent": LATENT, "width": 0.125} | more))


class LargestTensor(TorchDispatchMode):
    """The most elements that any operation's result has."""

    most = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for value in result if isinstance(result, tuple | list) else (result,):
            if isinstance(value, torch.Tensor):
                self.most = max(self.most, value.numel())
        return result


def test_attention_is_its_map_times_the_values():
    torch.manual_seed(0)
    attention, content, context = ContextAttention(LATENT), 3 * code(0).mean, 3 * code(1).mean
    with torch.no_grad():
        attention.query.weight.mul_(4)  # far from uniform
    written_out = (attention.map(content, context) @ attention.value(content)[:, :, None])[..., 0]
    torch.testing.assert_close(attention.shift(content, context), written_out)
    half = attention(content, context, strength=0.5)
    torch.testing.assert_close(half, content + 0.5 * written_out)
    parameters = list(attention.parameters())
    found = torch.autograd.grad(attention.shift(content, context).square().sum(), parameters)
    for one, other in zip(found, torch.autograd.grad(written_out.square().sum(), parameters), strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-3)


def test_attention_holds_no_map():
    latent, batch = 256, 8
    attention, content, context = ContextAttention(latent), torch.randn(batch, latent), torch.randn(batch, latent)
    with LargestTensor() as lean:
        attention(content, context).sum().backward()
    with LargestTensor() as whole:
        attention.map(content, context)
    assert whole.most == batch * latent**2 and lean.most <= latent**2  # a weight's gradient


def test_entropy_of_rows():
    attention = ContextAttention(LATENT)
    nn.init.zeros_(attention.query.weight), nn.init.zeros_(attention.query.bias)
    entropy = row_entropy(attention.map(code(0).mean, code(1).mean))
    torch.testing.assert_close(entropy, torch.full((3, LATENT), LATENT).float().log())


def test_divergences_and_samples_are_torchs():
    one, other = code(0), code(1)
    normals = [Normal(mean, (log_variance / 2).exp()) for mean, log_variance in (one, other)]
    torch.testing.assert_close(divergence(one, other), kl_divergence(*normals))
    prior = Normal(torch.zeros(3, LATENT), torch.ones(3, LATENT))
    torch.testing.assert_close(divergence_from_prior(one), kl_divergence(normals[0], prior).sum(1))
    noise = torch.randn(3, LATENT)
    torch.testing.assert_close(one.sample(noise), normals[0].mean + normals[0].stddev * noise)
    torch.manual_seed(5)
    drawn = one.sample()
    torch.manual_seed(5)
    assert torch.equal(drawn, one.sample(torch.randn(3, LATENT)))


def test_the_product_of_densities_is_the_product_of_experts():
    experts = [code(0), code(1)]
    mean, log_variance = product(*experts)
    at = torch.linspace(-2, 2, 5)[:, None, None]
    normals = [
        Normal(m, (v / 2).exp()) for m, v in (*experts, Gaussian(torch.zeros(3, LATENT), torch.zeros(3, LATENT)))
    ]
    difference = sum(n.log_prob(at) for n in normals) - Normal(mean, (log_variance / 2).exp()).log_prob(at)
    torch.testing.assert_close(difference, difference[:1].expand_as(difference), atol=1e-3, rtol=1e-4)  # a constant


def test_shapes_follow_the_input_and_parts_may_be_left_out():
    net, picture = small().eval(), torch.rand(2, 3, 32, 64)
    found = net.encode(picture)
    assert found.mean.shape == found.log_variance.shape == (2, LATENT)
    assert net.decode(found.mean).shape == picture.shape
    looked = net.discriminator(picture)
    assert looked.logits.shape == (2,) and looked.features.shape[-2:] == (8, 16)
    lean = small(decoder=False, discriminator=False)
    assert lean.decoder is None and lean.discriminator is None
    for shape in ((48, 64), (0, 32)):
        with pytest.raises(MienError, match="must be multiples of 32"):
            small(shape=shape)
    with pytest.raises(MienError, match=r"must be in 1\.\.3; got 4"):
        small(level=4)


def test_features_alone_leave_the_same_trace_in_the_norms_they_pass():
    one, other, picture = small().discriminator.train(), small().discriminator.train(), torch.rand(2, 3, 32, 64)
    torch.testing.assert_close(one(picture).features, other.features(picture))
    for place in (0, 1):  # the second stands behind the features
        torch.testing.assert_close(one.norms[place].running_var, other.norms[place].running_var)
        assert int(other.norms[place].num_batches_tracked) == 1
    assert int(other.norms[2].num_batches_tracked) == 0


def test_folded_norms_give_the_same():
    net, picture = small(), torch.rand(4, 3, 32, 64)
    for _ in range(3):
        net.train().decode(net.encode(picture).mean)
    net.eval()
    before = net.decode(net.encode(picture).mean)
    assert fold_norms(net) == 1 + 2 * (5 + 6)
    torch.testing.assert_close(net.decode(net.encode(picture).mean), before, atol=1e-4, rtol=1e-4)


def test_first_weights_are_the_published_ones():
    net = VaeGan(channels=1, shape=(32, 32), latent=LATENT)
    conv = net.encoder.blocks[2].conv1.weight
    bound = (3 * 256 * 9) ** -0.5
    assert conv.abs().max() <= bound and conv.std().item() == pytest.approx(bound / 3**0.5, rel=0.01)
    assert not net.decoder.picture_conv.bias.any() and not net.encoder.mean.bias.any()
