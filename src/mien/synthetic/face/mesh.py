"""The neutral face as one mesh: the skin's grid, what is not skin, texture coordinates, regions."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

import numpy as np

from mien.synthetic.face import parts
from mien.synthetic.face import template as plan
from mien.synthetic.face.relief import Half, left_half
from mien.synthetic.face.template import COLUMNS, EYE_FIRST, EYE_LAST, EYE_ROW, LIP_ROWS, MOUTH_LAST, MOUTH_ROW

_SIDES = (("L", 1.0), ("R", -1.0))
_U_SCALE, _V_TOP = 0.345, 0.61


@dataclass
class Mesh:
    """A mesh under construction."""

    points: np.ndarray = field(default_factory=lambda: np.zeros((0, 3)))
    """In inter-ocular units."""
    uv: np.ndarray = field(default_factory=lambda: np.zeros((0, 2)))
    """Texture coordinates, 0..1."""
    mirror: np.ndarray = field(default_factory=lambda: np.zeros(0, int))
    """Index of each vertex's mirror image."""
    triangles: list[np.ndarray] = field(default_factory=list)
    """Counter-clockwise from outside."""
    regions: dict[str, np.ndarray] = field(default_factory=dict)
    """Name → vertex indices."""
    grid: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), int))
    """[rows, columns over both halves] of skin indices."""

    def add(self, points: np.ndarray, uv: np.ndarray, mirror: np.ndarray) -> np.ndarray:
        """Appends vertices, whose mirror images count from the first of them; returns their indices."""
        first = len(self.points)
        self.points = np.concatenate([self.points, points])
        self.uv = np.concatenate([self.uv, uv])
        self.mirror = np.concatenate([self.mirror, np.asarray(mirror) + first])
        return np.arange(first, len(self.points))

    def add_centred(self, part: parts.Part, island: tuple[float, ...], region: str) -> np.ndarray:
        """Appends a centred part."""
        assert part.mirror is not None
        index = self.add(part.points, parts.on_island(island, part.plane), part.mirror)
        self.triangles.append(index[part.triangles])
        self.regions[region] = np.concatenate([self.regions.get(region, index[:0]), index])
        return index

    def add_sided(self, part: parts.Part, islands: Mapping[str, tuple[float, ...]], region: str) -> None:
        """Appends a left part and its mirror image as regions NAME_L and NAME_R."""
        count = len(part.points)
        flipped = part.plane * (-1, 1) + (1, 0)
        uv = np.concatenate([parts.on_island(islands["L"], part.plane), parts.on_island(islands["R"], flipped)])
        both = np.concatenate([part.points, part.points * (-1, 1, 1)])
        index = self.add(both, uv, np.concatenate([np.arange(count) + count, np.arange(count)]))
        self.triangles += [index[part.triangles], index[part.triangles[:, ::-1] + count]]
        self.regions[f"{region}_L"], self.regions[f"{region}_R"] = index[:count], index[count:]


def column(c: int) -> int:
    """Position in the grid of the c-th column left (c > 0) or right (c < 0) of the midline."""
    return c + COLUMNS - 2


def _skin_uv(half: Half) -> np.ndarray:
    """[rows, columns, 2] for the left half: an unrolled cylinder, squeezed behind the ears, at crown and neck."""
    a, y = half.azimuth, half.height
    across = 0.674 * np.minimum(a, np.pi / 2) + 0.248 * np.maximum(a - np.pi / 2, 0)
    down = np.where(y > plan.CROWN_FROM, plan.CROWN_FROM + 0.35 * (y - plan.CROWN_FROM), y)
    down = np.where(down < plan.JAW_EDGE[0], plan.JAW_EDGE[0] + 0.8 * (down - plan.JAW_EDGE[0]), down)
    return np.stack([0.5 + _U_SCALE * across, 0.005 + _U_SCALE * (0.785 - down)], -1)


