"""`mien summarize`: the table of a run by source, track, person or condition, and over time."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mien.cli.text import columns
from mien.core.errors import MienError
from mien.engine.reading.tables.groups import ALL, Groups, read_groups
from mien.engine.reading.tables.measures import Measures, shown
from mien.engine.reading.tables.summary import GroupMeasure, GroupTotals, parts_of
from mien.engine.reading.tables.summary_files import NAMES, SummaryFiles
from mien.media.files import writable_folder
from mien.media.tables.stored import open_table

WHY_SOURCES = (
    "Frames of one video are near-copies of one another, so an interval over frames would shrink with the frame rate "
    "and promise too much. Each source (or unit) counts once, by its mean; 95 % intervals are percentiles of the mean "
    "over bootstrap draws of whole sources. Of fewer than two there is none, and of fewer than ten it is rough."
)
FEW = 10  # units
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|min|m|h)?")
_SECONDS = {"ms": 1e-3, "s": 1.0, "": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0}


def summarize(
    run: str,
    *,
    output: str | None = None,
    groups: str | None = None,
    by: str = "",
    unit: str = "",
    bin_: str = "",
    plots: bool = True,
    overwrite: bool = False,
) -> str:
    """Summarize the table of a run: by source and track, by person or condition, over time.

    Without --output it prints the groups. With it writes sources.csv (counts, means, SD of each source, or track),
    groups.csv (means over sources with 95 % intervals that draw whole sources), timecourse.csv and plots.

    Args:
        run: folder that mien analyze wrote, or a .parquet or .csv of it.
        output: folder for the files; by default nothing is written.
        groups: CSV with a column source (file names as in the table, or without folder or suffix) and columns of your
            own, such as person and condition; also track_id, where faces were followed.
        by: columns of --groups whose values are compared, separated by commas.
        unit: column of --groups whose values count once and are drawn as one, such as person; by default the source.
        bin_: width of the time bins of timecourse.csv, such as 1s, 500ms or 2min; by default none is written.
        plots: also draw the groups and time courses, as SVG and PNG; --no-plots leaves them out.
        overwrite: replace the files of an earlier summary in the same folder.
    """
    named, bin_s = read_groups(groups, by, unit), seconds_of(bin_) if bin_ else 0.0
    if bin_ and output is None:
        raise MienError("--bin needs --output FOLDER, for timecourse.csv.")
    table = open_table(run)
    measures = Measures(table)
    totals = GroupTotals(named, (*(f"share_{name}" for name in measures.classes), *measures.names))
    if output is None:
        for part in parts_of(table, measures):
            totals.add(part, SummaryFiles.values(part, measures))
        return _text(list(totals.measures()), totals, named)
    folder = writable_folder(output)
    given = {"the table": table.path} | ({"--groups": Path(groups)} if groups else {})
    _refuse_others(folder, given, overwrite=overwrite)
    with SummaryFiles(folder, measures, totals, bin_s=bin_s, plots=plots) as files:
        for part in parts_of(table, measures, bin_s=bin_s):
            files.add(part)
        found = list(totals.measures())
        files.end(found)
    files.write_description(_described(table, measures, named, totals, bin_s))
    return "\n".join([_text(found, totals, named), f"{folder}: {', '.join(files.written)}"])


def seconds_of(text: str) -> float:
    """Of `1s`, `500ms`, `2min`, `1.5` (seconds). Raises MienError for anything else, and for 0."""
    found = _DURATION.fullmatch(text.strip())
    if found is None or not (seconds := float(found[1]) * _SECONDS[found[2] or ""]):
        raise MienError(f"--bin is a duration above 0, such as 1s, 500ms or 2min; got {text!r}.")
    return seconds


def _refuse_others(folder: Path, given: Mapping[str, Path], *, overwrite: bool) -> None:
    """Deletes the files of an earlier summary. Raises MienError where that is not wanted, or one of them is given."""
    for what, path in given.items():
        if path.expanduser().resolve().parent == folder.resolve() and path.name in NAMES:
            raise MienError(f"--output {folder} would replace {what} itself ({path.name}). Name another folder.")
    earlier = [folder / name for name in NAMES if (folder / name).is_file()]
    if earlier and not overwrite:
        raise MienError(f"{earlier[0]} exists. Add --overwrite to replace it, or name another --output.")
    for path in earlier:
        path.unlink()


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _text(found: list[GroupMeasure], totals: GroupTotals, groups: Groups) -> str:
    """A block for each group: its size, then its expressions and values."""
    lines = []
    for group in dict.fromkeys(each.group for each in found):
        own = [each for each in found if each.group == group]
        units = max((each.units for each in own), default=0)
        rough = "; intervals of so few are rough" if 1 < units < FEW else ""
        size = f"{_counted(totals.faces[group], 'face')}, {_counted(units, groups.unit or 'source')}"
        lines.append(f"{group}: {size} with a face{rough}")
        chosen = [
            each
            for each in own
            if each.units and not each.name.startswith(("prob_", "mean_prob_", "AU", "sag_", "quality_"))
        ]
        rows = [(f"  {_title(each.name)}", _number(each), _interval(each)) for each in chosen]
        lines += columns(rows).splitlines()
    if totals.unknown:
        count = len(set(totals.unknown))
        lines.append(f"{count} sources are not in --groups and left out, such as {totals.unknown[0]}")
    return "\n".join(lines)


def _title(name: str) -> str:
    return f"share of {name.removeprefix('share_')}" if name.startswith("share_") else shown(name)


def _number(each: GroupMeasure) -> str:
    return f"{100 * each.mean:.1f} %" if each.name.startswith("share_") else f"{each.mean:.3g}"


def _interval(each: GroupMeasure) -> str:
    if each.units < 2:
        return ""
    factor, unit = (100, " %") if each.name.startswith("share_") else (1, "")
    digits = ".1f" if unit else ".3g"
    return f"({each.low * factor:{digits}} to {each.high * factor:{digits}}{unit})"


def _described(
    table: Any, measures: Measures, groups: Groups, totals: GroupTotals, bin_s: float
) -> dict[str, Any]:  # fmt: skip
    models = table.description.get("models") or [table.description.get("model", {})]
    return {
        "from": table.path.name,
        "models": [model.get("id") for model in models if model],
        "by": list(groups.by) or [ALL],
        "unit": groups.unit or "source",
        "intervals": WHY_SOURCES,
        "bin_s": bin_s or None,
        "not_in_groups": sorted(set(totals.unknown)),
        "measures": {
            name: {"unit": measures.unit(name), "meaning": measures.meaning(name)} for name in measures.names
        } | {f"share_{name}": {"unit": "share", "meaning": "of the faces"} for name in measures.classes},
        "sd": "sources.csv: of single faces (frames) of the source; groups.csv: between sources (or units)",
    }  # fmt: skip
