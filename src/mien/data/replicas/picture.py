"""Pictures and tables as a replica needs them."""

import csv
import io
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mien.core.errors import MienError
from mien.data.readers.matlab import import_scipy_io


def write_picture(path: Path, pixels: np.ndarray) -> None:
    """RGB or grey, in the format of the suffix; JPEG at quality 92, TIFF without compression. Makes the folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # imwrite cannot open every name that the system can; bytes can be written under any.
    path.write_bytes(encoded(pixels, path.suffix))


def encoded(pixels: np.ndarray, suffix: str) -> bytes:
    """The content of a picture file, as `write_picture` writes it."""
    bgr = np.ascontiguousarray(pixels[..., ::-1]) if pixels.ndim == 3 else pixels
    options = {
        ".jpg": [cv2.IMWRITE_JPEG_QUALITY, 92],
        ".tiff": [cv2.IMWRITE_TIFF_COMPRESSION, 1],
    }.get(suffix.lower(), [])
    done, content = cv2.imencode(suffix.lower(), bgr, options)
    if not done:
        raise MienError(f"Cannot encode a picture as {suffix}.")
    return bytes(content.tobytes())


def write_tar(path: Path, files: Mapping[str, bytes]) -> None:
    """Without compression, the same bytes on every machine. Makes the folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


def write_mat(path: Path, variables: Mapping[str, Any]) -> None:
    """A packed `.mat` of MATLAB 5: arrays, text, `cells`, dicts (structs). The same bytes at any time."""
    file = io.BytesIO()
    import_scipy_io("Writing .mat files").savemat(file, dict(variables), do_compression=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"MATLAB 5.0 MAT-file".ljust(124) + file.getvalue()[124:])  # SciPy's own head holds the date


def cells(values: Sequence[Any], *, column: bool = False) -> np.ndarray:
    """A cell array for `write_mat`: one row, or one column."""
    array = np.empty(len(values), object)
    array[:] = values
    return array[:, None] if column else array[None]


def grey(pixels: np.ndarray, size: tuple[int, int] | None = None) -> np.ndarray:
    """One channel, and with `size` (height, width) resized."""
    if size is not None:
        pixels = cv2.resize(pixels, size[::-1], interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)


def in_scene(pixels: np.ndarray, size: tuple[int, int], *, at: tuple[int, int] | None = None) -> np.ndarray:
    """The picture in a larger one of `size` (height, width) at `at` (x, y), else in the middle.

    What is left and right of it goes on with the colours of its sides, what is below with its last row; edges are soft.
    """
    (height, width), (rows, columns) = size, pixels.shape[:2]
    x, y = at or middle(pixels, size)
    sides = pixels[: rows // 2, [0, -1]].mean(0).astype(np.float32)  # at the sides of the upper half nobody stands
    slope = np.linspace(0, 1, width, dtype=np.float32)[:, None]
    scene = np.repeat((sides[0] + (sides[1] - sides[0]) * slope)[None], height, axis=0)
    below = height - y - rows
    tall = cv2.copyMakeBorder(pixels, 0, below, 0, 0, cv2.BORDER_REPLICATE).astype(np.float32)
    if below:
        tall[rows:] = cv2.GaussianBlur(tall, (0, 0), 0.02 * rows)[rows:]
    opaque = _soft_edges(rows + below, columns, width=max(2, rows // 16))[..., None]
    place = scene[y:, x : x + columns]
    scene[y:, x : x + columns] = place + (tall - place) * opaque
    return scene.clip(0, 255).astype(np.uint8)


def _soft_edges(rows: int, columns: int, *, width: int) -> np.ndarray:
    """float32 [rows, columns]: 1 inside, falling to 0 over `width` pixels at the upper, left and right edge."""
    across = np.minimum(np.arange(columns), np.arange(columns)[::-1])
    return np.clip(np.minimum(across[None], np.arange(rows)[:, None]) / width, 0, 1).astype(np.float32)


def middle(pixels: np.ndarray, size: tuple[int, int]) -> tuple[int, int]:
    """Where (x, y) the picture begins in the middle of a larger one of `size` (height, width)."""
    return (size[1] - pixels.shape[1]) // 2, (size[0] - pixels.shape[0]) // 2


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """UTF-8 text with \\n at the end of each line. Makes the folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")


def write_rows(path: Path, rows: Iterable[Sequence[object]]) -> None:
    """A CSV. Makes the folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
