"""Mtcnn: a picture to the boxes and five points of its faces.

Zhang et al., IEEE SPL 23(10), 2016, section II, with the settings of pSp's `mtcnn_pytorch`, which ReStyle and
HyperStyle measure identity with. Two faults of that code are corrected; `legacy` keeps them:
- P-Net's softmax runs over a row of windows (see `PNet`).
- Cutting a square out at the picture's edge shortens the box that offsets and points are then measured in, though the
  network saw the whole square.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import nn

from mien.nn.mtcnn.boxes import Boxes, cut_out, kept, regressed, scaled, squares, visible, within
from mien.nn.mtcnn.networks import ONet, PNet, RNet

WINDOW, STRIDE = 12, 2  # of P-Net
_BATCH = 256  # boxes through a network at once


@dataclass(frozen=True)
class CascadeOptions:
    """Settings of the search; the defaults are those of pSp's code."""

    min_face: float = 20.0
    """Side of the smallest face in pixels."""
    factor: float = 0.707
    """Of a size of the pyramid to the next smaller one."""
    thresholds: tuple[float, float, float] = (0.15, 0.25, 0.35)
    """Scores above which P-Net, R-Net and O-Net keep a box."""
    overlaps: tuple[float, float, float, float] = (0.5, 0.7, 0.7, 0.7)
    """Above which the worse of two boxes goes: P-Net at one size, at all sizes, R-Net (of the union), O-Net (of the
    smaller area)."""
    legacy: bool = False
    """Whether the faults of pSp's code are kept."""


@dataclass(frozen=True, eq=False)
class Faces:
    """Faces of a picture, the best score first."""

    boxes: Float[np.ndarray, "faces 4"]
    """Edges x0, y0, x1, y1."""
    scores: Float[np.ndarray, " faces"]
    """0..1, O-Net's."""
    landmarks_px: Float[np.ndarray, "faces 5 2"]
    """Eyes, nose tip, corners of the mouth, the person's right first; centres of pixels are whole numbers."""


class Mtcnn(nn.Module):
    """The cascade. Always in eval mode."""

    def __init__(self, pnet: PNet, rnet: RNet, onet: ONet, options: CascadeOptions | None = None) -> None:
        super().__init__()
        self.options = options or CascadeOptions()
        self.pnet, self.rnet, self.onet = pnet, rnet, onet
        self.eval().requires_grad_(False)

    @torch.inference_mode()
    def forward(self, pixels: UInt8[np.ndarray, "height width 3"]) -> Faces:
        """Faces of RGB pixels."""
        options = self.options
        boxes = self._proposed(pixels)
        boxes, scores, offsets = self._confirmed(self.rnet, pixels, boxes, 24, options.thresholds[1])
        best = kept(boxes, scores, most=options.overlaps[2])
        boxes = squares(regressed(boxes[best], offsets[best]))
        boxes, scores, offsets, points = self._confirmed(self.onet, pixels, boxes, 48, options.thresholds[2])
        points = boxes[:, None, :2] + points * (boxes[:, 2:] - boxes[:, :2])[:, None]
        boxes = regressed(boxes, offsets)
        best = kept(boxes, scores, most=options.overlaps[3], over="smaller")
        return Faces(boxes[best], scores[best], points[best])

    def _proposed(self, pixels: np.ndarray) -> Boxes:
        """Squares around the windows that P-Net scores as faces, of all sizes of the picture."""
        overlaps, found = self.options.overlaps, [np.empty((0, 9))]
        for scale in pyramid(pixels.shape[0], pixels.shape[1], self.options):
            windows = self._windows(pixels, scale)
            found.append(windows[kept(windows[:, :4], windows[:, 4], most=overlaps[0])])
        windows = np.concatenate(found)
        windows = windows[kept(windows[:, :4], windows[:, 4], most=overlaps[1])]
        return squares(regressed(windows[:, :4], windows[:, 5:]))

    def _windows(self, pixels: np.ndarray, scale: float) -> Float[np.ndarray, "windows 9"]:
        """Of one size of the picture: the box in whole pixels of the picture, score, offsets."""
        height, width = pixels.shape[:2]
        small = scaled(pixels, (math.ceil(width * scale), math.ceil(height * scale)))
        scores, offsets = (found[0].numpy() for found in self.pnet(torch.from_numpy(small)[None]))
        rows, columns = np.nonzero(scores > self.options.thresholds[0])
        corners = STRIDE * np.stack([columns, rows], axis=1) + 1.0
        low, high = np.round(corners / scale), np.round((corners + WINDOW) / scale) + 1
        return np.concatenate([low, high, scores[rows, columns, None], offsets[:, rows, columns].T], axis=1)

    def _confirmed(
        self, network: nn.Module, pixels: np.ndarray, boxes: Boxes, size: int, threshold: float
    ) -> list[np.ndarray]:
        """The squares that the network scores above the threshold, their scores, and its other outputs."""
        height, width = pixels.shape[:2]
        boxes = boxes[visible(boxes, height, width)]
        batches = [
            network(torch.from_numpy(cut_out(pixels, boxes[start : start + _BATCH], size)))
            for start in range(0, max(len(boxes), 1), _BATCH)
        ]
        scores, *others = (torch.cat(outputs).numpy() for outputs in zip(*batches, strict=True))
        if self.options.legacy:
            boxes = within(boxes, height, width)
        return [values[scores > threshold] for values in (boxes, scores, *others)]


def pyramid(height: int, width: int, options: CascadeOptions) -> list[float]:
    """Factors to reduce a picture by: the smallest face fills P-Net's window at the first, the picture at the last."""
    scale, factors = WINDOW / options.min_face, list[float]()
    shorter = min(height, width) * scale
    while shorter > WINDOW:
        factors.append(scale * options.factor ** len(factors))
        shorter *= options.factor
    return factors
