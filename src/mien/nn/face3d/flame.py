"""FLAME's layer: parameters of shape, expression and pose to the vertices and landmarks of a face.

Li et al., Learning a model of facial shape and expression from 4D scans, SIGGRAPH Asia 2017: linear blend skinning over
five joints (root, neck, jaw, both eyes) with blend shapes of identity, expression and pose. Any model of that
arrangement runs here, of any number of vertices, shapes and expressions; `synthetic` and users bring them.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from mien.core.face3d import JOINTS, Face3D

Vertices = Float[Tensor, "batch vertices 3"]
ROOT = 0
# Head rotation that stands for "no pose" in the released demonstrations: a three-quarter view.
ZERO_POSE = (0.2, -0.7, 0.0)
CONTOUR_POINTS, CONTOUR_LIMIT_DEG = 17, 39


@dataclass(frozen=True, eq=False)
class Embedding:
    """Points on a mesh that move with it: in which triangle each lies, and where in it."""

    triangles: Int[Tensor, "*table points"]
    """Index of the triangle of each point; a table has one row for each view."""
    barycentric: Float[Tensor, "*table points 3"]
    """Weights of the triangle's corners."""


@dataclass(frozen=True, eq=False)
class FlameModel:
    """A face model in FLAME's arrangement, as its file holds it."""

    template: Float[Tensor, "vertices 3"]
    """Vertices of the mean face, metres; x to the person's left, y up, z to the front."""
    triangles: Int[Tensor, "triangles 3"]
    """Vertex indices, counter-clockwise as seen from outside."""
    shapes: Float[Tensor, "vertices 3 shapes"]
    """Displacement of each vertex by a unit of each identity parameter."""
    expressions: Float[Tensor, "vertices 3 expressions"]
    """Displacement by a unit of each expression parameter."""
    pose_directions: Float[Tensor, "36 coordinates"]
    """Displacement by each entry of R - I of the four joints after the root; coordinates: x, y, z of each vertex."""
    joint_regressor: Float[Tensor, "5 vertices"]
    """Weights of the vertices for the place of each joint."""
    skinning: Float[Tensor, "vertices 5"]
    """Share that each vertex has in the motion of each joint."""
    parents: tuple[int, ...] = (-1, 0, 1, 1, 1)
    """The joint that each joint hangs on; -1 for the root."""
    left_lid: Float[Tensor, "vertices 3"] | None = None
    """Displacement that closes the left eye; none where the model has no lids of its own."""
    right_lid: Float[Tensor, "vertices 3"] | None = None
    """Displacement that closes the right eye."""
    lids_before_pose: bool = False
    """Lids close in the frame of the head; False adds them after skinning, as SMIRK was trained."""


def rotation_matrices(axis_angle: Float[Tensor, "*many 3"]) -> Float[Tensor, "*many 3 3"]:
    """Rodrigues' formula; the angle is the vector's length in radians. Differentiable at zero."""
    # ONNX's optimiser takes adding 1e-8 for adding nothing: the bound keeps an exported zero from dividing by zero.
    angle = (axis_angle + 1e-8).norm(dim=-1, keepdim=True).clamp(min=1e-12)
    x, y, z = (axis_angle / angle).unbind(-1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).unflatten(-1, (3, 3))
    sine, cosine = angle.sin()[..., None], angle.cos()[..., None]
    return torch.eye(3, dtype=x.dtype, device=x.device) + sine * cross + (1 - cosine) * (cross @ cross)


def on_triangles(
    vertices: Vertices, triangles: Int[Tensor, "triangles 3"], embedding: Embedding
) -> Float[Tensor, "batch points 3"]:
    """The embedded points. A table of embeddings must have a row for each sample."""
    corners = triangles[embedding.triangles]  # [points, 3] or [batch, points, 3]
    if corners.ndim == 2:
        found = vertices[:, corners]
    else:
        batch = torch.arange(len(vertices), device=vertices.device)[:, None, None]
        found = vertices[batch, corners]
    return (found * embedding.barycentric[..., None]).sum(-2)


