"""Networks and steps run wherever their tensors are: on a GPU that PyTorch only imagines, so that no GPU is needed.

Fake tensors have shapes, types and devices and no values. An operation on tensors of two devices raises, as on a real
GPU, and so does one that must wait for a value (`.item()`, `bool(tensor)`): a step with such a wait leaves a GPU idle.
"""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

import mien
import mien.nn
from mien.core.spec import VectorInput
from mien.systems.losses import LossMeter
from mien.systems.optim import OptimOptions
from mien.systems.stage import StepOptions
from mien.systems.training_step import TrainingStep
from shape_checks import unchecked
from small_systems import ADVERSARIAL, DISTINCT, SMALL, batch_of, stage_of


def test_no_device_is_chosen_in_nn():
    chosen = re.compile(r"""\.cuda\(|\.cpu\(|device=["']|\.to\(["'](cuda|cpu)|torch\.device\(|autocast\(["']""")
    files = [path for folder in mien.nn.__path__ for path in Path(folder).rglob("*.py")]
    assert files
    for path in files:
        assert not chosen.search(path.read_text(encoding="utf-8")), path


@pytest.mark.parametrize("name", SMALL)
def test_no_tensor_is_hidden_from_to(name):
    """Module.to moves parameters and buffers; a tensor that is another attribute would stay where it was made."""
    system = mien.create_model(name, **SMALL[name].options)
    for network in (system, system.for_inference()):
        hidden = [k for m in network.modules() for k, v in vars(m).items() if isinstance(v, torch.Tensor)]
        assert not hidden


def imagine(stage, mode):
    """Every parameter and buffer becomes a fake tensor on cuda; the stage is then as the Trainer would have it."""
    with mode, torch.no_grad():
        for module in stage.modules():
            for name, value in [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]:
                fake = mode.from_tensor(value.detach()).to("cuda")
                if isinstance(value, torch.nn.Parameter):
                    module._parameters[name] = torch.nn.Parameter(fake, requires_grad=value.requires_grad)
                else:
                    module._buffers[name] = fake
    stage.steps_per_epoch, stage._device = 10, torch.device("cuda:0")
    optimizers = stage.configure_optimizers()
    stage.optimizers = lambda use_pl_optimizer=True: optimizers
    stage._trainer = SimpleNamespace(world_size=1, global_rank=0)
    return stage.train()


def without_a_driver(monkeypatch):
    """What asks the driver: seeding its generator, and the backward pass, whose gradients are zeros here."""

    def backward(loss, *, inputs, retain_graph=False):
        assert loss.device.type == "cuda"
        for parameter in inputs:
            parameter.grad = torch.zeros_like(parameter)

    monkeypatch.setattr(LossMeter, "latest_values", lambda self: dict.fromkeys(self.latest, 0.7))  # a gate must wait
    monkeypatch.setattr(TrainingStep, "_seed", lambda self: None)
    monkeypatch.setattr(torch.Tensor, "backward", backward)
    monkeypatch.setattr(torch.autograd, "grad", lambda outputs, inputs, **rest: (torch.zeros_like(inputs),))


def inputs_of(system, batch):
    """Those of the batch, and random numbers where no data set gives them."""
    found = []
    for name in system.input_names:
        given = system.inputs[name]
        random = isinstance(given, VectorInput)
        found.append(torch.randn(len(batch), *given.shape, device="cuda") if random else getattr(batch, name))
    return found


@unchecked()
@pytest.mark.parametrize(
    ("name", "bf16"), [(name, bool(number % 2)) for number, name in enumerate([*DISTINCT, "parface"])]
)
def test_a_step_and_a_forward_pass_stay_on_one_device(name, bf16, monkeypatch):
    without_a_driver(monkeypatch)
    sam = 0.0 if name in ADVERSARIAL else 0.05
    optim = OptimOptions(name="adam", lr=1e-3, sam_rho=sam, ema=0.9, clip=1.0, schedule="constant")
    mode = FakeTensorMode(allow_non_fake_inputs=True)
    stage = imagine(stage_of(name, optim=optim, step=StepOptions(bf16=bf16)), mode)
    stage.class_counts = (3,) * 7
    batch = batch_of(stage.system).map(mode.from_tensor)
    with mode:
        batch = stage.transfer_batch_to_device(batch, torch.device("cuda:0"), 0)
        for _ in range(2):
            stage.training_step(batch, 0)
        with torch.no_grad():
            outputs = stage.evaluated.eval()(*inputs_of(stage.system, batch))
    found = [*stage.state_dict().values(), *stage.losses.sums.values(), *outputs.values()]
    assert {value.device.type for value in found} == {"cuda"}
