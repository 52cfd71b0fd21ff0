"""MTCNN's cascade: pyramid and windows by hand, the way of a box through three networks, the published faults."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from mien.nn.mtcnn.cascade import CascadeOptions, Mtcnn, pyramid  # noqa: E402
from mien.nn.mtcnn.networks import ONet, PNet, RNet  # noqa: E402

F = torch.nn.functional


def test_the_pyramid_ends_where_the_picture_fills_the_window() -> None:
    assert pyramid(40, 90, CascadeOptions(min_face=20, factor=0.5)) == [0.6]  # 24 pixels, then 12, which is the window
    assert pyramid(41, 90, CascadeOptions(min_face=20, factor=0.5)) == [0.6, 0.3]
    assert pyramid(20, 90, CascadeOptions()) == []
    assert len(pyramid(256, 256, CascadeOptions())) == 8  # 153.6 * 0.707 ** 7 is 13.6, one more 9.6


class OneWindow(torch.nn.Module):
    """P-Net that scores one window of one size of the picture."""

    def __init__(self, width: int, row: int, column: int, offsets: tuple[float, ...]) -> None:
        super().__init__()
        self.width, self.row, self.column, self.offsets = width, row, column, offsets

    def forward(self, picture):
        rows, columns = ((side - 10) // 2 for side in picture.shape[2:])
        scores, offsets = torch.zeros(1, rows, columns), torch.zeros(1, 4, rows, columns)
        if picture.shape[3] == self.width:
            scores[0, self.row, self.column] = 0.9
            offsets[0, :, self.row, self.column] = torch.tensor(self.offsets)
        return scores, offsets


class Constant(torch.nn.Module):
    """R-Net or O-Net that gives the same for each box, and keeps what it was given."""

    def __init__(self, *outputs) -> None:
        super().__init__()
        self.outputs, self.given = outputs, []

    def forward(self, boxes):
        self.given.append(boxes)
        return tuple(torch.as_tensor(o, dtype=torch.float32).expand(len(boxes), *np.shape(o)) for o in self.outputs)


POINTS = [[0.25, 0.25], [0.75, 0.25], [0.5, 0.5], [0.25, 0.75], [0.75, 0.75]]


def cascade(pnet, *, r_score=0.9, o_score=0.8, legacy=False) -> Mtcnn:
    network = Mtcnn(PNet(), RNet(), ONet(), CascadeOptions(min_face=24, factor=0.5, legacy=legacy))
    network.pnet, network.rnet = pnet, Constant(r_score, [0.0, 0.0, 0.0, 0.0])
    network.onet = Constant(o_score, [0.1, 0.0, 0.0, 0.1], POINTS)
    return network


def test_a_window_becomes_a_face_with_five_points() -> None:
    """At half the size, window (2, 3) begins at pixel 2 * 3 + 1 across and 2 * 2 + 1 down, and 12 further it ends."""
    pixels = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    network = cascade(OneWindow(40, 2, 3, (0.0, 0.2, 0.0, 0.2)))
    faces = network(pixels)
    # From pixel 14, 10 up to and with 38, 34: a side of 25, moved down by 5. O-Net moves two edges by a tenth of it.
    assert faces.boxes[0] == pytest.approx([14 + 2.5, 15, 39, 40 + 2.5])
    assert faces.scores == pytest.approx([0.8])
    assert faces.landmarks_px[0] == pytest.approx(np.array(POINTS) * 25 + [14, 15])
    given = network.onet.given[0]
    assert given.shape == (1, 3, 48, 48) and network.rnet.given[0].shape == (1, 3, 24, 24)
    assert float(given.mean()) == pytest.approx((pixels[15:40, 14:39].mean() - 127.5) / 128, abs=0.02)


@pytest.mark.parametrize("scores", [{"r_score": 0.2}, {"o_score": 0.3}])
def test_a_score_that_is_too_low_ends_it(scores: dict[str, float]) -> None:
    faces = cascade(OneWindow(40, 2, 3, (0.0,) * 4), **scores)(np.zeros((60, 80, 3), np.uint8))
    assert faces.boxes.shape == (0, 4) and faces.landmarks_px.shape == (0, 5, 2) and len(faces.scores) == 0


def test_a_picture_without_windows_has_no_face() -> None:
    network = cascade(OneWindow(1, 0, 0, (0.0,) * 4))
    assert len(network(np.zeros((60, 80, 3), np.uint8)).scores) == 0
    assert len(network(np.zeros((10, 10, 3), np.uint8)).scores) == 0  # smaller than the smallest face


def test_points_at_the_edge_are_of_the_whole_square_and_as_published_of_what_is_in_the_picture() -> None:
    """Window (0, 0) begins at 2, 2 with a side of 25 and is moved by 5 to the left and up: to -3, -3."""
    window = OneWindow(40, 0, 0, (-0.2, -0.2, -0.2, -0.2))
    pixels = np.full((60, 80, 3), 200, np.uint8)
    whole, cut = (cascade(window, legacy=legacy)(pixels) for legacy in (False, True))
    assert whole.landmarks_px[0] == pytest.approx(np.array(POINTS) * 25 - 3)
    assert cut.landmarks_px[0] == pytest.approx(np.array(POINTS) * 22)


def test_scores_of_pnet_are_of_each_window_and_as_published_of_each_row() -> None:
    torch.manual_seed(0)
    right, published = PNet().eval(), PNet(legacy=True).eval()
    published.load_state_dict(right.state_dict())
    picture = torch.randn(1, 3, 16, 20)
    with torch.no_grad():
        logits = right.face(right.trunk(picture))
        scores, offsets = right(picture)
        rows, _ = published(picture)
    assert scores.shape == (1, 3, 5) and offsets.shape == (1, 4, 3, 5)
    assert torch.allclose(scores, torch.sigmoid(logits[:, 1] - logits[:, 0]), atol=1e-6)
    assert torch.allclose(rows.sum(2), torch.ones(1, 3)) and not torch.allclose(rows, scores, atol=0.1)


def test_random_networks_search_a_picture_the_same_way_each_time() -> None:
    torch.manual_seed(0)
    network = Mtcnn(PNet(), RNet(), ONet(), CascadeOptions(min_face=24, thresholds=(0.5, 0.4, 0.4)))
    pixels = np.random.default_rng(0).integers(0, 256, (48, 48, 3), dtype=np.uint8)
    first, second = network(pixels), network(pixels)
    assert len(first.scores) and np.array_equal(first.landmarks_px, second.landmarks_px)
    assert (np.diff(first.scores) <= 0).all() and np.isfinite(first.boxes).all()
    assert not any(value.requires_grad for value in network.parameters()) and not network.training
