"""If3D: does a 3D face help to read an expression? A photo, and a picture rendered from the same face's 3D shape.

Wang et al., If3D, University at Buffalo, 2024, on DDAMFN (Zhang et al., Electronics 12(17), 2023) and SMIRK (Retsinas
et al., CVPR 2024). Ablated are the photo alone, the render alone, and four ways to fuse the two.

What is unusual here
- What is fused is a rendered picture, not the parameters of a 3D model.
- The heads of attention are shared by both streams and multiply the map with the largest of their values.
- Valence and arousal are learned beside the classes.

Where we depart from the released code (`legacy=True` gives its behaviour back)
- All six networks have the same heads, the same classifier and a trunk for each stream, so that they can be compared.
  Released: 2 heads or 4; one trunk for both in the linear fusion; no classifier but a linear layer with one stream,
  four layers of 2048 after a fusion; dropout in three, one or none of them.
- Attention is between the 49 places of both maps. Released: between one token and one token, which is no attention.
- The gated map is pooled and the pyramid's channels are reduced. Released: 51 of 73 M weights are the layer after it.
- Valence and arousal are bounded by tanh and are named. Released: two of ten columns, named in the wrong order.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from mien.core.labels import AFFECT, LabelSet
from mien.core.options import check_choices, check_rules
from mien.core.spec import Input, Output, PictureInput
from mien.nn import fusion
from mien.nn.ddamfn import DualDirectionHeads, MixedFeatureNet
from mien.nn.explanation import AttentionMap
from mien.nn.folding import folded
from mien.nn.mobilefacenet import ConvNorm
from mien.systems.system import System

Picture = Float[Tensor, "batch 3 size size"]
Map = Float[Tensor, "batch channels side side"]
LEGACY_MLP = (2048, 2048, 2048, 2048)
# Dropout after each of those layers, by fusion.
LEGACY_DROPOUT = {
    "linear": (0.5, 0.0, 0.0, 0.0), "attention": (0.5, 0.0, 0.0, 0.0), "gate": (0.5, 0.4, 0.3, 0.0),
    "spp": (0.5, 0.4, 0.3, 0.0),
}  # fmt: skip


_HEADS_MAP = (
    "dual-direction heads: the factor, 0..1, that weights each place of the trunk's last map: the largest of the "
    "heads, mean over channels; a factor is no share, and does not sum to 1"
)


@dataclass(frozen=True)
class StreamConfig:
    """What the networks of one stream and of two have in common; the widths are the published ones."""

    num_classes: int = 8
    """Number of expression classes, at least 1; set from the data set's labels."""
    affect: bool = True
    """Also give valence and arousal."""
    input_size: int = 112
    """Side of the input pictures, in pixels, a multiple of 16."""
    widths: tuple[int, int, int] = (64, 128, 256)
    """Channels of the trunk's three stages, each a multiple of 4."""
    depths: tuple[int, int, int] = (9, 16, 6)
    """Residual blocks of the trunk's three stages."""
    features: int = 512
    """Channels of the trunk's last map, a multiple of 8."""
    heads: int = 4
    """Attention heads over that map, at least 1."""
    mlp: tuple[int, ...] = (512,)
    """Widths of the classifier's hidden layers; none for a single linear layer."""
    dropout: float = 0.3
    """Dropout rate after each hidden layer of the classifier, in 0..1."""
    legacy: bool = False
    """Reproduce the released code, faults included; then mlp and dropout are the released ones."""

    def __post_init__(self) -> None:
        check_choices(self, "if3d: ")
        check_rules(
            self,
            "if3d: ",
            {
                "num_classes": (self.num_classes >= 1, "at least 1"),
                "input_size": (self.input_size >= 16 and self.input_size % 16 == 0, "a multiple of 16"),
                "widths": (all(w >= 4 and w % 4 == 0 for w in self.widths), "multiples of 4"),
                "depths": (all(d >= 0 for d in self.depths), "at least 0"),
                "features": (self.features >= 8 and self.features % 8 == 0, "a multiple of 8"),
                "heads": (self.heads >= 1, "at least 1"),
                "mlp": (all(w >= 1 for w in self.mlp), "at least 1"),
                "dropout": (0 <= self.dropout < 1, "in 0..1"),
            },
        )

    @property
    def side(self) -> int:
        """Of the trunk's last map."""
        return self.input_size // 16


@dataclass(frozen=True)
class If3DConfig(StreamConfig):
    """Configuration of a fusion of photo and render."""

    fusion: Literal["linear", "attention", "gate", "spp"] = "attention"
    """How the two maps are joined: linear (side by side), attention, gate, or spp (spatial pyramid pooling)."""
    pyramid_width: int = 64
    """Channels that the pyramid pools; without effect in the other fusions and with legacy."""

    @property
    def one_trunk(self) -> bool:
        """Whether photo and render go through the same trunk."""
        return self.legacy and self.fusion == "linear"


@dataclass
class Streams:
    """What training needs of one forward pass beside the outputs."""

    outputs: dict[str, Tensor]
    """By name, as `forward` gives them."""
    maps: dict[str, Tensor]
    """The trunk's map of each stream, [batch, features, side, side]."""
    attention: dict[str, Tensor]
    """Of all heads on each map, [heads, batch, features, side, side]."""


