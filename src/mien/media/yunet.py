"""YuNet on ONNX Runtime: faces at any angle, small ones too, each with five points.

Wu, Peng and Yu, YuNet: A Tiny Millisecond-level Face Detector, Machine Intelligence Research 2023. The network is
OpenCV's file of March 2023, known by its SHA-256; the decoding is ours. The file is the user's own: `mien weights fetch
yunet` puts it into the cache folder.
"""

from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from mien.core.errors import MienError
from mien.core.geometry import non_maximum_suppression
from mien.media.files import cache_folder, sha256_of

FILE = "face_detection_yunet_2023mar.onnx"
SHA256 = "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4"
SIZE = 232_589
LICENCE = "MIT (OpenCV's model zoo)"
STRIDES = (8, 16, 32)
_FIXED, _FREE = b"\x0a\x03\x08\x80\x05", (b"\x0a\x03\x12\x01h", b"\x0a\x03\x12\x01w")  # a dimension: 640, a name
_OVERLAP = 0.3  # intersection over union from which two boxes are one face, as OpenCV has it
_MOST = 5000  # cells that are looked at, the best first


def fetched_file() -> Path | None:
    """Where `mien weights fetch yunet` puts the file; None for a user without a home."""
    folder = cache_folder()
    return None if folder is None else folder / "weights" / FILE


def weight_file(given: Path | str | None) -> Path:
    """The file that was given, or the fetched one. Raises MienError where there is none."""
    if given is not None:
        return Path(given)
    path = fetched_file()
    if path is None or not path.is_file():
        raise MienError(
            "The detector yunet needs its weights, which do not come with mien: `mien weights fetch yunet` gets them "
            f"once; or name the file, --detector-weights {FILE} (OpenCV's model zoo)."
        )
    return path


class YuNet:
    """The network: RGB pixels to boxes, points and scores, in these pixels. For several threads."""

    def __init__(self, file: Path, *, threads: int | None = None) -> None:
        self._session = _session(str(file), _checked(file), threads)

    def __call__(
        self, pixels: UInt8[np.ndarray, "height width 3"], *, min_score: float
    ) -> tuple[Float[np.ndarray, "faces 4"], Float[np.ndarray, "faces 5 2"], Float[np.ndarray, " faces"]]:
        """Boxes (x0, y0, x1, y1) and points in edge coordinates, the best score first, doubles left out."""
        height, width = pixels.shape[:2]
        below, right = -height % STRIDES[-1], -width % STRIDES[-1]
        padded = cv2.copyMakeBorder(pixels, 0, below, 0, right, cv2.BORDER_CONSTANT) if below or right else pixels
        given = np.ascontiguousarray(padded[..., ::-1].transpose(2, 0, 1)[None], np.float32)
        found = dict(zip(_outputs(), self._session.run(list(_outputs()), {"input": given}), strict=True))
        parts = [self._decoded(found, stride, padded.shape[1] // stride, min_score) for stride in STRIDES]
        boxes, points, scores = (np.concatenate(values) for values in zip(*parts, strict=True))
        best = np.argsort(-scores, kind="stable")[:_MOST]
        kept = best[non_maximum_suppression(boxes[best], scores[best], most=_OVERLAP)]
        return boxes[kept], points[kept], scores[kept]

    @staticmethod
    def _decoded(
        found: dict[str, np.ndarray], stride: int, columns: int, min_score: float
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """A cell states its face's centre and points from its own corner, and the logarithm of its size, in strides."""
        kind = {name: found[f"{name}_{stride}"][0] for name in ("cls", "obj", "bbox", "kps")}
        scores = np.sqrt(np.clip(kind["cls"][:, 0], 0, 1) * np.clip(kind["obj"][:, 0], 0, 1))
        cells = np.flatnonzero(scores >= min_score)
        corner = np.stack([cells % columns, cells // columns], axis=1)
        box = kind["bbox"][cells]
        centre, size = (corner + box[:, :2]) * stride, np.exp(np.minimum(box[:, 2:], 10)) * stride
        points = (corner[:, None] + kind["kps"][cells].reshape(-1, 5, 2)) * stride
        return np.concatenate([centre - size / 2, centre + size / 2], axis=1), points, scores[cells]


@cache
def _outputs() -> tuple[str, ...]:
    return tuple(f"{name}_{stride}" for name in ("cls", "obj", "bbox", "kps") for stride in STRIDES)


def _checked(file: Path) -> str:
    """The file's SHA-256. Raises MienError for a file that is missing, or not this network."""
    if not file.is_file():
        raise MienError(f"{file}: no such file. `mien weights fetch yunet` gets YuNet's {FILE}.")
    found = sha256_of(file) if file.stat().st_size == SIZE else "another size"
    if found != SHA256:
        raise MienError(
            f"{file}: not OpenCV's YuNet of March 2023 (SHA-256 {SHA256[:12]}; got {found[:12]}). `mien weights fetch "
            "yunet` gets it."
        )
    return found


@cache
def _session(file: str, _: str, threads: int | None) -> Any:
    """The network for pictures of any size: its file says 640 x 640, in two fields that become names."""
    import onnxruntime

    content = Path(file).read_bytes()
    for free in _FREE:
        content = content.replace(_FIXED, free, 1)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # the outputs' stated sizes are those of 640 x 640
    # Else its threads go on spinning after a search, on the cores that the networks want then.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    if threads is not None:
        options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
