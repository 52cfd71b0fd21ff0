"""Every reader finds in a replica of its layout exactly what was written: classes, boxes, persons, points, affect."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from mien.core.records import Sample
from mien.core.spec import PictureInput
from mien.data.faces import FaceSet
from mien.data.readers import READERS, Reader, open_reader
from mien.data.recent import load_picture
from mien.data.replicas import LAYOUTS, Written
from mien.data.splits import stratified_holdout

Replicas = dict[str, tuple[Path, list[Written]]]


def opened(name: str, written: Replicas) -> Reader:
    return open_reader(LAYOUTS[name].reader, written[name][0], **LAYOUTS[name].options)


def found(reader: Reader, truth: list[Written]) -> dict[str, Sample]:
    """By key, of the splits that were written (w300 has some faces in two more)."""
    splits = sorted({face.split for face in truth})
    return {sample.key: sample for split in splits for sample in reader.samples(split)}


OWN = {"people", "clips"}  # what only mien makes: written elsewhere, and tested there


@pytest.mark.parametrize("name", sorted(set(READERS) - OWN))
def test_every_reader_has_a_layout(name: str) -> None:
    assert name in {"people", "clips", *(layout.reader for layout in LAYOUTS.values())}


@pytest.mark.parametrize("name", LAYOUTS)
def test_what_was_written_is_read(name: str, written: Replicas) -> None:
    reader, truth = opened(name, written), written[name][1]
    samples = found(reader, truth)
    assert sorted(samples) == sorted(face.key for face in truth)
    for face in truth:
        sample = samples[face.key]
        expression = None if sample.expression is None else reader.labels.classes[sample.expression]  # type: ignore[union-attr]
        assert (expression, sample.split, sample.subject, sample.clip) == (
            face.expression, face.split, face.subject, face.clip,
        )  # fmt: skip
        assert sample.box == pytest.approx(face.box, abs=2e-3) if face.box else sample.box is None
        assert (sample.valence, sample.arousal) == pytest.approx((face.valence, face.arousal), abs=1e-3)


@pytest.mark.parametrize("name", LAYOUTS)
def test_points_are_read_as_they_were_written(name: str, written: Replicas) -> None:
    reader, truth = opened(name, written), written[name][1]
    samples = found(reader, truth)
    for face in truth:
        points = samples[face.key].landmarks_px
        assert (points is None) == (face.landmarks_px is None)
        if points is not None and face.landmarks_px is not None:
            assert np.asarray(points).dtype == np.float32
            np.testing.assert_allclose(points, face.landmarks_px, atol=2e-3)


@pytest.mark.parametrize("name", LAYOUTS)
def test_depth_visibility_and_pose_are_read_as_they_were_written(name: str, written: Replicas) -> None:
    reader, truth = opened(name, written), written[name][1]
    samples = found(reader, truth)
    for face in truth:
        sample = samples[face.key]
        assert (sample.depth_px is None) == (face.depth_px is None)
        if sample.depth_px is not None and face.depth_px is not None:
            assert sample.depth_px.dtype == np.float32
            np.testing.assert_allclose(sample.depth_px, face.depth_px, atol=2e-3)
            assert sample.depth_px[30] > sample.depth_px[[0, 8, 16]].max()
        assert (sample.visible is None) == (face.visible is None)
        if sample.visible is not None and face.visible is not None:
            assert (sample.visible == face.visible).all()
        assert sample.pose_rad == (None if face.pose_rad is None else pytest.approx(face.pose_rad, abs=1e-5))


@pytest.mark.parametrize("name", LAYOUTS)
def test_pictures_can_be_opened_and_boxes_and_points_lie_in_them(name: str, written: Replicas) -> None:
    for sample in list(found(opened(name, written), written[name][1]).values())[::9]:
        width, height = load_picture(sample).size
        if sample.box is not None:
            x0, y0, x1, y1 = sample.box
            assert x0 >= -3 and y0 >= -3 and x1 <= width + 3 and y1 <= height + 3
        if sample.landmarks_px is not None:
            points = np.asarray(sample.landmarks_px)
            assert (points > -3).all() and (points < (width + 3, height + 3)).all()


@pytest.mark.parametrize("name", LAYOUTS)
def test_faces_come_out_as_training_wants_them(name: str, written: Replicas) -> None:
    reader = opened(name, written)
    samples = list(found(reader, written[name][1]).values())[:6]
    (batch,) = FaceSet(samples, PictureInput(size=24), labels=reader.labels).numpy_batches(6)
    assert batch.image.shape == (6, 3, 24, 24) and batch.image.std() > 0.1
    assert (batch.expression is None) == (reader.labels is None)
    assert (batch.landmarks is None) == (samples[0].landmarks_px is None)


@pytest.mark.parametrize("name", LAYOUTS)
def test_keys_are_portable_and_every_class_is_there(name: str, written: Replicas) -> None:
    reader, truth = opened(name, written), written[name][1]
    samples = found(reader, truth)
    assert not any("\\" in key or key.startswith("/") for key in samples)
    if reader.labels is not None:
        classes = {face.expression for face in truth}
        assert classes == set(LAYOUTS[name].classes) | (classes & {"neutral"})
    assert reader.notes == []


@pytest.mark.parametrize("name", LAYOUTS)
def test_persons_have_several_pictures_and_stand_on_one_side(name: str, written: Replicas) -> None:
    reader, truth = opened(name, written), written[name][1]
    sides: dict[str, set[str]] = {}
    for face in truth:
        if face.subject is not None:
            sides.setdefault(face.subject, set()).add(face.split)
    if not sides:
        pytest.skip("the set names no subjects")
    assert max(map(len, sides.values())) == 1
    assert Counter(face.subject for face in truth).most_common()[-1][1] >= 5
    if reader.splits == ("all",):
        train, holdout = stratified_holdout(reader.samples("all"), fraction=0.2)
        persons = [{sample.subject for sample in side} - {None} for side in (train, holdout)]
        assert not persons[0] & persons[1]
