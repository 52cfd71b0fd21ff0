"""report.html: one file without any outside resource, made of sections. Readable on paper, on a phone, in the dark.

A page is `page(title, [Section(...), ...])`; the small functions below make the HTML inside a section. Everything that
came from data (file names, class names, configs) passes through `escape`.
"""

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.core.errors import MienError

if TYPE_CHECKING:
    from mien.report.svg import Scene

CAVEATS = (
    "An expression is what a face shows, not what a person feels. The labels behind these numbers say what others saw "
    "in a picture, often posed or picked for being clear; people disagree about them, across cultures and contexts.",
    "That inner states can be read from a face alone is contested (Barrett, Adolphs, Marsella, Martinez and Pollak, "
    "“Emotional Expressions Reconsidered”, Psychological Science in the Public Interest 20(1), 2019).",
    "Errors are not spread evenly over people. These figures hold for this data set only; age, gender, skin colour, "
    "illness, light and camera change them, and the set may not say how.",
    "Not for decisions about people. In the European Union, systems that infer emotions at work or in education are "
    "prohibited except for medical or safety reasons, and elsewhere bound to rules (Regulation (EU) 2024/1689, "
    "Articles 5(1)(f) and 50(3), Annex III).",
)


@dataclass(frozen=True)
class Section:
    """A heading and the HTML below it. Without a title the HTML stands alone."""

    title: str
    html: str


def page(title: str, sections: Iterable[Section], *, subtitle: str = "") -> str:
    """The whole HTML document. The content security policy in it forbids every outside resource."""
    css = resources.files("mien.report").joinpath("templates/report.css").read_text(encoding="utf-8")
    body = "\n".join(
        f"<section>{f'<h2>{escape(s.title)}</h2>' if s.title else ''}\n{s.html}</section>" for s in sections
    )
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<title>{escape(title)}</title>
<style>
{css}</style>
</head>
<body>
<header><h1>{escape(title)}</h1>{f'<p class="subtitle">{escape(subtitle)}</p>' if subtitle else ""}</header>
<main>
{body}
</main>
<footer>{_signature()}</footer>
</body>
</html>
"""


def write_page(path: Path, title: str, sections: Iterable[Section], *, subtitle: str = "") -> None:
    """`page`, written whole or not at all."""
    from mien.media.files import write_text

    write_text(path, page(title, sections, subtitle=subtitle))


def caveats() -> Section:
    """What these numbers do not say; every report on expressions ends with it."""
    return Section("How to read this", "".join(f"<p>{escape(text)}</p>" for text in CAVEATS))


def facts(values: Mapping[str, object]) -> str:
    """Names beside values, as a table; entries that are None or "" are left out."""
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(str(value))}</td></tr>'
        for name, value in values.items()
        if value is not None and value != ""
    )
    return f'<table class="facts"><tbody>{rows}</tbody></table>'


def table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], *, caption: str = "", left: Sequence[int] = (0,)
) -> str:
    """columns and caption are text; the cells are HTML already (use `escape`). left: the left-aligned columns."""
    sides = [' class="left"' if k in left else "" for k in range(len(columns))]
    head = "".join(f'<th scope="col"{side}>{escape(name)}</th>' for name, side in zip(columns, sides, strict=True))
    body = "".join(
        f'<tr><th scope="row">{first}</th>'
        + "".join(f"<td{side}>{cell}</td>" for cell, side in zip(rest, sides[1:], strict=True))
        + "</tr>"
        for first, *rest in rows
    )
    caption = f"<caption>{escape(caption)}</caption>" if caption else ""
    return f'<div class="wide"><table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def bar(share: float, text: str) -> str:
    """A number in 0..1 as a bar with its text."""
    return f'<span class="bar"><i style="--share:{100 * share:.1f}%"></i><b>{escape(text)}</b></span>'


def cards(values: Mapping[str, str]) -> str:
    """A few numbers in large print over what they are."""
    items = (f'<div class="card"><b>{escape(v)}</b><span>{escape(name)}</span></div>' for name, v in values.items())
    return f'<div class="cards">{"".join(items)}</div>'


def warning(*lines: str) -> str:
    """A box that must not be missed; "" without lines."""
    return f'<div class="warning">{"".join(f"<p>{escape(line)}</p>" for line in lines)}</div>' if lines else ""


def figure(scene: "Scene", *, caption: str = "") -> str:
    """A scene as inline SVG, with its description for screen readers."""
    return f"<figure>{scene.svg()}{f'<figcaption>{escape(caption)}</figcaption>' if caption else ''}</figure>"


def picture(content: bytes, *, alt: str, css_class: str = "", kind: str = "png") -> str:
    """An encoded picture as <img>, inside the page. kind: "png", "jpeg" or "webp"."""
    name = f' class="{css_class}"' if css_class else ""
    return f'<img{name} alt="{escape(alt)}" src="data:image/{kind};base64,{base64.b64encode(content).decode()}">'


def training_report(run_folder: Path | str) -> Path:
    """report.html of a training run, from what the run folder holds; returns its path. May be called at any time.

    Reads metrics.jsonl (lines with `metric`, `value`, `epoch`; `/` parts a metric's stage from its name, as in
    `train/loss` and `val/loss`, and stages of one name share a figure), config.yaml and bundle/system.json. Raises
    MienError where metrics.jsonl is missing.
    """
    folder = Path(run_folder)
    lines = read_lines(folder / "metrics.jsonl")
    sections = [Section("", _last_values(lines)), Section("Curves", _curves(lines)), *_bundle(folder)]
    if (folder / "config.yaml").is_file():
        config = (folder / "config.yaml").read_text(encoding="utf-8")
        sections.append(
            Section("Configuration", f"<details><summary>config.yaml</summary><pre>{escape(config)}</pre></details>")
        )
    write_page(folder / "report.html", f"Training {folder.resolve().name}", [*sections, caveats()])
    return folder / "report.html"


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The lines of a metrics.jsonl. A last line cut short by a crash is left out."""
    if not path.is_file():
        raise MienError(f"No {path.name} in {path.parent}. Expected a run folder that `mien fit` wrote.")
    lines = []
    for text in path.read_text(encoding="utf-8").splitlines():
        try:
            lines.append(json.loads(text))
        except json.JSONDecodeError:
            continue
    return lines


