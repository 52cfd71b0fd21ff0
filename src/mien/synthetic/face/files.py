"""A user's own 3D face model: an npz of the light ICT-FaceKit layout becomes a FaceModel.

Arrays: neutral [V, 3], identity [K, V, 3], expression [E, V, 3], expression_names [E] (ARKit's names with _L, _R),
triangles [F, 3], landmarks68 [68]; uv [U, 2] with uv_triangles [F, 3] if there are. Any unit: the outer eye corners say
which. Lids and jaw are the file's own linear shapes. The file has no eyeballs, teeth or regions of hair, so the model
has shape and landmarks and cannot be rendered as a person.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from mien.core.errors import MienError, nearest
from mien.nn.files.numpy_files import read_npz
from mien.synthetic.face.model import FaceModel
from mien.synthetic.face.template import ADULT_METRES

# ARKit's shapes by the action units they come closest to, each with its share.
ARKIT: dict[str, dict[str, float]] = {
    "AU1": {"browInnerUp": 1.0}, "AU2": {"browOuterUp": 1.0}, "AU4": {"browDown": 1.0}, "AU5": {"eyeWide": 1.0},
    "AU6": {"cheekSquint": 1.0}, "AU7": {"eyeSquint": 1.0}, "AU9": {"noseSneer": 1.0}, "AU10": {"mouthUpperUp": 1.0},
    "AU12": {"mouthSmile": 1.0}, "AU14": {"mouthDimple": 1.0}, "AU15": {"mouthFrown": 1.0},
    "AU16": {"mouthLowerDown": 1.0}, "AU17": {"mouthShrugLower": 1.0}, "AU18": {"mouthPucker": 1.0},
    "AU20": {"mouthStretch": 1.0}, "AU22": {"mouthFunnel": 1.0}, "AU23": {"mouthRollUpper": 0.4, "mouthRollLower": 0.4},
    "AU24": {"mouthPress": 1.0}, "AU25": {"mouthLowerDown": 0.6, "mouthUpperUp": 0.2},
    "AU26": {"jawOpen": 0.42}, "AU27": {"jawOpen": 1.0}, "AU28": {"mouthRollUpper": 1.0, "mouthRollLower": 1.0},
    "AU34": {"cheekPuff": 1.0}, "AU43": {"eyeBlink": 1.0}, "AU45": {"eyeBlink": 1.0},
}  # fmt: skip
_ALIKE = 3  # vertices at one place, as where lips touch
_NEEDED = {"neutral": 2, "identity": 3, "expression": 3, "expression_names": 1, "triangles": 2, "landmarks68": 1}


def load_face_model(path: str | Path) -> FaceModel:
    """The model in that npz, metres, origin midway between the outer eye corners. MienError for what is not one."""
    path = Path(path)
    arrays = _read(path)
    neutral = arrays["neutral"].astype(np.float64)
    eyes = neutral[arrays["landmarks68"][[36, 45]]]
    scale = ADULT_METRES / float(np.linalg.norm(eyes[1] - eyes[0]))
    names, expression = _action_units(arrays, path)
    index, weights = _embedding(arrays["triangles"].astype(np.int32), arrays["landmarks68"].astype(int), path)
    template = (neutral - eyes.mean(0)) * scale
    return FaceModel(
        template=template.astype(np.float32),
        triangles=arrays["triangles"].astype(np.int32),
        uv=_uv(arrays),
        identity=(arrays["identity"].astype(np.float32) * np.float32(scale)),
        identity_names=tuple(f"identity_{i}" for i in range(len(arrays["identity"]))),
        expression=expression * np.float32(scale),
        expression_names=names,
        landmark_triangles=index,
        landmark_weights=weights,
        mirror=mirror_of(template),
        regions={"skin": np.arange(len(template))},
        jaw_weights=np.zeros(len(template), np.float32),
    )


def _read(path: Path) -> dict[str, np.ndarray]:
    if not path.is_file():
        raise MienError(f"No face model at {path}. Expected an npz of the ICT-FaceKit layout; see docs/synthetic.md.")
    arrays = read_npz(path)
    for name, dimensions in _NEEDED.items():
        if name not in arrays:
            raise MienError(f"{path}: no array {name!r}. A face model has {', '.join(_NEEDED)}.{nearest(name, arrays)}")
        if arrays[name].ndim != dimensions:
            raise MienError(f"{path}: {name} has shape {list(arrays[name].shape)}; expected {dimensions} dimensions.")
    _check_shapes(arrays, path)
    return arrays


def _check_shapes(arrays: Mapping[str, np.ndarray], path: Path) -> None:
    count = len(arrays["neutral"])
    for name in ("identity", "expression"):
        if arrays[name].shape[1:] != (count, 3):
            raise MienError(
                f"{path}: {name} is {list(arrays[name].shape)}; expected [modes, {count}, 3] as neutral has."
            )
    if len(arrays["expression_names"]) != len(arrays["expression"]):
        raise MienError(f"{path}: {len(arrays['expression'])} expressions, {len(arrays['expression_names'])} names.")
    if arrays["landmarks68"].shape != (68,):
        raise MienError(f"{path}: landmarks68 has {len(arrays['landmarks68'])} entries; expected 68 vertex indices.")
    for name in ("triangles", "landmarks68"):
        if arrays[name].size and not 0 <= arrays[name].min() <= arrays[name].max() < count:
            raise MienError(f"{path}: {name} points outside the {count} vertices.")
    if not all(np.isfinite(arrays[name]).all() for name in ("neutral", "identity", "expression")):
        raise MienError(f"{path}: it has values that are not finite numbers.")


def _action_units(arrays: Mapping[str, np.ndarray], path: Path) -> tuple[tuple[str, ...], np.ndarray]:
    """Our units as mixtures of the file's shapes, sided where the file's are."""
    shapes = dict(zip((str(name) for name in arrays["expression_names"]), arrays["expression"], strict=True))
    names, modes = [], []
    for unit, parts in ARKIT.items():
        for side in ("_L", "_R", ""):
            found = [(share, shapes[f"{part}{side}"]) for part, share in parts.items() if f"{part}{side}" in shapes]
            if found:
                names.append(f"{unit}{side}")
                modes.append(sum(np.float32(share) * shape.astype(np.float32) for share, shape in found))
    if not names:
        first = next(iter(shapes), "none")
        raise MienError(f"{path}: no expression has an ARKit name such as mouthSmile_L; the first is {first}.")
    return tuple(names), np.stack([np.asarray(mode) for mode in modes])


def _embedding(triangles: np.ndarray, vertices: np.ndarray, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Each landmark vertex as a corner of one of its triangles."""
    index, weights = np.zeros(68, np.int32), np.zeros((68, 3), np.float32)
    for i, vertex in enumerate(vertices):
        rows = np.nonzero((triangles == vertex).any(1))[0]
        if not len(rows):
            raise MienError(f"{path}: landmark {i} is vertex {vertex}, which no triangle has.")
        index[i], weights[i] = rows[0], triangles[rows[0]] == vertex
    return index, weights


