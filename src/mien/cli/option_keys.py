"""Dotted option keys, such as `data.root`: which is nearest to a key that does not exist."""

import difflib
from collections.abc import Iterable


def unknown_option(key: str, known: Iterable[str], *, owner: str = "") -> str:
    """The message for an option that does not exist, with the nearest one that does.

    owner: the command, such as `mien evaluate`, where one is known. known: dotted keys of options.
    """
    known = list(known)
    begun = f"{owner} has no option" if owner else "No option"
    wrong, section, names = _first_unknown_part(key, known)
    return f"{begun} --{section}{wrong}.{_way_out(key, wrong, section, names, known)}"


def _first_unknown_part(key: str, known: list[str]) -> tuple[str, str, list[str]]:
    """The first part of the key that no option has there, the section that it stands in (`data.`), and its options."""
    section = ""
    for part in key.split("."):
        names = list(dict.fromkeys(k.removeprefix(section).split(".")[0] for k in known if k.startswith(section)))
        if part not in names:
            return part, section, names
        section += f"{part}."
    return key.rpartition(".")[2], section.removesuffix(f"{key.rpartition('.')[2]}."), names


def _way_out(key: str, wrong: str, section: str, names: list[str], known: list[str]) -> str:
    """The nearest name in the section, else an option elsewhere with the same last part, else the nearest."""
    if close := difflib.get_close_matches(wrong, names, n=1, cutoff=0.5):
        return f" Did you mean '--{section}{close[0]}'?"
    same = [other for other in known if other.rpartition(".")[2] == key.rpartition(".")[2]]
    if close := same or ([] if section and names else difflib.get_close_matches(key, known, n=1, cutoff=0.4)):
        return f" Did you mean '--{close[0]}'?"
    return f" Known: {', '.join(f'--{section}{name}' for name in names)}." if names else " It has none."
