"""Fits the errors of differences between the sides, tests them on people who were kept out, writes the file.

    python benchmarks/asymmetry/readings.py people --readings READINGS --count 2400
    python benchmarks/asymmetry/readings.py people --readings READINGS --repeats 300
    python benchmarks/asymmetry/readings.py photos PORTRAITS --readings READINGS --name neutral
    python benchmarks/asymmetry/readings.py photos SMILES --readings READINGS --name smile
    python benchmarks/asymmetry/fit.py READINGS [--output BUNDLE/asymmetry_errors.json]

PORTRAITS and SMILES: frontal photographs of healthy people, neutral and smiling. The printed tables, and `about` in the
file, come from five folds by person: each face is tested by a fit that saw no picture of that person. The file holds
the fit on all.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import minimize
from table import Table, load_table

from mien import __version__
from mien.media.files import write_text
from mien.runtime.asymmetry.measures import BY_NAME, DEFINITIONS, Definition
from mien.runtime.asymmetry.significance.errors import CONDITIONS, FORMAT, MeasureError, Spread, feature_rows
from mien.runtime.asymmetry.significance.headline import MEASURES
from mien.runtime.runner import MODEL_FILE

FOLDS, RIDGE, FREEDOM = 5, 2.0, 4.0  # of Student's t: the errors have heavy tails
Fit = dict[str, MeasureError]


def standardisation(conditions: np.ndarray) -> dict[str, tuple[float, float, float, float]]:
    """Name -> mean, sd, 0.5th and 99.5th percentile."""
    found = {}
    for name, values in zip(CONDITIONS, conditions.T, strict=True):
        if np.isnan(values).all():
            found[name] = (0.0, 1.0, -100.0, 100.0)
            continue
        low, high = np.nanpercentile(values, (0.5, 99.5))
        inside = np.clip(values, low, high)
        found[name] = (float(inside.mean()), float(max(inside.std(), 1e-6)), float(low), float(high))
    return found


def standardised(conditions: np.ndarray, about: dict[str, tuple[float, float, float, float]]) -> np.ndarray:
    mean, sd, low, high = np.array([about[name] for name in CONDITIONS]).T
    values = (np.clip(conditions, low, high) - mean) / sd
    return np.where(np.isnan(values), 0.0, values)


def fit_spread(error: np.ndarray, features: np.ndarray) -> Spread:
    """Likeliest scale of Student's t with ridge on all but the constant, then the quantiles of error / scale."""
    size = max(float(np.sqrt(np.mean(error**2))), 1e-9)

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        log_scale = features @ weights
        square = (error / size) ** 2 * np.exp(-2 * log_scale) / FREEDOM
        value = (log_scale + (FREEDOM + 1) / 2 * np.log1p(square)).sum() + RIDGE * (weights[1:] ** 2).sum()
        slope = features.T @ (1 - (FREEDOM + 1) * square / (1 + square))
        slope[1:] += 2 * RIDGE * weights[1:]
        return float(value), slope

    weights = minimize(loss, np.zeros(features.shape[1]), jac=True, method="L-BFGS-B").x
    weights[0] += np.log(size)
    ratio = np.abs(error) / np.exp(features @ weights)
    return Spread(weights, float(np.quantile(ratio, 0.90)), float(np.quantile(ratio, 0.95)))


def fit_measures(people: Table, about: dict[str, Any]) -> Fit:
    """Everything that synthetic people say; healthy limits and repeats come later."""
    x = standardised(people.conditions, about)
    return {d.name: _fit_measure(people, d, x) for d in DEFINITIONS}


def _fit_measure(people: Table, definition: Definition, x: np.ndarray) -> MeasureError:
    name, paired = definition.name, definition.paired
    (read, right, left), (true, true_right, true_left) = people.read[name].T, people.true[name].T
    slope, turn = line_of(read, true, people.yaw_deg)
    unit = float(np.sqrt(np.mean(read**2)))
    level = (right + left) / 2 if paired else np.zeros_like(read)
    level_unit = float(np.sqrt(np.mean(level**2))) if paired else 0.0
    levels = level / level_unit if paired else np.zeros_like(level)
    features = feature_rows(x, np.abs(read) / unit, levels, people.regions[definition.region])
    error = fit_spread(true - slope * (read - turn * people.yaw_deg), features)
    side = None
    if paired:
        both = np.concatenate([true_right - right, true_left - left])
        side = fit_spread(both, np.concatenate([features, features]))
    return MeasureError(slope, turn, unit, level_unit, error, side, {"rest": 0.0, "moved": 0.0}, {}, 1.0)


