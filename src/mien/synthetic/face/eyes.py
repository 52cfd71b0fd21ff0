"""Eyelids that close along the eyeball, and eyeballs that turn.

The lids' weights (AU43, AU45) say which part of the opening between the two rims is gone, whatever the person's eye and
the other action units have made of it: 1 always shuts. All lid vertices stay outside the eyeball's sphere.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float

from mien.synthetic.face import parts as face_parts
from mien.synthetic.face.mesh import Mesh, column
from mien.synthetic.face.template import (
    ADULT_METRES,
    EYE_CENTRE,
    EYE_FIRST,
    EYE_LAST,
    EYE_RADIUS,
    EYE_ROW,
    LID_RADIUS,
)

_UPPER_SHARE = 0.85  # of the way that the upper lid goes to meet the lower one
_UPPER_ROWS, _LOWER_ROWS = (1, 0.74, 0.44, 0.2, 0.06), (1, 0.7, 0.35)
_LEAST_ROW = 0.0004  # metres between rows of the upper lid
_LID_FOLLOWS = 0.8  # share of the opening lost per radian of looking down


@dataclass(frozen=True, eq=False)
class Eye:
    """One eye, as indices of the model's vertices."""

    ball: np.ndarray
    """Of the eyeball."""
    upper: np.ndarray
    """[rows, columns] of the upper lid from the rim outwards, without the corners."""
    lower: np.ndarray
    """[rows, columns] of the lower lid, likewise."""
    skin: np.ndarray
    """All that may touch the ball."""
    rim: np.ndarray
    """The lids' contour."""
    inside: np.ndarray
    """The ring behind the rim."""
    sign: int
    """1 left, -1 right."""
    shape: np.ndarray
    """The ball's vertices about its centre with the pupil along +z, metres."""
    radius: float = EYE_RADIUS * ADULT_METRES
    """Of the ball, metres."""
    lid_radius: float = LID_RADIUS * ADULT_METRES
    """Of the sphere on which the lids slide, metres."""

    @property
    def centre(self) -> np.ndarray:
        """The ball's centre in the template, metres."""
        return EYE_CENTRE * (self.sign, 1, 1) * ADULT_METRES

    def openings(self, points: Float[np.ndarray, "n vertices 3"]) -> Float[np.ndarray, "n columns"]:
        """Height between the rims, metres."""
        return points[:, self.upper[0], 1] - points[:, self.lower[0], 1]

    def pose(
        self,
        points: Float[np.ndarray, "n vertices 3"],
        closure: Float[np.ndarray, "n"],
        moved: Float[np.ndarray, "n 3"],
        gaze_rad: Float[np.ndarray, "n 2"],
    ) -> None:
        """Closes the lids by that share, keeps them outside the ball, turns the ball; in place. moved: how far the
        ball's centre is from the template's."""
        centre = self.centre + moved
        down = np.maximum(-gaze_rad[:, 1], 0)
        self._close(points, 1 - (1 - np.clip(closure, 0, 1)) * (1 - np.minimum(_LID_FOLLOWS * down, 0.7)))
        self._stack(points)
        _clear(points, self.skin, centre, self.lid_radius)
        rim = (points[:, self.rim] - centre[:, None]) / ADULT_METRES + EYE_CENTRE
        points[:, self.inside] = (face_parts.lid_rim(rim) - EYE_CENTRE) * ADULT_METRES + centre[:, None]
        points[:, self.ball] = _turned(self.shape, gaze_rad) + centre[:, None]

    def _close(self, points: np.ndarray, closure: np.ndarray) -> None:
        gap = self.openings(points)
        lost = np.where(gap > 0, closure[:, None] * gap, gap)  # rims that crossed are put back on each other
        for k, w in enumerate(_UPPER_ROWS):
            points[:, self.upper[k], 1] -= _UPPER_SHARE * w * lost
        for k, w in enumerate(_LOWER_ROWS):
            points[:, self.lower[k], 1] += (1 - _UPPER_SHARE) * w * lost

    def _stack(self, points: np.ndarray) -> None:
        """A lid drawn wide open is pushed together under its fold and does not pass it."""
        for below, above in pairwise(self.upper):
            points[:, above, 1] = np.maximum(points[:, above, 1], points[:, below, 1] + _LEAST_ROW)


def _clear(points: np.ndarray, skin: np.ndarray, centre: np.ndarray, radius: float) -> None:
    """Lifts lid vertices out of a ball of that radius, in place."""
    lid = points[:, skin] - centre[:, None]
    ball = np.sqrt(np.maximum(radius**2 - (lid[..., :2] ** 2).sum(-1), 0))
    # Under half the radius the sphere's flank is too steep for a lid, and nothing shows.
    lid[..., 2] = np.where(ball > 0.3 * radius, np.maximum(lid[..., 2], ball), lid[..., 2])
    points[:, skin] = lid + centre[:, None]


def _turned(shape: np.ndarray, gaze_rad: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n vertices 3"]:
    """The ball's vertices about its centre, turned."""
    yaw, pitch = gaze_rad[:, 0], gaze_rad[:, 1]
    cy, sy, cp, sp = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch)
    zero = np.zeros_like(yaw)
    rows = [np.stack(r, -1) for r in ((cy, -sy * sp, sy * cp), (zero, cp, sp), (-sy, -cy * sp, cy * cp))]
    return np.einsum("nij,vj->nvi", np.stack(rows, 1).astype(shape.dtype), shape)


def eyes_of(mesh: Mesh) -> dict[str, Eye]:
    """Both eyes of our own mesh, {"L", "R"}."""
    return {side: _eye(mesh, side, sign) for side, sign in (("L", 1), ("R", -1))}


def _eye(mesh: Mesh, side: str, sign: int) -> Eye:
    columns = [column(sign * c) for c in range(EYE_FIRST + 1, EYE_LAST)]
    around = [column(sign * c) for c in range(EYE_FIRST - 2, EYE_LAST + 3)]
    grid, ball = mesh.grid, mesh.regions[f"eyeball_{side}"]
    return Eye(
        ball=ball,
        upper=grid[EYE_ROW - np.arange(len(_UPPER_ROWS))][:, columns],
        lower=grid[EYE_ROW + 1 + np.arange(len(_LOWER_ROWS))][:, columns],
        skin=np.unique(grid[EYE_ROW - 4 : EYE_ROW + 6][:, around]),
        rim=mesh.regions[f"lid_rim_{side}"],
        inside=mesh.regions[f"lid_inside_{side}"],
        sign=sign,
        shape=((mesh.points[ball] - EYE_CENTRE * (sign, 1, 1)) * ADULT_METRES).astype(np.float32),
    )
