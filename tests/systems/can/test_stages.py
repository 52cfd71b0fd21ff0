"""The stages: who learns, who stands still, which gate opens, and that each learns what it is for."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

import mien
from mien.core.errors import MienError
from mien.core.records import Batch
from mien.nn.vae_gan.context_attention import ContextAttention
from mien.systems.can.recognition import Context, FaceClassifier
from mien.systems.can.reconstruction import FaceReconstruction, VoiceReconstruction
from mien.systems.can.stages import STAGES
from mien.systems.stage import StepOptions

SMALL = {"size": 32, "width": 0.125, "latent": 16}


def ready(stage):
    stage.steps_per_epoch = 10
    built = stage.configure_optimizers()
    stage.optimizers = lambda use_pl_optimizer=True: built
    stage._trainer = SimpleNamespace(world_size=1, global_rank=0)
    type(stage).global_rank = property(lambda self: 0)
    return stage.train()


def stage_of(
    kind,
    *,
    system=None,
    name="can",
    legacy=False,
    system_options=None,
    parts=1,
    bf16=False,
    lr=None,
    ready_now=True,
    **options,
):
    torch.manual_seed(0)
    if system is None:
        more = {**(system_options or {}), **({"legacy": True} if legacy else {})}
        system = mien.create_model(kind.system_name(name), **SMALL, **more)
    optim = kind.default_optim if lr is None else kind.default_optim.__class__(
        name=kind.default_optim.name, lr=lr, momentum=0.0, schedule="constant"
    )  # fmt: skip
    step = StepOptions(legacy=legacy, channels_last=False, parts=parts, bf16=bf16)
    stage = kind(system, options=options, optim=optim, step=step, epochs=5)
    return ready(stage) if ready_now else stage


def batch(count=8, seed=1):
    """Blobs whose place, colour and pitch follow from the class."""
    random = torch.Generator().manual_seed(seed)
    expression = torch.arange(count) % 7
    image, voice = (0.1 * torch.rand(count, c, 32, 32, generator=random) for c in (3, 1))
    for i, label in enumerate(expression.tolist()):
        image[i, label % 3, 3 * label : 3 * label + 12, 8:24] += 0.8
        voice[i, 0, 4 * label : 4 * label + 4] += 0.8
    return Batch(image=image, voice=voice, expression=expression, index=torch.arange(count))


def state_of(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


def changed(before, module):
    return {name.split(".")[0] for name, value in module.state_dict().items() if not torch.equal(before[name], value)}


@pytest.mark.parametrize("kind", [FaceReconstruction, VoiceReconstruction])
@pytest.mark.parametrize("legacy", [False, True])
def test_every_part_of_a_vae_gan_learns(kind, legacy):
    stage = stage_of(kind, legacy=legacy)
    network = stage.system.vae_gan
    before = state_of(network)
    grads = {name for name, _ in network.named_parameters()}
    stage.training_step(batch(), 0)
    assert changed(before, network) == {"encoder", "decoder", "discriminator"}
    assert {name for name, p in network.named_parameters() if p.grad is not None and p.grad.any()} == grads
    looks = int(network.discriminator.norms[0].num_batches_tracked)
    decodes = int(network.decoder.blocks[0].norm1.num_batches_tracked)
    assert (looks, decodes) == ((10, 3) if legacy else (3, 2))


def test_fewer_passes_give_the_released_gradients():
    """Of encoder and discriminator; the decoder's adversarial term is another one, so it is turned off."""
    found = []
    for legacy in (False, True):
        stage = stage_of(FaceReconstruction, legacy=legacy, feature_share=1.0, pixels=0)
        stage.training_step(batch(), 0)
        found.append({name: p.grad.clone() for name, p in stage.system.named_parameters()})
    for name, value in found[0].items():
        torch.testing.assert_close(value, found[1][name], atol=1e-4 * float(value.abs().max()) + 1e-7, rtol=1e-3)


def test_the_released_decoder_has_no_adversarial_gradient():
    terms = stage_of(FaceReconstruction, feature_share=1.0)
    assert "adversarial" not in terms.decoder_terms(batch(), terms.shared(batch()))
    alive = stage_of(FaceReconstruction)
    assert alive.decoder_terms(batch(), alive.shared(batch()))["adversarial"] > 0


@pytest.mark.parametrize(("real", "fake", "decoder", "discriminator"), [
    (0.7, 0.7, True, True),
    (0.2, 0.7, True, False),  # too good
    (0.7, 1.2, False, True),  # too bad
    (0.2, 1.2, True, True),  # neither gate would open, so both do
])  # fmt: skip
def test_gates_at_the_published_margins(real, fake, decoder, discriminator):
    stage, losses = stage_of(FaceReconstruction), {"bce_real": real, "bce_reconstruction": fake}
    assert (stage.decoder_steps(0, losses), stage.discriminator_steps(0, losses)) == (decoder, discriminator)


