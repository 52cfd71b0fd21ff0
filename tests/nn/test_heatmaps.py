"""Heat maps there and back: exact where they can be, symmetric, and the same in ONNX."""

import numpy as np
import pytest
import torch
from torch import nn

from mien.core.landmarks import SCHEME_68
from mien.nn.heatmaps import decode, peak_confidence, spread, targets, to_crop, to_map


def scattered(count: int, low: float, high: float, *, seed: int = 0) -> torch.Tensor:
    return low + (high - low) * torch.rand(2, count, 2, generator=torch.Generator().manual_seed(seed))


def test_a_target_is_the_gaussian_by_its_formula():
    maps = targets(torch.tensor([[[10.25, 3.5]]]), size=16, sigma=2.0)
    y, x = np.mgrid[:16, :16]
    np.testing.assert_allclose(maps[0, 0], np.exp(-((x - 10.25) ** 2 + (y - 3.5) ** 2) / 8), atol=1e-6)
    assert float(targets(torch.tensor([[[10.0, 3.0]]]), size=16, sigma=2.0).max()) == 1


@pytest.mark.parametrize(("size", "sigma"), [(128, 7.0), (128, 3.0), (64, 3.5), (32, 1.75)])
@pytest.mark.parametrize("edge", [0.0, 8.0])
def test_points_come_back_between_pixels_also_at_the_borders(size, sigma, edge):
    points = scattered(200, edge, size - 1 - edge)
    found = decode(targets(points, size=size, sigma=sigma), sigma=sigma)
    assert float((found - points).abs().max()) < 0.02


def test_just_outside_and_of_another_width_they_come_back_too():
    outside = torch.tensor([[[-1.5, 30.0], [128.5, -1.0]]])
    assert float((decode(targets(outside, size=128)) - outside).abs().max()) < 0.02
    points = scattered(100, 10, 117)
    for width in (5.0, 10.0):
        assert float((decode(targets(points, size=128, sigma=width)) - points).abs().max()) < 0.02


def test_noise_moves_points_by_a_small_part_of_a_pixel():
    points = scattered(200, 15, 112)
    maps = targets(points, size=128)
    noisy = maps + 0.02 * torch.randn(maps.shape, generator=torch.Generator().manual_seed(1))
    error = (decode(noisy) - points).norm(dim=-1)
    published = (decode(noisy, legacy=True) - points).norm(dim=-1)
    assert float(error.mean()) < 0.15
    assert float(published.mean()) > 0.3


def test_a_mirrored_map_gives_the_mirrored_point():
    points = scattered(68, 0, 127)
    clean = targets(points, size=128)
    noisy = clean + 0.05 * torch.rand(2, 68, 128, 128, generator=torch.Generator().manual_seed(2))
    order = torch.from_numpy(SCHEME_68.mirror)
    for maps, share in ((clean, 1.0), (noisy, 0.9)):  # with noise, a window may begin a pixel aside
        found, mirrored = decode(maps), decode(maps.flip(-1)[:, order])
        expected = torch.stack((127 - found[:, order, 0], found[:, order, 1]), -1)
        off = (mirrored - expected).abs().amax(-1)
        assert float((off < 2e-3).float().mean()) >= share and float(off.max()) < 0.1


def test_flat_negative_and_empty_maps_give_a_pixel_of_the_map():
    for maps in (torch.zeros(1, 2, 32, 32), torch.full((1, 2, 32, 32), -3.0), torch.ones(1, 2, 32, 32)):
        found = decode(maps, sigma=2.0)
        assert torch.isfinite(found).all() and (found >= -2).all() and (found <= 33).all()
        assert torch.isfinite(spread(maps, found)).all()


def test_crop_sides_there_and_back_and_the_published_half_pixel():
    points = scattered(5, 0, 1)
    for legacy in (False, True):
        there = to_map(points, size=128, legacy=legacy)
        torch.testing.assert_close(to_crop(there, size=128, legacy=legacy), points)
    # the centre of the first of 256 pixels is 0.5 / 256 of a side; published, it is map pixel 0
    first = torch.full((1, 1, 2), 0.5 / 256)
    assert float(to_map(first, size=128, legacy=True).abs().max()) < 1e-7
    assert float(to_map(first, size=128)[0, 0, 0]) == pytest.approx(-0.25)


def test_spread_is_the_width_and_grows_with_a_second_summit():
    points = scattered(20, 40, 88)
    widths = [spread(targets(points, size=128, sigma=s), points).mean() / s for s in (3.0, 6.0, 9.0)]
    assert widths == pytest.approx([0.957] * 3, abs=0.01)
    two = torch.maximum(targets(points, size=128), 0.8 * targets(points + 30, size=128))
    assert (spread(two, points) > 2 * spread(targets(points, size=128), points)).all()


def test_height_is_the_confidence_and_arguments_stay_as_they_are():
    maps = targets(scattered(4, 10, 100), size=128) * 0.7
    before = maps.clone()
    for legacy in (False, True):
        decode(maps, legacy=legacy)
    assert float(peak_confidence(maps).max()) == pytest.approx(0.7, abs=0.01)
    assert float(peak_confidence(2 * maps).max()) == 1 and float(peak_confidence(-maps).max()) == 0
    assert torch.equal(maps, before)


def test_targets_have_gradients_to_the_points_and_double_precision_stays():
    points = scattered(3, 10, 20).double().requires_grad_()
    maps = targets(points, size=32, sigma=2.0)
    assert maps.dtype == torch.float64 and decode(maps.detach(), sigma=2.0).dtype == torch.float64
    maps.sum().backward()
    assert points.grad is not None


class Decoder(nn.Module):
    """What is read from maps, in both ways."""

    def forward(self, maps):
        points, released = decode(maps), decode(maps, legacy=True)
        return points, released, spread(maps, points), spread(maps, released), peak_confidence(maps)


def test_onnx_reads_the_same_points(tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    maps = targets(scattered(7, 0, 63), size=64) + 0.05 * torch.rand(2, 7, 64, 64)
    path = tmp_path / "decode.onnx"
    batch = {0: torch.export.Dim("batch", min=1)}
    torch.onnx.export(Decoder().eval(), (maps,), path, dynamo=True, dynamic_shapes=(batch,), verbose=False)
    session = onnxruntime.InferenceSession(str(path))
    for some in (maps, maps[:1], maps.repeat(2, 1, 1, 1)):
        got = session.run(None, {session.get_inputs()[0].name: some.numpy()})
        for ours, want in zip(got, Decoder()(some), strict=True):
            np.testing.assert_allclose(ours, want.numpy(), atol=1e-4)
