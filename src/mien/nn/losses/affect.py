"""Losses of valence and arousal, and of the diversity of attention heads (DDAMFN, If3D)."""

from itertools import combinations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

Values = Float[Tensor, " batch"]
Heads = Float[Tensor, "heads batch channels height width"]


def concordance(
    predicted: Values, truth: Values, known: Float[Tensor, " batch"] | None = None, *, eps: float = 1e-8
) -> Float[Tensor, ""]:
    """CCC over the batch (metrics.affect.ccc), in -1..1, with moments over n; its gradient is always finite.

    known: 1 for the faces that count, 0 for the others.
    """
    means, variances, covariance = _moments(predicted, truth, known)
    return 2 * covariance / (variances.sum() + (means[0] - means[1]).square() + eps)


def correlation(
    predicted: Values, truth: Values, known: Float[Tensor, " batch"] | None = None, *, eps: float = 0.0
) -> Float[Tensor, ""]:
    """Pearson's correlation over the batch, in -1..1; with an eps of more than 0 also of values that are all alike."""
    _, variances, covariance = _moments(predicted, truth, known)
    return covariance / (variances[0] * variances[1] + eps).sqrt()


def _moments(
    predicted: Values, truth: Values, known: Float[Tensor, " batch"] | None
) -> tuple[Float[Tensor, "2"], Float[Tensor, "2"], Float[Tensor, ""]]:
    """Means, variances and covariance over the known faces, by sums: nothing is selected, so that no step waits for the
    accelerator."""
    known = torch.ones_like(truth) if known is None else known
    count, both = known.sum().clamp(min=1), torch.stack([predicted, truth])
    means = (both * known).sum(1) / count
    away = (both - means[:, None]) * known
    return means, away.square().sum(1) / count, (away[0] * away[1]).sum() / count


def affect_loss(
    predicted: Float[Tensor, "batch values"], truth: Float[Tensor, "batch values"], *,
    mse: float = 1.0, pearson: float = 0.0, ccc: float = 1.0,
) -> dict[str, Tensor]:  # fmt: skip
    """Weighted terms over the faces whose value is known; truth is NaN where it is not.

    mse: weight of the mean squared error; pearson and ccc: of one minus the mean of either over the values. A value
    known of fewer than two faces has no correlation and counts in the squared error alone.
    """
    known, truth = (~truth.isnan()).to(predicted.dtype), truth.nan_to_num()
    terms = {"affect_mse": mse * ((predicted - truth).square() * known).sum() / known.sum().clamp(min=1)}
    counts = (known.sum(0) > 1).to(predicted.dtype)
    for name, weight, score in (("affect_pearson", pearson, correlation), ("affect_ccc", ccc, concordance)):
        if weight:
            columns = zip(predicted.unbind(1), truth.unbind(1), known.unbind(1), strict=True)
            missing = torch.stack([1 - score(p, t, k, eps=1e-8) for p, t, k in columns])
            terms[name] = weight * (missing * counts).sum() / counts.sum().clamp(min=1)
    return terms


def published_affect_loss(
    predicted: Float[Tensor, "batch 2"], truth: Float[Tensor, "batch 2"], weights: tuple[float, float, float]
) -> Float[Tensor, ""]:
    """If3D's mix of squared errors, 1 - PCC and 1 - C, each with its share of the weights.

    C is not the CCC: 2 var(t) var(p) PCC / (var t + var p + (difference of means)^2), with unbiased variances, stays
    far below 1 for values in -1..1.
    """
    pairs = list(zip(predicted.unbind(1), truth.unbind(1), strict=True))
    squared = sum(F.mse_loss(p, t) for p, t in pairs)
    pcc = torch.stack([correlation(p, t) for p, t in pairs])
    apart = torch.stack([p.var() + t.var() + (p.mean() - t.mean()).square() for p, t in pairs])
    product = torch.stack([2 * p.var() * t.var() for p, t in pairs])
    alpha, beta, gamma = (weight / sum(weights) for weight in weights)
    return alpha * squared + beta * (1 - pcc.mean()) + gamma * (1 - (product * pcc / apart).mean())


def head_difference(heads: Heads) -> Float[Tensor, ""]:
    """Mean over all pairs of heads of their mean squared difference; If3D's fusions add it, which makes heads alike."""
    return torch.stack([F.mse_loss(a, b) for a, b in combinations(heads.unbind(0), 2)]).mean()


def head_diversity(heads: Heads) -> Float[Tensor, ""]:
    """One over that mean: to minimise it pushes the heads apart (DDAMFN)."""
    pairs = len(heads) * (len(heads) - 1) // 2
    return pairs / (head_difference(heads) * pairs + 2.2e-16)
