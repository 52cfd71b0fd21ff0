"""Depth and visibility on their way from a sample to a batch: crop, augmentation, mirror."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mien.core.errors import MienError
from mien.core.landmarks import SCHEME_68, scheme_of
from mien.core.records import Sample
from mien.core.spec import PictureInput
from mien.data.faces import FaceSet
from mien.data.readers import open_reader
from mien.data.transforms import RECIPES, Augmentation, generator

SPEC = PictureInput(size=32)
STILL = Augmentation(flip=0, erase_probability=0)


@pytest.fixture
def samples(replicas: dict[str, Path]) -> list[Sample]:
    found = open_reader("aflw2000", replicas["aflw2000"]).samples("test")[:6]
    rng = np.random.Generator(np.random.PCG64(0))
    return [replace(sample, visible=rng.random(68) < 0.8) for sample in found]


def batch(samples: list[Sample], augmentation: Augmentation | None = None, **options: object):  # type: ignore[no-untyped-def]
    faces = FaceSet(samples, SPEC, augmentation=augmentation, **options)  # type: ignore[arg-type]
    return faces.batch([(0, i) for i in range(len(samples))])


def known(visible: np.ndarray) -> np.ndarray:
    """1 where nobody said (NaN)."""
    return np.nan_to_num(visible, nan=1)


@pytest.mark.parametrize("cache", [False, True])
def test_depth_is_in_sides_of_the_crop_with_mean_0(samples: list[Sample], cache: bool) -> None:
    found = batch(samples, cache=cache)
    for sample, depth in zip(samples, found.depth, strict=True):
        assert sample.box is not None and sample.depth_px is not None
        side = (sample.box[2] - sample.box[0] + sample.box[3] - sample.box[1]) / 2
        np.testing.assert_allclose(depth, (sample.depth_px - sample.depth_px.mean()) / side, atol=1e-6)
    assert found.depth.dtype == found.visible.dtype == np.float32


def test_depth_has_the_unit_of_the_landmarks(samples: list[Sample]) -> None:
    """A crop twice as wide halves both; the whole picture as the crop is the picture's side."""
    near, far = batch(samples), batch([replace(s, box=None) for s in samples])
    for i, sample in enumerate(samples):
        assert sample.landmarks_px is not None and sample.depth_px is not None
        for found in (near, far):
            drawn, measured = np.ptp(found.landmarks[i, :, 1]), np.ptp(found.depth[i])
            assert measured / drawn == pytest.approx(
                np.ptp(sample.depth_px) / np.ptp(sample.landmarks_px[:, 1]), rel=0.2
            )


def test_a_mirror_reorders_both(samples: list[Sample]) -> None:
    plain, mirrored = batch(samples, STILL), batch(samples, replace(STILL, flip=1))
    np.testing.assert_allclose(mirrored.depth, plain.depth[:, SCHEME_68.mirror], atol=1e-6)
    whole = (plain.landmarks >= 0).all() and (plain.landmarks <= 1).all()
    inside = ((plain.landmarks > 0.001) & (plain.landmarks < 0.999)).all(-1)
    assert not whole or inside.mean() > 0.9
    expected = plain.visible[:, SCHEME_68.mirror]
    kept = inside[:, SCHEME_68.mirror]
    assert (mirrored.visible[kept] == expected[kept]).all()


