"""InputSpec: how a face must be cut out, resampled and normalised for a network. It travels with the weights."""

from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from mien.core.errors import MienError, nearest

POINT_BOX_NAMES = ("rectangle", "landmarks", "detector")
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class InputSpec:
    """What a network's input is made of.

    size: side in pixels of the square the network gets. mean, std: per channel, of pixel values in 0..1.
    color: "rgb", or "grey" for luminance repeated on three channels.
    fit: what happens to a picture that is itself the face crop and is not square: "squash" (as published) or "pad".
    box_scale, box_shift: how a detector's box becomes the data set's own framing: a square of side
    box_scale * (mean of box width and height), its centre moved by box_shift (x, y) times that mean.
    point_box: where a face's points are known and no box is, the box they stand for (core.framing): "rectangle",
    "landmarks" or "detector".
    resample: "bilinear" (anti-aliased, the Pillow convention) or "nearest".
    """

    size: int = 224
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    color: Literal["rgb", "grey"] = "rgb"
    fit: Literal["squash", "pad"] = "squash"
    box_scale: float = 1.0
    box_shift: tuple[float, float] = (0.0, 0.0)
    resample: Literal["bilinear", "nearest"] = "bilinear"
    point_box: Literal["rectangle", "landmarks", "detector"] = "rectangle"

    def __post_init__(self) -> None:
        rules = {
            "size": (self.size >= 8, "at least 8"),
            "color": (self.color in ("rgb", "grey"), "'rgb' or 'grey'"),
            "fit": (self.fit in ("squash", "pad"), "'squash' or 'pad'"),
            "resample": (self.resample in ("bilinear", "nearest"), "'bilinear' or 'nearest'"),
            "point_box": (self.point_box in POINT_BOX_NAMES, "'rectangle', 'landmarks' or 'detector'"),
            "std": (all(s > 0 for s in self.std), "above 0"),
            "box_scale": (self.box_scale > 0, "above 0"),
        }
        for name, (holds, rule) in rules.items():
            if not holds:
                raise MienError(f"InputSpec.{name} must be {rule}; got {getattr(self, name)!r}.")

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "InputSpec":
        known = [f.name for f in fields(cls)]
        for name in values:
            if name not in known:
                raise MienError(f"InputSpec has no field {name!r}.{nearest(name, known)}")
        tuples: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        return cls(**tuples)
