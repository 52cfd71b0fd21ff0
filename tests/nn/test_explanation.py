"""Grad-CAM, attention weights and rollout: values worked by hand, and a network that looks at one corner."""

import pytest
import torch
from torch import Tensor, nn

from mien.nn.attention import CrossAttention, SelfAttention, TransformerBlock
from mien.nn.explanation import class_activation, recorded_weights, rollout
from mien.nn.inversion.gcvit import WindowAttention


class LooksAtACorner(nn.Module):
    """One score: the mean of one quarter of a 3 x 3 convolution's map, by a second map's factor."""

    def __init__(self, rows: slice, columns: slice, sign: float = 1.0) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 4, 3, padding=1, bias=False)
        self.unused = nn.Conv2d(3, 1, 1)
        self.rows, self.columns, self.sign = rows, columns, sign
        nn.init.constant_(self.conv.weight, 0.1)

    def forward(self, image: Tensor) -> Tensor:
        found = torch.relu_(self.conv(image))  # in place, as networks do
        # By the square, so that the gradient has the map's own size and lies where the network looks.
        return self.sign * found[0, :, self.rows, self.columns].square().mean()


@pytest.mark.parametrize(("rows", "columns"), [((0, 4), (0, 4)), ((8, 12), (0, 4)), ((0, 4), (8, 12))])
def test_the_map_peaks_where_the_network_looks(rows, columns) -> None:
    image = torch.zeros(1, 3, 12, 12)
    image[:, :, slice(*rows), slice(*columns)] = 1.0
    image[:, :, 5:7, 5:7] = 0.3
    network = LooksAtACorner(slice(*rows), slice(*columns))
    found, score = class_activation(lambda: network(image), network.conv)
    peak = divmod(int(found.argmax()), 12)
    assert rows[0] <= peak[0] < rows[1] and columns[0] <= peak[1] < columns[1] and score > 0
    against, _ = class_activation(lambda: LooksAtACorner(slice(*rows), slice(*columns), -1.0)(image), network.conv) or (
        None, 0,
    )  # fmt: skip
    assert against is None  # another network's layer: nothing leads from it to the score


def test_what_speaks_against_the_score_is_below_0() -> None:
    image = torch.zeros(1, 3, 12, 12)
    image[:, :, :4, :4] = 1.0
    network = LooksAtACorner(slice(0, 4), slice(0, 4), -1.0)
    found, score = class_activation(lambda: network(image), network.conv)
    assert score < 0 and found.min() < 0 and found.max() <= 0 and divmod(int(found.argmin()), 12) < (4, 4)


def test_grad_cam_by_hand() -> None:
    """Two channels, score = 3 mean(a) - b[0, 0]: weights are 3/4 over 4 places and -1 over 4, their means."""
    layer = nn.Identity()
    image = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]], [[8.0, 0.0], [0.0, 0.0]]]])

    def score() -> Tensor:
        a, b = layer(image)[0]
        return 3 * a.mean() - b[0, 0]

    found, value = class_activation(score, layer)
    assert torch.allclose(found, 0.75 * image[0, 0] - 0.25 * image[0, 1]) and value == pytest.approx(7.5 - 8)


def test_layers_without_a_map_or_a_way_to_the_score_give_none() -> None:
    network, image = LooksAtACorner(slice(0, 4), slice(0, 4)), torch.rand(1, 3, 12, 12)
    assert class_activation(lambda: network(image), network.unused) is None
    linear = nn.Linear(12, 2)
    assert class_activation(lambda: linear(image[:, 0, 0]).sum(), linear) is None
    assert not linear._forward_hooks and not network.unused._forward_hooks  # nothing is left behind


@torch.no_grad()
def test_weights_are_those_of_the_forward_pass() -> None:
    """Values weighted by them and projected are what the fused kernel gives."""
    torch.manual_seed(0)
    tokens, query = torch.randn(2, 16, 8), torch.randn(2, 16, 8)
    cross, own, window = (
        CrossAttention(8, heads=2, side=4),
        SelfAttention(8, heads=2),
        WindowAttention(8, heads=2, side=4),
    )
    nn.init.normal_(cross.bias_table)
    for attention, args in ((cross, (tokens, query)), (own, (tokens,)), (window, (tokens,))):
        weights = attention.weights(*args)
        assert torch.allclose(weights.sum(3), torch.ones(2, 2, 16), atol=1e-6)
        joint = {cross: "kv", own: "qkv", window: "qkv"}[attention]
        value = getattr(attention, joint)(tokens).chunk(2 if attention is cross else 3, dim=-1)[-1]
        read = weights @ value.view(2, 16, 2, 4).transpose(1, 2)
        assert torch.allclose(attention.proj(read.transpose(1, 2).flatten(2)), attention(*args), atol=1e-6)
    assert torch.allclose(own.weights(tokens, first_only=True), own.weights(tokens)[:, :, :1], atol=1e-6)


def test_rollout_by_hand() -> None:
    first = torch.tensor([[[[0.0, 1.0], [0.5, 0.5]], [[1.0, 0.0], [0.5, 0.5]]]])  # two heads; their mean is 1/2 each
    last = torch.tensor([[[[0.2, 0.8]]]])  # the first token's query alone
    one = rollout([first])
    assert torch.allclose(one, torch.tensor([[[0.75, 0.25], [0.25, 0.75]]]))
    both = rollout([first, last])  # (0.6, 0.4) of the rows above
    assert torch.allclose(both, torch.tensor([[[0.55, 0.45]]])) and both.shape == (1, 1, 2)


@torch.no_grad()
def test_the_first_call_is_recorded_and_nothing_stays_behind() -> None:
    torch.manual_seed(0)
    block, x = TransformerBlock(8, heads=2), torch.randn(1, 5, 8)
    with recorded_weights({"a": block.attention}) as found:
        block(x, first_only=True)
        block(-x)
    assert torch.equal(found["a"], block.attention.weights(block.norm1(x), first_only=True))
    assert not block.attention._forward_pre_hooks
