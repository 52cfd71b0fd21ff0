"""The released files' names and ours, in both directions, for the four layouts that there are.

Every layout is a Lightning checkpoint whose weights stand under `state_dict`:

    step 1              model.*                                        a VAE-GAN, of faces or of voices
    step 2              model.*, classifer.*                           the classifier of the face alone
    step 3              model_imgs.*, model_audio.*, att_*, classifer.*   the context network
    product of experts  model_imgs.*, model_audio.*, classifer.*

The released step 3 reads `model_imgs.*` and `model_audio.*` while its step 1 writes `model.*`, so the published recipe
does not chain; here every layout goes into the network whose part it is, and comes out under either prefix.
"""

import math
from collections.abc import Mapping
from typing import Any, Literal

from torch import Tensor

from mien.core.errors import MienError
from mien.nn.initialisation import built_and_loaded
from mien.nn.vae_gan.vae_gan import VaeGan
from mien.nn.weights import LoadReport, compare, weights_of
from mien.systems.can.autoencoders import FaceVaeGan, VoiceVaeGan
from mien.systems.can.network import Can, FaceExpression
from mien.systems.registry import create_model

Released = FaceVaeGan | VoiceVaeGan | FaceExpression | Can
Layout = Literal["face", "voice", "face_expression", "context", "product"]
SYSTEMS: dict[Layout, str] = {
    "face": "can_face", "voice": "can_voice", "face_expression": "can_face_expression", "context": "can",
    "product": "can_product",
}  # fmt: skip
NOT_NEEDED: dict[Layout, tuple[str, ...]] = {  # by any output of ours
    "face": (), "voice": (),
    "face_expression": ("model.decoder.", "model.discriminator."),
    "context": ("model_imgs.discriminator.", "model_audio.discriminator.", "model_audio.decoder."),
    "product": ("model_imgs.discriminator.", "model_audio.discriminator.", "model_audio.decoder."),
}  # fmt: skip
ENCODER_SIDES, DECODER_SIDES = ("64", "32", "16", "8", "4"), ("4", "8", "16", "32", "64", "128")
BLOCK = (("shortcut_conv", "conv_expand"), ("conv1", "conv1"), ("norm1", "bn1"), ("conv2", "conv2"), ("norm2", "bn2"))
HEAD = {f"classifier.{leaf}": f"classifer.classify.0.{leaf}" for leaf in ("weight", "bias")}  # as released


def vae_gan_names(network: VaeGan) -> dict[str, str]:
    """Our name inside an autoencoder -> the released one, in the released order."""
    found: dict[str, str] = {}
    own = network.state_dict()
    for ours, theirs in _modules():
        found |= {name: theirs + name[len(ours) :] for name in own if name.startswith(f"{ours}.")}
    return found


def _modules() -> list[tuple[str, str]]:
    """Each layer of the whole autoencoder, ours and theirs, in the released order."""
    pairs = [("encoder.first_conv", "encoder.main.0"), ("encoder.first_norm", "encoder.main.1")]
    for part, sides in (("encoder", ENCODER_SIDES), ("decoder", DECODER_SIDES)):
        if part == "decoder":
            pairs.append(("decoder.linear", "decoder.fc.0"))
        for place, side in enumerate(sides):
            block = (f"{part}.blocks.{place}", f"{part}.main.res_in_{side}")
            pairs += [(f"{block[0]}.{ours}", f"{block[1]}.{theirs}") for ours, theirs in BLOCK]
        if part == "encoder":
            pairs += [("encoder.mean", "encoder.mean"), ("encoder.log_variance", "encoder.var")]
    pairs += [("decoder.picture_conv", "decoder.main.predict"), ("discriminator.first_conv", "discriminator.conv.0.0")]
    for place in range(3):
        pairs.append((f"discriminator.convs.{place}", f"discriminator.conv.{place + 1}.conv"))
        pairs.append((f"discriminator.norms.{place}", f"discriminator.conv.{place + 1}.bn"))
    fc = (("linear", "0"), ("linear_norm", "1"), ("score", "3"))
    return pairs + [(f"discriminator.{ours}", f"discriminator.fc.{theirs}") for ours, theirs in fc]


