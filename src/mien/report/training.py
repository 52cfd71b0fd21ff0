"""report.html of a training run: scores, curves, the bundle and the configuration, from what the run folder holds."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup

from mien.core.errors import MienError
from mien.core.spec import described_inputs
from mien.media.files import INFO_FILE, read_info
from mien.report import parts
from mien.report.page import Section, caveats, macro, write_page
from mien.report.plots import Curve, curves_figure

Line = Mapping[str, Any]


def training_report(run_folder: Path | str) -> Path:
    """Writes report.html into the folder and returns its path. May be called at any time of the run.

    Reads metrics.jsonl (lines with `metric`, `value`, `epoch`; a metric is STAGE/NAME, as in `train/loss` and
    `val/loss`, and stages of one name share a figure), config.yaml and bundle/system.json. Raises MienError where
    metrics.jsonl is missing.
    """
    folder = Path(run_folder)
    lines = read_lines(folder / "metrics.jsonl")
    members = _members(lines)
    sections = [Section("", _last_values(lines)), members or Section("Curves", _curves(lines)), *_bundle(folder)]
    if (folder / "config.yaml").is_file():
        config = (folder / "config.yaml").read_text(encoding="utf-8")
        sections.append(Section("Configuration", macro("training.html", "configuration", config)))
    title = f"Training {folder.resolve().name}"
    write_page(folder / "report.html", title, [*sections, caveats()])
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
            if name != "seconds":
                point = float(line["epoch"]), float(line["value"])
                series.setdefault(name, {}).setdefault(stage or name, []).append(point)
    return series


def _curves(lines: list[dict[str, Any]]) -> Markup:
    figures = [
        curves_figure(curves, title=name, percent=_are_shares(name, curves)) for name, curves in _series(lines).items()
    ]
    return macro("training.html", "curves", figures)


def _are_shares(name: str, curves: Mapping[str, Curve]) -> bool:
    """Whether the values are written in percent: all are in 0..1, and it is neither a loss nor the learning rate."""
    inside = all(0 <= value <= 1 for curve in curves.values() for _, value in curve)
    return inside and "loss" not in name and name != "lr"


def _last_values(lines: list[dict[str, Any]]) -> Markup:
    """The bundle's scores (lines without an epoch); before there are any, those of the last epoch."""
    scored = [line for line in lines if line.get("value") is not None and "metric" in line]
    own = [line for line in scored if line.get("epoch") is None]
    last = {str(line["metric"]): float(line["value"]) for line in own or scored}
    of = "of the bundle" if own else "last epoch"
    return parts.cards({f"{name}, {of}": f"{value:.4g}" for name, value in last.items()})


def _members(lines: list[dict[str, Any]]) -> Section | None:
    """Of a run that averages others: each score beside theirs, whose own pages have the curves; None of another run."""
    averaged = [line for line in lines if line.get("members") and line.get("value") is not None]
    if not averaged:
        return None
    values = {str(line["metric"]): [line["value"], *(v for v in line["members"] if v is not None)] for line in averaged}
    shown = {name: [f"{value:.4f}" for value in each] for name, each in values.items()}
    found = {name: f"{mean}; members alone {', '.join(each)}" for name, (mean, *each) in shown.items()}
    return Section("Mean weights and members", parts.facts(found))


def _bundle(folder: Path) -> list[Section]:
    if not (folder / "bundle" / INFO_FILE).is_file():
        return []
    info = read_info(folder / "bundle")
    provenance = {name: _plain(value) for name, value in info.provenance.items() if name != "scores"}
    about = {
        "model": info.model_id,
        "outputs": info.gives,
        "classes": "; ".join(", ".join(output.names) for output in info.outputs_of("classes").values()) or "none",
        "input": described_inputs(info.inputs),
        "temperature": ", ".join(f"{value:.4g}" for value in info.temperatures.values()) or "1",
    }
    return [Section("Bundle", parts.facts(about | provenance))]


def _plain(value: object) -> str:
    """A value of system.json as text: `faces 7, split train`."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {_plain(v)}" for name, v in value.items())
    return ", ".join(map(_plain, value)) if isinstance(value, list | tuple) else str(value)
