"""mien reads faces: expression, landmarks, asymmetry, shape, and how a voice changes what is seen in them.

Importing this package loads nothing heavy; the names below are fetched when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from mien.runtime.analyzer import Analyzer
    from mien.systems.bundle import load
    from mien.systems.registry import create_model, list_models

_LAZY = {
    "Analyzer": "mien.runtime.analyzer",
    "load": "mien.systems.bundle",
    "create_model": "mien.systems.registry",
    "list_models": "mien.systems.registry",
}
__all__ = ["Analyzer", "__version__", "create_model", "list_models", "load"]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'mien' has no attribute {name!r}")
    return getattr(import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return __all__
