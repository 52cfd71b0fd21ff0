"""BundleInfo: what `system.json` of a bundle says, checked field by field when it is read.

A bundle is a folder: `system.json`, `README.md` (its card), and the weights as `model.safetensors` (to train on, to
evaluate) or `model.onnx` (to read faces without torch), or both.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, TypeVar

from mien.core.errors import MienError
from mien.core.json_text import parse_json
from mien.core.labels import LabelSet
from mien.core.licence import Licence
from mien.core.spec import (
    Control,
    Input,
    Output,
    PictureInput,
    VectorInput,
    first_labels,
    input_from_dict,
    input_to_dict,
    primary,
)
from mien.core.trust.calibration import Calibration
from mien.core.typed import checked, named, shown

Kind = TypeVar("Kind", Calibration, Control)
FORMAT = 2
TRAIN_FACES = "train_faces.npz"  # fingerprints of the faces it was trained on; may be absent
TRAIN_FACES_NAMES = (TRAIN_FACES, "seen_faces.npz")  # the second in older bundles, the shipped ones among them
_FILE_NAME, _SHA_256 = re.compile(r"[\w-][\w. -]{0,199}"), re.compile("[0-9a-f]{64}")
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
    controls: dict[str, Control] = field(default_factory=dict)
    """What may be set beside the inputs, by the name of the graph's input."""
    licence: Licence | None = None
    """What it may be used for; None where nobody has stated it, as in older bundles."""
    calibration: dict[str, Calibration] = field(default_factory=dict)
    """Of outputs of classes: thresholds of prediction sets, and what is unlike the held-out faces; absent in older
    bundles, and passed over by older versions."""
    format: int = FORMAT
    """Of the file; 1 and 2 are read."""

    def outputs_of(self, *kinds: str) -> dict[str, Output]:
        """The outputs of these kinds that stand for themselves, in order."""
        return {name: output for name, output in primary(self.outputs).items() if output.kind in kinds}

    def temperature(self, output: str) -> float:
        """Of an output of classes."""
        return self.temperatures.get(output, 1.0)

    def prior(self, output: str) -> tuple[float, ...]:
        """Share of each class of an output in training. Raises MienError where the bundle does not state it."""
        calibration = self.calibration.get(output)
        if calibration is None or len(calibration.prior) != len(self.outputs[output].names):
            raise MienError(
                f"{self.model_id} does not state how frequent its classes were in training, which a logit adjustment "
                "needs: it was made by an older version. Fit it again, or leave --logit-adjust out."
            )
        return calibration.prior

    @property
    def network_inputs(self) -> dict[str, Input]:
        """What the network itself takes: the vectors where it draws, beside which `image` only says what is drawn."""
        draws = any(isinstance(given, VectorInput) for given in self.inputs.values())
        return {name: given for name, given in self.inputs.items() if not draws or isinstance(given, VectorInput)}

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
        plain = json.loads(json.dumps(self.provenance), parse_constant=lambda _: None)  # JSON has no NaN
        values = asdict(self) | {
            "provenance": plain,
            "inputs": {name: input_to_dict(given) for name, given in self.inputs.items()},
            "outputs": {name: output.to_dict() for name, output in self.outputs.items()},
            "format": FORMAT,
        }
        for optional in ("controls", "licence", "calibration"):
            if not values[optional]:
                del values[optional]
        return json.dumps(values, indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, content: bytes | str, *, where: str) -> "BundleInfo":
        """Raises MienError that names file and key when the content is not such a file; `where` is its path."""
        with named(f"{where}: not a mien bundle"):
            return _from_values(parse_json(content, where=f"{where}: not a mien bundle: it"))


@dataclass(frozen=True)
class _Format2:
    system: str
    config: dict[str, Any]
    inputs: dict[str, Any]
    outputs: dict[str, Any]
    temperatures: dict[str, float] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)
    controls: dict[str, Any] = field(default_factory=dict)
    licence: Licence | None = None
    calibration: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class _Format1:
    """One picture as `input`, and one list of names as `labels`, whose name said what the outputs are."""

    system: str
    config: dict[str, Any]
    input: dict[str, Any]
    labels: dict[str, Any]
    temperature: float = 1.0
    files: dict[str, str] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)