def test_a_closed_gate_holds_a_part_still():
    stage = stage_of(FaceReconstruction, equilibrium=10.0, margin=0.1)  # the discriminator is always too good
    before = state_of(stage.system.vae_gan.discriminator)
    stage.training_step(batch(), 0)
    weights = dict(stage.system.vae_gan.discriminator.named_parameters())
    assert all(torch.equal(before[name], value) for name, value in weights.items())


def test_without_terms_of_the_discriminator_there_is_none():
    """A plain variational autoencoder: one objective, no passes of a discriminator, also in a network without one."""
    plain = {"features": 0.0, "feature_share": 1.0, "pixels": 2.0, "structure": 0.5}
    stage = stage_of(FaceReconstruction, **plain)
    before = state_of(stage.system.vae_gan)
    stage.training_step(batch(), 0)
    assert changed(before, stage.system.vae_gan) == {"encoder", "decoder"}
    terms = stage.encoder_terms(batch(), stage.shared(batch()))
    assert set(terms) == {"pixels", "structure", "kl"} and [each.name for each in stage.objectives()] == ["autoencoder"]
    alone = stage_of(VoiceReconstruction, system_options={"discriminator": False}, **plain)
    alone.training_step(batch(), 0)
    with pytest.raises(MienError, match="trains a discriminator"):
        stage_of(FaceReconstruction, system_options={"discriminator": False}, features=0.0)


def test_structure_is_that_of_ssim():
    """Nothing for a picture itself at another brightness, 1 for a picture without any contrast beside one with."""
    stage = stage_of(FaceReconstruction, pixels=0.0, structure=3.0)
    real = batch().image
    assert float(stage._compared("", real + 0.1, real)["structure"]) == pytest.approx(0, abs=1e-5)
    noise = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert float(stage._compared("", noise.mean((2, 3), keepdim=True) + 0 * noise, noise)["structure"]) > 2.9


def test_the_weight_of_the_divergence_rises():
    stage, weights = stage_of(FaceReconstruction, kl=0.5, kl_warmup=2.0), []
    for stage.position.step in (0, 10, 20, 30):
        weights.append(stage._kl_weight())
    assert weights == [0, 0.25, 0.5, 0.5]


def test_faces_are_reconstructed():
    stage, faces = stage_of(FaceReconstruction, lr=1e-3, pixels=10), batch()
    errors = []
    for _ in range(40):
        stage.training_step(faces, 0)
        errors.append(float(stage.losses.latest["squared_error"]))
    assert np.mean(errors[-5:]) < 0.5 * np.mean(errors[:5])
    stage.system.eval()
    with torch.no_grad():
        found = stage.predict(stage.system, faces)
    scores = stage.validate(found, [])
    assert (
        set(scores) == {"squared_error", "abs_error", "psnr", "ssim", "divergence"}
        and np.isfinite([*scores.values()]).all()
    )


def test_parts_and_bf16_run():
    for more in ({"parts": 2}, {"bf16": True}):
        stage = stage_of(FaceReconstruction, **more)
        stage.training_step(batch(), 0)
        stage.check_finite()


def test_codes_of_voices_can_be_made_to_tell_classes_apart():
    options = {"features": 0.0, "feature_share": 1.0, "classes": 2.0}
    stage = stage_of(VoiceReconstruction, ready_now=False, system_options={"discriminator": False}, lr=1e-2, **options)
    stage.class_names = tuple("abcdefg")
    stage, voices, found = ready(stage), batch(14), []
    assert list(stage.companions()) == ["head"] and not any("head" in name for name in stage.system.state_dict())
    for _ in range(30):
        stage.training_step(voices, 0)
        found.append(float(stage.losses.latest["classes"]))
    assert found[0] == pytest.approx(2 * np.log(7), abs=1e-3)  # the layer begins at 0
    assert found[-1] < 0.7 * found[0] and stage.monitor == "cross_entropy"
    stage.system.eval()
    with torch.no_grad():
        assert {"cross_entropy", "accuracy"} <= set(stage.validate(stage.predict(stage.system, voices), []))
        voices.expression = None
        assert "classes" not in stage.encoder_terms(voices, stage.shared(voices))
        with pytest.raises(MienError, match="the validation has none"):
            stage.validate(stage.predict(stage.system, voices), [])


def test_classes_need_data_with_classes():
    with pytest.raises(MienError, match="data without any"):
        stage_of(VoiceReconstruction, classes=1.0)


def test_a_fixed_classifier_is_heard_through_the_code_alone():
    stage, faces = stage_of(Context, lr=1e-2, kl=0.0, shift=0.1, fixed_classifier=True), batch(14)
    before, moved = state_of(stage.system), changed
    for _ in range(3):
        stage.training_step(faces, 0)
    assert moved(before, stage.system) == {"att_mean", "att_log_variance", "voice_classifier"}
    assert "--init.classifier BUNDLE of stage 2" in stage.needs_init("classifier")
    codes, _ = stage._drawn(faces)
    length = (codes.fused.mean - codes.face.mean).square().sum(1).mean()
    torch.testing.assert_close(stage._divergence(codes), {"shift": 0.05 * length})


