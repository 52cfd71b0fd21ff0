"""The options of `mien fit`: YAML files, then dotted overrides, into one frozen FitConfig. No torch is imported here.

    fit poster_v2/rafdb.yaml my_changes.yaml --data.root datasets/rafdb --trainer.epochs 20

Later files and overrides win, key by key. A key that does not exist is refused with the nearest one that does.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, cast, get_type_hints

from mien.cli.field_docs import field_texts
from mien.cli.grammar import call, values_of
from mien.cli.option_keys import unknown_option
from mien.cli.parameters import OptionsFrom, Parameter, section
from mien.cli.values import check_keys, checked, dotted_keys, merged, nested
from mien.core.errors import MienError, nearest
from mien.core.options import at_least, check_choices, check_rules
from mien.data.options import DataOptions
from mien.engine.training.config_lines import located
from mien.media.files import home_expanded
from mien.media.yaml_text import read_yaml, yaml_of
from mien.systems.optim import OptimOptions
from mien.systems.registry import SYSTEMS, stage_class, system_class

MAX_SEEDS = 1000
_CHAIN = "/chain"  # how the name of a packaged chain ends
SYSTEM, STAGE, AUGMENT, SOUND = "system.options", "stage.options", "data.augment", "data.sound"


@dataclass(frozen=True)
class SystemOptions:
    """The network to train."""

    name: str = "poster_v2"
    """Registered name of the system; `mien models` lists all."""
    options: dict[str, Any] = field(default_factory=dict)
    """Fields of the system's config, `--system.options.KEY VALUE`; `mien fit CONFIG --help` lists them."""


@dataclass(frozen=True)
class StageOptions:
    """The training objective."""

    name: str = "expression"
    """Stage of the system: landmarks or expression of poster_v2, self_supervised to depth of parface."""
    options: dict[str, Any] = field(default_factory=dict)
    """Fields of the stage's options, `--stage.options.KEY VALUE`; `mien fit CONFIG --help` lists them."""


@dataclass(frozen=True)
class TrainerOptions:
    """Duration, seeds, device and checkpoints of a run."""

    epochs: int = 200
    """Largest number of epochs, at least 1."""
    patience: int = 0
    """Epochs without a better validation score after which training stops; 0 never stops early."""
    keep: Literal["best", "last"] = "best"
    """Epoch that the bundle is of: best by the stage's monitor, or last, for short fine-tunings with a falling learning
    rate, whose few validation faces cannot tell the epochs apart."""
    seed: int = 0
    """Seed of initial weights and dropout; data.seed is that of split, order and augmentation."""
    seeds: int | list[int] = 0
    """Repeat the run with seeds 0..n-1 (a number n) or with the seeds of a list, each also as data.seed, and print mean
    and standard deviation; 0 is a single run."""
    soup: int = 0
    """Train so many members, which share the split and differ in their seed, and average their weights into one bundle
    (Wortsman et al., ICML 2022): for fine-tuning; 0 is a single run, 2 or more are averaged."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Device of the network; auto takes a GPU where there is one."""
    devices: int = 1
    """Processes on this machine, one for each GPU; torchrun sets it."""
    nodes: int = 1
    """Machines that train together; torchrun sets it."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """fp32, or bf16 for autocast to bfloat16: less memory and faster on recent GPUs."""
    accumulate: int = 1
    """Parts in which the gradient of a batch is accumulated; more parts need less memory."""
    checkpoint_steps: int = 0
    """Optimiser steps between checkpoints within an epoch; 0 for none by steps."""
    checkpoint_minutes: float = 10.0
    """Minutes between checkpoints within an epoch; 0 for none by time."""
    compile: bool = False
    """Compile the network with torch.compile."""
    cuda_graph: bool = False
    """Record the network's passes on the first batch as CUDA graphs and replay them: faster where a GPU waits for the
    processor to launch many small kernels. A smaller batch, such as an epoch's last one, runs as usual."""
    freeze_batch_norm: bool = False
    """BatchNorm keeps the statistics that it came with: for fine-tuning on few images."""
    channels_last: bool = True
    """Store images and convolution weights channels last, which is faster on most devices."""
    progress: bool = True
    """Show a progress bar on a terminal."""

    def __post_init__(self) -> None:
        rules = at_least(self, 1, "epochs", "accumulate", "devices", "nodes")
        rules |= at_least(self, 0, "patience", "seed", "checkpoint_steps", "checkpoint_minutes")
        rules["soup"] = (self.soup == 0 or 2 <= self.soup <= MAX_SEEDS, f"0 or in 2..{MAX_SEEDS}")
        check_choices(self, "trainer.")
        check_rules(self, "trainer.", rules)
        count = self.seeds if isinstance(self.seeds, int) else len(self.seeds)
        if not 0 <= count <= MAX_SEEDS or (isinstance(self.seeds, list) and min(self.seeds, default=0) < 0):
            raise MienError(f"trainer.seeds is 0 to {MAX_SEEDS} seeds, each 0 or above; got {self.seeds!r:.80}.")
        if isinstance(self.seeds, list) and len(set(self.seeds)) < count:
            raise MienError(f"trainer.seeds names a seed twice, which is one run; got {self.seeds!r:.80}.")

    @property
    def repeated(self) -> tuple[int, ...]:
        """The seeds of repeated runs; empty for a single run."""
        return tuple(range(self.seeds)) if isinstance(self.seeds, int) else tuple(self.seeds)


