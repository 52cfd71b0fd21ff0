"""What ParFace-Net's stages share: which parts learn, and what is taken over from the bundle of an earlier stage."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from torch import nn

from mien.core.errors import MienError
from mien.systems.parface.network import ParFace
from mien.systems.registry import SYSTEMS
from mien.systems.stage import Objective, ParameterGroup, Stage
from mien.systems.system import System

SAME = ("size", "latent", "activation", "width")  # without which weights mean something else, shape or not
HEADS = ("landmark_head", "depth_head", "visibility_head")


class ParFaceStage(Stage):
    """Subclasses name the parts that learn, and those whose BatchNorm is in train mode."""

    needs_labels = False
    larger_is_better = False
    system: ParFace
    starts_from: ClassVar[Mapping[str, tuple[type[System], ...]]] = {"network": (ParFace,)}
    variant: ClassVar[str]  # ending of the registered name that has the parts this stage needs
    begins_untrained: ClassVar[bool] = False

    @classmethod
    def system_name(cls, name: str) -> str:
        wanted = name.removesuffix("_autoencoder").removesuffix("_3d") + cls.variant
        return wanted if wanted in SYSTEMS else name

    def __init__(self, system: System, **rest: Any) -> None:
        super().__init__(system, **rest)
        if not isinstance(system, ParFace):
            raise MienError(f"The stage {self.name} trains parface networks; got {system.name}.")
        if lacking := [part for part in self.trainable_parts() if part not in system.parts()]:
            options = {"discriminator": "discriminators", "latent_discriminator": "discriminators"}
            option = options.get(lacking[0], "heads")
            raise MienError(
                f"The stage {self.name} trains the {lacking[0]}, which this network has not. "
                f"Add it: --system.options.{option} (or take another --system.name, see mien models)."
            )
        system.train_only(self.trainable_parts(), in_train_mode=self.norms_in_train_mode())

    def trainable_parts(self) -> Sequence[str]:
        """The parts that learn; the others are frozen."""
        raise AssertionError(f"{type(self).__name__} does not name the parts it trains")

    def norms_in_train_mode(self) -> Sequence[str]:
        """The parts whose BatchNorm normalises with the batch and updates its statistics."""
        return self.trainable_parts()

    def parameters_of(self, *parts: str) -> list[nn.Parameter]:
        found = self.system.parts()
        return [p for part in parts for p in found[part].parameters() if p.requires_grad]

    def objectives(self) -> list[Objective]:
        group = ParameterGroup(self.parameters_of(*self.trainable_parts()))
        return [Objective("loss", self.loss_terms, (group,))]

    def needs_init(self, role: str) -> str:
        if self.begins_untrained:
            return ""
        return (
            f"The stage {self.name} goes on from a trained network: --init BUNDLE of the stage before "
            "(or --init random to insist)."
        )

    def start_from(self, role: str, other: System) -> None:
        """Takes every part that both networks have; what only this one has keeps its first weights. Heads of another
        number of points begin anew."""
        assert isinstance(other, ParFace)
        for name in SAME:
            theirs, ours = getattr(other.config, name), getattr(self.system.config, name)
            if theirs != ours:
                raise MienError(
                    f"--init has {name} {theirs!r}, this network {ours!r}: its weights would mean something else. "
                    f"Set --system.options.{name} {theirs}."
                )
        given = other.parts()
        for name, part in self.system.parts().items():
            if name in given and (name not in HEADS or other.config.points == self.system.config.points):
                _fill(part, given[name], name)
        if self.system.config.uncertainty and other.config.uncertainty:
            self.system.calibration.copy_(other.calibration)


def _fill(part: nn.Module, other: nn.Module, name: str) -> None:
    own, state = part.state_dict(), other.state_dict()
    differing = sorted(own.keys() ^ state.keys()) or [k for k in own if own[k].shape != state[k].shape]
    if differing:
        raise MienError(
            f"--init has another {name} than this network ({differing[0]}, ...). "
            "Give --system.options as in the run that made it."
        )
    part.load_state_dict(state)
