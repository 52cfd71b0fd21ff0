"""Learning rates and averages, worked out by hand."""

import pytest
import torch

from mien.core.errors import MienError
from mien.systems.optim import OptimOptions, build_optimizer, ema_decay, learning_rate
from shape_checks import unchecked


def rates(options: OptimOptions, steps: list[int], *, per_epoch: int = 10, epochs: int = 4) -> list[float]:
    return [learning_rate(options, step=s, steps_per_epoch=per_epoch, epochs=epochs) for s in steps]


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


def test_ema_decay_rises_to_its_value():
    options = OptimOptions(ema=0.99)
    assert ema_decay(options, step=0) == 0.1
    assert ema_decay(options, step=8) == 0.5
    assert ema_decay(options, step=10_000) == 0.99


@pytest.mark.parametrize(("name", "kind"), [("adam", "Adam"), ("adamw", "AdamW"), ("sgd", "SGD")])
def test_the_optimiser_asked_for_inside_sam_or_not(name, kind):
    module = torch.nn.Linear(3, 2)
    parameters = list(module.parameters())
    bare = build_optimizer(OptimOptions(name=name, sam_rho=0, weight_decay=0.1), parameters)
    assert type(bare).__name__ == kind
    assert [g["weight_decay"] for g in bare.param_groups] == [0.1, 0.0]  # the matrix decays, the bias does not
    sam = build_optimizer(OptimOptions(name=name, sam_rho=0.07), parameters)
    assert type(sam).__name__ == "SAM" and sam.rho == 0.07 and type(sam.base_optimizer).__name__ == kind


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"lr": 0.0}, "optim.lr must be above 0; got 0.0"),
        ({"ema": 1.0}, "optim.ema must be at least 0 and below 1"),
        ({"schedule": "cosin"}, "optim.schedule cannot be 'cosin'. Did you mean 'cosine'"),
        ({"sam_rho": -1.0}, "optim.sam_rho must be 0 or above"),
    ],
)
@unchecked()
def test_wrong_values_are_said(wrong, said):
    with pytest.raises(MienError, match=said):
        OptimOptions(**wrong)
