"""The released checkpoints' names and ours, in both directions, and what is in those files that never runs.

Four layouts are known, and each is recognised by its names: the whole classifier (747 entries), the face recogniser
`ir50.pth` (stages as `body1.0`, ... or all units as `body.0`, ...), the landmark network
`mobilefacenet_model_best.pth.tar`, and one cross-attention. The tables below stand in the order of the released files,
which is also the order of their optimisers' parameters.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from mien.core.errors import MienError
from mien.nn.attention import CrossAttention, relative_position_index
from mien.nn.initialisation import without_initialisation
from mien.nn.iresnet import IResNet
from mien.nn.mobilefacenet import MobileFaceNet
from mien.nn.weights import LoadReport, compare, load_weights, weights_of
from mien.systems.poster_v2.network import PosterV2
from mien.systems.registry import create_model

# Released name -> our name, of a module or of a single tensor; None where the released forward pass never goes.
Table = dict[str, str | None]

IR50_DEPTHS, LANDMARK_DEPTHS, VIT_DEPTH = (3, 4, 14), (4, 6, 2), 2
UNIT = {
    "shortcut_layer.0": "shortcut_conv", "shortcut_layer.1": "shortcut_norm", "res_layer.0": "norm1",
    "res_layer.1": "conv1", "res_layer.2": "act", "res_layer.3": "conv2", "res_layer.4": "norm2",
}  # fmt: skip
CONV_NORM = {"conv": "conv", "bn": "norm", "prelu": "act"}
BOTTLENECK = {"conv": "expand", "conv_dw": "depthwise", "project": "project"}
CROSS_ATTENTION: Table = {
    "relative_position_bias_table": "bias_table", "relative_position_index": "index", "qkv": "kv", "proj": "proj",
}  # fmt: skip
BLOCK = {
    "norm1": "norm1", "conv": None, "attn.qkv": "attention.qkv", "attn.proj": "attention.proj", "norm2": "norm2",
    "mlp.fc1": "mlp.fc1", "mlp.fc2": "mlp.fc2",
}  # fmt: skip

# Shapes of the released entries that never run, by module.
DEAD: dict[str, dict[str, tuple[int, ...]]] = {
    "ir_back.output_layer.0": {n: (512,) for n in ("weight", "bias", "running_mean", "running_var")},
    "ir_back.output_layer.3": {"weight": (512, 25088), "bias": (512,)},
    "ir_back.output_layer.4": {n: (512,) for n in ("weight", "bias", "running_mean", "running_var")},
    "VIT.patch_embed.proj": {"weight": (768, 256, 1, 1), "bias": (768,)},
    "VIT.eca_block.conv": {"weight": (1, 1, 5)},
    "VIT.CON1": {"weight": (768, 256, 1, 1)},
    "VIT.IRLinear1": {"weight": (768, 1024), "bias": (768,)},
    "VIT.IRLinear2": {"weight": (512, 768), "bias": (512,)},
    "VIT.blocks.0.conv": {"weight": (148, 148, 1), "bias": (148,)},
    "VIT.blocks.1.conv": {"weight": (148, 148, 1), "bias": (148,)},
}
for _norm in ("ir_back.output_layer.0", "ir_back.output_layer.4"):
    DEAD[_norm]["num_batches_tracked"] = ()


def _under(table: Mapping[str, str | None], theirs: str, ours: str) -> Table:
    return {theirs + name: None if our is None else ours + our for name, our in table.items()}


def ir50_table() -> Table:
    table: Table = {"input_layer.0": "stem_conv", "input_layer.1": "stem_norm", "input_layer.2": "stem_act"}
    table |= {"output_layer.0": None, "output_layer.3": None, "output_layer.4": None}
    for stage, depth in enumerate(IR50_DEPTHS):
        for unit in range(depth):
            table |= _under(UNIT, f"body{stage + 1}.{unit}.", f"stages.{stage}.{unit}.")
    return table


def mobilefacenet_table() -> Table:
    table = _under(CONV_NORM, "conv1.", "conv1.") | _under(CONV_NORM, "conv2_dw.", "conv2.")
    for stage, (down, keep) in enumerate((("conv_23", "conv_3"), ("conv_34", "conv_4"), ("conv_45", "conv_5"))):
        units = [down, *(f"{keep}.model.{i}" for i in range(LANDMARK_DEPTHS[stage]))]
        for unit, name in enumerate(units):
            for theirs, ours in BOTTLENECK.items():
                table |= _under(CONV_NORM, f"{name}.{theirs}.", f"stages.{stage}.{unit}.{ours}.")
    table |= _under(CONV_NORM, "conv_6_sep.", "features.") | _under(CONV_NORM, "output_layer.conv_6_dw.", "head.pool.")
    return table | {"output_layer.linear": "head.linear", "output_layer.bn": "head.norm"}


def poster_table() -> Table:
    table = _under(mobilefacenet_table(), "face_landback.", "landmark_net.")
    table |= {"VIT.cls_token": "vit.cls_token", "VIT.pos_embed": "vit.pos_embed"}
    table |= {"VIT.se_block.linear1": "vit.gate.linear1", "VIT.se_block.linear2": "vit.gate.linear2"}
    table |= {"VIT.patch_embed.proj": None, "VIT.head.linear": "vit.head", "VIT.eca_block.conv": None}
    table |= {"VIT.CON1": None, "VIT.IRLinear1": None, "VIT.IRLinear2": None}
    for i in range(VIT_DEPTH):
        table |= _under(BLOCK, f"VIT.blocks.{i}.", f"vit.blocks.{i}.")
    table |= {"VIT.norm": "vit.norm"} | _under(ir50_table(), "ir_back.", "trunk.")
    for k in (1, 2, 3):
        table |= _under(CROSS_ATTENTION, f"attn{k}.", f"fusions.{k - 1}.attention.")
    table |= {f"window{k}.norm": f"fusions.{k - 1}.norm1" for k in (1, 2, 3)}
    table |= {f"conv{k}": f"fusions.{k - 1}.down" for k in (1, 2, 3)}
    for k in (1, 2, 3):
        same = {name: name for name in ("gamma1", "gamma2", "mlp.fc1", "mlp.fc2")}
        table |= _under(same | {"norm": "norm2"}, f"ffn{k}.", f"fusions.{k - 1}.")
    table |= {"last_face_conv": "landmark_reduce", "embed_q.0": "embeds.0.0", "embed_q.1": "embeds.0.1"}
    return table | {"embed_k.0": "embeds.1", "embed_v.proj": "embeds.2"}


@dataclass(frozen=True)
class Layout:
    """One kind of released file."""

    what: str
    """For messages."""
    mark: str
    """A name that only it has."""
    table: Table
    """Published name → ours."""
    prefix: str = ""
    """Of its unused entries' names in DEAD."""

    def rename(self, name: str) -> tuple[bool, str | None]:
        """(known, our name); the name is None for what never runs."""
        if name in self.table:
            return True, self.table[name]
        module, _, leaf = name.rpartition(".")
        if module not in self.table or (self.table[module] is None and leaf not in DEAD[self.prefix + module]):
            return False, None
        ours = self.table[module]
        return True, None if ours is None else f"{ours}.{leaf}"


