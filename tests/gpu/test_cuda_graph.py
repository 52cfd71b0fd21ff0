"""Passes replayed as CUDA graphs, and what is refused. test_numbers.py compares them with the usual passes."""

from pathlib import Path
from typing import Any

import pytest

from mien.__main__ import main
from mien.core.errors import MienError

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")
from mien.nn.cuda_graph import GraphedNetwork  # noqa: E402
from small_systems import fit_words  # noqa: E402


@pytest.fixture(autouse=True)
def on_a_gpu(device: str) -> None:
    if device == "cpu":
        pytest.skip("records CUDA graphs")


class Twice(torch.nn.Module):
    def __init__(self, *, waits: bool = False) -> None:
        super().__init__()
        self.linear, self.waits = torch.nn.Linear(3, 2), waits

    def forward(self, x: Any) -> dict[str, Any]:
        found = self.linear(x)
        return {"scaled": found * float(found.max()) if self.waits else found, "fixed": found.detach() + 1}


def test_gradients_are_those_of_the_last_call(device: str) -> None:
    network, x = Twice().to(device), torch.ones(4, 3, device=device)
    graphed = GraphedNetwork(network, (x,))
    found = graphed(2 * x)
    found["scaled"].sum().backward()
    assert torch.allclose(network.linear.weight.grad, torch.full((2, 3), 8.0, device=device))
    assert not found["fixed"].requires_grad and torch.allclose(found["fixed"], found["scaled"] + 1)
    assert not graphed.fits((x[:3],)) and graphed.fits((x,))
    first, _ = graphed(x), graphed(3 * x)
    with pytest.raises(MienError, match="calls its network twice"):
        first["scaled"].sum().backward()


def test_a_network_that_waits_for_the_gpu_is_refused(device: str) -> None:
    network, x = Twice(waits=True).to(device), torch.ones(4, 3, device=device)
    with pytest.raises(MienError, match="cannot be recorded"):
        GraphedNetwork(network, (x,))
    assert bool((network(x)["scaled"]).isfinite().all())  # the device goes on


def test_a_run_by_command(device: str, tmp_path: Path) -> None:
    """With workers, pinned memory and a last batch that is smaller."""
    from mien.data.replicas import write_drawn

    root = write_drawn(tmp_path / "drawn", faces=35, size=40, layout="drawn", test_share=0.4)
    more = {"trainer.device": device, "trainer.precision": "bf16", "trainer.cuda_graph": "true", "trainer.epochs": 2,
            "data.leaks": "ignore", "data.workers": 1, "data.batch_size": 8, "optim.ema": 0.9}  # fmt: skip
    assert main(["fit", *fit_words("poster_v2", root, tmp_path / "run", **more)]) == 0
    words = ["--resume", "true", "--trainer.epochs", "3"]
    assert main(["fit", "--output", str(tmp_path / "run"), *words]) == 0
