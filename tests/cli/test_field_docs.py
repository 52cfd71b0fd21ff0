"""Every option has a description: the string under its field."""

from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from importlib import import_module
from pkgutil import walk_packages
from typing import get_type_hints

import pytest

import mien
from mien.cli.field_docs import field_texts


@dataclass
class Base:
    first: int = 0
    """Of the base."""
    second: int = 0
    """Second,
    on two lines."""
    bare: int = 0


class Between(Base):
    """No dataclass of its own."""


@dataclass
class Derived(Between):
    """Not a field's text."""

    first: int = 1
    third: str = ""
    """Third."""
    second: int = 2
    """Replaced."""


def test_texts_are_inherited_and_replaced() -> None:
    assert field_texts(Base) == {"first": "Of the base.", "second": "Second, on two lines."}
    assert field_texts(Derived) == {"first": "Of the base.", "second": "Replaced.", "third": "Third."}


def test_a_class_in_a_function_and_one_without_source() -> None:
    @dataclass
    class Local:
        field: int = 0
        """In a function."""

    assert field_texts(Local) == {"field": "In a function."}
    namespace = {"dataclass": dataclass}
    exec("@dataclass\nclass Made:\n    x: int = 0\n    'text'", namespace)
    assert field_texts(namespace["Made"]) == {}


def reachable(kind: type) -> Iterator[type]:
    yield kind
    for hint in get_type_hints(kind).values():
        if is_dataclass(hint):
            yield from reachable(hint)


def option_classes() -> list[type]:
    """Those behind FitConfig, all systems, all stages, augmentation and synthetic data."""
    from mien.data.transforms import Augmentation
    from mien.engine.training.config import FitConfig
    from mien.synthetic.clips import ClipOptions
    from mien.systems.registry import SYSTEMS, system_class

    found = [*reachable(FitConfig), *reachable(ClipOptions), Augmentation]
    for name, (target, _) in SYSTEMS.items():
        found.append(system_class(name).config_class)
        stages = import_module(f"{target.split(':')[0].rpartition('.')[0]}.stages").STAGES
        found += [stage.options_class for stage in stages.values()]
    return list(dict.fromkeys(found))


def test_every_option_is_described() -> None:
    pytest.importorskip("lightning")
    classes = option_classes()
    assert len(classes) >= 15
    bare = [f"{c.__name__}.{f.name}" for c in classes for f in fields(c) if not field_texts(c).get(f.name)]
    assert not bare
    texts = [(c.__name__, name, text) for c in classes for name, text in field_texts(c).items()]
    assert [entry for entry in texts if not entry[2].endswith(".")] == []
    assert [c.__name__ for c in classes if "Args:" in (c.__doc__ or "")] == []


def test_every_field_of_every_dataclass_is_described() -> None:
    """Of every module; private classes may do without."""
    pytest.importorskip("lightning")
    modules = [import_module(found.name) for found in walk_packages(mien.__path__, "mien.")]
    classes = {
        kind
        for module in modules
        for name, kind in vars(module).items()
        if isinstance(kind, type) and is_dataclass(kind) and kind.__module__ == module.__name__ and name[0] != "_"
    }
    assert len(classes) > 150
    assert [f"{c.__qualname__}.{f.name}" for c in classes for f in fields(c) if not field_texts(c).get(f.name)] == []
