"""The data set that a training run used, for an evaluation that names none."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mien.data.options import DataOptions
from mien.media.yaml_text import read_yaml

CONFIG, SPLIT = "config.yaml", "split.csv"
_TAKEN_OVER = ("name", "root", "reader", "eval_reader", "test_split", "crop_source", "split_file", "fold")


def with_data_of_run(bundle: str, data: DataOptions) -> DataOptions:
    """The options, completed by those of the run whose folder `bundle` names.

    Without a data set, all of the run's. With the run's own data set, its division: a run that divided the set itself
    is measured on the faces that it kept for testing. Otherwise, and for a bundle alone, the options as they are.
    """
    path = Path(bundle)
    folder = path.parent if path.name == "bundle" else path
    own = _data_of(folder) if (folder / CONFIG).is_file() and (folder / "bundle").is_dir() else {}
    if not own:
        return data
    default = DataOptions()
    if not data.name and not data.root:
        data = replace(data, **{
            name: own[name] for name in _TAKEN_OVER if name in own and getattr(data, name) == getattr(default, name)
        })  # fmt: skip
    division = folder / SPLIT
    if data.split_file or not division.is_file() or not _same_set(data, own) or data.open().splits != ("all",):
        return data
    return replace(data, split_file=str(division))


def _data_of(folder: Path) -> Mapping[str, Any]:
    values = read_yaml(folder / CONFIG)
    found = values.get("data") if isinstance(values, dict) else None
    return found if isinstance(found, dict) else {}


def _same_set(data: DataOptions, own: Mapping[str, Any]) -> bool:
    return data.name == own.get("name") and Path(data.root).resolve() == Path(str(own.get("root"))).resolve()
