"""System: a paper's network together with what is needed to use it (its config, InputSpec and LabelSet)."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

from torch import Tensor, nn

from mien.core.bundle import BundleInfo
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

    @classmethod
    def default_labels(cls, config: Any) -> LabelSet:
        """What the outputs are called where nobody says: as many names as the network has outputs for that config."""
        return LabelSet("unnamed", tuple(f"class_{i}" for i in range(config.num_classes)))

    def __init__(self, config: Any, *, input_spec: InputSpec, labels: LabelSet) -> None:
        super().__init__()
        self.config, self.input_spec, self.labels = config, input_spec, labels
        self.info: BundleInfo | None = None  # set where the weights came from a bundle

    def forward(self, image: Tensor) -> Tensor:
        raise AssertionError(f"{type(self).__name__} has no forward")

    def outputs(self, image: Tensor) -> dict[str, Tensor]:
        """What an exported network gives, by name: `logits`, or `landmarks` [batch, points, 2] in crop sides and where
        there are such `sigma` [batch, points] (error to expect, crop sides), `visible` (probability) and `depth`."""
        return {"landmarks" if self.labels.name.startswith("landmarks_") else "logits": self(image)}

    def for_inference(self) -> nn.Module:
        """A network with the same outputs in eval mode, rebuilt for speed and export (folded norms); here: itself."""
        return self.eval()

    def save_pretrained(
        self, folder: Path | str, *, card: str = "", provenance: Mapping[str, Any] | None = None
    ) -> BundleInfo:
        """Writes a bundle: weights (safetensors), `system.json`, card. A temperature once fitted is kept."""
        from mien.systems.bundle import save_bundle

        temperature = self.info.temperature if self.info else 1.0
        known = self.info.provenance if self.info else {}
        return save_bundle(folder, self, temperature=temperature, provenance={**known, **(provenance or {})}, card=card)

    @classmethod
    def from_pretrained(cls, name: Path | str) -> Self:
        """The system of a bundle folder or a hub id `owner/model`, in eval mode. Raises MienError for another class."""
        from mien.systems.bundle import from_hub, load

        is_hub_id = not Path(name).exists() and str(name).count("/") == 1 and not str(name).startswith((".", "/", "~"))
        system = load(from_hub(str(name)) if is_hub_id else name)
        if not isinstance(system, cls):
            raise MienError(f"{name} is a {system.name}, not a {cls.name}. `mien.load` takes any bundle.")
        return system


def config_from(config_class: type, options: dict[str, Any], *, where: str) -> Any:
    """The config dataclass from plain options. Raises MienError that names an unknown key and the nearest right one."""
    assert is_dataclass(config_class)
    known = {f.name for f in fields(config_class)}
    for key in options:
        if key not in known:
            raise MienError(f"{where} has no option {key!r}.{nearest(key, known)}")
    return config_class(**{k: tuple(v) if isinstance(v, list) else v for k, v in options.items()})
