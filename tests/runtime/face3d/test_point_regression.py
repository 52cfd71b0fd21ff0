"""The open face of the shipped landmark model's points: nearer than the mean face, and for these points alone."""

from dataclasses import replace

import numpy as np

from mien.core.face3d import rotation_matrices
from mien.core.framing import detector_box
from mien.metrics.face3d import vertex_errors_mm
from mien.runtime.face3d.fit import LandmarkFit
from mien.runtime.face3d.point_regression import PointRegression, features, fit_of, trained
from mien.runtime.face3d.regressor import FIT, Regressor
from mien.synthetic.face.open_face import open_face, parameter_row
from mien.synthetic.people import PeopleOptions, portrait

FACE = open_face()
SHOWN = np.unique(FACE.render_triangles)


def test_of_pictures_of_synthetic_people_it_is_much_nearer_than_the_mean_face() -> None:
    regressor = Regressor(FIT, threads=1)
    assert isinstance(regressor._fit, PointRegression) and regressor.model_id.startswith("regression on parface")
    found, truth = [], []
    for number in range(8):
        pixels, known = portrait(91, number, options=PeopleOptions(size=160, yaw_max_deg=30))
        face = regressor.read(pixels, detector_box(known.landmarks_px), size=64)
        found.append(face.vertices(FACE, posed=False))
        assert ((face.expression >= 0) & (face.expression <= 1)).all() and ((face.lids >= 0) & (face.lids <= 1)).all()
        off = np.linalg.norm(face.crop.to_picture(face.landmarks(FACE)) - known.landmarks_px, axis=1).mean()
        assert off < 0.08 * np.linalg.norm(known.landmarks_px[45] - known.landmarks_px[36])
        row = parameter_row(known.identity, known.action_units)[None]
        truth.append(FACE.vertices(row[:, :54], row[:, 54:108], jaw=row[:, -5:-2], lids=row[:, -2:])[0])
    wanted = np.stack(truth)[:, SHOWN]
    error = vertex_errors_mm(np.stack(found)[:, SHOWN], wanted, aligned=True).mean()
    mean = vertex_errors_mm(np.repeat(FACE.template[None, SHOWN], 8, axis=0), wanted, aligned=True).mean()
    assert error < 0.72 * mean


def test_size_place_and_turn_of_a_head_are_no_features() -> None:
    mean = LandmarkFit(FACE).mean_points
    points = mean + np.random.default_rng(0).normal(0, 0.003, mean.shape)
    turn = rotation_matrices(np.array([0.1, -0.4, 0.2]))
    moved = 800 * points @ turn.T + (300, -200, 50)
    assert np.allclose(features(mean, moved), features(mean, points), atol=1e-6)
    assert np.abs(features(mean, 5 * mean)).max() < 1e-6
    assert 1 < np.abs(features(mean, points)).mean() < 4  # mm


def test_training_finds_a_linear_law() -> None:
    random = np.random.default_rng(1)
    given = random.normal(0, 2, (5000, 204))
    law = random.normal(0, 0.1, (204, 113))
    found = trained(given, given @ law + 0.5, landmark_model="x@1")
    assert np.abs(found["weights"] - law).max() < 0.02 and np.abs(found["intercept"] - 0.5).max() < 0.05
    assert str(found["landmark_model"]) == "x@1"


def test_points_of_another_model_are_fitted() -> None:
    shipped = Regressor(FIT, threads=1)._landmarker.info.model_id
    assert type(fit_of(FACE, shipped)) is PointRegression
    assert type(fit_of(FACE, "parface@000000000000")) is LandmarkFit
    assert type(fit_of(replace(FACE, name="other"), shipped)) is LandmarkFit
