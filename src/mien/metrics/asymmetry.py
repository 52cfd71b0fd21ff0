"""How unequal the halves of a face are, from its points; and whether a model makes faces more equal than they are.

The index of a face: its points are mirrored, each onto its counterpart's place, in the line (2D) or plane (3D) that
brings the stable points (bridge and base of the nose, eye corners) nearest to their own mirror images. What remains
between a point and its mirrored counterpart, averaged over the mirror pairs, over the distance of the outer eye
corners, is the index: 0 for a symmetric face, a fraction as the NME is. Klingenberg, Barluenga and Meyer, Evolution
56(10), 2002, describe the decomposition for object symmetry; the stable points keep a weak mouth from tilting the line.

In 2D a turned head is unequal too. Compare faces of about the same pose, or give 3D points.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from mien.core.errors import MienError
from mien.core.landmarks import SCHEME_68, to_68
from mien.metrics.significance import RESAMPLES, Interval, bootstrap_means, percentiles

Points = Float[np.ndarray, "*faces points dims"]
STABLE = (27, 28, 29, 30, 33, 36, 39, 42, 45)  # of 68: closed under mirroring
REGIONS = {
    "brow": SCHEME_68.regions["right_brow"],
    "eye": SCHEME_68.regions["right_eye"],
    "nose": SCHEME_68.regions["nose"],
    "mouth": SCHEME_68.regions["mouth"],
    "jaw": SCHEME_68.regions["jaw"],
}  # names -> points; a pair belongs to the region of its first point
OPENINGS = {
    "lids": ((37, 41), (38, 40)),
    "brows": ((18, 37), (19, 37), (20, 38)),
}  # names -> the ends of distances on the person's right side; brows above the upper lid


@dataclass(frozen=True, eq=False)
class Mirror:
    """A line or plane of symmetry."""

    centre: Float[np.ndarray, "*faces dims"]
    """A point on it."""
    normal: Float[np.ndarray, "*faces dims"]
    """Of length 1, from the person's right to the left."""

    def __call__(self, points: Points) -> Points:
        """The points reflected; their order stays."""
        away = ((points - self.centre[..., None, :]) * self.normal[..., None, :]).sum(-1, keepdims=True)
        return points - 2 * away * self.normal[..., None, :]


def mirror_of(points: Points, *, stable: Sequence[int] = STABLE) -> Mirror:
    """The best mirror of 68 points (or 98, reduced): least squares over the stable ones, a rigid motion.

    Where each point's counterpart is the other's, the sum of x_i x_mirror(i)^T is symmetric, and the normal is its
    eigenvector of the smallest eigenvalue. stable: must hold the counterpart of each of its points. Raises MienError
    for other counts of points and where the points show no direction.
    """
    points = _checked(points)
    chosen = list(stable)
    if {int(SCHEME_68.mirror[i]) for i in chosen} != set(chosen):
        raise MienError("The stable points of a mirror must hold both points of each mirror pair.")
    centre = points[..., chosen, :].mean(-2)
    own = points[..., chosen, :] - centre[..., None, :]
    other = points[..., SCHEME_68.mirror[chosen], :] - centre[..., None, :]
    product = np.swapaxes(own, -1, -2) @ other
    values, vectors = np.linalg.eigh((product + np.swapaxes(product, -1, -2)) / 2)
    if not np.all(values[..., 1] - values[..., 0] > 1e-9 * np.abs(values).max(-1)):
        raise MienError("The asymmetry is undefined: the nose and eye corners of a face show no direction.")
    normal = vectors[..., 0]
    across = points[..., 45, :] - points[..., 36, :]
    return Mirror(centre, normal * np.where((normal * across).sum(-1, keepdims=True) < 0, -1.0, 1.0))


def pair_gaps(
    points: Points, *, stable: Sequence[int] = STABLE, mirror: Mirror | None = None
) -> Float[np.ndarray, "*faces pairs dims"]:
    """From the mirrored counterpart to the point, for the first (the person's right) of each of the 29 mirror pairs.

    In the unit of the points. mirror: another than the best one of these points.
    """
    points = _checked(points)
    right, left = np.array(SCHEME_68.mirror_pairs).T
    return points[..., right, :] - (mirror or mirror_of(points, stable=stable))(points)[..., left, :]


def pair_asymmetries(points: Points, *, stable: Sequence[int] = STABLE) -> Float[np.ndarray, "*faces pairs"]:
    """Distance of a point from its mirrored counterpart over that of the outer eye corners, for each mirror pair."""
    points = _checked(points)
    size = SCHEME_68.interocular(points)
    if not np.all(size > 0):
        raise MienError("The asymmetry is undefined: the outer eye corners of a face coincide.")
    return np.linalg.norm(pair_gaps(points, stable=stable), axis=-1) / size[..., None]