def _add_skin(mesh: Mesh) -> None:
    """The grid over both halves, welded outside the slits, with the crown's pole."""
    half = left_half()
    rows, uv = len(half.points), _skin_uv(half)
    order = np.concatenate([-np.arange(COLUMNS - 2, 0, -1), np.arange(COLUMNS)])
    sign = np.where(order < 0, -1.0, 1.0)[None, :, None]
    points = half.points[:, np.abs(order)] * np.concatenate([sign, np.ones_like(sign), np.ones_like(sign)], -1)
    uv_full = uv[:, np.abs(order)].copy()
    uv_full[..., :1] = 0.5 + (uv_full[..., :1] - 0.5) * sign
    index = np.arange(points[..., 0].size).reshape(rows, len(order))
    inside_eye = (np.abs(order) > EYE_FIRST) & (np.abs(order) < EYE_LAST)
    for row, slit in ((EYE_ROW, inside_eye), (MOUTH_ROW, np.abs(order) < MOUTH_LAST)):
        index[row + 1] = np.where(slit, index[row + 1], index[row])
    used, grid = np.unique(index, return_inverse=True)
    grid = grid.reshape(index.shape)
    opposite = np.concatenate([np.arange(len(order) - 2, -1, -1), [len(order) - 1]])
    mirror = np.zeros(len(used), int)
    mirror[grid] = grid[:, opposite]
    mesh.grid = mesh.add(points.reshape(-1, 3)[used], uv_full.reshape(-1, 2)[used], mirror)[grid]
    pole = mesh.add(np.array([[0, plan.CROWN_TOP, plan.AXIS_Z - 0.28]]), np.array([[0.5, 0.002]]), np.zeros(1, int))
    mesh.triangles.append(_skin_triangles(mesh.grid, order, int(pole[0])))


def _skin_triangles(grid: np.ndarray, order: np.ndarray, pole: int) -> np.ndarray:
    """Two triangles a cell, with the diagonal mirrored on the right half; no cells in the slits."""
    a, b = grid[:-1], np.roll(grid[:-1], -1, 1)
    c, d = grid[1:], np.roll(grid[1:], -1, 1)
    left = np.broadcast_to(order >= 0, a.shape) & (order < COLUMNS - 1)
    one = np.where(left[..., None], np.stack([a, c, d], -1), np.stack([b, a, c], -1))
    two = np.where(left[..., None], np.stack([a, d, b], -1), np.stack([b, c, d], -1))
    cells = np.ones(a.shape, bool)
    cells[[EYE_ROW, MOUTH_ROW]] = False
    triangles = np.concatenate([one[cells], two[cells]])
    fan = np.stack([np.full(len(order), pole), grid[0], np.roll(grid[0], -1)], -1)
    return np.concatenate([triangles, fan])


def _loop(mesh: Mesh, row: int, first: int, last: int) -> np.ndarray:
    """Indices round a slit, counter-clockwise as seen from in front: lower rim to the picture's right, upper back."""
    lower = mesh.grid[row + 1, column(first) : column(last) + 1]
    upper = mesh.grid[row, column(first) : column(last) + 1]
    return np.concatenate([lower, upper[-2:0:-1]])


def _ring_triangles(outer: np.ndarray, inner: np.ndarray) -> np.ndarray:
    """Between two closed loops of as many indices, both counter-clockwise; the surface goes inwards."""
    return np.array(parts.quads(np.append(outer, outer[0]), np.append(inner, inner[0])))[:, ::-1]


def _add_lid_rims(mesh: Mesh) -> None:
    """One ring inside each eye's opening."""
    left = _loop(mesh, EYE_ROW, EYE_FIRST, EYE_LAST)
    right = mesh.mirror[left]
    inner = parts.lid_rim(mesh.points[left])
    count = len(left)
    both = np.concatenate([inner, inner * (-1, 1, 1)])
    swap = np.concatenate([np.arange(count) + count, np.arange(count)])
    index = mesh.add(both, mesh.uv[np.concatenate([left, right])], swap)
    mesh.triangles.append(_ring_triangles(left, index[:count]))
    mesh.triangles.append(_ring_triangles(right, index[count:])[:, ::-1])
    for (side, _), rim, ring in zip(_SIDES, (left, right), (index[:count], index[count:]), strict=True):
        mesh.regions[f"lid_rim_{side}"], mesh.regions[f"lid_inside_{side}"] = rim, ring


