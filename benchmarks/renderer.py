"""The renderer of 3D faces against a z-buffer that goes through the triangles of each face in Python.

32 synthetic people at 224 x 224, one thread and two. The loop has every advantage that NumPy gives inside a triangle;
both draw the same grey faces (a share of at most 0.2 % of the pixels differs, at edges).

    python benchmarks/renderer.py
"""

import argparse
import time

import numpy as np
import torch

from mien.core.geometry import ALBEDO
from mien.nn.face3d import render
from mien.synthetic.face.build import face_model
from mien.synthetic.people import person_of


def faces(count: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Vertices, the triangles of the face, and cameras that fill the picture."""
    model = face_model()
    identities = np.stack([person_of(0, number).identity for number in range(count)])
    vertices = np.concatenate([model.vertices(one[None], model.weights({})) for one in identities])
    skin = np.zeros(len(model.template), bool)
    skin[model.regions["skin"]] = True
    for name in ("scalp", "ears", "neck"):  # as SMIRK's render, which has 3,408 triangles of a face
        skin[model.regions[name]] = False
    triangles = np.asarray(model.triangles)[skin[model.triangles].all(1)]
    camera = np.tile([7.0, 0.0, 0.02], (count, 1)) + np.linspace(-0.3, 0.3, count)[:, None] * [1, 0, 0]
    return torch.tensor(vertices).float(), torch.tensor(triangles).long(), torch.tensor(camera).float()


def loop(vertices: torch.Tensor, triangles: torch.Tensor, camera: torch.Tensor, size: int) -> np.ndarray:
    """A picture a face: every triangle of its own, with a z-buffer."""
    placed = render.project(vertices, camera).numpy()
    normals = render.vertex_normals(vertices, triangles).numpy()
    pictures = np.zeros((len(vertices), size, size), np.float32)
    corners = triangles.numpy()
    for picture, points, normal in zip(pictures, placed, normals, strict=True):
        xy = (points[:, :2] + 1) * size / 2 - 0.5
        buffer = np.full((size, size), np.inf, np.float32)
        mapped = np.zeros((size, size, 3), np.float32)
        for triangle in corners:
            a, b, c = xy[triangle]
            low = np.maximum(np.ceil(np.minimum(np.minimum(a, b), c)), 0).astype(int)
            high = np.minimum(np.floor(np.maximum(np.maximum(a, b), c)), size - 1).astype(int)
            if (high < low).any():
                continue
            area = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
            if abs(area) < render.TINY_AREA:
                continue
            x, y = np.arange(low[0], high[0] + 1)[None], np.arange(low[1], high[1] + 1)[:, None]
            first = ((b[0] - x) * (c[1] - y) - (b[1] - y) * (c[0] - x)) / area
            second = ((c[0] - x) * (a[1] - y) - (c[1] - y) * (a[0] - x)) / area
            weights = np.stack([first, second, 1 - first - second], -1)
            z = weights @ points[triangle, 2]
            part = buffer[low[1] : high[1] + 1, low[0] : high[0] + 1]
            shown = (weights >= 0).all(-1) & (z < part)
            part[shown] = z[shown]
            mapped[low[1] : high[1] + 1, low[0] : high[0] + 1][shown] = (weights @ normal[triangle])[shown]
        lit = ALBEDO * render.shading(torch.tensor(mapped))[..., 0].numpy()
        picture[:] = np.where(np.isfinite(buffer), lit, 0)
    return pictures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", type=int, default=32)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--looped", type=int, default=4, help="faces that the loop draws; its time is scaled up")
    options = parser.parse_args()
    vertices, triangles, camera = faces(options.faces)
    print(f"{options.faces} faces of {len(triangles):,} triangles, {options.size} x {options.size}")
    start = time.perf_counter()
    few = loop(vertices[: options.looped], triangles, camera[: options.looped], options.size)
    slow = (time.perf_counter() - start) * options.faces / options.looped
    print(f"Python loop over triangles: {slow:.2f} s ({options.looped} faces timed)")
    for threads in (1, 2):
        torch.set_num_threads(threads)
        times = []
        for _ in range(5):
            start = time.perf_counter()
            image = render.render_grey(vertices, triangles, camera, size=options.size)
            times.append(time.perf_counter() - start)
        off = (np.abs(image[: options.looped, 0].numpy() - few) > 0.01).mean()
        best = min(times)
        print(f"mien, {threads} thread(s): {best:.3f} s, {slow / best:.0f}x; {100 * off:.2f} % of the pixels differ")


if __name__ == "__main__":
    main()
