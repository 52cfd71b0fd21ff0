"""A parity case: weights and inputs that anyone can draw again (fill.py), and what the published code gives for them.

How a case is laid out, drawn and judged is in the docstring of fill.py and in each case's meta.json.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
import fill  # noqa: E402


class Case:
    """`Case("poster", "ir50")` is the folder poster/ir50; every tolerance is the one that the case states.

    device: where weights and inputs are drawn to; the fixture `device` sets it.
    """

    device = "cpu"

    def __init__(self, system, name):
        self.folder = HERE / system / name
        self.meta = json.loads((self.folder / "meta.json").read_text())
        self.want = np.load(self.folder / "case.npz")

    def weights(self, salt=""):
        return {k: torch.from_numpy(v).to(self.device) for k, v in fill.state_dict(self.folder, salt).items()}

    def input(self, name):
        draw = self.meta["inputs"][name]
        make = fill.picture if draw.get("kind") == "picture" else fill.inputs
        return torch.from_numpy(make(name, draw["shape"], draw["low"], draw["high"])).to(self.device)

    def stored(self, name):
        """An array of the case as a tensor."""
        return torch.from_numpy(self.want[name]).to(self.device)

    def check(self, name, got):
        out, want = self.meta["outputs"][name], self.want[name].ravel()
        assert list(got.shape) == out["shape"], name
        got = got.detach()
        got = np.asarray(got.cpu() if isinstance(got, torch.Tensor) else got).ravel()[:: out["stride"]]
        limit = out.get("tolerance", self.meta["tolerance"]) * abs(want).max() + out.get("atol", 0)
        close = abs(got - want) <= limit
        assert close.mean() >= out.get("share", 1), f"{name}: off by {abs(got - want).max():.2e}, allowed {limit:.2e}"
