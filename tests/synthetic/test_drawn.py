"""Drawn faces: reproducible, points exact, mirror-symmetric, and each expression apart from the others."""

import cv2
import numpy as np
import pytest

from mien.core.errors import MienError
from mien.core.landmarks import SCHEME_68
from mien.data.replicas import write_drawn
from mien.synthetic.drawn import EXPRESSIONS, draw_face
from mien.synthetic.drawn_shape import ACTIONS, NEUTRAL, Action, FaceShape, Identity


def test_the_same_seed_draws_the_same_face() -> None:
    first, second = (draw_face("fear", np.random.default_rng(3), size=64) for _ in range(2))
    assert (first[0] == second[0]).all() and (first[1] == second[1]).all()
    assert first[0].shape == (64, 64, 3) and first[0].dtype == np.uint8 and first[1].shape == (68, 2)


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_points_lie_in_the_picture_and_are_ordered_like_a_face(expression: str) -> None:
    for seed in range(5):
        _, points = draw_face(expression, np.random.default_rng(seed), size=100)
        assert points.min() > 0 and points.max() < 101
        assert points[36, 0] < points[39, 0] < points[42, 0] < points[45, 0]  # the person's right eye first
        assert points[8, 1] == points[:, 1].max() or points[6:11, 1].max() == points[:, 1].max()
        assert points[48, 0] < points[54, 0] and points[51, 1] < points[57, 1]


@pytest.mark.parametrize("action", [NEUTRAL, *(way for name in EXPRESSIONS for way in ACTIONS[name])])
def test_a_frontal_face_is_its_own_mirror(action: object) -> None:
    """This also proves that the order of all 68 points is the scheme's."""
    points = FaceShape(Identity(), action).landmarks  # type: ignore[arg-type]
    np.testing.assert_allclose(SCHEME_68.mirrored(points, width=0), points, atol=1e-9)


def test_expressions_move_what_they_should() -> None:
    def points(name: str) -> np.ndarray:
        return FaceShape(Identity(), ACTIONS[name][0]).landmarks

    rest = points("neutral")
    assert points("surprise")[[21, 22], 1].max() < rest[21, 1] < points("anger")[21, 1]  # y points down
    assert points("happiness")[48, 1] < rest[48, 1] < points("sadness")[48, 1]
    gap = {name: points(name)[66, 1] - points(name)[62, 1] for name in EXPRESSIONS}
    assert gap["surprise"] == max(gap.values()) and gap["neutral"] < 0.01
    assert points("disgust")[33, 1] < rest[33, 1]


@pytest.mark.parametrize("action", ACTIONS["contempt"])
def test_contempt_raises_one_corner_of_the_mouth(action: Action) -> None:
    rest, points = FaceShape(Identity(), NEUTRAL).landmarks, FaceShape(Identity(), action).landmarks
    assert points[54, 1] < rest[54, 1] - 0.05  # the person's left, at the viewer's right
    assert points[48, 1] == rest[48, 1]


def test_a_person_is_recognised_and_the_expression_grows() -> None:
    """The same person draws the same proportions; strength 0 is neutral whatever the expression."""

    def points(expression: str, person: int, strength: float = 1.0) -> np.ndarray:
        rng, who = np.random.default_rng(5), np.random.default_rng(person)
        return draw_face(expression, rng, size=100, person=who, strength=strength)[1]

    np.testing.assert_array_equal(points("fear", 1, 0), points("anger", 1, 0))
    assert np.abs(points("fear", 1, 0) - points("fear", 2, 0)).max() > 1
    gaps = [np.ptp(points("surprise", 1, strength)[[62, 66], 1]) for strength in (0, 0.5, 1)]
    assert gaps[0] < gaps[1] < gaps[2]


def test_points_are_where_the_paint_is() -> None:
    """The dark upper lid line passes within a pixel of the upper lid's points on most faces."""
    hits = []
    for seed in range(12):
        picture, points = draw_face("neutral", np.random.default_rng(seed), size=160)
        grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(int)
        for x, y in np.round(points[[37, 38, 43, 44]]).astype(int):
            column = grey[y - 5 : y + 2, x]
            hits.append(abs(int(column.argmin()) - 5) <= 2)
    assert np.mean(hits) > 0.8


def test_a_simple_rule_distinguishes_the_expressions() -> None:
    """Nearest mean of the landmarks, without pose: far above chance (1/7)."""

    def shape(expression: str, seed: int) -> np.ndarray:
        _, points = draw_face(expression, np.random.default_rng([seed, 7]), size=64)
        eyes = points[36:48].mean(0)
        return ((points - eyes) / np.linalg.norm(points[36] - points[45])).ravel()

    means = np.array([np.mean([shape(e, seed) for seed in range(10)], 0) for e in EXPRESSIONS])
    right = [
        np.argmin(((means - shape(e, seed)) ** 2).sum(1)) == k
        for k, e in enumerate(EXPRESSIONS)
        for seed in range(20, 28)
    ]
    assert np.mean(right) > 0.6


def test_wrong_names_are_reported(tmp_path: object) -> None:
    with pytest.raises(MienError, match=r"No drawn expression 'hapiness'. Did you mean 'happiness'\?"):
        draw_face("hapiness", np.random.default_rng(0))
    with pytest.raises(MienError, match=r"No layout 'rafd'. Did you mean 'rafdb'\?"):
        write_drawn("x", layout="rafd")
