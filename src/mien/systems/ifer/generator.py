"""StyleGAN2: pictures of faces from random numbers. ASIT's decoder, and a system that is trained before it.

Karras, Laine, Aittala, Hellsten, Lehtinen and Aila, Analyzing and Improving the Image Quality of StyleGAN, CVPR 2020.

What is unusual here
- Its input is drawn, not read: `z`, from N(0, 1). The input `image` says what the pictures are that it learns from and
  draws: their size, how they are cut out, and the units of its output.
- The modulated convolution is one convolution for the whole batch (nn/stylegan2/modulation.py).

Where we depart from the released code
- Sizes from 8 to 1024, widths and the mapping's depth are options, so that a small one can be trained in minutes.
- `forward` uses the stored noise, so that it gives the same picture for the same z; training draws it.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from jaxtyping import Float
from torch import Tensor

from mien.core.options import Rules, check_rules
from mien.core.spec import Input, Output, PictureInput, VectorInput
from mien.nn.stylegan2.generator import SIZES, Generator
from mien.systems.system import System

HALF = (0.5, 0.5, 0.5)  # mean and deviation of pictures in -1..1


@dataclass(frozen=True)
class GeneratorConfig:
    """Configuration of a StyleGAN2; the defaults are the published network of 256 pixels."""

    size: int = 256
    """Side of the picture in pixels, a power of two from 16 to 1024."""
    style: int = 512
    """Width of z and of each code."""
    mapping_layers: int = 8
    """Linear layers of the mapping network."""
    channel_multiplier: float = 2.0
    """Channels of maps of 64 pixels and more as a multiple of 16384 / side: 2 as released, 1 for the narrow variant."""
    most_channels: int = 512
    """Most channels of any map."""

    def __post_init__(self) -> None:
        check_rules(self, "stylegan2: ", generator_rules(self))

    @property
    def generator_options(self) -> dict[str, Any]:
        """Keywords of `Generator`."""
        names = ("size", "style", "mapping_layers", "channel_multiplier", "most_channels")
        return {name: getattr(self, name) for name in names}


def generator_rules(config: Any) -> Rules:
    """Of the options that all systems with a generator share."""
    sizes = SIZES[1:]
    return {
        "size": (config.size in sizes, f"one of {', '.join(map(str, sizes))}"),
        **{name: (getattr(config, name) >= 1, "at least 1") for name in ("style", "mapping_layers", "most_channels")},
        "channel_multiplier": (0.1 <= config.channel_multiplier <= 8, "in 0.1..8"),
    }


def face_input(size: int) -> PictureInput:
    """An aligned picture of that side in -1..1."""
    return PictureInput(size=size, mean=HALF, std=HALF)


class StyleGan2(System):
    """z [batch, style] to `picture` [batch, 3, size, size] in about -1..1, not clipped."""

    name = "stylegan2"
    config_class = GeneratorConfig
    config: GeneratorConfig
    input_names = ("z",)
    variants: ClassVar[dict[str, dict[str, Any]]] = {
        "base": {},
        "small": {"size": 64, "style": 32, "mapping_layers": 4, "channel_multiplier": 0.5, "most_channels": 256},
    }

    @classmethod
    def default_inputs(cls, config: GeneratorConfig) -> dict[str, Input]:
        return {"z": VectorInput(config.style), "image": face_input(config.size)}

    @classmethod
    def default_outputs(cls, config: GeneratorConfig) -> dict[str, Output]:
        return {"picture": Output("picture")}

    def __init__(self, config: GeneratorConfig, **rest: Any) -> None:
        super().__init__(config, **rest)
        self.generator = Generator(**config.generator_options)

    def forward(self, z: Float[Tensor, "batch style"], *, truncation: float = 1.0) -> dict[str, Tensor]:
        """truncation: below 1 moves every code towards the mean code."""
        return {"picture": self.generator(self.generator.codes(z, truncation=truncation)).image}
