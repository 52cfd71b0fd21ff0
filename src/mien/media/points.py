"""Points in files: `.pts`, the text format of 300-W.

`.pts` is 1-based (the first pixel's centre is 1, 1). Sagonas et al., 300 Faces in-the-Wild, ICCV workshops 2013.
"""

from pathlib import Path

import numpy as np
from jaxtyping import Float

from mien.core.errors import MienError
from mien.media.files import write_text


def read_pts(path: Path) -> Float[np.ndarray, "points 2"]:
    """float32 [points, 2] with pixel centres at whole numbers from 0. Raises MienError for another format."""
    try:
        head, _, rest = path.read_text(encoding="utf-8-sig").partition("{")
        body, closed, _ = rest.partition("}")
        points = np.array(body.split(), np.float32).reshape(-1, 2) - 1
        declared = int(head.split("n_points:")[1].split()[0])
    except (OSError, ValueError, IndexError) as error:
        raise MienError(f"{path}: not a .pts file (version, n_points, then x y lines in braces).") from error
    if not closed or len(points) != declared:
        raise MienError(f"{path}: n_points says {declared}, but {len(points)} points stand in braces.")
    return points


def write_pts(path: Path | str, landmarks_px: Float[np.ndarray, "points 2"]) -> None:
    """The genuine text format, 1-based, six decimals; whole or not at all."""
    rows = "\n".join(f"{x + 1:.6f} {y + 1:.6f}" for x, y in landmarks_px)
    write_text(Path(path), f"version: 1\nn_points:  {len(landmarks_px)}\n{{\n{rows}\n}}\n")
