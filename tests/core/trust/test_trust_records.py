"""Quality, calibration and agreement: flags at their limits, coverage by its definition, divergence by hand."""

import json
from dataclasses import replace

import numpy as np
import pytest

from mien.core.bundle import BundleInfo
from mien.core.decode import energies, probabilities
from mien.core.errors import MienError
from mien.core.labels import label_set
from mien.core.records import Reading
from mien.core.spec import Output, PictureInput
from mien.core.trust.agreement import Agreement
from mien.core.trust.calibration import Calibration
from mien.core.trust.prediction_sets import calibrated, in_sets, prediction_set
from mien.core.trust.quality import FLAGS, MEASURES, FaceQuality

GOOD = {
    "sharpness": 0.3, "brightness": 0.5, "contrast": 0.2, "size": 100.0, "cut": 0.0, "turn": 5.0, "hidden": 0.0,
    "confidence": 0.9, "plausibility": 0.9, "energy": -4.0,
}  # fmt: skip


def test_a_flag_is_raised_beyond_its_limit_and_not_at_it():
    assert FaceQuality.of(GOOD, energy_limit=-2.0).flags == ()
    raised = []
    for measure in MEASURES[:-1]:
        for limit, step, flag in ((measure.low, -1e-6, measure.low_flag), (measure.high, 1e-6, measure.high_flag)):
            if limit is not None:
                assert FaceQuality.of(GOOD | {measure.name: limit}).flags == ()
                assert FaceQuality.of(GOOD | {measure.name: limit + step}).flags == (flag,)
                raised.append(flag)
    assert FaceQuality.of(GOOD, energy_limit=-4.5).flags == ("unlike_training",) and FaceQuality.of(GOOD).flags == ()
    assert (*raised, "unlike_training") == FLAGS
    assert FaceQuality.of({"size": 10.0}).summary == "small"
    with pytest.raises(MienError, match="No measure of quality 'blur'; known: sharpness"):
        FaceQuality.of({"blur": 1.0})


def test_sets_cover_new_faces_as_often_as_asked():
    """Labels drawn from the probabilities themselves: 2,000 faces to calibrate, 20,000 to test."""
    rng = np.random.default_rng(0)
    shares = probabilities(rng.normal(0, 1.5, (22_000, 5)))
    truth = (shares.cumsum(-1) > rng.random((len(shares), 1))).argmax(-1)
    found = calibrated(shares[:2000], truth[:2000])
    for coverage in (0.5, 0.8, 0.9, 0.95):
        inside = in_sets(shares[2000:], found.threshold(coverage))
        covered = inside[np.arange(20_000), truth[2000:]].mean()
        assert covered >= coverage - 0.02
        assert covered <= coverage + 0.02 or coverage == 0.5  # the most probable class alone is right more often
    assert found.faces == 2000 and found.threshold(0.85) == found.threshold(0.82) < found.threshold(0.8)


def test_a_threshold_by_hand():
    """Nine faces, labels at .1 to .9: of coverage .8 the second smallest of them, of .9 the first, of .95 none."""
    of_truth = np.arange(1, 10) / 10
    shares = np.stack([of_truth, 1 - of_truth], axis=1)
    found = calibrated(shares, np.zeros(9, int), energies(shares))
    assert (found.threshold(0.8), found.threshold(0.9), found.threshold(0.95)) == (0.2, 0.1, 0.0)
    assert found.energy_limit == pytest.approx(np.quantile(energies(shares), 0.99))
    assert found.prior == pytest.approx((10 / 11, 1 / 11))
    with pytest.raises(MienError, match="needs faces"):
        calibrated(shares[:0], np.zeros(0, int))


def test_a_set_is_ordered_and_never_empty():
    shares = {"anger": 0.2, "fear": 0.5, "neutral": 0.3}
    assert prediction_set(shares, 0.25) == ("fear", "neutral") and prediction_set(shares, 0.9) == ("fear",)
    assert prediction_set(shares, 0.0) == ("fear", "neutral", "anger") and prediction_set({}, 0.5) == ()


