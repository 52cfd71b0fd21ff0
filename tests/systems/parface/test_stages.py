"""ParFace-Net's stages, tiny: each learns eight faces by heart, moves what it should and nothing else."""

import copy
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mien.core.errors import MienError
from mien.core.records import Batch
from mien.nn.heatmaps import targets, to_map
from mien.nn.losses import reconstruction
from mien.systems.optim import OptimOptions
from mien.systems.parface.alignment import OPENINGS, Depth, Landmarks
from mien.systems.parface.calibration import fit_calibration
from mien.systems.parface.reconstruction import FineTune, Inversion, SelfSupervised
from mien.systems.parface.stages import ORDER, STAGES
from mien.systems.registry import create_model
from mien.systems.stage import StepOptions
from shape_checks import unchecked

TINY = {"size": 128, "width": 0.125, "latent": 16, "head_layers": 1, "sigma": 4.0}
NAMES = {"_autoencoder": "parface_autoencoder", "": "parface", "_3d": "parface_3d"}
QUIET = {"perceptual": 0.0}  # no VGG file in tests


def network(variant: str, **options):
    torch.manual_seed(0)
    return create_model(NAMES[variant], **TINY, **options)


def ready(stage):
    """As the Trainer would have it."""
    stage.steps_per_epoch = 10
    built = stage.configure_optimizers()
    stage.optimizers = lambda use_pl_optimizer=True: built
    stage._trainer = SimpleNamespace(world_size=1, global_rank=0)
    type(stage).global_rank = property(lambda self: 0)
    return stage.train()


def stage_of(kind, system=None, *, lr=1e-3, legacy=False, parts=1, ema=0.0, **options):
    system = system or network(kind.variant, **({} if kind.variant == "_autoencoder" else {"discriminators": ()}))
    options = (QUIET if kind.variant == "_autoencoder" else {}) | options
    optim = OptimOptions(name="adam", lr=lr, schedule="constant", sam_rho=0.0, ema=ema)
    step = StepOptions(legacy=legacy, parts=parts)
    return ready(kind(system, options=options, optim=optim, step=step, epochs=1))


def faces(count: int = 8, *, seed: int = 0) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    base = torch.rand(count, 3, 4, 4, generator=generator) - 0.45
    image = torch.nn.functional.interpolate(base, size=(128, 128), mode="bilinear")
    shape = 0.2 + 0.6 * torch.rand(1, 68, 2, generator=torch.Generator().manual_seed(1))
    landmarks = shape + 0.02 * torch.randn(count, 68, 2, generator=generator)
    depth = 0.1 * torch.randn(count, 68, generator=generator)
    visible = torch.ones(count, 68)
    return Batch(image, torch.arange(count), None, None, landmarks, depth - depth.mean(1, keepdim=True), visible)


def state(stage):
    return {name: value.clone() for name, value in stage.system.state_dict().items()}


def moved(before, stage) -> tuple[set[str], set[str]]:
    """The parts whose weights, and whose BatchNorm statistics, differ from before."""
    changed = [name for name, value in stage.system.state_dict().items() if not torch.equal(value, before[name])]
    norms = ("running_mean", "running_var", "num_batches_tracked")
    parts = [{n.split(".")[0] for n in changed if n.endswith(norms) == statistics} for statistics in (False, True)]
    return parts[0], parts[1]


AUTOENCODER = {"encoder", "decoder", "discriminator"}
EXPECTED = {  # weights that move, statistics that move
    "self_supervised": (AUTOENCODER, {"encoder", "decoder"}),
    "fine_tune": (AUTOENCODER, {"encoder", "decoder"}),
    "inversion": ({"encoder", "discriminator"}, {"encoder"}),
    "landmarks": ({"landmark_head"}, set()),
    "landmarks_encoder": ({"landmark_head", "encoder"}, set()),
    "landmarks_3da": ({"landmark_head"}, set()),
    "landmarks_3da_encoder": ({"landmark_head", "encoder"}, set()),
    "depth": ({"depth_head"}, {"depth_head"}),
}
PUBLISHED = {  # what else moved in the released code
    "self_supervised": {"discriminator"},
    "fine_tune": {"discriminator"},
    "inversion": {"discriminator", "decoder"},
}


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("kind", ORDER, ids=lambda kind: kind.name)
def test_what_should_learn_moves_and_everything_else_stands_still(kind, legacy):
    stage = stage_of(kind, legacy=legacy)
    before = state(stage)
    stage.training_step(faces(), 0)
    weights, statistics = EXPECTED[kind.name]
    statistics = statistics | (PUBLISHED.get(kind.name, set()) if legacy else set())
    assert moved(before, stage) == (weights, statistics)
    for name, parameter in stage.system.named_parameters():
        if name.split(".")[0] in weights:
            assert not torch.equal(parameter, before[name]), name


