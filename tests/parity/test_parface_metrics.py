"""The published evaluator's numbers and lines, and ours beside them. Also 98 to 68 points, and depth in crop sides."""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from mien.core.landmarks import to_68
from mien.metrics import alignment
from mien.metrics import published_alignment as published

sys.path.insert(0, str(Path(__file__).parent))
from case import Case

SIDE = 256  # of the published crop


@pytest.fixture(scope="module")
def case():
    return Case("parface", "metrics")


def check(case, name, value):
    """Case.check for NumPy."""
    value = np.asarray(value)
    case.check(name, SimpleNamespace(shape=value.shape, detach=lambda: value))


@pytest.fixture(scope="module")
def faces(case):
    return case.want["in_prediction"].astype(float), case.want["in_truth"].astype(float)


@pytest.mark.parametrize("norm", ["pupil", "outer", "bb", "none"])
def test_errors_of_each_face(case, faces, norm):
    predicted, truth = faces
    deep = alignment.depth_aligned(predicted, truth)
    for kind, got, true in (("2d", predicted[..., :2], truth[..., :2]), ("3d", deep, truth)):
        errors = published.errors_percent(got, true, ocular_norm=norm)
        check(case, f"nme_per_image_{norm}_{kind}", errors.mean(1))
        check(case, f"variance_{norm}_{kind}", errors.var(1))


def test_the_summary(case, faces):
    predicted, truth = faces
    found = published.summary(predicted, truth, ocular_norm="bb")
    check(case, "nme_bb", found.nme)
    check(case, "std_nme_bb", found.std_nme)
    check(case, "failure_rate_bb", found.failure_rate / 100)
    check(case, "auc_bb", found.auc)
    check(case, "gte", found.gte)
    check(case, "std_gte", found.std_gte)
    assert found.lines == case.meta["summary_bb_2d_outer_3d"]


def test_ours_beside_the_published(faces):
    """The means are the same; the sum is within two hundredths of the exact AUC."""
    predicted, truth = faces
    found = published.summary(predicted, truth, ocular_norm="bb")
    flat = predicted[..., :2], truth[..., :2]
    face_errors = alignment.nme_per_face(*flat, normaliser="bbox")
    assert face_errors.mean() == pytest.approx(found.nme / 100)
    assert alignment.nme_3d(predicted, truth) == pytest.approx(found.gte / 100)
    assert alignment.failure_rate(face_errors, threshold=0.1) == pytest.approx(found.failure_rate / 100)
    assert abs(found.auc - alignment.auc(face_errors, threshold=0.1)) < 0.02


def test_98_points_to_68(case):
    check(case, "points68_of_98", to_68(case.input("points98").numpy()))


def test_depth_in_crop_sides_and_back(case):
    z = case.want["in_truth"][0, :, 2]
    check(case, "depth_normalised", z / SIDE)
    check(case, "depth_back", z / SIDE * SIDE)
