"""`mien study score`: how far raters agree, and how far a voice moves what they see in a face."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from mien.core.errors import MienError
from mien.engine.study.make import RATINGS, TRIALS
from mien.media.csv_text import given_rows
from mien.media.files import home_expanded, writable_folder, write_csv, write_text
from mien.metrics.agreement import alpha_interval, krippendorff_alpha
from mien.metrics.significance import cluster_weights, percentiles

RESAMPLES = 2000
Found = tuple[float, float, float]
"""A number with its 95 % interval."""


@dataclass(frozen=True)
class Rating:
    """One trial that was rated."""

    rater: str
    """Who."""
    stimulus: tuple[str, str]
    """Face and voice."""
    voice: str
    """Expression of the voice."""
    expression: str
    """That was seen; empty where it was not rated."""
    values: dict[str, float]
    """valence, arousal, as far as they were rated."""


def score(inputs: list[str], *, output: str | None = None) -> str:
    """Score the ratings of a study: agreement of raters, and the shift of ratings by voice, with 95 % intervals.

    Agreement is Krippendorff's alpha over stimuli (a face with a voice), nominal for expressions, interval for valence
    and arousal; its intervals draw stimuli. The pull of a voice is how much more often its expression is seen with it
    than with other voices; the shift is how far valence and arousal lie above the rater's own mean. Their intervals
    draw whole raters.

    Args:
        inputs: ratings.csv, or the filled in sessions of raters.
        output: folder for scores.json, agreement.csv and shift.csv; by default nothing is written.
    """
    ratings = [rating for name in inputs for rating in _read(home_expanded(name))]
    if not ratings:
        raise MienError(f"{', '.join(inputs)}: no trial is rated. Fill in {', '.join(RATINGS)}.")
    _refuse_doubled(ratings)
    agreement, shifts = agreements(ratings), voice_shifts(ratings)
    if output is not None:
        _write(writable_folder(home_expanded(output)), agreement, shifts, ratings)
    raters = len({rating.rater for rating in ratings})
    lines = [f"{len(ratings)} ratings by {raters} raters of {len({r.stimulus for r in ratings})} stimuli"]
    lines += [
        f"agreement on {name}: " + (_shown(value) if value else reason) for name, (value, reason) in agreement.items()
    ]
    for voice, own in shifts.items():
        lines.append(f"{voice}: " + ", ".join(f"{name} {_shown(value)}" for name, value in own.items()))
    return "\n".join(lines)


def _refuse_doubled(ratings: Sequence[Rating]) -> None:
    """Raises MienError for a trial that comes twice, as where ratings.csv and the sessions are both named."""
    times = Counter((rating.rater, rating.stimulus) for rating in ratings)
    if doubled := [key for key, count in times.items() if count > 1]:
        rater, (face, voice) = doubled[0]
        raise MienError(
            f"{len(doubled)} trials are rated twice ({rater}: {face} with {voice}, ...). Name each table once: "
            "ratings.csv, or the sessions."
        )


def agreements(ratings: Sequence[Rating]) -> dict[str, tuple[Found | None, str]]:
    """expression, valence, arousal, where rated: alpha with its interval, else why there is none."""
    raters, stimuli = sorted({r.rater for r in ratings}), sorted({r.stimulus for r in ratings})
    classes = sorted({r.expression for r in ratings if r.expression})
    found: dict[str, tuple[Found | None, str]] = {}
    for name in RATINGS:
        table = np.full((len(raters), len(stimuli)), np.nan)
        for rating in ratings:
            place = raters.index(rating.rater), stimuli.index(rating.stimulus)
            if name != "expression":
                table[place] = rating.values.get(name, np.nan)
            elif rating.expression:
                table[place] = classes.index(rating.expression)
        if np.isfinite(table).any():
            found[name] = _alpha(table, nominal=name == "expression")
    return found


def _alpha(table: np.ndarray, *, nominal: bool) -> tuple[Found | None, str]:
    level: Any = "nominal" if nominal else "interval"
    try:
        interval = alpha_interval(table, level=level, resamples=RESAMPLES)
        return (krippendorff_alpha(table, level=level), interval.low, interval.high), ""
    except MienError as error:
        return None, str(error)


def voice_shifts(ratings: Sequence[Rating]) -> dict[str, dict[str, Found]]:
    """Expression of the voice -> pull, valence, arousal with their intervals over raters; undefined ones are absent."""
    raters = sorted({rating.rater for rating in ratings})
    if len(raters) < 2:
        raise MienError(f"Intervals over raters need two of them; got {len(raters)}.")
    weights = np.concatenate([np.ones((1, len(raters))), cluster_weights(len(raters), resamples=RESAMPLES)])
    centred = _centred(ratings)
    found: dict[str, dict[str, Found]] = {}
    for voice in sorted({rating.voice for rating in ratings}):
        own = {"pull": _pull(ratings, voice, raters, weights)}
        for name in RATINGS[1:]:
            own[name] = _mean(centred[name], voice, raters, weights)
        found[voice] = {name: value for name, value in own.items() if value is not None}
    return found


def _pull(ratings: Sequence[Rating], voice: str, raters: list[str], weights: np.ndarray) -> Found | None:
    """Share of ratings as the voice's expression with this voice, less that with other voices."""
    sums = np.zeros((len(raters), 2, 2))  # [rater, this voice or another, seen or rated]
    for rating in ratings:
        if rating.expression:
            place = raters.index(rating.rater), int(rating.voice != voice)
            sums[place] += (rating.expression == voice, 1)
    drawn = np.tensordot(weights, sums, axes=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = drawn[..., 0] / drawn[..., 1]
    return _found(shares[:, 0] - shares[:, 1])


def _centred(ratings: Sequence[Rating]) -> dict[str, list[tuple[str, str, float]]]:
    """By name: (rater, voice, value above the rater's mean)."""
    found: dict[str, list[tuple[str, str, float]]] = {name: [] for name in RATINGS[1:]}
    for name, held in found.items():
        by_rater: dict[str, list[float]] = {}
        for rating in ratings:
            if name in rating.values:
                by_rater.setdefault(rating.rater, []).append(rating.values[name])
        for rating in ratings:
            if name in rating.values:
                own = by_rater[rating.rater]
                held.append((rating.rater, rating.voice, rating.values[name] - sum(own) / len(own)))
    return found


def _mean(centred: list[tuple[str, str, float]], voice: str, raters: list[str], weights: np.ndarray) -> Found | None:
    sums = np.zeros((len(raters), 2))
    for rater, heard, value in centred:
        if heard == voice:
            sums[raters.index(rater)] += (value, 1)
    drawn = weights @ sums
    with np.errstate(invalid="ignore", divide="ignore"):
        return _found(drawn[:, 0] / drawn[:, 1])


def _found(values: np.ndarray) -> Found | None:
    """The first is of all raters, the others of resamples; None where it is undefined, or often."""
    defined = values[1:][np.isfinite(values[1:])]
    if not np.isfinite(values[0]) or len(defined) < 0.95 * (len(values) - 1):
        return None
    interval = percentiles(defined)
    return float(values[0]), interval.low, interval.high


def _read(path: Path) -> list[Rating]:
    """The rated trials. Raises MienError that names the line of a rating that is none."""
    if not path.is_file():
        raise MienError(f"{path}: {'a folder; name its CSV files' if path.is_dir() else 'no such file'}.")
    found = []
    for number, row in enumerate(given_rows(path), 2):
        if missing := [name for name in (*TRIALS, *RATINGS) if name not in row]:
            raise MienError(f"{path}: no column {missing[0]!r}. Take the tables that mien study make wrote.")
        values = {
            name: _number(row[name], f"{path}, line {number}, {name}") for name in RATINGS[1:] if row[name].strip()
        }
        expression = row["expression"].strip()
        if expression or values:
            stimulus = (row["face"], row["voice"])
            found.append(Rating(row["rater"], stimulus, row["voice_expression"], expression, values))
    return found


def _number(text: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not isfinite(value):
        raise MienError(f"{where}: must be a number; got {text!r}.")
    return value


def _shown(found: Found) -> str:
    return "{:.2f} ({:.2f} to {:.2f})".format(*found)


def _write(
    folder: Path, agreement: dict[str, tuple[Found | None, str]], shifts: dict[str, dict[str, Found]],
    ratings: Sequence[Rating],
) -> None:  # fmt: skip
    known = {name: value for name, (value, _) in agreement.items() if value}
    write_csv(
        folder / "agreement.csv", ("rating", "alpha", "low", "high"), [[name, *value] for name, value in known.items()]
    )
    rows = [[voice, name, *value] for voice, own in shifts.items() for name, value in own.items()]
    write_csv(folder / "shift.csv", ("voice_expression", "measure", "value", "low", "high"), rows)
    values = {
        "ratings": len(ratings), "raters": len({r.rater for r in ratings}), "agreement": known, "shift": shifts,
        "intervals": f"95 %, {RESAMPLES} resamples: of stimuli for agreement, of raters for shifts",
    }  # fmt: skip
    write_text(folder / "scores.json", json.dumps(values, indent=2, ensure_ascii=False) + "\n")
