"""Forward passes and training steps on the GPU give the CPU's numbers: in fp32 (no TF32) within 1e-3 of the largest,
gradients within 1e-2 of their length, in bf16 within 2e-2 of the largest; compiled and channels last alike."""

import copy
import math
import re
from types import SimpleNamespace
from typing import Any

import pytest

import mien
from mien.core.errors import MienError
from mien.core.spec import PictureInput
from mien.systems.optim import OptimOptions

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")
from mien.systems.stage import Stage, StepOptions  # noqa: E402
from shape_checks import unchecked  # noqa: E402
from small_systems import ADVERSARIAL, SMALL, batch_of, stage_of  # noqa: E402

FP32, GRADIENT, BF16 = 1e-3, 1e-2, 2e-2
SGD = OptimOptions(name="sgd", lr=1e-2, momentum=0.0, schedule="constant")
SAM = OptimOptions(name="sgd", lr=1e-2, momentum=0.0, schedule="constant", sam_rho=0.05)
STILL = {"poster_v2": {"drop_path": 0.0}, "poster_v2_small": {"drop_path": 0.0}}  # random numbers differ by device
PUBLISHED = ("poster_v2", "parface_3d", "parface_autoencoder")


def off(got: Any, want: Any) -> float:
    """The largest difference as a share of the largest value."""
    got, want = got.detach().double().cpu(), want.detach().double().cpu()
    return float((got - want).abs().max() / want.abs().max().clamp(min=1e-12))


def scrambled(system: Any) -> Any:
    """With norms that matter, in eval mode."""
    with torch.no_grad():
        for name, value in system.named_buffers():
            if name.endswith("running_var"):
                value.uniform_(0.5, 1.5)
            elif name.endswith("running_mean"):
                value.normal_(0, 0.1)
    return system.eval()


def inputs_of(system: Any, count: int = 2) -> tuple[Any, ...]:
    """In the order of the system's inputs; pictures are smooth at several scales, as faces are."""
    found = []
    for given in (system.inputs[name] for name in system.input_names):
        if isinstance(given, PictureInput):
            coarse = [torch.rand(count, 3, side, side) for side in (4, 16)]
            size = (given.size, given.size)
            found.append(sum(torch.nn.functional.interpolate(c, size=size, mode="bilinear") for c in coarse) - 1)
        else:
            found.append(torch.rand(count, *given.shape))
    return tuple(found)


@torch.inference_mode()
@pytest.mark.parametrize("name", [*SMALL, *(f"{name}, published size" for name in PUBLISHED)])
def test_forward(name: str, device: str) -> None:
    torch.manual_seed(0)
    registered, _, whole = name.partition(",")
    system = scrambled(mien.create_model(registered, **({} if whole else SMALL[registered].options)))
    inputs = inputs_of(system)
    want, there = system(*inputs), copy.deepcopy(system).to(device)
    for network in (there, there.for_inference()):
        got = network(*(value.to(device) for value in inputs))
        worst = {key: off(got[key], want[key]) for key in want}
        assert max(worst.values()) < FP32, worst


def first_output(system: Any, inputs: tuple[Any, ...]) -> Any:
    if getattr(system, "landmark_head", None) is not None:
        return system.heatmaps(system.encode_with_maps(*inputs))
    return next(iter(system(*inputs).values()))


@torch.inference_mode()
@pytest.mark.parametrize("name", [*SMALL, *(f"{name}, published size" for name in PUBLISHED)])
def test_forward_in_bf16(name: str, device: str) -> None:
    """Of autocast. Of ParFace-Net the heat maps: where a map that was never trained is highest, rounding decides."""
    torch.manual_seed(0)
    registered, _, whole = name.partition(",")
    system = scrambled(mien.create_model(registered, **({} if whole else SMALL[registered].options)))
    there, on_device = copy.deepcopy(system).to(device), tuple(value.to(device) for value in inputs_of(system))
    want = first_output(there, on_device)
    with torch.autocast(device, torch.bfloat16):
        got, all_outputs = first_output(there, on_device), there(*on_device)
    assert off(got, want) < BF16
    assert all(bool(value.isfinite().all()) for value in all_outputs.values())


def ready(stage: Stage, device: str) -> Stage:
    """As the Trainer would have it, without what a device draws at random."""
    stage.to(device)
    stage.steps_per_epoch = 10
    optimizers = stage.configure_optimizers()
    stage.optimizers = lambda use_pl_optimizer=True: optimizers  # type: ignore[method-assign, assignment]
    stage._trainer = SimpleNamespace(world_size=1, global_rank=0)  # type: ignore[assignment]
    stage.mixing = lambda image: image.new_full((len(image), 1, 1, 1), 0.3)  # type: ignore[attr-defined]
    return stage.train()  # type: ignore[return-value]


