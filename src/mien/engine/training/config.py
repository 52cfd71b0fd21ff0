"""The options of `mien fit`: YAML files, then dotted overrides, into one frozen FitConfig. No torch is imported here.

    fit poster_v2/rafdb.yaml my_changes.yaml --data.root datasets/rafdb --trainer.epochs 20

Later files and overrides win, key by key. A key that does not exist is refused with the nearest one that does.
"""

import difflib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, is_dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Literal, cast, get_type_hints

import yaml

from mien.core.errors import MienError, nearest
from mien.data.options import DataOptions
from mien.systems.optim import OptimOptions


@dataclass(frozen=True)
class SystemOptions:
    """Which network.

    Args:
        name: As listed by `mien models`.
        options: Fields of the system's config, such as drop_path or landmark_branch.
    """

    name: str = "poster_v2"
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class StageOptions:
    """With which objective.

    Args:
        name: One of the system's stages; poster_v2 has landmarks (stage 0) and expression.
        options: The stage's own; expression has label_smoothing, class_weights, monitor; landmarks has loss.
    """

    name: str = "expression"
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TrainerOptions:
    """For how long, and on what machine.

    Args:
        epochs: At most so many.
        patience: Stop after so many epochs without a better score; 0 for never.
        seed: Of first weights and dropout. (Of cut, order and augmentation: data.seed.)
        seeds: Repeat with seeds 0..n-1 (a number) or these (a list), of data too; mean and sd are printed.
        device: auto, cpu or cuda.
        devices: Processes on this machine; torchrun sets it by itself.
        nodes: Machines.
        precision: fp32, or bf16 for autocast.
        accumulate: A batch is computed in so many parts, for memory.
        checkpoint_steps: What resuming needs is written after so many steps too; 0 for not.
        checkpoint_minutes: The same after so many minutes.
        compile: Use torch.compile.
        channels_last: Memory layout that makes convolutions faster.
        progress: Show a bar while an epoch runs.
    """

    epochs: int = 200
    patience: int = 0
    seed: int = 0
    seeds: int | list[int] = 0
    device: Literal["auto", "cpu", "cuda"] = "auto"
    devices: int = 1
    nodes: int = 1
    precision: Literal["fp32", "bf16"] = "fp32"
    accumulate: int = 1
    checkpoint_steps: int = 0
    checkpoint_minutes: float = 10.0
    compile: bool = False
    channels_last: bool = True
    progress: bool = True

    def __post_init__(self) -> None:
        for name in ("epochs", "accumulate", "devices", "nodes"):
            if getattr(self, name) < 1:
                raise MienError(f"trainer.{name} must be at least 1; got {getattr(self, name)}.")
        for name in ("patience", "seed", "checkpoint_steps", "checkpoint_minutes"):
            if getattr(self, name) < 0:
                raise MienError(f"trainer.{name} must be 0 or above; got {getattr(self, name)}.")

    @property
    def repeated(self) -> tuple[int, ...]:
        """The seeds of repeated runs; empty for a single run."""
        return tuple(range(self.seeds)) if isinstance(self.seeds, int) else tuple(self.seeds)


@dataclass(frozen=True)
class FitConfig:
    """A training run.

    Args:
        system: Which network.
        stage: With which objective.
        input: Fields of the PictureInput that differ from the system's own, such as fit or box_scale.
        data: On what.
        optim: How weights move.
        trainer: For how long, and on what machine.
        init: Bundle of an earlier stage, or the name of one that ships; "random" insists on untrained weights.
        output: Run folder; runs/SYSTEM/CONFIG unless said.
        resume: Go on with the run in the output folder.
        legacy: The published behaviour, faults included (never selection on the test split).
    """

    system: SystemOptions = field(default_factory=SystemOptions)
    stage: StageOptions = field(default_factory=StageOptions)
    input: dict[str, Any] = field(default_factory=dict)
    data: DataOptions = field(default_factory=DataOptions)
    optim: OptimOptions = field(default_factory=OptimOptions)
    trainer: TrainerOptions = field(default_factory=TrainerOptions)
    init: str = ""
    output: str = ""
    resume: bool = False
    legacy: bool = False

    def to_yaml(self) -> str:
        """The whole config, every value written out; `parse_fit` reads it back to an equal one."""
        return yaml.safe_dump(_plain(asdict(self)), sort_keys=False, allow_unicode=True)