class Flame(nn.Module):
    """Parameters to vertices [batch, vertices, 3] in the model's unit. Buffers only: nothing is trained."""

    template: Tensor
    triangles: Tensor
    shapes: Tensor
    expressions: Tensor
    pose_directions: Tensor
    joint_regressor: Tensor
    skinning: Tensor
    left_lid: Tensor | None
    right_lid: Tensor | None

    def __init__(self, model: FlameModel) -> None:
        super().__init__()
        self.parents, self.lids_before_pose = model.parents, model.lids_before_pose
        tensors = {
            "template": model.template, "triangles": model.triangles, "shapes": model.shapes,
            "expressions": model.expressions, "pose_directions": model.pose_directions,
            "joint_regressor": model.joint_regressor, "skinning": model.skinning, "left_lid": model.left_lid,
            "right_lid": model.right_lid,
        }  # fmt: skip
        for name, value in tensors.items():
            self.register_buffer(name, value, persistent=False)

    def forward(
        self, shape: Float[Tensor, "batch s"], expression: Float[Tensor, "batch e"], pose: Float[Tensor, "batch 3"],
        jaw: Float[Tensor, "batch 3"], lids: Float[Tensor, "batch 2"] | None = None, *,
        neck: Float[Tensor, "batch 3"] | None = None, eyes: Float[Tensor, "batch 6"] | None = None,
    ) -> Vertices:  # fmt: skip
        """pose: rotation of the head as axis times angle in radians; jaw, neck and eyes alike, relative to it. lids:
        how far the left and the right eye are closed, 0..1.

        Fewer parameters of shape or expression than the model has stand for zeros.
        """
        neck = torch.zeros_like(pose) if neck is None else neck
        eyes = torch.zeros_like(pose).repeat(1, 2) if eyes is None else eyes
        rotations = rotation_matrices(torch.cat([pose, neck, jaw, eyes], dim=1).unflatten(1, (JOINTS, 3)))
        shaped = self.template + _displaced(self.shapes, shape) + _displaced(self.expressions, expression)
        joints = torch.einsum("jv,bvc->bjc", self.joint_regressor, shaped)
        bends = (rotations[:, 1:] - torch.eye(3, dtype=pose.dtype, device=pose.device)).flatten(1)
        posed = shaped + (bends @ self.pose_directions).unflatten(1, (-1, 3))
        if self.lids_before_pose:
            return self._skinned(posed + self._closed(lids), joints, rotations)
        # After skinning, as SMIRK was trained: the offset does not turn with the head.
        return self._skinned(posed, joints, rotations) + self._closed(lids)

    def _closed(self, lids: Tensor | None) -> Tensor | float:
        """Displacement of the vertices by the lids."""
        if lids is None or self.left_lid is None or self.right_lid is None:
            return 0.0
        return lids[:, 1, None, None] * self.right_lid + lids[:, 0, None, None] * self.left_lid

    def _skinned(
        self, posed: Vertices, joints: Float[Tensor, "batch 5 3"], rotations: Float[Tensor, "batch 5 3 3"]
    ) -> Vertices:
        turned, places = [rotations[:, ROOT]], [joints[:, ROOT]]
        for joint, parent in enumerate(self.parents[1:], 1):
            turned.append(turned[parent] @ rotations[:, joint])
            step = (turned[parent] @ (joints[:, joint] - joints[:, parent])[..., None])[..., 0]
            places.append(places[parent] + step)
        turn, place = torch.stack(turned, 1), torch.stack(places, 1)
        shift = place - (turn @ joints[..., None])[..., 0]
        by_vertex = torch.einsum("vj,bjrc->bvrc", self.skinning, turn)
        return (by_vertex @ posed[..., None])[..., 0] + torch.einsum("vj,bjc->bvc", self.skinning, shift)


def flame_model(face: Face3D) -> FlameModel:
    """The arrays of a 3D face as tensors, float32."""
    arrays = {
        "template": face.template, "shapes": face.shapes, "expressions": face.expressions,
        "pose_directions": face.pose_directions, "joint_regressor": face.joint_regressor, "skinning": face.skinning,
    }  # fmt: skip
    left, right = (
        None if lid is None else torch.from_numpy(np.array(lid, np.float32)) for lid in (face.left_lid, face.right_lid)
    )
    return FlameModel(
        triangles=torch.from_numpy(face.triangles.astype(np.int64)), parents=face.parents,
        lids_before_pose=face.lids_before_pose, left_lid=left, right_lid=right,
        **{name: torch.from_numpy(np.array(value, np.float32)) for name, value in arrays.items()},
    )  # fmt: skip


def landmark_model(face: Face3D) -> tuple[FlameModel, Embedding]:
    """`face.landmarks_only` as tensors, and the 68 landmarks on it. Raises MienError where there is no embedding."""
    small = face.landmarks_only()
    assert small.landmark_weights is not None
    weights = torch.from_numpy(np.array(small.landmark_weights, np.float32))
    return flame_model(small), Embedding(torch.arange(len(weights)), weights)


def _displaced(directions: Float[Tensor, "vertices 3 n"], parameters: Float[Tensor, "batch m"]) -> Vertices:
    """The first m directions, each times its parameter."""
    return torch.einsum("bm,vcm->bvc", parameters, directions[..., : parameters.shape[1]])


def contour_row(pose: Float[Tensor, "batch 3"], neck: Float[Tensor, "batch 3"] | None = None) -> Int[Tensor, " batch"]:
    """The row of a contour table for each head: 0..39 for that many degrees of yaw to one side, 40..78 to the other.

    The outline of a turned face is made of other points of the skin; the table says which.
    """
    rotation = rotation_matrices(pose)
    if neck is not None:
        rotation = rotation @ rotation_matrices(neck)
    yaw = torch.atan2(-rotation[:, 2, 0], rotation[:, :2, 0].norm(dim=1)) * (180 / torch.pi)
    degrees = yaw.clamp(max=CONTOUR_LIMIT_DEG).round().long()
    return torch.where(degrees < 0, CONTOUR_LIMIT_DEG - degrees.clamp(min=-CONTOUR_LIMIT_DEG), degrees)


def landmarks_68(
    vertices: Vertices, triangles: Int[Tensor, "triangles 3"], *, contours: Embedding, inner: Embedding,
    pose: Float[Tensor, "batch 3"], neck: Float[Tensor, "batch 3"] | None = None,
) -> Float[Tensor, "batch 68 3"]:  # fmt: skip
    """17 points of the contour, as seen with that pose, and the 51 inner points."""
    row = contour_row(pose, neck)
    visible = Embedding(contours.triangles[row], contours.barycentric[row])
    return torch.cat(
        [on_triangles(vertices, triangles, visible), on_triangles(vertices, triangles, inner)], dim=1
    )  # fmt: skip
