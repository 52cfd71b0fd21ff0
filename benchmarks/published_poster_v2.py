"""POSTER V2 computed the published way: what our network is timed against.

Our own code, written from the paper (arXiv 2301.12149) and the released files' names and shapes, which it keeps so that
`to_official` fills it. It repeats what makes the published way slow: the picture is subsampled twice, the landmark head
and the last norm of every token are computed and thrown away, windows are cut and merged although there is only one,
attention is unfused with its bias gathered in every forward, and a quarter of the weights never runs.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

BODIES = ((64, 64), (64, 128), (128, 256))
DEPTHS = (3, 4, 14)


def window_partition(x: Tensor, side: int) -> Tensor:
    b, h, w, c = x.shape
    x = x.view(b, h // side, side, w // side, side, c)
    return x.permute(0, 1, 3, 2, 4, 5).contiguous().view(-1, side, side, c)


def window_reverse(windows: Tensor, side: int, h: int, w: int) -> Tensor:
    b = int(windows.shape[0] / (h * w / side / side))
    x = windows.view(b, h // side, w // side, side, side, -1)
    return x.permute(0, 1, 3, 2, 4, 5).contiguous().view(b, h, w, -1)


class Unit(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        if inputs == outputs:
            self.shortcut_layer: nn.Module = nn.MaxPool2d(1, stride)
        else:
            self.shortcut_layer = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )
        self.res_layer = nn.Sequential(
            nn.BatchNorm2d(inputs), nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False), nn.PReLU(outputs),
            nn.Conv2d(outputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return self.res_layer(x) + self.shortcut_layer(x)


class Backbone(nn.Module):
    def __init__(self, depths: tuple[int, int, int] = DEPTHS) -> None:
        super().__init__()
        self.input_layer = nn.Sequential(nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.PReLU(64))
        self.output_layer = nn.Sequential(
            nn.BatchNorm2d(512), nn.Dropout(0), nn.Flatten(), nn.Linear(512 * 49, 512), nn.BatchNorm1d(512)
        )
        for k, ((inputs, outputs), depth) in enumerate(zip(BODIES, depths, strict=True), 1):
            units = [Unit(inputs, outputs, 2), *(Unit(outputs, outputs, 1) for _ in range(depth - 1))]
            setattr(self, f"body{k}", nn.Sequential(*units))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = self.input_layer(F.interpolate(x, size=112))
        x1 = self.body1(x)
        x2 = self.body2(x1)
        return x1, x2, self.body3(x2)


class ConvBlock(nn.Module):
    def __init__(  # noqa: PLR0917
        self, inputs: int, outputs: int, kernel=1, stride=1, padding=0, groups=1, linear=False
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(outputs)
        if not linear:
            self.prelu = nn.PReLU(outputs)
        self.linear = linear

    def forward(self, x: Tensor) -> Tensor:
        x = self.bn(self.conv(x))
        return x if self.linear else self.prelu(x)


class DepthWise(nn.Module):
    def __init__(self, inputs: int, outputs: int, hidden: int, stride=2, residual=False) -> None:
        super().__init__()
        self.conv = ConvBlock(inputs, hidden)
        self.conv_dw = ConvBlock(hidden, hidden, 3, stride, 1, hidden)
        self.project = ConvBlock(hidden, outputs, linear=True)
        self.residual = residual

    def forward(self, x: Tensor) -> Tensor:
        y = self.project(self.conv_dw(self.conv(x)))
        return x + y if self.residual else y


class Residual(nn.Module):
    def __init__(self, width: int, hidden: int, depth: int) -> None:
        super().__init__()
        self.model = nn.Sequential(*(DepthWise(width, width, hidden, 1, True) for _ in range(depth)))

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)


class GDC(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv_6_dw = ConvBlock(512, 512, 7, groups=512, linear=True)
        self.linear = nn.Linear(512, 136, bias=False)
        self.bn = nn.BatchNorm1d(136)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(self.linear(self.conv_6_dw(x).flatten(1)))


class LandmarkNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = ConvBlock(3, 64, 3, 2, 1)
        self.conv2_dw = ConvBlock(64, 64, 3, 1, 1, 64)
        self.conv_23, self.conv_3 = DepthWise(64, 64, 128), Residual(64, 128, 4)
        self.conv_34, self.conv_4 = DepthWise(64, 128, 256), Residual(128, 256, 6)
        self.conv_45, self.conv_5 = DepthWise(128, 128, 512), Residual(128, 256, 2)
        self.conv_6_sep = ConvBlock(128, 512)
        self.output_layer = GDC()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = self.conv2_dw(self.conv1(F.interpolate(x, size=112)))
        x1 = self.conv_3(self.conv_23(x))
        x2 = self.conv_4(self.conv_34(x1))
        x3 = self.conv_6_sep(self.conv_5(self.conv_45(x2)))
        self.output_layer(x3)
        return x1, x2, x3


class Window(nn.Module):
    def __init__(self, width: int, side: int) -> None:
        super().__init__()
        self.side, self.norm = side, nn.LayerNorm(width)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.norm(x.permute(0, 2, 3, 1).contiguous())
        windows = window_partition(x, self.side)
        return windows.view(-1, self.side * self.side, x.shape[-1]), x


class WindowAttention(nn.Module):
    def __init__(self, width: int, side: int, heads: int) -> None:
        super().__init__()
        self.heads, self.side = heads, side
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * side - 1) ** 2, heads))
        y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
        at = torch.stack([y.flatten(), x.flatten()])
        dy, dx = at[:, :, None] - at[:, None] + side - 1
        self.register_buffer("relative_position_index", dy * (2 * side - 1) + dx)
        self.qkv, self.proj = nn.Linear(width, 2 * width), nn.Linear(width, width)

    def forward(self, x: Tensor, q: Tensor) -> Tensor:
        b, n, c = x.shape
        k, v = self.qkv(x).reshape(b, n, 2, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        attention = (q * (c // self.heads) ** -0.5) @ k.transpose(-2, -1)
        bias = self.relative_position_bias_table[self.relative_position_index.view(-1)].view(n, n, -1)
        attention = (attention + bias.permute(2, 0, 1).contiguous().unsqueeze(0)).softmax(-1)
        return self.proj((attention @ v).transpose(1, 2).reshape(b, n, c))


class Mlp(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))


class FeedForward(nn.Module):
    def __init__(self, width: int, side: int) -> None:
        super().__init__()
        self.side = side
        self.gamma1 = nn.Parameter(1e-5 * torch.ones(width))
        self.gamma2 = nn.Parameter(1e-5 * torch.ones(width))
        self.mlp, self.norm = Mlp(width), nn.LayerNorm(width)

    def forward(self, windows: Tensor, shortcut: Tensor) -> Tensor:
        c = windows.shape[-1]
        x = window_reverse(windows.view(-1, self.side, self.side, c), self.side, self.side, self.side)
        x = shortcut + self.gamma1 * x
        return x + self.gamma2 * self.mlp(self.norm(x))


class SelfAttention(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        b, n, c = x.shape
        q, k, v = self.qkv(x).reshape(b, n, 3, 8, c // 8).permute(2, 0, 3, 1, 4)
        attention = ((q @ k.transpose(-2, -1)) * (c // 8) ** -0.5).softmax(-1)
        return self.proj((attention @ v).transpose(1, 2).reshape(b, n, c))


class Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.conv = nn.Conv1d(148, 148, 1)
        self.attn = SelfAttention(width)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = Mlp(width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Gate(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear1, self.linear2 = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.linear2(F.relu(self.linear1(x))))


class VisionTransformer(nn.Module):
    def __init__(self, classes: int, width: int = 768) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 148, width))
        self.se_block = Gate(width)
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(256, width, 1)})
        self.head = nn.ModuleDict({"linear": nn.Linear(width, classes)})
        self.eca_block = nn.ModuleDict({"conv": nn.Conv1d(1, 1, 5, bias=False)})
        self.CON1 = nn.Conv2d(256, width, 1, bias=False)
        self.IRLinear1, self.IRLinear2 = nn.Linear(1024, width), nn.Linear(width, 512)
        self.blocks = nn.Sequential(Block(width), Block(width))
        self.norm = nn.LayerNorm(width, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.cat([self.cls_token.expand(x.shape[0], -1, -1), x], 1) + self.pos_embed
        x = self.norm(self.blocks(x))[:, 0]
        return self.head["linear"](self.se_block(x))


class PublishedPosterV2(nn.Module):
    def __init__(self, classes: int = 7, depths: tuple[int, int, int] = DEPTHS) -> None:
        super().__init__()
        self.face_landback, self.VIT, self.ir_back = LandmarkNet(), VisionTransformer(classes), Backbone(depths)
        self.face_landback.requires_grad_(False)
        levels = ((64, 28, 2), (128, 14, 4), (256, 7, 8))
        for k, (width, side, heads) in enumerate(levels, 1):
            setattr(self, f"attn{k}", WindowAttention(width, side, heads))
            setattr(self, f"window{k}", Window(width, side))
            setattr(self, f"conv{k}", nn.Conv2d(width, width, 3, 2, 1))
            setattr(self, f"ffn{k}", FeedForward(width, side))
        self.last_face_conv = nn.Conv2d(512, 256, 3, padding=1)
        self.embed_q = nn.Sequential(nn.Conv2d(64, 768, 3, 2, 1), nn.Conv2d(768, 768, 3, 2, 1))
        self.embed_k = nn.Sequential(nn.Conv2d(128, 768, 3, 2, 1))
        self.embed_v = nn.ModuleDict({"proj": nn.Conv2d(256, 768, 1)})

    def forward(self, x: Tensor) -> Tensor:
        f1, f2, f3 = self.face_landback(x)
        scales = zip((1, 2, 3), (f1, f2, self.last_face_conv(f3)), self.ir_back(x), strict=True)
        q, k, v = (self.scale(level, landmarks, image) for level, landmarks, image in scales)
        tokens = (self.embed_q(q), self.embed_k(k), self.embed_v["proj"](v))
        return self.VIT(torch.cat([t.flatten(2).transpose(1, 2) for t in tokens], 1))

    def scale(self, level: int, landmarks: Tensor, image: Tensor) -> Tensor:
        windows, shortcut = getattr(self, f"window{level}")(getattr(self, f"conv{level}")(image))
        attend = getattr(self, f"attn{level}")
        q = landmarks.permute(0, 2, 3, 1).contiguous()
        q = q.reshape(len(q), -1, attend.heads, q.shape[-1] // attend.heads).transpose(1, 2)
        x = getattr(self, f"ffn{level}")(attend(windows, q), shortcut)
        return x.permute(0, 3, 1, 2).contiguous()
