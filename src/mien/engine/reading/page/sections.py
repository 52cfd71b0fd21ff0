"""The sections of a run's page: what was read, expressions, videos over time, best faces, quality, limits, models."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup
from PIL import Image

from mien.core.errors import printable
from mien.core.licence import Licence
from mien.engine.reading.page.figures import WINDOW_S, quality_names, shares_of, track_figures
from mien.engine.reading.page.gather import MOST_TRACKS, MOST_VIDEOS, Best, RunFacts, Source
from mien.engine.reading.tables.measures import shown
from mien.media.bundles import shipped_bundles
from mien.report import parts
from mien.report.page import Section, caveats, macro
from mien.report.text import cut_end, cut_middle

TEMPLATE = "run.html"
Thumbnails = Mapping[Best, Image.Image]


def sections_of(facts: RunFacts, description: Mapping[str, Any], pictures: Thumbnails) -> Iterator[Section]:
    """Of the page, in order; what the table does not have is left out."""
    yield Section("", macro(TEMPLATE, "overview", _cards(facts), _warnings(facts, description)))
    if facts.measures.classes and facts.faces:
        several = any(each.units > 1 for each in facts.means)
        html = macro(TEMPLATE, "expressions", shares_of(facts), _expression_rows(facts), several)
        yield Section("Expressions", html)
    for video in facts.videos:
        yield Section(cut_middle(printable(Path(video.name).name), 80), _video(video, facts, pictures))
    if any(facts.best.values()):
        yield Section("Photos: the most probable faces", _photos(facts, pictures))
    if rows := _quality_rows(facts, quality_names(facts.measures.names)):
        yield Section("Quality of the pictures", macro(TEMPLATE, "quality", rows))
    more = facts.video_count + facts.photo_count - len(facts.sources)
    left_out = f"{more} further sources are in the table." if more else ""
    yield Section("Sources", macro(TEMPLATE, "sources", [_source_row(row) for row in facts.sources], left_out))
    yield Section("What the lines and bands are", macro(TEMPLATE, "bands", f"{WINDOW_S:g}"))
    yield Section("What the numbers cannot say", caveats().html)
    yield Section("Models", macro(TEMPLATE, "models", list(_model_rows(description)), _run_facts(facts, description)))


def _cards(facts: RunFacts) -> dict[str, str]:
    cards = {"videos": f"{facts.video_count:,}"} if facts.video_count else {}
    cards |= {"photos": f"{facts.photo_count:,}"} if facts.photo_count else {}
    if facts.video_count:
        cards["length of the videos"] = _clock(facts.seconds)
    return cards | {
        "photos and frames read": f"{facts.frames:,}",
        "faces": f"{facts.faces:,}",
        "without a face": f"{100 * facts.missing / facts.frames:.1f} %" if facts.frames else "0 %",
    }


def _warnings(facts: RunFacts, description: Mapping[str, Any]) -> list[str]:
    found = []
    if (state := str(description.get("state", "complete"))) != "complete":
        found.append(f"The run is not complete ({state}): this page shows what was read so far.")
    if unreadable := description.get("unreadable"):
        found.append(f"{unreadable} files could not be read.")
    if damaged := description.get("damaged_places"):
        found.append(f"Videos are damaged at {damaged} places; readings.json lists them.")
    proxies = {
        f"{' and '.join(output.get('names', ()))}: a proxy, learned from {output['proxy']}."
        for model in _models(description)
        for output in model.get("outputs", {}).values()
        if output.get("proxy")
    }
    if facts.video_count > MOST_VIDEOS:
        found.append(f"{facts.video_count} videos were read; time courses of the first {MOST_VIDEOS} are shown.")
    return [*found, *sorted(proxies)]


def _expression_rows(facts: RunFacts) -> list[list[parts.Cell]]:
    assert facts.overall is not None
    means = dict(zip(facts.measures.names, facts.overall.mean[0].tolist(), strict=True))
    total = max(1, sum(facts.classes.values()))
    return [
        [name, f"{facts.classes[name]:,}", parts.bar(facts.classes[name] / total, f"{facts.classes[name] / total:.1%}"),
         f"{means.get(f'prob_{name}', float('nan')):.3f}"]
        for name in facts.measures.classes
    ]  # fmt: skip


def _video(video: Source, facts: RunFacts, pictures: Thumbnails) -> Markup:
    about = {
        "file": printable(video.name),
        "frames read": f"{video.frames:,}, to {_clock(video.last_s)}",
        "faces": f"{video.faces:,}",
        "frames without a face": f"{video.missing:,}" if video.missing else "",
        "tracks": _track_text(video),
    }  # fmt: skip
    best = sorted(video.best.values(), key=lambda each: -video.classes[each.expression])
    faces = [_face(each, pictures[each]) for each in best if each in pictures]
    missing = len(best) - len(faces)
    why = f"{missing} of its faces are not shown: {printable(video.name)} cannot be read from here."
    figures = [track_figures(track, facts.measures) for track in video.tracks.values()]
    return macro(TEMPLATE, "video", parts.facts(about), figures, faces, why if missing else "")


def _track_text(video: Source) -> str:
    count = len(video.track_numbers)
    if not count:
        return "not followed: all faces of a frame are averaged"
    return f"{count}" if count <= MOST_TRACKS else f"{count}, the {MOST_TRACKS} longest shown"


def _face(best: Best, image: Image.Image) -> tuple[Markup, str, str]:
    when = printable(Path(best.source).name) if best.time_s is None else _clock(best.time_s, tenths=True)
    track = "" if best.track is None else f", track {best.track}"
    caption = f"{best.expression} {'>99' if best.share >= 0.995 else f'{100 * best.share:.0f}'} %"
    return parts.photo(image, alt=f"a face read as {best.expression}"), caption, f"{cut_middle(when, 40)}{track}"


def _photos(facts: RunFacts, pictures: Thumbnails) -> Markup:
    order = [name for name in facts.measures.classes if facts.best.get(name)]
    groups = [
        (name, faces)
        for name in order
        if (faces := [_face(each, pictures[each]) for each in facts.best[name] if each in pictures])
    ]
    missing = sum(each not in pictures for found in facts.best.values() for each in found)
    left_out = f"{missing} photos are not shown: they cannot be read from here." if missing else ""
    return macro(TEMPLATE, "photos", groups, left_out)


def _quality_rows(facts: RunFacts, names: Sequence[str]) -> list[list[parts.Cell]]:
    """Of the columns that hold anything."""
    moments = facts.overall
    rows: list[list[parts.Cell]] = []
    for name in names:
        assert moments is not None
        i = facts.measures.names.index(name)
        if not moments.count[0, i]:
            continue
        numbers = (moments.mean[0, i], moments.sd[0, i], moments.least[0, i], moments.largest[0, i])
        cells = [f"{float(number):.3g}" if np.isfinite(number) else "" for number in numbers]  # one face has no SD
        rows.append([shown(name.removeprefix("quality_")), *cells, facts.measures.meaning(name)])
    return rows


def _source_row(row: tuple[str, int, int, int, str]) -> list[parts.Cell]:
    name, frames, faces, missing, classes = row
    return [parts.code(cut_middle(printable(name), 90)), f"{frames:,}", f"{faces:,}", f"{missing:,}", classes]


def _models(description: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found = description.get("models") or [description.get("model")]
    return [model for model in found if isinstance(model, dict)]


def _model_rows(description: Mapping[str, Any]) -> Iterator[list[parts.Cell]]:
    """The models of faces, then that of the points, then that of 3D faces."""
    for model in _models(description):
        yield _model_row(model, ", ".join(model.get("outputs", {})))
    if isinstance(marks := description.get("points", {}).get("model"), dict):
        yield _model_row(marks, "68 points, head pose")
    if isinstance(solid := description.get("face3d"), dict):
        yield [parts.code(str(solid.get("model", ""))), "3D face", "", str(solid.get("licence", ""))]


def _model_row(model: Mapping[str, Any], reads: str) -> list[parts.Cell]:
    files = model.get("sha256", {})
    digest = next((str(files[name]) for name in ("model.safetensors", "model.onnx") if name in files), "")
    return [parts.code(str(model.get("id", ""))), reads, parts.code(digest), _licence(model)]


def _licence(model: Mapping[str, Any]) -> str:
    """As the table's sidecar states it; of older tables, as a bundle that ships with the same weights does."""
    stated = model.get("licence")
    if isinstance(stated, dict) and {"use", "weights"} <= stated.keys():
        licence = Licence(stated["use"], str(stated["weights"]), dict(stated.get("data", {})))
    else:
        same = (info.licence for _, info in shipped_bundles() if info.model_id == model.get("id"))
        if (found := next(same, None)) is None:
            return "not stated"
        licence = found
    use = "research only" if licence.use == "research" else "commercial use allowed"
    return cut_end(f"{use}; {licence.summary}", 400)


def _run_facts(facts: RunFacts, description: Mapping[str, Any]) -> Markup:
    smoothing = description.get("points", {}).get("smoothing", "")
    values = {
        "rows of the table": f"{facts.rows:,}",
        "detector": description.get("detector", ""),
        "every": description.get("every", ""),
        "engine": description.get("engine", ""),
        "smoothing over time": smoothing if isinstance(smoothing, str) else smoothing.get("filter", "one-euro"),
        "notes": "; ".join(f"{note} ({count})" for note, count in facts.notes.most_common(4)),
        "written by": f"mien {description.get('mien', '')}".strip(),
    }
    return parts.facts({name: printable(str(value)) for name, value in values.items()})


def _clock(seconds: float, *, tenths: bool = False) -> str:
    """`0:07`, `1:02:09`; with tenths `0:07.3`."""
    minutes, rest = divmod(round(seconds, 1) if tenths else round(seconds), 60)
    hours, minutes = divmod(int(minutes), 60)
    shown_rest = f"{rest:04.1f}" if tenths else f"{int(rest):02d}"
    return f"{hours}:{minutes:02d}:{shown_rest}" if hours else f"{minutes}:{shown_rest}"
