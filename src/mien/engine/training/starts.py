"""What a run can start from: for the message where a stage needs a trained bundle and none is named."""

from mien.core.errors import MienError
from mien.engine.bundles.models import shipped_bundles
from mien.engine.training.config import FitConfig, find_config, list_configs
from mien.media.yaml_text import read_yaml
from mien.systems.bundle import WEIGHTS, load
from mien.systems.registry import SYSTEMS, stage_class, system_class
from mien.systems.stage import Stage


def ways_to_start(config: FitConfig, stage: Stage, role: str) -> str:
    """The shipped bundles that fit into the role, else the configs that make one; a sentence after a blank, or ""."""
    option = "--init" if len(stage.starts_from) == 1 else f"--init.{role}"
    if shipped := _fitting(stage, role):
        return f" Of this size ships: {' or '.join(f'{option} {name}' for name in shipped)}."
    if made := _makers(config, stage, role):
        runs = " or ".join(f"mien fit {name} --data.root DIR --output start" for name in made)
        return f" None of this size ships; make one with {runs}, then {option} start."
    return ""


def _fitting(stage: Stage, role: str) -> list[str]:
    """Names of shipped bundles that the stage can start from, other than finished networks of its own kind. It takes
    their weights over: the run is to end here."""
    found = []
    for folder, info in shipped_bundles():
        if WEIGHTS not in info.files or system_class(info.system) is type(stage.system):
            continue
        try:
            stage.initialize(role, load(folder))
        except MienError:
            continue
        found.append(folder.name)
    return found


def _makers(config: FitConfig, stage: Stage, role: str) -> list[str]:
    """Packaged configs of another stage of this system, whose network has this size and is taken in the role."""
    found = []
    variant = SYSTEMS[stage.system_name(config.system.name)][1]
    for name in list_configs():
        values = read_yaml(find_config(name)) or {}
        system = values.get("system", {}).get("name", "poster_v2")
        kind = stage_class(system, values.get("stage", {}).get("name", "expression"))
        made = kind.system_name(system)
        fits = SYSTEMS[made][1] == variant and issubclass(system_class(made), stage.starts_from[role])
        if kind.name != stage.name and fits and not values.get("init"):
            found.append(name)
    return found
