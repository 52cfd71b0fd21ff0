"""Point schemes: mirroring twice is the identity, and every index is where its name says."""

import numpy as np
import pytest

from mien.core.errors import MienError
from mien.core.landmarks import SCHEME_5, SCHEME_68, SCHEME_98, WFLW_TO_68, scheme_of, to_5, to_68

SCHEMES = [SCHEME_5, SCHEME_68, SCHEME_98]


@pytest.mark.parametrize("scheme", SCHEMES, ids=lambda s: s.name)
def test_mirrored_twice_is_the_identity(scheme):
    points = np.random.default_rng(0).normal(size=(3, scheme.points, 2))
    twice = scheme.mirrored(scheme.mirrored(points, width=1.0), width=1.0)
    assert np.allclose(twice, points, atol=1e-12)
    assert (scheme.mirror[scheme.mirror] == np.arange(scheme.points)).all()
    assert sorted(scheme.mirror) == list(range(scheme.points))


@pytest.mark.parametrize("scheme", SCHEMES, ids=lambda s: s.name)
def test_mirroring_does_not_change_its_input_and_keeps_distances(scheme):
    points = np.random.default_rng(1).uniform(size=(scheme.points, 2))
    before = points.copy()
    mirrored = scheme.mirrored(points, width=1.0)
    assert (points == before).all()
    assert np.isclose(scheme.interpupil(mirrored), scheme.interpupil(points))
    if scheme.outer_corners:
        assert np.isclose(scheme.interocular(mirrored), scheme.interocular(points))


def test_68_points_that_stay_and_that_change_sides():
    on_the_midline = set(np.flatnonzero(SCHEME_68.mirror == np.arange(68)))
    assert on_the_midline == {8, *range(27, 31), 33, 51, 57, 62, 66}
    assert [SCHEME_68.mirror[i] for i in (0, 7, 17, 21, 31, 36, 39, 41, 48, 50, 60, 67)] == [
        16, 9, 26, 22, 35, 45, 42, 46, 54, 52, 64, 65,
    ]  # fmt: skip


def test_98_points_that_stay_and_that_change_sides():
    on_the_midline = set(np.flatnonzero(SCHEME_98.mirror == np.arange(98)))
    assert on_the_midline == {16, *range(51, 55), 57, 79, 85, 90, 94}
    assert [SCHEME_98.mirror[i] for i in (0, 33, 37, 38, 41, 60, 64, 61, 67, 76, 88, 96)] == [
        32, 46, 42, 50, 47, 72, 68, 71, 73, 82, 92, 97,
    ]  # fmt: skip


@pytest.mark.parametrize("scheme", [SCHEME_68, SCHEME_98], ids=lambda s: s.name)
def test_regions_cover_every_point_once_and_mirror_onto_their_counterparts(scheme):
    everything = [i for region in scheme.regions.values() for i in region]
    assert sorted(everything) == list(range(scheme.points))
    for name, indices in scheme.regions.items():
        twin = name.replace("right", "LEFT").replace("left", "right").replace("LEFT", "left")
        assert set(scheme.mirror[list(indices)]) == set(scheme.regions[twin])


def test_wflw_to_68_keeps_mirror_pairs():
    """Converting then mirroring is mirroring then converting, for every point."""
    points = np.random.default_rng(2).uniform(size=(98, 2))
    one = SCHEME_68.mirrored(to_68(points), width=1.0)
    other = to_68(SCHEME_98.mirrored(points, width=1.0))
    assert np.allclose(one, other)
    assert len(WFLW_TO_68) == len(set(WFLW_TO_68)) == 68


def test_distances_by_hand():
    points = np.zeros((68, 2))
    points[36], points[45] = (10, 20), (13, 24)
    assert SCHEME_68.interocular(points) == 5
    eyes = np.zeros((68, 2))
    eyes[36:42] = (0, 0)
    eyes[42:48, 0] = [3, 4, 5, 6, 7, 8]  # mean 5.5
    eyes[42:48, 1] = 0
    assert SCHEME_68.interpupil(eyes) == 5.5
    assert SCHEME_5.interpupil(np.array([[0.0, 0], [6, 8], [0, 0], [0, 0], [0, 0]])) == 10


def test_to_5_by_hand():
    points = np.arange(136, dtype=float).reshape(68, 2)
    assert to_5(points)[:, 0].tolist() == [2 * 38.5, 2 * 44.5, 60, 96, 108]
    assert to_5(np.zeros((4, 98, 2))).shape == (4, 5, 2)


@pytest.mark.shared
def test_a_real_face_mirrors_onto_itself(shared):
    """A near frontal face, mirrored and aligned, lies within a tenth of its own eye distance, which unpaired points
    would exceed many times."""
    from mien.core.geometry import fit_similarity

    path = sorted((shared / "landmarks" / "300w" / "helen" / "trainset").glob("*.pts"))[0]
    points = np.loadtxt(path, skiprows=3, comments="}")
    mirrored = SCHEME_68.mirrored(points, width=0.0)
    scale, rotation, shift = fit_similarity(mirrored, points)
    away = np.linalg.norm(scale * mirrored @ rotation.T + shift - points, axis=1)
    assert away.mean() / SCHEME_68.interocular(points) < 0.1


def test_refusals():
    assert scheme_of(98) is SCHEME_98
    with pytest.raises(MienError, match=r"No landmark scheme has 67 points. Known: 5, 19, 21, 39, 68, 84, 98"):
        scheme_of(67)
    with pytest.raises(MienError, match="got 5"):
        to_68(np.zeros((5, 2)))
    with pytest.raises(MienError, match="no outer eye corners"):
        SCHEME_5.interocular(np.zeros((5, 2)))