def test_the_query_learns_from_the_first_step_where_values_begin_as_keys():
    """Drawn apart, keys and values do not vary together: the shift is the same whatever the voice asks."""
    found, random = {}, torch.Generator().manual_seed(3)
    face, one, other = (torch.randn(8, 256, generator=random) for _ in range(3))
    for aligned in (False, True):
        torch.manual_seed(0)
        attention = ContextAttention(256)
        if aligned:
            attention.value.load_state_dict(attention.key.state_dict())
        found[aligned] = (attention.shift(face, one) - attention.shift(face, other)).square().mean().item()
    assert found[True] > 20 * found[False]
    for legacy in (False, True):
        system = stage_of(Context, legacy=legacy).system
        assert torch.equal(system.att_mean.value.weight, system.att_mean.key.weight) is not legacy


@pytest.mark.parametrize("name", ["can", "can_product"])
def test_the_context_learns_while_the_encoders_stand_still(name):
    stage, faces = stage_of(Context, name=name, lr=3e-2, classifier_decay=0.0), batch(14)
    stage.system.train().apply(lambda module: setattr(module, "momentum", 1.0))
    stage.system(faces.image, faces.voice)  # an untrained encoder sees nothing through statistics that are not its own
    stage.train()
    before = state_of(stage.system)
    for _ in range(40):
        stage.training_step(faces, 0)
    heads = {"classifier", "face_classifier", "voice_classifier"}
    assert changed(before, stage.system) == heads | ({"att_mean", "att_log_variance"} if name == "can" else set())
    stage.system.eval()
    with torch.no_grad():
        found = stage.predict(stage.system, faces)
    scores = stage.validate(found, [])
    assert scores["accuracy_face"] > 0.5 and np.isfinite(scores["nll_voice"])
    assert ("divergence" in scores) == (name == "can")
    assert set(stage.temperatures(found)) == {"expression", "expression_face", "expression_voice"}
    assert set(stage.calibration(found, stage.temperatures(found))) == set(stage.temperatures(found))


def test_the_released_statistics_of_frozen_encoders_drift():
    stage = stage_of(Context, legacy=True, system_options={"alone": False})
    before = state_of(stage.system)
    stage.training_step(batch(), 0)
    assert {"face", "voice"} <= changed(before, stage.system)
    assert int(stage.system.face.encoder.first_norm.num_batches_tracked) == 3
    assert int(stage.system.face.decoder.blocks[0].norm1.num_batches_tracked) == 0
    assert not any(p.requires_grad for p in stage.system.face.parameters())


def test_draws_are_classified_in_validation_only_as_released():
    for legacy in (False, True):
        stage = stage_of(Context, legacy=legacy, system_options={"alone": False})
        stage.system.eval()
        with torch.no_grad():
            one, other = (stage.predict(stage.system, batch())["expression"] for _ in range(2))
        assert np.array_equal(one, other) is not legacy


def test_the_chain_hands_over_by_role():
    face, voice = (mien.create_model(n, **SMALL, labels=None).eval() for n in ("can_face", "can_voice"))
    second = stage_of(FaceClassifier)
    second.initialize("face", face)
    second.training_step(batch(), 0)
    third = stage_of(Context)
    for role, other in (("face", face), ("voice", voice), ("classifier", second.system)):
        third.initialize(role, other)
    system, image = third.system.eval(), batch().image
    with torch.no_grad():
        found = system(image, batch().voice)
        torch.testing.assert_close(found["reconstruction"], face(image)["picture"])
        torch.testing.assert_close(found["expression_face"], second.system.eval()(image)["expression"])
        torch.testing.assert_close(system.voice.encode(batch().voice).mean, voice(batch().voice)["latent"])


@pytest.mark.parametrize(("do", "message"), [
    (lambda: stage_of(Context).initialize("face", mien.create_model("can_voice", **SMALL)), "takes a can_face bundle"),
    (lambda: stage_of(Context).initialize("face", mien.create_model("can_face", **(SMALL | {"latent": 8}))),
     "The face's bundle has latent 8, this network 16. Set --system.options.latent 8"),
    (lambda: stage_of(Context).initialize(
        "classifier", mien.create_model("can_face_expression", **SMALL, labels="can_mead")), "Leave --init.classifier"),
    (lambda: stage_of(FaceReconstruction, system_options={"discriminator": False}), "options.discriminator true"),
    (lambda: stage_of(FaceReconstruction, feature_share=1.5), r"feature_share must be in 0\.\.1"),
    (lambda: stage_of(FaceReconstruction, perceptual=1.0, vgg="none.pth"), "there is no file none.pth"),
    (lambda: stage_of(VoiceReconstruction, perceptual=1.0), "perceptual"),
])  # fmt: skip
def test_refusals(do, message):
    with pytest.raises(MienError, match=message):
        do()


def test_what_must_come_trained():
    context = stage_of(Context)
    assert "--init.face BUNDLE of stage 1" in context.needs_init("face") and context.needs_init("classifier") == ""
    assert "--init BUNDLE of stage 1" in stage_of(FaceClassifier).needs_init("face")
    assert list(STAGES) == ["face_reconstruction", "voice_reconstruction", "face_expression", "context"]
