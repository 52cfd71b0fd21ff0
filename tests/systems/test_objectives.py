"""Several objectives in one stage: who moves what, when, and what is computed how often."""

from dataclasses import dataclass
from types import SimpleNamespace
from typing import ClassVar

import pytest
import torch
from torch import nn

from mien.core.errors import MienError
from mien.core.labels import LabelSet
from mien.core.records import Batch
from mien.core.spec import Output, PictureInput
from mien.systems.optim import OptimOptions
from mien.systems.stage import Objective, ParameterGroup, Stage, StepOptions, every
from mien.systems.system import System


class Pair(System):
    """Two numbers."""

    name, config_class = "pair", SimpleNamespace

    def __init__(self) -> None:
        outputs = {"expression": Output.classes(LabelSet("two", ("a", "b")))}
        super().__init__(None, inputs={"image": PictureInput(size=8)}, outputs=outputs)
        self.first, self.second = nn.Parameter(torch.tensor(1.0)), nn.Parameter(torch.tensor(2.0))


@dataclass(frozen=True)
class NoOptions:
    pass


class Game(Stage):
    """first follows the product of both, second its own square; each test says when."""

    name = "game"
    options_class: ClassVar[type] = NoOptions
    monitor = "x"
    whens: ClassVar[dict] = {}
    optims: ClassVar[dict] = {}

    def __init__(self, **rest) -> None:
        optim = OptimOptions(name="sgd", lr=0.1, momentum=0.0, schedule="constant")
        super().__init__(Pair(), options={}, optim=optim, step=StepOptions(**rest), epochs=1)
        self.calls = 0

    def shared(self, batch):
        self.calls += 1
        return self.system.first * self.system.second * batch.image.mean()

    def monitored(self, shared):
        return {"size": shared.abs()}

    def objectives(self):
        def objective(name, parameter, terms):
            when, optim = self.whens.get(name, every(1)), self.optims.get(name)
            return Objective(name, terms, [ParameterGroup([parameter])], when=when, optim=optim)

        return [
            objective("first", self.system.first, lambda batch, shared: {"product": shared}),
            objective("second", self.system.second, lambda batch, shared: {"square": self.system.second**2}),
        ]


@pytest.fixture
def game(monkeypatch):
    """A stage as the Trainer would have it, from conditions and options of its objectives by name."""

    def build(whens=None, optims=None, **step):
        stage = type("Game", (Game,), {"whens": whens or {}, "optims": optims or {}})(**step)
        stage.steps_per_epoch = 10
        built = stage.configure_optimizers()
        stage.optimizers = lambda use_pl_optimizer=True: built
        stage._trainer = SimpleNamespace(world_size=1, global_rank=0)
        monkeypatch.setattr(Game, "global_rank", property(lambda self: 0))
        return stage.train()

    return build


def steps(stage, count: int = 1) -> tuple[float, float]:
    for i in range(count):
        stage.training_step(Batch(image=torch.ones(4, 3, 2, 2), index=torch.arange(4)), i)
    return float(stage.system.first.detach()), float(stage.system.second.detach())


def test_each_objective_moves_its_own_parameters_in_turn(game):
    """product = 1 * 2: its gradient would also reach `second`, which is not among its parameters."""
    stage = game()
    first, second = steps(stage)
    assert first == pytest.approx(1 - 0.1 * 2) and second == pytest.approx(2 - 0.1 * 2 * 2)
    assert stage.calls == 1 and stage.losses.latest_values() == {"product": 2.0, "size": 2.0, "square": 4.0}


def test_every_n_steps_saves_the_computing(game):
    stage = game({"first": every(3)})
    steps(stage, 6)
    assert stage.losses.counts == {"product": 2, "size": 6, "square": 6}


def test_a_gate_sees_this_steps_terms_and_monitored_values(game):
    calls = []

    def when(step, losses):
        calls.append((step, dict(losses)))
        return losses["product"] > 1.9

    stage = game({"first": when})
    first, _ = steps(stage, 2)  # in the second step the product is 0.8 * 1.6
    assert first == pytest.approx(0.8)
    assert calls[0] == (0, {"product": 2.0, "size": 2.0})
    assert calls[1][0] == 1 and calls[1][1] == pytest.approx({"product": 1.28, "size": 1.28, "square": 4.0})
    assert stage.losses.counts["product"] == 2  # computed, logged, and not stepped


def test_a_later_gate_sees_the_terms_before_it(game):
    stage = game({"second": lambda step, losses: losses["product"] < 1})
    assert steps(stage)[1] == 2.0


def test_an_objective_has_a_rate_and_an_optimiser_of_its_own(game):
    stage = game(optims={"second": OptimOptions(name="sgd", lr=0.5, momentum=0.0, schedule="multistep",
                                                milestones=(1,), gamma=0.1)})  # fmt: skip
    assert steps(stage)[1] == pytest.approx(2 - 0.5 * 4)
    assert stage.learning_rates() == {"lr": 0.1, "second/lr": 0.5}
    steps(stage, 10)
    assert stage.learning_rates() == {"lr": 0.1, "second/lr": pytest.approx(0.05)}


def test_in_parts_the_shared_values_are_computed_for_each_part(game):
    whole, parts = game(), game(parts=2)
    assert steps(whole) == pytest.approx(steps(parts))
    assert parts.calls == 4 and parts.losses.latest_values() == whole.losses.latest_values()


def test_sam_of_one_objective_leaves_the_others_alone(game):
    sam = OptimOptions(name="sgd", lr=0.1, momentum=0.0, schedule="constant", sam_rho=0.5)
    stage = game(optims={"second": sam})
    # d(square) at 2 + 0.5: 5
    assert steps(stage) == pytest.approx((0.8, 2 - 0.1 * 5))


def test_an_objective_without_parameters_is_refused(game):
    class Empty(Game):
        def objectives(self):
            return [Objective("nothing", self.loss_terms, [ParameterGroup([])])]

    with pytest.raises(MienError, match="by the objective 'nothing': it has no parameter"):
        Empty().configure_optimizers()


def test_a_snapshot_keeps_what_gates_depend_on(game):
    stage = game({"first": lambda step, losses: losses.get("square", 9) > 3})
    steps(stage)
    other = game({"first": lambda step, losses: losses.get("square", 9) > 3})
    other.resume(stage.snapshot())
    other.on_fit_start()
    assert steps(stage, 3) == steps(other, 3)
