"""StyleGAN2-ADA's pickles: whole modules with their source code in them, read as plain tensors by name.

Such a file is a pickled dict (`G`, `D`, `G_ema`, ...) of modules that rebuild themselves by running the source that
they carry. Here that source is text and nothing is run: a module becomes the tensors of its parameters and buffers.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from mien.core.errors import MienError, one_line
from mien.nn.inert_pickle import LIMITS, Budget, Constructor, PickleError, read_pickle
from mien.nn.torch_files import lookup, read_storage

MOST_BYTES = 4 * 2**30
_DEPTH = 20  # modules within modules


class _ModuleState(dict[str, Any]):
    """What a pickled module would restore itself from."""


def read_module_pickle(path: Path) -> dict[str, dict[str, Tensor]]:
    """{top name: {tensor name: tensor}} of a StyleGAN2-ADA file; top-level entries that are no modules are left out.

    Raises MienError for a file that is damaged, another one, or beyond the limits.
    """
    try:
        content = _read(path)
    except Exception as error:  # damaged files raise nearly anything
        reason = one_line(error)[:160]
        raise MienError(f"{path}: damaged, or not a StyleGAN2-ADA pickle ({reason}). Fetch it again.") from error
    found = {str(name): _tensors(value) for name, value in content.items() if isinstance(value, _ModuleState)}
    if not found:
        raise MienError(f"{path}: a pickle without modules: not a StyleGAN2-ADA network. Other pickles are not read.")
    return found


def _read(path: Path) -> dict[Any, Any]:
    data = path.read_bytes() if path.stat().st_size <= MOST_BYTES else b""
    if not data:
        raise PickleError(f"it is empty, or longer than {MOST_BYTES:,} bytes")
    # The weights lie within the pickle: it may be as long as the file, and each storage is a pickle again. A step pays
    # for 64 bytes of an argument, so steps for four times the file bound the memory of storages that share their bytes.
    limits = replace(LIMITS, pickle_bytes=2 * len(data), steps=LIMITS.steps + len(data) // 16)
    budget = Budget(limits)

    def known(module: str, name: str) -> Any:
        if (module, name) == ("torch_utils.persistence", "_reconstruct_persistent_obj"):
            return Constructor(_module_state)
        if (module, name) == ("dnnlib.util", "EasyDict"):
            return Constructor(lambda *_: {})
        if (module, name) == ("torch.storage", "_load_from_bytes"):
            return Constructor(lambda content: read_storage(_checked_bytes(content), budget=budget), 40)
        return lookup(module, name)

    content, _ = read_pickle(data, 0, lookup=known, persistent=_no_persistent, budget=budget)
    if not isinstance(content, dict):
        raise PickleError(f"it holds a {type(content).__name__}, not a dict of networks")
    return content


def _module_state(meta: Any) -> _ModuleState:
    state = meta.get("state") if isinstance(meta, dict) else None
    if not isinstance(state, dict):
        raise PickleError("a module in it has no state")
    return _ModuleState(state)


def _checked_bytes(content: Any) -> bytes:
    if not isinstance(content, bytes):
        raise PickleError("a storage in it is not given as bytes")
    return content


def _no_persistent(_: Any) -> Any:
    raise PickleError("it refers to objects outside of it")


def _tensors(state: Mapping[str, Any], prefix: str = "", depth: int = 0) -> dict[str, Tensor]:
    """The tensors of a module and of those within it, by dotted names."""
    if depth > _DEPTH:
        raise MienError("The pickled modules are nested too deeply.")
    found: dict[str, Tensor] = {}
    for kind in ("_parameters", "_buffers"):
        own = state.get(kind)
        entries = own.items() if isinstance(own, dict) else ()
        found |= {f"{prefix}{name}": value.detach() for name, value in entries if isinstance(value, Tensor)}
    inner = state.get("_modules")
    for name, module in inner.items() if isinstance(inner, dict) else ():
        if isinstance(module, _ModuleState):
            found |= _tensors(module, f"{prefix}{name}.", depth + 1)
    return found
