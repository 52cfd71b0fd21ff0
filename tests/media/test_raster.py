"""Triangles to pixels, against cases done by hand."""

import numpy as np

from mien.media.raster import looked_up, rasterise

_ONE = np.array([[0, 1, 2]])


def test_a_right_triangle_covers_the_pixels_one_counts_on_paper() -> None:
    points = np.array([[0, 0], [3, 0], [0, 3]], np.float32)
    raster = rasterise(points, np.ones(3), _ONE, (4, 5))
    expected = np.array([[1, 1, 1, 1, 0], [1, 1, 1, 0, 0], [1, 1, 0, 0, 0], [1, 0, 0, 0, 0]], bool)
    np.testing.assert_array_equal(raster.picture(raster.triangle, -1) >= 0, expected)
    weights = raster.picture(raster.weights, 0.0)
    np.testing.assert_allclose(weights[1, 1], [1 / 3, 1 / 3, 1 / 3], atol=1e-6)
    np.testing.assert_allclose(weights[0, 3], [0, 1, 0], atol=1e-6)


def test_the_nearer_triangle_wins_whatever_the_order() -> None:
    points = np.array([[-1, -1], [9, -1], [-1, 9]] * 2, np.float32)
    depth = np.array([2, 2, 2, 1, 1, 1.0])
    for order in ([[0, 1, 2], [3, 4, 5]], [[3, 4, 5], [0, 1, 2]]):
        raster = rasterise(points, depth, np.array(order), (4, 4))
        assert raster.depth.max() == 1
        assert set(raster.triangle) == {order.index([3, 4, 5])}


def test_crossing_triangles_are_cut_where_they_cross() -> None:
    """One lies at depth 2, the other reaches from 1 at the left to 3 at the right: they meet at 1 / depth = 1 / 2."""
    flat = np.array([[-20, -20], [60, -20], [-20, 60]], np.float32)
    across = np.array([[0, -20], [30, 5.5], [0, 30]], np.float32)
    depth = np.array([2, 2, 2, 1, 3, 1.0])
    raster = rasterise(np.concatenate([flat, across]), depth, np.array([[0, 1, 2], [3, 4, 5]]), (12, 30))
    row = raster.picture(raster.triangle, -1)[5]
    assert (row[:22] == 1).all() and (row[24:] == 0).all()  # 1 - (2 / 3) x / 30 = 1 / 2 at x = 22.5


def test_weights_are_correct_in_perspective() -> None:
    """The middle between depth 1 and depth 3 on the screen is a quarter of the way in space."""
    points = np.array([[0, 0], [4, 0], [0, 4]], np.float32)
    raster = rasterise(points, np.array([1.0, 3.0, 1.0]), _ONE, (5, 5))
    at = np.flatnonzero(raster.covered == 2)[0]  # row 0, column 2
    np.testing.assert_allclose(raster.weights[at], [0.75, 0.25, 0], atol=1e-6)
    np.testing.assert_allclose(raster.depth[at], 1.5, atol=1e-6)
    np.testing.assert_allclose(raster.interpolate(np.array([[1.0], [3.0], [1.0]]), _ONE)[at], 1.5, atol=1e-6)


def test_neighbours_leave_no_gap() -> None:
    rng = np.random.default_rng(0)
    side = np.linspace(-3, 35, 12)
    grid = np.stack(np.meshgrid(side, side), -1) + rng.uniform(-1, 1, (12, 12, 2))
    i, j = np.meshgrid(np.arange(11), np.arange(11), indexing="ij")
    a = (i * 12 + j).ravel()
    triangles = np.concatenate([np.stack([a, a + 12, a + 1], -1), np.stack([a + 1, a + 12, a + 13], -1)])
    raster = rasterise(grid.reshape(-1, 2), np.ones(144), triangles, (32, 32))
    assert (raster.picture(raster.triangle, -1) >= 0).all()


def test_culling_keeps_what_runs_counter_clockwise_for_the_viewer() -> None:
    points = np.array([[0, 3], [3, 3], [0, 0]], np.float32)  # y runs down: right, then up
    assert len(rasterise(points, np.ones(3), _ONE, (4, 4), cull=True).covered) == 10
    assert len(rasterise(points, np.ones(3), _ONE[:, ::-1], (4, 4), cull=True).covered) == 0


def test_what_lies_behind_the_camera_or_outside_the_picture_is_left_out() -> None:
    points = np.array([[0, 0], [3, 0], [0, 3]], np.float32)
    assert len(rasterise(points, np.array([1, -1, 1.0]), _ONE, (4, 4)).covered) == 0
    assert len(rasterise(points + 50, np.ones(3), _ONE, (4, 4)).covered) == 0


def test_looking_up_more_places_than_opencv_takes_at_once() -> None:
    picture = np.arange(12, dtype=np.float32).reshape(3, 4)
    where = np.tile(np.array([[1.5, 1.0], [-5.0, 0.0]], np.float32), (40_000, 1))
    found = looked_up(picture, where)
    assert found.shape == (80_000,)
    np.testing.assert_allclose(found[:2], [5.5, 0.0])
