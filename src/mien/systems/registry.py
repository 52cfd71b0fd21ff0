"""The systems by name: `create_model`, `list_models`. A dict, to be read in one place; listing them needs no torch."""

from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from typing import TYPE_CHECKING, Any, Literal

from mien.core.bundle import BundleInfo
from mien.core.errors import MienError, nearest, one_line
from mien.core.extras import imported, missing_text
from mien.core.labels import LabelSet, label_set
from mien.core.spec import Input, Output
from mien.core.typed import checked
from mien.media.bundles import shipped_names
from mien.systems.config import MOST_WEIGHTS, bounded_network, config_from

if TYPE_CHECKING:
    from mien.systems.stage import Stage
    from mien.systems.system import System

# name -> ("module:class", the variant of its config: a key of the class's `variants`)
SYSTEMS: dict[str, tuple[str, str]] = {
    "poster_v2": ("mien.systems.poster_v2.network:PosterV2", "base"),
    "poster_v2_small": ("mien.systems.poster_v2.network:PosterV2", "small"),
    "poster_v2_landmarks": ("mien.systems.poster_v2.landmarks:PosterV2Landmarks", "base"),
    "poster_v2_landmarks_small": ("mien.systems.poster_v2.landmarks:PosterV2Landmarks", "small"),
    "parface": ("mien.systems.parface.network:ParFace", "base"),
    "parface_3d": ("mien.systems.parface.network:ParFace", "3d"),
    "parface_small": ("mien.systems.parface.network:ParFace", "small"),
    "parface_small_3d": ("mien.systems.parface.network:ParFace", "small_3d"),
    "parface_autoencoder": ("mien.systems.parface.network:ParFace", "autoencoder"),
    "ddamfn": ("mien.systems.if3d.network:Ddamfn", "base"),
    "ddamfn_small": ("mien.systems.if3d.network:Ddamfn", "small"),
    "if3d": ("mien.systems.if3d.network:If3D", "base"),
    "if3d_small": ("mien.systems.if3d.network:If3D", "small"),
    "smirk": ("mien.systems.smirk.network:Smirk", "base"),
    "smirk_small": ("mien.systems.smirk.network:Smirk", "small"),
    "smirk_points": ("mien.systems.smirk.network:Smirk", "points"),
    "can": ("mien.systems.can.network:Can", "base"),
    "can_product": ("mien.systems.can.network:Can", "product"),
    "can_face": ("mien.systems.can.autoencoders:FaceVaeGan", "base"),
    "can_voice": ("mien.systems.can.autoencoders:VoiceVaeGan", "base"),
    "can_face_expression": ("mien.systems.can.network:FaceExpression", "base"),
    "stylegan2": ("mien.systems.ifer.generator:StyleGan2", "base"),
    "stylegan2_small": ("mien.systems.ifer.generator:StyleGan2", "small"),
    "asit": ("mien.systems.ifer.inversion:Asit", "base"),
    "asit_small": ("mien.systems.ifer.inversion:Asit", "small"),
    "ifer": ("mien.systems.ifer.network:Ifer", "base"),
    "ifer_small": ("mien.systems.ifer.network:Ifer", "small"),
}


def list_models(kind: Literal["all", "systems", "bundles"] = "all") -> list[str]:
    """Names of systems, which `create_model` builds untrained, then of the bundles that ship, which are trained.

    `load`, `Analyzer` and every command take the name of a bundle. Raises MienError for another kind.
    """
    if kind not in ("all", "systems", "bundles"):
        raise MienError(f"Kinds of models are 'all', 'systems' and 'bundles'; got {kind!r}.")
    return [*(SYSTEMS if kind != "bundles" else ()), *(shipped_names() if kind != "systems" else ())]


def system_class(name: str) -> "type[System]":
    """The class behind a registered name. Raises MienError for a name that is not registered."""
    if name not in SYSTEMS:
        if name in shipped_names():
            raise MienError(f"{name} is a trained bundle, not a system: mien.load({name!r}), mien.Analyzer({name!r}).")
        raise MienError(f"No system {name!r}.{nearest(name, SYSTEMS)}")
    try:
        found: type[System] = imported(SYSTEMS[name][0])
    except ImportError as error:
        raise MienError(missing_text(error, f"Building {name}") or one_line(error)) from error
    return found