def _uv(arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """One texture place per vertex (of several at a seam, the last), v down; a frontal projection if there is none."""
    if "uv" not in arrays or "uv_triangles" not in arrays:
        flat = arrays["neutral"][:, :2] * (1, -1)
        return ((flat - flat.min(0)) / np.ptp(flat, axis=0)).astype(np.float32)
    uv = np.zeros((len(arrays["neutral"]), 2), np.float32)
    uv[arrays["triangles"].astype(int)] = arrays["uv"][arrays["uv_triangles"].astype(int)]
    uv[:, 1] = 1 - uv[:, 1]
    return np.clip(uv, 0, 1)  # some files lay what is not face on further tiles


def mirror_of(points: Float[np.ndarray, "vertices 3"], *, within: float = 2e-4) -> Int[np.ndarray, " vertices"]:
    """Index of the vertex nearest to each one's mirror image, itself where none is within that many metres."""
    cells, images = np.floor(points / within).astype(np.int64), points * (-1, 1, 1)
    low, span = cells.min(0) - 2, np.ptp(cells, axis=0) + 5

    def keys(cells: np.ndarray) -> np.ndarray:
        a, b, c = np.clip(cells - low, 0, span - 1).T
        return np.asarray((a * span[1] + b) * span[2] + c)

    order = np.argsort(keys(cells), kind="stable")
    known = keys(cells)[order]
    mirror, best = np.arange(len(points)), np.full(len(points), within)
    looked = np.floor(images / within).astype(np.int64)
    for step in np.stack(np.meshgrid(*[(0, -1, 1)] * 3), -1).reshape(-1, 3):
        at = np.searchsorted(known, keys(looked + step))
        for more in range(_ALIKE):
            candidate = order[np.minimum(at + more, len(order) - 1)]
            away = np.linalg.norm(points[candidate] - images, axis=1)
            better = away < best
            mirror[better], best[better] = candidate[better], away[better]
    return mirror
