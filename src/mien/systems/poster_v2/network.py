"""POSTER V2: an image stream and a landmark stream, cross-attention at three scales, a small transformer on top.

Mao et al., POSTER++: A simpler and stronger facial expression recognition network, arXiv 2301.12149.

What is unusual here
- The queries are the raw features of a frozen 68-point landmark network; only the image gives keys and values.
- The "window" is the whole map at each scale, so windowed attention is plain attention over 28², 14² and 7² tokens.
- The normalised tokens are also the residual that attention is added to.
- The three scales become 7x7 tokens each; a class token reads all 147, passes a gate, and is classified.

Where we depart from the released code (`legacy=True` gives its behaviour back)
- The frozen landmark network stays in eval mode. Released: its BatchNorm drifts, and trains on batch statistics.
- The input is reduced to the backbones' size with all its pixels. Released: every second pixel, nearest neighbour.
- LayerScale starts at 0.1. Released: 1e-5, and at the published learning rates the landmark stream stays nearly off.
- The head has `num_classes` outputs. Released: always 7 in the 7-class file (`head_width=7` rebuilds that).
- No dead weights (a quarter of the released ones), in either mode. The last block and norm run for the class token
  alone, which is all that is read; attention uses torch's fused kernel. Neither changes a number beyond rounding.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from mien.core.errors import MienError, one_line
from mien.core.labels import AFFECT
from mien.core.options import check_rules
from mien.core.spec import Input, Output, PictureInput
from mien.nn.attention import CrossAttention, DropPath, Mlp, TransformerBlock
from mien.nn.explanation import AttentionMap, recorded_weights, rollout
from mien.nn.folding import fold_norms, merge_halvings
from mien.nn.iresnet import IResNet
from mien.nn.mobilefacenet import Maps, MobileFaceNet
from mien.systems.system import System

_TRANSFORMER_MAP = (
    "final transformer: attention rollout of the class token (heads averaged, half of each block its residual), the "
    "three scales' tokens of a place added up; each token already holds what cross-attention brought to its place"
)
_CROSS_MAP = "cross-attention of the landmark stream to the image: mean over heads and over the queries of"


@dataclass(frozen=True)
class PosterV2Config:
    """Configuration of POSTER V2; the defaults are the published network."""

    num_classes: int = 7
    """Number of expression classes, at least 1; set from the data set's labels."""
    input_size: int = 224
    """Side of the input image, in pixels, at least 8."""
    trunk_size: int = 112
    """Side that both backbones see, in pixels, a multiple of 16."""
    color: str = "rgb"
    """Colour of the input: rgb, or grey for luminance on three channels."""
    stem: int = 64
    """Channels of the image backbone's first convolution."""
    widths: tuple[int, int, int] = (64, 128, 256)
    """Channels of the image backbone's three scales."""
    depths: tuple[int, int, int] = (3, 4, 14)
    """Residual blocks of the image backbone at each scale."""
    landmark_branch: bool = True
    """False removes the landmark network; each scale's own normalised tokens then become its queries (the ablation)."""
    freeze_landmarks: bool = True
    """Keep weights and BatchNorm statistics of the landmark network fixed."""
    landmark_widths: tuple[int, int, int] = (64, 128, 128)
    """Channels of the landmark network's three scales; the first two must equal those of the image backbone."""
    landmark_features: int = 512
    """Channels of the landmark network's last feature map."""
    landmark_depths: tuple[int, int, int] = (4, 6, 2)
    """Residual blocks of the landmark network at each scale."""
    head_dim: int = 32
    """Channels of an attention head in the window cross-attentions; divides every width."""
    layer_scale: float | None = None
    """Initial LayerScale factor of the cross-attention blocks; null is 0.1, or 1e-5 with legacy."""
    drop_path: float = 0.25
    """Stochastic-depth rate at the third scale, in 0..1, rising linearly from 0 at the first."""
    token_width: int = 768
    """Channels of a token of the final transformer."""
    vit_depth: int = 2
    """Blocks of the final transformer, at least 1."""
    vit_heads: int = 8
    """Attention heads of the final transformer; divides token_width."""
    vit_mlp_ratio: float = 4.0
    """Hidden width of the final transformer's MLPs, divided by token_width."""
    dropout: float = 0.0
    """Dropout rate before the classifier, in 0..1."""
    head_width: int = 0
    """Outputs of the classifier, 0 for num_classes; a wider one (7 in the released three-class files) is trained as it
    is and cut to num_classes in eval mode."""
    affect: bool = False
    """Also give valence and arousal, from the same token as the classes."""
    mirror_average: bool = False
    """Outside training, average the logits of the image and of its mirror image; takes twice the time."""
    legacy: bool = False
    """Reproduce the released code, faults included."""

    def __post_init__(self) -> None:
        same = not self.landmark_branch or self.landmark_widths[:2] == self.widths[:2]
        rules = {
            "num_classes": (self.num_classes >= 1, "at least 1"),
            "input_size": (self.input_size >= 8, "at least 8"),
            "trunk_size": (self.trunk_size >= 16 and self.trunk_size % 16 == 0, "a multiple of 16"),
            "color": (self.color in ("rgb", "grey"), "'rgb' or 'grey'"),
            "landmark_widths": (same, f"the same as widths in the first two places, {self.widths[:2]}"),
            "head_dim": (all(w % self.head_dim == 0 for w in self.widths), f"a divisor of the widths {self.widths}"),
            "vit_heads": (self.token_width % self.vit_heads == 0, f"a divisor of token_width, {self.token_width}"),
            "vit_depth": (self.vit_depth >= 1, "at least 1"),
            "drop_path": (0 <= self.drop_path < 1, "in 0..1"),
            "dropout": (0 <= self.dropout < 1, "in 0..1"),
            "head_width": (self.head_width == 0 or self.head_width >= self.num_classes, "0 or at least num_classes"),
        }
        check_rules(self, "poster_v2: ", rules)

    @property
    def first_layer_scale(self) -> float:
        return (1e-5 if self.legacy else 0.1) if self.layer_scale is None else self.layer_scale


