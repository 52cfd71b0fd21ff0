"""CAN's training in the paper's order; each stage names by role the bundles of earlier ones that it starts from."""

from mien.systems.can.recognition import Context, FaceClassifier
from mien.systems.can.reconstruction import FaceReconstruction, VoiceReconstruction
from mien.systems.stage import Stage

STAGES: dict[str, type[Stage]] = {
    stage.name: stage for stage in (FaceReconstruction, VoiceReconstruction, FaceClassifier, Context)
}
