"""Puts our own FaceModel together: mesh, modes, jaw, eyes, landmarks; from inter-ocular units to metres."""

from dataclasses import replace
from functools import cache

import numpy as np

from mien.synthetic.face.action_fields import action_unit_modes
from mien.synthetic.face.eyes import eyes_of
from mien.synthetic.face.landmarks import landmark_embedding
from mien.synthetic.face.mesh import neutral_mesh
from mien.synthetic.face.model import FaceModel
from mien.synthetic.face.modes import identity_modes
from mien.synthetic.face.places import JAW_JOINT, Places
from mien.synthetic.face.template import ADULT_METRES


@cache
def face_model() -> FaceModel:
    """Our own face. Built once; the same arrays every time: do not write to them."""
    return build_face_model()


def build_face_model() -> FaceModel:
    """Our own face in metres, float32. About half a second."""
    mesh = neutral_mesh()
    places = Places(mesh)
    landmark_triangles, landmark_weights = landmark_embedding(mesh)
    identity_names, identity = identity_modes(places)
    expression_names, expression = action_unit_modes(places)
    model = FaceModel(
        template=_metres(mesh.points),
        triangles=np.concatenate(mesh.triangles).astype(np.int32),
        uv=mesh.uv.astype(np.float32),
        identity=_metres(identity),
        identity_names=identity_names,
        expression=_metres(expression),
        expression_names=expression_names,
        landmark_triangles=landmark_triangles,
        landmark_weights=landmark_weights.astype(np.float32),
        mirror=mesh.mirror,
        regions=mesh.regions,
        jaw_weights=places.jaw.astype(np.float32),
        jaw_joint=_metres(JAW_JOINT),
        eyes=eyes_of(mesh),
    )
    return replace(model, template=model.vertices()[0])  # with the lids laid on the eyeballs, as every face has them


def _metres(points: np.ndarray) -> np.ndarray:
    return (points * ADULT_METRES).astype(np.float32)
