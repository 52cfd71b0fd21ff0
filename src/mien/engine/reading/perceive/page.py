"""What a run of `mien perceive` leaves: pictures, a JSON summary, and one page that shows it all."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mien.engine.reading.perceive.drawings import WAY_NAMES, described, perceived_sheet, strength_sheet
from mien.engine.reading.perceive.source import ORDER, Heard, Networks, PerceiveOptions
from mien.engine.reading.perceive.tables import Expressions
from mien.media.files import printable, write_text
from mien.media.image import save_png
from mien.report.page import Section, caveats, macro, write_page
from mien.report.parts import bar, facts, photo
from mien.report.plots import curves_figure
from mien.runtime.voice.perceiver import Perceived
from mien.runtime.voice.windows import VoiceWindow

STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
SHOWN_ROWS = 40  # of windows, on the page
CURVES = 4  # likeliest expressions over time


@dataclass(frozen=True, eq=False)
class Shown:
    """The face and the window that the pictures show: of the loudest window."""

    crop: np.ndarray
    """Of the face, as the network gets it."""
    photo: np.ndarray
    """The same, larger."""
    heard: Heard
    """The window."""
    perceived: Perceived
    """Both."""
    found: Expressions
    """What was read."""


@dataclass(frozen=True)
class Spread:
    """Probabilities over draws from the codes."""

    mean: dict[str, dict[str, float]]
    """By way and class."""
    deviation: dict[str, dict[str, float]]
    """Standard deviation, by way and class."""


def write_results(
    folder: Path, options: PerceiveOptions, networks: Networks, shown: Shown, *, mean: Expressions,
    windows: Sequence[tuple[VoiceWindow, Expressions]], notes: Sequence[str], video: str = "",
) -> None:  # fmt: skip
    """perceived.png, strengths.png, perceive.json and report.html."""
    sheet = perceived_sheet(shown.photo, shown.perceived, shown.found)
    save_png(folder / "perceived.png", sheet)
    strengths = _strengths(networks, shown)
    if strengths is not None:
        save_png(folder / "strengths.png", strengths)
    spread = _spread(options, networks, shown) if options.samples else None
    write_text(folder / "perceive.json", _summary(options, networks, mean, spread, notes))
    note = "mean over the frames that were read" if video else _over(windows)
    sections = [Section("", _overview(sheet, mean, notes)), Section("Expressions", _table(mean, note))]
    if strengths is not None:
        shift = macro("perceive.html", "strengths", photo(strengths, alt="The face at rising strengths.", quality=90))
        sections.append(Section("Strength of the shift", shift))
    if spread is not None:
        sections.append(Section("Spread", _spread_table(spread, options.samples)))
    sections += [
        Section("Over time", _course(windows)), Section("What was read", _facts(options, networks, video)),
        Section("What the picture is", macro("perceive.html", "limits")), caveats(),
    ]  # fmt: skip
    title = f"{options.face.name} as perceived with {options.voice.name}"
    write_page(folder / "report.html", printable(title), sections, subtitle=networks.model_id)


def _strengths(networks: Networks, shown: Shown) -> Image.Image | None:
    """None where the network has no such control."""
    if not networks.perceiver.has_strength or shown.heard.mel is None:
        return None
    mel = shown.heard.mel
    return strength_sheet({t: networks.perceiver.perceive(shown.crop, mel, strength=t) for t in STRENGTHS})


def _spread(options: PerceiveOptions, networks: Networks, shown: Shown) -> Spread:
    """Of the shown face and window; the draws are those of the seeds 0, 1, ..."""
    assert shown.heard.mel is not None
    strength = options.strength if networks.perceiver.has_strength else None
    drawn = [
        networks.perceiver.perceive(shown.crop, shown.heard.mel, strength=strength, seed=seed).expressions
        for seed in range(options.samples)
    ]
    values = {way: {name: [each[way][name] for each in drawn] for name in own} for way, own in drawn[0].items()}
    values = {way: values[way] for way in ORDER if way in values}
    return Spread(
        {way: {name: float(np.mean(each)) for name, each in own.items()} for way, own in values.items()},
        {way: {name: float(np.std(each)) for name, each in own.items()} for way, own in values.items()},
    )


def _overview(sheet: Image.Image, mean: Expressions, notes: Sequence[str]) -> Any:
    cards = {WAY_NAMES[way]: described(mean, way) for way in mean}
    alt = "The face, its reconstruction without and with the voice, the difference, and the photo with it."
    shown = photo(sheet, alt=alt, quality=90)
    return macro("perceive.html", "overview", cards, shown, notes)


def _over(windows: Sequence[tuple[VoiceWindow, Expressions]]) -> str:
    return f"mean over {len(windows)} windows of the voice" if len(windows) > 1 else "of the voice's one window"


def _table(mean: Expressions, note: str) -> Any:
    """A row for each class, the likeliest of both first; classes that only one network has have a row too."""
    ranked = [sorted(own, key=own.__getitem__, reverse=True) for own in reversed(list(mean.values()))]
    names = list(dict.fromkeys(chain(*ranked)))
    rows = [[name, *(_bar(own.get(name)) for own in mean.values())] for name in names]
    return macro("perceive.html", "expressions", [WAY_NAMES[way] for way in mean], rows, note)


def _bar(value: float | None) -> Any:
    return "" if value is None else bar(value, f"{100 * value:.1f} %")


def _spread_table(spread: Spread, count: int) -> Any:
    ways = list(spread.mean)
    names = list(dict.fromkeys(name for way in ways for name in spread.mean[way]))
    rows = [
        [name, *(f"{100 * spread.mean[way][name]:.1f} ± {100 * spread.deviation[way][name]:.1f} %" for way in ways)]
        for name in names
    ]
    return macro("perceive.html", "spread", ["expression", *(WAY_NAMES[way] for way in ways)], rows, count)


def _course(windows: Sequence[tuple[VoiceWindow, Expressions]]) -> Any:
    """The likeliest expressions over time, and the first rows of the windows."""
    figure = None
    if len(windows) > 1:
        way = "both" if windows[0][1].get("both") else "voice"
        peak = {name: max(found[way][name] for _, found in windows) for name in windows[0][1][way]}
        likely = sorted(peak, key=lambda name: -peak[name])[:CURVES]
        figure = curves_figure(
            {name: [((w.from_s + w.to_s) / 2, found[way][name]) for w, found in windows] for name in likely},
            title=f"{WAY_NAMES[way]}: probability over time in seconds", percent=True,
        )  # fmt: skip
    ways = list(windows[0][1])
    rows = [
        [f"{w.from_s:.1f} to {w.to_s:.1f} s", w.note, *(described(found, way) for way in ways)]
        for w, found in windows[:SHOWN_ROWS]
    ]
    columns = ["time", "sound", *(WAY_NAMES[way] for way in ways)]
    return macro("perceive.html", "course", figure, columns, rows, max(0, len(windows) - SHOWN_ROWS))


def _facts(options: PerceiveOptions, networks: Networks, video: str) -> Any:
    given = networks.perceiver.voice
    hop = options.hop_s or given.samples / given.rate_hz / 4
    return facts({
        "face": printable(str(options.face)), "voice": printable(str(options.voice)), "video": video,
        "network": networks.perceiver.info.model_id, "input": networks.perceiver.picture.described,
        "voice alone": "" if networks.voice is None else networks.voice.info.model_id,
        "window of the voice": f"{given.described}; one every {hop:.2f} s", "strength": f"{options.strength:g}",
        "pictures above": "of the loudest window of the voice",
    })  # fmt: skip


def _summary(
    options: PerceiveOptions, networks: Networks, mean: Expressions, spread: Spread | None, notes: Sequence[str]
) -> str:
    values: dict[str, Any] = {
        "face": printable(str(options.face)), "voice": printable(str(options.voice)), "model": networks.model_id,
        "strength": options.strength, "notes": list(notes),
        "expressions": {way: dict(own) for way, own in mean.items()},
    }  # fmt: skip
    if spread is not None:
        values["samples"] = {"count": options.samples, "mean": spread.mean, "deviation": spread.deviation}
    return json.dumps(values, indent=2, ensure_ascii=False) + "\n"
