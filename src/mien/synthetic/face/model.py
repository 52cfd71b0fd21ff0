"""FaceModel: a parametric 3D face in FLAME's manner. Template, identity modes, action units left and right apart, a
jaw that turns about its joint, lids that close along the eyeball, eyeballs that turn, and 68 landmarks on the mesh.

`build.face_model` is our own, built by code from figures (template.py says which); `files.load_face_model` reads a
user's. Metres, x to the person's left, y up, z to the viewer; the origin lies midway between the outer eye corners.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int

from mien.core.errors import MienError, nearest
from mien.synthetic.face.action_units import MODES
from mien.synthetic.face.eyes import Eye

JAW_RAD = {"AU26": 0.17, "AU27": 0.50}  # how far each opens the jaw at weight 1
JAW_MOST_RAD = 0.50  # both together at most
LIDS = ("AU43", "AU45")


@dataclass(frozen=True, eq=False)
class FaceModel:
    """A linear face model with jaw and eyes."""

    template: Float[np.ndarray, "vertices 3"]
    """The neutral mean face, metres."""
    triangles: Int[np.ndarray, "triangles 3"]
    """Vertex indices, counter-clockwise from outside."""
    uv: Float[np.ndarray, "vertices 2"]
    """u to the viewer's right, v down."""
    identity: Float[np.ndarray, "identities vertices 3"]
    """Displacements for coefficients ~ N(0, 1)."""
    identity_names: tuple[str, ...]
    """Of the modes of `identity`."""
    expression: Float[np.ndarray, "units vertices 3"]
    """Displacements for weights 0..1, without jaw and lids where `jaw_weights` and `eyes` are given."""
    expression_names: tuple[str, ...]
    """Action units of `expression`."""
    landmark_triangles: Int[np.ndarray, "68"]
    """Triangle of each landmark, in iBUG order."""
    landmark_weights: Float[np.ndarray, "68 3"]
    """Barycentric weights in that triangle."""
    mirror: Int[np.ndarray, "vertices"]
    """The vertex on the other side."""
    regions: dict[str, np.ndarray]
    """Name → vertices."""
    jaw_weights: Float[np.ndarray, "vertices"]
    """Share of the jaw's rotation that a vertex follows, 0..1."""
    jaw_joint: Float[np.ndarray, "3"] = field(default_factory=lambda: np.zeros(3, np.float32))
    """The jaw turns about an axis through it, metres."""
    eyes: Mapping[str, Eye] = field(default_factory=dict)
    """Side → eye; empty for a model without them."""

    def weights(self, units: Mapping[str, float] | Sequence[Mapping[str, float]]) -> Float[np.ndarray, "n units"]:
        """Weights by name as rows for `vertices`. `AU12` means both sides of a sided unit; one side of a unit that this
        model has only whole counts half; a unit of ours that it lacks moves nothing.

        Raises MienError for a name that is no unit.
        """
        rows = [units] if isinstance(units, Mapping) else list(units)
        result = np.zeros((len(rows), len(self.expression_names)), np.float32)
        for row, named in zip(result, rows, strict=True):
            for name, value in named.items():
                columns, share = self._columns(name)
                row[columns] += share * value
        return result

    def _columns(self, name: str) -> tuple[list[int], float]:
        """Columns of the weights that a name stands for, and its share in them."""
        own = self.expression_names
        found = [i for i, known in enumerate(own) if known in (name, f"{name}_L", f"{name}_R")]
        whole = name[:-2] if name.endswith(("_L", "_R")) else name
        if not found and whole in own:
            return [own.index(whole)], 0.5
        if not found and name not in MODES and f"{name}_L" not in MODES:
            raise MienError(f"No action unit is called {name!r}.{nearest(name, own)}")
        return found, 1.0

    def vertices(
        self,
        identity: Float[np.ndarray, "n identities"] | None = None,
        action_units: Float[np.ndarray, "n units"] | None = None,
        *,
        jaw_rad: Float[np.ndarray, "n 2"] | None = None,
        gaze_rad: Float[np.ndarray, "n 2 2"] | None = None,
    ) -> Float[np.ndarray, "n vertices 3"]:
        """Vertices, metres, head frame. jaw_rad: opening and turn to the person's left, beside AU26/27. gaze_rad: of
        the left and the right eye, yaw (to the person's left) and pitch (up). What is left out is zero.
        """
        given = [a for a in (identity, action_units, jaw_rad, gaze_rad) if a is not None]
        n = len(given[0]) if given else 1
        moved = self._linear(identity, self.identity, "identity coefficients", n)
        points = self.template + moved
        units = np.zeros((n, len(self.expression)), np.float32) if action_units is None else np.asarray(action_units)
        if units.shape == (n, len(self.expression)):
            units = self._one_blink(units)
        points = points + self._linear(units, self.expression, "action units", n, but=self._lids())
        self._open_jaw(points, units, jaw_rad)
        for k, eye in enumerate(self.eyes.values()):
            gaze = np.zeros((n, 2), np.float32) if gaze_rad is None else np.asarray(gaze_rad, np.float32)[:, k]
            eye.pose(points, self._closure(units, "LR"[k]), moved[:, eye.ball[0]], gaze)
        return points.astype(np.float32)

    def landmarks(self, vertices: Float[np.ndarray, "n vertices 3"]) -> Float[np.ndarray, "n 68 3"]:
        """The 68 landmarks of each face."""
        corners = vertices[:, self.triangles[self.landmark_triangles]]
        return np.einsum("lc,nlcd->nld", self.landmark_weights, corners)

    def _linear(
        self, weights: np.ndarray | None, modes: np.ndarray, what: str, n: int, *, but: Sequence[int] = ()
    ) -> np.ndarray:
        """Weights times modes, those at the places `but` left out."""
        if weights is None:
            return np.zeros((n, *self.template.shape), np.float32)
        weights = np.asarray(weights, np.float32)
        if weights.shape != (n, len(modes)):
            raise MienError(f"This face takes {what} [{n}, {len(modes)}]; got {list(weights.shape)}.")
        if len(but):
            weights = weights.copy()
            weights[:, but] = 0
        return (weights @ modes.reshape(len(modes), -1)).reshape(n, *self.template.shape)

    def _lids(self) -> list[int]:
        """Units that `eyes` do instead of linear modes."""
        return [i for i, name in enumerate(self.expression_names) if self.eyes and name.split("_")[0] in LIDS]

    def _one_blink(self, units: np.ndarray) -> np.ndarray:
        """Weights with the larger of AU43 and AU45 on each side alone: lids close once."""
        result = units.copy()
        for side in "LR":
            columns = [i for i, name in enumerate(self.expression_names) if name in {f"{lid}_{side}" for lid in LIDS}]
            if len(columns) > 1:
                result[:, columns] = 0
                result[:, columns[0]] = units[:, columns].max(1)
        return result

    def _closure(self, units: np.ndarray, side: str) -> np.ndarray:
        """How far the lids of that side close, 0..1."""
        names = {f"{lid}_{side}" for lid in LIDS}
        columns = [i for i, name in enumerate(self.expression_names) if name in names]
        return units[:, columns].max(1, initial=0.0)

    def _open_jaw(self, points: np.ndarray, units: np.ndarray, jaw_rad: np.ndarray | None) -> None:
        """Turns every vertex about the jaw's joint by its share of the jaw's angle, in place."""
        if not self.jaw_weights.any():
            return
        opening, aside = np.zeros((2, len(units)), np.float32) if jaw_rad is None else np.asarray(jaw_rad, np.float32).T
        places = [self.expression_names.index(name) for name in JAW_RAD]
        opened = units[:, places].astype(np.float32) @ np.array(list(JAW_RAD.values()), np.float32)
        opening = opening + np.minimum(opened, np.float32(JAW_MOST_RAD))
        hung = np.nonzero(self.jaw_weights)[0]
        for angles, (a, b) in ((opening, (1, 2)), (aside, (2, 0))):
            if angles.any():
                turn = angles[:, None] * self.jaw_weights[hung]
                c, s = np.cos(turn), np.sin(turn)
                p, q = (points[:, hung, axis] - self.jaw_joint[axis] for axis in (a, b))
                points[:, hung, a] = c * p - s * q + self.jaw_joint[a]
                points[:, hung, b] = s * p + c * q + self.jaw_joint[b]