@pytest.fixture(scope="module")
def autoencoder():
    """Trained a little on the eight faces; its loss at the first and at the last step."""
    stage = stage_of(SelfSupervised, lr=5e-3, adversarial=0.01, discriminator_every=10)
    losses = [step_and_loss(stage, faces(), "reconstruction") for _ in range(25)]
    return stage.system, losses


@pytest.mark.parametrize("name", ["landmarks", "landmarks_3da_encoder", "depth"])
def test_the_points_of_eight_faces_are_learned_by_heart(name, autoencoder):
    depth = name == "depth"
    stage, batch = stage_of(STAGES[name], lr=3e-3 if depth else 1e-2), faces()
    stage.initialize("network", autoencoder[0])
    losses = [step_and_loss(stage, batch, "depth" if depth else "adaptive_wing") for _ in range(40)]
    assert min(losses[-3:]) < 0.8 * losses[0]


def step_and_loss(stage, batch, term: str) -> float:
    stage.losses.start_epoch()
    stage.training_step(batch, 0)
    return float(stage.losses.sums[term])


def test_eight_faces_are_reconstructed_by_heart_and_a_new_encoder_finds_them_again(autoencoder):
    (system, losses), batch = copy.deepcopy(autoencoder), faces()
    assert losses[-1] < 0.5 * losses[0]
    rare = {"adversarial": 0.01, "discriminator_every": 10}
    fine = stage_of(FineTune, system, lr=3e-3, **rare)
    losses = [step_and_loss(fine, batch, "reconstruction") for _ in range(10)]
    assert min(losses) < losses[0]
    torch.manual_seed(9)
    with torch.no_grad():
        system.encoder.head.weight.normal_(std=0.3)
    inversion = stage_of(Inversion, system, lr=3e-3, **rare)
    decoder = copy.deepcopy(system.decoder.state_dict())
    losses = [step_and_loss(inversion, batch, "reconstruction") for _ in range(20)]
    assert losses[-1] < 0.95 * losses[0]
    assert all(torch.equal(value, decoder[name]) for name, value in system.decoder.state_dict().items())


def snapshot(stage):
    return copy.deepcopy(stage.snapshot())


@pytest.mark.parametrize(
    "options",
    [{"discriminator_every": 2}, {"latent_gan": True, "generated": 0.25, "against": "gan"}],
    ids=["wgan", "gan with all terms"],
)
def test_a_resumed_game_of_two_networks_goes_on_bit_for_bit(options):
    stage = stage_of(SelfSupervised, ema=0.9, **options)
    for i in range(3):
        stage.training_step(faces(4, seed=i), i)
    kept = snapshot(stage)
    assert len(kept["optimizers"]) == len(stage.objectives()) >= 2
    other = stage_of(SelfSupervised, ema=0.9, **options)
    other.resume(kept)
    other.on_fit_start()
    for i in range(3, 6):
        for both in (stage, other):
            both.training_step(faces(4, seed=i), i)
    assert other.position == stage.position and other.losses.state_dict() == stage.losses.state_dict()
    first, second = stage.snapshot(), other.snapshot()
    for part in ("system", "ema"):
        assert all(torch.equal(first[part][name], second[part][name]) for name in first[part])
    for a, b in zip(first["optimizers"], second["optimizers"], strict=True):
        assert all(torch.equal(x["exp_avg_sq"], b["state"][i]["exp_avg_sq"]) for i, x in a["state"].items())


def test_the_critic_steps_as_often_as_asked_and_its_mean_is_right():
    stage = stage_of(SelfSupervised, discriminator_every=3)
    sums = []
    for i in range(6):
        before = state(stage)
        stage.training_step(faces(4, seed=i), i)
        sums.append("discriminator" in moved(before, stage)[0])
    assert sums == [True, False, False] * 2
    assert stage.losses.counts == {"critic": 2, "penalty": 2, "reconstruction": 6, "generator": 6}
    assert 0 < stage.losses.means()["penalty"] < 20


