"""The released files' names and ours, in both directions; which options of the network a released file states.

The released trainers write `saae.mdl`: a dict of arch, z_dim, input_size and state_dict. The whole network has 440
entries under Q, P, D_z, D, LMH and LMH_3D; the self-supervised one has the first four. Files of the parent, 3FabRec,
have the same names and shapes but were trained with ReLU: loaded as ParFace they would be wrong without a sign, so
without a depth head, which only ParFace has, the activation must be stated.
"""

import re
from collections.abc import Collection, Mapping
from typing import Any, cast

from torch import Tensor

from mien.core.errors import MienError, nearest
from mien.nn.initialisation import built_and_loaded
from mien.nn.resnet_ae import SIZES, ResNetEncoder, resnet18_names
from mien.nn.weights import LoadReport, compare, weights_of
from mien.systems.parface.network import ParFace
from mien.systems.registry import create_model

# Our part -> the released one, in the order of the released state dict.
PARTS = {
    "encoder": "Q", "decoder": "P", "latent_discriminator": "D_z", "discriminator": "D", "landmark_head": "LMH",
    "depth_head": "LMH_3D",
}  # fmt: skip
OURS = {theirs: ours for ours, theirs in PARTS.items()}
SELF_SUPERVISED = ("encoder", "decoder", "latent_discriminator", "discriminator")

# (our name inside a part, the released one): "#" is the place in our list, counted from 1. Encoder and depth head have
# torchvision's names, see nn/resnet_ae.py.
PATTERNS = {
    "decoder": (
        (r"linear\.", "fc."),
        (r"first_conv\.", "conv1."),
        (r"first_norm\.", "bn1."),
        (r"picture_conv\.", "lin."),
        (r"stages\.(\d+)\.shortcut_conv\.", "layer#.0.upsample.0."),
        (r"stages\.(\d+)\.shortcut_norm\.", "layer#.0.upsample.1."),
        (r"stages\.(\d+)\.norm", "layer#.0.bn"),
        (r"stages\.(\d+)\.conv", "layer#.0.conv"),
    ),
    "latent_discriminator": ((r"linear", "lin"),),
    "discriminator": ((r"layers\.", "main."),),
    "landmark_head": ((r"to_maps\.", "lin."), (r"transfers\.(\d+)\.", "t#.")),
}


def official_names(network: ParFace) -> dict[str, str]:
    """Our name -> the released one, in the released order. Without what the released code has no place for: lateral
    convolutions, visibility, calibration."""
    names: dict[str, str] = {}
    for part, module in network.parts().items():
        if part in ("encoder", "depth_head"):
            inner = resnet18_names(cast(ResNetEncoder, module))
        elif part in PATTERNS:
            inner = {name: found for name in module.state_dict() if (found := _translated(part, name))}
        else:
            continue
        names |= {f"{part}.{ours}": f"{PARTS[part]}.{theirs}" for ours, theirs in inner.items()}
    return names


def _translated(part: str, name: str) -> str | None:
    for pattern, template in PATTERNS[part]:
        if found := re.match(pattern, name):
            place = str(int(found[1]) + 1) if found.groups() else ""
            return template.replace("#", place) + name[found.end() :]
    return None


