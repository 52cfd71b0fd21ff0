"""A system as small as a system can be, without BatchNorm: what a step of it gives can be worked out by hand."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from mien.core.spec import PictureInput
from mien.systems.system import System


@dataclass(frozen=True)
class ToyConfig:
    num_classes: int = 3
    size: int = 8
    width: int = 8
    dropout: float = 0.0
    legacy: bool = False


class Toy(System):
    name: ClassVar[str] = "toy"
    config_class = ToyConfig

    @classmethod
    def default_input(cls, config: ToyConfig) -> PictureInput:
        return PictureInput(size=config.size, mean=(0.5,) * 3, std=(0.25,) * 3)

    def __init__(self, config: ToyConfig, **rest) -> None:
        super().__init__(config, **rest)
        self.first = nn.Linear(3 * config.size**2, config.width)
        self.dropout = nn.Dropout(config.dropout)
        self.frozen = nn.Linear(config.width, config.width).requires_grad_(False)
        self.head = nn.Linear(config.width, config.num_classes)

    def forward(self, image: Tensor) -> Tensor:
        return self.head(self.frozen(self.dropout(self.first(image.flatten(1)).tanh())))
