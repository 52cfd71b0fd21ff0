"""The two libraries that compute, imported so that neither reports anything to anybody.

Both send telemetry by default and keep an identity below the home folder: openvino when it is imported, ONNX Runtime
(from 1.29 on, outside of Windows too) when it starts. Both are turned off before that; what was imported by others
earlier stays as it is.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from types import ModuleType

_IMPORT = Lock()


def import_onnxruntime() -> ModuleType:
    """The module onnxruntime, without its telemetry: docs/Privacy.md of its repository names this variable."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    onnxruntime.disable_telemetry_events()  # Windows' own tracing does not follow the variable
    return onnxruntime


def import_openvino() -> ModuleType:
    """The module openvino, without its telemetry.

    It has no switch for that but a file in the home folder. It reports nothing where the package openvino_telemetry is
    not installed, so that package is hidden for as long as the import takes.
    """
    with _IMPORT, _hidden("openvino_telemetry"):
        import openvino
    return openvino


@contextmanager
def _hidden(name: str) -> Iterator[None]:
    """An import of that module fails, as if it were not installed."""
    before = sys.modules.get(name)
    sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if before is None:
            sys.modules.pop(name, None)
        else:
            sys.modules[name] = before
