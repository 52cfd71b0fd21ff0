"""One step of each of ParFace-Net's stages, in legacy mode, moves what the released trainers move, by as much.

Losses first, then the gradients just before each optimiser's step, then weights and BatchNorm statistics afterwards.
"""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mien import create_model
from mien.core.records import Batch
from mien.nn.heatmaps import to_crop
from mien.systems.optim import OptimOptions
from mien.systems.parface import stages
from mien.systems.parface.official_names import load_official, official_names, to_official
from mien.systems.stage import StepOptions

sys.path.insert(0, str(Path(__file__).parent))
from case import Case

pytestmark = pytest.mark.usefixtures("device")

PARTS = {"E": "Q.", "G": "P.", "D": "D.", "lm_head": "LMH.", "lm_3d_head": "LMH_3D."}


def ready(stage):
    stage.steps_per_epoch = 10
    built = stage.configure_optimizers()
    optimizers = built if isinstance(built, list) else [built]
    stage.optimizers = lambda use_pl_optimizer=True: built
    stage._trainer = SimpleNamespace(world_size=1, global_rank=0)
    type(stage).global_rank = property(lambda self: 0)
    return stage.train(), optimizers


def step(case, stage_class, network, batch, *, lr, betas=(0.9, 0.999), patch=None, **options):
    """Runs it; returns the loss terms and, by official name, the norm of each gradient."""
    optim = OptimOptions(name="adam", lr=lr, betas=betas, schedule="constant", sam_rho=0.0)
    rest = {"optim": optim, "step": StepOptions(legacy=True, channels_last=False), "epochs": 1}
    stage, optimizers = ready(stage_class(network, options=options, **rest))
    if patch:
        patch(stage)
    norms, ours = {}, {id(p): name for name, p in network.named_parameters()}
    official = official_names(network)

    def remember(optimizer, *_):
        for group in optimizer.param_groups:
            norms.update({official[ours[id(p)]]: p.grad.norm() for p in group["params"]})

    for optimizer in optimizers:
        optimizer.register_step_pre_hook(remember)
    stage.training_step(batch, 0)
    for part, names in case.meta["grad_names"].items():
        case.check(f"grad_norm_{part}", torch.stack([norms[name] for name in names]))
    moved = {name.split(".")[0] for name in norms}
    assert moved == set(case.meta["weights_changed"])
    return stage.losses.sums


def check_state(case, network):
    before, after = case.weights(), to_official(network)
    for kind in ("weights", "statistics"):
        names = case.meta[kind]
        old, new = ([state[name].double().flatten() for name in names] for state in (before, after))
        case.check(f"{kind}_sum_abssum", torch.stack([torch.stack((v.sum(), v.abs().sum())) for v in new]))
        case.check(f"{kind}_change_abssum", torch.stack([(b - a).abs().sum() for a, b in zip(old, new, strict=True)]))
        case.check(f"{kind}_values", torch.cat([v[:: max(1, -(-len(v) // 16))][:16] for v in new]))
        changed = {n.split(".")[0] for n, a, b in zip(names, old, new, strict=True) if not torch.equal(a, b)}
        assert changed == set(case.meta[f"{kind}_changed"])


def vgg_file(case, folder):
    path = folder / "vgg.pth"
    torch.save({k.removeprefix("vgg19."): v for k, v in case.weights().items() if k.startswith("vgg19.")}, path)
    return str(path)


@pytest.mark.parametrize(
    ("name", "stage", "pixels"),
    [
        ("step_self_supervised", stages.SelfSupervised, "l2"),
        ("step_self_supervised_l1", stages.FineTune, "l1"),
        ("step_inversion", stages.Inversion, "l2"),
    ],
)
def test_a_step_without_labels(name, stage, pixels, tmp_path):
    case = Case("parface", name)
    network = create_model("parface_autoencoder", legacy=True)
    load_official(network, {k: v for k, v in case.weights().items() if not k.startswith("vgg19.")})
    image, mixing = case.input("image"), case.input("mixing")

    def patch(stage):
        stage.mixing = lambda image: mixing

    terms = step(
        case, stage, network, Batch(image=image, index=torch.arange(4)), lr=2e-5, betas=(0.0, 0.999), patch=patch,
        vgg=vgg_file(case, tmp_path),
    )  # fmt: skip
    case.check("stat_loss_recon", terms["reconstruction"])
    case.check("stat_perceptual_loss", terms["perceptual"] / 0.1)
    case.check("stat_loss_D", terms["critic"] + terms["penalty"])
    case.check("stat_loss_G", terms["generator"])
    case.check("stat_loss", terms["reconstruction"] + terms["perceptual"] + terms["generator"])
    check_state(case, network)


def faces(case, *, depth=False):
    points = case.stored("in_points")
    found = Batch(image=case.input("image"), index=torch.arange(4))
    found.landmarks = to_crop(points[..., :2] / 2, size=128, legacy=True)
    found.depth = points[..., 2] / 256 if depth else None
    return found


@pytest.mark.parametrize(
    ("name", "stage"),
    [("step_landmarks", stages.Landmarks), ("step_landmarks_encoder", stages.LandmarksEncoder)],
)
def test_a_step_on_points(name, stage):
    case = Case("parface", name)
    network = create_model("parface_3d", legacy=True)
    load_official(network, case.weights())
    terms = step(case, stage, network, faces(case), lr=1e-4)
    case.check("stat_loss_lms", terms["adaptive_wing"])
    check_state(case, network)


def test_a_step_on_depths():
    case = Case("parface", "step_depth")
    network = create_model("parface_3d", legacy=True)
    load_official(network, case.weights())
    terms = step(case, stages.Depth, network, faces(case, depth=True), lr=1e-5, maps="true")
    case.check("stat_loss_lms_3d", terms["depth"])
    check_state(case, network)


def test_every_stage_has_its_case():
    found = {path.name for path in (Path(__file__).parent / "parface").glob("step_*")}
    assert len(found) == 6 and np.isfinite(Case("parface", "step_depth").want["stat_loss_lms_3d"]).all()