def test_what_a_bundle_does_not_hold_is_one_line():
    held = Calibration(10, {"0.9": 0.1})
    with pytest.raises(MienError, match=r"No prediction sets of coverage 0.95; the model has those of 0.9\."):
        held.threshold(0.95)
    with pytest.raises(MienError, match=r"between 0 and 1, such as 0\.9; got 90"):
        held.threshold(90)
    for wrong in (
        {"faces": 0},
        {"thresholds": {"much": 0.5}},
        {"thresholds": {"0.9": 1.5}},
        {"prior": (0.5, 0.4)},
        {"prior": (1.0, 0.0)},
    ):
        with pytest.raises(MienError):
            Calibration(**({"faces": 5} | wrong))


def info(**more) -> BundleInfo:
    return BundleInfo(
        "tiny", {}, {"image": PictureInput()}, {"expression": Output.classes(label_set("ferplus"))}, **more
    )


def test_a_bundle_keeps_its_calibration_and_older_ones_have_none():
    held = Calibration(1745, {"0.9": 0.299, "0.95": 0.114}, -2.37, tuple([0.125] * 8))
    text = info(calibration={"expression": held}).to_json()
    assert BundleInfo.from_json(text, where="x").calibration == {"expression": held}
    assert "calibration" not in json.loads(info().to_json())
    assert BundleInfo.from_json(info().to_json(), where="x").calibration == {}
    for change, what in (
        ({"voice": {"faces": 3}}, "calibration.'voice' is of no output of classes"),
        ({"expression": {"faces": 3, "thresholds": {"0.9": 2}}}, "must be in 0..1"),
        ({"expression": {"thresholds": {}}}, "calibration.expression.faces is missing"),
    ):
        with pytest.raises(MienError, match=what):
            BundleInfo.from_json(json.dumps(json.loads(text) | {"calibration": change}), where="x")


def test_energies_are_the_negative_log_sum_also_of_large_logits():
    logits = np.array([[0.0, 0.0], [1000.0, 0.0], [-3.0, 1.0]])
    assert energies(logits) == pytest.approx([-np.log(2), -1000.0, -np.log(np.exp(-3) + np.exp(1))])


def test_agreement_by_hand():
    """Two certain models that differ: one bit. Equal models: none. The order of the names does not matter."""
    sure, other = {"a": 1.0, "b": 0.0}, {"b": 1.0, "a": 0.0}
    apart = Agreement.of([sure, other])
    assert (apart.share, apart.divergence, apart.probabilities) == (0.0, 1.0, {"a": 0.5, "b": 0.5})
    three = Agreement.of([sure, {"b": 0.3, "a": 0.7}, other])
    assert three.share == 0.5 and 0 < three.divergence < 1
    assert Agreement.of([sure, sure]).divergence == 0 and Agreement.of([sure, sure]).share == 1
    for models in ([sure], [sure, {"a": 1.0}]):
        with pytest.raises(MienError, match="two models or more with the same classes"):
            Agreement.of(models)


def test_a_reading_states_its_doubts_in_one_line():
    face = Reading(
        "a.jpg", True, box=(0.0, 0.0, 9.0, 9.0), expression="fear", probabilities={"fear": 0.5, "anger": 0.4},
        quality=FaceQuality.of({"size": 9.0, "sharpness": 0.01}), expression_set=("fear", "anger"),
    )  # fmt: skip
    assert face.summary == "face 0: fear 50 % or anger, box (0, 0, 9, 9), quality: blurred, small"
    none = replace(face, expression=None, abstained="set of 2 classes;blurred;low_contrast")
    assert none.label == "no expression (set of 2 classes, blurred, low contrast)"
    plain = none.to_dict()
    assert plain["quality"]["flags"] == ["blurred", "small"] and plain["expression_set"] == ["fear", "anger"]
    assert json.dumps(plain) and replace(face, quality=None, expression_set=()).to_dict()["quality"] is None


def test_a_stage_calibrates_each_output_on_its_validation_faces():
    """One output under `logits`, or several under their names, each with its own temperature."""
    stage = pytest.importorskip("mien.systems.class_stage").ClassStage
    rng = np.random.default_rng(0)
    logits, truth = rng.normal(0, 2, (60, 4)), rng.integers(0, 4, 60)
    one = stage.calibration(None, {"logits": logits, "truth": truth}, {"expression": 2.0})
    expected = calibrated(probabilities(logits, temperature=2.0), truth, energies(logits))
    assert one == {"expression": expected}
    both = stage.calibration(None, {"face": logits, "voice": -logits, "truth": truth}, {"face": 2.0, "voice": 1.0})
    assert both["face"] == expected != both["voice"] and both["voice"].faces == 60
