"""SMIRK's training in the paper's order."""

from mien.systems.smirk.pretraining import Pretrain
from mien.systems.smirk.synthesis import Synthesis
from mien.systems.stage import Stage

STAGES: dict[str, type[Stage]] = {stage.name: stage for stage in (Pretrain, Synthesis)}