def test_in_parts_the_critic_leaves_no_trace_in_batch_norm():
    stage = stage_of(SelfSupervised, parts=2)
    stage.training_step(faces(8), 0)
    counts = {n: int(v) for n, v in stage.system.state_dict().items() if n.endswith("num_batches_tracked")}
    assert {v for n, v in counts.items() if n.startswith(("encoder", "decoder"))} == {2}  # once for each part


def test_hidden_points_teach_nothing_unless_asked():
    batch = faces()
    batch.visible[:, :17] = 0
    far = copy.deepcopy(batch)
    far.landmarks[:, :17] += 0.3
    for kind, counts in ((Landmarks, False), (STAGES["landmarks_3da"], True)):
        stage = stage_of(kind)
        a, b = (float(stage.loss_terms(some)["adaptive_wing"].detach()) for some in (batch, far))
        assert (a != b) is counts
    batch.visible[:] = 0
    assert stage_of(Landmarks).loss_terms(batch)["adaptive_wing"].item() == 0


def test_places_and_openings_see_a_lid_that_lies_a_little_lower():
    """By the points read from the maps: nothing for the truth; a lid half a hundredth lower gives the wing of that."""
    stage = stage_of(Landmarks, places=2.0, openings=3.0)
    batch, size = faces(2), stage.system.config.maps
    batch.landmarks.copy_(0.3 + 0.4 * torch.rand(1, 68, 2, generator=torch.Generator().manual_seed(3)))
    batch.landmarks[:, 41] = batch.landmarks[:, 37] + torch.tensor([0.0, 0.04])  # one above the other

    def terms(points):
        maps = targets(to_map(points, size=size), size=size, sigma=stage.system.config.sigma).requires_grad_()
        return stage._place_terms(batch, maps), maps

    assert all(float(value.detach()) < 1e-2 for value in terms(batch.landmarks)[0].values())
    lower = batch.landmarks.clone()
    lower[:, 41, 1] += 0.005
    found, maps = terms(lower)
    wing = 10 * np.log1p(0.5 / 2)
    assert float(found["places"].detach()) == pytest.approx(2 * wing / 68, rel=0.02)
    assert float(found["openings"].detach()) == pytest.approx(3 * wing / len(OPENINGS), rel=0.02)
    sum(found.values()).backward()
    assert (maps.grad.abs().amax((0, 2, 3)) > 1e-2).nonzero().flatten().tolist() == [37, 41]
    batch.visible[:, 41] = 0  # hidden: neither the point nor what it ends counts
    assert all(float(value.detach()) < 1e-2 for value in terms(lower)[0].values())
    assert not stage_of(Landmarks)._place_terms(batch, maps)


def test_visibility_is_learned_where_there_is_a_head():
    system = network("", visibility=True, discriminators=())
    stage, batch = stage_of(Landmarks, system, lr=1e-2), faces()
    batch.visible = (torch.rand(8, 68, generator=torch.Generator().manual_seed(3)) > 0.5).float()
    first = stage.loss_terms(batch)["visibility"].item()
    for _ in range(15):
        stage.training_step(batch, 0)
    assert stage.loss_terms(batch)["visibility"].item() < first - 0.01


def test_scores_and_expected_errors_come_with_validation():
    stage = stage_of(Landmarks, network("", uncertainty=True, discriminators=()), ema=0.9)
    stage._validated = []
    stage.on_validation_epoch_start()
    with torch.inference_mode():
        stage.validation_step(faces(), 0)
    stage.on_validation_epoch_end()
    assert stage.scores.keys() == {"nme_interocular", "nme_bbox"}
    errors = np.linalg.norm(stage.predictions["landmarks"] - stage.predictions["truth"], axis=-1)
    with torch.inference_mode():
        expected = stage.evaluated(faces().image)["sigma"]
    assert float(expected.mean()) == pytest.approx(errors.mean(), rel=0.25)
    assert torch.equal(stage.evaluated.calibration, stage.system.calibration)
    depths = stage_of(Depth)
    depths.on_validation_epoch_start()
    depths.validation_step(faces(), 0)
    depths.on_validation_epoch_end()
    assert depths.scores.keys() == {"gte", "nme_interocular", "nme_bbox"}


def test_reconstructions_are_scored_as_pictures():
    stage = stage_of(SelfSupervised)
    stage.on_validation_epoch_start()
    with torch.inference_mode():
        stage.validation_step(faces(), 0)
    stage.on_validation_epoch_end()
    assert stage.scores.keys() == {"abs_error", "psnr", "ssim"} and 0 < stage.scores["abs_error"] < 255