def _from_values(values: Any) -> BundleInfo:
    """Fields that are not known are those of a later version and passed over."""
    version = checked(values.get("format", 1), int, key="format") if isinstance(values, dict) else FORMAT
    if version > FORMAT:
        raise MienError(f"it is written by a newer mien (format {version}, this one reads {FORMAT}). Update mien.")
    if version < 1:
        raise MienError(f"format must be in 1..{FORMAT}; got {version}.")
    info = _from_format_1(checked(values, _Format1, key="")) if version == 1 else _from_format_2(values)
    _check(info)
    return info


def _from_format_2(values: Any) -> BundleInfo:
    if isinstance(values, dict) and values.get("licence", ...) is None:  # a field that is there says something
        raise MienError("licence must have fields of its own (such as licence.use); got None.")
    stored: _Format2 = checked(values, _Format2, key="")
    calibration = _each(stored.calibration, Calibration, "calibration")
    controls = _each(stored.controls, Control, "controls")
    return BundleInfo(
        stored.system, stored.config,
        {name: input_from_dict(given, key=f"inputs.{name}") for name, given in stored.inputs.items()},
        {name: Output.from_dict(given, key=f"outputs.{name}") for name, given in stored.outputs.items()},
        stored.temperatures, stored.files, stored.provenance, controls, stored.licence, calibration,
    )  # fmt: skip


def _each(values: Mapping[str, Any], kind: type[Kind], where: str) -> dict[str, Kind]:
    """Each by its name. Raises MienError that states both."""
    found: dict[str, Kind] = {}
    for name, given in values.items():
        key = f"{where}.{name if name.isprintable() and len(name) < 80 else shown(name)}"
        with named(key):
            found[name] = checked(given, kind, key=key)
    return found


def _from_format_1(stored: _Format1) -> BundleInfo:
    main, output = _main_output(LabelSet.from_dict(stored.labels))
    temperatures = {main: stored.temperature} if output.kind == "classes" else {}
    inputs = {"image": input_from_dict(stored.input)}
    return BundleInfo(
        stored.system, stored.config, inputs, {main: output}, temperatures, stored.files, stored.provenance, format=1
    )


def _check(info: BundleInfo) -> None:
    """What the types of the fields do not say. Raises MienError that names the key."""
    for key, mapping in (("inputs", info.inputs), ("outputs", info.outputs)):
        if not mapping:
            raise MienError(f"{key} must name at least one.")
    for name in (info.system, *info.inputs, *info.controls, *info.outputs):
        if not name or len(name) > 200 or not name.isprintable():
            raise MienError(f"system, inputs and outputs must have names of 1 to 200 letters; got {shown(name)}.")
    if both := info.inputs.keys() & info.controls.keys():
        raise MienError(f"controls must have names of their own; got {shown(min(both))}, which is an input.")
    for name, output in info.outputs.items():
        described = info.outputs.get(output.of)
        if output.of and (described is None or described.of or len(described.names) != len(output.names)):
            raise MienError(f"outputs.{name}.of must be an output with as many points; got {shown(output.of)}.")
    for name, value in info.temperatures.items():
        if not 1e-3 <= value <= 1e3:
            raise MienError(f"temperatures.{shown(name)} must be in 0.001..1000; got {value!r}.")
    for name in info.calibration:
        if name not in info.outputs or info.outputs[name].kind != "classes":
            raise MienError(f"calibration.{shown(name)} is of no output of classes.")
    for name, digest in info.files.items():
        if not _FILE_NAME.fullmatch(name):
            raise MienError(f"files must be names of files in the bundle's own folder; got {shown(name)}.")
        if not _SHA_256.fullmatch(digest):
            raise MienError(f"files.{name} must be a SHA-256, 64 digits of 0-9 and a-f; got {shown(digest)}.")


def _described(name: str, output: Output) -> str:
    if output.kind == "classes":
        return f"{name}: {len(output.names)} classes"
    if output.kind == "points":
        return f"{name}: {len(output.names)} points"
    return f"{name}: {', '.join(output.names)}" if output.kind == "values" else name


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
    return replace(info, outputs=outputs)
