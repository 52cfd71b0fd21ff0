"""IFER and ASIT give the numbers of the released implementation, from its names and shapes."""

import sys
from pathlib import Path

import pytest
import torch

from mien.nn.ranger import Ranger

sys.path.insert(0, str(Path(__file__).parent))
from case import Case

pytestmark = pytest.mark.usefixtures("device")


def test_ranger():
    case = Case("ifer", "ranger")
    weight, bias = (torch.nn.Parameter(case.input(name)) for name in ("weight", "bias"))
    optimizer, trajectory = Ranger([weight, bias], lr=1e-2), []
    for i in range(20):
        weight.grad, bias.grad = case.input(f"weight_grad{i}"), case.input(f"bias_grad{i}")
        optimizer.step()
        trajectory.append(torch.cat([p.detach().flatten() for p in (weight, bias)]))
    case.check("trajectory", torch.stack(trajectory))
