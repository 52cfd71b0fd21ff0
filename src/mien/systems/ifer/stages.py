"""The training of StyleGAN2, ASIT and IFER in the paper's order; each stage names the bundles that it starts from."""

from mien.systems.ifer.generation import Generation
from mien.systems.ifer.recognition import IferExpression
from mien.systems.ifer.reconstruction import FineTuning, InversionTraining
from mien.systems.stage import Stage

STAGES: dict[str, type[Stage]] = {
    stage.name: stage for stage in (Generation, InversionTraining, FineTuning, IferExpression)
}