def moved(name: str, device: str, *, optim: OptimOptions = SGD, steps: int = 1, **step: Any) -> tuple[dict, Any]:
    """(loss terms of the last step, how far all weights moved together), of steps from the same start."""
    optim = SGD if name in ADVERSARIAL else optim
    stage = ready(stage_of(name, optim=optim, step=StepOptions(**step), **STILL.get(name, {})), device)
    batch = batch_of(stage.system)
    batch = stage.transfer_batch_to_device(batch, torch.device(device), 0)
    before = [p.detach().clone() for p in stage.system.parameters()]
    for _ in range(steps):
        stage.training_step(batch, 0)
    change = [(p - b).flatten() for p, b in zip(stage.system.parameters(), before, strict=True)]
    return stage.losses.latest_values(), torch.cat(change).detach().double().cpu()


def apart(one: Any, other: Any) -> float:
    return float((one - other).norm() / other.norm())


@pytest.mark.parametrize("optim", [SGD, SAM], ids=["plain", "sam"])
@pytest.mark.parametrize("name", SMALL)
def test_a_step_is_the_cpus(name: str, optim: OptimOptions, device: str) -> None:
    losses, change = moved(name, device, optim=optim)
    wanted, step = moved(name, "cpu", optim=optim)
    assert losses == pytest.approx(wanted, rel=FP32)
    assert apart(change, step) < GRADIENT


@pytest.mark.parametrize("optim", [SGD, SAM], ids=["plain", "sam"])
@pytest.mark.parametrize("name", SMALL)
def test_a_step_in_bf16_has_the_losses_of_fp32(name: str, optim: OptimOptions, device: str) -> None:
    losses, _ = moved(name, device, optim=optim, bf16=True)
    wanted, _ = moved(name, device, optim=optim)
    largest = max(abs(value) for value in wanted.values())
    for term, value in losses.items():  # a squared error is off by twice what its output is off by
        assert abs(value - wanted[term]) < 2 * BF16 * largest, (term, value, wanted[term])


@pytest.mark.parametrize("name", ["poster_v2", "parface", "parface_autoencoder"])
def test_channels_last_is_a_layout_alone(name: str, device: str) -> None:
    losses, change = moved(name, device, channels_last=True)
    wanted, step = moved(name, device, channels_last=False)
    assert losses == pytest.approx(wanted, rel=FP32)
    assert apart(change, step) < GRADIENT


@pytest.mark.parametrize("name", ["poster_v2", "parface_autoencoder"])
def test_a_batch_in_parts(name: str, device: str) -> None:
    losses, _ = moved(name, device, parts=2)
    assert all(math.isfinite(value) for value in losses.values())


@unchecked()
@pytest.mark.slow
@pytest.mark.parametrize("bf16", [False, True])
def test_compiled_steps(bf16: bool, device: str) -> None:
    """SAM's two passes of a compiled network; the first losses are the eager ones."""
    torch._dynamo.reset()
    torch._dynamo.config.error_on_recompile = True  # one graph serves both passes
    try:
        losses, change = moved("poster_v2", device, optim=SAM, compile=True, bf16=bf16)
    finally:
        torch._dynamo.config.error_on_recompile = False
    wanted, step = moved("poster_v2", device, optim=SAM, bf16=bf16)
    assert losses == pytest.approx(wanted, rel=BF16 if bf16 else FP32)
    assert apart(change, step) < (0.2 if bf16 else GRADIENT)


REFUSED = r"cannot be recorded|calls its network twice|does not call its network as a whole"


@pytest.mark.parametrize("optim", [SGD, SAM], ids=["plain", "sam"])
@pytest.mark.parametrize("name", SMALL)
def test_steps_of_a_cuda_graph(name: str, optim: OptimOptions, device: str) -> None:
    """They are those of the usual passes."""
    try:
        losses, change = moved(name, device, optim=optim, steps=3, cuda_graph=device == "cuda")
    except MienError as error:
        assert re.search(REFUSED, str(error))
        pytest.skip(str(error))
    wanted, step = moved(name, device, optim=optim, steps=3)
    assert losses == pytest.approx(wanted, rel=FP32)
    assert apart(change, step) < GRADIENT


@pytest.mark.parametrize("parts", [1, 2])
def test_steps_of_a_cuda_graph_in_bf16(parts: int, device: str) -> None:
    options = {"optim": SAM, "steps": 3, "bf16": True, "parts": parts}
    losses, change = moved("poster_v2", device, cuda_graph=device == "cuda", **options)
    wanted, step = moved("poster_v2", device, **options)
    assert losses == pytest.approx(wanted, rel=BF16) and apart(change, step) < 0.2


def test_the_average_and_a_fused_optimiser_follow_the_cpus(device: str) -> None:
    adam = OptimOptions(name="adam", lr=1e-3, eps=1e-3, schedule="constant", ema=0.9, clip=1.0)
    averages = []
    for place in (device, "cpu"):
        stage = ready(stage_of("poster_v2", optim=adam, step=StepOptions(), drop_path=0.0), place)
        batch = stage.transfer_batch_to_device(batch_of(stage.system), torch.device(place), 0)
        for _ in range(3):
            stage.training_step(batch, 0)
        averages.append(torch.cat([p.flatten().cpu() for p in stage.evaluated.parameters()]))
        assert stage.ema is not None and int(stage.ema.n_averaged) == 3
    assert off(*averages) < FP32
