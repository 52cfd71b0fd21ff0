"""Config dataclasses of systems and stages, built from the plain options of a bundle, a YAML file or a command."""

from dataclasses import fields, is_dataclass
from typing import Any

from mien.core.errors import MienError, nearest


def config_from(config_class: type, options: dict[str, Any], *, where: str) -> Any:
    """The config dataclass from plain options. Raises MienError that names an unknown key and the nearest right one."""
    assert is_dataclass(config_class)
    known = {f.name for f in fields(config_class)}
    for key in options:
        if key not in known:
            raise MienError(f"{where} has no option {key!r}.{nearest(key, known)}")
    return config_class(**{k: tuple(v) if isinstance(v, list) else v for k, v in options.items()})