LAYOUTS = (
    Layout("POSTER V2", "VIT.cls_token", poster_table()),
    Layout("IR-50", "input_layer.0.weight", ir50_table(), prefix="ir_back."),
    Layout("MobileFaceNet", "conv_6_sep.conv.weight", mobilefacenet_table()),
    Layout("cross-attention", "relative_position_bias_table", CROSS_ATTENTION),
)


def _layout_of(weights: Mapping[str, Tensor]) -> Layout:
    for layout in LAYOUTS:
        if layout.mark in weights:
            return layout
    first = ", ".join(list(weights)[:3])
    raise MienError(
        f"Not a released file that poster_v2 knows (whole classifier, ir50, MobileFaceNet); it has {first}."
    )


def _split_stages(weights: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    """`body.n` as `body1.n`, `body2.n - 3`, `body3.n - 7`; and the names of the fourth stage, from 21 on, left out."""
    split: dict[str, Tensor] = {}
    dropped: list[str] = []
    first, second, third = IR50_DEPTHS
    for name, value in weights.items():
        found = re.match(r"body\.(\d+)\.(.*)", name)
        if not found:
            split[name] = value
        elif (unit := int(found[1])) >= first + second + third:
            dropped.append(name)
        else:
            stage, start = (1, 0) if unit < first else (2, first) if unit < first + second else (3, first + second)
            split[f"body{stage}.{unit - start}.{found[2]}"] = value
    return split, dropped


@cache
def _skeleton(what: str, outputs: int = 7) -> nn.Module:
    """The released arrangement without memory for its weights: names and shapes to compare with."""
    with torch.device("meta"):
        if what == "IR-50":
            return IResNet()
        if what == "MobileFaceNet":
            return MobileFaceNet()
        return create_model("poster_v2", num_classes=outputs, legacy=True)


def _built(layout: Layout, weights: Mapping[str, Tensor], *, device: str) -> nn.Module:
    """The block of those weights, on `device`: "meta" for shapes alone."""
    if layout.what == "cross-attention":
        table = weights["relative_position_bias_table"]
        with torch.device(device):
            return CrossAttention(
                len(weights["proj.bias"]), heads=table.shape[1], side=(int(len(table) ** 0.5) + 1) // 2
            )
    if device != "meta":
        return IResNet() if layout.what == "IR-50" else MobileFaceNet()
    return _skeleton(layout.what, len(weights.get("VIT.head.linear.bias", range(7))))


def from_official(checkpoint: Mapping[str, Any]) -> dict[str, Tensor]:
    """Our state dict for a released one (a whole checkpoint, its state dict, with or without `module.`).

    Entries that never run are dropped by name, position indices are checked and dropped. Raises MienError for any other
    name that is missing, unknown or of another shape, and where no layout fits.
    """
    return convert(checkpoint)[0]


def convert(checkpoint: Mapping[str, Any]) -> tuple[dict[str, Tensor], LoadReport]:
    """As `from_official`, with the report of matched and knowingly dropped names."""
    weights = weights_of(checkpoint)
    layout = _layout_of(weights)
    ours: dict[str, Tensor] = {}
    unknown: dict[str, Tensor] = {}
    dead: list[str] = []
    if layout.what == "IR-50":
        weights, dead = _split_stages(weights)
    for name, value in weights.items():
        known, our_name = layout.rename(name)
        if not known:
            unknown[name] = value
        elif our_name is None:
            dead.append(name)
        elif our_name.endswith("index"):
            _check_index(name, value)
            dead.append(name)
        else:
            ours[our_name] = value
    report = compare(_built(layout, weights, device="meta").state_dict(), ours | unknown, dropped=dead)
    report.require(f"released {layout.what}")
    return ours, report


def _check_index(name: str, index: Tensor) -> None:
    if not torch.equal(index, relative_position_index(int(len(index) ** 0.5))):
        raise MienError(f"{name}: not the position index of the released network; these weights mean something else.")


def network_from_official(checkpoint: Mapping[str, Any], **options: Any) -> nn.Module:
    """The network of a released file, in eval mode: a PosterV2 with legacy behaviour, or the block that the file holds.

    options: as for `create_model` (`labels`, `inputs`, `legacy=False` for our behaviour on the released weights).
    Without num_classes the head's width is taken; a smaller num_classes reads the first ones of a wider head.
    """
    weights, ours = weights_of(checkpoint), from_official(checkpoint)
    layout = _layout_of(weights)
    if layout.what != "POSTER V2":
        with without_initialisation():
            block = _built(layout, weights, device=str(next(iter(weights.values())).device))
        load_weights(block, ours, where=layout.what)
        return block.eval()
    width = len(ours["vit.head.bias"])
    if "labels" not in options:
        options.setdefault("num_classes", width)
    if (asked := options.get("num_classes", 0)) > width:
        raise MienError(
            f"This released POSTER V2 tells {width} classes apart; num_classes {asked} is more. Leave it out."
        )
    options = {"legacy": True, "head_width": width} | options
    with without_initialisation():
        network = create_model("poster_v2", **options)
    assert isinstance(network, PosterV2)
    if not network.config.legacy:
        ours = {name: value for name, value in ours.items() if not name.startswith("landmark_net.head.")}
    load_weights(network, ours, where="released POSTER V2")
    return network.eval()


def load_backbone(network: PosterV2, checkpoint: Mapping[str, Any]) -> LoadReport:
    """Puts a released `ir50.pth` or landmark network into `network`, whichever it is, and returns the report."""
    ours, report = convert(checkpoint)
    what = _layout_of(weights_of(checkpoint)).what
    if what == "IR-50":
        load_weights(network.trunk, ours, where="IR-50")
    elif what == "MobileFaceNet":
        network.load_landmark_net(ours)
    else:
        raise MienError(f"load_backbone takes ir50.pth or the landmark network; this is {what}.")
    return report


def to_official(module: nn.Module) -> dict[str, Tensor]:
    """The released layout's state dict, in its order, for a PosterV2 or one of its blocks in the released arrangement.

    What never runs is not kept by us and is made up: zeros, and ones for norm weights and variances. It fills the names
    that the released code loads strictly and changes no output. Raises MienError for another arrangement.
    """
    layout = next((each for each in LAYOUTS if isinstance(module, _CLASSES[each.what])), None)
    if layout is None:
        raise MienError(f"to_official knows PosterV2 and its blocks; got {type(module).__name__}.")
    own = {name: value.detach() for name, value in module.state_dict().items()}
    if layout.what != "cross-attention":
        outputs = len(own["vit.head.bias"]) if "vit.head.bias" in own else 7
        released = _skeleton(layout.what, outputs).state_dict()
        headless = {name: _neutral(name, t.shape) for name, t in released.items() if ".head." in f".{name}"}
        own = {**{name: value for name, value in headless.items() if not name.startswith("vit.")}, **own}
        compare(released, own).require("to_official needs the released arrangement")
    own |= {f"{path}.index".lstrip("."): m.index for path, m in module.named_modules() if isinstance(m, CrossAttention)}
    return _arranged(layout, own)


_CLASSES = {"POSTER V2": PosterV2, "IR-50": IResNet, "MobileFaceNet": MobileFaceNet, "cross-attention": CrossAttention}


def _arranged(layout: Layout, own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    modules: dict[str, dict[str, Tensor]] = {}
    for name, value in own.items():
        path, _, leaf = name.rpartition(".")
        modules.setdefault(path, {})[leaf] = value
    theirs: dict[str, Tensor] = {}
    for name, our in layout.table.items():
        if our is None:
            theirs |= {f"{name}.{leaf}": _neutral(leaf, s) for leaf, s in DEAD[layout.prefix + name].items()}
        elif our in own:
            theirs[name] = own[our]
        else:
            theirs |= {f"{name}.{leaf}": value for leaf, value in modules.get(our, {}).items()}
    return theirs


def _neutral(name: str, shape: Iterable[int]) -> Tensor:
    leaf, shape = name.rpartition(".")[2], tuple(shape)
    if leaf == "num_batches_tracked":
        return torch.zeros(shape, dtype=torch.int64)
    ones = leaf == "running_var" or (leaf == "weight" and len(shape) == 1)
    return torch.ones(shape) if ones else torch.zeros(shape)


def parameter_names(num_classes: int = 7) -> list[str]:
    """Names of the released network's parameters in the order in which its optimiser numbers them."""
    own = dict(_skeleton("POSTER V2", num_classes).state_dict())
    buffers = ("running_mean", "running_var", "num_batches_tracked")
    return [name for name in _arranged(LAYOUTS[0], own) if not name.endswith(buffers)]