def asymmetry_index(points: Points, *, stable: Sequence[int] = STABLE) -> Float[np.ndarray, "*faces"]:
    """Mean over the mirror pairs: 0 is symmetric. One number for [68, dims], [faces] for [faces, 68, dims]."""
    return np.asarray(pair_asymmetries(points, stable=stable).mean(-1))


def region_asymmetry(points: Points, *, stable: Sequence[int] = STABLE) -> dict[str, Float[np.ndarray, "*faces"]]:
    """The index of brow, eye, nose, mouth and jaw: the mean over the region's own pairs, about the face's mirror."""
    pairs = pair_asymmetries(points, stable=stable)
    return {name: np.asarray(pairs[..., _pairs_of(name)].mean(-1)) for name in REGIONS}


def _pairs_of(region: str) -> list[int]:
    """Places of the region's pairs among all; of "" all."""
    first = [right for right, _ in SCHEME_68.mirror_pairs]
    return [k for k, point in enumerate(first) if not region or point in REGIONS[region]]


@dataclass(frozen=True)
class AsymmetryBias:
    """Linear fit by least squares of the predicted on the true index: predicted = slope * true + intercept."""

    slope: float
    """Below 1: asymmetry is underestimated."""
    intercept: float
    """In the index's unit."""
    r2: float
    """Share of the predicted index's variance that the line explains."""
    gain: float
    """Slope through 0 of the predicted on the true signed gaps; noise, which raises the index, cancels."""
    n: int
    """Faces."""
    intervals: dict[str, Interval] | None = None
    """By name, percentile bootstrap over faces; None where not computed."""


def asymmetry_bias(
    predicted: Float[np.ndarray, "faces points dims"],
    truth: Float[np.ndarray, "faces points dims"],
    *,
    resamples: int = RESAMPLES,
    level: float = 0.95,
    seed: int = 0,
) -> AsymmetryBias:
    """Raises MienError for fewer than three faces, and where all true faces are equally unequal: no line then."""
    if predicted.shape != truth.shape or truth.ndim != 3 or len(truth) < 3:
        raise MienError(
            f"The asymmetry bias needs two equal lists of at least three faces [faces, points, dims]; "
            f"got {predicted.shape} and {truth.shape}."
        )
    sums = _sums(_checked(predicted), _checked(truth))
    mean = sums.mean(0)
    if not mean[2] - mean[0] ** 2 > 1e-9 * mean[2]:
        raise MienError("The asymmetry bias is undefined: all true faces have the same asymmetry.")
    slope, intercept, r2, gain = map(float, _line(mean))
    intervals = None
    if resamples:
        drawn = _line(bootstrap_means(sums, resamples=resamples, seed=seed))
        names = ("slope", "intercept", "r2", "gain")
        intervals = {name: percentiles(v[np.isfinite(v)], level) for name, v in zip(names, drawn, strict=True)}
    return AsymmetryBias(slope, intercept, r2, gain, len(truth), intervals)