def _add_mouth(mesh: Mesh) -> None:
    """The bag behind the lips, closed at the throat, and both rows of teeth."""
    rim = _loop(mesh, MOUTH_ROW, -MOUTH_LAST, MOUTH_LAST)
    count, across = len(rim), 2 * MOUTH_LAST + 1
    x = np.abs(mesh.points[rim, 0]) / plan.MOUTH_HALF
    upward = np.where(np.arange(count) < across, -1.0, 1.0) * np.clip(1 - x**3, 0, 1) ** 0.5
    rings, end = parts.mouth_bag(mesh.points[rim], upward)
    swap = np.concatenate([np.arange(across)[::-1], np.arange(across, count)[::-1]])
    turn = 2 * np.pi * np.arange(count) / count
    plane = [0.5 + 0.5 * r * np.stack([np.cos(turn), np.sin(turn)], -1) for r in (0.95, 0.75, 0.5, 0.25)]
    before = rim
    indices: list[np.ndarray] = []
    for ring, place in zip(rings, plane, strict=True):
        uv = parts.on_island(parts.MOUTH_ISLAND, place) if indices else mesh.uv[rim]  # the first ring is still lip
        indices.append(mesh.add(ring, uv, swap))
        mesh.triangles.append(_ring_triangles(before, indices[-1]))
        before = indices[-1]
    tip = mesh.add(end[None], parts.on_island(parts.MOUTH_ISLAND, np.array([[0.5, 0.5]])), np.zeros(1, int))
    mesh.triangles.append(np.stack([before, np.roll(before, -1), np.full(count, tip[0])], -1))
    mesh.regions["mouth_inside"] = np.concatenate([*indices, tip])
    mesh.regions["mouth_upper"] = np.concatenate([ring[across:] for ring in indices])
    mesh.regions["mouth_lower"] = np.concatenate([ring[1 : across - 1] for ring in indices])
    for upper, name in ((True, "teeth_upper"), (False, "teeth_lower")):
        mesh.add_centred(parts.teeth(upper=upper), parts.TEETH_ISLAND, name)
    mesh.regions["teeth"] = np.concatenate([mesh.regions["teeth_upper"], mesh.regions["teeth_lower"]])


def _name_regions(mesh: Mesh) -> None:
    """Skin, lips, brows, scalp, neck by place in the grid."""
    mesh.regions["skin"] = np.unique(np.concatenate([mesh.grid.ravel(), mesh.grid.max(keepdims=True).ravel() + 1]))
    red = slice(MOUTH_ROW - LIP_ROWS, MOUTH_ROW + 2 + LIP_ROWS)
    mesh.regions["lips"] = np.unique(mesh.grid[red, column(-MOUTH_LAST) : column(MOUTH_LAST) + 1])
    mesh.regions["upper_lip"] = np.unique(mesh.grid[MOUTH_ROW - LIP_ROWS : MOUTH_ROW + 1, column(-9) : column(9) + 1])
    mesh.regions["lower_lip"] = np.unique(mesh.grid[MOUTH_ROW + 1 : red.stop, column(-9) : column(9) + 1])
    mesh.regions["neck"] = np.unique(mesh.grid[plan.JAW_ROW + 2 :])
    x, y, z = mesh.points[: mesh.grid.max() + 2].T
    front = z > plan.AXIS_Z
    for side, sign in _SIDES:
        brow = front & (np.abs(sign * x - 0.4) < 0.29) & (np.abs(y - brow_height(np.abs(x))) < 0.04) & (y > 0.1)
        mesh.regions[f"brow_{side}"] = np.nonzero(brow)[0]
    hair_line = 0.62 - 0.9 * np.clip(-0.1 - z, 0, 1) ** 1.2
    mesh.regions["scalp"] = np.nonzero((y > hair_line) & (y > -0.75))[0]
    mesh.regions["ears"] = np.concatenate([mesh.regions["ear_L"], mesh.regions["ear_R"]])


def brow_height(x: np.ndarray) -> np.ndarray:
    """Height of the brows' middle over |x|, 0.12 to 0.67: rises to two thirds, then falls."""
    return np.asarray(np.interp(x, [0.12, 0.27, 0.42, 0.55, 0.67], [0.215, 0.25, 0.268, 0.243, 0.155]))


@cache
def neutral_mesh() -> Mesh:
    """The whole neutral mesh, inter-ocular units. Built once; do not write to it."""
    mesh = Mesh()
    _add_skin(mesh)
    _add_lid_rims(mesh)
    mesh.add_sided(parts.eyeball(), parts.EYE_ISLANDS, "eyeball")
    _add_mouth(mesh)
    mesh.add_sided(parts.ear(), parts.EAR_ISLANDS, "ear")
    _name_regions(mesh)
    return mesh
