"""Synthetic people: the same seed the same picture, one person in many pictures, truth that fits the pixels."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mien.core.errors import MienError
from mien.data.readers import open_reader
from mien.data.replicas.people import Plan, write_people
from mien.synthetic.face.palsy import Palsy
from mien.synthetic.people import CLASSES, PeopleOptions, Scene, person_of, photograph, portrait, units_of_model

SMALL = PeopleOptions(size=64)
PLAIN = PeopleOptions(size=64, occluders=False, degradations=False, yaw_max_deg=0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("people")
    write_people(folder, Plan(faces=40, pictures=4, seed=3), options=replace(SMALL, palsy=0.5))
    return folder


def both(units: dict[str, float]) -> dict[str, float]:
    """Sided units on both sides."""
    sided = {f"{name}_{side}": value for name, value in units.items() for side in "LR"}
    return {name: value for name, value in (sided | units).items() if name in units_of_model()}


def test_the_same_arguments_give_the_same_picture_and_truth() -> None:
    first, second = (portrait(5, 9, expression="fear", options=SMALL) for _ in range(2))
    assert np.array_equal(first[0], second[0])
    assert np.array_equal(first[1].landmarks_3d, second[1].landmarks_3d)
    assert not np.array_equal(first[0], portrait(6, 9, expression="fear", options=SMALL)[0])


def test_a_person_stays_the_same_in_other_pictures() -> None:
    truths = [portrait(1, number, person=7, options=SMALL)[1] for number in (0, 1)]
    assert truths[0].person == truths[1].person == 7
    assert truths[0].expression != truths[1].expression
    first, again, other = person_of(1, 7), person_of(1, 7), person_of(1, 8)
    assert np.array_equal(first.identity, again.identity) and first.appearance == again.appearance
    assert not np.array_equal(first.identity, other.identity)


@pytest.mark.parametrize("expression", CLASSES)
def test_the_truth_is_whole_and_in_range(expression: str) -> None:
    pixels, truth = portrait(2, 4, expression=expression, options=SMALL)
    assert pixels.shape == (64, 64, 3) and pixels.dtype == np.uint8
    assert truth.expression == expression
    assert truth.mixture.sum() == pytest.approx(1, abs=1e-6)
    assert ((truth.action_units >= 0) & (truth.action_units <= 1)).all()
    assert -1 <= truth.valence <= 1 and -1 <= truth.arousal <= 1
    x0, y0, x1, y1 = truth.box
    inner = truth.landmarks_px[17:]
    assert ((inner > (x0, y0)) & (inner < (x1, y1))).all()


def test_points_in_space_fall_on_the_points_in_the_picture() -> None:
    """Through a pinhole, by hand: x / (distance - z) times the focal length, up to where the picture's middle lies."""
    _, truth = portrait(4, 1, options=SMALL)
    x, y, z = truth.landmarks_3d.T
    projected = truth.focal_px * np.stack([x, -y], 1) / (truth.distance_m - z)[:, None]
    apart = truth.landmarks_px - projected
    assert np.abs(apart - apart.mean(0)).max() < 0.01


def test_a_smile_moves_the_corners_up_and_a_palsy_holds_its_side_down() -> None:
    person = replace(person_of(0, 0, options=PLAIN), palsy=None)
    scene = Scene()
    at_rest = photograph(person, {}, scene)[1]["landmarks_px"]
    smile = photograph(person, both({"AU12": 1.0}), scene)[1]["landmarks_px"]
    right, left = 48, 54  # corners of the mouth; the person's right is on the left of the picture
    assert at_rest[right, 1] - smile[right, 1] > 1 and at_rest[left, 1] - smile[left, 1] > 1
    weak = Palsy("L", 1, 1, 1, 1)
    ill = replace(person, palsy=weak)
    palsied = photograph(ill, both({"AU12": 1.0}), scene)[1]["landmarks_px"]
    assert palsied[left, 1] - palsied[right, 1] > 3  # down on the person's left
    mirrored = photograph(replace(person, palsy=weak.mirrored), both({"AU12": 1.0}), scene)[1]["landmarks_px"]
    assert mirrored[right, 1] - mirrored[left, 1] > 3


def test_a_set_is_read_as_it_was_written(folder: Path) -> None:
    reader = open_reader("people", folder)
    assert reader.splits == ("train", "valid", "test")
    samples = {split: reader.samples(split) for split in reader.splits}
    assert sum(map(len, samples.values())) == 40
    persons = [{sample.subject for sample in side} for side in samples.values()]
    assert not (persons[0] & persons[1] or persons[0] & persons[2] or persons[1] & persons[2])
    counts = np.bincount([sample.expression or 0 for side in samples.values() for sample in side], minlength=8)
    assert counts.tolist() == [5] * 8
    plan = Plan(faces=40, pictures=4, seed=3)
    truth = portrait(3, 0, person=0, expression=plan.expression(0), options=replace(SMALL, palsy=0.5))[1]
    first = samples["train"][0]
    assert first.landmarks_px is not None and first.distribution is not None
    np.testing.assert_allclose(first.landmarks_px, truth.landmarks_px)
    np.testing.assert_allclose(first.distribution, truth.mixture)
    assert first.valence == pytest.approx(truth.valence, abs=1e-4)
    with np.load(folder / "truth.npz", allow_pickle=False) as arrays:
        assert set(arrays) >= {"landmarks_3d", "visible", "action_units", "action_unit_names"}


def test_processes_change_nothing(folder: Path, tmp_path: Path) -> None:
    write_people(tmp_path, Plan(faces=40, pictures=4, seed=3), options=replace(SMALL, palsy=0.5), workers=2)
    for path in folder.rglob("*.*"):
        assert (tmp_path / path.relative_to(folder)).read_bytes() == path.read_bytes(), path.name


def test_what_cannot_be_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(MienError, match=r"No expression 'hapiness'. Did you mean 'happiness'"):
        portrait(0, 0, expression="hapiness")
    with pytest.raises(MienError, match="palsy must lie between 0 and 1; got 2"):
        PeopleOptions(palsy=2)
    (tmp_path / "people.csv").write_text((folder / "people.csv").read_text())
    (tmp_path / "truth.npz").write_bytes(b"not an archive")
    with pytest.raises(MienError, match=r"truth\.npz is damaged or not ours"):
        open_reader("people", tmp_path).samples("train")
