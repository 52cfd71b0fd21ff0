"""Studio: what rendering needs to know of a face model, worked out once per model."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from mien.synthetic.face.model import FaceModel
from mien.synthetic.picture.atlas import Atlas
from mien.synthetic.picture.skin import SkinPainter

SKIN, EYE, MOUTH, TEETH = range(4)


@dataclass(frozen=True, eq=False)
class Eyeball:
    """An eyeball of the template."""

    vertices: np.ndarray
    """Indices."""
    centre: np.ndarray
    """Metres."""
    radius: float
    """Metres."""


class Studio:
    """One model's materials, eyeballs, scalp and painters. Kept by `studio_of`."""

    def __init__(self, model: FaceModel) -> None:
        self.model = model
        self.triangles = np.asarray(model.triangles, np.int32)
        self.template = np.asarray(model.template, np.float32)
        self.uv = np.asarray(model.uv, np.float32)
        self.material = self._materials()
        self.eyeballs = {side: _eyeball(self.template, model.regions[f"eyeball_{side}"]) for side in ("R", "L")}
        self.iris = self._iris_places()
        self.scalp = self._share("scalp")
        self.lashes = self._lashes()
        self.earless = np.flatnonzero(self._share("ears") == 0)
        self._painters: dict[int, SkinPainter] = {}

    def landmarks(self, values: Float[np.ndarray, "vertices channels"]) -> Float[np.ndarray, "68 channels"]:
        """Vertex values at the 68 landmarks."""
        corners = self.triangles[self.model.landmark_triangles]
        return np.einsum("lc,lcd->ld", self.model.landmark_weights, values[corners]).astype(np.float32)

    def painter(self, side: int) -> SkinPainter:
        """The painter of textures of that many texels a side."""
        if side not in self._painters:
            self._painters[side] = SkinPainter(Atlas(self.landmarks(self.template), self.landmarks(self.uv), side))
        return self._painters[side]

    def _materials(self) -> np.ndarray:
        """uint8 per triangle: what most of its corners are."""
        vertex = np.zeros(len(self.template), np.uint8)
        for name, code in (("mouth_inside", MOUTH), ("teeth", TEETH), ("eyeball_L", EYE), ("eyeball_R", EYE)):
            vertex[self.model.regions[name]] = code
        return np.sort(vertex[self.triangles], axis=1)[:, 1]

    def _iris_places(self) -> np.ndarray:
        """Direction from the eyeball's centre in the template; the pupil looks along +z. Zero elsewhere."""
        places = np.zeros_like(self.template)
        for ball in self.eyeballs.values():
            places[ball.vertices] = (self.template[ball.vertices] - ball.centre) / ball.radius
        return places

    def _lashes(self) -> np.ndarray:
        """float32 [vertices]: 1 on the upper lids' edges, less on the lower ones."""
        share = np.zeros(len(self.template), np.float32)
        for side, ball in self.eyeballs.items():
            rim = self.model.regions[f"lid_rim_{side}"]
            share[rim] = np.where(self.template[rim, 1] > ball.centre[1] - 0.0005, 1.0, 0.3)
        return share

    def _share(self, region: str) -> np.ndarray:
        """1 on a region's vertices, else 0."""
        share = np.zeros(len(self.template), np.float32)
        share[self.model.regions[region]] = 1
        return share


def _eyeball(template: np.ndarray, vertices: np.ndarray) -> Eyeball:
    """Least squares: |p|^2 = 2 p.c + (r^2 - |c|^2)."""
    points = template[vertices].astype(np.float64)
    rows = np.concatenate([2 * points, np.ones((len(points), 1))], 1)
    solution = np.linalg.lstsq(rows, (points**2).sum(1), rcond=None)[0]
    centre = solution[:3]
    return Eyeball(vertices, centre.astype(np.float32), float(np.sqrt(solution[3] + centre @ centre)))


_STUDIOS: dict[int, Studio] = {}


def studio_of(model: FaceModel) -> Studio:
    """The studio of a model, made at its first use. It holds the model, so that its id stays its own."""
    if id(model) not in _STUDIOS:
        _STUDIOS[id(model)] = Studio(model)
    return _STUDIOS[id(model)]
