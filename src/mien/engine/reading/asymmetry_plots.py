"""Curves of a film: the person's right and left over time, with rest and the height of the movement shaded."""

import math
from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from mien.report.svg import Line, Rect, Scene, Words

if TYPE_CHECKING:
    import numpy as np

_LEFT, _TOP, _WIDTH, _HEIGHT = 46.0, 40.0, 360.0, 150.0


def sides_figure(
    times_s: "np.ndarray", curve: "np.ndarray", *, title: str, rest: "np.ndarray", height: "np.ndarray"
) -> Scene:
    """curve: [frames, 2], right and left. rest, height: bool [frames]."""
    low, high = float(min(curve.min(), 0)), float(curve.max())
    span = (low, high + 0.08 * max(high - low, 1e-6))
    start, end = float(times_s[0]), float(times_s[-1])
    label = f"{title} over time: right up to {curve[:, 0].max():.1f}, left up to {curve[:, 1].max():.1f}."
    scene = Scene(_LEFT + _WIDTH + 14, _TOP + _HEIGHT + 40, label)
    scene.add(Words(8, 14, title, 14, bold=True))

    def place(x: float, y: float) -> tuple[float, float]:
        across, up = (x - start) / max(end - start, 1e-9), (y - span[0]) / (span[1] - span[0])
        return _LEFT + _WIDTH * across, _TOP + _HEIGHT * (1 - up)

    for chosen, colour, opacity in ((rest, "grid", 0.55), (height, "series-6", 0.22)):
        for first, last in _runs(chosen):
            x0, x1 = place(float(times_s[first]), 0)[0], place(float(times_s[last]), 0)[0]
            scene.add(Rect(x0, _TOP, max(x1 - x0, 1.5), _HEIGHT, colour, opacity))
    for tick in _ticks(*span):
        y = place(start, tick)[1]
        scene.add(
            Line(((_LEFT, y), (_LEFT + _WIDTH, y)), "grid", 1), Words(_LEFT - 6, y, f"{tick:g}", 11, "end", "muted")
        )
    for tick in _ticks(start, end):
        x = place(tick, span[0])[0]
        scene.add(Words(x, _TOP + _HEIGHT + 12, f"{tick:g} s", 11, "middle", "muted"))
    for side, colour in ((0, "series-1"), (1, "series-2")):
        points = zip(times_s.tolist(), curve[:, side].tolist(), strict=True)
        scene.add(Line(tuple(place(x, y) for x, y in points), colour, 2))
    _key(scene)
    return scene


def _key(scene: Scene) -> None:
    y, x = _TOP + _HEIGHT + 30, _LEFT
    for words, colour, opacity, wide in (
        ("right", "series-1", 1, 60),
        ("left", "series-2", 1, 55),
        ("rest", "grid", 0.9, 55),
        ("height", "series-6", 0.4, 0),
    ):
        scene.add(Rect(x, y - 5, 14, 10, colour, opacity), Words(x + 19, y, words, 11))
        x += wide + 10


def _runs(chosen: "np.ndarray") -> list[tuple[int, int]]:
    """First and last index of each unbroken run."""
    found, place = [], 0
    for value, group in groupby(chosen.tolist()):
        length = len(list(group))
        if value:
            found.append((place, place + length - 1))
        place += length
    return found


def _ticks(low: float, high: float) -> Sequence[float]:
    """About four round numbers between low and high."""
    raw = max(high - low, 1e-9) / 4
    power = 10.0 ** math.floor(math.log10(raw))
    step = power * next(m for m in (1, 2, 5, 10) if m * power >= raw)
    return [round(k * step, 10) for k in range(math.ceil(low / step), math.floor(high / step) + 1)]
