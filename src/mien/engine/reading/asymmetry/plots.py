"""Curves of a video: the person's right and left over time, with rest and the height of the movement shaded."""

from itertools import groupby

import numpy as np

from mien.report.axes import Axes, Entry, add_legend, legend_height
from mien.report.svg import Rect, Scene, Text

_LEFT, _TOP, _WIDTH, _HEIGHT = 46.0, 40.0, 360.0, 150.0
_LEGEND: tuple[Entry, ...] = (
    ("right", "series-1", 1), ("left", "series-2", 1), ("rest", "grid", 0.9), ("height", "series-6", 0.4),
)  # fmt: skip


def sides_figure(times_s: np.ndarray, curve: np.ndarray, *, title: str, rest: np.ndarray, height: np.ndarray) -> Scene:
    """curve: [frames, 2], right and left. rest, height: bool [frames]."""
    low, high = float(min(curve.min(), 0)), float(curve.max())
    start, end = float(times_s[0]), float(times_s[-1])
    label = f"{title} over time: right up to {curve[:, 0].max():.1f}, left up to {curve[:, 1].max():.1f}."
    scene = Scene(_LEFT + _WIDTH + 20, _TOP + _HEIGHT + 30 + legend_height(_LEGEND, _WIDTH), label)
    scene.add(Text(8, 14, title, 14, bold=True))
    y = low, high + 0.08 * max(high - low, 1e-6)
    axes = Axes(scene, (_LEFT, _TOP, _WIDTH, _HEIGHT), (start, max(end, start + 1e-9)), y)
    _shade(axes, times_s, rest, "grid", 0.55)
    _shade(axes, times_s, height, "series-6", 0.22)
    axes.add_y_ticks(count=4)
    axes.add_x_ticks(unit=" s", count=4)
    for side, colour in ((0, "series-1"), (1, "series-2")):
        axes.add_curve(zip(times_s.tolist(), curve[:, side].tolist(), strict=True), colour)
    add_legend(scene, _LEGEND, _LEFT, _TOP + _HEIGHT + 24, _WIDTH)
    return scene


def _shade(axes: Axes, times_s: np.ndarray, chosen: np.ndarray, colour: str, opacity: float) -> None:
    """A band behind each run of chosen frames."""
    for first, last in _runs(chosen):
        x0, x1 = (axes.place(float(times_s[frame]), 0)[0] for frame in (first, last))
        axes.scene.add(Rect(x0, axes.box[1], max(x1 - x0, 1.5), axes.box[3], colour, opacity))


def _runs(chosen: np.ndarray) -> list[tuple[int, int]]:
    """First and last index of each unbroken run."""
    found, place = [], 0
    for value, group in groupby(chosen.tolist()):
        length = len(list(group))
        if value:
            found.append((place, place + length - 1))
        place += length
    return found
