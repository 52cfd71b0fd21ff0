"""Occlusion: the map peaks where a network looks, whatever fills the parts; regions, determinism, batches."""

import numpy as np
import pytest

from mien.core.errors import MienError
from mien.runtime.occlusion import BATCH, REGIONS, hidden, occlusion, region_drops
from mien.runtime.pose import neutral_face

SIZE = 48


def face(bright: tuple[slice, slice]) -> np.ndarray:
    """Dark, with a fine bright pattern in one place."""
    pixels = np.full((SIZE, SIZE, 3), 40, np.uint8)
    pixels[bright] = 240
    return pixels


def looks_at(where: tuple[slice, slice]):
    """A network whose probability is the brightness of one place alone."""
    return lambda crops: [float(np.mean(crop[where]) / 255) for crop in crops]


@pytest.mark.parametrize("fill", ["blur", "mean"])
@pytest.mark.parametrize(("y", "x"), [(0, 0), (0, 36), (36, 0), (36, 36), (18, 20)])
def test_the_map_peaks_where_the_network_looks(fill, y: int, x: int) -> None:
    where = slice(y, y + 12), slice(x, x + 12)
    found = occlusion(face(where), looks_at(where), part=0.25, fill=fill)
    assert found.base == pytest.approx(240 / 255) and found.least < 0.75 * found.base
    peak = np.unravel_index(found.drop.argmax(), found.drop.shape)
    assert abs(peak[0] - (y + 5.5)) <= 8 and abs(peak[1] - (x + 5.5)) <= 8
    assert abs(found.place[0] - (x + 5.5)) <= 6 and abs(found.place[1] - (y + 5.5)) <= 6
    away = found.drop[(y + 24) % SIZE, (x + 24) % SIZE]
    assert abs(away) < 0.05 * found.drop.max()


def test_what_speaks_against_the_class_is_below_0() -> None:
    where = slice(0, 12), slice(0, 12)
    found = occlusion(face(where), lambda crops: [1 - v for v in looks_at(where)(crops)], part=0.25)
    assert found.drop.min() < -0.2 and np.unravel_index(found.drop.argmin(), found.drop.shape)[0] < 16


def test_parts_come_in_batches_and_the_same_every_time() -> None:
    sizes = []
    where = slice(0, 12), slice(0, 12)

    def read(crops):
        sizes.append(len(crops))
        return looks_at(where)(crops)

    once, again = (occlusion(face(where), read, part=0.1) for _ in range(2))
    assert max(sizes) == BATCH and sum(sizes) == 2 * (once.parts + 1)
    assert np.array_equal(once.drop, again.drop)


def test_regions_are_hidden_whole() -> None:
    points = neutral_face()[:, :2] * (1, -1)
    points = (points - points.min(0)) / np.ptp(points, axis=0).max() * (SIZE - 8) + 4
    left, top = points[48:68].min(0).astype(int)
    right, low = points[48:68].max(0).astype(int)
    where = slice(top, low + 1), slice(left, right + 1)
    drops = region_drops(face(where), looks_at(where), points.astype(np.float64))
    assert list(drops) == list(REGIONS) and max(drops, key=drops.__getitem__) == "mouth"
    assert drops["mouth"] > 0.2 > 10 * abs(drops["brows"])


def test_a_hidden_part_keeps_the_rest() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
    mask = np.zeros((SIZE, SIZE), np.float32)
    mask[:10] = 1
    for fill in ("blur", "mean"):
        shown = hidden(pixels, mask, fill)
        assert np.array_equal(shown[10:], pixels[10:]) and shown[:10].std() < 0.3 * pixels[:10].std()
    with pytest.raises(MienError, match=r"side is 0.02 to 0.9"):
        occlusion(pixels, looks_at((slice(0, 2), slice(0, 2))), part=1.5)
