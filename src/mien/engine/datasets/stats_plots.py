"""The figure of `mien data stats`: classes by split, and histograms of light, sharpness and affect."""

from collections.abc import Mapping, Sequence
from typing import Any

from mien.report.axes import Axes, Entry, add_legend, legend_height
from mien.report.svg import Rect, Scene, Text, series_colour
from mien.report.text import cut_end

Counts = Mapping[str, Mapping[str, int]]
_WIDTH, _MARGIN, _HEADER = 720.0, 16.0, 60.0
_ROW, _BAR = 22.0, 16.0  # of a class: line height, bar height
_PANEL_WIDTH, _PANEL_HEIGHT, _PLOT_WIDTH, _PLOT_HEIGHT = 356.0, 170.0, 316.0, 110.0
_LONGEST_NAME = 30  # characters


def stats_figure(found: Mapping[str, Any], *, title: str) -> Scene:
    """Classes by split, then histograms of brightness, sharpness, valence and arousal, as far as there are any."""
    panels = [(name, found["histograms"][name]) for name in ("brightness", "sharpness")]
    panels += [(name, found["affect"][name]) for name in ("valence", "arousal") if name in found["affect"]]
    counts = found["counts"]
    names = [name for name in next(iter(counts.values())) if name != "all"]
    splits = [(split, series_colour(k), 0.85) for k, split in enumerate(counts)] if names else []
    top = _HEADER + legend_height(splits, _WIDTH - 2 * _MARGIN)
    height = top + _ROW * len(names) + 30 + _PANEL_HEIGHT * ((len(panels) + 1) // 2)
    scene = Scene(_WIDTH, height, f"{title}: {found['faces']:,} faces by class, brightness and sharpness.")
    means = ", ".join(f"{v:.3f}" for v in found["channels"]["mean"])
    about = f"{found['faces']:,} faces; channel mean {means}; std {found['channels']['std'][0]:.3f}"
    scene.add(Text(_MARGIN, 22, title, 17, bold=True), Text(_MARGIN, 42, about, 12, fill="muted"))
    add_legend(scene, splits, _MARGIN, _HEADER - 4, _WIDTH - 2 * _MARGIN)
    _add_classes(scene, counts, names, splits, top)
    bottom = top + _ROW * len(names) + 26
    for place, (name, values) in enumerate(panels):
        corner = _MARGIN + _PANEL_WIDTH * (place % 2), bottom + _PANEL_HEIGHT * (place // 2)
        _add_histogram(scene, name, values, corner)
    return scene


def _add_classes(scene: Scene, counts: Counts, names: Sequence[str], splits: Sequence[Entry], top: float) -> None:
    """A bar for each class, its splits one after another in their colours."""
    most = max((sum(numbers.get(name, 0) for numbers in counts.values()) for name in names), default=0) or 1
    left = 20.0 + 8 * min(max(map(len, names), default=0), _LONGEST_NAME)
    for place, name in enumerate(names):
        x, y = left, top + _ROW * place
        scene.add(Text(left - 8, y + _BAR / 2, cut_end(name, _LONGEST_NAME), 12, "end"))
        for (_, colour, opacity), numbers in zip(splits, counts.values(), strict=True):
            width = (560 - left) * numbers.get(name, 0) / most
            scene.add(Rect(x, y, width, _BAR, colour, opacity))
            x += width
        text = " + ".join(f"{numbers.get(name, 0):,}" for numbers in counts.values())
        scene.add(Text(x + 6, y + _BAR / 2, text, 11, fill="muted"))


def _add_histogram(scene: Scene, name: str, values: Mapping[str, Any], corner: tuple[float, float]) -> None:
    left, top = corner
    box = left, top + 14, _PLOT_WIDTH, _PLOT_HEIGHT
    axes = Axes(scene, box, (values["low"], values["high"]), (0, float(max(values["counts"]) or 1)))
    scene.add(Text(left, top, name, 13, bold=True))
    axes.add_bars(values["counts"], "accent", 0.8)
    axes.add_baseline()
    axes.add_x_ticks(count=4)
