"""Triangle meshes as files: Wavefront OBJ, and binary glTF (GLB) with normals. Metres, y up, z to the viewer."""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from mien.media.files import atomic_path, write_text

Vertices = Float[np.ndarray, "vertices 3"]
Triangles = Int[np.ndarray, "triangles 3"]
_FLOAT, _UINT = 5126, 5125  # glTF's component types
_POINTS, _INDICES = 34962, 34963  # and buffer targets


def write_obj(path: Path, vertices: Vertices, triangles: Triangles, *, note: str = "") -> None:
    """note: a comment in the first line."""
    lines = [f"# {' '.join(note.split())}"] if note else []
    lines += [f"v {x:.6f} {y:.6f} {z:.6f}" for x, y, z in vertices.tolist()]
    lines += [f"f {a} {b} {c}" for a, b, c in (triangles + 1).tolist()]
    write_text(path, "\n".join(lines) + "\n")


def write_glb(path: Path, vertices: Vertices, triangles: Triangles, *, normals: Vertices, note: str = "") -> None:
    """note: stands as the asset's copyright."""
    arrays = [vertices.astype("<f4"), normals.astype("<f4"), triangles.astype("<u4").ravel()]
    views, offset = [], 0
    for array, target in zip(arrays, (_POINTS, _POINTS, _INDICES), strict=True):
        views.append({"buffer": 0, "byteOffset": offset, "byteLength": array.nbytes, "target": target})
        offset += array.nbytes
    content: dict[str, Any] = {
        "asset": {"version": "2.0", "generator": "mien"} | ({"copyright": note} if note else {}),
        "scene": 0, "scenes": [{"nodes": [0]}], "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0, "NORMAL": 1}, "indices": 2}]}],
        "accessors": [
            _accessor(0, arrays[0], "VEC3") | {"min": vertices.min(0).tolist(), "max": vertices.max(0).tolist()},
            _accessor(1, arrays[1], "VEC3"), _accessor(2, arrays[2], "SCALAR"),
        ],
        "bufferViews": views, "buffers": [{"byteLength": offset}],
    }  # fmt: skip
    text = json.dumps(content, separators=(",", ":")).encode()
    chunks = [(b"JSON", text + b" " * (-len(text) % 4)), (b"BIN\0", b"".join(array.tobytes() for array in arrays))]
    body = b"".join(struct.pack("<I", len(data)) + kind + data for kind, data in chunks)
    with atomic_path(path) as temporary:
        temporary.write_bytes(struct.pack("<4sII", b"glTF", 2, 12 + len(body)) + body)


def _accessor(view: int, array: np.ndarray, kind: str) -> dict[str, Any]:
    component = _UINT if array.dtype.kind == "u" else _FLOAT
    return {"bufferView": view, "componentType": component, "count": len(array), "type": kind}
