"""A report's figures as scenes: confusion matrix, reliability, training curves, an interval beside its baseline."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mien.report.svg import Dot, Line, Rect, Scene, Words

if TYPE_CHECKING:
    import numpy as np

    from mien.metrics.calibration import ReliabilityBins

Curve = Sequence[tuple[float, float]]  # (epoch, value)


def confusion_figure(confusion: "np.ndarray", names: Sequence[str], *, title: str) -> Scene:
    """Counts and row percentages; a cell is as dark as its share of the row. Rows without samples say so."""
    cell, left, top = 74.0, 34.0 + 8.0 * max(len(n) for n in names) + 52, 84.0
    side = cell * len(names)
    right = int(confusion.trace())
    scene = Scene(left + side + 24, top + side + 34, f"{title}: {right} of {int(confusion.sum())} on the diagonal.")
    scene.add(Words(16, 24, title, 17, bold=True), Words(left + side / 2, 50, "predicted", 12, "middle", "muted"))
    scene.add(Words(16, top + side + 18, "Rows: the truth. Large: images; small: share of the row.", 12, fill="muted"))
    for k, name in enumerate(names):
        middle = top + cell * (k + 0.5)
        scene.add(Words(left + cell * (k + 0.5), 70, _fitted(name, 11), 12, "middle"))
        scene.add(Words(left - 12, middle - 8, name, 13, "end"))
        scene.add(Words(left - 12, middle + 9, f"n = {int(confusion[k].sum())}", 11, "end", "muted"))
        for j, count in enumerate(confusion[k]):
            _add_cell(scene, (left + cell * j, top + cell * k), cell, int(count), int(confusion[k].sum()))
    return scene


def _add_cell(scene: Scene, corner: tuple[float, float], side: float, count: int, total: int) -> None:
    x, y = corner
    share = count / total if total else 0.0
    ink = "paper" if share > 0.7 else "ink" if count else "muted"
    scene.add(Rect(x + 1, y + 1, side - 2, side - 2, "accent" if count else "grid", max(0.06, share) if count else 0.4))
    scene.add(Words(x + side / 2, y + side / 2 - (7 if total else 0), str(count), 16, "middle", ink, bold=share > 0.7))
    if total:
        scene.add(Words(x + side / 2, y + side / 2 + 13, f"{100 * share:.1f} %", 11, "middle", ink))


def reliability_figure(bins: "ReliabilityBins", *, title: str = "") -> Scene:
    """Accuracy against confidence by bin, the diagonal of perfect calibration, and how many samples each bin has."""
    plot, left, top = 300.0, 58.0, 44.0 if title else 14.0
    label = f"Reliability diagram: expected calibration error {bins.ece:.3f} over {len(bins.count)} bins."
    scene = Scene(left + plot + 20, top + plot + 142, label)
    if title:
        scene.add(Words(14, 22, title, 16, bold=True))
    for tick in (0, 0.25, 0.5, 0.75, 1):
        y, x = top + plot * (1 - tick), left + plot * tick
        scene.add(Line(((left, y), (left + plot, y)), "grid", 1), Words(left - 8, y, f"{tick:.0%}", 11, "end", "muted"))
        scene.add(Words(x, top + plot + 106, f"{tick:.0%}", 11, "middle", "muted"))
    _add_bins(scene, bins, left, top, plot)
    scene.add(Line(((left, top + plot), (left + plot, top)), "muted", 1.5, dashed=True))
    scene.add(Words(left + plot / 2, top + plot + 126, "confidence (probability of the answer)", 12, "middle", "muted"))
    scene.add(Words(left + 8, top + 12, "share that was right", 12, fill="muted"))
    scene.add(Words(left + 8, top + plot + 18, "images by confidence", 12, fill="muted"))
    return scene


def _add_bins(scene: Scene, bins: "ReliabilityBins", left: float, top: float, plot: float) -> None:
    width, base = plot / len(bins.count), top + plot + 92
    for k, count in enumerate(bins.count):
        x = left + k * width
        scene.add(
            Rect(x + 1, base - 60 * count / bins.count.max(), width - 2, 60 * count / bins.count.max(), "muted", 0.55)
        )
        if count:
            height = plot * float(bins.accuracy[k])
            scene.add(Rect(x + 1, top + plot - height, width - 2, height, "accent", 0.75))
            mark = top + plot * (1 - float(bins.confidence[k]))
            scene.add(Line(((x + 1, mark), (x + width - 1, mark)), "warn", 2))
    scene.add(Line(((left, base), (left + plot, base)), "muted", 1))


def interval_figure(value: float, low: float, high: float, baseline: float) -> Scene:
    """One number in 0..1 with its interval, beside the number to beat, on one axis."""
    left, width, y = 24.0, 560.0, 44.0
    label = f"Accuracy {value:.1%}, interval {low:.1%} to {high:.1%}; always the most frequent class: {baseline:.1%}."
    scene = Scene(left * 2 + width, 92, label)

    def at(share: float) -> float:
        return left + width * share

    scene.add(Rect(left, y - 3, width, 6, "grid"), Rect(left, y - 3, width * value, 6, "accent", 0.35))
    scene.add(Rect(at(low), y - 8, max(at(high) - at(low), 2), 16, "accent", 0.6), Dot(at(value), y, 6, "accent"))
    scene.add(Line(((at(baseline), y - 15), (at(baseline), y + 15)), "warn", 2.5))
    far = abs(at(value) - at(baseline)) > 170
    scene.add(Words(_inside(at(value), 60, left, width), y - 26, f"{value:.1%}", 15, "middle", "accent", bold=True))
    side = y - 26 if far else y + 28
    scene.add(
        Words(_inside(at(baseline), 160, left, width), side, f"majority class {baseline:.1%}", 13, "middle", "warn")
    )
    for tick in (0, 0.25, 0.5, 0.75, 1):
        if far or abs(at(tick) - at(baseline)) > 110:
            scene.add(Words(_inside(at(tick), 24, left, width), y + 28, f"{tick:.0%}", 11, "middle", "muted"))
    return scene


def curves_figure(curves: Mapping[str, Curve], *, title: str, percent: bool = False) -> Scene:
    """Values over epochs, one line a name; a curve of one point is a dot. The scale spans the data."""
    left, top, width, height = 64.0, 46.0, 420.0, 210.0
    points = [p for curve in curves.values() for p in curve]
    (x0, x1), (y0, y1) = _span([x for x, _ in points]), _padded(_span([y for _, y in points]))
    last = ", ".join(f"{name} {curve[-1][1]:.4g}" for name, curve in curves.items() if curve)
    scene = Scene(
        left + width + 20, top + height + 44 + 20 * ((len(curves) + 2) // 3), f"{title} by epoch; last: {last}."
    )
    scene.add(Words(14, 20, title, 15, bold=True))

    def place(x: float, y: float) -> tuple[float, float]:
        return left + width * (x - x0) / (x1 - x0), top + height * (1 - (y - y0) / (y1 - y0))

    marks = ticks(y0, y1)
    for tick in marks:
        _, y = place(x0, tick)
        text = tick_text(tick, marks[1] - marks[0] if len(marks) > 1 else 1.0, percent=percent)
        scene.add(Line(((left, y), (left + width, y)), "grid", 1), Words(left - 8, y, text, 11, "end", "muted"))
    for tick in ticks(x0, x1):
        if tick == int(tick):
            scene.add(Words(place(tick, y0)[0], top + height + 14, f"{tick:.0f}", 11, "middle", "muted"))
    for k, (name, curve) in enumerate(curves.items()):
        colour = f"series-{k % 6 + 1}"
        scene.add(Line(tuple(place(x, y) for x, y in curve), colour, 2)) if len(curve) > 1 else None
        scene.add(*(Dot(*place(x, y), 3, colour) for x, y in curve[-1:]))
        x, y = left + (k % 3) * 145, top + height + 42 + 20 * (k // 3)
        scene.add(Rect(x, y - 5, 14, 10, colour), Words(x + 20, y, name, 12))
    return scene


def _inside(x: float, wide: float, left: float, width: float) -> float:
    """x moved so that words of that width, centred there, stay on the axis."""
    return min(max(x, left - 16 + wide / 2), left + width + 16 - wide / 2)


def _fitted(name: str, most: int) -> str:
    return name if len(name) <= most else name[: most - 1] + "…"


def _span(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - 0.5, low + 0.5)


def _padded(span: tuple[float, float]) -> tuple[float, float]:
    pad = 0.06 * (span[1] - span[0])
    return span[0] - pad, span[1] + pad


def ticks(low: float, high: float) -> list[float]:
    """About five round numbers between low and high."""
    import math

    raw = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(raw))
    step = power * next(m for m in (1, 2, 5, 10) if m * power >= raw)
    first = math.ceil(low / step)
    return [round(k * step, 12) for k in range(first, math.floor(high / step) + 1)]


def tick_text(value: float, step: float, *, percent: bool) -> str:
    """With as many digits as tell neighbouring ticks apart."""
    import math

    if step < 1e-4 and not percent:
        return f"{value:.3g}"
    digits = max(0, math.ceil(-math.log10(100 * step if percent else step) - 1e-9))
    return f"{value:.{digits}%}" if percent else f"{value:.{digits}f}"
