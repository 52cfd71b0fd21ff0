"""mien reads faces: expression, landmarks, asymmetry, shape, and how a voice changes what is seen in them.

Importing this package loads nothing heavy; the names below are fetched when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from mien.core.errors import MienError
    from mien.media.tables.frames import read_table
    from mien.runtime.analyzer import Analyzer
    from mien.runtime.landmarks import Landmarker
    from mien.runtime.readings import to_table
    from mien.runtime.voice.network import VoiceAnalyzer
    from mien.systems.bundle import load
    from mien.systems.registry import create_model, list_models

_LAZY = {
    "Analyzer": "mien.runtime.analyzer",
    "Landmarker": "mien.runtime.landmarks",
    "MienError": "mien.core.errors",
    "read_table": "mien.media.tables.frames",
    "VoiceAnalyzer": "mien.runtime.voice.network",
    "to_table": "mien.runtime.readings",
    "load": "mien.systems.bundle",
    "create_model": "mien.systems.registry",
    "list_models": "mien.systems.registry",
}
__all__ = [
    "Analyzer", "Landmarker", "MienError", "VoiceAnalyzer", "__version__", "create_model", "list_models", "load",
    "read_table", "to_table",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'mien' has no attribute {name!r}")
    try:
        return getattr(import_module(_LAZY[name]), name)
    except ImportError as error:
        from mien.core.extras import missing_text

        if not missing_text(error):
            raise
        return _unavailable(missing_text(error, f"mien.{name}"))


def _unavailable(why: str) -> Any:
    """In place of what needs a package that is not installed: it says so when it is called."""

    def unavailable(*_: Any, **__: Any) -> Any:
        from mien.core.errors import MienError

        raise MienError(why)

    return unavailable


def __dir__() -> list[str]:
    return __all__