@dataclass(frozen=True)
class FitConfig:
    """A training run."""

    system: SystemOptions = field(default_factory=SystemOptions)
    """Network."""
    stage: StageOptions = field(default_factory=StageOptions)
    """Training objective."""
    input: dict[str, Any] = field(default_factory=dict)
    """Fields of the network's input that replace the system's own, such as fit, box_scale and box_shift."""
    data: DataOptions = field(default_factory=DataOptions)
    """Data set, split, augmentation and loading."""
    optim: OptimOptions = field(default_factory=OptimOptions)
    """Optimiser, learning-rate schedule, SAM, gradient clipping and weight averaging."""
    trainer: TrainerOptions = field(default_factory=TrainerOptions)
    """Duration, seeds, device and checkpoints."""
    init: str | dict[str, str] = ""
    """Bundle whose weights training starts from (a folder or the name of a shipped one); random for untrained weights
    where a stage expects a bundle. A stage that starts from several takes each by its role, as in --init.face RUN."""
    output: str = ""
    """Run folder, for the bundle, checkpoints, metrics and curves; by default runs/SYSTEM/STAGE_DATA."""
    resume: bool = False
    """Continue the run in the output folder from its last checkpoint."""
    legacy: bool = False
    """Reproduce the released code with its faults; the test split is still refused for selection."""

    def to_yaml(self) -> str:
        """The whole config, every value written out; `parse_fit` reads it back to an equal one."""
        return yaml_of(_plain(asdict(self)))


Defaults = Callable[[Mapping[str, Any]], Mapping[str, Any]]
Check = Callable[[FitConfig], None]


