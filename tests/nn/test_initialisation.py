"""Weights that a file replaces are not drawn first, and those that it lacks are."""

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from mien.nn.initialisation import built_and_loaded, without_initialisation  # noqa: E402
from mien.nn.weights import load_weights  # noqa: E402


def network(more: bool = False) -> nn.Module:
    made = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))
    nn.init.trunc_normal_(made[3].weight, std=0.02)
    nn.init.kaiming_normal_(made[0].weight)
    nn.init.xavier_uniform_(made[3].weight)
    made.queries = nn.Parameter(torch.randn(2, 3, generator=torch.Generator().manual_seed(0)))
    made[3].bias.data.uniform_(-1, 1)
    if more:
        made.extra = nn.Linear(4, 4)
    return made


def test_random_weights_are_zeros_constants_stay_and_the_generator_is_left_alone() -> None:
    torch.manual_seed(3)
    wanted = torch.rand(3)
    torch.manual_seed(3)
    with without_initialisation():
        made = network()
    assert torch.equal(torch.rand(3), wanted)
    assert bool((made[1].weight == 1).all()) and bool((made[1].running_var == 1).all())
    drawn = [made[0].weight, made[0].bias, made[3].weight, made[3].bias, made.queries]
    assert all(not value.any() and value.requires_grad for value in drawn)
    assert all(bool(value.any()) for value in network().parameters() if value.ndim > 1)  # and afterwards as ever


def test_what_the_file_lacks_is_drawn() -> None:
    weights = network().state_dict()
    whole, report = built_and_loaded(network, lambda made: load_weights(made, weights, where="x"))
    assert all(torch.equal(value, weights[name]) for name, value in whole.state_dict().items()) and not report.missing
    lacking = ("extra.weight", "extra.bias")
    part, report = built_and_loaded(
        lambda: network(more=True), lambda made: load_weights(made, weights, where="x", allow_missing=lacking)
    )
    assert set(report.missing) == set(lacking) and bool(part.extra.weight.any())
    assert all(torch.equal(part.state_dict()[name], value) for name, value in weights.items())
