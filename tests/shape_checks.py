"""What checks the annotations of mien in the tests: beartype, with the shapes and dtypes of jaxtyping.

jaxtyping's import hook puts its decorator `jaxtyped` on every function and dataclass. Here it is replaced by one that

- resolves string annotations at the first call, with the names that are imported under `if TYPE_CHECKING:` (jaxtyping
  resolves them where the function is defined, and checks nothing where a name is not there yet);
- checks arguments and result once (jaxtyping checks the arguments twice);
- checks the first calls of a function all, and of the helpers of inner loops, which are called thousands of times, only
  some of the further ones.
"""

import io
import re
import sys
import types
import typing
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import is_dataclass
from functools import cache, wraps
from pathlib import Path
from textwrap import dedent
from typing import Any, BinaryIO, Self

import jaxtyping
from jaxtyping import config
from jaxtyping import jaxtyped as jaxtyping_scope

_ALL, _SOME = 100, 20  # the first 100 calls of a function in a process, then every twentieth
_CLOSURES = 20  # a function inside another is a new one in each call: the first 20 are checked
calls: defaultdict[int, list[int]] = defaultdict(lambda: [0])  # by id: the hash of a code object takes microseconds
_built: Counter[types.CodeType] = Counter()


def install() -> None:
    """From now on the annotations of what is imported of mien are checked. Needs beartype."""
    jaxtyping.install_import_hook("mien", "shape_checks.checker")
    jaxtyping.jaxtyped = lambda *, typechecker: checked


@cache
def checker() -> Callable[..., Any]:
    import beartype

    rules = beartype.BeartypeConf(
        is_pep484_tower=True,  # PEP 484: a whole number may stand where a float is asked for
        # The hook passes methods one by one, without the class that Self needs. A BytesIO has neither the name nor the
        # mode that beartype asks of a BinaryIO.
        hint_overrides=beartype.BeartypeHintOverrides({Self: Any, BinaryIO: io.IOBase}),
        violation_type=jaxtyping.TypeCheckError,
    )
    return beartype.beartype(conf=rules)


def checked(thing: Any) -> Any:
    """A function, method, property or dataclass with its annotations enforced in every call."""
    if isinstance(thing, type):
        if is_dataclass(thing) and "__init__" in vars(thing) and not hasattr(thing.__init__, "__wrapped__"):
            thing.__init__ = checked(thing.__init__)  # type: ignore[misc]
        return thing
    if isinstance(thing, classmethod | staticmethod):
        return type(thing)(checked(thing.__func__))
    if isinstance(thing, property):
        return property(*(each and checked(each) for each in (thing.fget, thing.fset, thing.fdel)))
    return _checked_function(thing)


def _checked_function(function: Callable[..., Any]) -> Callable[..., Any]:
    enforced: Callable[..., Any] | None = None
    code = function.__code__
    count = calls[id(code)]

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        nonlocal enforced
        count[0] = number = count[0] + 1
        if (number > _ALL and number % _SOME) or config.jaxtyping_disable:
            return function(*args, **kwargs)
        if enforced is None:
            if _built[code] == _CLOSURES:
                return function(*args, **kwargs)
            _built[code] += 1
            enforced = _enforced(function)
        return enforced(*args, **kwargs)

    return call


def _enforced(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function with beartype around it; each call has axis names of its own where it takes or gives arrays."""
    hints = typing.get_type_hints(function, vars(sys.modules[function.__module__]), _names_of(function.__module__),
                                  include_extras=True)  # fmt: skip
    same = types.FunctionType(function.__code__, function.__globals__, function.__name__, function.__defaults__,
                              function.__closure__)  # fmt: skip
    same.__kwdefaults__, same.__qualname__ = function.__kwdefaults__, function.__qualname__
    same.__module__, same.__annotations__ = function.__module__, hints
    inner = checker()(same)
    if not any(map(_has_axes, hints.values())):
        return inner

    def scoped(*args: Any, **kwargs: Any) -> Any:
        with jaxtyping_scope("context"):
            return inner(*args, **kwargs)

    return scoped


def _has_axes(hint: Any) -> bool:
    return (isinstance(hint, type) and issubclass(hint, jaxtyping.AbstractArray)) or any(
        map(_has_axes, typing.get_args(hint))
    )


@cache
def _names_of(module: str) -> dict[str, Any]:
    """What the module imports under `if TYPE_CHECKING:`."""
    names: dict[str, Any] = {}
    source = Path(str(sys.modules[module].__file__)).read_text(encoding="utf-8")
    # As text: two threads that build trees with ast.parse at a time disturb each other in Python 3.11.
    for block in re.findall(r"^if TYPE_CHECKING:\n((?:[ ]+.*\n|\n)+)", source, flags=re.MULTILINE):
        exec(dedent(block), vars(sys.modules[module]), names)
    return names


@contextmanager
def unchecked() -> Iterator[None]:
    """Annotations are not enforced inside, or, as a decorator, in the whole test.

    For values that are wrong on purpose, where mien itself shall refuse them, and while PyTorch compiles a network.
    """
    before = config.jaxtyping_disable
    config.update("jaxtyping_disable", True)
    try:
        yield
    finally:
        config.update("jaxtyping_disable", before)
