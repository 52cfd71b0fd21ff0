"""A system that takes no picture: a linear layer over the voice."""

from dataclasses import dataclass

from torch import Tensor, nn

from mien.core.spec import Input
from mien.systems.system import System
from toy.face_voice import VOICE


@dataclass(frozen=True)
class VoiceConfig:
    num_classes: int = 3
    legacy: bool = False


class Voice(System):
    """voice [batch, 1, mels, frames] to expression."""

    name = "toy_voice"
    config_class = VoiceConfig
    input_names = ("voice",)

    @classmethod
    def default_inputs(cls, config: VoiceConfig) -> dict[str, Input]:
        return {"voice": VOICE}

    def __init__(self, config: VoiceConfig, **rest) -> None:
        super().__init__(config, **rest)
        self.head = nn.Linear(VOICE.mels * VOICE.frames, config.num_classes)

    def forward(self, voice: Tensor) -> dict[str, Tensor]:
        return {"expression": self.head(voice.flatten(1))}