def line_of(read: np.ndarray, true: np.ndarray, yaw_deg: np.ndarray) -> tuple[float, float]:
    """slope, turn of true = slope (read - turn yaw). A slope below 1 would shrink readings towards what synthetic
    people happen to show: it becomes 1."""
    both = np.linalg.lstsq(np.stack([read, yaw_deg], axis=1), true, rcond=None)[0]
    slope = max(float(both[0]), 1.0)
    rest = true - slope * read
    return slope, -float(rest @ yaw_deg / (yaw_deg @ yaw_deg)) / slope


def halves(fitted: MeasureError, table: Table, name: str, about: dict[str, Any]) -> tuple[np.ndarray, ...]:
    """Corrected difference and the half widths of its 90 and 95 % range, each [n]."""
    read, level = table.read[name][:, 0], levels_of(table, name)
    shape = table.regions[BY_NAME[name].region]
    features = fitted.features(standardised(table.conditions, about), read, level, shape)
    scale = np.exp(features @ fitted.error.log_scale)
    corrected = fitted.slope * (read - fitted.turn * table.yaw_deg)
    return corrected, fitted.error.quantile_90 * scale, fitted.error.quantile_95 * scale


def with_health(fit: Fit, about: dict[str, Any], neutral: Table, smile: Table) -> Fit:
    """Limits that 95 % of healthy portraits stay below."""
    found = {}
    for name, fitted in fit.items():
        shapes = neutral.regions[BY_NAME[name].region]
        typical = {"difference": float(np.median(np.abs(neutral.read[name][:, 0]))),
                   "asymmetry": float(np.median(shapes)), "half_95": 1e9}  # fmt: skip
        bare = replace(fitted, healthy={"rest": 0.0, "moved": 0.0}, typical=typical)
        widths = [null_half_95(bare, table, name, about) for table in (neutral, smile)]
        typical["half_95"] = float(np.median(widths[0]))
        values = [halves(bare, table, name, about)[0] for table in (neutral, smile)]
        rest, moved = (usual_limit(v, w, typical["half_95"]) for v, w in zip(values, widths, strict=True))
        found[name] = replace(bare, healthy={"rest": rest, "moved": max(rest, moved)}, typical=typical)
    return found


def null_half_95(fitted: MeasureError, table: Table, name: str, about: dict[str, Any]) -> np.ndarray:
    """Of faces that differ as healthy ones do, in the pictures of the table. [n]."""
    x, level = standardised(table.conditions, about), levels_of(table, name)
    return fitted.error.quantile_95 * fitted.equal_scale(x, level)


def levels_of(table: Table, name: str) -> np.ndarray:
    """Mean of both sides; 0 for a measure of the whole face."""
    _, right, left = table.read[name].T
    return np.where(np.isfinite(right), (right + left) / 2, 0)


def usual_limit(corrected: np.ndarray, half_95: np.ndarray, typical: float) -> float:
    """95 % of the portraits lie below the limit for their own quality."""
    needed = np.sqrt(np.maximum(corrected**2 - np.maximum(half_95**2 - typical**2, 0), 0))
    return near_quantile(needed)


def limits(fitted: MeasureError, table: Table, name: str, about: dict[str, Any], *, moved: Any) -> np.ndarray:
    """Healthy limit of each face. moved: of all, or [n]."""
    x, level = standardised(table.conditions, about), levels_of(table, name)
    both = [fitted.healthy_limit(x, level, moved=value) for value in (False, True)]
    return np.where(np.broadcast_to(moved, len(table)), both[1], both[0])


def largest_ratio(fit: Fit, table: Table, about: dict[str, Any], *, moved: Any) -> np.ndarray:
    """[n]: of each face the largest excess, of the measures that a headline names."""
    return np.max([excess(fit[name], table, name, about, moved=moved) for name in MEASURES], axis=0)


def excess(fitted: MeasureError, table: Table, name: str, about: dict[str, Any], *, moved: Any) -> np.ndarray:
    """[n]: as Calibrated.excess."""
    corrected, half_90, _ = halves(fitted, table, name, about)
    return np.abs(corrected) / np.maximum(limits(fitted, table, name, about, moved=moved), half_90)


def face_limit(fit: Fit, neutral: Table, about: dict[str, Any]) -> float:
    """That 5 % of healthy portraits exceed."""
    return near_quantile(largest_ratio(fit, neutral, about, moved=False))


