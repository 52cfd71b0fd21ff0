"""The released names of DDAMFN's and If3D's files and ours, in both directions, and what in those files never runs.

Known are the face recogniser `MFN_msceleb` (MixedFeatureNet with its identity head), the classifiers of one stream with
their trunk as `features`, and the four fusions with `orig_features` and `smirk_features`, or one `features` in the
linear one. The tables stand in the order of the released files.
"""

import re
from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn

from mien.core.errors import MienError
from mien.nn.ddamfn import DualDirectionHeads, MixedFeatureNet
from mien.nn.weights import LoadReport, compare, weights_of
from mien.systems.if3d.network import Ddamfn, If3D
from mien.systems.registry import create_model

# Released module -> our module; None for one that never runs.
Table = dict[str, str | None]

CONV_NORM: Table = {"conv": "conv", "bn": "norm", "prelu": "act"}
COORDINATE: Table = {"conv1": "squeeze", "bn1": "norm", "conv2": "rows", "conv3": "columns"}
STAGES = ((2, 3), (4, 5), (6, 7))  # places of the halving bottleneck and of the residual ones, stage by stage
CHILDREN = ("conv1", "conv2_dw", "conv_23", "conv_3", "conv_34", "conv_4", "conv_45", "conv_5", "conv_6_sep")
FUSION_MARKS = {"gate_fusion.gate_fc.0.weight": "gate", "attention_fusion.query_conv.weight": "attention"}
PARAMETERS_OF_3D = 358  # pose, shape, expression, lids and jaw: what a layer that no forward pass reaches expects


def _under(table: Mapping[str, str | None], theirs: str, ours: str) -> Table:
    return {theirs + name: None if our is None else ours + our for name, our in table.items()}


def _bottleneck(kernels: int) -> Table:
    mixed: Table = {f"conv_dw.mixed_depthwise_conv.{i}": f"depthwise.convs.{i}" for i in range(kernels)}
    table = _under(CONV_NORM, "conv.", "expand.") | mixed | {"conv_dw.bn": None, "conv_dw.prelu": None}
    table |= _under(COORDINATE, "CA.", "attention.")
    return table | {"project.conv": "project.conv", "project.bn": "project.norm"}


def trunk_table(trunk: MixedFeatureNet, *, theirs: str, ours: str) -> Table:
    """Of a trunk whose nine parts are called `theirs` + their place."""
    table = _under(CONV_NORM, f"{theirs}0.", "conv1.") | _under(CONV_NORM, f"{theirs}1.", "conv2.")
    for number, (stage, (down, keep)) in enumerate(zip(trunk.stages, STAGES, strict=True)):
        for place, unit in enumerate(cast(nn.Sequential, stage)):
            name = f"{theirs}{down}." if place == 0 else f"{theirs}{keep}.model.{place - 1}."
            kernels = len(cast(Any, unit).depthwise.convs)
            table |= _under(_bottleneck(kernels), name, f"stages.{number}.{place}.")
    table |= _under(CONV_NORM, f"{theirs}8.", "features.")
    return _under(table, "", ours)


def recogniser_table(trunk: MixedFeatureNet) -> Table:
    """Of the whole MixedFeatureNet, whose parts have names."""
    numbered = trunk_table(trunk, theirs="#", ours="")
    named: Table = {
        re.sub(r"#(\d)", lambda found: CHILDREN[int(found[1])], name): our for name, our in numbered.items()
    }
    return named | {
        "conv_6_dw.conv": "head.pool.conv", "conv_6_dw.bn": "head.pool.norm",
        "linear": "head.linear", "bn": "head.norm",
    }  # fmt: skip


def _heads_table(heads: DualDirectionHeads) -> Table:
    table: Table = {}
    for i in range(len(heads)):
        theirs, ours = f"cat_head{i}.CoordAtt.", f"heads.{i}."
        for line, own in (("Linear_h", "along_rows"), ("Linear_w", "along_columns")):
            table |= {f"{theirs}{line}.conv": f"{ours}{own}.0", f"{theirs}{line}.bn": f"{ours}{own}.1"}
        table |= _under(COORDINATE, theirs, f"{ours}coordinate.")
        table |= {f"{theirs}Linear.conv": None, f"{theirs}Linear.bn": None}
    return table


def network_table(network: Ddamfn | If3D) -> Table:
    """Of a network in the released arrangement (`legacy`)."""
    if isinstance(network, Ddamfn):
        table = trunk_table(network.trunk, theirs="features.", ours="trunk.") | _heads_table(network.heads)
        table |= {"Linear.conv": "pool.conv", "Linear.bn": "pool.norm", "fc": "classifier.output", "bn": None}
        return table
    fusion = network.config.fusion
    if network.config.one_trunk:
        table = trunk_table(network.trunk, theirs="features.", ours="trunk.")
    else:
        table = trunk_table(network.trunk, theirs="orig_features.", ours="trunk.")
        table |= trunk_table(network.render_trunk, theirs="smirk_features.", ours="render_trunk.")
    pool = "fusion.pool" if fusion == "linear" else "fusion.local"
    table |= _heads_table(network.heads) | {"Linear.conv": f"{pool}.conv", "Linear.bn": f"{pool}.norm"}
    if fusion == "attention":
        table |= {f"attention_fusion.{name}_conv": f"fusion.{name}" for name in ("query", "key", "value")}
    elif fusion == "gate":
        table["gate_fusion.gate_fc.0"] = "fusion.gate"
    elif fusion == "linear":
        table["Smirk_Linear"] = None
    for i in range(len(network.classifier.layers)):
        table |= {f"fc{i + 1}": f"classifier.layers.{i}.0", f"bn{i + 1}": f"classifier.layers.{i}.1"}
    return table | {"output": "classifier.output"}


