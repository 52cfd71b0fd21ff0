"""SMIRK's encoders: a photo to the parameters of a 3D face.

Retsinas et al., 3D Facial Expressions through Analysis-by-Neural-Synthesis, CVPR 2024.

What is unusual here
- Three networks see the same photo: one for the head's pose and the camera, one for the shape, one for expression,
  eyelids and jaw. Only the last one is trained in the paper's second stage.
- Jaw and eyelids are bounded by what a face can do.

Where we depart from the released code
- The 3D face is exchangeable; by default it is the open one, whose expression parameters are action units. Released:
  FLAME 2020, whose files need a registration.
- The 68 landmarks and their depths are outputs beside the parameters, so that the network can be trained, evaluated and
  used as a landmark model. With `face: none` it gives the parameters alone, as released.
- `encoder: shared` gives all parameters from one small network, and `encoder: points` from one that looks for the 68
  points first. Their bounds pass the gradient on, so that a lid that is wrongly open or shut still learns; the three
  published encoders keep their bounds, which do not.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mien.core.face3d import Face3D
from mien.core.options import check_choices, check_rules
from mien.core.spec import Input, Output, PictureInput
from mien.nn.face3d.flame import Flame, landmark_model
from mien.nn.face3d.mobilenet import MobileNetV3Minimal, pooled
from mien.nn.face3d.point_encoder import PointEncoder
from mien.nn.face3d.render import project
from mien.nn.face3d.smirk import FIRST_SCALE, JAW_TURN, FaceParameters, SmirkEncoder
from mien.nn.folding import folded
from mien.synthetic.faces3d import face_named
from mien.systems.system import System

Photo = Float[Tensor, "batch 3 size size"]
XYZ = ("x", "y", "z")
POINTS = 68
MOST_PARAMETERS = 1000


@dataclass(frozen=True)
class SmirkConfig:
    """Configuration of the encoders."""

    face: str = "open"
    """The 3D face whose parameters are predicted: open, or a name that `mien assets list` shows; none predicts
    parameters without landmarks, as released."""
    shapes: int = 0
    """Number of shape parameters; 0 for all that the face has."""
    expressions: int = 0
    """Number of expression parameters; 0 for all that the face has."""
    encoder: Literal["three", "shared", "points"] = "three"
    """three: MobileNetV3 small for the pose, large for shape and for expression, as published; shared: one network;
    points: one network that looks for the 68 points first, and reads the parameters from them (needs a face)."""
    backbone: Literal["small", "large"] = "small"
    """Of the shared encoder; without effect with the others."""
    input_size: int = 224
    """Side of the input picture, in pixels, at least 32; with points a multiple of 16."""

    def __post_init__(self) -> None:
        check_choices(self, "smirk: ")
        counted = self.face != "none"
        least = 0 if counted else 1
        rule = f"in {least}..{MOST_PARAMETERS}" + ("" if counted else " with face none, which has no number of its own")
        check_rules(
            self,
            "smirk: ",
            {
                "input_size": (
                    self.input_size >= 32 and (self.encoder != "points" or self.input_size % 16 == 0),
                    "at least 32" + (", and with encoder points a multiple of 16" if self.encoder == "points" else ""),
                ),
                "encoder": (counted or self.encoder != "points", "'three' or 'shared' with face none"),
                "shapes": (least <= self.shapes <= MOST_PARAMETERS, rule),
                "expressions": (least <= self.expressions <= MOST_PARAMETERS, rule),
            },
        )

    @property
    def face3d(self) -> Face3D | None:
        """The arrays of the face; None for none. Raises MienError for a face that is not registered."""
        return None if self.face == "none" else face_named(self.face)

    @property
    def counts(self) -> tuple[int, int]:
        """Numbers of shape and expression parameters."""
        face = self.face3d
        own = (0, 0) if face is None else (face.shape_count, face.expression_count)
        return self.shapes or own[0], self.expressions or own[1]


# Sizes of what one unit of the shared layer's outputs changes: pose, scale, shift, shape, expression, lids, jaw. So one
# learning rate suits a head's shift in metres and its scale.
UNITS = (0.1, 0.5, 0.01, 0.3, 0.1, 0.2, 0.05)


class AllParameters(nn.Module):
    """The numbers of one last layer, near 0 at first, as FaceParameters: the mean face, seen from the front."""

    units: Tensor

    def __init__(self, *, shapes: int, expressions: int) -> None:
        super().__init__()
        self.sizes = (3, 3, shapes, expressions, 2, 3)
        counts = (3, 1, 2, shapes, expressions, 2, 3)
        units = torch.cat([torch.full((n,), unit) for n, unit in zip(counts, UNITS, strict=True)])
        self.register_buffer("units", units, persistent=False)

    def forward(self, numbers: Float[Tensor, "batch parameters"]) -> FaceParameters:
        pose, camera, shape, expression, lids, jaw = (numbers * self.units).split(self.sizes, dim=1)
        camera = torch.cat([FIRST_SCALE + camera[:, :1], camera[:, 1:]], dim=1)
        turned = _bounded(jaw[:, 1:], -JAW_TURN, JAW_TURN)
        opened = _bounded(jaw[:, :1], 0.0, 1.0)
        lids = _bounded(lids, 0.0, 1.0)
        return FaceParameters(pose, camera, shape, expression, lids, torch.cat([opened, turned], dim=1))


class SharedEncoder(AllParameters):
    """One network from a photo to FaceParameters."""

    def __init__(self, backbone: str, *, shapes: int, expressions: int) -> None:
        super().__init__(shapes=shapes, expressions=expressions)
        self.encoder = MobileNetV3Minimal(backbone)
        self.layer = nn.Linear(self.encoder.features, sum(self.sizes))
        nn.init.zeros_(self.layer.bias)
        with torch.no_grad():
            self.layer.weight.mul_(0.1)

    def forward(self, photo: Photo) -> FaceParameters:
        return super().forward(self.layer(pooled(self.encoder(photo))))


class PointsFirst(AllParameters):
    """A PointEncoder's numbers as FaceParameters; `with_points` gives its points too."""

    def __init__(self, mean_points: Float[Tensor, "68 2"], *, shapes: int, expressions: int) -> None:
        super().__init__(shapes=shapes, expressions=expressions)
        self.encoder = PointEncoder(sum(self.sizes), mean_points=mean_points)

    def forward(self, photo: Photo) -> FaceParameters:
        return self.with_points(photo)[0]

    def with_points(self, photo: Photo) -> tuple[FaceParameters, Float[Tensor, "batch 68 2"]]:
        numbers, points = self.encoder(photo)
        return super().forward(numbers), points


