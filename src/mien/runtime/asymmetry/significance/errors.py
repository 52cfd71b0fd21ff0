"""The error of a difference between the sides, fitted on faces whose true differences are known.

Errors of the two sides are correlated: where a brow is read too high, so mostly is the other one. The error of a
difference is therefore fitted on differences, not built from the errors of single points: true = slope (read - turn
yaw) + error. The error's scale depends on the picture (size, sharpness, turn, the model's own sigma, the mirror test)
and on the face (the difference, the mean of both sides, the shape asymmetry of the region). The fit is a file beside a
landmark bundle, written by benchmarks/asymmetry/fit.py, and valid for that bundle alone.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from mien.core.errors import MienError
from mien.core.landmarks import SCHEME_68
from mien.core.records import FacePoints
from mien.runtime.asymmetry.measures import Calibrated, Estimate, Measure
from mien.runtime.asymmetry.static import FaceMeasures, Region

ERRORS_FILE, FORMAT = "asymmetry_errors.json", 1
CONDITIONS = ("size", "sharpness", "yaw", "pitch", "sigma", "mirror")
_LARGEST_PX = 200.0  # the network sees no more of a larger face
_Z90 = 1.6449
_ABOUT = ("people", "pictures", "portraits", "coverage_90", "healthy_clear")  # numbers that every file has


@dataclass(frozen=True)
class Conditions:
    """What the error of a picture depends on; None where it is not known."""

    size_px: float
    """Distance of the outer eye corners."""
    yaw_deg: float
    """Turn of the head, signed as Frame.turn_deg."""
    pitch_deg: float
    """Likewise."""
    sharpness: float | None = None
    """As quality.sharpness."""
    sigma: float | None = None
    """The model's mean error of the points inside the face, as a share of the distance of the outer eye corners."""
    mirror: float | None = None
    """Mean distance of the readings of the picture and of its mirror image, likewise."""

    @classmethod
    def of(cls, measured: FaceMeasures, *, sharpness: float | None, mirror_percent: float | None) -> "Conditions":
        """Of a face that was measured."""
        size = float(SCHEME_68.interocular(np.asarray(measured.face.landmarks_px, float)))
        yaw, pitch = measured.frame.turn_deg or (0.0, 0.0)
        mirror = None if mirror_percent is None else mirror_percent / 100
        return cls(size, yaw, pitch, sharpness, _inner_sigma(measured.face, size), mirror)

    @property
    def values(self) -> Float[np.ndarray, " conditions"]:
        """In the order of CONDITIONS: logarithms, and degrees without sign; NaN where unknown."""
        size = math.log(min(self.size_px, _LARGEST_PX))
        logs = [math.nan if v is None else math.log(max(v, 1e-4)) for v in (self.sharpness, self.sigma, self.mirror)]
        return np.array([size, logs[0], abs(self.yaw_deg), abs(self.pitch_deg), logs[1], logs[2]])


@dataclass(frozen=True)
class Spread:
    """Scale of an error: exp(log_scale x features), and the quantiles of error / scale."""

    log_scale: Float[np.ndarray, " features"]
    """Of 1, the standardised conditions, and the logarithms of difference, level and asymmetry (`feature_rows`)."""
    quantile_90: float
    """Of |error| / scale."""
    quantile_95: float
    """Likewise."""

    def half(self, features: Float[np.ndarray, " features"]) -> tuple[float, float]:
        """Half widths of the 90 and 95 % range, in the measure's unit."""
        scale = float(np.exp(features @ self.log_scale))
        return self.quantile_90 * scale, self.quantile_95 * scale


