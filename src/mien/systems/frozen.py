"""FrozenNetwork: an auxiliary network that a loss looks through. It is never trained and never saved."""

from pathlib import Path
from typing import Any, Self

from torch import nn

from mien.media.files import sha256_of


class FrozenNetwork(nn.Module):
    """A network known by its weight file: its provenance is the file's SHA-256, not a copy of the weights.

    It stays in eval mode, whatever `train` asks for, and none of its parameters takes a gradient.
    """

    def __init__(self, network: nn.Module, file: Path | str) -> None:
        super().__init__()
        self.file = Path(file)
        self.sha256 = sha256_of(self.file)
        self.network = network.eval().requires_grad_(False)

    def forward(self, *inputs: Any, **options: Any) -> Any:
        return self.network(*inputs, **options)

    def train(self, mode: bool = True) -> Self:
        return super().train(False)