def _bounded(x: Tensor, low: float, high: float) -> Tensor:
    """The value within the bounds, with the gradient of the value itself."""
    return x + (x.clamp(low, high) - x).detach()


class LandmarkLayer(nn.Module):
    """Parameters of a face to its 68 landmarks [batch, 68, 2] in crop sides and their depths [batch, 68], mean 0."""

    weights: Tensor

    def __init__(self, face: Face3D) -> None:
        super().__init__()
        model, embedding = landmark_model(face)
        self.flame = Flame(model)
        self.register_buffer("weights", embedding.barycentric, persistent=False)

    def forward(self, found: FaceParameters) -> tuple[Float[Tensor, "batch 68 2"], Float[Tensor, "batch 68"]]:
        vertices = self.flame(found.shape, found.expression, found.pose, found.jaw, found.lids)
        corners = vertices[:, self.flame.triangles]
        points = project((corners * self.weights[:, :, None]).sum(2), found.camera)
        depth = -points[..., 2] / 2
        return (points[..., :2] + 1) / 2, depth - depth.mean(1, keepdim=True)

    @torch.no_grad()
    def of_mean_face(self, *, shapes: int, expressions: int) -> Float[Tensor, "68 2"]:
        """Landmarks of the mean face, seen from the front, in crop sides."""
        parameters = AllParameters(shapes=shapes, expressions=expressions)
        points: Tensor = self(parameters(torch.zeros(1, sum(parameters.sizes))))[0]
        return points[0]