def _series(lines: list[dict[str, Any]]) -> dict[str, dict[str, list[tuple[float, float]]]]:
    """metric -> stage -> (epoch, value): `val/loss` is the curve "val" of the figure "loss"."""
    series: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for line in lines:
        if line.get("value") is not None and line.get("epoch") is not None and "metric" in line:
            stage, _, name = str(line["metric"]).rpartition("/")
            if name == "seconds":
                continue
            series.setdefault(name, {}).setdefault(stage or name, []).append(
                (float(line["epoch"]), float(line["value"]))
            )
    return series


def _curves(lines: list[dict[str, Any]]) -> str:
    from mien.report.plots import curves_figure

    figures = []
    for name, curves in _series(lines).items():
        shares = all(0 <= v <= 1 for c in curves.values() for _, v in c) and "loss" not in name and name != "lr"
        figures.append(figure(curves_figure(curves, title=name, percent=shares)))
    return f'<div class="figures">{"".join(figures)}</div>' if figures else "<p>No epoch has ended yet.</p>"


def _last_values(lines: list[dict[str, Any]]) -> str:
    """The bundle's own scores (lines without an epoch); before there is one, those of the last epoch."""
    scored = [line for line in lines if line.get("value") is not None and "metric" in line]
    own = [line for line in scored if line.get("epoch") is None]
    last = {str(line["metric"]): float(line["value"]) for line in own or scored}
    of = "of the bundle" if own else "last epoch"
    return cards({f"{name}, {of}": f"{value:.4g}" for name, value in last.items()})


def _bundle(folder: Path) -> list[Section]:
    path = folder / "bundle" / "system.json"
    if not path.is_file():
        return []
    from mien.core.bundle import BundleInfo

    info = BundleInfo.from_json(path.read_text(encoding="utf-8"), where=str(path))
    provenance = {name: _words(value) for name, value in info.provenance.items() if name != "scores"}
    about = {
        "model": info.model_id,
        "outputs": info.gives,
        "classes": "; ".join(", ".join(output.names) for output in info.outputs_of("classes").values()) or "none",
        "input": f"{info.picture.size} px",
        "temperature": ", ".join(f"{value:.4g}" for value in info.temperatures.values()) or "1",
    }
    return [Section("The bundle it made", facts(about | provenance))]


def _words(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_words(v)}" for name, v in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _signature() -> str:
    from mien import __version__

    return f"Made by mien {__version__}. This page loads nothing from elsewhere."
