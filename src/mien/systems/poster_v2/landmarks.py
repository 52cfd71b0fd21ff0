"""The landmark stream of POSTER V2 by itself: MobileFaceNet with its 68-point head, as stage 0 trains it.

The paper takes these weights from a file of others; here they can be trained, so that the system trains end to end.
Chen et al., MobileFaceNets, arXiv 1804.07573.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from mien.core.landmarks import SCHEME_68
from mien.core.spec import Input, Output
from mien.nn.mobilefacenet import MobileFaceNet
from mien.systems.poster_v2.network import PosterV2, PosterV2Config, reduce_to
from mien.systems.system import System


class PosterV2Landmarks(System):
    """image [batch, 3, h, w], as POSTER V2 of the same config gets it, to `landmarks` [batch, 68, 2] in crop sides."""

    name = "poster_v2_landmarks"
    config_class = PosterV2Config
    variants: ClassVar[dict[str, dict[str, Any]]] = PosterV2.variants

    @classmethod
    def default_inputs(cls, config: PosterV2Config) -> dict[str, Input]:
        return PosterV2.default_inputs(config)

    @classmethod
    def default_outputs(cls, config: PosterV2Config) -> dict[str, Output]:
        """Points in the order of the 68-point scheme."""
        return {"landmarks": Output.points(SCHEME_68.points)}

    def __init__(self, config: PosterV2Config, *, inputs: Mapping[str, Input], outputs: Mapping[str, Output]) -> None:
        super().__init__(config, inputs=inputs, outputs=outputs)
        c = config
        self.landmark_net = MobileFaceNet(
            size=c.trunk_size, widths=c.landmark_widths, features=c.landmark_features, depths=c.landmark_depths
        )
        assert self.landmark_net.head is not None
        nn.init.constant_(self.landmark_net.head.norm.weight, 0.1)  # points start near the middle of the crop,
        nn.init.constant_(self.landmark_net.head.norm.bias, 0.5)  # not on its corner and a whole crop apart

    def forward(self, image: Float[Tensor, "batch 3 h w"]) -> dict[str, Tensor]:
        image = reduce_to(image, self.config.trunk_size, nearest=self.config.legacy)
        return {"landmarks": self.landmark_net.landmarks(self.landmark_net(image)[2])}
