"""CAN and its blocks give the numbers of the released implementation, from its names and shapes.

A case holds outputs for weights that anyone can draw again (fill.py); see its docstring for the rules.
"""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from mien.core.spec import SoundInput
from mien.media.sound.mel import decibels, filter_bank, hann, mel_power, scaled
from mien.nn.vae_gan.context_attention import row_entropy
from mien.nn.vae_gan.gaussian import divergence_from_prior
from mien.systems.can.network import divergence_of
from mien.systems.can.official_names import converted, to_official

sys.path.insert(0, str(Path(__file__).parent))
from case import Case

pytestmark = pytest.mark.usefixtures("device")


def test_mel():
    case, given = Case("can", "mel"), replace(SoundInput(), samples=83500)
    time = np.arange(83500) / 22050
    noise = case.input("noise").cpu().numpy()
    clips = {
        "chirp": (0.4 * np.sin(2 * np.pi * (200 + 900.0 * time) * time)).astype(np.float32),
        "noise": noise,
        "gap": np.where(np.arange(83500) < 30000, np.float32(0), noise),
    }
    found = {"filter_bank": filter_bank(given), "window": hann(given.fft)}
    for name, samples in clips.items():
        power = mel_power(samples, given)
        found |= {f"{name}_power": power[None], f"{name}_decibel": decibels(power)[None]}
        found[f"{name}_spectrogram"] = scaled(decibels(power))
    assert set(found) == set(case.meta["outputs"])
    for output, values in found.items():
        case.check(output, torch.from_numpy(np.array(values)))


@pytest.mark.parametrize("name", ["vae_face", "vae_audio"])
@torch.no_grad()
def test_vae_gan(name):
    case = Case("can", name)
    weights = {f"model.{key}": value for key, value in case.weights().items()}
    system, report = converted({"state_dict": weights})
    back = to_official(system)
    assert not report.dropped and list(back) == list(weights)
    assert all(torch.equal(back[key], value) for key, value in weights.items())
    net, x = system.vae_gan, case.input("x")
    code = net.encode(x)
    z = code.sample(case.input("eps"))
    picture = net.decode(z)
    found = {"mu": code.mean, "logvar": code.log_variance, "z": z, "picture": picture}
    found |= {f"encoder_res_in_{64 >> i}": each for i, each in enumerate(net.encoder.maps(x))}
    found |= {f"decoder_res_in_{4 << i}": each for i, each in enumerate(net.decoder.maps(z))}
    given = {"x": x, "picture": picture, "prior": net.decode(case.input("z_prior"))}
    looked = {of: net.discriminator(shown) for of, shown in given.items()}
    for of, each in looked.items():
        found |= {f"disc_gan_{of}": each.logits.sigmoid()[:, None], f"disc_rec_{of}": each.features.flatten(1)}
        torch.testing.assert_close(net.discriminator.features(given[of]), each.features, rtol=0, atol=1e-6)
    found["loss_pixel_mse"] = F.mse_loss(picture, x)
    found["loss_kl"] = divergence_from_prior(code).mean()
    found["loss_feature_mse"] = F.mse_loss(looked["picture"].features, looked["x"].features)
    found["loss_bce_real"] = F.softplus(-looked["x"].logits).mean()
    found["loss_bce_reconstruction"] = F.softplus(looked["picture"].logits).mean()
    found["loss_bce_prior"] = F.softplus(looked["prior"].logits).mean()
    net.train()
    code = net.encode(x)
    found |= {"train_mu": code.mean, "train_logvar": code.log_variance, "train_picture": net.decode(code.mean)}
    found["train_running_var_first"] = net.encoder.first_norm.running_var
    found["train_running_mean_last"] = net.encoder.blocks[4].norm2.running_mean
    assert set(found) == set(case.meta["outputs"])
    for output, values in found.items():
        case.check(output, values)


@torch.no_grad()
def test_context_attention():
    case = Case("can", "context_attention")
    system, report = converted(case.weights())
    assert (len(report.matched), len(report.missing)) == (374 - len(report.dropped), 0)
    image, voice, labels = case.input("face"), case.input("spectrogram"), torch.tensor([1, 3])
    noise = [case.input(f"eps_{name}") for name in ("z", "voice", "fused")]
    face, heard = system.encode(image, voice)
    found = {"mu": face.mean, "logvar": face.log_variance}
    found |= {"mu_voice": heard.mean, "logvar_voice": heard.log_variance}
    for strength in (0.0, 0.5, 1.0):
        codes = system.fuse(face, heard, strength=strength)
        drawn = {"z": face.sample(noise[0]), "z_fused": codes.fused.sample(noise[2])}
        entropy = F.cross_entropy(system.classifier(drawn["z_fused"]), labels)
        divergence = divergence_of(codes).mean()
        now = {"mu_fused": codes.fused.mean, "logvar_fused": codes.fused.log_variance, **drawn}
        now |= {"logits_mean": system.classifier(codes.fused.mean), "cross_entropy": entropy, "kl": divergence}
        now |= {"loss": entropy + 1e-5 * divergence, "predicted": system.classifier(drawn["z_fused"]).argmax(1)}
        now |= {"picture": system.face.decode(drawn["z"]), "picture_fused": system.face.decode(drawn["z_fused"])}
        found |= {f"{name}_{strength}": value for name, value in now.items()}
    attention = system.att_mean.map(face.mean, heard.mean)
    found |= {"attention_mu_rows": attention[:, ::64], "attention_mu_entropy": row_entropy(attention)}
    assert set(found) == set(case.meta["outputs"])
    for output, values in found.items():
        case.check(output, values)
    outputs = system(image, voice)
    case.check("logits_mean_1.0", outputs["expression"])
    case.check("mu_fused_1.0", outputs["latent"])


@torch.no_grad()
def test_product_of_experts():
    case = Case("can", "product_of_experts")
    system, _ = converted(case.weights())
    image, voice, labels = case.input("face"), case.input("spectrogram"), torch.tensor([1, 3])
    for context, fusion, noise in (("i", "face", "z"), ("a", "voice", "voice"), ("ia", "product", "fused")):
        system.config = replace(system.config, fusion=fusion)
        codes = system.perceive(image, voice)
        logits = system.logits(codes.face.mean, codes.voice.mean, codes.fused.mean)
        case.check(f"feature_{context}", codes.fused.mean)
        case.check(f"logits_{context}", logits["expression"])
        sampled = codes.fused.sample(case.input(f"eps_{noise}"))
        case.check(f"sampled_feature_{context}", sampled)
        case.check(f"sampled_loss_{context}", F.cross_entropy(system.classifier(sampled), labels))
