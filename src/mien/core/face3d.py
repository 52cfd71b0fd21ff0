"""Face3D: a 3D face in FLAME's arrangement as plain arrays, and its parameters to vertices without torch.

Li et al., Learning a model of facial shape and expression from 4D scans, SIGGRAPH Asia 2017. `nn.face3d.flame` computes
the same in torch, for training.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from mien.core.errors import MienError
from mien.core.geometry import Crop
from mien.core.typed import SameNumbers

JOINTS = 5  # root, neck, jaw, left eye, right eye
JAW = 2
SIDES = ("_right", "_left")
Rows = Float[np.ndarray, "n _"]
Vertices = Float[np.ndarray, "n vertices 3"]


@dataclass(frozen=True, eq=False)
class Face3D:
    """A face model: a mean face, and what shape, expression and pose do to it. Metres; x to the person's left, y up, z
    to the front."""

    name: str
    """As the registry of assets and the config of a system name it."""
    licence: str
    """In a few words; shown wherever the face is used."""
    template: Float[np.ndarray, "vertices 3"]
    """Vertices of the mean face."""
    triangles: Int[np.ndarray, "triangles 3"]
    """Vertex indices, counter-clockwise as seen from outside."""
    shapes: Float[np.ndarray, "vertices 3 shapes"]
    """Displacement of each vertex by a unit of each shape parameter; parameters ~ N(0, 1)."""
    expressions: Float[np.ndarray, "vertices 3 expressions"]
    """Displacement by a unit of each expression parameter."""
    pose_directions: Float[np.ndarray, "36 coordinates"]
    """Displacement by each entry of R - I of the four joints after the root; coordinates: x, y, z of each vertex."""
    joint_regressor: Float[np.ndarray, "5 vertices"]
    """Weights of the vertices for the place of each joint."""
    skinning: Float[np.ndarray, "vertices 5"]
    """Share that each vertex has in the motion of each joint."""
    landmark_triangles: Int[np.ndarray, "68"] | None = None
    """Triangle of each of the 68 landmarks; None where no embedding is known."""
    landmark_weights: Float[np.ndarray, "68 3"] | None = None
    """Barycentric weights in that triangle."""
    shown: Int[np.ndarray, "shown 3"] | None = None
    """The triangles of the face without eyeballs, scalp, ears and neck, which a render shows; None for all."""
    parents: tuple[int, ...] = (-1, 0, 1, 1, 1)
    """The joint that each joint hangs on; -1 for the root."""
    left_lid: Float[np.ndarray, "vertices 3"] | None = None
    """Displacement that closes the left eye."""
    right_lid: Float[np.ndarray, "vertices 3"] | None = None
    """Displacement that closes the right eye."""
    lids_before_pose: bool = False
    """Lids close in the frame of the head; False adds them after skinning, as SMIRK was trained with FLAME."""
    shape_names: tuple[str, ...] = ()
    """Of the shape parameters; empty where they are numbered components."""
    expression_names: tuple[str, ...] = ()
    """Of the expression parameters, such as AU12_L."""
    regions: tuple[tuple[str, Int[np.ndarray, " some"]], ...] = ()
    """Name and vertices of parts."""

    @property
    def shape_count(self) -> int:
        return self.shapes.shape[2]

    @property
    def expression_count(self) -> int:
        return self.expressions.shape[2]

    @property
    def render_triangles(self) -> Int[np.ndarray, "shown 3"]:
        """What a render shows."""
        return self.triangles if self.shown is None else self.shown

    def vertices(
        self, shape: Rows, expression: Rows, *, pose: Float[np.ndarray, "n 3"] | None = None,
        jaw: Float[np.ndarray, "n 3"] | None = None, lids: Float[np.ndarray, "n 2"] | None = None,
        neck: Float[np.ndarray, "n 3"] | None = None, eyes: Float[np.ndarray, "n 6"] | None = None,
    ) -> Vertices:  # fmt: skip
        """pose: rotation of the head as axis times angle in radians; jaw, neck and eyes alike, relative to it. lids:
        how far the left and the right eye are closed, 0..1. What is left out is zero; so are further parameters.

        Raises MienError for more parameters than the model has.
        """
        shaped = self.template + _displaced(self.shapes, shape, "shape")
        shaped = shaped + _displaced(self.expressions, expression, "expression")
        joints = np.matmul(self.joint_regressor.astype(np.float32), shaped)
        rotations, moved = self._rotations(len(shape), pose, neck, jaw, eyes), self._lids(lids, len(shape))
        if self.lids_before_pose:
            return self._posed(shaped + moved, joints, rotations)
        return self._posed(shaped, joints, rotations) + moved

    def landmarks(self, vertices: Vertices) -> Float[np.ndarray, "n 68 3"]:
        """The 68 landmarks. Raises MienError where the model has no embedding of them."""
        if self.landmark_triangles is None or self.landmark_weights is None:
            raise MienError(f"The 3D face {self.name} has no embedding of the 68 landmarks. Add one: mien assets add.")
        corners = vertices[:, self.triangles[self.landmark_triangles]]
        return np.einsum("lc,nlcd->nld", self.landmark_weights, corners).astype(np.float32)

    def landmarks_only(self) -> "Face3D":
        """The same model of the corners of the landmarks' triangles alone: the same 68 landmarks from some 200 vertices
        instead of thousands. The joints' places are its last five vertices.

        Raises MienError where the model has no embedding.
        """
        if self.landmark_triangles is None:
            raise MienError(f"The 3D face {self.name} has no embedding of the 68 landmarks. Add one: mien assets add.")
        kept, corners = np.unique(self.triangles[self.landmark_triangles], return_inverse=True)
        joints, count = self.joint_regressor, len(kept)

        def part(values: np.ndarray) -> np.ndarray:
            moved = np.tensordot(joints, values, 1)
            return np.concatenate([values[kept], moved]).astype(np.float32)

        bends = self.pose_directions.reshape(36, -1, 3)[:, kept]
        return replace(
            self, template=part(self.template), triangles=corners.reshape(-1, 3), shapes=part(self.shapes),
            expressions=part(self.expressions), shown=None, regions=(),
            landmark_triangles=np.arange(len(self.landmark_triangles)),
            pose_directions=np.concatenate([bends, np.zeros((36, JOINTS, 3), bends.dtype)], 1).reshape(36, -1),
            joint_regressor=np.eye(JOINTS, count + JOINTS, count, dtype=np.float32),
            skinning=np.concatenate([self.skinning[kept], np.eye(JOINTS, dtype=np.float32)]),
            left_lid=None if self.left_lid is None else part(self.left_lid),
            right_lid=None if self.right_lid is None else part(self.right_lid),
        )  # fmt: skip

    def _lids(self, lids: np.ndarray | None, count: int) -> np.ndarray:
        if lids is None or self.left_lid is None or self.right_lid is None:
            return np.zeros((count, 1, 1), np.float32)
        closed = np.asarray(lids, np.float32)
        return closed[:, :1, None] * self.left_lid + closed[:, 1:, None] * self.right_lid

    def _rotations(self, count: int, *joints: np.ndarray | None) -> Float[np.ndarray, "n 5 3 3"]:
        sizes = (3, 3, 3, 6)
        filled = [
            np.zeros((count, size)) if given is None else given for given, size in zip(joints, sizes, strict=True)
        ]
        return rotation_matrices(np.concatenate(filled, axis=1).reshape(count, JOINTS, 3))

    def _posed(
        self, shaped: Vertices, joints: Float[np.ndarray, "n 5 3"], rotations: Float[np.ndarray, "n 5 3 3"]
    ) -> Vertices:
        """Linear blend skinning, float32."""
        if self.pose_directions.any():
            bends = (rotations[:, 1:] - np.eye(3)).reshape(len(shaped), -1).astype(np.float32)
            shaped = shaped + (bends @ self.pose_directions).reshape(shaped.shape)
        turned, places = [rotations[:, 0]], [joints[:, 0]]
        for joint, parent in enumerate(self.parents[1:], 1):
            step = np.einsum("nij,nj->ni", turned[parent], joints[:, joint] - joints[:, parent])
            turned.append(turned[parent] @ rotations[:, joint])
            places.append(places[parent] + step)
        turn = np.stack(turned, 1).astype(np.float32)
        shift = (np.stack(places, 1) - np.einsum("njab,njb->nja", turn, joints)).astype(np.float32)
        matrices = np.concatenate([turn.reshape(len(shaped), JOINTS, 9), shift], axis=2)
        blended = np.matmul(self.skinning.astype(np.float32), matrices)  # [n, vertices, 12]
        turns = blended[..., :9].reshape(*blended.shape[:2], 3, 3)
        posed: np.ndarray = np.einsum("nvij,nvj->nvi", turns, shaped) + blended[..., 9:]
        return posed.astype(np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class FaceInCrop(SameNumbers):
    """One face as its photo shows it."""

    crop: Crop
    """Of the photo; upright."""
    camera: Float[np.ndarray, "3"]
    """Scale, and shift along x and y before it, into the crop (core.face3d.project)."""
    pose: Float[np.ndarray, "3"]
    """Rotation of the head, axis times angle in radians."""
    shape: Float[np.ndarray, " shapes"]
    """Identity."""
    expression: Float[np.ndarray, " expressions"]
    """Expression; of the open face, action units."""
    jaw: Float[np.ndarray, "3"]
    """Rotation of the jaw, axis times angle in radians; the first opens it."""
    lids: Float[np.ndarray, "2"]
    """How far the left and the right eye are closed, 0..1."""

    def vertices(self, face: Face3D, *, posed: bool = True) -> Float[np.ndarray, "vertices 3"]:
        """In metres; posed: with the head turned as in the photo."""
        pose = self.pose[None] if posed else None
        return face.vertices(
            self.shape[None], self.expression[None], pose=pose, jaw=self.jaw[None], lids=self.lids[None]
        )[0]

    def landmarks(
        self, face: Face3D, *, vertices: Float[np.ndarray, "vertices 3"] | None = None
    ) -> Float[np.ndarray, "68 2"]:
        """In pixels of the crop, pixel centres at whole numbers. vertices: posed, where they are known."""
        posed = self.vertices(face) if vertices is None else vertices
        return pixels_of(face.landmarks(posed[None])[0], self.camera, self.crop.size)[:, :2]

    def to_dict(self) -> dict[str, Any]:
        """Lists of numbers by name; the crop by its centre, sides and size in pixels of the photo."""
        values = {f.name: getattr(self, f.name).tolist() for f in fields(self) if f.name != "crop"}
        crop = {"centre": list(self.crop.centre), "sides": list(self.crop.sides), "size": self.crop.size}
        return {"crop": crop, **values}


def pixels_of(
    points: Float[np.ndarray, "points 3"], camera: Float[np.ndarray, "3"], size: int
) -> Float[np.ndarray, "points 3"]:
    """x, y in pixels of a crop of that side and z, smaller is nearer."""
    placed = project(points[None], np.asarray(camera, np.float32)[None])[0]
    return np.concatenate([(placed[:, :2] + 1) * (size / 2) - 0.5, placed[:, 2:]], axis=1).astype(np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Face3DReading(SameNumbers):
    """The 3D face of one face of a photo, as a model read it."""

    parameters: FaceInCrop
    """In FLAME's arrangement; the crop is in pixels of the photo."""
    action_units: dict[str, float]
    """Intensity 0..1 by name: AU12_right, AU12_left (the person's own sides), AU26; empty where the face has no
    expression modes with such names."""
    pose_rad: tuple[float, float, float]
    """Pitch (up), yaw (to the viewer's right), roll (clockwise as seen) of the head."""
    face: str
    """Name of the 3D face that the parameters are of."""
    model: str
    """What gave them: `system@weights`, or the landmark model that the face was fitted to."""

    @property
    def summary(self) -> str:
        """The three strongest action units, `AU12 0.71|0.65, AU6 0.40|0.42` (right and left); empty without any above
        0.1."""
        units: dict[str, list[float]] = {}
        for name, value in self.action_units.items():
            units.setdefault(name.rpartition("_")[0] if name.endswith(SIDES) else name, []).append(value)
        strong = sorted(units.items(), key=lambda unit: -max(unit[1]))[:3]
        return ", ".join(
            f"{name} {'|'.join(f'{v:.2f}' for v in values)}" for name, values in strong if max(values) > 0.1
        )

    def scaled(self, factor: float) -> "Face3DReading":
        """For the photo resized by that factor."""
        crop = self.parameters.crop
        (x, y), (width, height) = crop.centre, crop.sides
        moved = replace(crop, centre=(x * factor, y * factor), sides=(width * factor, height * factor))
        return replace(self, parameters=replace(self.parameters, crop=moved))

    def to_dict(self) -> dict[str, Any]:
        """Plain values that JSON takes."""
        own = {name: getattr(self, name) for name in ("action_units", "face", "model")}
        return {**own, "pose_rad": list(self.pose_rad), **self.parameters.to_dict()}


