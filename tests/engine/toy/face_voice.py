"""A small system with two inputs and three outputs of different kinds: what the contracts allow, in a few lines."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from mien.core.labels import LabelSet
from mien.core.spec import Input, Output, PictureInput, SoundInput
from mien.systems.system import System

VOICE = SoundInput(rate_hz=8000, samples=4000, fft=256, hop=256, mels=8, high_hz=4000.0)


@dataclass(frozen=True)
class FaceVoiceConfig:
    num_classes: int = 3
    size: int = 8
    width: int = 8
    dropout: float = 0.0
    legacy: bool = False


class FaceVoice(System):
    """image [batch, 3, size, size] and voice [batch, 1, mels, frames] to expression, affect and picture."""

    name: ClassVar[str] = "toy_face_voice"
    config_class = FaceVoiceConfig
    input_names = ("image", "voice")

    @classmethod
    def default_inputs(cls, config: FaceVoiceConfig) -> dict[str, Input]:
        return {"image": PictureInput(size=config.size, mean=(0.5,) * 3, std=(0.25,) * 3), "voice": VOICE}

    @classmethod
    def default_outputs(cls, config: FaceVoiceConfig) -> dict[str, Output]:
        labels = LabelSet("unnamed", tuple(f"class_{i}" for i in range(config.num_classes)))
        return {
            "expression": Output.classes(labels),
            "affect": Output("values", ("valence", "arousal"), range=(-1.0, 1.0)),
            "picture": Output("picture"),
        }

    def __init__(self, config: FaceVoiceConfig, **rest) -> None:
        super().__init__(config, **rest)
        pixels, width = 3 * config.size**2, config.width
        self.first = nn.Linear(pixels, width)
        self.ear = nn.Linear(VOICE.mels * VOICE.frames, width)
        self.dropout = nn.Dropout(config.dropout)
        self.norm = nn.BatchNorm1d(2 * width)
        self.expression_head = nn.Linear(2 * width, config.num_classes)
        self.affect_head = nn.Linear(2 * width, 2)
        self.decoder = nn.Linear(2 * width, pixels)

    def forward(self, image: Tensor, voice: Tensor) -> dict[str, Tensor]:
        both = torch.cat((self.first(image.flatten(1)), self.ear(voice.flatten(1))), 1).tanh()
        both = self.norm(self.dropout(both))
        return {
            "expression": self.expression_head(both),
            "affect": self.affect_head(both).tanh(),
            "picture": self.decoder(both).unflatten(1, (3, self.config.size, self.config.size)),
        }