@dataclass(frozen=True)
class MeasureError:
    """What is fitted of one measure."""

    slope: float
    """True over read difference, 1 or more: what the model underestimates is given back, nothing is shrunk."""
    turn: float
    """Difference that is read for each degree of yaw where there is none."""
    difference_unit: float
    """Root mean square of the read difference in the fit."""
    level_unit: float
    """Likewise of the mean of both sides; 0 for a measure of the whole face."""
    error: Spread
    """Of the difference."""
    side: Spread | None
    """Of the measure of one side; None for a measure of the whole face."""
    healthy: Mapping[str, float]
    """"rest", "moved": what 95 % of healthy people's portraits stay below, neutral and smiling, without sign."""
    typical: Mapping[str, float]
    """Medians in the neutral ones: "difference" as read, without sign, "asymmetry" of the region, percent, and
    "half_95", the half width of the 95 % range of such a face."""
    repeat: float
    """Error of a change between two pictures of one person, over that of two independent pictures; 1 or less."""

    def features(self, conditions: np.ndarray, difference: Any, level: Any, asymmetry: Any) -> np.ndarray:
        """[*n, 4 + conditions] of read differences and levels in the measure's unit, asymmetry in percent."""
        levels = level / self.level_unit if self.level_unit else np.zeros_like(difference)
        return feature_rows(conditions, np.abs(difference) / self.difference_unit, levels, asymmetry)

    def equal_scale(self, conditions: np.ndarray, level: Any) -> np.ndarray:
        """[*n]: scale of the error in faces that differ as healthy ones do, whatever difference was read."""
        shape = conditions.shape[:-1]
        read = np.broadcast_to(self.typical["difference"], shape)
        features = self.features(conditions, read, np.broadcast_to(level, shape), self.typical["asymmetry"])
        return np.asarray(np.exp(features @ self.error.log_scale))

    def healthy_limit(self, conditions: np.ndarray, level: Any, *, moved: bool) -> np.ndarray:
        """[*n]: what 95 % of healthy people stay below in such a picture. It does not depend on the difference read."""
        half_95 = self.error.quantile_95 * self.equal_scale(conditions, level)
        usual = self.healthy["moved" if moved else "rest"]
        return np.asarray(np.sqrt(usual**2 + np.maximum(half_95**2 - self.typical["half_95"] ** 2, 0)))

    def corrected(self, difference: float, yaw_deg: float) -> float:
        return self.slope * (difference - self.turn * yaw_deg)


def feature_rows(conditions: np.ndarray, difference: Any, level: Any, asymmetry: Any) -> np.ndarray:
    """conditions: [*n, 6], standardised. difference, level: [*n], in their units. asymmetry: [*n], percent, as read, of
    the region that the measure belongs to. All 0 or more."""
    shape = conditions.shape[:-1]
    logs = [
        np.log(least + np.maximum(np.broadcast_to(np.asarray(values, float), shape), 0))
        for least, values in ((0.25, difference), (0.1, level), (0.5, asymmetry))
    ]
    return np.concatenate([np.ones((*shape, 1)), conditions, np.stack(logs, axis=-1)], axis=-1)


@dataclass(frozen=True)
class ErrorModel:
    """The errors of all measures of one landmark bundle, read as stated in `about`."""

    measures: Mapping[str, MeasureError]
    """By name."""
    conditions: Mapping[str, tuple[float, float, float, float]]
    """Name → mean, standard deviation, least and largest value in the fit."""
    face_limit: float
    """What the largest `Calibrated.excess` of a face stays below in 95 % of healthy neutral portraits."""
    regions: Mapping[str, float]
    """Region of the Procrustes asymmetry → percent that 95 % of healthy neutral portraits stay below."""
    about: Mapping[str, Any]
    """people, pictures, portraits: of the fit; coverage_90, healthy_clear: shares on people who were kept out."""

    def standardised(self, conditions: Conditions) -> Float[np.ndarray, " conditions"]:
        """Clipped to what the fit has met; 0 where unknown."""
        rows = np.array([self.conditions[name] for name in CONDITIONS])
        mean, sd, low, high = rows.T
        values = np.clip(conditions.values, low, high)
        return np.asarray(np.where(np.isnan(values), 0.0, (values - mean) / sd))

    def outside(self, conditions: Conditions) -> list[str]:
        """Names of the conditions in which this picture is worse than any in the fit: its ranges may be too narrow."""
        worse = []
        for name, value in zip(CONDITIONS, conditions.values, strict=True):
            _, _, low, high = self.conditions[name]
            if (value < low - 1e-9) if name in ("size", "sharpness") else (value > high + 1e-9):
                worse.append(name)
        return worse

    def applied(self, measured: FaceMeasures, conditions: Conditions, *, moved: bool = False) -> FaceMeasures:
        """The face with fitted errors. moved: the picture shows a movement, healthy people differ more then."""
        x = self.standardised(conditions)
        shapes = {region.name: region.asymmetry.value for region in measured.regions}
        measures = tuple(self._measure(m, x, conditions.yaw_deg, shapes, moved) for m in measured.measures)
        regions = tuple(self._region(region, measures) for region in measured.regions)
        return replace(measured, measures=measures, regions=regions)

    def equal_sd(self, measured: FaceMeasures, name: str) -> float:
        """Standard deviation of the error of the change of a difference, for one of the two pictures, where both sides
        move alike: what a movement of one side must exceed. Conditions other than size and turn are as usual."""
        x = self.standardised(Conditions.of(measured, sharpness=None, mirror_percent=None))
        measure, fitted = measured[name], self.measures[name]
        sides = [side.value for side in (measure.right, measure.left) if side is not None]
        scale = float(fitted.equal_scale(x, sum(sides) / 2))
        return fitted.repeat * fitted.error.quantile_90 * scale / _Z90

    def _measure(
        self, measure: Measure, x: np.ndarray, yaw_deg: float, shapes: Mapping[str, float], moved: bool
    ) -> Measure:
        fitted = self.measures.get(measure.name)
        if fitted is None or not math.isfinite(measure.difference.value):
            return measure
        read = measure.difference.value
        sides = [side.value for side in (measure.right, measure.left) if side is not None]
        level = sum(sides) / 2
        features = fitted.features(x, read, level, shapes[measure.definition.region])
        half_90, half_95 = fitted.error.half(features)
        limit = float(fitted.healthy_limit(x, level, moved=moved))
        true = Calibrated(fitted.corrected(read, yaw_deg), half_90, half_95, limit, fitted.repeat)
        index = measure.index
        if index is not None and level > 0:
            index = Estimate(index.value, 100 * true.sd / level)
        side = None if fitted.side is None else fitted.side.half(features)[0] / _Z90
        return replace(
            measure, difference=Estimate(read, true.sd), right=_with_sd(measure.right, side),
            left=_with_sd(measure.left, side), index=index, true=true,
        )  # fmt: skip

    def _region(self, region: Region, measures: tuple[Measure, ...]) -> Region:
        """The limit grows as those of the region's measures do where a picture is worse than a portrait."""
        usual = self.regions.get(region.name)
        own = [m for m in measures if region.name in (m.definition.region, "whole face") and m.true is not None]
        if usual is None or not own:
            return region
        worse = np.median([m.true.healthy / self.measures[m.name].healthy["rest"] for m in own if m.true is not None])
        return Region(region.name, Estimate(region.asymmetry.value), usual * max(float(worse), 1.0), healthy=True)


