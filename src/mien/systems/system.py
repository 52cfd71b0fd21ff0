"""System: a paper's network together with its config and with what it takes and gives."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

from torch import Tensor, nn

from mien.core.bundle import BundleInfo
from mien.core.errors import MienError
from mien.core.labels import LabelSet
from mien.core.spec import Control, Input, Output, PictureInput, VectorInput, first_labels
from mien.nn.explanation import AttentionMap


class System(nn.Module):
    """A network that declares its inputs and outputs.

    Subclasses name themselves (`name`), declare a frozen config dataclass (`config_class`) and define
    `forward(*inputs) -> {output name: tensor}` over the fields of a batch that `input_names` lists, in that order.
    """

    name: ClassVar[str]
    config_class: ClassVar[type]
    variants: ClassVar[dict[str, dict[str, Any]]] = {"base": {}}
    input_names: ClassVar[tuple[str, ...]] = ("image",)
    # Prefixes of parameter names, group by group from the input to the output, for optim.layer_decay. A parameter
    # belongs to the group of its longest prefix.
    layer_groups: ClassVar[tuple[tuple[str, ...], ...]] = ()
    # Names of modules that give a feature map [batch, channels, h, w] of the picture, for Grad-CAM, the default first.
    feature_maps: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def default_inputs(cls, config: Any) -> dict[str, Input]:
        """What the network takes with that config, as the paper trains it, by the names of `input_names`."""
        return {"image": PictureInput()}

    @classmethod
    def default_outputs(cls, config: Any) -> dict[str, Output]:
        """What the network gives with that config, the main output first.

        Here: one output of classes, numbered until labels are known.
        """
        labels = LabelSet("unnamed", tuple(f"class_{i}" for i in range(config.num_classes)))
        return {"expression": Output.classes(labels)}

    @classmethod
    def default_controls(cls, config: Any) -> dict[str, Control]:
        """What may be set beside the inputs: further arguments of `forward` [batch, length], each None by default."""
        return {}

    def __init__(self, config: Any, *, inputs: Mapping[str, Input], outputs: Mapping[str, Output]) -> None:
        super().__init__()
        self.config, self.inputs, self.outputs = config, dict(inputs), dict(outputs)
        self.controls = self.default_controls(config)
        self.info: BundleInfo | None = None  # set where the weights came from a bundle

    def forward(self, *inputs: Any, **options: Any) -> dict[str, Tensor]:  # subclasses name their inputs
        raise AssertionError(f"{type(self).__name__} has no forward")

    def attention_maps(self, *inputs: Any) -> dict[str, AttentionMap]:
        """How much the network reads from each place of these inputs, by name, the default first; here: it has no
        attention over places."""
        return {}

    @property
    def data_inputs(self) -> dict[str, Input]:
        """The inputs that data give for training, by name: all but the vectors, which are drawn."""
        return {name: given for name, given in self.inputs.items() if not isinstance(given, VectorInput)}

    @property
    def picture(self) -> PictureInput:
        """The input `image`: how a face is cut out for this network."""
        found = self.inputs["image"]
        assert isinstance(found, PictureInput)
        return found

    @property
    def labels(self) -> LabelSet:
        """The order of the first output of classes. Raises MienError where the network gives no classes."""
        return first_labels(self.outputs, where=self.name)

    def for_inference(self) -> nn.Module:
        """A network with the same outputs in eval mode, rebuilt for speed and export (folded norms); here: itself."""
        return self.eval()

    def save_pretrained(
        self, folder: Path | str, *, card: str = "", provenance: Mapping[str, Any] | None = None
    ) -> BundleInfo:
        """Writes a bundle: weights (safetensors), `system.json`, card. What was fitted on held-out faces is kept."""
        from mien.systems.bundle import save_bundle

        info = self.info
        return save_bundle(
            folder, self, temperatures=info.temperatures if info else None,
            calibration=info.calibration if info else None,
            provenance={**(info.provenance if info else {}), **(provenance or {})}, card=card,
            licence=info.licence if info else None,
        )  # fmt: skip

    @classmethod
    def from_pretrained(cls, name: Path | str) -> Self:
        """The system of a bundle folder or a hub id `owner/model`, in eval mode. Raises MienError for another class."""
        from mien.systems.bundle import from_hub, load

        is_hub_id = not Path(name).exists() and str(name).count("/") == 1 and not str(name).startswith((".", "/", "~"))
        system = load(from_hub(str(name)) if is_hub_id else name)
        if not isinstance(system, cls):
            raise MienError(f"{name} is a {system.name}, not a {cls.name}. `mien.load` takes any bundle.")
        return system
