"""The systems by name: `create_model`, `list_models`. A dict, to be read in one place; listing them needs no torch."""

from dataclasses import asdict, fields
from importlib import import_module
from typing import TYPE_CHECKING, Any

from mien.core.errors import MienError, nearest
from mien.core.labels import LabelSet, label_set
from mien.core.spec import InputSpec

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
}


def list_models() -> list[str]:
    """Names that `create_model` knows."""
    return list(SYSTEMS)


def system_class(name: str) -> "type[System]":
    """The class behind a registered name. Raises MienError for a name that is not registered."""
    if name not in SYSTEMS:
        raise MienError(f"No system {name!r}.{nearest(name, SYSTEMS)}")
    module, attribute = SYSTEMS[name][0].split(":")
    found: type[System] = getattr(import_module(module), attribute)
    return found


def create_model(
    name: str, *, labels: LabelSet | str | None = None, input_spec: InputSpec | None = None, **options: Any
) -> "System":
    """A freshly initialised system; no file is read.

    options: fields of the system's config (`num_classes`, `legacy`, ...). labels: a LabelSet or the name of a published
    order; without it the classes are called `class_0`, `class_1`, ... Raises MienError for an unknown name or option,
    and where labels and num_classes disagree.
    """
    from mien.systems.system import config_from

    found = system_class(name)
    if isinstance(labels, str):
        labels = label_set(labels)
    if labels is not None and any(f.name == "num_classes" for f in fields(found.config_class)):
        options.setdefault("num_classes", len(labels))
    config = config_from(found.config_class, {**found.variants[SYSTEMS[name][1]], **options}, where=name)
    labels = labels or found.default_labels(config)
    return _built(name, config, input_spec=input_spec or found.default_input(config), labels=labels)


def system_from_config(name: str, config: dict[str, Any], *, input_spec: InputSpec, labels: LabelSet) -> "System":
    """The system that a bundle describes: `config` is whole, no variant is merged in."""
    from mien.systems.system import config_from

    return _built(
        name, config_from(system_class(name).config_class, config, where=name), input_spec=input_spec, labels=labels
    )


def _built(name: str, config: Any, *, input_spec: InputSpec, labels: LabelSet) -> "System":
    """The system, once its outputs and its labels agree."""
    found = system_class(name)
    own = found.default_labels(config)
    outputs = len(own)
    if len(labels) != outputs and not hasattr(config, "num_classes"):
        raise MienError(f"{name} gives {own.name}, {outputs} of them, not the {len(labels)} classes of {labels.name}.")
    if len(labels) != outputs:
        raise MienError(f"{name}: num_classes is {outputs} but {labels.name} has {len(labels)} classes.")
    return found(config, input_spec=input_spec, labels=labels)


def stage_class(system: str, stage: str) -> "type[Stage]":
    """The stage of that name, from the STAGES of the system's `stages.py`. Needs lightning."""
    system_class(system)
    package = SYSTEMS[system][0].split(":")[0].rpartition(".")[0]
    stages: dict[str, type[Stage]] = import_module(f"{package}.stages").STAGES
    if stage not in stages:
        raise MienError(f"{system} has no stage {stage!r}.{nearest(stage, stages)}")
    return stages[stage]


def config_dict(system: "System") -> dict[str, Any]:
    """The system's config as plain values: what `system_from_config` takes."""
    return asdict(system.config)
