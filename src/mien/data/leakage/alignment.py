"""Lays one face picture on another: shifts and scales of a few pixels, by least squares. No search over a grid.

A cropped copy differs from its original by a small shift and a small change of width and height. To first order a
picture changes by such a move along four directions, its tangents (Simard, LeCun and Denker, NIPS 1992). Two uses:

similarity   of a fingerprint's code to all moved versions of a picture at once, from its code and the codes of its
             tangents: finds candidates without opening a picture again.
aligned      the pixels of two pictures laid upon one another: Lucas and Kanade's iteration, inverse compositional
             (Baker and Matthews, IJCV 2004), with gain and offset free, so that brightness does not count.
"""

from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Float, UInt8

SIDE = 48
SPREAD_PX = 3.0  # usual size of each of the four moves, in pixels of 48, at the picture's edge
NOISE = 0.15  # usual distance of the codes of two copies, where a code has length 1
_MARGIN = SIDE // 8  # left out on every side: what a crop of the other picture may lack
_INNER = SIDE - 2 * _MARGIN
_CENTRE = (SIDE - 1) / 2
_FARTHEST_PX = 8.0
_STEP_PX = 2.0  # of one iteration
_ITERATIONS = 4
_SETTLED_PX = 0.05


class Move(NamedTuple):
    """Where a point of one picture lies in the other, in pixels of 48: shift, and growth at the edge."""

    x: float = 0.0
    y: float = 0.0
    width: float = 0.0
    height: float = 0.0

    def after(self, step: np.ndarray) -> "Move":
        """This move, after a small one (x, y, width, height), within limits."""
        step = np.clip(step, -_STEP_PX, _STEP_PX)
        scale = np.array([self.width, self.height] * 2) / (SIDE / 2) + 1
        return Move(*np.clip(np.array(self) + scale * step, -_FARTHEST_PX, _FARTHEST_PX).tolist())

    def matrix(self, *, margin: int = 0) -> Float[np.ndarray, "2 3"]:
        """For cv2.warpAffine with WARP_INVERSE_MAP, of the part inside the margin."""
        scale = np.array([self.width, self.height]) / (SIDE / 2) + 1
        offset = np.array([self.x, self.y]) + _CENTRE + scale * (margin - _CENTRE)
        return np.array([[scale[0], 0, offset[0]], [0, scale[1], offset[1]]])


def moved(
    picture: UInt8[np.ndarray, "48 48"] | Float[np.ndarray, "48 48"], move: Move, *, margin: int = 0
) -> np.ndarray:
    """The picture as the other one shows it, [48 - 2 margin, 48 - 2 margin]; beyond its edge the edge is repeated."""
    side = SIDE - 2 * margin
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(
        picture, move.matrix(margin=margin), (side, side), flags=flags, borderMode=cv2.BORDER_REPLICATE
    )


def tangents(pictures: Float[np.ndarray, "pictures side side"]) -> Float[np.ndarray, "pictures 4 side side"]:
    """The change of each picture by a move of one pixel (of 48): x, y, and width and height at the edge."""
    side = pictures.shape[-1]
    across = np.gradient(pictures, axis=2) * (side / SIDE)
    down = np.gradient(pictures, axis=1) * (side / SIDE)
    place = ((np.arange(side) - (side - 1) / 2) / (side / 2)).astype(np.float32)
    return np.stack([across, down, across * place, down * place[:, None]], axis=1)


def move_bases(
    codes: Float[np.ndarray, "pictures 32"], changes: Float[np.ndarray, "pictures 4 32"]
) -> Float[np.ndarray, "pictures 32 5"]:
    """Bases in which the length of another unit code is its similarity to the moved versions of each picture.

    codes: of length 1, or 0 for a blank picture. changes: of the tangents, on the same scale. Large moves cost: ridge
    regression with SPREAD_PX and NOISE.
    """
    rows = np.concatenate([codes[:, None], changes], axis=1)
    cost = np.diag([1e-6, *[(NOISE / SPREAD_PX) ** 2] * 4])
    inverse = np.linalg.inv(rows @ rows.transpose(0, 2, 1) + cost)
    return (rows.transpose(0, 2, 1) @ np.linalg.cholesky(inverse)).astype(np.float32)