def no_defaults(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Nothing beside the defaults of the dataclasses."""
    return {}


def stage_defaults(values: Mapping[str, Any]) -> dict[str, Any]:
    """The optimiser options of the stage that a config names, for those that the config does not state."""
    from mien.systems.registry import stage_class

    known = FitConfig()
    system, stage = ((values.get(key) or {}).get("name", getattr(known, key).name) for key in ("system", "stage"))
    return {"optim": asdict(stage_class(system, stage).default_optim)}


def no_check(config: FitConfig) -> None:
    """Nothing beside the types of the dataclasses."""


def parse_fit(
    arguments: Sequence[str], *, defaults: Defaults = no_defaults, check: Check = no_check
) -> FitConfig:  # fmt: skip
    """The config of a command line, as every command reads one: YAML files, and `--key.of.option value`.

    defaults, check: as of `resolve`. Raises MienError for a file that is not there, an unknown key and a wrong type.
    """
    configs, overrides = configs_and_overrides(arguments)
    return resolve(configs, overrides, defaults=defaults, check=check)


def configs_and_overrides(arguments: Sequence[str]) -> tuple[tuple[str, ...], dict[str, Any]]:
    """The configs that a command line names, and its options by dotted key."""
    configs, overrides = call(_given, arguments, command="mien fit")
    return configs, overrides


def _given(
    *configs: str,
    **overrides: Annotated[Any, OptionsFrom("mien.engine.training.config:fit_parameters")],
) -> tuple[tuple[str, ...], dict[str, Any]]:
    return configs, overrides


def resolve(
    files: Sequence[str], overrides: Mapping[str, Any], *, defaults: Defaults = no_defaults, check: Check = no_check
) -> FitConfig:
    """The config of files and overrides {dotted key: value}. Without files, `output` may hold a run to go on with.

    defaults: from what is stated to what stands beneath it, such as the optimiser options of the stage. check: raises
    MienError for what the system and the stage refuse. An error names the file and the line of the option it is about.
    """
    values: dict[Any, Any] = {}
    read = {path: config_mapping(path) for path in map(find_config, files)}
    if chain := next((file for file, stated in zip(files, read.values(), strict=False) if is_chain(stated)), None):
        raise MienError(f"{chain} is a chain of runs: mien chain {chain} --data.root DIR trains them.")
    for stated in read.values():
        values = merged(values, stated)
    if not files and (run := _config_of_run(overrides)):
        values = config_mapping(run)
        read = {run: values}
    elif not files and overrides.get("resume") and overrides.keys() <= {"output", "resume"}:
        raise MienError(
            f"{overrides.get('output') or '--output'} holds no run to go on with. Name its folder: --output RUN."
        )
    for key, value in overrides.items():
        values = merged(values, nested(key, value))
    try:
        config = _resolved(values, defaults)
        check(config)
    except MienError as error:
        found = located(error, list(read), overrides)
        if found is error:  # about a key without a name: the file that alone is refused in the same way
            path = next((path for path, stated in read.items() if _error_of(stated, defaults) == str(error)), None)
            found = error if path is None else MienError(f"{path}: {error}")
        raise found from error
    return config


def _error_of(values: Mapping[Any, Any], defaults: Defaults) -> str:
    try:
        _resolved(values, defaults)
    except MienError as error:
        return str(error)
    return ""


def _resolved(values: Mapping[Any, Any], defaults: Defaults) -> FitConfig:
    check_keys(values, FitConfig)
    for name, kind in (("system", SystemOptions), ("stage", StageOptions)):  # the defaults follow from their names
        checked(values.get(name, {}), kind, key=name)
    return cast(FitConfig, checked(merged(defaults(values), values), FitConfig, key=""))


def find_config(name: str) -> Path:
    """A path as given, or the packaged config of that name: `poster_v2/rafdb`, also with `configs/` and `.yaml`."""
    path = home_expanded(name)
    if path.is_file():
        return path
    wanted = name.removeprefix("configs/").removesuffix(".yaml") + ".yaml"
    for folder in _config_folders():
        if (folder / wanted).is_file():
            return folder / wanted
    known = _listed()
    close = nearest(wanted.removesuffix(".yaml"), known) if known else ""
    raise MienError(f"No config {name}: neither a file nor one that mien brings.{close}")


def list_configs() -> list[str]:
    """The configs that mien brings, as `poster_v2/rafdb`."""
    return [name for name in _listed() if not name.endswith(_CHAIN)]


def list_chains() -> list[str]:
    """The chains of configs that mien brings, as `can/chain`."""
    return [name for name in _listed() if name.endswith(_CHAIN)]


def is_chain(values: Mapping[Any, Any]) -> bool:
    """Whether a config file states the steps of a chain."""
    return "steps" in values


def _listed() -> list[str]:
    found = {
        str(path.relative_to(folder).with_suffix("").as_posix())
        for folder in _config_folders()
        for path in folder.rglob("*.yaml")
    }
    return sorted(found)


def described_configs() -> list[tuple[str, str]]:
    """Each config that mien brings: the first sentence of the comment that it begins with, and what it starts from."""
    texts = [(name, find_config(name).read_text(encoding="utf-8")) for name in list_configs()]
    return [(name, f"{_first_sentence(text)}.{_starts(text)}") for name, text in texts]


def _starts(text: str) -> str:
    """The bundles of `--init` in the command of a config's comment; a run by the name of the config that makes it."""
    command = "".join(re.findall(r"^#  .*", text, re.MULTILINE))
    found = re.findall(r" --init(?:\.\w+)? (?!random)(\S+)", command)
    made = {f"runs/{name}/bundle": name for name in list_configs()}
    return f" Starts from {', '.join(made.get(one, one) for one in found)}." if found else ""


def _first_sentence(text: str) -> str:
    comment: list[str] = []
    for line in text.splitlines():
        if not line.startswith("# ") or line.startswith("#  "):
            break
        comment.append(line.removeprefix("# "))
    return " ".join(comment).partition(". ")[0].rstrip(".")


@cache
def _config_folders() -> tuple[Path, ...]:
    package = Path(str(resources.files("mien")))
    candidates = (package / "configs", package.parents[1] / "configs")  # installed, and in a checkout
    return tuple(folder for folder in candidates if folder.is_dir())


def _config_of_run(overrides: Mapping[str, Any]) -> Path | None:
    path = Path(str(overrides.get("output", ""))) / "config.yaml"
    return path if overrides.get("output") and path.is_file() else None


def config_mapping(path: Path) -> dict[Any, Any]:
    """What a config file states. Raises MienError for a file that holds no mapping."""
    values = read_yaml(path)
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise MienError(f"{path}: a config is a mapping of keys to values; got {type(values).__name__}.")
    return values


@cache
def option_keys() -> tuple[str, ...]:
    """Every dotted key of a FitConfig, sections not counted."""
    return tuple(dotted_keys(FitConfig))


def fit_parameters(configs: Sequence[str], options: Mapping[str, str], *, detailed: bool) -> list[Parameter]:
    """The options of `mien fit` for these configs and options, with the defaults that they set.

    detailed: those of the system, the stage and the augmentation one by one. Without it they are so only where one of
    them is given, since torch must be imported to know them.
    """
    common = list(section(FitConfig, ""))
    own = tuple(f"{name}." for name in (SYSTEM, STAGE))
    if not detailed and not any(key.startswith(own) for key in options):
        return common
    given = {key: text for key, text in options.items() if not key.startswith((*own, f"{AUGMENT}.", f"{SOUND}."))}
    config = resolve(configs, values_of(given, common, command="mien fit"))
    details = {SYSTEM: _system_parameters, STAGE: _stage_parameters}
    details |= {AUGMENT: _augment_parameters, SOUND: _sound_parameters} if detailed else {}
    found: list[Parameter] = []
    for parameter in section(FitConfig, "", defaults=config):
        found += details[parameter.key](config, parameter.group) if parameter.key in details else [parameter]
    return found


def _system_parameters(config: FitConfig, group: str) -> Iterator[Parameter]:
    name = stage_class(config.system.name, config.stage.name).system_name(config.system.name)
    kind = system_class(name)
    legacy = {"legacy": True} if config.legacy else {}
    values = kind.variants[SYSTEMS[name][1]] | config.system.options | legacy
    return _fields(kind.config_class, SYSTEM, values, group)


def _stage_parameters(config: FitConfig, group: str) -> Iterator[Parameter]:
    kind = stage_class(config.system.name, config.stage.name)
    return _fields(kind.options_class, STAGE, config.stage.options, group)


def _augment_parameters(config: FitConfig, group: str) -> Iterator[Parameter]:
    from mien.data.transforms import Augmentation, augmentation  # only here: it needs OpenCV, which takes a moment

    recipe = augmentation(config.data.augmentation, **config.data.augment)
    return _fields(Augmentation, AUGMENT, asdict(recipe), group)


def _sound_parameters(config: FitConfig, group: str) -> Iterator[Parameter]:
    from mien.data.sounds import SoundAugmentation

    return _fields(SoundAugmentation, SOUND, config.data.sound, group)


def _fields(kind: Any, prefix: str, values: Mapping[str, Any], group: str) -> Iterator[Parameter]:
    """The fields of a config dataclass as options, with these values as defaults."""
    defaults = {parameter.key: parameter.default for parameter in section(kind, "")}
    for key in values:
        if key not in defaults:
            known = [f"{prefix}.{name}" for name in defaults]
            raise MienError(unknown_option(f"{prefix}.{key}", known))
    texts, hints = field_texts(kind), get_type_hints(kind)
    for name, default in defaults.items():
        yield Parameter(f"{prefix}.{name}", hints[name], values.get(name, default), texts.get(name, ""), group=group)


def _plain(value: Any) -> Any:
    """Tuples as lists, so that YAML has no Python in it."""
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value
