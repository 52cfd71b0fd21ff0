"""report.html: one file without any outside resource, made of sections. Readable on paper, on a phone, in the dark.

Every page is rendered from the templates beside this module by jinja2, which escapes whatever is not Markup. Markup
comes from these templates and from `Scene.svg` only, so names from data never reach a page as markup.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from mien import __version__
from mien.core.errors import printable
from mien.media.files import write_text


@dataclass(frozen=True)
class Section:
    """A part of a page."""

    title: str
    """The heading; "" for a section without one."""
    html: Markup | str
    """The content below it. A plain str is escaped."""


def page(title: str, sections: Iterable[Section], *, subtitle: str = "", styles: Sequence[str] = ()) -> str:
    """The whole HTML document. Its content security policy forbids every outside resource.

    styles: further style sheets among the templates, such as "asymmetry.css".
    """
    return render("page.html", title=title, subtitle=subtitle, sections=list(sections), styles=styles)


def write_page(
    path: Path, title: str, sections: Iterable[Section], *, subtitle: str = "", styles: Sequence[str] = ()
) -> None:
    """`page`, written atomically."""
    write_text(path, page(title, sections, subtitle=subtitle, styles=styles))


def render(template: str, **values: Any) -> str:
    """A whole document of that template. Control characters and lone surrogates in it become visible escapes."""
    return printable(_environment().get_template(template).render(version=__version__, **values), keep="\n\t")


def macro(template: str, name: str, /, *values: Any, **named: Any) -> Markup:
    """The HTML that a macro of a template makes of the values."""
    html: Markup = getattr(_environment().get_template(template).module, name)(*values, **named)
    return html


def caveats() -> Section:
    """The limits of the numbers in an expression report; every such report ends with them."""
    return Section("How to read this", macro("parts.html", "caveats"))


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("mien.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, auto_reload=False,
    )  # fmt: skip
