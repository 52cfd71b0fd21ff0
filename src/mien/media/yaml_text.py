"""YAML text to plain values, within stated limits: no text from a user makes it hang, recurse or fill the memory.

YAML 1.1 as PyYAML reads it, but for three things that surprise: `1e-4` is a number, and neither dates nor numbers to
base 8 or 60 exist (`2026-11-26`, `010` and `12:30:00` are text).
"""

import re
from pathlib import Path
from typing import Any

import yaml

from mien.core.errors import MienError

MAX_CHARACTERS = 200_000
MAX_DEPTH = 32
MAX_ALIASES = 100
MAX_VALUES = 100_000  # with every alias counted as often as it is used
_INT = re.compile(r"^[-+]?(0|[1-9][0-9]{0,999}|0x[0-9a-fA-F]{1,256})$")
_FLOAT = re.compile(r"^([-+]?(\d+\.\d*|\.\d+|\d+(?=[eE]))([eE][-+]?\d+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))$")
_REPLACED = tuple(f"tag:yaml.org,2002:{name}" for name in ("int", "float", "timestamp"))


def parse_yaml(text: str, *, source: str) -> Any:
    """The value of a YAML document: None, bool, int, float, str, and lists and dicts of them.

    source: what the text is called in an error. Raises MienError for text that is no YAML or exceeds a limit.
    """
    if len(text) > MAX_CHARACTERS:
        raise MienError(f"{source}: at most {MAX_CHARACTERS:,} characters of YAML are read; got {len(text):,}.")
    try:
        return yaml.load(text, _Loader)
    except (yaml.YAMLError, ValueError, OverflowError, TypeError) as error:
        raise MienError(f"{source} is not YAML: {' '.join(str(error).split())[:300].rstrip('.')}.") from error


def yaml_of(value: Any) -> str:
    """The value as a YAML document, keys in their order; `parse_yaml` and PyYAML read it back to an equal one."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True)


def read_yaml(path: Path) -> Any:
    """The value of a YAML file in UTF-8. Raises MienError as `parse_yaml`, and for other encodings."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            text = file.read(MAX_CHARACTERS + 1)
    except UnicodeDecodeError as error:
        raise MienError(f"{path} is not YAML: it is not UTF-8 ({error.reason}).") from error
    if len(text) > MAX_CHARACTERS:
        raise MienError(f"{path}: at most {MAX_CHARACTERS:,} characters of YAML are read.")
    return parse_yaml(text, source=str(path))


class _Loader(yaml.SafeLoader):
    """Counts depth, aliases and values while nodes are composed, before any Python object is made of them."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.depth = self.aliases = self.values = 0
        self.sizes: dict[str, int] = {}  # of finished anchors, in values

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()
        if isinstance(event, yaml.AliasEvent):
            self._count_alias(event.anchor)
            return super().compose_node(parent, index)
        before = self.values
        self.values += 1
        self.depth += 1
        self._check()
        node = super().compose_node(parent, index)
        self.depth -= 1
        if event.anchor is not None:
            self.sizes[event.anchor] = self.values - before
        return node

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode) and key.value != "<<"]
        if len(set(keys)) < len(keys):
            raise yaml.YAMLError(f"the key {next(key for key in keys if keys.count(key) > 1)!r} stands there twice")
        return super().construct_mapping(node, deep)

    def _count_alias(self, anchor: Any) -> None:
        if anchor in self.anchors and anchor not in self.sizes:
            raise yaml.YAMLError(f"*{anchor} stands inside the value that it refers to")
        self.aliases += 1
        self.values += self.sizes.get(anchor, 0)
        self._check()

    def _check(self) -> None:
        for name, count, most in (
            ("levels of nesting", self.depth, MAX_DEPTH),
            ("aliases", self.aliases, MAX_ALIASES),
            ("values", self.values, MAX_VALUES),
        ):
            if count > most:
                raise yaml.YAMLError(f"more than {most:,} {name}")


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if tag not in _REPLACED]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+.0123456789"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", _INT, list("-+0123456789"))


class _Dumper(yaml.SafeDumper):
    """Quotes also the texts that only this module takes for numbers, such as '1e3'."""


_Dumper.yaml_implicit_resolvers = {
    first: list(found) for first, found in yaml.SafeDumper.yaml_implicit_resolvers.items()
}
_Dumper.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+.0123456789"))