def create_model(
    name: str,
    *,
    labels: LabelSet | str | Mapping[str, LabelSet | str] | None = None,
    inputs: Mapping[str, Input] | None = None,
    **options: Any,
) -> "System":
    """A freshly initialised system; no file is read.

    options: fields of the system's config (`num_classes`, `legacy`, ...). labels: a LabelSet or the name of a published
    order for every output of classes, or one for each by name; without it the classes are called `class_0`, ...
    inputs: by name, where they differ from the system's own. Raises MienError for an unknown name or option, and where
    labels and num_classes disagree.
    """
    found = system_class(checked(name, str, key="The name of a system"))
    given = _label_sets(labels)
    has_count = any(field.name == "num_classes" for field in fields(found.config_class))
    if has_count and len({len(order) for order in given.values()}) == 1:
        options.setdefault("num_classes", len(next(iter(given.values()))))
    config = config_from(found.config_class, {**found.variants[SYSTEMS[name][1]], **options}, where=name)
    with bounded_network(name, config):
        outputs = _labelled(name, found.default_outputs(config), given)
        return found(config, inputs=_known_inputs(found, config, inputs or {}), outputs=outputs)


def system_from_info(info: BundleInfo, *, weights: int = MOST_WEIGHTS) -> "System":
    """The system that a bundle describes, with fresh weights: `info.config` is whole, no variant is merged in.

    weights: how many there are at most, from the length of their file. Raises MienError for a config that asks for more
    or that no network has.
    """
    found = system_class(info.system)
    config = config_from(found.config_class, info.config, where=info.system)
    given = {name: output.labels for name, output in info.outputs.items() if output.labels is not None}
    with bounded_network(info.system, config, weights=weights):
        outputs = _labelled(info.system, found.default_outputs(config), given)
        if missing := info.outputs.keys() - outputs.keys():
            raise MienError(f"{info.system} with this config gives {', '.join(outputs)}, not {sorted(missing)[0]!r}.")
        proxies = {name: replace(outputs[name], proxy=output.proxy) for name, output in info.outputs.items()}
        outputs |= {name: output for name, output in proxies.items() if output.proxy}
        return found(config, inputs=_known_inputs(found, config, info.inputs), outputs=outputs)


def _label_sets(labels: LabelSet | str | Mapping[str, LabelSet | str] | None) -> dict[str, LabelSet]:
    """By output; "" stands for every output of classes."""
    if labels is None:
        return {}
    by_output = labels if isinstance(labels, Mapping) else {"": labels}
    return {name: label_set(order) if isinstance(order, str) else order for name, order in by_output.items()}


def _labelled(name: str, outputs: Mapping[str, Output], given: Mapping[str, LabelSet]) -> dict[str, Output]:
    """The outputs with their orders of classes. Raises MienError where an order does not fit, or has no output."""
    classes = [output for output, about in outputs.items() if about.kind == "classes"]
    for output in given:
        if output and output not in classes:
            raise MienError(f"{name} has no output of classes {output!r}.{nearest(output, classes)}")
    if given and not classes:
        raise MienError(f"{name} gives {', '.join(outputs)} and no classes, so it takes no labels.")
    labelled = dict(outputs)
    for output in classes:
        order, count = given.get(output) or given.get(""), len(outputs[output].names)
        if order is None:
            continue
        if len(order) != count:
            raise MienError(f"{name}: num_classes is {count} but {order.name} has {len(order)} classes.")
        labelled[output] = Output.classes(order)
    return labelled


def _known_inputs(found: "type[System]", config: Any, given: Mapping[str, Input]) -> dict[str, Input]:
    """The system's inputs, those that are given in place of its own."""
    own = found.default_inputs(config)
    for name, value in given.items():
        if name not in own:
            raise MienError(f"{found.name} has no input {name!r}.{nearest(name, own)}")
        if type(value) is not type(own[name]):
            raise MienError(f"{found.name}: the input {name!r} is a {type(own[name]).__name__}; got {value!r}.")
    return own | dict(given)


def stage_class(system: str, stage: str) -> "type[Stage]":
    """The stage of that name, from the STAGES of the system's `stages.py`. Needs lightning."""
    system_class(system)
    package = SYSTEMS[system][0].split(":")[0].rpartition(".")[0]
    stages: dict[str, type[Stage]] = imported(f"{package}.stages:STAGES")
    if stage not in stages:
        raise MienError(f"{system} has no stage {stage!r}.{nearest(stage, stages)}")
    return stages[stage]


def config_dict(system: "System") -> dict[str, Any]:
    """The system's config as plain values: what `BundleInfo.config` holds."""
    return asdict(system.config)
