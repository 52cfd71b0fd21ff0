"""The renderer shows the nearest triangle, agrees with the NumPy one, and has right gradients."""

import numpy as np
import torch

from mien.core.geometry import ALBEDO
from mien.media.raster import grey_shading, rasterise
from mien.nn.face3d import render


def sphere(rings=12):
    """Unit sphere, triangles counter-clockwise from outside."""
    angles = np.linspace(0, np.pi, rings + 1)[1:-1]
    around = np.linspace(0, 2 * np.pi, 2 * rings, endpoint=False)
    points = [[0, 1, 0]]
    points += [[np.sin(a) * np.sin(b), np.cos(a), np.sin(a) * np.cos(b)] for a in angles for b in around]
    points += [[0, -1, 0]]
    n, last = len(around), len(points) - 1
    triangles = [[0, 1 + i, 1 + (i + 1) % n] for i in range(n)]
    for ring in range(len(angles) - 1):
        first = 1 + ring * n
        for i in range(n):
            a, b, c, d = first + i, first + (i + 1) % n, first + n + i, first + n + (i + 1) % n
            triangles += [[a, c, b], [b, c, d]]
    triangles += [[last, last - n + (i + 1) % n, last - n + i] for i in range(n)]
    return torch.tensor(np.array(points), dtype=torch.float32), torch.tensor(triangles)


def test_a_sphere_is_round_lit_from_the_front_and_hides_its_back():
    points, triangles = sphere(40)
    image = render.render_grey(points[None], triangles, torch.tensor([[0.8, 0.0, 0.0]]), size=64)[0, 0]
    covered = image > 0
    assert abs(covered.float().mean().item() - np.pi * 0.8**2 / 4) < 0.01
    assert torch.isclose(image[32, 32], image.max(), atol=2e-3) and image.max() < 1.7 * ALBEDO
    assert torch.allclose(image, image.flip(1), atol=2e-3)


def test_the_nearer_of_two_triangles_is_shown_whatever_their_order():
    near, far = [[-1, -1, 1], [1, -1, 1], [0, 1, 1]], [[-1, -1, 0], [1, -1, 0], [0, 1, 0]]
    points = torch.tensor([near + far], dtype=torch.float32)
    for triangles, shown in (([[0, 1, 2], [3, 4, 5]], 0), ([[3, 4, 5], [0, 1, 2]], 1)):
        projected = render.project(points, torch.tensor([[0.9, 0.0, 0.0]]))
        fragments = render.rasterize(projected, torch.tensor(triangles), size=16)
        assert set(fragments.triangle.unique().tolist()) == {shown}


def test_it_agrees_with_the_renderer_without_torch():
    points, triangles = sphere(20)
    points = points * torch.tensor([0.9, 0.6, 0.7])
    camera, size = torch.tensor([[0.9, 0.05, -0.1]]), 96
    image = render.render_grey(points[None], triangles, camera, size=size)[0, 0].numpy()
    placed = render.project(points[None], camera)[0].numpy()
    pixels = (placed[:, :2] + 1) * size / 2 - 0.5
    raster = rasterise(pixels.astype(np.float32), placed[:, 2] + 1000, triangles.numpy(), (size, size))
    normals = raster.interpolate(render.vertex_normals(points[None], triangles)[0].numpy(), triangles.numpy())
    other = raster.picture(grey_shading(normals).astype(np.float32), 0.0)
    assert (np.abs(other - image) > 2e-3).mean() < 0.002  # edges


def test_triangles_outside_and_without_area_are_left_out():
    points = torch.tensor([[[5, 5, 0], [6, 5, 0], [5, 6, 0], [0, 0, 0], [0, 0, 0], [0.1, 0, 0]]], dtype=torch.float32)
    fragments = render.rasterize(points, torch.tensor([[0, 1, 2], [3, 4, 5]]), size=8)
    assert not fragments.covered.any() and len(fragments.places) == 0


def test_the_gradient_reaches_vertices_through_shading_and_places():
    points, triangles = sphere(10)
    points = points.double()[None].requires_grad_()
    camera = torch.tensor([[0.8, 0.0, 0.0]], dtype=torch.float64, requires_grad=True)
    values = torch.linspace(0, 1, points.shape[1], dtype=torch.float64)[None, :, None]

    def total(vertices, view):
        fragments = render.rasterize(render.project(vertices, view), triangles, size=24)
        inside = fragments.interpolate(triangles, vertices.detach())[:, 2] > 0.5
        return fragments.interpolate(triangles, values)[inside].sum()

    grads = torch.autograd.grad(total(points, camera), [points, camera])
    step = 1e-6
    moved = camera.detach().clone()
    moved[0, 1] += step
    slope = (total(points, moved) - total(points, camera)).item() / step
    assert abs(slope - grads[1][0, 1].item()) < 1e-3 * max(abs(slope), 1) and grads[0].abs().sum() > 0