def gain_at_equal_turn(
    predicted: Float[np.ndarray, "faces points dims"],
    truth: Float[np.ndarray, "faces points dims"],
    yaw_rad: Float[np.ndarray, " faces"],
    *,
    region: str = "",
    resamples: int = RESAMPLES,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[float, Interval | None]:
    """The gain of what a turned head does not explain, and its interval (None without resamples).

    From the gaps of each pair, predicted and true, their straight line over sin(yaw) is taken away first: the picture
    of a turned head is unequal whatever the face, and a model may follow the turn and still flatten the face. region:
    a name of REGIONS, for its pairs alone. Raises MienError for fewer than eight faces, and where nothing is left.
    """
    if predicted.shape != truth.shape or truth.ndim != 3 or len(truth) < 8 or len(yaw_rad) != len(truth):
        raise MienError(f"The gain at equal turn needs at least eight faces and their yaw; got {len(truth)}.")
    size = SCHEME_68.interocular(to_68(truth))[:, None, None]
    turn = np.stack([np.ones(len(truth)), np.sin(yaw_rad)], axis=-1)
    left = []
    for points in (truth, predicted):
        gaps = (_upright_gaps(points) / size)[:, _pairs_of(region)].reshape(len(truth), -1)
        left.append(gaps - turn @ np.linalg.lstsq(turn, gaps, rcond=None)[0])
    products = np.stack([(left[0] * left[1]).sum(1), (left[0] ** 2).sum(1)], axis=-1)
    if not products[:, 1].mean() > 1e-12:
        raise MienError("The gain at equal turn is undefined: the true faces differ by their turn alone.")
    return _ratio(products, resamples=resamples, level=level, seed=seed)


def opening_gain(
    predicted: Float[np.ndarray, "faces points dims"],
    truth: Float[np.ndarray, "faces points dims"],
    *,
    opening: str,
    resamples: int = RESAMPLES,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[float, Interval | None]:
    """How much of a difference between the right and the left opening is found, and its interval (None without
    resamples): the predicted differences on the true ones, through 0.

    opening: a name of OPENINGS. What the index of a face hides: its mouth may be drawn as it is and both eyes alike.
    Raises MienError for fewer than three faces, and where all true faces open alike.
    """
    if predicted.shape != truth.shape or truth.ndim != 3 or len(truth) < 3:
        raise MienError(f"The gain of an opening needs two equal lists of at least three faces; got {len(truth)}.")
    size = SCHEME_68.interocular(to_68(truth))
    ends = np.array(OPENINGS[opening]).T
    found, true = (_right_minus_left(_checked(points), ends) / size for points in (predicted, truth))
    products = np.stack([found * true, true**2], axis=-1)
    if not products[:, 1].mean() > 1e-12:
        raise MienError(f"The gain of the {opening} is undefined: right and left open alike in all true faces.")
    return _ratio(products, resamples=resamples, level=level, seed=seed)


def _right_minus_left(points: np.ndarray, ends: np.ndarray) -> Float[np.ndarray, " faces"]:
    right, left = (
        np.linalg.norm(points[:, a] - points[:, b], axis=-1).mean(1) for a, b in (ends, SCHEME_68.mirror[ends])
    )
    return right - left


def _ratio(
    products: Float[np.ndarray, "faces 2"], *, resamples: int, level: float, seed: int
) -> tuple[float, Interval | None]:
    """Of the means, the first over the second, and its interval over the drawn sets of faces where there is one."""
    above, below = products.mean(0)
    if not resamples or len(products) < 2:
        return float(above / below), None
    drawn = bootstrap_means(products, resamples=resamples, seed=seed)
    defined = drawn[drawn[:, 1] > 0]
    return float(above / below), percentiles(defined[:, 0] / defined[:, 1], level)


def _upright_gaps(points: Float[np.ndarray, "faces points dims"]) -> Float[np.ndarray, "faces pairs 2"]:
    """The gaps of the pairs across the mirror line and along it: a tilted head gives the same. In 3D: across, and
    away from it."""
    gaps, normal = pair_gaps(points), mirror_of(points).normal[:, None, :]
    across = (gaps * normal).sum(-1)
    if gaps.shape[-1] == 2:
        along = gaps[..., 1] * normal[..., 0] - gaps[..., 0] * normal[..., 1]
    else:
        along = np.linalg.norm(gaps - across[..., None] * normal, axis=-1)
    return np.stack([across, along], axis=-1)


def _sums(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """What the line is made of, a row a face: x, y, x², y², xy, and the products of the gaps."""
    y, x = asymmetry_index(predicted), asymmetry_index(truth)
    size = SCHEME_68.interocular(truth)[:, None, None]
    gap, true_gap = pair_gaps(predicted) / size, pair_gaps(truth) / size
    products = (gap * true_gap).sum((1, 2)), (true_gap**2).sum((1, 2))
    return np.stack([x, y, x * x, y * y, x * y, *products], axis=-1)


def _line(means: Float[np.ndarray, "*sets 7"]) -> tuple[np.ndarray, ...]:
    """slope, intercept, r2 and gain from the means of `_sums`."""
    x, y, xx, yy, xy, product, square = np.moveaxis(means, -1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = (xy - x * y) / (xx - x * x)
        r2 = np.where(yy - y * y > 1e-12 * yy, (xy - x * y) ** 2 / ((xx - x * x) * (yy - y * y)), 0.0)
        return np.asarray(slope), np.asarray(y - slope * x), r2, np.asarray(product / square)


def _checked(points: Points) -> Float[np.ndarray, "*faces 68 dims"]:
    points = np.asarray(points, float)
    if points.ndim < 2 or points.shape[-1] not in (2, 3):
        raise MienError(f"The asymmetry needs points [..., 68, 2] or [..., 68, 3]; got {points.shape}.")
    if not np.all(np.isfinite(points)):
        raise MienError("The asymmetry is undefined: a point of a face is not a number.")
    return to_68(points)
