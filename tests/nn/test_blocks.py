"""The named blocks: attention against its formula, the index by hand, folding, and MobileFaceNet on its own."""

import pytest
import torch
from torch import nn

from mien.core.errors import MienError
from mien.nn.attention import CrossAttention, DropPath, TransformerBlock, relative_position_index
from mien.nn.ddamfn import DualDirectionHead, MixedFeatureNet
from mien.nn.face3d.mobilenet import MobileNetV3Minimal
from mien.nn.folding import fold_norms, merge_halvings
from mien.nn.iresnet import IResNet
from mien.nn.mobilefacenet import MobileFaceNet


def scramble(network, seed=0):
    """Makes norms and biases matter: fresh layers would hide a mistake behind ones and zeros."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in network.state_dict().items():
        if name.endswith("running_var"):
            tensor.copy_(0.5 + torch.rand(tensor.shape, generator=generator))
        elif tensor.is_floating_point():
            tensor.add_(0.1 * torch.randn(tensor.shape, generator=generator))
    return network


def test_position_index_by_hand():
    # Two by two positions; the row is (dy + 1) * 3 + (dx + 1).
    assert relative_position_index(2).tolist() == [[4, 3, 1, 0], [5, 4, 2, 1], [7, 6, 4, 3], [8, 7, 5, 4]]


def test_cross_attention_is_its_formula():
    torch.manual_seed(0)
    block = scramble(CrossAttention(8, heads=2, side=3))
    tokens, query = torch.randn(2, 9, 8), torch.randn(2, 9, 8)
    key, value = block.kv(tokens).chunk(2, -1)
    expected = []
    for head in range(2):
        part = slice(4 * head, 4 * head + 4)
        logits = query[..., part] @ key[..., part].mT / 4**0.5 + block.bias_table[relative_position_index(3), head]
        expected.append(logits.softmax(-1) @ value[..., part])
    torch.testing.assert_close(block(tokens, query), block.proj(torch.cat(expected, -1)))


def test_a_frozen_bias_gives_the_same_and_no_longer_follows_the_table():
    block = scramble(CrossAttention(8, heads=2, side=3))
    tokens, query = torch.randn(2, 9, 8), torch.randn(2, 9, 8)
    before = block(tokens, query)
    block.freeze_bias()
    torch.testing.assert_close(block(tokens, query), before)
    with torch.no_grad():
        block.bias_table.mul_(5)
    torch.testing.assert_close(block(tokens, query), before)


def test_the_first_token_alone_equals_the_first_of_all():
    block = scramble(TransformerBlock(12, heads=3, mlp_ratio=2.0))
    x = torch.randn(2, 5, 12, requires_grad=True)
    alone, whole = block(x, first_only=True), block(x)[:, :1]
    torch.testing.assert_close(alone, whole)
    g1, g2 = (torch.autograd.grad(y.square().sum(), x)[0] for y in (alone, whole))
    torch.testing.assert_close(g1, g2)


def test_drop_path_drops_whole_samples_and_keeps_the_mean():
    torch.manual_seed(0)
    drop = DropPath(0.25).train()
    y = drop(torch.ones(4000, 3))
    assert y.unique().tolist() == [0, pytest.approx(4 / 3)]
    assert (y == y[:, :1]).all() and y.mean().item() == pytest.approx(1, abs=0.05)
    assert torch.equal(drop.eval()(torch.ones(5, 3)), torch.ones(5, 3))


@pytest.mark.parametrize(
    ("build", "folded", "left"),
    [
        (IResNet, 24, 21),  # a unit's first norm is in front of its convolution
        (lambda: MobileFaceNet(points=0), 48, 0),
        (lambda: MobileNetV3Minimal("small"), 34, 0),
        (lambda: MixedFeatureNet(size=32, widths=(8, 8, 16), depths=(1, 1, 1), features=16), 21, 0),
        (lambda: DualDirectionHead(8), 3, 0),
    ],
    ids=["iresnet", "mobilefacenet", "mobilenetv3", "mixed features", "dual directions"],
)
def test_folding_changes_nothing_but_speed(build, folded, left):
    torch.manual_seed(0)
    net = scramble(build()).eval()
    x = torch.randn(1, 8, 7, 7) if isinstance(net, DualDirectionHead) else torch.randn(1, 3, 112, 112)
    with torch.no_grad():
        before = net(x)
        count = fold_norms(net)
        for a, b in zip(before, net(x), strict=True):
            torch.testing.assert_close(b, a, rtol=1e-4, atol=1e-4 * a.abs().max().item())
    norms = sum(isinstance(m, nn.BatchNorm2d) for m in net.modules())
    assert (count, norms) == (folded, left)


@pytest.mark.parametrize("side", [4, 12, 28])
def test_two_halvings_are_one(side):
    torch.manual_seed(0)
    first, second = (nn.Conv2d(n, m, 3, stride=2, padding=1) for n, m in ((3, 5), (5, 7)))
    merged, bias = merge_halvings(first, second, side=side)
    x = torch.randn(2, 3, side, side)
    torch.testing.assert_close(merged(x) + bias, second(first(x)), rtol=1e-4, atol=1e-5)


def test_mobilefacenet_alone():
    net = MobileFaceNet(size=48, widths=(24, 48, 64), features=96, depths=(2, 4, 2))
    maps = net.forward_features(torch.randn(2, 3, 48, 48))
    assert [tuple(m.shape[1:]) for m in maps] == [(24, 12, 12), (48, 6, 6), (96, 3, 3)]
    assert net.landmarks(maps[2]).shape == (2, 68, 2)
    net.landmarks(maps[2]).sum().backward()
    assert all(p.grad is not None for p in net.parameters())


def test_a_network_without_head_says_so():
    net = MobileFaceNet(points=0)
    with pytest.raises(MienError, match="points=68"):
        net.landmarks(torch.zeros(1, 512, 7, 7))


def test_heads_must_divide_the_width():
    with pytest.raises(MienError, match="3 heads do not divide the width 8"):
        CrossAttention(8, heads=3, side=2)
