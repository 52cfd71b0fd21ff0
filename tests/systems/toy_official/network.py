"""A system of one layer, registered by a test alone: nothing in src knows it."""

from dataclasses import dataclass

from torch import nn

from mien.core.spec import PictureInput
from mien.systems.system import System


@dataclass(frozen=True)
class ToyConfig:
    num_classes: int = 3
    colour: str | None = "blue"


class Toy(System):
    name = "toy"
    config_class = ToyConfig

    @classmethod
    def default_inputs(cls, config):
        return {"image": PictureInput(size=8)}

    def __init__(self, config, **rest):
        super().__init__(config, **rest)
        self.head = nn.Linear(3 * 8 * 8, config.num_classes)

    def forward(self, image):
        return {"expression": self.head(image.flatten(1))}
