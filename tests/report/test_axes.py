"""Axes: values at their places, round ticks, legends that stay inside; bars as high as their values."""

from itertools import pairwise

import pytest

from mien.report.axes import Axes, add_legend, legend_height, span_of, tick_text, ticks
from mien.report.svg import Line, Rect, Scene, Text


def axes() -> Axes:
    return Axes(Scene(200, 200, "a plot"), (50, 20, 100, 80), (10, 20), (0, 4))


def test_values_are_placed_linearly_with_y_upwards() -> None:
    assert axes().place(10, 0) == (50, 100)
    assert axes().place(20, 4) == (150, 20)
    assert axes().place(12.5, 1) == (75, 80)


@pytest.mark.parametrize("low, high", [(0, 1), (-3.2, 17), (1e-6, 2e-6), (99.5, 100.5), (0, 12_345)])
def test_ticks_are_round_inside_and_not_many(low: float, high: float) -> None:
    found = ticks(low, high)
    assert 2 <= len(found) <= 11
    assert all(low <= tick <= high for tick in found)
    steps = {round((b - a) / (found[1] - found[0]), 6) for a, b in pairwise(found)}
    assert steps == {1.0}
    assert f"{found[1] - found[0]:.0e}"[0] in "125"


def test_a_tick_has_the_digits_that_its_step_needs() -> None:
    assert tick_text(0.25, 0.05) == "0.25"
    assert tick_text(3, 1) == "3"
    assert tick_text(0.5, 0.1, percent=True) == "50%"
    assert tick_text(0.125, 0.005, percent=True) == "12.5%"
    assert tick_text(-1, 0.5) == "\N{MINUS SIGN}1.0"


def test_bars_stand_on_the_lower_edge_and_reach_their_values() -> None:
    plot = axes()
    plot.add_bars([0, 1, 4], "accent")
    bars = [shape for shape in plot.scene.shapes if isinstance(shape, Rect)]
    assert [bar.height for bar in bars] == [0, 20, 80]
    assert {bar.y + bar.height for bar in bars} == {100}


def test_whole_ticks_leave_fractions_out() -> None:
    plot = Axes(Scene(200, 200, "a plot"), (50, 20, 100, 80), (1, 2), (0, 1))
    plot.add_x_ticks(whole=True)
    assert [shape.text for shape in plot.scene.shapes if isinstance(shape, Text)] == ["1", "2"]


def test_the_diagonal_joins_two_corners() -> None:
    plot = axes()
    plot.add_diagonal()
    (line,) = plot.scene.shapes
    assert isinstance(line, Line) and line.dashed
    assert line.points == ((50, 100), (150, 20))


def test_a_legend_breaks_its_lines_and_cuts_long_names() -> None:
    scene = Scene(300, 300, "a legend")
    entries = [("train", "series-1", 1.0), ("validation", "series-2", 1.0), ("n" * 200, "series-3", 1.0)]
    add_legend(scene, entries, 10, 0, 200)
    texts = [shape for shape in scene.shapes if isinstance(shape, Text)]
    assert legend_height(entries, 200) == 40
    assert [text.y for text in texts] == [10, 10, 30]
    assert texts[2].text.endswith("…") and len(texts[2].text) < 40
    assert legend_height([], 200) == 0


def test_a_span_is_never_empty() -> None:
    assert span_of([3.0]) == (2.5, 3.5)
    assert span_of([0.0, 10.0], pad=0.1) == (-1.0, 11.0)
