"""YAML text to plain values, within stated limits: no text from a user makes it hang, recurse or fill the memory.

YAML 1.1 as PyYAML reads it, but for three things that surprise: `1e-4` is a number, and neither dates nor numbers to
base 8 or 60 exist (`2026-11-26`, `010` and `12:30:00` are text).
"""

import re
from collections.abc import Iterator
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
        line, what = _place_and_reason(error)
        raise MienError(f"{source}{line} is not YAML: {what[:300].rstrip('.')}.") from error


def _place_and_reason(error: Exception) -> tuple[str, str]:
    """`, line N,` where it is known, and what is wrong there."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    if not isinstance(error, yaml.MarkedYAMLError) or mark is None:
        return "", " ".join(str(error).split())
    return f", line {mark.line + 1},", " ".join(filter(None, [error.context, error.problem]))


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


def key_lines(path: Path) -> dict[str, int]:
    """The line, from 1, of each key of a YAML file that `read_yaml` reads, by its dotted path; lists have none."""
    root = yaml.compose(path.read_text(encoding="utf-8-sig"), _Loader)
    return {} if root is None else dict(_lines_below(root, ""))


def text_lines(path: Path) -> dict[str, int]:
    """The line, from 1, of the first value with each text."""
    root = yaml.compose(path.read_text(encoding="utf-8-sig"), _Loader)
    found: dict[str, int] = {}
    for node in () if root is None else _scalars(root):
        found.setdefault(node.value, node.start_mark.line + 1)
    return found


def _scalars(node: yaml.Node) -> Iterator[yaml.ScalarNode]:
    if isinstance(node, yaml.ScalarNode):
        yield node
    elif isinstance(node, yaml.MappingNode):
        for _, value in node.value:
            yield from _scalars(value)
    else:
        for value in node.value:
            yield from _scalars(value)


def _lines_below(node: yaml.Node, prefix: str) -> Iterator[tuple[str, int]]:
    for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
        name = f"{prefix}{key.value}"
        yield name, key.start_mark.line + 1
        yield from _lines_below(value, f"{name}.")


class _Loader(yaml.SafeLoader):
    """Counts depth, aliases and values while nodes are composed, before any Python object is made of them."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.depth = self.aliases = self.values = 0
        self.sizes: dict[str, int] = {}  # of finished anchors, in values

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()
        if isinstance(event, yaml.AliasEvent):
            self._count_alias(event)
            return super().compose_node(parent, index)
        before = self.values
        self.values += 1
        self.depth += 1
        self._check(event)
        node = super().compose_node(parent, index)
        self.depth -= 1
        if event.anchor is not None:
            self.sizes[event.anchor] = self.values - before
        return node

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        places: dict[str, Any] = {}
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value != "<<":
                if key.value in places:
                    raise _refusal(f"the key {key.value!r} stands there twice", key)
                places[key.value] = key
        return super().construct_mapping(node, deep)

    def _count_alias(self, event: Any) -> None:
        anchor = event.anchor
        if anchor in self.anchors and anchor not in self.sizes:
            raise _refusal(f"*{anchor} stands inside the value that it refers to", event)
        self.aliases += 1
        self.values += self.sizes.get(anchor, 0)
        self._check(event)

    def _check(self, event: Any) -> None:
        for name, count, most in (
            ("levels of nesting", self.depth, MAX_DEPTH),
            ("aliases", self.aliases, MAX_ALIASES),
            ("values", self.values, MAX_VALUES),
        ):
            if count > most:
                raise _refusal(f"more than {most:,} {name}", event)


def _refusal(reason: str, at: Any) -> yaml.MarkedYAMLError:
    """at: the node or event that it is about."""
    return yaml.MarkedYAMLError(problem=reason, problem_mark=at.start_mark)


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