def parse_fit(arguments: Sequence[str]) -> FitConfig:
    """The config of a command line: YAML files, and `--key.of.option value` (or `--key=value`).

    Raises MienError for a file that is not there, an unknown key and a value of the wrong kind.
    """
    files, overrides = _sorted_out(arguments)
    return resolve(files, overrides)


def resolve(files: Sequence[str], overrides: Mapping[str, Any]) -> FitConfig:
    """The config of files and overrides {dotted key: value}. Without files, `output` may hold a run to go on with."""
    values: dict[str, Any] = {}
    for file in files:
        values = _merged(values, _read(find_config(file)))
    if not files and (run := _config_of_run(overrides)):
        values = _read(run)
    elif not files and overrides.get("resume") and overrides.keys() <= {"output", "resume"}:
        raise MienError(
            f"{overrides.get('output') or '--output'} holds no run to go on with. Name its folder: --output RUN."
        )
    for key, value in overrides.items():
        values = _merged(values, _nested(key, value))
    _check_keys(FitConfig, values, prefix="")
    return cast(FitConfig, _instantiate(values))


def find_config(name: str) -> Path:
    """A path as given, or the packaged config of that name: `poster_v2/rafdb`, also with `configs/` and `.yaml`."""
    path = Path(name).expanduser()
    if path.is_file():
        return path
    wanted = name.removeprefix("configs/").removesuffix(".yaml") + ".yaml"
    for folder in _config_folders():
        if (folder / wanted).is_file():
            return folder / wanted
    known = list_configs()
    close = nearest(wanted.removesuffix(".yaml"), known) if known else ""
    raise MienError(f"No config {name}: neither a file nor one that mien brings.{close}")


def list_configs() -> list[str]:
    """The configs that mien brings, as `poster_v2/rafdb`."""
    found = {
        str(path.relative_to(folder).with_suffix("").as_posix())
        for folder in _config_folders()
        for path in folder.rglob("*.yaml")
    }
    return sorted(found)


@cache
def _config_folders() -> tuple[Path, ...]:
    package = Path(str(resources.files("mien")))
    candidates = (package / "configs", package.parents[1] / "configs")  # installed, and in a checkout
    return tuple(folder for folder in candidates if folder.is_dir())


def _config_of_run(overrides: Mapping[str, Any]) -> Path | None:
    path = Path(str(overrides.get("output", ""))) / "config.yaml"
    return path if overrides.get("output") and path.is_file() else None


class _Loader(yaml.SafeLoader):
    """YAML, where 1e-4 is a number (YAML 1.1 wants 1.0e-4 and would give a word)."""


_Loader.yaml_implicit_resolvers = {k: list(v) for k, v in yaml.SafeLoader.yaml_implicit_resolvers.items()}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)


