"""Calibration: hand-worked bins, torchmetrics and scikit-learn, and temperatures that are known by construction."""

import numpy as np
import pytest
from sklearn import metrics as sklearn

from mien.core.decode import probabilities
from mien.core.errors import MienError
from mien.metrics import calibration
from shape_checks import unchecked


def calibrated(n: int = 20_000, classes: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and labels drawn from their own softmax: calibrated by construction."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=2, size=(n, classes))
    cumulative = probabilities(logits).cumsum(-1)
    return logits, (rng.random((n, 1)) > cumulative).sum(-1).clip(max=classes - 1)


def test_ece_worked_by_hand() -> None:
    chances = np.array([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6], [0.45, 0.55]])
    truth = np.array([0, 1, 1, 1])  # bin of 0.9: accuracy 0.5; bins of 0.6 and 0.55: accuracy 1
    bins = calibration.reliability_bins(chances, truth, bins=10)
    assert bins.count.tolist() == [0, 0, 0, 0, 0, 2, 0, 0, 2, 0]
    assert np.isnan(bins.accuracy[0])
    assert bins.ece == pytest.approx(0.5 * abs(1 - 0.575) + 0.5 * abs(0.5 - 0.9))


def test_ece_agrees_with_torchmetrics() -> None:
    torch = pytest.importorskip("torch")
    functional = pytest.importorskip("torchmetrics.functional.classification")
    logits, truth = calibrated(3000, seed=1)
    chances = probabilities(3 * logits)
    theirs = functional.multiclass_calibration_error(
        torch.from_numpy(chances), torch.from_numpy(truth), num_classes=4, n_bins=15, norm="l1"
    )
    assert calibration.ece(chances, truth) == pytest.approx(float(theirs), abs=1e-6)


def test_nll_and_brier_agree_with_scikit_learn() -> None:
    logits, truth = calibrated(500)
    chances = probabilities(logits)
    assert calibration.nll(logits, truth) == pytest.approx(sklearn.log_loss(truth, chances))
    ours, theirs = calibration.brier(chances, truth), sum(((truth == k) - chances[:, k]) ** 2 for k in range(4)).mean()
    assert ours == pytest.approx(theirs)


def test_nll_and_brier_worked_by_hand() -> None:
    chances, truth = np.array([[0.7, 0.2, 0.1], [0.5, 0.25, 0.25]]), np.array([0, 2])
    assert calibration.brier(chances, truth) == pytest.approx(((0.09 + 0.04 + 0.01) + (0.25 + 0.0625 + 0.5625)) / 2)
    assert calibration.nll(np.log(chances), truth) == pytest.approx((np.log(1 / 0.7) + np.log(4)) / 2)
    warmer = np.sqrt([0.5, 0.25])  # at a temperature of 2 a chance becomes its root, over their sum
    found = calibration.nll(np.log(chances[1:]), truth[1:], temperature=2)
    assert found == pytest.approx(np.log((warmer[0] + 2 * warmer[1]) / warmer[1]))


def test_extremes() -> None:
    one_hot = np.eye(3)
    assert calibration.ece(one_hot, np.arange(3)) == 0
    assert calibration.brier(one_hot, np.arange(3)) == 0
    assert calibration.brier(one_hot, np.array([1, 2, 0])) == 2
    assert calibration.ece(one_hot, np.array([1, 2, 0])) == 1
    assert calibration.nll(np.zeros((5, 7)), np.zeros(5, int)) == pytest.approx(np.log(7))
    assert calibration.nll(np.array([[0.0, 1e4]]), np.array([0])) == pytest.approx(1e4)  # no probability rounded to 0


@pytest.mark.parametrize("scale", [0.25, 1.0, 3.0])
def test_the_temperature_undoes_a_known_scale(scale: float) -> None:
    logits, truth = calibrated()
    temperature = calibration.fit_temperature(scale * logits, truth)
    assert temperature == pytest.approx(scale, rel=0.04)
    nearby = [calibration.nll(scale * logits, truth, temperature=temperature * f) for f in (0.98, 1, 1.02)]
    assert nearby[1] == min(nearby)


def test_the_temperature_agrees_with_an_independent_optimiser() -> None:
    optimize = pytest.importorskip("scipy.optimize")
    logits, truth = calibrated(800, seed=5)
    found = optimize.minimize_scalar(
        lambda log_t: calibration.nll(2.5 * logits, truth, temperature=np.exp(log_t)), bounds=(-3, 3), method="bounded"
    )
    assert calibration.fit_temperature(2.5 * logits, truth) == pytest.approx(np.exp(found.x), rel=1e-4)


def test_refusals() -> None:
    logits = np.array([[3.0, 0.0], [0.0, 3.0]])
    with pytest.raises(MienError, match="every answer is right"):
        calibration.fit_temperature(logits, np.array([0, 1]))
    with pytest.raises(MienError, match="no better than chance"):
        calibration.fit_temperature(logits, np.array([1, 0]))
    with pytest.raises(MienError, match="as many labels"), unchecked():
        calibration.ece(logits, np.array([0]))


@pytest.mark.parametrize(("logits", "truth"), [([[np.nan, 0.0]], [0]), ([[0.0, 1.0]], [2]), ([[0.0, 1.0]], [-1])])
def test_what_is_no_number_or_no_class_is_refused(logits: list, truth: list) -> None:
    for metric in (calibration.nll, calibration.ece, calibration.brier, calibration.fit_temperature):
        with pytest.raises(MienError, match=r"NaN|Labels lie"):
            metric(np.array(logits), np.array(truth))
