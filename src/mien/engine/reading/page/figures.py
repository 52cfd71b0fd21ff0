"""The figures of a run's page: expressions over time with their spread, valence, arousal, pose, asymmetry, quality."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from mien.engine.reading.page.gather import RunFacts, Track
from mien.engine.reading.tables.measures import ASYMMETRY, Measures, shown
from mien.metrics.moments import Course
from mien.report.courses import Lane, course_figure, plane_figure, shares_figure
from mien.report.svg import Scene

BINS = 320  # of a lane of 640 pixels
WINDOW_S = 1.0  # least width of the window of the band
STRONGEST_UNITS = 6
POSE = ("pose_yaw", "pose_pitch", "pose_roll")
BAND = "line: mean of a time bin; band: one standard deviation of single frames in a window around it, to both sides"


def track_figures(track: Track, measures: Measures) -> list[Scene]:
    """The time courses of one track, and its path in the plane of valence and arousal."""
    name = "" if track.number is None else f", track {track.number}"
    windowed = Windowed(track.course)
    gap = max(2.5 * windowed.width_s, 1.0)
    figures: list[Scene] = []
    for title, names, span in _groups(track, measures):
        lanes = [windowed.lane(each, measures, span) for each in names]
        lanes = [lane for lane in lanes if np.isfinite(lane.values).any()]
        if lanes:
            figures.append(course_figure(lanes, title=title + name, gap_s=gap, note="" if figures else BAND))
    if {"valence", "arousal"} <= set(measures.names):
        x, y = (windowed.values[:, measures.names.index(each)] for each in ("valence", "arousal"))
        figures.append(plane_figure(x, y, title=f"Path of valence and arousal{name}", names=("valence", "arousal")))
    return figures


def _groups(track: Track, measures: Measures) -> list[tuple[str, list[str], tuple[float, float] | None]]:
    """Title, measures and axis of each figure."""
    present = set(measures.names)
    return [
        ("Expressions", [f"prob_{name}" for name in measures.classes], (0.0, 1.0)),
        ("Valence and arousal", [name for name in ("valence", "arousal") if name in present], (-1.0, 1.0)),
        ("Head pose", [name for name in POSE if name in present], None),
        ("Asymmetry", [ASYMMETRY] if ASYMMETRY in present else [], None),
        ("Strongest action units", strongest_units(track.course, measures), (0.0, 1.0)),
        ("Quality", [name for name in measures.names if name.startswith("quality_")], None),
    ]


def strongest_units(course: Course, measures: Measures, *, most: int = STRONGEST_UNITS) -> list[str]:
    """The action units that vary most over the video."""
    places = [measures.names.index(name) for name in measures.units]
    count = np.maximum(course.moments.count[:, places].sum(0), 1)
    mean = course.moments.sum[:, places].sum(0) / count
    variance = course.moments.squares[:, places].sum(0) / count - mean**2
    order = sorted(range(len(places)), key=lambda i: -variance[i])[:most]
    return [measures.units[i] for i in sorted(order)]


class Windowed:
    """A course at the page's resolution: means of bins, and the spread of single frames in a window around each."""

    def __init__(self, course: Course) -> None:
        step = max(1, -(-course.bins // BINS))
        count, total, squares = (
            _folded(array[: course.bins], step)
            for array in (course.moments.count, course.moments.sum, course.moments.squares)
        )
        self.width_s = step * course.width_s
        """Of a bin."""
        self.times_s = (np.arange(len(count)) + 0.5) * self.width_s
        self.values: Float[np.ndarray, "bins measures"] = _over(total, count)
        half = max(0, round((max(WINDOW_S, self.width_s) / self.width_s - 1) / 2))
        count, total, squares = (_window(array, half) for array in (count, total, squares))
        variance = _over(squares, count) - _over(total, count) ** 2
        self.spread: Float[np.ndarray, "bins measures"] = np.sqrt(np.maximum(variance, 0.0))

    def lane(self, name: str, measures: Measures, span: tuple[float, float] | None) -> Lane:
        """Of one measure."""
        i = measures.names.index(name)
        unit = "°" if measures.unit(name) == "degrees" else ""
        title = shown(name).removeprefix("pose ").removeprefix("quality ").removesuffix(" index")
        return Lane(title, self.times_s, self.values[:, i], self.spread[:, i], span, unit)


def _folded(array: np.ndarray, step: int) -> np.ndarray:
    """Sums of each `step` rows."""
    padded = np.concatenate([array, np.zeros((-len(array) % step, array.shape[1]))])
    return np.asarray(padded.reshape(-1, step, array.shape[1]).sum(1))


def _window(array: np.ndarray, half: int) -> np.ndarray:
    """Sums of the rows up to `half` places away."""
    total = np.concatenate([np.zeros((1, array.shape[1])), np.cumsum(array, axis=0)])
    places = np.arange(len(array))
    return np.asarray(total[np.minimum(places + half + 1, len(array))] - total[np.maximum(places - half, 0)])


def _over(total: np.ndarray, count: np.ndarray) -> np.ndarray:
    return np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)


def shares_of(facts: RunFacts) -> Scene:
    """Share of the faces by expression, with intervals over sources where there are several."""
    bars = {}
    for each in facts.means:
        if each.name.startswith("share_"):
            name = each.name.removeprefix("share_")
            bars[name] = [("all", each.mean, each.low, each.high)]
    return shares_figure(bars, title="Share of faces by most probable expression, mean over the sources")


def quality_names(names: Sequence[str]) -> list[str]:
    """Columns on the quality of the pictures."""
    return [name for name in names if name.startswith("quality_")]
