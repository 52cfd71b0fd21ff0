"""What the fields of a dataclass mean: the string that stands directly under each field in its source."""

import ast
import inspect
from dataclasses import is_dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, cast


@cache
def field_texts(kind: Any) -> dict[str, str]:
    """{field: its text, in one line}; a class adds to the texts of its bases and replaces them.

    Empty for a class whose source is not there.
    """
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        if is_dataclass(base):
            found |= _own_texts(cast(type, base))
    return found


def _own_texts(kind: type) -> dict[str, str]:
    classes = _classes_of(_source_file(kind))
    body = classes[kind.__qualname__].body if kind.__qualname__ in classes else []
    return {
        field.target.id: inspect.cleandoc(text.value.value).replace("\n", " ")
        for field, text in pairwise(body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }


def _source_file(kind: type) -> str:
    try:
        return inspect.getsourcefile(kind) or ""
    except (OSError, TypeError):  # made at run time
        return ""


@cache
def _classes_of(file: str) -> dict[str, ast.ClassDef]:
    """The classes of a source file by qualified name."""
    try:
        tree = ast.parse(Path(file).read_text(encoding="utf-8"))
    except (OSError, SyntaxError):
        return {}
    found: dict[str, ast.ClassDef] = {}
    pending: list[tuple[str, list[ast.stmt]]] = [("", tree.body)]
    while pending:
        prefix, body = pending.pop()
        for node in body:
            if isinstance(node, ast.ClassDef):
                found[prefix + node.name] = node
                pending.append((f"{prefix}{node.name}.", node.body))
            elif isinstance(node, ast.FunctionDef):
                pending.append((f"{prefix}{node.name}.<locals>.", node.body))
    return found