class Smirk(System):
    """image [batch, 3, size, size], RGB in 0..1, to `landmarks` and `depth`, and the parameters `pose`, `camera`,
    `shape`, `expression`, `lids` and `jaw` (nn.face3d.smirk.FaceParameters)."""

    name = "smirk"
    config_class = SmirkConfig
    variants: ClassVar[dict[str, dict[str, Any]]] = {
        "base": {},
        "small": {"encoder": "shared", "input_size": 112},
        "points": {"encoder": "points", "input_size": 112},
    }
    config: SmirkConfig

    @classmethod
    def default_inputs(cls, config: SmirkConfig) -> dict[str, Input]:
        """The photo as it is, 1.4 times the box of the landmarks, as the release cuts it out."""
        picture = PictureInput(size=config.input_size, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0), box_scale=1.4)
        return {"image": picture}

    @classmethod
    def default_outputs(cls, config: SmirkConfig) -> dict[str, Output]:
        face, (shapes, expressions) = config.face3d, config.counts
        outputs: dict[str, Output] = {}
        if face is not None:
            outputs["landmarks"] = Output.points(POINTS)
            outputs["depth"] = Output.per_point("landmarks", POINTS, unit="crop sides")
        return outputs | {
            "pose": Output("values", XYZ, unit="radians"),
            "camera": Output("values", ("scale", "x", "y")),
            "shape": Output("values", _names(face.shape_names if face else (), "shape", shapes)),
            "expression": Output("values", _names(face.expression_names if face else (), "expression", expressions)),
            "lids": Output("values", ("left", "right"), range=(0.0, 1.0)),
            "jaw": Output("values", XYZ, unit="radians"),
        }

    def __init__(self, config: SmirkConfig, **rest: Any) -> None:
        super().__init__(config, **rest)
        face = config.face3d
        self.landmarks = None if face is None else LandmarkLayer(face)
        self.encoder = self._encoder()

    def _encoder(self) -> nn.Module:
        config, (shapes, expressions) = self.config, self.config.counts
        if config.encoder == "three":
            return SmirkEncoder(shapes=shapes, expressions=expressions)
        if config.encoder == "shared":
            return SharedEncoder(config.backbone, shapes=shapes, expressions=expressions)
        assert self.landmarks is not None
        mean_points = self.landmarks.of_mean_face(shapes=shapes, expressions=expressions)
        return PointsFirst(mean_points, shapes=shapes, expressions=expressions)

    def parameters_of_face(self, image: Photo) -> FaceParameters:
        """What the face in the photo is."""
        found: FaceParameters = self.encoder(image)
        return found

    def face_and_points(self, image: Photo) -> tuple[FaceParameters, Tensor | None]:
        """The same, and the points that it was read from [batch, 68, 2] in crop sides, where it was."""
        if isinstance(self.encoder, PointsFirst):
            return self.encoder.with_points(image)
        return self.parameters_of_face(image), None

    def forward(self, image: Photo) -> dict[str, Tensor]:
        return self.outputs_of(self.parameters_of_face(image))

    def for_inference(self) -> nn.Module:
        return folded(self)

    def outputs_of(self, found: FaceParameters) -> dict[str, Tensor]:
        """The parameters by name, with the landmarks where there is a face."""
        if self.landmarks is None:
            return found.tensors()
        points, depth = self.landmarks(found)
        return {"landmarks": points, "depth": depth, **found.tensors()}


def _names(known: tuple[str, ...], what: str, count: int) -> tuple[str, ...]:
    """The face's own names; numbers where it has none."""
    return tuple(known[i] if i < len(known) else f"{what}_{i}" for i in range(count))
