"""The landmark crop that ParFace and 3FabRec cut faces out by."""

from pathlib import Path

import numpy as np
import pytest

from mien.core.errors import MienError
from mien.core.framing import box_of, detector_box, landmark_box
from mien.core.records import Sample
from mien.data.framing import framed
from mien.data.options import DataOptions


def face() -> np.ndarray:
    """Eyes at y 100, x 80 and 160 in the mean; chin at (130, 220); highest point at y 60."""
    points = np.full((68, 2), (120.0, 140.0))
    points[[36, 39]], points[[42, 45]] = [[70, 100], [90, 100]], [[150, 100], [170, 100]]
    points[8], points[19] = (132, 220), (95, 60)
    return points


def test_the_square_is_that_of_the_publication() -> None:
    """h 160: rows 60 - 40 .. 220 + 24, columns about 120 + 0.25 * 12 = 123; seen: 256 sqrt(2) / 363 of it."""
    x0, y0, x1, y1 = landmark_box(face())
    side = 1.4 * 160 * 256 * np.sqrt(2) / 363
    assert (x1 - x0, y1 - y0) == pytest.approx((side, side))
    assert ((x0 + x1) / 2 - 0.5, (y0 + y1) / 2 - 0.5) == pytest.approx((123, (20 + 244) / 2))
    assert side / (1.4 * 160) == pytest.approx(0.9973, abs=1e-4)
    assert 256 * 160 / side == pytest.approx(183, abs=0.5)  # the face's height in a picture of 256


def test_padded_points_do_not_count_for_the_height() -> None:
    padded = face()
    padded[0] = 0
    assert landmark_box(padded) == landmark_box(face())


def test_it_moves_and_grows_with_the_face() -> None:
    moved = landmark_box(2 * face() + (30, 40))
    expected = np.array(landmark_box(face())) - 0.5
    assert np.array(moved) - 0.5 == pytest.approx(2 * expected + (30, 40, 30, 40))


def test_98_points_frame_as_their_68(written) -> None:  # type: ignore[no-untyped-def]
    from mien.data.replicas.schemes import as_98

    truth = written["w300"][1][0].landmarks_px
    assert landmark_box(as_98(truth)) == pytest.approx(landmark_box(truth), abs=0.01)


def test_samples_are_framed_as_asked(tmp_path: Path) -> None:
    points = face().astype(np.float32)
    sample = Sample("a.png", tmp_path / "a.png", box=box_of(points), landmarks_px=points)
    assert framed([sample], "box")[0].box == sample.box
    assert framed([sample], "landmarks")[0].box == pytest.approx(landmark_box(points))
    with pytest.raises(MienError, match=r"needs points of every face; b.png has none. Use box."):
        framed([sample, Sample("b.png", tmp_path / "b.png")], "landmarks")
    with pytest.raises(MienError, match="19"):
        framed([Sample("c.png", tmp_path / "c.png", landmarks_px=points[:19])], "landmarks")


def test_the_option_reaches_training_and_evaluation(replicas: dict[str, Path]) -> None:
    from mien.data.selection import select_for_evaluation, select_for_training

    options = DataOptions(name="w300", root=str(replicas["w300"]), crop_source="landmarks", leaks="ignore")
    selection = select_for_training(options, None)
    samples = [*selection.train, *selection.val, *select_for_evaluation(options, None, split="full").samples]
    assert all(sample.box == pytest.approx(landmark_box(sample.landmarks_px)) for sample in samples)
    with pytest.raises(MienError, match=r"data.crop_source: no 'landmark'. Did you mean 'landmarks'\?"):
        DataOptions(crop_source="landmark")


def test_a_detectors_box_is_a_square_over_the_upper_face() -> None:
    """The points' rectangle is 100 wide and 160 high with its middle at (120, 140)."""
    x0, y0, x1, y1 = detector_box(face())
    assert (x1 - x0, y1 - y0) == pytest.approx((160, 160))
    assert ((x0 + x1) / 2 - 0.5, (y0 + y1) / 2 - 0.5) == pytest.approx((120, 140 - 0.11 * 160))
    boxes = [s.box for s in framed([Sample("a", Path("a"), landmarks_px=face())], "detector")]
    assert boxes == [detector_box(face())]
