"""Modules that were pickled whole, read as plain tensors by name: by torch.save, and StyleGAN2-ADA's files.

A StyleGAN2-ADA file is a pickled dict (`G`, `D`, `G_ema`, ...) of modules that rebuild themselves by running the source
that they carry. Here nothing is run: a module becomes the tensors of its parameters and buffers.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from mien.core.errors import MienError, one_line
from mien.nn.files.inert_pickle import LIMITS, Budget, Constructor, Inert, PickleError, read_pickle
from mien.nn.files.torch_files import lookup, read_storage

MOST_BYTES = 4 * 2**30


def module_weights(module: Inert) -> dict[str, Tensor]:
    """The tensors of a whole module that was pickled, by the names that its state_dict would have; its class is never
    looked up. Empty where the object is no module.
    """
    found: dict[str, Tensor] = {}
    waiting = [("", module)]
    while waiting:
        prefix, inert = waiting.pop(0)
        state = inert.state if isinstance(inert.state, dict) else {}
        for kind in ("_parameters", "_buffers"):
            entries = state.get(kind)
            named = entries if isinstance(entries, dict) else {}
            found |= {f"{prefix}{name}": value for name, value in named.items() if isinstance(value, Tensor)}
        children = state.get("_modules")
        for name, child in children.items() if isinstance(children, dict) else ():
            if isinstance(child, Inert):
                waiting.append((f"{prefix}{name}.", child))
    return found


def read_module_pickle(path: Path) -> dict[str, dict[str, Tensor]]:
    """{top name: {tensor name: tensor}} of a StyleGAN2-ADA file; top-level entries that are no modules are left out.

    Raises MienError for a file that is damaged, another one, or beyond the limits.
    """
    try:
        content = _read(path)
    except Exception as error:  # damaged files raise nearly anything
        reason = one_line(error)[:160]
        raise MienError(f"{path}: damaged, or not a StyleGAN2-ADA pickle ({reason}). Fetch it again.") from error
    modules = {str(name): module_weights(value) for name, value in content.items() if isinstance(value, Inert)}
    found = {name: weights for name, weights in modules.items() if weights}
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
            return Constructor(_module)
        if (module, name) == ("dnnlib.util", "EasyDict"):
            return Constructor(lambda *_: {})
        if (module, name) == ("torch.storage", "_load_from_bytes"):
            return Constructor(lambda content: read_storage(_checked_bytes(content), budget=budget), 40)
        return lookup(module, name)

    content, _ = read_pickle(data, 0, lookup=known, persistent=_no_persistent, budget=budget)
    if not isinstance(content, dict):
        raise PickleError(f"it holds a {type(content).__name__}, not a dict of networks")
    return content


def _module(meta: Any) -> Inert:
    module = Inert()
    module.state = meta.get("state") if isinstance(meta, dict) else None
    if not isinstance(module.state, dict):
        raise PickleError("a module in it has no state")
    return module


def _checked_bytes(content: Any) -> bytes:
    if not isinstance(content, bytes):
        raise PickleError("a storage in it is not given as bytes")
    return content


def _no_persistent(_: Any) -> Any:
    raise PickleError("it refers to objects outside of it")
