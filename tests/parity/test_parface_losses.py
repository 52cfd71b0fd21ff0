"""Heat maps and losses of ParFace-Net in legacy mode give the numbers of the released implementation."""

import sys
from pathlib import Path

import numpy as np
import torch

from mien.nn import heatmaps

sys.path.insert(0, str(Path(__file__).parent))
from case import Case


def test_heatmap_targets():
    case = Case("parface", "heatmap_targets")
    points = torch.from_numpy(case.want["in_points"])[None]
    for sigma in (7, 9):
        maps = heatmaps.targets(points, size=128, sigma=sigma, legacy=True)[0]
        case.check(f"maps{sigma}", maps)
        if sigma == 7:
            seven = maps
        side = 5 * sigma
        middle = torch.full((1, 1, 2), 64.0)
        square = heatmaps.targets(middle, size=128, sigma=sigma, legacy=True)[0, 0]
        first = 64 - side // 2 - 1
        case.check(f"template{sigma}", square[first : first + side, first : first + side])
    case.check("first8_sum", seven[:8].sum((-2, -1)))
    case.check("peak", heatmaps._highest(seven[None])[0])
    case.check("blurred", heatmaps.blurred(seven[None]))
    case.check("points_blurred", 2 * heatmaps.decode(seven[None], legacy=True))
    case.check("points_raw", 2 * heatmaps.decode(seven[None], legacy=True, blur=False))
    case.check("confidence", heatmaps.peak_confidence(seven[None]))


def test_heatmap_decoding():
    case = Case("parface", "heatmap_decoding")
    coarse = case.input("coarse").repeat_interleave(16, -1).repeat_interleave(16, -2)
    maps = coarse + case.input("noise")
    case.check("blurred", heatmaps.blurred(maps))
    assert float(np.min(case.want["margin_blurred"])) > 1e-6
    case.check("points_blurred", 2 * heatmaps.decode(maps, legacy=True))
    case.check("points_raw", 2 * heatmaps.decode(maps, legacy=True, blur=False))
    case.check("confidence", heatmaps.peak_confidence(maps))
