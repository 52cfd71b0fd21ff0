"""Places: what every field on the face is written in: positions, which lip a vertex is of, how it hangs on the jaw."""

import numpy as np

from mien.synthetic.face import template as plan
from mien.synthetic.face.mesh import Mesh
from mien.synthetic.face.template import MOUTH_HALF, MOUTH_ROW, step

# Chosen so that chin and lower lip move as an opening jaw moves them in scans: down and back about equally.
JAW_JOINT = np.array([0.0, -0.40, -0.62])


def bell(x: np.ndarray, centre: float, width: float, power: float = 2.0) -> np.ndarray:
    """exp(-|x - centre| / width) ** power: 1 at the centre, 0.37 at one width."""
    return np.exp(-(np.abs((x - centre) / width) ** power))


class Places:
    """x, y, z: inter-ocular. left: 0..1 over the midline. upper, lower: 1 on that lip's side of the mouth, fading to
    the corners, where the lips are one. skin, front: 1 on skin, on its front. jaw: share of the jaw's turn."""

    def __init__(self, mesh: Mesh) -> None:
        self.mesh = mesh
        self.points = mesh.points
        self.x, self.y, self.z = mesh.points.T
        self.left = step(-0.07, 0.07, self.x)
        self.skin = np.zeros(len(self.x))
        self.skin[mesh.grid] = 1
        for name in ("lid_inside_L", "lid_inside_R"):
            self.skin[mesh.regions[name]] = 1
        self.front = step(-0.75, -0.35, self.z) * self.skin
        self._lips(mesh)
        self._jaw(mesh)

    def _lips(self, mesh: Mesh) -> None:
        below = np.zeros(len(self.x), bool)
        below[mesh.grid[MOUTH_ROW + 1 :]] = True
        below[mesh.grid[MOUTH_ROW]] = False
        below[mesh.regions["mouth_lower"]] = True
        self.below = below
        within = 1 - step(0.55 * MOUTH_HALF, 1.0 * MOUTH_HALF, np.abs(self.x))
        mouth = self.skin.copy()
        mouth[mesh.regions["mouth_inside"]] = 1
        # The bag's corners have their own places; deep inside, nothing of the lips' shape is left.
        self.mouth = mouth * step(-0.25, 0.1, self.z)
        self.upper, self.lower = within * ~below * self.mouth, within * below * self.mouth

    def _jaw(self, mesh: Mesh) -> None:
        x, y = np.abs(self.x), self.y
        azimuth = np.arctan2(x, self.z - plan.AXIS_Z)
        line = plan.mouth_line(np.minimum(x, MOUTH_HALF))
        corner = 0.42  # the mouth's corners go this far with the jaw
        across = np.clip(x / MOUTH_HALF, 0, 1)
        low = corner + (1 - corner) * (1 - across**2.5)  # the lower lip
        high = corner * across**3 * 0.9 + 0.03  # the upper lip
        down = step(0.0, 0.28, line - y)
        chin = low + (1 - low) * down
        cheek = high * (1 - step(0.0, 0.26, y - line))
        inner = np.where(self.below, chin, cheek)
        # Beyond the corners upper and lower are one sheet, graded by height from the ear lobe to the jaw's edge.
        outer = 0.9 * step(-0.33, -1.0, y)
        share = inner + (outer - inner) * step(MOUTH_HALF, MOUTH_HALF + 0.2, x)
        share *= 1 - step(np.radians(62), np.radians(100), azimuth)
        neck = np.zeros(len(x))
        neck[mesh.grid[plan.JAW_ROW + 1 :].T] = np.array([0.8, 0.5, 0.2, 0.04, 0.0, 0.0, 0.0])
        edge = np.zeros(len(x))
        edge[mesh.grid[plan.JAW_ROW + 1 :]] = share[mesh.grid[plan.JAW_ROW]]
        share = np.where(neck > 0, neck * edge, share * self.skin)
        share[mesh.grid[plan.JAW_ROW + 5 :]] = 0
        inside = mesh.regions["mouth_inside"]
        share[inside] = np.where(self.below, low, high)[inside]
        share[mesh.regions["mouth_inside"][-1]] = 0.5
        share[mesh.regions["teeth_lower"]] = 1
        self.jaw = share
