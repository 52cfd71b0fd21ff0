"""One step of CAN's stages, in legacy mode, moves what the released trainer moves, by as much.

Losses first, then the gradients just before each optimiser's step, then weights and BatchNorm statistics afterwards.
"""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from mien.core.records import Batch
from mien.systems.can import stages
from mien.systems.can.official_names import converted, official_names, to_official
from mien.systems.can.recognition import Context
from mien.systems.can.reconstruction import FaceReconstruction
from mien.systems.stage import StepOptions

sys.path.insert(0, str(Path(__file__).parent))
from case import Case

pytestmark = pytest.mark.usefixtures("device")


def ready(stage_class, system, **options):
    """The stage in legacy mode with the published optimisers, as a trainer would hand it a batch."""
    step = StepOptions(legacy=True, channels_last=False)
    stage = stage_class(system, options=options, optim=stage_class.default_optim, step=step, epochs=1)
    stage.steps_per_epoch = 10
    built = stage.configure_optimizers()
    optimizers = built if isinstance(built, list) else [built]
    stage.optimizers = lambda use_pl_optimizer=True: built
    stage._trainer = SimpleNamespace(world_size=1, global_rank=0)
    type(stage).global_rank = property(lambda self: 0)
    return stage.train(), optimizers


def with_noise(stage, case, names):
    given = iter([case.input(name) for name in names])
    stage.noise = lambda like: next(given)
    return given


def norms_before(optimizers, system):
    """Filled while the optimisers step: official name -> norm of the gradient."""
    norms, ours, official = {}, {id(p): name for name, p in system.named_parameters()}, official_names(system)

    def remember(optimizer, *_):
        for group in optimizer.param_groups:
            norms.update({official[ours[id(p)]]: p.grad.double().norm() for p in group["params"]})

    for optimizer in optimizers:
        optimizer.register_step_pre_hook(remember)
    return norms


def state_of(case, system):
    """The tensors that the case follows, by official name."""
    official = to_official(system)
    return {name: official[name].clone() for kind in ("weights", "statistics") for name in case.meta[kind]}


def check_state(case, system, before):
    after = state_of(case, system)
    for kind in ("weights", "statistics"):
        names = case.meta[kind]
        old, new = ([state[name].double().flatten() for name in names] for state in (before, after))
        case.check(f"{kind}_sum_abssum", torch.stack([torch.stack((v.sum(), v.abs().sum())) for v in new]))
        case.check(f"{kind}_change_abssum", torch.stack([(b - a).abs().sum() for a, b in zip(old, new, strict=True)]))
        case.check(f"{kind}_values", torch.cat([v[:: max(1, -(-len(v) // 16))][:16] for v in new]))


def check_norms(case, norms):
    for part, names in case.meta["grad_names"].items():
        case.check(f"grad_norm_{part}", torch.stack([norms[name] for name in names]))
    assert set(norms) == {name for names in case.meta["grad_names"].values() for name in names}


@pytest.mark.parametrize(("name", "share"), [("step_vaegan", 1.0), ("step_vaegan_adversarial", 0.5)])
def test_a_step_of_the_vae_gan(name, share):
    case = Case("can", name)
    system, _ = converted(case.weights())
    stage, optimizers = ready(FaceReconstruction, system, feature_share=share, pixels=0)
    used = with_noise(stage, case, ["eps", "z_prior"])
    norms = norms_before(optimizers, system)
    before = state_of(case, system)
    stage.training_step(Batch(image=case.input("face"), index=torch.arange(4)), 0)
    assert next(used, None) is None
    terms = stage.losses.sums
    case.check("lossE", terms["features"] + terms["kl"])
    case.check("lossD", terms["decoder_features"] + terms.get("adversarial", 0))
    case.check("loss_Dis", terms["real"] + terms["reconstructed"] + terms["prior"])
    case.check("real_kl", terms["divergence"])
    case.check("loss_rec", terms["squared_error"])
    case.check("loss_layer", terms["decoder_features"] / share)
    assert set(norms) and sorted(case.meta["stepped"]) == ["decoder", "discriminator", "encoder"]
    check_norms(case, norms)
    check_state(case, system, before)
    counted = system.vae_gan.discriminator.norms
    assert [int(norm.num_batches_tracked) for norm in counted] == [11, 11, 7]
    assert int(system.vae_gan.decoder.blocks[0].norm1.num_batches_tracked) == 4


def test_a_step_of_the_context():
    case = Case("can", "step_context")
    system, _ = converted(case.weights(), whole=True)
    stage, optimizers = ready(Context, system)
    used = with_noise(stage, case, [f"eps_{step}_{place}" for step in range(3) for place in range(3)])
    norms, losses = norms_before(optimizers, system), []
    add = stage.losses.add
    stage.losses.add = lambda terms: (losses.append(terms["cross_entropy"] + terms["kl"]), add(terms))
    batch = Batch(image=case.input("face"), voice=case.input("spectrogram"), index=torch.arange(4))
    batch.expression = torch.tensor([1, 3, 5, 0])
    before = state_of(case, system)
    stage.training_step(batch, 0)
    assert next(used, None) is None
    for number, loss in enumerate(losses):
        case.check(f"loss_pass{number}", loss)
    check_norms(case, norms)
    check_state(case, system, before)
    after = to_official(system)
    for name, count in case.meta["counters_changed"].items():
        assert int(after[name]) == count


def test_every_stage_with_a_case_is_tested():
    found = {path.name for path in (Path(__file__).parent / "can").glob("step_*")}
    assert found == {"step_vaegan", "step_vaegan_adversarial", "step_context"} and len(stages.STAGES) == 4