def test_depth_grows_with_the_augmentation_and_turning_leaves_it(samples: list[Sample]) -> None:
    plain = batch(samples, STILL)
    larger = batch(samples, replace(STILL, scale=(1.5, 1.5)))
    turned = batch(samples, replace(STILL, rotation_deg=40, shift=0.05))
    np.testing.assert_allclose(larger.depth, 1.5 * plain.depth, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(turned.depth, plain.depth, rtol=1e-5, atol=1e-7)


def test_points_that_leave_the_crop_count_as_hidden(samples: list[Sample]) -> None:
    away = batch([replace(s, visible=None) for s in samples], replace(STILL, scale=(1.5, 1.5)))
    outside = ((away.landmarks < 0) | (away.landmarks > 1)).any(-1)
    assert outside.any() and (known(away.visible) == ~outside).all()


def test_where_only_some_know_nothing_is_invented(samples: list[Sample]) -> None:
    mixed = [replace(samples[0], depth_px=None, visible=None), *samples[1:]]
    found = batch(mixed, replace(STILL, scale=(0.5, 0.5)))
    assert found.depth is None and (known(found.visible)[0] == 1).all()
    assert all((row == sample.visible).all() for row, sample in zip(found.visible[1:], mixed[1:], strict=True))


def test_unlike_numbers_of_points_are_refused(samples: list[Sample]) -> None:
    other = replace(samples[0], landmarks_px=np.zeros((19, 2), np.float32), depth_px=None, visible=None)
    with pytest.raises(MienError, match="faces of 19 and 68 points"):
        batch([other, samples[1]])


@pytest.mark.parametrize("points", [19, 21, 39, 68, 84, 98])
def test_every_scheme_mirrors_onto_itself(points: int) -> None:
    mirror = scheme_of(points).mirror
    assert (mirror[mirror] == np.arange(points)).all()
    assert sorted(i for part in scheme_of(points).regions.values() for i in part) == list(range(points))


@pytest.mark.parametrize("level", range(8))
def test_published_levels_stay_in_their_ranges(level: int) -> None:
    """Decomposed as scikit-image composes them: x by width and turn, y by height, turn and shear."""
    recipe = RECIPES[f"daug{level}"]
    turns, widths, heights, shears, shifts = [], [], [], [], []
    for index in range(300):
        rng = generator(0, 0, index)
        apart = np.random.Generator(rng.bit_generator.jumped()).random(2)  # type: ignore[attr-defined]
        matrix, mirrored = recipe.warp(rng.random(12), 64, apart=apart)
        x, y = matrix[:, 0] * (-1 if mirrored else 1), matrix[:, 1]
        turn, lean = np.arctan2(x[1], x[0]), np.arctan2(-y[0], y[1])
        turns.append(turn), widths.append(np.hypot(*x)), heights.append(np.hypot(*y)), shears.append(lean - turn)
        shifts.append((matrix @ [31.5, 31.5, 1] - 31.5) / 64)
    table = {0: (0, 0, 1, 1, 0), 1: (3, 0.025, 0.975, 1.025, 0), 2: (3, 0.035, 0.97, 1.03, 2),
             3: (20, 0.035, 0.97, 1.03, 0), 4: (45, 0.035, 0.94, 1.03, 5), 5: (60, 0.035, 0.94, 1.03, 5),
             6: (30, 0.04, 0.94, 1.05, 5), 7: (0, 0.04, 0.94, 1.05, 5)}  # fmt: skip
    turn, shift, low, high, shear = table[level]
    for found, most in ((turns, np.deg2rad(turn)), (shears, np.deg2rad(shear)), (shifts, shift)):
        assert np.abs(found).max() == pytest.approx(most, rel=0.05, abs=1e-9)
    for found in (widths, heights):
        assert low - 1e-9 <= min(found) and max(found) <= high + 1e-9
        assert np.ptp(found) == pytest.approx(high - low, rel=0.1, abs=1e-9)
    assert (np.abs(np.subtract(widths, heights)).max() > 0.01) == (level > 0)


@pytest.mark.parametrize("name", ["aflw", "aflw2000"])
def test_what_is_prepared_keeps_depth_and_visibility(name: str, replicas: dict[str, Path], tmp_path: Path) -> None:
    from mien.engine.datasets.prepare import prepare

    prepare(name, root=str(replicas[name]), output=str(tmp_path / "made"), size=32, detector="none", min_face=4,
            box_scale=1.0, box_shift_y=0.0, encoding="png", workers=1)  # fmt: skip
    source = open_reader(name, replicas[name]).samples("test")
    prepared = open_reader("manifest", tmp_path / "made").samples("test")
    assert [s.key for s in prepared] == [s.key for s in source]
    ours, theirs = batch(source), batch(prepared)
    np.testing.assert_allclose(theirs.landmarks, ours.landmarks, atol=1e-5)
    assert (ours.depth is None) == (theirs.depth is None) == (name == "aflw")
    if ours.depth is not None:
        np.testing.assert_allclose(theirs.depth, ours.depth, atol=1e-5)
    for left, right in zip(source, prepared, strict=True):
        assert (left.visible is None) == (right.visible is None) and np.all(left.visible == right.visible)


def test_a_table_says_depth_and_visibility_of_each_point(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    head = "path,landmarks,landmark_depth,landmark_visible\n"
    (tmp_path / "manifest.csv").write_text(head + "a.png,1 2 3 4,0.5 -1,1 0\n")
    (sample,) = open_reader("manifest", tmp_path).samples("all")
    assert sample.depth_px is not None and sample.depth_px.tolist() == [0.5, -1]
    assert sample.visible is not None and sample.visible.tolist() == [True, False]
    (tmp_path / "manifest.csv").write_text(head + "a.png,1 2 3 4,0.5,1 0\n")
    with pytest.raises(MienError, match="landmark_depth is a finite number for each of 2 points; got 1"):
        open_reader("manifest", tmp_path).samples("all")
