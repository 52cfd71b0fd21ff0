"""ParFace-Net's training in the paper's order; the bundle of each stage is the next one's --init."""

from mien.systems.parface.alignment import Depth, Landmarks, Landmarks3DA, Landmarks3DAEncoder, LandmarksEncoder
from mien.systems.parface.reconstruction import FineTune, Inversion, SelfSupervised
from mien.systems.stage import Stage

ORDER: tuple[type[Stage], ...] = (
    SelfSupervised,
    FineTune,
    Inversion,
    Landmarks,
    LandmarksEncoder,
    Landmarks3DA,
    Landmarks3DAEncoder,
    Depth,
)
STAGES: dict[str, type[Stage]] = {stage.name: stage for stage in ORDER}
