"""From a config to what is trained: the stage with its system, its data, and the bundles that it starts from."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace

from mien.core.errors import MienError, nearest
from mien.core.labels import AFFECT, LabelSet
from mien.core.spec import Input, PictureInput, SoundInput, input_from_dict
from mien.data.datamodule import FaceDataModule
from mien.data.options import DataOptions
from mien.data.sounds import sound_augmentation
from mien.data.transforms import augmentation
from mien.engine.training.config import FitConfig
from mien.engine.training.starts import ways_to_start
from mien.media.bundles import bundle_folder
from mien.systems.bundle import load
from mien.systems.config import config_from
from mien.systems.mixing import Mixing
from mien.systems.registry import SYSTEMS, create_model, stage_class, system_class
from mien.systems.stage import Stage, StepOptions, step_seed
from mien.systems.system import System

log = logging.getLogger(__name__)


def build(config: FitConfig) -> tuple[Stage, FaceDataModule]:
    """The stage with its freshly initialised (or taken over) system, and its data with their index read."""
    kind = stage_class(config.system.name, config.stage.name)
    bundles = init_bundles(config.init, kind)
    started_from = _loaded(bundles)
    labels = config.data.target_labels() if kind.needs_labels else None
    system = _system(config, kind.system_name(config.system.name), labels, list(started_from.values()))
    _name_proxies(system, config.data)
    config = for_untrained(config) if kind.starts_from and not started_from else config
    step, epochs = step_options(config), config.trainer.epochs
    stage = kind(system, options=config.stage.options, optim=config.optim, step=step, epochs=epochs)
    _initialize(config, stage, bundles, started_from)
    data = FaceDataModule(config.data, system.data_inputs, labels)
    data.setup("fit")
    stage.class_counts = tuple(int(n) for n in data.class_counts) if labels is not None else ()
    stage.validation_samples = data.selection.val
    known = labels if kind.needs_labels else config.data.open().labels
    stage.class_names = known.classes if known is not None else ()
    return stage, data


def check_options(config: FitConfig) -> None:
    """Raises MienError for options that the system, its input, the stage or the augmentation do not take."""
    kind = stage_class(config.system.name, config.stage.name)
    name = kind.system_name(config.system.name)
    found = system_class(name)
    network = config_from(
        found.config_class, {**found.variants[SYSTEMS[name][1]], **config.system.options}, where=name
    )  # fmt: skip
    picture = next((each for each in found.default_inputs(network).values() if isinstance(each, PictureInput)), None)
    input_from_dict((picture or PictureInput()).to_dict() | config.input, key="--input")
    kind.options_from(config.stage.options)
    _check_mixing(config.data, kind, found.default_inputs(network))
    augmentation(config.data.augmentation, **config.data.augment)
    sound_augmentation(**config.data.sound)


def _check_mixing(data: DataOptions, kind: type[Stage], inputs: Mapping[str, Input]) -> None:
    """Raises MienError where mixed faces would have a wrong target or a box has no place."""
    given = next((name for name in ("mixup", "cutmix") if getattr(data, name)), None)
    if given and not kind.mixes:
        raise MienError(
            f"data.{given} blends the classes of two faces; the stage {kind.name} trains something else (points, "
            "pictures, codes or shapes), which two faces in one picture do not have. Leave it out."
        )
    sounds = [name for name, each in inputs.items() if isinstance(each, SoundInput)]
    if data.cutmix and sounds:
        raise MienError(
            f"data.cutmix pastes a box of a picture, which the input {sounds[0]} does not have. Use data.mixup, which "
            "blends pictures and sounds by one weight."
        )


def _loaded(bundles: Mapping[str, str]) -> dict[str, System]:
    """By role, without those that are random or not given."""
    return {role: load(bundle_folder(bundle)) for role, bundle in bundles.items() if bundle not in ("", "random")}


def _system(config: FitConfig, name: str, labels: LabelSet | None, started_from: Sequence[System]) -> System:
    """With weights that follow from the seed. Its picture is cut out as that of a network of the same kind that it
    starts from, and as the config says."""
    import torch

    options = config.system.options | ({"legacy": True} if config.legacy else {})
    torch.manual_seed(step_seed(config.trainer.seed, 0, 0))
    system = create_model(name, labels=labels, **options)
    framed = {} if config.data.crop_source == "box" else {"point_box": config.data.crop_source}
    if "image" in system.inputs:
        inherited = next((s.picture for s in started_from if s.name == system.name), system.picture)
        own_size = {"size": system.picture.size}
        values = inherited.to_dict() | own_size | framed | config.input
        system.inputs["image"] = input_from_dict(values, key="--input")
    elif config.input:
        raise MienError(
            f"{name} takes {' and '.join(system.inputs)}, no picture; leave input.{next(iter(config.input))} out."
        )
    return system


def _name_proxies(system: System, data: DataOptions) -> None:
    """Valence and arousal say what they are learned from, where nobody rated them."""
    for name, output in system.outputs.items():
        if output.kind == "values" and set(output.names) <= set(AFFECT):
            system.outputs[name] = replace(output, proxy=data.open().affect_proxy)


def step_options(config: FitConfig) -> StepOptions:
    """How a run of this config computes a step."""
    trainer, data = config.trainer, config.data
    mixing = Mixing(data.mixup, data.cutmix, data.mix_prob, data.mix_switch_prob, data.mix_off_epoch)
    return StepOptions(
        seed=trainer.seed, parts=trainer.accumulate, bf16=trainer.precision == "bf16", legacy=config.legacy,
        channels_last=trainer.channels_last, compile=trainer.compile, cuda_graph=trainer.cuda_graph,
        freeze_batch_norm=trainer.freeze_batch_norm, mixing=mixing,
    )  # fmt: skip


def init_bundles(init: str | Mapping[str, str], kind: type[Stage]) -> dict[str, str]:
    """The bundle of each role that the stage starts from: a name, "random", or "" where none is given.

    Raises MienError for a role that the stage does not have, and for one bundle where it has several roles.
    """
    roles = list(kind.starts_from)
    if isinstance(init, Mapping):
        for role in init:
            if role not in roles:
                way_out = nearest(role, roles) or " It starts from no bundle; leave it out."
                raise MienError(f"The stage {kind.name} has no --init.{role}.{way_out}")
        return {role: init.get(role, "") for role in roles}
    if init not in ("", "random") and not roles:
        raise MienError(f"The stage {kind.name} starts from no bundle; leave --init out.")
    if init not in ("", "random") and len(roles) > 1:
        options = " ".join(f"--init.{role} BUNDLE" for role in roles)
        raise MienError(f"The stage {kind.name} starts from {len(roles)} bundles: {options}; got --init {init}.")
    return dict.fromkeys(roles, init)


def named_bundles(init: str | Mapping[str, str]) -> dict[str, str]:
    """The bundles by role, without those that were not given or are random; the role of a single one is empty."""
    given = init if isinstance(init, Mapping) else {"": init}
    return {role: bundle for role, bundle in given.items() if bundle not in ("", "random")}


def for_untrained(config: FitConfig) -> FitConfig:
    """Of a run from random weights: without what only trained weights allow. They have no statistics to freeze, and all
    their layers have everything to learn."""
    changed = {"trainer.freeze_batch_norm": config.trainer.freeze_batch_norm,
               "optim.layer_decay": config.optim.layer_decay < 1}  # fmt: skip
    if not any(changed.values()):
        return config
    log.warning(
        "random weights: %s is for trained ones and is left out", " and ".join(k for k, v in changed.items() if v)
    )
    trainer = replace(config.trainer, freeze_batch_norm=False)
    return replace(config, trainer=trainer, optim=replace(config.optim, layer_decay=1.0))


def _initialize(
    config: FitConfig, stage: Stage, bundles: Mapping[str, str], started_from: Mapping[str, System]
) -> None:
    """Takes over the weights of the bundles; refuses random weights where the stage cannot use them."""
    for role, bundle in bundles.items():
        if role in started_from:
            stage.initialize(role, started_from[role])
        elif not bundle and (why := stage.needs_init(role)):
            raise MienError(why + ways_to_start(config, stage, role))
