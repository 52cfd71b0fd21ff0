"""Functions named by text, so that their modules are imported only when they are called."""

from collections.abc import Callable
from importlib import import_module
from typing import Any


def imported(target: str) -> Callable[..., Any]:
    """The function behind `module:function`."""
    module, _, name = target.partition(":")
    found: Callable[..., Any] = getattr(import_module(module), name)
    return found
