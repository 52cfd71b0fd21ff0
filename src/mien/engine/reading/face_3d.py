"""A face's points in three dimensions, as files: OBJ for other programs, a page that turns them for a person.

The page is one file: its picture is inside it, its script is our own and short, and nothing is fetched.
"""

import base64
import io
import math
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mien.core.landmarks import SCHEME_68, edges
from mien.core.records import FacePoints
from mien.media.files import write_text
from mien.report.page import render
from mien.runtime.pose import rotation_of

PHOTO_SIDE = 720  # pixels, of the picture inside a page
AROUND = 0.35  # of the points' size, what is shown around them


def write_obj(path: Path, face: FacePoints, *, model: str) -> None:
    """Wavefront OBJ: a vertex for each point, x to the right, y up, z towards the viewer, in pixels of the picture;
    lines along jaw, brows, eyes, nose and lips, each region a group."""
    assert face.depth_px is not None
    lines = [
        f"# 68 points of a face, predicted by mien with {model}",
        "# unit: pixels of the picture; y up, z to the viewer",
    ]
    for (x, y), z in zip(face.landmarks_px, face.depth_px, strict=True):
        lines.append(f"v {x:.3f} {-y:.3f} {z:.3f}")
    for name, indices in SCHEME_68.regions.items():
        lines.append(f"g {name}")
        lines += [f"l {a + 1} {b + 1}" for a, b in edges() if a in indices]
    write_text(path, "\n".join(lines) + "\n")


def write_page(path: Path, photo: np.ndarray, face: FacePoints, *, name: str, model: str) -> None:
    """photo: the picture with the points drawn, RGB, of the face alone."""
    page = render(
        "face_3d.html", title=name, subtitle=f"{describe_pose(face)} Predicted by {model}.", photo=_jpeg(photo),
        face=_plain(face), confidence=face.confidence is not None, visibility=face.visible is not None,
    )  # fmt: skip
    write_text(path, page)


def describe_pose(face: FacePoints) -> str:
    """`The head is turned 12° to the viewer's right, 3° up and tilted 2° clockwise.`"""
    if face.pose_rad is None:
        return "The head's turn is not known."
    pitch, yaw, roll = (round(math.degrees(angle)) for angle in face.pose_rad)
    across, up = "right" if yaw >= 0 else "left", "up" if pitch >= 0 else "down"
    turned = f"{abs(yaw)}° to the viewer's {across}, {abs(pitch)}° {up}"
    return f"The head is turned {turned} and tilted {abs(roll)}° {'counter' if roll < 0 else ''}clockwise."


def _plain(face: FacePoints) -> dict[str, Any]:
    assert face.depth_px is not None
    region = {i: name.replace("_", " ") for name, indices in SCHEME_68.regions.items() for i in indices}
    flip = np.diag([1.0, -1.0, 1.0])  # the page's y points down
    rotation = rotation_of(*face.pose_rad) if face.pose_rad else np.eye(3)
    solid = np.column_stack([face.landmarks_px, face.depth_px])
    return {
        "points": np.round(solid, 2).tolist(),
        "edges": edges(),
        "regions": [region[i] for i in range(68)],
        "frontal": np.round(flip @ rotation.T @ flip, 6).tolist(),
        "confidence": None if face.confidence is None else np.round(face.confidence, 3).tolist(),
        "visible": None if face.visible is None else np.round(face.visible, 3).tolist(),
    }


def _jpeg(photo: np.ndarray) -> str:
    """Base64 of the photo as JPEG, at most PHOTO_SIDE pixels on a side."""
    image = Image.fromarray(photo)
    image.thumbnail((PHOTO_SIDE, PHOTO_SIDE))
    encoded = io.BytesIO()
    image.save(encoded, format="JPEG", quality=88)
    return base64.b64encode(encoded.getvalue()).decode()
