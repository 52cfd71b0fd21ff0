"""Learning rates, optimisers and averages, worked out by hand or by torch's own schedules."""

import pytest
import torch
from torch.optim import lr_scheduler

from mien.core.errors import MienError
from mien.systems.optim import OptimOptions, build_optimizer, depends_on_epochs, ema_decay, learning_rate
from mien.systems.step import ParameterGroup
from shape_checks import unchecked


def rates(options: OptimOptions, steps, *, per_epoch: int = 10, epochs: int = 4) -> list[float]:
    return [learning_rate(options, step=s, steps_per_epoch=per_epoch, epochs=epochs) for s in steps]


def torchs(scheduler_class, steps: int, *, every: int = 1, lr: float = 1.0, **options) -> list[float]:
    """The rates of torch's schedule, stepped after every so many steps of an optimiser."""
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=lr)
    scheduler, found = scheduler_class(optimizer, **options), []
    for step in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if (step + 1) % every == 0:
            scheduler.step()
    return found


def test_exponential_falls_at_each_epoch_as_published():
    options = OptimOptions(lr=3.5e-5, gamma=0.98)
    assert rates(options, [0, 9, 10, 25]) == pytest.approx([3.5e-5, 3.5e-5, 3.43e-5, 3.3614e-5])
    whole = sum(rates(OptimOptions(lr=1.0), list(range(200)), per_epoch=1, epochs=200))
    assert whole == pytest.approx(49.1, abs=0.05)  # the sum of the published 200 epochs


def test_cosine_after_a_warm_up():
    options = OptimOptions(lr=1.0, schedule="cosine", warmup_epochs=1, min_lr=0.2)
    #  rising 1/10 .. 10/10, then from 1 at epoch 1 over the middle 0.6 at 2.5 to 0.2 at the end
    assert rates(options, [0, 4, 9, 10, 25, 40]) == pytest.approx([0.1, 0.5, 1.0, 1.0, 0.6, 0.2])


def test_constant_stays():
    assert rates(OptimOptions(lr=0.5, schedule="constant"), [0, 39]) == [0.5, 0.5]


def test_schedules_are_torchs():
    steps = range(40)
    multistep = OptimOptions(lr=1.0, schedule="multistep", milestones=(1, 3), gamma=0.1)
    expected = torchs(lr_scheduler.MultiStepLR, 40, every=10, milestones=[1, 3], gamma=0.1)
    assert rates(multistep, steps) == pytest.approx(expected)
    exponential = torchs(lr_scheduler.ExponentialLR, 40, every=10, gamma=0.98)
    assert rates(OptimOptions(lr=1.0), steps) == pytest.approx(exponential)
    cosine = torchs(lr_scheduler.CosineAnnealingLR, 40, T_max=40, eta_min=0.1)
    assert rates(OptimOptions(lr=1.0, schedule="cosine", min_lr=0.1), steps) == pytest.approx(cosine)
    cyclic = {"base_lr": 1e-6, "max_lr": 1e-4, "step_size_up": 5, "cycle_momentum": False}
    expected = torchs(lr_scheduler.CyclicLR, 40, lr=1e-4, **cyclic)
    assert rates(OptimOptions(lr=1e-4, min_lr=1e-6, schedule="cyclic"), steps) == pytest.approx(expected)
    expected = torchs(lr_scheduler.OneCycleLR, 40, max_lr=1e-3, total_steps=41, pct_start=0.3, cycle_momentum=False)
    found = rates(OptimOptions(lr=1e-3, schedule="onecycle"), steps, per_epoch=41, epochs=1)
    assert found == pytest.approx(expected)


def test_cycles_fall_and_follow_a_warm_up():
    options = OptimOptions(lr=1.0, min_lr=0.2, schedule="cyclic", cycle_epochs=2, cycle_gamma=0.5, warmup_epochs=1)
    assert rates(options, [9, 10, 20, 30, 40]) == pytest.approx([1.0, 0.2, 1.0, 0.2, 0.6])
    longer = OptimOptions(lr=1.0, schedule="onecycle", warmup_epochs=2)
    assert max(range(40), key=lambda step: rates(longer, [step])[0]) == 19  # a rise of two epochs
    assert depends_on_epochs(longer) and not depends_on_epochs(options)


