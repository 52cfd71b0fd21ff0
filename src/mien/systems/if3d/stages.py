"""The training of DDAMFN and If3D: one stage, the same protocol for the photo alone, the render alone and the fusions.

Where we depart from the released scripts (`legacy` gives their losses back)
- Heads of attention are pushed apart in every network. Released: together in the fusions.
- The maps of photo and render are not pulled together. Released: by 0.05 or 0.1 of their squared difference.
- Valence and arousal are learned by the squared error and the CCC, where they are known. Released: by weights drawn
  anew for each batch, a term that is not the CCC, and zeros for what is not known.
- Photo and render are augmented alike, and the epoch is selected on a part of train.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from mien.core.errors import MienError
from mien.core.options import check_rules
from mien.nn.losses.affect import head_difference, head_diversity, published_affect_loss
from mien.systems.class_stage import ClassOptions, ClassStage, head_rows
from mien.systems.if3d.network import Ddamfn, If3D, alignment
from mien.systems.optim import OptimOptions
from mien.systems.stage import Stage, TorchBatch
from mien.systems.system import System

HEAD = ("classifier.output.weight", "classifier.output.bias")


@dataclass(frozen=True)
class ExpressionOptions(ClassOptions):
    """Options of the stage; the classes as in every stage that trains them."""

    heads: float = 0.1
    """Weight of the heads' diversity, at least 0; without effect with one head."""
    alignment: float = 0.0
    """Weight of the squared difference of the maps of photo and render, at least 0. Published: 0.05 in the linear
    fusion and 0.1 in the others."""
    legacy: bool = False
    """The released losses: heads pushed together in a fusion, and the mix of errors of valence and arousal."""

    def __post_init__(self) -> None:
        super().__post_init__()
        weights = {name: (getattr(self, name) >= 0, "at least 0") for name in ("heads", "alignment")}
        check_rules(self, "stage.options.", weights)


class Expression(ClassStage):
    """Classes, with valence and arousal where the data have them, from one stream or from two."""

    name = "expression"
    options_class = ExpressionOptions
    options: ExpressionOptions
    starts_from: ClassVar[Mapping[str, tuple[type[System], ...]]] = {"network": (Ddamfn, If3D)}
    default_optim = OptimOptions(name="adamw", lr=1e-4, weight_decay=0.01, schedule="cosine", warmup_epochs=1)
    system: Ddamfn | If3D

    def loss_terms(self, batch: TorchBatch, shared: Any = None) -> dict[str, Tensor]:
        options = self.options
        found = self.system.streams(*batch.take(self.system.input_names))
        terms = {"cross_entropy": self.cross_entropy(found.outputs["expression"], batch)}
        terms |= self.affect_terms(found.outputs, batch)
        if options.heads and self.system.config.heads > 1:
            fused = options.legacy and isinstance(self.system, If3D)
            loss = head_difference if fused else head_diversity
            together = torch.stack([loss(maps.float()) for maps in found.attention.values()])
            terms["heads"] = options.heads * together.sum()
        if options.alignment and isinstance(self.system, If3D):
            terms["alignment"] = options.alignment * alignment(found)
        return terms

    def affect_terms(self, outputs: Mapping[str, Tensor], batch: TorchBatch) -> dict[str, Tensor]:
        terms = super().affect_terms(outputs, batch)
        if not terms or not self.options.legacy:
            return terms
        assert batch.affect is not None
        alpha, beta, gamma = torch.rand(3).tolist()
        mixed = published_affect_loss(outputs["affect"].float(), batch.affect.nan_to_num(), (alpha, beta, gamma))
        return {"affect": self.options.affect * mixed}

    def start_from(self, role: str, other: System) -> None:
        """A network of the same kind gives everything, but of its head only the rows of classes that have the same name
        here; a network of one stream gives a fusion its trunk, for both streams, and its heads."""
        assert isinstance(other, Ddamfn | If3D)
        if type(other) is type(self.system):
            state = other.state_dict()
            before, names = other.outputs["expression"].names, self.system.outputs["expression"].names
            head_rows(state, self.system.state_dict(), HEAD, before=before, names=names)
            self.load_weights(state)
            return
        if isinstance(self.system, Ddamfn):
            raise MienError("A network of one stream cannot start from a fusion; start the fusion from the stream.")
        try:
            for trunk in (self.system.trunk, self.system.render_trunk):
                trunk.load_state_dict(other.trunk.state_dict())
            if len(other.heads) == len(self.system.heads):
                self.system.heads.load_state_dict(other.heads.state_dict())
        except RuntimeError as error:
            raise MienError(
                "--init: this bundle's trunk has other widths or depths. Take one of the same size."
            ) from error


STAGES: dict[str, type[Stage]] = {stage.name: stage for stage in (Expression,)}