class Classifier(nn.Module):
    """Linear layers with BatchNorm, LeakyReLU and dropout to the logits and, after them, valence and arousal."""

    def __init__(
        self, inputs: int, config: StreamConfig, *, widths: tuple[int, ...], dropout: tuple[float, ...]
    ) -> None:
        super().__init__()
        self.classes, self.bounded = config.num_classes, not config.legacy
        self.layers = nn.ModuleList()
        for before, after, rate in zip((inputs, *widths[:-1]), widths, dropout, strict=False):
            layer = (nn.Linear(before, after), nn.BatchNorm1d(after), nn.LeakyReLU(0.2), nn.Dropout(rate))
            self.layers.append(nn.Sequential(*layer))
        self.output = nn.Linear(widths[-1] if widths else inputs, config.num_classes + 2 * config.affect)

    def forward(self, x: Float[Tensor, "batch length"]) -> dict[str, Tensor]:
        for layer in self.layers:
            x = layer(x)
        logits, affect = self.output(x).tensor_split((self.classes,), dim=1)
        outputs = {"expression": logits}
        if affect.shape[1]:
            outputs["affect"] = torch.tanh(affect) if self.bounded else affect
        return outputs


def _trunk(config: StreamConfig) -> MixedFeatureNet:
    return MixedFeatureNet(
        size=config.input_size, widths=config.widths, depths=config.depths, features=config.features
    )  # fmt: skip


SMALL: dict[str, Any] = {
    "input_size": 64, "widths": (24, 48, 96), "depths": (2, 4, 2), "features": 128, "heads": 2, "mlp": (128,),
}  # fmt: skip


class StreamSystem(System):
    """What both systems declare: pictures of one size in, classes and affect out. Subclasses define `streams`."""

    variants: ClassVar[dict[str, dict[str, Any]]] = {"base": {}, "small": SMALL}
    feature_maps = ("trunk.stages.1", "trunk.stages.0", "trunk.features")

    @classmethod
    def default_inputs(cls, config: StreamConfig) -> dict[str, Input]:
        return {name: PictureInput(size=config.input_size) for name in cls.input_names}

    @classmethod
    def default_outputs(cls, config: StreamConfig) -> dict[str, Output]:
        labels = LabelSet("unnamed", tuple(f"class_{i}" for i in range(config.num_classes)))
        outputs = {"expression": Output.classes(labels)}
        if config.affect:
            outputs["affect"] = Output("values", AFFECT, range=(-1.0, 1.0))
        return outputs

    def streams(self, *pictures: Picture) -> Streams:
        """The outputs with the maps and the attention behind them; pictures in the order of `input_names`."""
        raise AssertionError(f"{type(self).__name__} has no streams")

    def forward(self, *pictures: Picture) -> dict[str, Tensor]:
        return self.streams(*pictures).outputs

    def for_inference(self) -> nn.Module:
        return folded(self)

    @torch.no_grad()
    def attention_maps(self, *inputs: Picture) -> dict[str, AttentionMap]:
        """Of the dual-direction heads, on the map of each stream."""
        found = self.streams(*inputs).attention
        return {name: AttentionMap(heads.amax(0).mean(1), _HEADS_MAP) for name, heads in found.items()}


class Ddamfn(StreamSystem):
    """One stream: image [batch, 3, size, size] to `expression` logits and `affect` [batch, 2].

    The image is a photo, or a render where the data's pictures are renders.
    """

    name = "ddamfn"
    config_class = StreamConfig
    config: StreamConfig

    def __init__(self, config: StreamConfig, **rest: Any) -> None:
        super().__init__(config, **rest)
        self.trunk = _trunk(config)
        self.heads = DualDirectionHeads(config.features, config.heads, side=config.side)
        self.pool = ConvNorm(config.features, config.features, config.side, groups=config.features, act=False)
        widths = () if config.legacy else config.mlp
        self.classifier = Classifier(
            config.features, config, widths=widths, dropout=(config.dropout,) * len(widths)
        )  # fmt: skip

    def streams(self, *pictures: Picture) -> Streams:
        (image,) = pictures
        x = self.trunk(image)
        attention = self.heads(x)
        outputs = self.classifier(self.pool(self.heads.attend(x, attention)).flatten(1))
        return Streams(outputs, {"image": x}, {"image": attention})


class If3D(StreamSystem):
    """image and render, each [batch, 3, size, size], to `expression` logits and `affect` [batch, 2]."""

    name = "if3d"
    config_class = If3DConfig
    input_names = ("image", "render")
    config: If3DConfig

    def __init__(self, config: If3DConfig, **rest: Any) -> None:
        super().__init__(config, **rest)
        self.trunk = _trunk(config)
        self.render_trunk = self.trunk if config.one_trunk else _trunk(config)
        self.heads = DualDirectionHeads(config.features, config.heads, side=config.side)
        self.fusion = FUSIONS[config.fusion](config)
        widths = LEGACY_MLP if config.legacy else config.mlp
        dropout = LEGACY_DROPOUT[config.fusion] if config.legacy else (config.dropout,) * len(widths)
        self.classifier = Classifier(self.fusion.outputs, config, widths=widths, dropout=dropout)

    def streams(self, *pictures: Picture) -> Streams:
        image, render = pictures
        maps = {"image": self.trunk(image), "render": self.render_trunk(render)}
        attention = {name: self.heads(x) for name, x in maps.items()}
        attended = (self.heads.attend(x, attention[name]) for name, x in maps.items())
        return Streams(self.classifier(self.fusion(*attended)), maps, attention)


FUSIONS: Mapping[str, Any] = {
    "linear": lambda c: fusion.Concatenation(c.features, side=c.side),
    "attention": lambda c: fusion.TokenAttention(c.features, side=c.side, legacy=c.legacy),
    "gate": lambda c: fusion.Gate(c.features, side=c.side, legacy=c.legacy),
    "spp": lambda c: fusion.PyramidPooling(c.features, reduced=0 if c.legacy else c.pyramid_width),
}


def alignment(streams: Streams) -> Float[Tensor, ""]:
    """Mean squared difference of the maps of photo and render."""
    return F.mse_loss(streams.maps["image"], streams.maps["render"])