def code_step(code: np.ndarray, change: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The move (x, y, width, height) that brings a picture's code [32] nearest to the wanted one, by its tangents'."""
    rows = np.concatenate([code[None], change])
    cost = np.diag([1e-6, *[(NOISE / SPREAD_PX) ** 2] * 4])
    found = np.linalg.solve(rows @ rows.T + cost, rows @ wanted)
    return np.asarray(found[1:] / max(float(found[0]), 0.2))


class Template:
    """The middle of a picture, ready to be found in others."""

    def __init__(self, grey: UInt8[np.ndarray, "48 48"]) -> None:
        self.soft = soft(grey)
        self.tone, self.detail = _inner(tone(grey)), _inner(detail(grey))
        rows = np.concatenate([self.soft[None], np.ones((1, SIDE, SIDE)), tangents(self.soft[None])[0]])
        basis = np.stack([_inner(row).ravel() for row in rows])
        gram = basis @ basis.T
        gram[np.arange(6), np.arange(6)] *= (1.0, 1.0, 1.02, 1.02, 1.02, 1.02)
        self._inverse = np.linalg.solve(gram + 1e-3 * np.eye(6), basis)

    def find(self, other: Float[np.ndarray, "48 48"]) -> Move:
        """The move that lays the template on the other picture (`soft` of it)."""
        move = Move()
        for _ in range(_ITERATIONS):
            gain, _, *step = self._inverse @ moved(other, move, margin=_MARGIN).ravel()
            if abs(gain) < 0.05:
                break
            change = -np.array(step) / gain
            move = move.after(change)
            if np.abs(change).max() < _SETTLED_PX:
                break
        return move


def aligned(first: Template, other: UInt8[np.ndarray, "48 48"]) -> tuple[float, float]:
    """(detail, tone): correlations -1..1 of the template with the other picture in their best alignment."""
    parts = _parts(other.tobytes())
    move = first.find(parts[0])
    return tuple(  # type: ignore[return-value]
        correlation(own, moved(part, move, margin=_MARGIN))
        for own, part in ((first.detail, parts[1]), (first.tone, parts[2]))
    )


@lru_cache(maxsize=2048)
def _parts(content: bytes) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    grey = np.frombuffer(content, np.uint8).reshape(SIDE, SIDE)
    return soft(grey), detail(grey), tone(grey)


def soft(grey: UInt8[np.ndarray, "48 48"]) -> Float[np.ndarray, "48 48"]:
    """Blurred, so that a move of a few pixels is still linear."""
    return np.asarray(cv2.GaussianBlur(grey.astype(np.float32), (0, 0), 1.5))


def tone(grey: UInt8[np.ndarray, "48 48"]) -> Float[np.ndarray, "48 48"]:
    """The grey values, without the noise of single pixels."""
    return np.asarray(cv2.GaussianBlur(grey.astype(np.float32), (0, 0), 1))


def detail(grey: UInt8[np.ndarray, "48 48"]) -> Float[np.ndarray, "48 48"]:
    """What a blur takes away, divided by the contrast around it: hair against a wall counts no more than an eye."""
    pixels = grey.astype(np.float32)
    fine = cv2.GaussianBlur(pixels, (0, 0), 0.7) - cv2.GaussianBlur(pixels, (0, 0), 3)
    return np.asarray(fine / (np.sqrt(cv2.GaussianBlur(fine * fine, (0, 0), 4)) + 4))


def correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Pearson's, of all values; 0 where one of them has none."""
    first, second = first - first.mean(), second - second.mean()
    scale = float(np.sqrt((first * first).sum() * (second * second).sum()))
    return float((first * second).sum()) / scale if scale > 1e-6 else 0.0


def _inner(picture: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(picture[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN])
