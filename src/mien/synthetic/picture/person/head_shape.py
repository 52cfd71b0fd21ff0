"""The head's radius by direction: keeps hair and cloth outside."""

import cv2
import numpy as np

from mien.media.raster import looked_up

_GRID = (24, 48)  # latitudes, longitudes


class HeadShape:
    """The head's radius by direction from its middle, without the ears: keeps locks outside."""

    def __init__(self, head: np.ndarray) -> None:
        self.centre = np.array([0.0, 0.025, head[:, 2].min() * 0.42 + head[:, 2].max() * 0.58 - 0.03], np.float32)
        offset = head - self.centre
        radius = np.linalg.norm(offset, axis=1)
        row, column = self._place(offset)
        grid = np.zeros(_GRID, np.float32)
        np.maximum.at(
            grid, (np.round(row).astype(int).clip(0, _GRID[0] - 1), np.round(column).astype(int) % _GRID[1]), radius
        )
        wide = np.concatenate([grid[:, -6:], grid, grid[:, :6]], 1)
        known = (wide > 0).astype(np.float32)
        filled = wide
        for sigma in (0.6, 1.5, 4.0, 12.0):  # holes get the mean of what is near
            weight = cv2.GaussianBlur(known, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
            mean = cv2.GaussianBlur(wide, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE) / np.maximum(weight, 1e-6)
            filled = np.where((filled == 0) & (weight > 0.02), mean, filled)
        self.grid = cv2.GaussianBlur(filled, (0, 0), 0.7)

    def _place(self, offset: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        polar = np.arctan2(np.hypot(offset[..., 0], offset[..., 2]), offset[..., 1])
        turn = np.arctan2(offset[..., 0], offset[..., 2])
        return polar / np.pi * (_GRID[0] - 1), (turn / (2 * np.pi) + 0.5) * _GRID[1]

    def pushed_out(self, points: np.ndarray, margin: np.ndarray, most: np.ndarray | float = np.inf) -> np.ndarray:
        """Points moved along their direction to at least `margin` and at most `most` above the head."""
        offset = points - self.centre
        row, column = self._place(offset)
        wanted = looked_up(self.grid, np.stack([column + 6, row], -1).reshape(-1, 2).astype(np.float32))
        surface = wanted.reshape(row.shape)
        length = np.linalg.norm(offset, axis=-1)
        kept = np.clip(length, surface + margin, surface + np.maximum(most, margin))
        return (self.centre + offset * (kept / np.maximum(length, 1e-6))[..., None]).astype(np.float32)
