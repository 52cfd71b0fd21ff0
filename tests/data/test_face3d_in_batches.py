"""The truth of the 3D face on its way from synthetic people to a batch: it fits and mirrors with the points."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mien.core.geometry import fit_similarity
from mien.core.spec import PictureInput
from mien.data.faces import FaceSet
from mien.data.readers import open_reader
from mien.data.replicas.people import Plan, write_people
from mien.data.transforms import Augmentation
from mien.synthetic.face.open_face import open_face
from mien.synthetic.people import PeopleOptions

STILL = Augmentation(flip=0, erase_probability=0)


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    folder: Path = tmp_path_factory.mktemp("people")
    write_people(folder, Plan(faces=6, pictures=1, seed=5, shares=(1, 0, 0)), options=PeopleOptions(size=48, palsy=0.5))
    return open_reader("people", folder).samples("train")


def landmarks_of(row):
    face, first = open_face(), open_face().shape_count
    vertices = face.vertices(row[None, :first], row[None, first:-5], jaw=row[None, -5:-2], lids=row[None, -2:])
    return face.landmarks(vertices)[0]


def off_mm(row, points, depth):
    """Distance of the face's landmarks from those of a batch, after the similarity that fits them best."""
    truth = np.concatenate([points * (1, -1), depth[:, None]], axis=1).astype(float)
    found = landmarks_of(row).astype(float)
    scale, turn, shift = fit_similarity(truth, found)
    return 1000 * np.linalg.norm(scale * truth @ turn.T + shift - found, axis=1).mean()


@pytest.mark.parametrize("flip", [0, 1])
def test_the_row_gives_the_batchs_landmarks_also_mirrored(samples, flip):
    faces = FaceSet(samples, PictureInput(size=48), augmentation=replace(STILL, flip=flip))
    batch = faces.batch([(0, i) for i in range(len(samples))])
    off = [off_mm(*each) for each in zip(batch.face3d, batch.landmarks, batch.depth, strict=True)]
    wrong = [off_mm(*each) for each in zip(batch.face3d[::-1], batch.landmarks, batch.depth, strict=True)]
    assert np.mean(off) < 2.5 and np.mean(wrong) > 2 * np.mean(off)  # the camera's perspective, and other people


def test_faces_without_a_known_truth_are_nan(samples):
    mixed = [samples[0], replace(samples[1], face3d=None)]
    batch = FaceSet(mixed, PictureInput(size=48)).batch([(0, 0), (0, 1)])
    assert np.isfinite(batch.face3d[0]).all() and np.isnan(batch.face3d[1]).all()
    assert FaceSet(mixed[1:], PictureInput(size=48)).batch([(0, 0)]).face3d is None
