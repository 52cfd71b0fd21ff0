"""Readers of landmark sets on genuine files: 1,045 faces of 300-W, twelve of AFLW2000-3D."""

from pathlib import Path

import numpy as np
import pytest

from mien.core.spec import PictureInput
from mien.data.faces import FaceSet
from mien.data.framing import framed
from mien.data.readers import open_reader
from mien.media.image import load_image

pytestmark = pytest.mark.shared


def test_300w_train_is_read_whole(shared: Path) -> None:
    reader = open_reader("w300", shared / "landmarks" / "300w")
    samples = reader.samples("train")
    assert reader.splits == ("train",) and len(samples) == 1045 and not reader.notes
    parts = {part: sum(s.key.startswith(part) for s in samples) for part in ("afw", "helen", "lfpw")}
    assert parts == {"afw": 170, "helen": 870, "lfpw": 5}
    text = samples[0].path.with_suffix(".pts").read_text().split("{")[1].split()[:2]
    assert samples[0].landmarks_px is not None
    assert samples[0].landmarks_px[0] + 1 == pytest.approx([float(cell) for cell in text], abs=1e-3)
    for sample in samples[::100]:
        points = np.asarray(sample.landmarks_px)
        assert (points > -5).all() and (points < np.array(load_image(sample.path).size) + 5).all()


def test_aflw2000_has_points_depth_and_pose(shared: Path) -> None:
    io = pytest.importorskip("scipy.io")
    reader = open_reader("aflw2000", shared / "landmarks" / "AFLW2000")
    samples = reader.samples("full")
    assert len(samples) == 12 and not reader.notes
    for sample in samples:
        theirs = io.loadmat(sample.path.with_suffix(".mat"))
        assert sample.landmarks_px is not None and sample.depth_px is not None and sample.pose_rad is not None
        np.testing.assert_allclose(sample.landmarks_px.T, theirs["pt3d_68"][:2] - 1, atol=1e-4)
        assert (sample.depth_px == theirs["pt3d_68"][2]).all()
        assert sample.pose_rad == pytest.approx(theirs["Pose_Para"][0, :3])


def test_larger_depth_is_nearer_and_turns_as_the_pose_says(shared: Path) -> None:
    """In frontal faces noses stand before eyes and chins; of one turned aside the nearer eye has the larger z."""
    samples = open_reader("aflw2000", shared / "landmarks" / "AFLW2000").samples("full")
    signs = set()
    for sample in samples:
        assert sample.depth_px is not None and sample.pose_rad is not None
        yaw = np.rad2deg(sample.pose_rad[1])
        if max(abs(yaw), abs(np.rad2deg(sample.pose_rad[0]))) < 20:
            assert sample.depth_px[30] > sample.depth_px[[8, 36, 45]].max() + 10
        if abs(yaw) > 30:
            right, left = sample.depth_px[36:42].mean(), sample.depth_px[42:48].mean()
            signs.add(np.sign(left - right) * np.sign(yaw))
    assert len(signs) == 1


def test_ranges_and_the_other_labels(shared: Path) -> None:
    root = shared / "landmarks" / "AFLW2000"
    reader = open_reader("aflw2000", root)
    assert [len(reader.samples(split)) for split in reader.splits] == [12, 7, 3, 2]
    pairs = zip(
        reader.samples("test"), open_reader("aflw2000", root, labels="reannotated").samples("test"), strict=True
    )
    for ours, theirs in pairs:
        assert ours.box == theirs.box and ours.landmarks_px is not None and theirs.landmarks_px is not None
        box = np.array(ours.box)
        away = np.linalg.norm(ours.landmarks_px[17:] - theirs.landmarks_px[17:], axis=1).mean()
        assert away < 0.05 * np.sqrt(np.prod(box[2:] - box[:2]))


def test_genuine_faces_reach_the_batch_with_depth(shared: Path) -> None:
    samples = framed(open_reader("aflw2000", shared / "landmarks" / "AFLW2000").samples("full"), "landmarks")
    (batch,) = FaceSet(samples, PictureInput(size=64)).numpy_batches(12)
    assert batch.depth is not None and batch.landmarks is not None and batch.visible is not None
    assert np.abs(batch.depth.mean(1)).max() < 1e-6 and 0.2 < np.ptp(batch.depth, axis=1).mean() < 1.2
    heights = np.ptp(batch.landmarks[..., 1], axis=1)
    assert heights == pytest.approx(1 / (1.4 * 256 * np.sqrt(2) / 363), abs=1e-3)