def renamed(table: Table, weights: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    """The weights under our names, unknown ones as they are; and the released names of what never runs."""
    ours: dict[str, Tensor] = {}
    dead: list[str] = []
    for name, value in weights.items():
        module, _, leaf = name.rpartition(".")
        our = table.get(module, module)
        if our is None:
            dead.append(name)
        else:
            ours[f"{our}.{leaf}"] = value
    return ours, dead


def describe(weights: Mapping[str, Tensor]) -> tuple[str, dict[str, Any]]:
    """(system, options) of a released classifier, by its names and shapes. Raises MienError for another file."""
    heads = len({name.split(".")[0] for name in weights if name.startswith("cat_head")})
    if not heads:
        raise MienError(f"Not a classifier of DDAMFN or If3D: it has {', '.join(list(weights)[:3])}.")
    if "fc.weight" in weights:
        return "ddamfn", {"heads": heads, "affect": False, "num_classes": len(weights["fc.weight"])}
    if "output.weight" not in weights:
        raise MienError("Not a whole classifier of If3D: its layer `output` is missing.")
    marks = [fusion for name, fusion in FUSION_MARKS.items() if name in weights]
    rest = "spp" if "orig_features.0.conv.weight" in weights else "linear"
    classes = len(weights["output.weight"]) - 2
    return "if3d", {"heads": heads, "fusion": marks[0] if marks else rest, "num_classes": classes}


def converted(checkpoint: Mapping[str, Any], **options: Any) -> tuple[Ddamfn | If3D, LoadReport]:
    """The network of a released classifier, in eval mode with the released behaviour, and the report of its names.

    options: as for `create_model`
    (labels, inputs). Raises MienError where a name is missing, unknown or of another shape.
    """
    weights = weights_of(checkpoint)
    name, stated = describe(weights)
    if "labels" in options:
        stated.pop("num_classes")
    network = create_model(name, **{"legacy": True, **stated, **options})
    assert isinstance(network, Ddamfn | If3D)
    ours, dead = renamed(network_table(network), weights)
    report = compare(_unique(network), ours, dropped=dead)
    report.require(f"released {network.name}")
    network.load_state_dict(ours, strict=False)  # strict in `require`; a shared trunk has two names
    return network.eval(), report


def _unique(network: nn.Module) -> dict[str, Tensor]:
    """The state dict without a second name for the same tensor: the linear fusion has one trunk under two."""
    found: dict[str, Tensor] = {}
    shared = isinstance(network, If3D) and network.config.one_trunk
    for name, value in network.state_dict().items():
        if not (shared and name.startswith("render_trunk.")):
            found[name] = value
    return found


def recogniser_from_official(checkpoint: Mapping[str, Any]) -> tuple[MixedFeatureNet, LoadReport]:
    """MixedFeatureNet with its identity head, from a state dict with the names of the released module."""
    weights = weights_of(checkpoint)
    network = MixedFeatureNet(embedding=len(weights["linear.weight"]) if "linear.weight" in weights else 256)
    ours, dead = renamed(recogniser_table(network), weights)
    report = compare(network.state_dict(), ours, dropped=dead)
    report.require("released MixedFeatureNet")
    network.load_state_dict(ours)
    return network.eval(), report


def to_official(network: Ddamfn | If3D) -> dict[str, Tensor]:
    """The released layout's state dict, in its order, of a network in the released arrangement.

    What never runs is not kept by us and is made up: zeros, and ones for norm weights and variances; it changes no
    output. Raises MienError for another arrangement.
    """
    if not network.config.legacy:
        raise MienError("to_official needs a network with legacy=True: ours has another classifier and fusion.")
    modules: dict[str, dict[str, Tensor]] = {}
    for name, value in _unique(network).items():
        path, _, leaf = name.rpartition(".")
        modules.setdefault(path, {})[leaf] = value.detach()
    theirs: dict[str, Tensor] = {}
    for module, our in network_table(network).items():
        leaves = _dead(module, network, theirs) if our is None else modules[our]
        theirs |= {f"{module}.{leaf}": value for leaf, value in leaves.items()}
    return theirs


def _dead(module: str, network: Ddamfn | If3D, before: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Made-up weights of a module that never runs. before: the released entries up to it."""
    features, side = network.config.features, network.config.side
    if module == "Smirk_Linear":
        return {"weight": torch.zeros(features, PARAMETERS_OF_3D)}
    if module.endswith("Linear.conv"):
        return {"weight": torch.zeros(features, 1, side, side)}
    if module.endswith("conv_dw.bn") or module.endswith("conv_dw.prelu"):
        mixed = module.rpartition(".")[0] + ".mixed_depthwise_conv."
        channels = sum(len(value) for name, value in before.items() if name.startswith(mixed))
        if module.endswith("prelu"):
            return {"weight": torch.full((channels,), 0.25)}
    else:
        channels = network.config.num_classes if module == "bn" else features
    return dict(nn.BatchNorm2d(channels).state_dict())
