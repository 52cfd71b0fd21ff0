"""Figures as scenes: confusion matrix, reliability diagram, training curves, an interval beside its baseline."""

from collections.abc import Mapping, Sequence

import numpy as np

from mien.metrics.calibration import ReliabilityBins
from mien.report.axes import Axes, add_legend, legend_height, span_of
from mien.report.svg import Dot, Line, Point, Rect, Scene, Text, series_colour
from mien.report.text import cut_end

Curve = Sequence[Point]  # (epoch, value)
_LONGEST_NAME = 26  # characters of a class name beside a matrix


def confusion_figure(confusion: np.ndarray, names: Sequence[str], *, title: str) -> Scene:
    """Counts and row percentages; a cell is as dark as its share of the row. A row without samples has n = 0."""
    names = [cut_end(name, _LONGEST_NAME) for name in names]
    cell, left, top = 74.0, 86.0 + 8.0 * max(len(name) for name in names), 84.0
    side = cell * len(names)
    right = int(confusion.trace())
    scene = Scene(left + side + 24, top + side + 34, f"{title}: {right} of {int(confusion.sum())} on the diagonal.")
    heading = cut_end(title, int(scene.width / 9.5))
    scene.add(Text(16, 24, heading, 17, bold=True), Text(left + side / 2, 50, "predicted", 12, "middle", "muted"))
    note = "Rows: the label. Large: faces; small: share of the row."
    scene.add(Text(16, top + side + 18, note, 12, fill="muted"))
    for k, name in enumerate(names):
        middle, total = top + cell * (k + 0.5), int(confusion[k].sum())
        scene.add(Text(left + cell * (k + 0.5), 70, cut_end(name, 11), 12, "middle"))
        scene.add(Text(left - 12, middle - 8, name, 13, "end"))
        scene.add(Text(left - 12, middle + 9, f"n = {total}", 11, "end", "muted"))
        for j, count in enumerate(confusion[k]):
            _add_cell(scene, (left + cell * j, top + cell * k), cell, int(count), total)
    return scene


def _add_cell(scene: Scene, corner: Point, side: float, count: int, total: int) -> None:
    x, y = corner
    share = count / total if total else 0.0
    ink = "paper" if share > 0.7 else "ink" if count else "muted"
    scene.add(Rect(x + 1, y + 1, side - 2, side - 2, "accent" if count else "grid", max(0.06, share) if count else 0.4))
    scene.add(Text(x + side / 2, y + side / 2 - (7 if total else 0), str(count), 16, "middle", ink, bold=share > 0.7))
    if total:
        scene.add(Text(x + side / 2, y + side / 2 + 13, f"{100 * share:.1f} %", 11, "middle", ink))


def reliability_figure(bins: ReliabilityBins, *, title: str = "") -> Scene:
    """Accuracy against confidence by bin, the diagonal of perfect calibration, and how many samples each bin has."""
    plot, left, top = 300.0, 58.0, 64.0 if title else 34.0
    label = f"Reliability diagram: expected calibration error {bins.ece:.3f} over {len(bins.count)} bins."
    scene = Scene(left + plot + 24, top + plot + 142, label)
    if title:
        scene.add(Text(14, 22, cut_end(title, 46), 15, bold=True))
    axes = Axes(scene, (left, top, plot, plot), (0, 1), (0, 1))
    axes.add_y_ticks(percent=True)
    axes.add_titles(y="accuracy")
    counts = Axes(scene, (left, top + plot + 32, plot, 60), (0, 1), (0, float(max(bins.count.max(), 1))))
    counts.add_bars(bins.count.tolist(), "muted", 0.55)
    counts.add_baseline()
    counts.add_x_ticks(percent=True)
    counts.add_titles(x="confidence (probability of the predicted class)")
    scene.add(Text(left, top + plot + 20, "faces by confidence", 12, fill="muted"))
    _add_accuracies(axes, bins)
    axes.add_diagonal()
    return scene


def _add_accuracies(axes: Axes, bins: ReliabilityBins) -> None:
    """A bar up to each bin's accuracy, a line at its mean confidence."""
    known = bins.count > 0
    axes.add_bars([float(a) if k else 0.0 for a, k in zip(bins.accuracy, known, strict=True)], "accent", 0.75)
    width = 1 / len(bins.count)
    for number in known.nonzero()[0].tolist():
        mark = float(bins.confidence[number])
        axes.add_curve(((number * width, mark), ((number + 1) * width, mark)), "warn")


def interval_figure(value: float, low: float, high: float, baseline: float) -> Scene:
    """An accuracy in 0..1 with its interval, beside the majority class, on one axis."""
    left, width, y = 24.0, 560.0, 44.0
    label = f"Accuracy {value:.1%}, interval {low:.1%} to {high:.1%}; always the most frequent class: {baseline:.1%}."
    scene = Scene(left * 2 + width, 92, label)

    def at(share: float) -> float:
        return left + width * share

    scene.add(Rect(left, y - 3, width, 6, "grid"), Rect(left, y - 3, width * value, 6, "accent", 0.35))
    scene.add(Rect(at(low), y - 8, max(at(high) - at(low), 2), 16, "accent", 0.6), Dot(at(value), y, 6, "accent"))
    scene.add(Line(((at(baseline), y - 15), (at(baseline), y + 15)), "warn", 2.5))
    far = abs(at(value) - at(baseline)) > 170
    scene.add(Text(_inside(at(value), 60, left, width), y - 26, f"{value:.1%}", 15, "middle", "accent", bold=True))
    line, text = y - 26 if far else y + 28, f"majority class {baseline:.1%}"
    scene.add(Text(_inside(at(baseline), 160, left, width), line, text, 13, "middle", "warn"))
    for tick in (0, 0.25, 0.5, 0.75, 1):
        if far or abs(at(tick) - at(baseline)) > 110:
            scene.add(Text(_inside(at(tick), 24, left, width), y + 28, f"{tick:.0%}", 11, "middle", "muted"))
    return scene


def _inside(x: float, wide: float, left: float, width: float) -> float:
    """x moved so that text of that width, centred there, stays on the axis."""
    return min(max(x, left - 16 + wide / 2), left + width + 16 - wide / 2)


def curves_figure(curves: Mapping[str, Curve], *, title: str, percent: bool = False) -> Scene:
    """Values over epochs, one line a name, its last value as a dot. The scale spans the data."""
    left, top, width, height = 64.0, 46.0, 420.0, 210.0
    points = [point for curve in curves.values() for point in curve]
    colours = {name: series_colour(k) for k, name in enumerate(curves)}
    entries = [(name, colour, 1.0) for name, colour in colours.items() if name != title]
    last = ", ".join(f"{name} {curve[-1][1]:.4g}" for name, curve in curves.items() if curve)
    label = f"{title} by epoch; last: {last}."
    scene = Scene(left + width + 20, top + height + 52 + legend_height(entries, width), label)
    scene.add(Text(14, 20, cut_end(title, 56), 15, bold=True))
    x, y = span_of([x for x, _ in points]), span_of([y for _, y in points], pad=0.06)
    axes = Axes(scene, (left, top, width, height), x, y)
    axes.add_y_ticks(percent=percent)
    axes.add_x_ticks(whole=True)
    axes.add_titles(x="epoch")
    for colour, curve in zip(colours.values(), curves.values(), strict=True):
        if len(curve) > 1:
            axes.add_curve(curve, colour)
        scene.add(*(Dot(*axes.place(*point), 3, colour) for point in curve[-1:]))
    add_legend(scene, entries, left, top + height + 46, width)
    return scene