def reduce_to(image: Float[Tensor, "batch c h w"], size: int, *, nearest: bool = False) -> Float[Tensor, "batch c s s"]:
    """The picture at size x size: means of whole blocks where they fit, else anti-aliased bilinear; or nearest."""
    height, width = image.shape[-2:]
    if (height, width) == (size, size):
        return image
    if height == width and height % size == 0:
        step = height // size
        return image[:, :, ::step, ::step] if nearest else F.avg_pool2d(image, step)
    if nearest:
        return F.interpolate(image, size=(size, size), mode="nearest")
    return F.interpolate(image, size=(size, size), mode="bilinear", antialias=True, align_corners=False)


class CrossFusion(nn.Module):
    """One scale: the image map halved and normalised, attended to by the landmark map, then an MLP (section 3.2)."""

    def __init__(self, width: int, *, heads: int, side: int, layer_scale: float, drop_path: float) -> None:
        super().__init__()
        self.down = nn.Conv2d(width, width, 3, stride=2, padding=1)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = CrossAttention(width, heads=heads, side=side)
        self.mlp = Mlp(width, hidden=4 * width)
        self.gamma1 = nn.Parameter(torch.full((width,), layer_scale))
        self.gamma2 = nn.Parameter(torch.full((width,), layer_scale))
        self.drop_path = DropPath(drop_path)

    def forward(
        self, image_map: Float[Tensor, "batch width h w"], landmark_map: Float[Tensor, "batch width side side"] | None
    ) -> Float[Tensor, "batch width side side"]:
        halved = self.down(image_map)
        tokens = self.norm1(halved.flatten(2).transpose(1, 2))  # [batch, side * side, width]
        query = tokens if landmark_map is None else landmark_map.flatten(2).transpose(1, 2)
        x = tokens + self.drop_path(self.gamma1 * self.attention(tokens, query))
        x = x + self.drop_path(self.gamma2 * self.mlp(self.norm2(x)))
        return x.transpose(1, 2).reshape(halved.shape)

    @torch.no_grad()
    def fold(self) -> None:
        """Gathers the position bias and moves both gammas into the layers before them, in place."""
        self.attention.freeze_bias()
        for linear, gamma in ((self.attention.proj, self.gamma1), (self.mlp.fc2, self.gamma2)):
            linear.weight.mul_(gamma[:, None])
            linear.bias.mul_(gamma)
            gamma.fill_(1.0)


