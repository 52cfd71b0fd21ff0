"""Stage 3: IFER, the classifier on the codes of a trained ASIT; every weight is trained."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, ClassVar

from mien.core.errors import MienError
from mien.systems.class_stage import ClassStage, head_rows
from mien.systems.ifer.inversion import Asit, EncoderConfig
from mien.systems.ifer.network import Ifer
from mien.systems.optim import OptimOptions
from mien.systems.system import System

HEAD = ("head.head.weight", "head.head.bias")


class IferExpression(ClassStage):
    """Cross-entropy from an ASIT's encoder, or from an IFER of other classes."""

    name = "expression"
    starts_from: ClassVar[Mapping[str, tuple[type[System], ...]]] = {"inversion": (Asit, Ifer)}
    default_optim = OptimOptions(
        name="adamw", lr=1e-4, weight_decay=0.05, schedule="cosine", min_lr=5e-6, warmup_epochs=20, clip=5
    )
    system: Ifer

    @classmethod
    def system_name(cls, name: str) -> str:
        return name if name.startswith(Ifer.name) else Ifer.name

    def needs_init(self, role: str) -> str:
        return "The stage expression reads the codes of a trained ASIT: --init BUNDLE (or random)."

    def start_from(self, role: str, other: System) -> None:
        """The encoder of an ASIT; of an IFER everything, its classes by name. Raises MienError for other widths."""
        own, theirs = self.system.config, other.config
        names = [field.name for field in fields(EncoderConfig) if field.name not in ("drop_path", "mapping_layers")]
        if apart := [name for name in names if getattr(own, name) != getattr(theirs, name)]:
            options = " ".join(f"--system.options.{name} {_word(getattr(theirs, name))}" for name in apart)
            raise MienError(f"The {other.name} has another encoder than this network. Its own: {options}.")
        if isinstance(other, Asit):
            given = other.inversion.encoder.state_dict()
            encoder = {name: value for name, value in given.items() if not name.startswith("feature_convs.")}
            self.system.encoder.load_state_dict(encoder)
            return
        state, fresh = dict(other.state_dict()), self.system.state_dict()
        head_rows(state, fresh, HEAD, before=other.labels.classes, names=self.system.labels.classes)
        self.load_weights(state)


def _word(value: Any) -> str:
    return f"'{list(value)}'" if isinstance(value, tuple) else str(value).lower() if value is True else str(value)