def near_quantile(values: np.ndarray) -> float:
    """The 95th percentile, as the mean of those about it."""
    return float(np.mean(np.quantile(values, np.linspace(0.925, 0.975, 11))))


def with_repeats(fit: Fit, about: dict[str, Any], repeats: Table | None) -> Fit:
    """From pairs of pictures of the same person with the same face: error of the change over independent errors."""
    if repeats is None:
        return fit
    first, second = paired_rows(repeats)
    found = {}
    for name, fitted in fit.items():
        corrected, half_90, _ = halves(fitted, repeats, name, about)
        change = corrected[second] - corrected[first]
        true = repeats.true[name][second, 0] - repeats.true[name][first, 0]
        ratio = np.abs(change - true) / np.hypot(half_90[first], half_90[second])
        found[name] = replace(fitted, repeat=float(min(np.quantile(ratio, 0.9), 1.0)))
    return found


def paired_rows(repeats: Table) -> tuple[np.ndarray, np.ndarray]:
    """Rows of first and second picture of each pair: numbers 2 k and 2 k + 1."""
    place = {int(number): row for row, number in enumerate(repeats.facts["number"])}
    pairs = [(place[n], place[n + 1]) for n in sorted(place) if n % 2 == 0 and n + 1 in place]
    first, second = np.array(pairs).T
    return first, second


def folds(people: Table) -> list[np.ndarray]:
    """Rows to be tested in each fold; all pictures of a person are in one."""
    return [np.flatnonzero(people.facts["person"] % FOLDS == fold) for fold in range(FOLDS)]


def region_limits(neutral: Table) -> dict[str, float]:
    return {name: near_quantile(values) for name, values in neutral.regions.items()}


def as_json(fit: Fit, about: dict[str, Any], neutral: Table) -> dict[str, Any]:
    measures = {}
    for name, f in fit.items():
        measures[name] = {
            "slope": f.slope, "turn": f.turn, "difference_unit": f.difference_unit, "level_unit": f.level_unit,
            "error": _spread_json(f.error), "side": None if f.side is None else _spread_json(f.side),
            "healthy": dict(f.healthy), "typical": dict(f.typical), "repeat": f.repeat,
        }  # fmt: skip
    limit = face_limit(fit, neutral, about)
    return {"measures": measures, "conditions": about, "face_limit": limit, "regions": region_limits(neutral)}


def _spread_json(spread: Spread) -> dict[str, Any]:
    return {"log_scale": spread.log_scale.tolist(), "quantile_90": spread.quantile_90,
            "quantile_95": spread.quantile_95}  # fmt: skip


def rounded(value: Any) -> Any:
    """Five significant digits: the file is to be read, too."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(item) for item in value]
    return float(f"{value:.5g}") if isinstance(value, float) else value


def main() -> None:
    from check import report

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("readings", type=Path)
    parser.add_argument("--neutral", default="neutral", help="name of the readings of healthy neutral portraits")
    parser.add_argument("--smile", default="smile", help="of healthy smiling portraits")
    parser.add_argument("--bundle", type=Path, help="the landmark bundle that read; the one that ships by default")
    parser.add_argument("--output", type=Path, help="file to write")
    options = parser.parse_args()
    content: dict[str, Any] = {"format": FORMAT}
    for part, mirrored in (("mirrored", True), ("single", False)):
        names = ("people", options.neutral, options.smile)
        people, neutral, smile = (load_table(options.readings, name, mirrored=mirrored) for name in names)
        repeats = None
        if list(options.readings.glob("repeats_*.npz")):
            repeats = load_table(options.readings, "repeats", mirrored=mirrored)
        about = standardisation(people.conditions)
        fit = with_repeats(with_health(fit_measures(people, about), about, neutral, smile), about, repeats)
        content[part] = as_json(fit, about, neutral)
        content.setdefault("about", {})[part] = report(people, neutral, smile, repeats, title=part)
    if options.output:
        content["network_sha256"] = _network(options.bundle)
        content["about"]["mien"] = __version__
        write_text(options.output, json.dumps(rounded(content), indent=1) + "\n")


def _network(bundle: Path | None) -> str:
    from mien.media.files import read_info
    from mien.runtime.landmarks import shipped_landmarks

    folder = bundle or shipped_landmarks()
    assert folder is not None
    return read_info(folder).files[MODEL_FILE]


if __name__ == "__main__":
    main()