def rotation_matrices(axis_angle: Float[np.ndarray, "*many 3"]) -> Float[np.ndarray, "*many 3 3"]:
    """Rodrigues' formula; the angle is the vector's length in radians."""
    vectors = np.asarray(axis_angle, np.float64)
    angle = np.linalg.norm(vectors + 1e-8, axis=-1, keepdims=True)
    x, y, z = np.moveaxis(vectors / angle, -1, 0)
    zero = np.zeros_like(x)
    cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(*x.shape, 3, 3)
    sine, cosine = np.sin(angle)[..., None], np.cos(angle)[..., None]
    return np.eye(3) + sine * cross + (1 - cosine) * (cross @ cross)


def axis_angle_of(rotation: Float[np.ndarray, "3 3"]) -> Float[np.ndarray, "3"]:
    """Axis times angle in radians of a rotation by less than half a turn."""
    turned = np.array(
        [rotation[2, 1] - rotation[1, 2], rotation[0, 2] - rotation[2, 0], rotation[1, 0] - rotation[0, 1]]
    )
    sine, cosine = np.linalg.norm(turned) / 2, (np.trace(rotation) - 1) / 2
    return turned / 2 * (np.arctan2(sine, cosine) / sine if sine > 1e-9 else 1.0)


def project(
    points: Float[np.ndarray, "n points 3"], camera: Float[np.ndarray, "n 3"]
) -> Float[np.ndarray, "n points 3"]:
    """Weak perspective into the picture, -1..1: s (x + tx), -s (y + ty), -s z; y down, and smaller z is nearer."""
    scale, shift = camera[:, None, :1], camera[:, None, 1:]
    flat = scale * (points[..., :2] + shift)
    return np.concatenate([flat[..., :1], -flat[..., 1:], -scale * points[..., 2:]], axis=2)


def _displaced(directions: Float[np.ndarray, "vertices 3 some"], parameters: Rows, what: str) -> Vertices:
    count = parameters.shape[1]
    if count > directions.shape[2]:
        raise MienError(f"This 3D face has {directions.shape[2]} {what} parameters; got {count}.")
    used = directions[..., :count].reshape(3 * len(directions), count)
    return (np.asarray(parameters, np.float32) @ used.T).reshape(len(parameters), len(directions), 3)


def mirrored_names(names: Sequence[str]) -> Int[np.ndarray, " names"]:
    """For NAME_L the place of NAME_R and the other way; for every other name its own place."""
    place = {name: i for i, name in enumerate(names)}
    swapped = {"_L": "_R", "_R": "_L"}
    return np.array([place.get(name[:-2] + swapped.get(name[-2:], name[-2:]), i) for i, name in enumerate(names)])