def _read(path: Path) -> dict[str, Any]:
    try:
        values = yaml.load(path.read_text(encoding="utf-8-sig"), _Loader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise MienError(f"{path} is not YAML: {' '.join(str(error).split())}.") from error
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise MienError(f"{path}: a config is a mapping of keys to values; got {type(values).__name__}.")
    return values


def _sorted_out(arguments: Sequence[str]) -> tuple[list[str], dict[str, Any]]:
    """Files, and overrides with their values read as YAML. `--flag` alone is true."""
    files: list[str] = []
    overrides: dict[str, Any] = {}
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        if not word.startswith("--"):
            files.append(word)
            continue
        key, equals, value = word[2:].partition("=")
        if not equals:
            alone = not rest or (rest[0].startswith("--"))
            value = "true" if alone else rest.pop(0)
        overrides[key.replace("-", "_")] = _value(key, value)
    return files, overrides


def _value(key: str, text: str) -> Any:
    try:
        return yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        raise MienError(f"--{key}: {text!r} cannot be read ({error.__class__.__name__}). Quote it.") from error


def _nested(key: str, value: Any) -> dict[str, Any]:
    for part in reversed(key.split(".")):
        value = {part: value}
    return cast(dict[str, Any], value)


def _merged(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(first)
    for key, value in second.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _merged(merged[key], value) if both else value
    return merged


def _check_keys(config_class: type, values: Any, *, prefix: str) -> None:
    """Raises MienError for the first key that no dataclass has; the nearest is sought in all of them."""
    hints = get_type_hints(config_class)
    if not isinstance(values, Mapping):
        raise MienError(
            f"{prefix.rstrip('.')} has options of its own (such as {prefix}{next(iter(hints))}); got {values!r}."
        )
    for key, value in values.items():
        name = f"{prefix}{key}"
        if key not in hints:
            raise MienError(f"No option --{name}.{_nearest_key(name, prefix, hints)}")
        if is_dataclass(hints[key]):
            _check_keys(cast(type, hints[key]), value, prefix=f"{name}.")


def _nearest_key(name: str, prefix: str, siblings: Iterable[str]) -> str:
    """The close word in the same section, else the same last word in another, else the closest whole key."""
    last = name.rpartition(".")[2]
    if close := difflib.get_close_matches(last, list(siblings), n=1, cutoff=0.6):
        return f" Did you mean '--{prefix}{close[0]}'?"
    same = [key for key in option_keys() if key.rpartition(".")[2] == last]
    close = same or difflib.get_close_matches(name, option_keys(), n=1, cutoff=0.4)
    return f" Did you mean '--{close[0]}'?" if close else f" Known: {', '.join(siblings)}."


@cache
def option_keys() -> tuple[str, ...]:
    """Every dotted key of a FitConfig, sections not counted."""
    return tuple(_keys(FitConfig, ""))


def _keys(config_class: type, prefix: str) -> Iterator[str]:
    for name, hint in get_type_hints(config_class).items():
        if is_dataclass(hint):
            yield from _keys(cast(type, hint), f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def _instantiate(values: Mapping[str, Any]) -> FitConfig:
    """The dataclasses, each value checked against its type."""
    from jsonargparse import ArgumentError, ArgumentParser

    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--fit", type=FitConfig)
    try:
        parsed = parser.parse_object({"fit": dict(values)})
        build = getattr(parser, "instantiate", None) or parser.instantiate_classes  # renamed in jsonargparse 4.49
        return cast(FitConfig, build(parsed).fit)
    except ArgumentError as error:
        raise MienError(_said_plainly(str(error))) from error


def _said_plainly(text: str) -> str:
    """jsonargparse's message about a value of the wrong kind, as one line with our name for the key."""
    line = " ".join(text.split())
    found = re.search(r'"fit\.([\w.]+)": (?:Expected a )?(.*?)\.? Got value: (.*)$', line)
    if not found:
        return line.replace("fit.", "--")
    key, wanted, came = found.groups()
    wanted = re.sub(r"<class '(\w+)'>", r"\1", wanted).replace("typing.", "").replace("Literal", "one of ")
    return f"--{key} must be {wanted}; got {came!r}."


def _plain(value: Any) -> Any:
    """Tuples as lists, so that YAML has no Python in it."""
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value


def help_text() -> str:
    """What `mien fit --help` prints: the packaged configs, and every key with its default and meaning."""
    lines = [
        "usage: mien fit CONFIG.yaml ... [--key value ...]",
        "",
        "Trains one stage of a system; the run folder (--output) gets a bundle, the checkpoints, metrics and curves.",
        "A CONFIG is a file or one that mien brings: " + ", ".join(list_configs()) + ".",
        "",
        "Keys, with their defaults:",
        *_help_of(FitConfig, FitConfig(), ""),
    ]
    return "\n".join(lines) + "\n"


def _help_of(config_class: type, default: Any, prefix: str) -> Iterator[str]:
    texts = dict(re.findall(r"^ {8}(\w+): (.*)$", config_class.__doc__ or "", re.MULTILINE))
    for name, hint in get_type_hints(config_class).items():
        value = getattr(default, name)
        if is_dataclass(hint):
            yield f"\n{texts.get(name, '').rstrip('.')}:"
            yield from _help_of(cast(type, hint), value, f"{prefix}{name}.")
        else:
            shown = json.dumps(_plain(value)) if value not in ("", None) else ""
            yield f"  --{prefix}{name} {shown}".ljust(38) + f"  {texts.get(name, '')}"