def official_names(network: Released) -> dict[str, str]:
    """Our name -> the released one, in the released order. Without the heads of one modality, which it has not."""
    if isinstance(network, FaceVaeGan | VoiceVaeGan):
        part = "face" if isinstance(network, FaceVaeGan) else "voice"
        return {f"{part}.{ours}": f"model.{theirs}" for ours, theirs in vae_gan_names(network.vae_gan).items()}
    if isinstance(network, FaceExpression):
        return {f"face.{ours}": f"model.{theirs}" for ours, theirs in vae_gan_names(network.face).items()} | HEAD
    names = {f"face.{ours}": f"model_imgs.{theirs}" for ours, theirs in vae_gan_names(network.face).items()}
    names |= {f"voice.{ours}": f"model_audio.{theirs}" for ours, theirs in vae_gan_names(network.voice).items()}
    for ours, theirs in (("att_mean", "att_mu"), ("att_log_variance", "att_logvar")):
        module = getattr(network, ours)
        names |= {} if module is None else {f"{ours}.{leaf}": f"{theirs}.{leaf}" for leaf in module.state_dict()}
    return names | HEAD


def layout_of(weights: Mapping[str, Tensor]) -> Layout:
    """Which of the released layouts it is. Raises MienError for another."""
    found = {name.partition(".")[0] for name in weights}
    if {"model_imgs", "model_audio", "classifer"} <= found:
        return "context" if "att_mu" in found else "product"
    if "model" in found and "model.encoder.main.0.weight" in weights:
        if "classifer" in found:
            return "face_expression"
        return "face" if weights["model.encoder.main.0.weight"].shape[1] == 3 else "voice"
    first = ", ".join(list(weights)[:3])
    raise MienError(f"Not a released CAN file: it has {first}, and no model.encoder or model_imgs.")


def describe(checkpoint: Mapping[str, Any]) -> tuple[Layout, dict[str, Any]]:
    """The layout and the options of `create_model` that a released file states."""
    weights = weights_of(checkpoint)
    layout = layout_of(weights)
    prefix = "model_imgs" if layout in ("context", "product") else "model"
    mean = weights.get(f"{prefix}.encoder.mean.weight")
    first = weights.get(f"{prefix}.encoder.main.0.weight")
    if mean is None or first is None or mean.ndim != 2:
        raise MienError(f"Not a whole released CAN file: {prefix}.encoder is incomplete.")
    options: dict[str, Any] = {"latent": len(mean), "size": 32 * math.isqrt(mean.shape[1] // 512)}
    if layout in ("face", "voice"):
        options["discriminator"] = any(".discriminator." in name for name in weights)
    else:
        options["num_classes"] = len(weights["classifer.classify.0.weight"])
    if layout in ("context", "product"):
        options["alone"] = False
    return layout, options


def converted(checkpoint: Mapping[str, Any], **options: Any) -> tuple[Released, LoadReport]:
    """The network of a released file in eval mode, and the report of matched and knowingly dropped names.

    options: as for `create_model`; whole=True keeps what no output needs. Raises MienError before anything is copied
    where a name is missing, unknown or of another shape.
    """
    layout, described = describe(checkpoint)

    def build() -> Released:
        network = create_model(SYSTEMS[layout], **({"legacy": True} | described | options))
        assert isinstance(network, Released)
        return network.eval()

    return built_and_loaded(build, lambda network: load_official(network, checkpoint))


def load_official(network: Released, checkpoint: Mapping[str, Any]) -> LoadReport:
    """Puts a released file into the network. Strict: only what the network knowingly leaves out, and heads of one
    modality, which the release has not, may differ."""
    weights = weights_of(checkpoint)
    released = official_names(network)
    known = set(released.values())
    dropped = [n for n in weights if n not in known and n.startswith(NOT_NEEDED[layout_of(weights)])]
    ours = {theirs: our for our, theirs in released.items()}
    given = {ours.get(name, name): value for name, value in weights.items() if name not in dropped}
    own = {name: value for name, value in network.state_dict().items() if name in released}
    report = compare(own, given, dropped=dropped)
    report.require("released CAN")
    network.load_state_dict(given, strict=False)
    return report


def to_official(network: Released) -> dict[str, Tensor]:
    """The released state dict, in its order: whole where the network is, else without what it leaves out.

    Raises MienError for a network that the released code cannot have.
    """
    if network.config.width != 1:
        raise MienError(f"The released code has no such network: width must be 1; it is {network.config.width:g}.")
    own = network.state_dict()
    return {theirs: own[ours].detach() for ours, theirs in official_names(network).items()}