def _inner_sigma(face: FacePoints, size: float) -> float | None:
    return None if face.sigma_px is None else float(np.mean(np.asarray(face.sigma_px, float)[17:]) / size)


def _with_sd(estimate: Estimate | None, sd: float | None) -> Estimate | None:
    return None if estimate is None else Estimate(estimate.value, sd)


def load_errors(path: Path, *, mirrored: bool, files: Mapping[str, str]) -> ErrorModel | None:
    """The fit for readings with or without the mirror test; None where there is no file, or where it was fitted on
    another network than that of `files` (name → SHA-256). Raises MienError for a file that is no such fit."""
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise MienError(f"{path.name} has format {content['format']}; this mien reads format {FORMAT}.")
        if content["network_sha256"] not in files.values():
            return None
        kind = "mirrored" if mirrored else "single"
        part, about = content[kind], dict(content["about"][kind])
        measures = {name: _measure_error(values) for name, values in part["measures"].items()}
        conditions = {name: _four(part["conditions"][name]) for name in CONDITIONS}
        limit = float(part["face_limit"])
        regions = {name: float(value) for name, value in part["regions"].items()}
        return ErrorModel(measures, conditions, limit, regions, about | {name: float(about[name]) for name in _ABOUT})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise MienError(f"{path.name} is no fit of errors: {error!r}. Make it again, or remove it.") from error


def _measure_error(values: Mapping[str, Any]) -> MeasureError:
    side = values["side"]
    numbers = {name: float(values[name]) for name in ("slope", "turn", "difference_unit", "level_unit",
                                                      "repeat")}  # fmt: skip
    healthy = {name: float(values["healthy"][name]) for name in ("rest", "moved")}
    typical = {name: float(values["typical"][name]) for name in ("difference", "asymmetry", "half_95")}
    error, of_side = _spread(values["error"]), None if side is None else _spread(side)
    return MeasureError(error=error, side=of_side, healthy=healthy, typical=typical, **numbers)


def _spread(values: Mapping[str, Any]) -> Spread:
    log_scale = np.array(values["log_scale"], float)
    if log_scale.shape != (4 + len(CONDITIONS),):
        raise ValueError(f"log_scale has {log_scale.size} numbers")
    return Spread(log_scale, float(values["quantile_90"]), float(values["quantile_95"]))


def _four(values: Any) -> tuple[float, float, float, float]:
    mean, sd, low, high = map(float, values)
    return mean, sd, low, high