class Gate(nn.Module):
    """x times sigmoid(linear(relu(linear(x)))): squeeze-excitation on a vector."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear1, self.linear2 = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, x: Float[Tensor, "batch width"]) -> Float[Tensor, "batch width"]:
        return x * torch.sigmoid(self.linear2(F.relu(self.linear1(x))))


class PyramidTransformer(nn.Module):
    """A class token over the tokens of all scales; its state after the last block, gated, is classified."""

    def __init__(
        self, width: int, *, tokens: int, depth: int, heads: int, mlp_ratio: float, outputs: int, dropout: float
    ) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, tokens + 1, width))
        self.blocks = nn.ModuleList(TransformerBlock(width, heads=heads, mlp_ratio=mlp_ratio) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.gate = Gate(width)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(width, outputs)
        self._initialise()

    def _initialise(self) -> None:
        nn.init.trunc_normal_(self.cls_token, std=0.02)
        nn.init.trunc_normal_(self.pos_embed, std=0.02)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.01)
                nn.init.zeros_(module.bias)

    def embed(self, tokens: Float[Tensor, "batch tokens width"]) -> Float[Tensor, "batch tokens+1 width"]:
        first = self.cls_token.expand(tokens.shape[0], -1, -1).to(tokens.dtype)
        return torch.cat([first, tokens], dim=1) + self.pos_embed

    def features(self, tokens: Float[Tensor, "batch tokens width"]) -> Float[Tensor, "batch width"]:
        x = self.embed(tokens)
        for block in self.blocks[:-1]:
            x = block(x)
        x = self.blocks[-1](x, first_only=True)
        return self.gate(self.norm(x[:, 0]))

    def forward(self, tokens: Float[Tensor, "batch tokens width"]) -> Float[Tensor, "batch outputs"]:
        return self.head(self.dropout(self.features(tokens)))


class PosterV2(System):
    """image [batch, 3, h, w], normalised, of any size, to `expression`: logits [batch, num_classes]; on request also to
    `affect`: valence and arousal [batch, 2] in -1..1."""

    name = "poster_v2"
    config_class = PosterV2Config
    variants: ClassVar[dict[str, dict[str, Any]]] = {
        "base": {},
        # For laptops: grey 48-pixel faces, 0.08 GMAC, 1.9 M weights, every part of the paper present.
        "small": {
            "input_size": 48, "trunk_size": 48, "color": "grey", "stem": 16,
            "widths": (24, 48, 96), "depths": (2, 2, 3), "landmark_widths": (24, 48, 64), "landmark_features": 96,
            "landmark_depths": (2, 4, 2), "head_dim": 24, "drop_path": 0.1, "token_width": 168, "vit_heads": 6,
            "vit_mlp_ratio": 2.0,
        },
    }  # fmt: skip

    layer_groups = (
        ("landmark_net", "trunk.stem", "trunk.stages.0"), ("trunk.stages.1",), ("trunk.stages.2", "landmark_reduce"),
        ("fusions",), ("embeds", "vit.cls_token", "vit.pos_embed"), ("vit.blocks",),
        ("vit.norm", "vit.gate", "vit.head", "affect_head"),
    )  # fmt: skip

    feature_maps = ("trunk.stages.2", "trunk.stages.1", "trunk.stages.0", "fusions.2", "fusions.1", "fusions.0")

    @classmethod
    def default_inputs(cls, config: PosterV2Config) -> dict[str, Input]:
        if config.color == "grey":
            grey = PictureInput(size=config.input_size, color="grey", mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
            return {"image": grey}
        return {"image": PictureInput(size=config.input_size)}

    @classmethod
    def default_outputs(cls, config: PosterV2Config) -> dict[str, Output]:
        affect = {"affect": Output("values", AFFECT, range=(-1.0, 1.0))} if config.affect else {}
        return super().default_outputs(config) | affect

    def __init__(self, config: PosterV2Config, *, inputs: Mapping[str, Input], outputs: Mapping[str, Output]) -> None:
        super().__init__(config, inputs=inputs, outputs=outputs)
        c, side = config, config.trunk_size // 4
        self.landmark_net: MobileFaceNet | None = None
        if c.landmark_branch:
            self.landmark_net = MobileFaceNet(
                size=c.trunk_size, widths=c.landmark_widths, features=c.landmark_features, depths=c.landmark_depths,
                points=68 if c.legacy else 0,
            )  # fmt: skip
            self.landmark_net.requires_grad_(not c.freeze_landmarks)
            self.landmark_reduce = nn.Conv2d(c.landmark_features, c.widths[2], 3, padding=1)
        self.trunk = IResNet(stem=c.stem, widths=c.widths, depths=c.depths)
        self.fusions = nn.ModuleList(
            CrossFusion(
                width, heads=width // c.head_dim, side=side >> level, layer_scale=c.first_layer_scale,
                drop_path=c.drop_path * level / 2,
            )
            for level, width in enumerate(c.widths)
        )  # fmt: skip
        first, second, third = c.widths
        self.embeds = nn.ModuleList(
            [
                nn.Sequential(_halving(first, c.token_width), _halving(c.token_width, c.token_width)),
                _halving(second, c.token_width),
                nn.Conv2d(third, c.token_width, 1),
            ]
        )
        self.vit = PyramidTransformer(
            c.token_width, tokens=3 * (c.trunk_size // 16) ** 2, depth=c.vit_depth, heads=c.vit_heads,
            mlp_ratio=c.vit_mlp_ratio, outputs=c.head_width or c.num_classes, dropout=c.dropout,
        )  # fmt: skip
        self.affect_head = nn.Linear(c.token_width, len(AFFECT)) if c.affect else None

    def train(self, mode: bool = True) -> "PosterV2":
        super().train(mode)
        if self.landmark_net is not None and self.config.freeze_landmarks and not self.config.legacy:
            self.landmark_net.eval()
        return self

    def landmark_maps(self, image: Float[Tensor, "batch 3 s s"]) -> Maps | tuple[None, None, None]:
        """The queries of the three scales; None each without the landmark branch."""
        if self.landmark_net is None:
            return None, None, None
        map1, map2, map3 = self.landmark_net(image)
        if self.config.legacy and self.training and self.landmark_net.head is not None:
            self.landmark_net.landmarks(map3)  # thrown away, as released: its BatchNorm statistics drift
        return map1, map2, self.landmark_reduce(map3)

    def tokens(self, image: Float[Tensor, "batch 3 h w"]) -> Float[Tensor, "batch tokens width"]:
        """The tokens of all scales, finest scale first, each map row by row."""
        image = reduce_to(image, self.config.trunk_size, nearest=self.config.legacy)
        return self.fused(self.trunk(image), self.landmark_maps(image))

    def fused(self, maps: Maps, queries: Maps | tuple[None, None, None]) -> Float[Tensor, "batch tokens width"]:
        """The tokens of the image stream's maps under the landmark stream's queries."""
        scales = zip(self.fusions, self.embeds, maps, queries, strict=True)
        embedded = [embed(fusion(m, query)) for fusion, embed, m, query in scales]
        return torch.cat([e.flatten(2) for e in embedded], dim=2).transpose(1, 2)

    def forward(self, image: Float[Tensor, "batch 3 h w"]) -> dict[str, Tensor]:
        outputs = self._outputs(image)
        if self.training:
            return outputs
        if self.config.mirror_average:
            outputs = {name: (value + outputs[name]) / 2 for name, value in self._outputs(image.flip(3)).items()}
        return outputs | {"expression": outputs["expression"][:, : self.config.num_classes]}

    def _outputs(self, image: Float[Tensor, "batch 3 h w"]) -> dict[str, Tensor]:
        token = self.vit.dropout(self.vit.features(self.tokens(image)))
        affect = {} if self.affect_head is None else {"affect": torch.tanh(self.affect_head(token))}
        return {"expression": self.vit.head(token)} | affect

    @torch.no_grad()
    def attention_maps(self, *inputs: Float[Tensor, "batch 3 h w"]) -> dict[str, AttentionMap]:
        """Of the final transformer's class token over the three scales' tokens, and of each scale's cross-attention."""
        fusions: dict[str, nn.Module] = {
            f"scale_{i}": cast(CrossFusion, fusion).attention for i, fusion in enumerate(self.fusions)
        }
        blocks: dict[str, nn.Module] = {
            f"block_{i}": cast(TransformerBlock, block).attention for i, block in enumerate(self.vit.blocks)
        }
        with recorded_weights(fusions | blocks) as found:
            self(*inputs)
        side = self.config.trunk_size // 16
        read = rollout([found[name] for name in blocks])[:, 0, 1:]
        maps = {"transformer": AttentionMap(read.unflatten(1, (3, side, side)).sum(1), _TRANSFORMER_MAP)}
        for level, name in enumerate(fusions):
            width = self.config.trunk_size // 4 >> level
            over = found[name].mean((1, 2)).unflatten(1, (width, width))
            maps[f"cross_{width}"] = AttentionMap(over, f"{_CROSS_MAP} {width} x {width} places")
        return maps

    def load_landmark_net(self, weights: Mapping[str, Tensor]) -> None:
        """Takes the weights of a MobileFaceNet trained alone; its head's are dropped where this network has no head.

        Raises MienError when any other name or shape differs, or without a landmark branch.
        """
        if self.landmark_net is None:
            raise MienError("poster_v2: landmark_branch is False, so there is no landmark network to load.")
        if self.landmark_net.head is None:
            weights = {k: v for k, v in weights.items() if not k.startswith("head.")}
        try:
            self.landmark_net.load_state_dict(dict(weights))
        except RuntimeError as error:
            first = one_line(error)[:300]
            raise MienError(f"poster_v2: these are not weights of its landmark network. {first}") from error

    @torch.no_grad()
    def merge_finest_embedding(self) -> None:
        """Makes one convolution of the two that embed the finest scale; their biases go into the position embedding."""
        first, second = cast("tuple[nn.Conv2d, nn.Conv2d]", tuple(cast(nn.Sequential, self.embeds[0])))
        self.embeds[0], bias = merge_halvings(first, second, side=self.config.trunk_size // 4)
        bias = bias.flatten(2).transpose(1, 2)
        self.vit.pos_embed[:, 1 : 1 + bias.shape[1]] += bias

    @torch.no_grad()
    def for_inference(self) -> nn.Module:
        """A copy in eval mode for speed and export: fewer layers, position biases gathered, channels last.

        Its logits equal ours in eval mode up to rounding. It has no landmark head and cannot be trained.
        """
        lean: PosterV2 = copy.deepcopy(self).eval()
        if lean.landmark_net is not None:
            lean.landmark_net.head = None
        fold_norms(lean)
        lean.merge_finest_embedding()
        for fusion in lean.fusions:
            cast(CrossFusion, fusion).fold()
        return lean.requires_grad_(False).to(memory_format=torch.channels_last)


def _halving(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, stride=2, padding=1)