def renamed(network: ParFace, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Released names as ours where this network has such a name; every other name stays as it is."""
    ours = {theirs: our for our, theirs in official_names(network).items()}
    return {ours.get(name, name): value for name, value in weights.items()}


def load_official(network: ParFace, checkpoint: Mapping[str, Any], *, parts: Collection[str] = ()) -> LoadReport:
    """Puts a released file into `network`. parts: only these, such as SELF_SUPERVISED to begin a landmark stage with;
    what the file has besides is dropped knowingly. Without parts the file must fill the whole network.

    Raises MienError before anything is copied where a name is missing, unknown or of another shape.
    """
    weights = weights_of(checkpoint)
    for part in parts:
        if part not in PARTS:
            raise MienError(f"Released ParFace files have no part {part!r}.{nearest(part, PARTS)}")
    wanted = {PARTS[part] for part in parts} or set(OURS)
    foreign = [name for name in weights if name.split(".")[0] in OURS and name.split(".")[0] not in wanted]
    given = renamed(network, {name: value for name, value in weights.items() if name not in foreign})
    released = official_names(network)
    own = {ours: value for ours, value in network.state_dict().items() if ours in released}
    own = {ours: value for ours, value in own.items() if not parts or ours.split(".")[0] in parts}
    report = compare(own, given, dropped=foreign)
    report.require("released ParFace-Net")
    network.load_state_dict(given, strict=False)
    return report


def describe(checkpoint: Mapping[str, Any], *, activation: str | None = None) -> dict[str, Any]:
    """The options of `create_model` that a released file states: size, latent, points, heads, discriminators.

    activation: "leaky_relu" (ParFace) or "relu" (3FabRec); must be given for a file without depth head. Raises
    MienError where the file is another system's, or contradicts itself.
    """
    weights = weights_of(checkpoint)
    for name in ("Q.fc.weight", "Q.layer1.0.conv1.weight", "P.fc.weight"):
        if name not in weights:
            first = ", ".join(list(weights)[:3])
            raise MienError(f"Not a released ParFace or 3FabRec file: {name} is missing; it has {first}.")
    found = {name.split(".")[0] for name in weights}
    size = SIZES[("Q.layer0.0.conv1.weight" in weights) + ("Q.layer01.0.conv1.weight" in weights)]
    options: dict[str, Any] = {"size": size, "latent": len(weights["Q.fc.weight"])}
    options["heads"] = tuple(head for head, name in (("landmarks", "LMH"), ("depth", "LMH_3D")) if name in found)
    options["discriminators"] = tuple(d for d, name in (("latent", "D_z"), ("picture", "D")) if name in found)
    if "LMH.lin.weight" in weights:
        options["points"] = weights["LMH.lin.weight"].shape[1]
    for key, own in (("z_dim", "latent"), ("input_size", "size")):
        stated = checkpoint.get(key)
        if isinstance(stated, int) and stated != options[own]:
            raise MienError(f"The file states {key} {stated}, its weights are of {options[own]}: it is not whole.")
    options["activation"] = _activation(found, activation)
    return options


def _activation(found: Collection[str], stated: str | None) -> str:
    if stated is not None and stated not in ("leaky_relu", "relu"):
        raise MienError(f"activation cannot be {stated!r}.{nearest(stated, ('leaky_relu', 'relu'))}")
    if "LMH_3D" in found:
        if stated == "relu":
            raise MienError(
                "The file has a depth head, which only ParFace has: its activation is leaky_relu, not relu."
            )
        return "leaky_relu"
    if stated is None:
        raise MienError(
            "Nothing in this file tells ParFace and 3FabRec apart, and the wrong activation gives wrong numbers "
            "without a sign. State it: --activation leaky_relu for ParFace, --activation relu for 3FabRec."
        )
    return stated


def network_from_official(checkpoint: Mapping[str, Any], *, activation: str | None = None, **options: Any) -> ParFace:
    """The network of a released file, in eval mode, with legacy decoding.

    options: as for `create_model`: `legacy=False` reads between the pixels, heads=("landmarks",) leaves the depth head
    out, discriminators=() the discriminators. activation: see `describe`.
    """
    network, _ = converted(checkpoint, activation=activation, **options)
    return network


def converted(
    checkpoint: Mapping[str, Any], *, activation: str | None = None, **options: Any
) -> tuple[ParFace, LoadReport]:
    """As `network_from_official`, with the report of matched and knowingly dropped names."""
    described = describe(checkpoint, activation=activation)
    for name in ("heads", "discriminators"):
        if lacking := [value for value in options.get(name, ()) if value not in described[name]]:
            raise MienError(f"{name} asks for {lacking[0]!r}, which this released file does not have.")

    def build() -> ParFace:
        network = create_model("parface", **({"legacy": True} | described | options))
        assert isinstance(network, ParFace)
        return network.eval()

    def load(network: ParFace) -> LoadReport:
        return load_official(network, checkpoint, parts=[part for part in network.parts() if part in PARTS])

    return built_and_loaded(build, load)


def to_official(network: ParFace) -> dict[str, Tensor]:
    """The released state dict, in its order. Raises MienError for a network that the released code cannot have."""
    names, own = official_names(network), network.state_dict()
    extra = [name for name in own if name not in names and not name.startswith(("calibration", "visibility_head."))]
    if extra or network.config.width != 1 or network.config.head_layers != 3:
        why = f"it has {extra[0]}" if extra else "width must be 1 and head_layers 3"
        raise MienError(f"The released code has no such network: {why}.")
    return {theirs: own[ours].detach() for ours, theirs in names.items()}


def to_checkpoint(network: ParFace) -> dict[str, Any]:
    """What the released trainers save: torch.save it as `saae.mdl`."""
    arch = "Fabrec" if network.landmark_head is not None else "SAAE"
    config = network.config
    return {"arch": arch, "z_dim": config.latent, "input_size": config.size, "state_dict": to_official(network)}