def test_the_fit_of_expected_errors_finds_the_law_it_was_drawn_from():
    generator = np.random.default_rng(0)
    spread = np.exp(generator.normal(-3, 0.4, (400, 68)))
    level = np.linspace(0.5, 2, 68)
    error = level * spread**1.5 * np.sqrt(-2 * np.log(generator.uniform(size=spread.shape))) / np.sqrt(np.pi / 2)
    error[generator.uniform(size=error.shape) < 0.01] = 5.0  # gross failures
    fitted = fit_calibration(spread, error)
    assert fitted[:, 0] == pytest.approx([1.5] * 68, abs=0.15)
    expected = np.exp(fitted[:, 0] * np.log(spread.mean()) + fitted[:, 1])
    assert expected == pytest.approx(level * spread.mean() ** 1.5, rel=0.25)
    same = fit_calibration(np.full((5, 3), 0.1), np.full((5, 3), 0.02))
    assert np.exp(same[:, 0] * np.log(0.1) + same[:, 1]) == pytest.approx([0.02] * 3, rel=1e-3)
    assert fit_calibration(np.full((5, 3), 0.1), np.full((5, 3), np.nan)).shape == (3, 2)


def test_a_stage_copies_what_both_networks_have():
    auto, head = network("_autoencoder"), stage_of(Landmarks)
    torch.manual_seed(5)
    for parameter in auto.parameters():
        parameter.data.add_(1)
    own = head.system.landmark_head.to_maps.weight.clone()
    head.initialize("network", auto)
    assert torch.equal(head.system.encoder.head.weight, auto.encoder.head.weight)
    assert torch.equal(head.system.landmark_head.to_maps.weight, own)
    depth = stage_of(Depth)
    depth.initialize("network", head.system)
    assert torch.equal(depth.system.landmark_head.to_maps.weight, own)
    reset = stage_of(Inversion, reset_discriminator=True)
    reset.initialize("network", auto)
    assert not torch.equal(reset.system.discriminator.layers[0].weight, auto.discriminator.layers[0].weight)


@unchecked()
def test_what_a_user_can_get_wrong_is_reported_in_a_line():
    with pytest.raises(MienError, match="has activation 'relu', this network 'leaky_relu'"):
        stage_of(Landmarks).initialize("network", network("_autoencoder", activation="relu"))
    with pytest.raises(MienError, match=r"another landmark_head .* --system.options as in the run"):
        stage_of(Landmarks).initialize("network", create_model("parface", **(TINY | {"head_layers": 2})))
    with pytest.raises(MienError, match="trains the landmark_head, which this network has not"):
        stage_of(Landmarks, network("_autoencoder"))
    with pytest.raises(MienError, match="trains the discriminator, which this network has not"):
        stage_of(SelfSupervised, network("_autoencoder", discriminators=()))
    with pytest.raises(MienError, match=r"needs a depth for each point"):
        batch = faces()
        batch.depth = None
        stage_of(Depth).loss_terms(batch)
    with pytest.raises(MienError, match=r"loss must be one of .*; got .awing.\. Did you mean .*adaptive_wing"):
        stage_of(Landmarks, loss="awing")
    with pytest.raises(MienError, match=r"are both false; nothing would learn"):
        stage_of(SelfSupervised, train_encoder=False, train_decoder=False)
    with pytest.raises(MienError, match=r"perceptual must be at least 0; got -1"):
        stage_of(SelfSupervised, perceptual=-1)
    assert "--init BUNDLE" in stage_of(Landmarks).needs_init("network")
    assert not stage_of(SelfSupervised).needs_init("network")


def test_the_perceptual_term_needs_a_file(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(MienError, match=r"needs VGG-19's ImageNet weights"):
        stage_of(SelfSupervised, perceptual=0.1)
    layers = torch.nn.Sequential(*reconstruction._vgg19_layers()[:2])
    torch.save({f"features.{k}": v for k, v in layers.state_dict().items()}, tmp_path / "vgg.pth")
    stage = stage_of(SelfSupervised, perceptual=0.1, perceptual_layers=(1,), vgg=str(tmp_path / "vgg.pth"))
    assert stage.vgg is not None and not any(name.startswith("vgg") for name in stage.snapshot()["system"])
    assert float(stage.loss_terms(faces(2))["perceptual"]) > 0


def test_registered_names_lead_to_the_network_that_a_stage_needs():
    assert [kind.system_name("parface") for kind in (SelfSupervised, Landmarks, Depth)] == [*NAMES.values()]
    assert Landmarks.system_name("parface_3d") == "parface"
