"""Points over time: head motion taken out, smoothed, and where rest and the height of the movement are."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from mien.core.geometry import fit_similarity
from mien.metrics.asymmetry import STABLE

Track = Float[np.ndarray, "frames columns"]
_HALF_WINDOW_S = 0.1  # half the smoothing window; a spontaneous smile's onset takes 0.3 s and more


class Phases(NamedTuple):
    """rest: frames at rest. height: frames of the sustained movement. peak: the frame of its largest size."""

    rest: Bool[np.ndarray, " frames"]
    height: Bool[np.ndarray, " frames"]
    peak: int


def steadied(
    points: Float[np.ndarray, "frames 68 dims"], reference: Float[np.ndarray, "68 dims"]
) -> Float[np.ndarray, "frames 68 dims"]:
    """Each frame moved onto the reference by the similarity of the stable points: nose and corners of the eyes."""
    stable = list(STABLE)
    result = np.empty_like(points)
    for k, frame in enumerate(points):
        scale, rotation, shift = fit_similarity(frame[stable], reference[stable])
        result[k] = scale * frame @ rotation.T + shift
    return result


def smoothed(track: Track, times_s: Float[np.ndarray, " frames"]) -> tuple[Track, Track]:
    """Values and their rates a second: a parabola through the frames within 0.1 s, at least five, however unevenly they
    come (Savitzky and Golay, Analytical Chemistry 36(8), 1964). Fewer than five frames stay as they are.
    """
    if len(times_s) < 5:
        return track, np.gradient(track, times_s, axis=0)
    values, rates = np.empty_like(track), np.empty_like(track)
    for k, now in enumerate(times_s):
        near = np.flatnonzero(np.abs(times_s - now) <= _HALF_WINDOW_S + 1e-9)
        if len(near) < 5:
            near = np.argsort(np.abs(times_s - now), kind="stable")[:5]
        offset = times_s[near] - now
        fit = np.linalg.pinv(np.stack([np.ones_like(offset), offset, offset**2], axis=1)) @ track[near]
        values[k], rates[k] = fit[0], fit[1]
    return values, rates


def principal(track: Track) -> Float[np.ndarray, " frames"]:
    """The track along the direction in which it moves most."""
    centred = track - np.median(track, axis=0)
    return np.asarray(centred @ np.linalg.svd(centred, full_matrices=False)[2][0])


def split_level(signal: Float[np.ndarray, " frames"]) -> float:
    """The threshold that parts a signal into two levels best (Otsu, IEEE Trans. SMC 9(1), 1979)."""
    ordered = np.sort(signal)
    counts = np.arange(1, len(ordered))
    low = np.cumsum(ordered)[:-1] / counts
    high = (ordered.sum() - np.cumsum(ordered)[:-1]) / (len(ordered) - counts)
    between = counts * (len(ordered) - counts) * (high - low) ** 2
    best = int(np.argmax(between))
    return float(ordered[best] + ordered[best + 1]) / 2


def phases_of(signal: Float[np.ndarray, " frames"], open_eyes: Bool[np.ndarray, " frames"]) -> Phases:
    """Rest is the level where the recording begins and ends; of its frames, the quiet ones with the eyes open.

    signal: the target's size or place. Where beginning and end disagree the beginning is rest. peak: the frame
    furthest from rest; height: the frames around it that keep nine tenths of that.
    """
    above = signal > split_level(signal)
    edge = max(1, len(signal) // 10)
    at_edges = np.concatenate([above[:edge], above[-edge:]])
    rest_above = bool(at_edges.mean() > 0.5) if at_edges.mean() != 0.5 else bool(above[:edge].mean() > 0.5)
    resting = above == rest_above
    speed = np.abs(np.gradient(signal))
    quiet = resting & (speed <= np.median(speed[resting]))
    away = np.abs(signal - np.median(signal[quiet]))
    rest = resting & (away <= 0.1 * away.max())
    if (rest & open_eyes).any():
        rest = rest & open_eyes
    peak = int(np.argmax(away))
    return Phases(rest if rest.any() else quiet, _around(away >= 0.9 * away[peak], peak), peak)


def _around(chosen: Bool[np.ndarray, " frames"], middle: int) -> Bool[np.ndarray, " frames"]:
    """The unbroken run of chosen frames that holds `middle`."""
    gaps = np.cumsum(~chosen)
    return chosen & (gaps == gaps[middle])


def crossing(
    values: Float[np.ndarray, " frames"], times_s: Float[np.ndarray, " frames"], level: float, peak: int
) -> float:
    """When the values last rose through `level` before the peak, between frames; the first frame's time if never."""
    below = np.flatnonzero(values[: peak + 1] < level)
    if len(below) == 0:
        return float(times_s[0])
    k = int(below[-1])
    if k >= peak:
        return float(times_s[peak])
    share = (level - values[k]) / (values[k + 1] - values[k])
    return float(times_s[k] + share * (times_s[k + 1] - times_s[k]))
