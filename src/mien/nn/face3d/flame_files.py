"""The user's own files of FLAME (2020, 2023) and what goes with them, read into a Face3D; nothing is unpickled.

Model: `generic_model.pkl`, `flame2023.pkl`, or the same arrays as .npz or .safetensors. Landmarks:
`landmark_embedding.npy` (68 points), as FLAME's users pass it on. Eyelids: SMIRK's `l_eyelid.npy` and `r_eyelid.npy`.
Masks: `FLAME_masks.pkl`. No torch: reading faces uses this too.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from mien.core.errors import MienError, one_line
from mien.core.face3d import JOINTS, Face3D
from mien.nn.files.array_pickles import read_arrays
from mien.nn.files.numpy_files import read_npy, read_npz

NEEDED = ("f", "v_template", "shapedirs", "posedirs", "J_regressor", "kintree_table", "weights")
SHAPES, EXPRESSIONS = 300, 100  # of FLAME 2019, 2020 and 2023
POINTS, INNER, CONTOUR = 68, 51, 17


@dataclass(frozen=True)
class FlameFiles:
    """Paths of one face."""

    model: Path
    """The model."""
    landmarks: Path | None = None
    """The 68 landmarks' embedding."""
    left_lid: Path | None = None
    """The displacement that closes the left eye."""
    right_lid: Path | None = None
    """The displacement that closes the right eye."""
    masks: Path | None = None
    """Vertices of the face's parts, of which `face` is rendered."""


def read_flame(files: FlameFiles, *, name: str, licence: str) -> Face3D:
    """Raises MienError, one line, for files that are missing, of another version, or do not fit together."""
    arrays = _model_arrays(files.model)
    template, triangles = arrays["v_template"], arrays["f"].astype(np.int64)
    embedding = None if files.landmarks is None else read_landmarks(files.landmarks, triangles=len(triangles))
    lids = [_lid(path, vertices=len(template)) for path in (files.left_lid, files.right_lid)]
    directions = arrays["shapedirs"].astype(np.float32)
    return Face3D(
        name=name, licence=licence, template=template.astype(np.float32), triangles=triangles,
        shapes=np.ascontiguousarray(directions[..., :SHAPES]),
        expressions=np.ascontiguousarray(directions[..., SHAPES:]),
        pose_directions=np.ascontiguousarray(arrays["posedirs"].reshape(-1, 36).T.astype(np.float32)),
        joint_regressor=arrays["J_regressor"].astype(np.float32), skinning=arrays["weights"].astype(np.float32),
        landmark_triangles=None if embedding is None else embedding[0],
        landmark_weights=None if embedding is None else embedding[1],
        shown=None if files.masks is None else _shown(files.masks, triangles), parents=_parents(arrays, files.model),
        left_lid=lids[0], right_lid=lids[1],
    )  # fmt: skip


def read_landmarks(path: Path, *, triangles: int) -> tuple[Int[np.ndarray, "68"], Float[np.ndarray, "68 3"]]:
    """Triangle and barycentric weights of each of the 68 landmarks, of a face with that many triangles.

    The contour is that of the face seen from the front where the file has no fixed one. Raises MienError for
    MediaPipe's 105 points, for other contents, and for an embedding on another mesh.
    """
    held = _named_arrays(path)
    if "lmk_face_idx" in held:
        raise MienError(f"{path} embeds MediaPipe's points; the 68 landmarks are needed (landmark_embedding.npy).")
    index, weights = _sixty_eight(held, path)
    if (index.shape, weights.shape) != ((POINTS,), (POINTS, 3)):
        raise MienError(f"{path}: expected {POINTS} points with 3 weights each; got {index.shape} and {weights.shape}.")
    if index.min() < 0 or index.max() >= triangles:
        raise MienError(
            f"{path} names triangle {int(index.max())}, and the face has {triangles:,}: it belongs to another mesh."
        )
    return index.astype(np.int64), weights.astype(np.float32)


def _sixty_eight(held: Mapping[str, Any], path: Path) -> tuple[np.ndarray, np.ndarray]:
    names = ("full_lmk_faces_idx", "full_lmk_bary_coords")
    if all(name in held for name in names):
        return np.asarray(held[names[0]]).reshape(-1), np.asarray(held[names[1]]).reshape(-1, 3)
    parts = {part: [f"{part}_lmk_{what}" for what in ("faces_idx", "bary_coords")] for part in ("dynamic", "static")}
    if missing := [name for pair in parts.values() for name in pair if name not in held]:
        raise MienError(f"{path}: no {missing[0]!r}. An embedding of 68 landmarks has {', '.join(names)}.")
    front = [np.asarray(held[name])[0] for name in parts["dynamic"]]  # the row for a yaw of 0
    inner = [np.asarray(held[name]) for name in parts["static"]]
    return np.concatenate([front[0], inner[0]]), np.concatenate([front[1], inner[1]])


