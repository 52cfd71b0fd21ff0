"""BundleInfo: what `system.json` of a bundle says. Reading the file is done where it is needed; this is its meaning.

A bundle is a folder: `system.json`, `README.md` (its card), and the weights as `model.safetensors` (to train on, to
evaluate) or `model.onnx` (to read faces without torch), or both.
"""

import json
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

from mien.core.errors import MienError
from mien.core.labels import LabelSet
from mien.core.spec import InputSpec

FORMAT = 1
SEEN_FACES = "seen_faces.npz"  # fingerprints of the faces it was trained on; may be absent


@dataclass(frozen=True)
class BundleInfo:
    """system: its registered name. config: the options that build the network. legacy: published behaviour.

    temperature: calibrates the logits (core.decode). files: file name -> SHA-256 of the weights beside it.
    provenance: stage, data, split, seed, selection and licence notes, as plain values.
    """

    system: str
    config: dict[str, Any]
    input: InputSpec
    labels: LabelSet
    temperature: float = 1.0
    files: dict[str, str] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)
    format: int = FORMAT

    @property
    def reads(self) -> Literal["expression", "landmarks", "picture"]:
        """What its outputs are: classes of expression, points, or (an autoencoder alone) the picture again."""
        if self.labels.name == "picture":
            return "picture"
        return "landmarks" if self.labels.name.startswith("landmarks_") else "expression"

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
        values = asdict(self) | {"input": self.input.to_dict(), "labels": self.labels.to_dict()}
        return json.dumps(values, indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str, *, where: str) -> "BundleInfo":
        """Raises MienError when the text is not such a file; `where` names it in the message."""
        try:
            values = json.loads(text)
            known = {f.name for f in fields(cls)}
            if values.get("format", FORMAT) > FORMAT:
                newer = f"written by a newer mien (format {values['format']}, this one reads {FORMAT})"
                raise MienError(f"{where}: {newer}. Update mien.")
            values = {k: v for k, v in values.items() if k in known}
            values["input"] = InputSpec.from_dict(values["input"])
            values["labels"] = LabelSet.from_dict(values["labels"])
            return cls(**values)
        except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
            raise MienError(f"{where}: not a mien bundle ({type(error).__name__}: {error}).") from error
