"""JSON text to plain values, strictly and within limits: what another program must not be surprised by later."""

import json
from typing import Any

from mien.core.errors import MienError
from mien.core.typed import shown

MAX_BYTES = 4 * 2**20
MAX_DEPTH = 32


class JsonError(ValueError):
    """What is wrong with a text, as a part of a sentence."""


def parse_json(content: bytes | str, *, where: str) -> Any:
    """The value of a JSON document in UTF-8: None, bool, int, finite float, str, and lists and dicts of them.

    where: what the text is called in an error. Raises MienError for text that is no JSON, names a key twice, holds NaN
    or an infinity, is nested more deeply than MAX_DEPTH or longer than MAX_BYTES.
    """
    try:
        if len(content) > MAX_BYTES:
            raise JsonError(f"at most {MAX_BYTES:,} bytes are read")
        text = content if isinstance(content, str) else content.decode("utf-8")
        value = json.loads(text, object_pairs_hook=_object, parse_constant=_constant)
        json.dumps(value, ensure_ascii=False).encode("utf-8")  # \ud800 is half a character
        _check_depth(value)
        return value
    except (UnicodeDecodeError, UnicodeEncodeError) as error:
        raise MienError(f"{where} is not JSON: it is not UTF-8 ({error.reason}).") from error
    except RecursionError as error:
        raise MienError(f"{where} is not JSON: more than {MAX_DEPTH} levels of nesting.") from error
    except ValueError as error:
        raise MienError(f"{where} is not JSON: {' '.join(str(error).split())[:300].rstrip('.')}.") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise JsonError(f"the key {shown(name)} stands there twice")
        found[name] = value
    return found


def _constant(name: str) -> None:
    raise JsonError(f"{name} is no JSON number")


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        inside = [each.values() if isinstance(each, dict) else each for each in level if isinstance(each, dict | list)]
        level = [inner for each in inside for inner in each]
    if level:
        raise JsonError(f"more than {MAX_DEPTH} levels of nesting")
