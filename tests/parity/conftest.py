"""Parity cases run on the CPU, and again on a GPU where there is one (marked gpu), with the same tolerances."""

import sys
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
from case import Case


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request, monkeypatch):
    """Weights, inputs and new networks are on this device; products of float32 keep its precision."""
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    monkeypatch.setattr(Case, "device", request.param)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    with nullcontext() if request.param == "cpu" else torch.device(request.param):
        yield request.param
