"""IFER: the expression of a face from its StyleGAN2 codes and its structure code.

Mao, Zhao, Chang, Yin, Peng and Xu, More comprehensive facial inversion for more effective expression recognition, arXiv
2211.13564, 2022.

What is unusual here
- The features are those that rebuild the face: ASIT's encoder (inversion.py), trained before on inversion.
- Feature modulation: the structure code passes a 1x1 convolution and a convolution that the mean of the style codes
  modulates, as in StyleGAN2; then a mean over places and a linear layer.

Where we depart from the released code
- Pictures are normalised as in ASIT's training (-1..1). Released: by ImageNet's statistics, new to the encoder.
- `pooling: attention` weights the style codes by a learned query; it starts as the published mean.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from mien.core.options import Rules, check_choices
from mien.core.spec import Input
from mien.nn.explanation import AttentionMap, recorded_weights, rollout
from mien.nn.inversion.encoders import FeatureModulation
from mien.nn.inversion.gcvit import SIDES, Block, Level
from mien.systems.ifer.generator import face_input
from mien.systems.ifer.inversion import SMALL_ENCODER, SMALL_GENERATOR, EncoderConfig
from mien.systems.system import System

_LEVEL_MAP = (
    "attention rollout through the blocks of one level of the GC ViT (heads averaged, half of each block its "
    "residual), mean over all places: level"
)


@dataclass(frozen=True)
class IferConfig(EncoderConfig):
    """Configuration of IFER; encoder and generator options are those of its ASIT."""

    num_classes: int = 7
    """Classes."""
    pooling: Literal["mean", "attention"] = "mean"
    """How the style codes become one: their mean, as published, or weighted by a learned query."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choices(self, "ifer: ")

    def _rules(self) -> Rules:
        return super()._rules() | {"num_classes": (self.num_classes >= 2, "at least 2")}


class Ifer(System):
    """image [batch, 3, size, size] in -1..1 to the logits `expression`."""

    name = "ifer"
    config_class = IferConfig
    config: IferConfig
    variants: ClassVar[dict[str, dict[str, Any]]] = {"base": {}, "small": {**SMALL_GENERATOR, **SMALL_ENCODER}}
    layer_groups = (
        ("encoder.trunk.stem", "encoder.trunk.levels.0", "encoder.trunk.reductions.0"),
        ("encoder.trunk.levels.1", "encoder.trunk.reductions.1"),
        ("encoder.trunk.levels.2", "encoder.trunk.reductions.2"),
        ("encoder.trunk.levels.3", "encoder.styles", "encoder.structure_conv"),
        ("head",),
    )
    feature_maps = ("head.style_conv", "head.conv", "encoder.structure_conv")

    @classmethod
    def default_inputs(cls, config: IferConfig) -> dict[str, Input]:
        return {"image": face_input(config.size)}

    def __init__(self, config: IferConfig, **rest: Any) -> None:
        super().__init__(config, **rest)
        self.encoder = config.encoder()
        del self.encoder.feature_convs  # of the distribution loss only
        self.head = FeatureModulation(
            classes=config.num_classes, structure_channels=config.structure_width, width=config.style,
            pooling=config.pooling,
        )  # fmt: skip

    @torch.no_grad()
    def attention_maps(self, *inputs: Float[Tensor, "batch 3 size size"]) -> dict[str, AttentionMap]:
        """Of the encoder's last two levels, whose windows are the whole map; the first two see windows only."""
        every = [cast(Level, level) for level in self.encoder.trunk.levels]
        levels = {i: level for i, level in enumerate(every) if level.window == SIDES[i]}
        blocks: dict[str, nn.Module] = {
            f"{i}.{n}": cast(Block, block).attention
            for i, level in levels.items()
            for n, block in enumerate(level.blocks)
        }
        with recorded_weights(blocks) as found:
            self(*inputs)
        maps = {}
        for i in sorted(levels, reverse=True):
            over = rollout([found[name] for name in blocks if name.startswith(f"{i}.")]).mean(1)
            maps[f"level_{i}"] = AttentionMap(over.unflatten(1, (SIDES[i], SIDES[i])), f"{_LEVEL_MAP} {i}")
        return maps

    def forward(self, image: Float[Tensor, "batch 3 size size"]) -> dict[str, Tensor]:
        if image.shape[-1] != self.config.encoder_size:
            image = F.adaptive_avg_pool2d(image, self.config.encoder_size)
        encoded = self.encoder(image)
        return {"expression": self.head(encoded.codes, encoded.structure)}