def _model_arrays(path: Path) -> dict[str, np.ndarray]:
    held = _named_arrays(path)
    if missing := [name for name in NEEDED if name not in held]:
        has = ", ".join(sorted(held)[:8]) or "nothing"
        raise MienError(f"{path}: no {missing[0]!r}, so it is no FLAME model. It has {has}.")
    arrays: dict[str, np.ndarray] = {}
    for name in NEEDED:
        if not isinstance(held[name], np.ndarray) or not np.isfinite(np.asarray(held[name], float)).all():
            raise MienError(f"{path}: {name} is no array of finite numbers.")
        arrays[name] = held[name]
    _check_shapes(arrays, path)
    return arrays


def _check_shapes(arrays: Mapping[str, np.ndarray], path: Path) -> None:
    joints = arrays["kintree_table"].shape[-1]
    if joints != JOINTS:
        raise MienError(f"{path}: {joints} joints where FLAME has {JOINTS}. Is it a model of the body (SMPL)?")
    count = len(arrays["v_template"])
    directions = arrays["shapedirs"].shape[-1]
    if directions != SHAPES + EXPRESSIONS:
        raise MienError(
            f"{path}: {directions} shape directions where FLAME 2019 to 2023 have {SHAPES} of shape and {EXPRESSIONS} "
            "of expression: another version."
        )
    wanted = {
        "v_template": (count, 3), "shapedirs": (count, 3, directions), "posedirs": (count, 3, 36),
        "J_regressor": (JOINTS, count), "weights": (count, JOINTS), "f": (len(arrays["f"]), 3),
    }  # fmt: skip
    for name, shape in wanted.items():
        if arrays[name].shape != shape:
            raise MienError(f"{path}: {name} is {list(arrays[name].shape)}; {count} vertices ask for {list(shape)}.")
    if arrays["f"].size == 0 or arrays["f"].min() < 0 or arrays["f"].max() >= count:
        raise MienError(f"{path}: a triangle names a vertex beyond the {count}.")


def _parents(arrays: Mapping[str, np.ndarray], path: Path) -> tuple[int, ...]:
    row = arrays["kintree_table"].reshape(-1, JOINTS)[0].astype(np.int64)
    parents = (-1, *(int(parent) for parent in row[1:]))
    if any(not 0 <= parent < joint for joint, parent in enumerate(parents[1:], 1)):
        raise MienError(f"{path}: kintree_table names {list(parents)} as parents; each joint must follow its parent.")
    return parents


def _lid(path: Path | None, *, vertices: int) -> Float[np.ndarray, "vertices 3"] | None:
    if path is None:
        return None
    found = _plain_array(path)
    if found.reshape(-1).shape != (3 * vertices,):
        raise MienError(f"{path}: an eyelid of {list(found.shape)}; the face has {vertices} vertices.")
    return found.reshape(vertices, 3).astype(np.float32)


def _shown(path: Path, triangles: np.ndarray) -> np.ndarray:
    """The triangles whose corners all lie in the mask `face`."""
    held = _named_arrays(path)
    if "face" not in held:
        raise MienError(f"{path}: no mask 'face'. It has {', '.join(sorted(held)[:8]) or 'nothing'}.")
    shown = triangles[np.isin(triangles, np.asarray(held["face"])).all(1)]
    if not len(shown):
        raise MienError(f"{path}: the mask 'face' holds no triangle of this mesh.")
    return shown


def _named_arrays(path: Path) -> dict[str, Any]:
    """Arrays by name of a .npz, a .safetensors, or a pickled dict."""
    if not path.is_file():
        raise MienError(f"No file at {path}.")
    if path.suffix == ".npz":
        return read_npz(path)
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            return dict(load_file(path))
        except SafetensorError as error:
            raise MienError(f"{path}: damaged or not a safetensors file ({one_line(error)[:120]}).") from error
    return read_arrays(path)


def _plain_array(path: Path) -> np.ndarray:
    if not path.is_file():
        raise MienError(f"No file at {path}.")
    found = read_npy(path)
    if found.dtype.kind not in "fiu":
        raise MienError(f"{path}: not a .npy of plain numbers.")
    return found