def test_ema_decay_rises_to_its_value():
    options = OptimOptions(ema=0.99)
    assert ema_decay(options, step=0) == 0.1
    assert ema_decay(options, step=8) == 0.5
    assert ema_decay(options, step=10_000) == 0.99


NAMES = [("adam", "Adam"), ("adamw", "AdamW"), ("sgd", "SGD"), ("rmsprop", "RMSprop"), ("ranger", "Ranger")]


@pytest.mark.parametrize(("name", "kind"), NAMES)
def test_the_optimiser_asked_for_inside_sam_or_not(name, kind):
    module = torch.nn.Linear(3, 2)
    parameters = [ParameterGroup(list(module.parameters()))]
    bare = build_optimizer(OptimOptions(name=name, weight_decay=0.1), parameters)
    assert type(bare).__name__ == kind
    assert [g["weight_decay"] for g in bare.param_groups] == [0.1, 0.0]  # the matrix decays, the bias does not
    sam = build_optimizer(OptimOptions(name=name, sam_rho=0.07), parameters)
    assert type(sam).__name__ == "SAM" and sam.rho == 0.07 and type(sam.base_optimizer).__name__ == kind
    bare.zero_grad()
    module(torch.ones(1, 3)).sum().backward()
    before = module.weight.clone()
    bare.step()
    assert not torch.equal(module.weight, before)
    again = build_optimizer(OptimOptions(name=name, weight_decay=0.1), parameters)
    again.load_state_dict(bare.state_dict())
    assert again.state_dict()["state"].keys() == bare.state_dict()["state"].keys() != {}


def test_options_reach_the_optimiser():
    parameters = [ParameterGroup([torch.nn.Parameter(torch.zeros(2, 2))])]
    rms = build_optimizer(OptimOptions(name="rmsprop", alpha=0.9, eps=1e-3, momentum=0.0), parameters).defaults
    assert (rms["alpha"], rms["eps"], rms["momentum"]) == (0.9, 1e-3, 0.0)
    assert build_optimizer(OptimOptions(name="sgd", nesterov=True), parameters).defaults["nesterov"]
    assert OptimOptions().sam_rho == 0


def test_a_group_may_have_a_rate_and_a_decay_of_its_own():
    matrix, vector, other = (torch.nn.Parameter(torch.zeros(shape)) for shape in ((2, 2), (2,), (2,)))
    groups = [ParameterGroup([matrix, vector], lr_scale=0.5, weight_decay=0.3), ParameterGroup([other])]
    found = build_optimizer(OptimOptions(lr=1.0, weight_decay=0.1), groups).param_groups
    assert [(g["lr"], g["lr_scale"], g["weight_decay"]) for g in found] == [
        (0.5, 0.5, 0.3), (0.5, 0.5, 0.3), (1.0, 1.0, 0.0),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"lr": 0.0}, "optim.lr must be above 0 and at most 1e"),
        ({"lr": float("inf")}, "optim.lr must be above 0 and at most 1e.*; got inf"),
        ({"lr": float("nan")}, "optim.lr must be above 0 and at most 1e.*; got nan"),
        ({"ema": 1.0}, "optim.ema must be at least 0 and below 1"),
        ({"schedule": "cosin"}, "optim.schedule cannot be 'cosin'. Did you mean 'cosine'"),
        ({"name": "rangr"}, "optim.name cannot be 'rangr'. Did you mean 'ranger'"),
        ({"sam_rho": -1.0}, "optim.sam_rho must be in 0..1e"),
        ({"schedule": "multistep"}, r"optim.milestones must be .* given for multistep; got \(\)"),
        ({"milestones": (3, 1)}, "optim.milestones must be ascending"),
        ({"nesterov": True, "momentum": 0.0}, "optim.nesterov must be false where momentum is 0"),
    ],
)
@unchecked()
def test_wrong_values_are_refused(wrong, message):
    with pytest.raises(MienError, match=message):
        OptimOptions(**wrong)
