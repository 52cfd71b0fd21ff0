"""Config dataclasses of systems and stages, built from the plain options of a bundle, a YAML file or a command."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import fields, is_dataclass
from typing import Any

from mien.core.errors import MienError, nearest
from mien.core.typed import checked, shown

MOST_WEIGHTS = 4_000_000_000  # 16 GB in float32
MOST_MODULES = 20_000
LARGEST = 1_000_000  # of a whole number in a network's config: a width, a count, a side


def config_from(config_class: type, options: dict[str, Any], *, where: str) -> Any:
    """The config dataclass from plain options. Raises MienError that names an unknown key and the nearest right one,
    and a value of the wrong type.
    """
    assert is_dataclass(config_class)
    known = {f.name for f in fields(config_class)}
    for key in options:
        if key not in known:
            raise MienError(f"{where} has no option {shown(key)}.{nearest(key, known)}")
    with _as_one_error(where):
        return checked(options, config_class, key=where)


@contextmanager
def bounded_network(name: str, config: Any, *, weights: int = MOST_WEIGHTS) -> Iterator[None]:
    """Networks that are built in the block have at most so many weights; one that cannot be built is one MienError.

    Counted while parameters and modules are registered, which is before a weight's memory is written to. Torch finds
    what else is not possible, such as a negative width.
    """
    from torch.nn.modules import module as hooks

    count = {"weights": 0, "modules": 0}

    def add(what: str, more: int, most: int) -> None:
        count[what] += more
        if count[what] > most:
            raise MienError(f"{name}: this config asks for more than {most:,} {what}.")

    for field in fields(config):
        values = getattr(config, field.name)
        for value in values if isinstance(values, tuple) else (values,):
            if isinstance(value, int) and abs(value) > LARGEST:
                raise MienError(f"{name}: {field.name} must be at most {LARGEST:,}; got {shown(values)}.")
    with ExitStack() as stack:
        for handle in (
            hooks.register_module_parameter_registration_hook(
                lambda _, __, parameter: add("weights", parameter.numel() if parameter is not None else 0, weights)
            ),
            hooks.register_module_module_registration_hook(lambda *_: add("modules", 1, MOST_MODULES)),
        ):
            stack.callback(handle.remove)
        stack.enter_context(_as_one_error(name))
        yield


@contextmanager
def _as_one_error(name: str) -> Iterator[None]:
    try:
        yield
    except MienError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:160] or "no reason given"
        raise MienError(f"{name}: this config is not possible ({type(error).__name__}: {reason}).") from error
