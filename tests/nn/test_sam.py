"""SAM: the climb by hand, exact return, what its state holds, and BatchNorm in the second pass."""

import copy

import pytest
import torch
from torch import nn

from mien.core.errors import MienError
from mien.nn.sam import SAM, frozen_batch_norm


def descent(*, rho=0.5, adaptive=False):
    weight = nn.Parameter(torch.tensor([3.0, 4.0]))
    return weight, SAM(torch.optim.SGD([weight], lr=0.1), rho=rho, adaptive=adaptive)


def test_climb_moves_by_rho_along_the_gradient():
    weight, sam = descent()
    (weight**2).sum().div(2).backward()  # the gradient is the weight itself: (3, 4), of length 5
    sam.climb()
    torch.testing.assert_close(weight.data, torch.tensor([3.3, 4.4]))


def test_adaptive_climb_scales_with_the_weights():
    weight, sam = descent(adaptive=True)
    weight.sum().backward()
    sam.climb()  # w + rho w² / |w|: (3 + .5 * 9 / 5, 4 + .5 * 16 / 5)
    torch.testing.assert_close(weight.data, torch.tensor([3.9, 5.6]))


def test_descend_steps_from_the_start_with_the_gradient_from_the_top():
    weight, sam = descent()
    (weight**2).sum().div(2).backward()
    sam.climb()
    sam.zero_grad()
    (weight**2).sum().div(2).backward()
    sam.descend()
    torch.testing.assert_close(weight.data, torch.tensor([3.0 - 0.33, 4.0 - 0.44]))


def test_a_closure_does_the_whole_step():
    by_hand, hand = descent()
    weight, sam = descent()

    def closure():
        sam.zero_grad()
        loss = (weight**3).sum()
        loss.backward()
        return loss

    assert sam.step(closure).item() == 27 + 64
    (by_hand**3).sum().backward()
    hand.climb()
    hand.zero_grad()
    (by_hand**3).sum().backward()
    hand.step()
    assert torch.equal(weight, by_hand)


def test_restore_is_exact():
    weight = nn.Parameter(torch.randn(100) * 1e3)
    before = weight.detach().clone()
    sam = SAM(torch.optim.SGD([weight], lr=0.1), rho=0.05)
    weight.sin().sum().backward()
    sam.climb()
    assert not torch.equal(weight, before)
    sam.restore()
    assert torch.equal(weight, before)


def test_state_holds_the_base_moments_and_no_weights():
    net = nn.Linear(3, 2)
    sam = SAM(torch.optim.Adam(net.parameters(), lr=0.1))

    def step(network, optimizer):
        def closure():
            optimizer.zero_grad()
            loss = network(torch.ones(4, 3)).square().sum()
            loss.backward()
            return loss

        optimizer.step(closure)

    step(net, sam)
    stored = copy.deepcopy(sam.state_dict())
    assert set(stored["state"][0]) == {"step", "exp_avg", "exp_avg_sq"}
    other = copy.deepcopy(net)
    resumed = SAM(torch.optim.Adam(other.parameters(), lr=0.7))
    resumed.load_state_dict(stored)
    assert resumed.param_groups[0]["lr"] == 0.1
    step(net, sam)
    step(other, resumed)
    assert torch.equal(net.weight, other.weight)


def test_a_scheduler_reaches_the_base_optimiser():
    weight, sam = descent()
    schedule = torch.optim.lr_scheduler.ExponentialLR(sam, gamma=0.5)
    weight.sum().backward()
    sam.climb()
    sam.step()
    schedule.step()
    assert sam.base_optimizer.param_groups[0]["lr"] == pytest.approx(0.05)


def test_frozen_batch_norm_normalises_with_the_batch_and_keeps_its_statistics():
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)).train()
    x = torch.randn(8, 3)
    with frozen_batch_norm(net):
        frozen = net(x)
    assert net[1].num_batches_tracked == 0 and torch.equal(net[1].running_mean, torch.zeros(4))
    assert torch.equal(net(x), frozen)
    assert net[1].num_batches_tracked == 1


def test_frozen_batch_norm_leaves_eval_mode_alone():
    net = nn.BatchNorm1d(4).eval()
    x = torch.randn(8, 4)
    before = net(x)
    with frozen_batch_norm(net):
        assert torch.equal(net(x), before)


def test_wrong_order_is_refused():
    weight, sam = descent()
    with pytest.raises(MienError, match="no parameter has a gradient"):
        sam.climb()
    with pytest.raises(MienError, match="needs a climb"):
        sam.descend()
    weight.sum().backward()
    sam.climb()
    with pytest.raises(MienError, match="twice"):
        sam.climb()
