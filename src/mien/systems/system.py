"""System: a paper's network together with what is needed to use it (its config, InputSpec and LabelSet)."""

from dataclasses import fields, is_dataclass
from typing import Any, ClassVar

from torch import Tensor, nn

from mien.core.errors import MienError, nearest
from mien.core.labels import LabelSet
from mien.core.spec import InputSpec


class System(nn.Module):
    """A network that knows how its input is prepared and what its outputs are called.

    Subclasses name themselves (`name`), declare a frozen config dataclass (`config_class`) and define
    `forward(image) -> logits`, image [batch, 3, size, size] float32 as `input_spec` says.
    """

    name: ClassVar[str]
    config_class: ClassVar[type]
    variants: ClassVar[dict[str, dict[str, Any]]] = {"base": {}}

    @classmethod
    def default_input(cls, config: Any) -> InputSpec:
        """The InputSpec that the paper trains with, for that config."""
        return InputSpec()

    def __init__(self, config: Any, *, input_spec: InputSpec, labels: LabelSet) -> None:
        super().__init__()
        self.config, self.input_spec, self.labels = config, input_spec, labels

    def forward(self, image: Tensor) -> Tensor:
        raise AssertionError(f"{type(self).__name__} has no forward")

    def for_inference(self) -> nn.Module:
        """A network with the same outputs in eval mode, rebuilt for speed and export (folded norms); here: itself."""
        return self.eval()


def config_from(config_class: type, options: dict[str, Any], *, where: str) -> Any:
    """The config dataclass from plain options. Raises MienError that names an unknown key and the nearest right one."""
    assert is_dataclass(config_class)
    known = {f.name for f in fields(config_class)}
    for key in options:
        if key not in known:
            raise MienError(f"{where} has no option {key!r}.{nearest(key, known)}")
    return config_class(**{k: tuple(v) if isinstance(v, list) else v for k, v in options.items()})
