"""Functions and classes named by text, so that their modules are imported only when they are needed."""

from importlib import import_module
from typing import Any


def imported(target: str) -> Any:
    """What `module:name` names."""
    module, _, name = target.partition(":")
    return getattr(import_module(module), name)
