"""BundleInfo: what `system.json` of a bundle says. Reading the file is done where it is needed; this is its meaning.

A bundle is a folder: `system.json`, `README.md` (its card), and the weights as `model.safetensors` (to train on, to
evaluate) or `model.onnx` (to read faces without torch), or both.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from mien.core.errors import MienError
from mien.core.labels import LabelSet
from mien.core.spec import (
    Input,
    Output,
    PictureInput,
    first_labels,
    input_from_dict,
    input_to_dict,
    primary,
)

FORMAT = 2
TRAIN_FACES = "train_faces.npz"  # fingerprints of the faces it was trained on; may be absent
TRAIN_FACES_NAMES = (TRAIN_FACES, "seen_faces.npz")  # the second in older bundles, the shipped ones among them
# What format 1 did not declare, by name: the values of each point that its networks could give beside the points.
POINT_VALUES: dict[str, tuple[str, tuple[float, float] | None]] = {
    "sigma": ("crop sides", None),
    "visible": ("probability", (0.0, 1.0)),
    "depth": ("crop sides", None),
}


@dataclass(frozen=True)
class BundleInfo:
    """What is known of a bundle's network without its weights."""

    system: str
    """Registered name of the system."""
    config: dict[str, Any]
    """Options that build the network."""
    inputs: dict[str, Input]
    """What the network takes, by the name of the batch's field."""
    outputs: dict[str, Output]
    """What the network gives, by name; the first one is the main one."""
    temperatures: dict[str, float] = field(default_factory=dict)
    """Of each output of classes: what its logits are divided by to be calibrated (core.decode); 1 where absent."""
    files: dict[str, str] = field(default_factory=dict)
    """File name to SHA-256 of the weights beside the description."""
    provenance: dict[str, Any] = field(default_factory=dict)
    """Stage, data, split, seed, selection and licence notes, as plain values."""
    format: int = FORMAT
    """Of the file; 1 and 2 are read."""

    def outputs_of(self, *kinds: str) -> dict[str, Output]:
        """The outputs of these kinds that stand for themselves, in order."""
        return {name: output for name, output in primary(self.outputs).items() if output.kind in kinds}

    def temperature(self, output: str) -> float:
        """Of an output of classes."""
        return self.temperatures.get(output, 1.0)

    @property
    def picture(self) -> PictureInput:
        """The input that a face is cut out for. Raises MienError where the network takes no picture."""
        found = self.inputs.get("image") or next((i for i in self.inputs.values() if isinstance(i, PictureInput)), None)
        if not isinstance(found, PictureInput):
            raise MienError(f"{self.system} takes no picture, only {', '.join(self.inputs)}.")
        return found

    @property
    def labels(self) -> LabelSet:
        """The order of the first output of classes. Raises MienError where the network gives no classes."""
        return first_labels(self.outputs, where=self.model_id)

    @property
    def gives(self) -> str:
        """What the network gives, in a few words for messages and lists."""
        return ", ".join(_described(name, output) for name, output in primary(self.outputs).items())

    @property
    def train_faces(self) -> str | None:
        """File name of the fingerprints of its training faces; None where it carries none."""
        return next((name for name in TRAIN_FACES_NAMES if name in self.files), None)

    @property
    def weight_hash(self) -> str:
        """The first 12 digits of the SHA-256 that names these weights in tables and reports."""
        for name in ("model.safetensors", "model.onnx"):
            if name in self.files:
                return self.files[name][:12]
        return ""

    @property
    def model_id(self) -> str:
        """`system@weights`, as tables and metrics name the model."""
        return f"{self.system}@{self.weight_hash}" if self.weight_hash else self.system

    def to_json(self) -> str:
        """The text of `system.json`, always in the newest format."""
        values = asdict(self) | {
            "inputs": {name: input_to_dict(given) for name, given in self.inputs.items()},
            "outputs": {name: output.to_dict() for name, output in self.outputs.items()},
            "format": FORMAT,
        }
        return json.dumps(values, indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str, *, where: str) -> "BundleInfo":
        """Raises MienError when the text is not such a file; `where` names it in the message."""
        try:
            values = json.loads(text)
            written = values.get("format", 1)
            if written > FORMAT:
                newer = f"written by a newer mien (format {written}, this one reads {FORMAT})"
                raise MienError(f"{where}: {newer}. Update mien.")
            values = _from_format_1(values) if written == 1 else values
            known = {f.name for f in fields(cls)}
            values = {name: value for name, value in values.items() if name in known}
            values["inputs"] = {name: input_from_dict(given) for name, given in values["inputs"].items()}
            values["outputs"] = {name: Output.from_dict(given) for name, given in values["outputs"].items()}
            return cls(**values)
        except MienError as error:
            raise error if str(error).startswith(where) else MienError(f"{where}: {error}") from error
        except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
            raise MienError(f"{where}: not a mien bundle ({type(error).__name__}: {error}).") from error


def _described(name: str, output: Output) -> str:
    if output.kind == "classes":
        return f"{name}: {len(output.names)} classes"
    if output.kind == "points":
        return f"{name}: {len(output.names)} points"
    return f"{name}: {', '.join(output.names)}" if output.kind == "values" else name


def _from_format_1(values: Mapping[str, Any]) -> dict[str, Any]:
    """Format 1 had one picture as `input` and one list of names as `labels`, whose name said what the outputs are."""
    labels = LabelSet.from_dict(values["labels"])
    main, output = _main_output(labels)
    rest = {name: value for name, value in values.items() if name not in ("input", "labels", "temperature", "format")}
    temperature = values.get("temperature", 1.0)
    return rest | {
        "inputs": {"image": values["input"]},
        "outputs": {main: output.to_dict()},
        "temperatures": {main: temperature} if output.kind == "classes" else {},
        "format": 1,
    }


def _main_output(labels: LabelSet) -> tuple[str, Output]:
    if labels.name == "picture":
        return "picture", Output("picture")
    if labels.name.startswith("landmarks_"):
        return "landmarks", Output.points(len(labels))
    return "expression", Output.classes(labels)


def with_outputs_found(info: BundleInfo, found: Mapping[str, tuple[int, ...]]) -> BundleInfo:
    """Of format 1: the description with the outputs that the network was seen to give, by name and shape of a sample.

    Format 2 declares them all and is returned as it is.
    """
    if info.format != 1:
        return info
    outputs = dict(info.outputs)
    for name, shape in found.items():
        if name not in outputs and name in POINT_VALUES and "landmarks" in outputs:
            unit, limits = POINT_VALUES[name]
            outputs[name] = Output.per_point("landmarks", len(outputs["landmarks"].names), unit=unit, limits=limits)
        elif name == "latent" and len(shape) == 1:
            outputs[name] = Output("vector")
    return BundleInfo(**{**{f.name: getattr(info, f.name) for f in fields(info)}, "outputs": outputs})
