"""The training of SMIRK's encoders, stage 2: analysis by neural synthesis, and the cycle.

A generator draws the photo again from the render of the predicted face and the photo without its face, so that the
render must show what the photo shows. In the cycle, faces with other expressions are rendered and drawn, and the
encoder must find those expressions in the drawings. Retsinas et al., CVPR 2024, sections 3.2 and 3.3.

Where we depart from the released script
- The masked area is the hull of the 68 landmarks and of the render, with a margin; released: of MediaPipe's points.
- Expressions of the cycle are noisy, exchanged, single units, or none; released: recorded FLAME templates, whose
  licence forbids to ship them, in place of single units.
- The learning rate falls once, over the run. Released: to 1 % in each epoch anew.
- The feature loss looks through any expression network of mien. Released: through EMOCA's ResNet-50.
- The perceptual loss is the squared difference of VGG-19's features. Released: the absolute one of VGG-16's.
- Everything of stage 1 may be kept: landmarks, and the truth of synthetic people.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mien.core.errors import MienError
from mien.core.options import at_least, check_rules
from mien.core.spec import PictureInput
from mien.media.bundles import bundle_folder
from mien.nn.face3d.flame import Flame, flame_model
from mien.nn.face3d.masked_photo import Marks, grown, hull_area, marked, masked_photo
from mien.nn.face3d.render import Fragments, grey_picture, project, rasterize
from mien.nn.face3d.smirk import JAW_TURN, FaceParameters, SmirkEncoder, SmirkGenerator
from mien.nn.losses import reconstruction
from mien.systems.bundle import WEIGHTS, load
from mien.systems.frozen import FrozenNetwork
from mien.systems.optim import OptimOptions
from mien.systems.smirk.network import Smirk
from mien.systems.smirk.pretraining import OF_OPEN_FACE, Pretrain, PretrainOptions, landmarks_of
from mien.systems.stage import Objective, ParameterGroup, Predictions, TorchBatch
from mien.systems.system import System

LEVELS = 16  # the generator halves the picture four times
MARGIN = 10 / 224  # of the masked area around the face, in sides of the picture
VGG_LAYERS = (3, 8, 17, 26)  # relu1_2, relu2_2, relu3_4, relu4_4
JAW_NOISE = (0.2, 0.02, 0.02)  # standard deviations, radians
LID_NOISE = 0.2
HARDER = 10.0  # weight of jaw and lids in the cycle, against expression
LIGHTER = {"lips": 0.5, "nose": 0.5}  # weights of regions in which less of the photo is left
GENERATOR = "generator_"


@dataclass(frozen=True)
class SynthesisOptions(PretrainOptions):
    """Weights of the loss terms, those of stage 1 included; 0 turns a term off."""

    photo: float = 10.0
    """Mean absolute difference of the drawn picture and the photo."""
    perceptual: float = 1.0
    """Mean squared difference of VGG-19's features at four depths; needs VGG-19's ImageNet weights."""
    vgg: str = ""
    """VGG-19 weight file; by default that in torchvision's cache."""
    expression_features: float = 1.0
    """Mean squared difference of an expression network's outputs; needs expression_network."""
    expression_network: str = ""
    """Bundle whose picture is a face, or the name of one that ships, such as poster_v2_small_ferplus."""
    cycle: float = 1.0
    """Error of the parameters found in drawings of other expressions."""
    pixels_left: float = 0.01
    """Share of the photo's pixels that are left in the face, 0..0.5."""
    generator_width: int = 32
    """Channels of the generator's first level."""
    generator_blocks: int = 5
    """Residual blocks at its bottom."""
    generator_lr: float = 1e-3
    """Learning rate of the generator."""

    def __post_init__(self) -> None:
        super().__post_init__()
        rules = at_least(self, 0, "photo", "perceptual", "expression_features", "cycle", "generator_blocks")
        rules |= at_least(self, 1, "generator_width")
        rules["pixels_left"] = (0 <= self.pixels_left <= 0.5, "in 0..0.5")
        rules["generator_lr"] = (self.generator_lr > 0, "above 0")
        check_rules(self, "stage.options.", rules)


class Passes(NamedTuple):
    """What both objectives need of a batch."""

    photo: Tensor
    """In 0..1."""
    found: FaceParameters
    points: Tensor | None
    """That the encoder found first, where it does."""
    removed: Tensor
    """bool [batch, size, size]: the area around the face that the generator does not see."""
    marks: Marks
    drawn: Tensor
    """The generator's picture, in 0..1."""


class Synthesis(Pretrain):
    """Stage 2: with three encoders that of the expression alone, as published; a shared one as a whole."""

    name = "synthesis"
    options_class = SynthesisOptions
    options: SynthesisOptions
    default_optim = OptimOptions(name="adamw", lr=2.5e-4, weight_decay=0.0, schedule="cosine", clip=5, ema=0.998)

    def __init__(self, system: System, **rest: Any) -> None:
        super().__init__(system, **rest)
        size = system.picture.size
        if size % LEVELS:
            raise MienError(
                f"The generator halves the picture four times: --input.size must be a multiple of {LEVELS}; got {size}."
            )
        if self.optim_options.sam_rho:
            raise MienError("The stage synthesis trains two networks in turn: --optim.sam_rho 0.")
        options = self.options
        self.generator = SmirkGenerator(width=options.generator_width, blocks=options.generator_blocks)
        self.flame = Flame(flame_model(self.face))
        self.register_buffer(
            "triangles", torch.from_numpy(self.face.render_triangles.astype("int64")), persistent=False
        )
        self.register_buffer("weight_left", self._weights_left(), persistent=False)
        self.vgg = self._vgg()
        self.expression = self._expression_network()

    triangles: Tensor
    weight_left: Tensor

    def _weights_left(self) -> Tensor:
        """Of each shown triangle, for choosing the pixels that are left."""
        weight = torch.ones(len(self.face.template))
        for name, vertices in self.face.regions:
            weight[torch.from_numpy(vertices.astype("int64"))] = LIGHTER.get(name, 1.0) * weight[vertices]
        return weight[self.triangles].mean(1)

    def _vgg(self) -> FrozenNetwork | None:
        if not self.options.perceptual:
            return None
        file = reconstruction.vgg19_file(self.options.vgg)
        return FrozenNetwork(reconstruction.Perceptual(reconstruction.vgg19_weights(file), layers=VGG_LAYERS), file)

    def _expression_network(self) -> FrozenNetwork | None:
        options = self.options
        if not options.expression_features:
            return None
        if not options.expression_network:
            raise MienError(
                "expression_features compares faces by an expression network: --stage.options.expression_network "
                "poster_v2_small_ferplus (or another bundle), or --stage.options.expression_features 0."
            )
        network = load(options.expression_network)
        classes = [name for name, output in network.outputs.items() if output.kind == "classes"]
        if set(network.inputs) != {"image"} or not classes:
            raise MienError(
                f"{options.expression_network} gives no classes of a picture alone: not an expression network."
            )
        return FrozenNetwork(
            Reframed(network, classes[0], self.system.picture), bundle_folder(options.expression_network) / WEIGHTS
        )

    def companions(self) -> Mapping[str, nn.Module]:
        return {"generator": self.generator}

    def frozen(self) -> Mapping[str, FrozenNetwork]:
        found = {"vgg": self.vgg, "expression_network": self.expression}
        return {name: network for name, network in found.items() if network is not None}

    # The passes

    def shared(self, batch: TorchBatch) -> Passes:
        return self._passes(self.system, batch)

    def _passes(self, system: Smirk, batch: TorchBatch) -> Passes:
        photo, size = self._shown(batch.image), batch.image.shape[-1]
        found, points = system.face_and_points(batch.image)
        projected, fragments, render = self._rendered(found)
        removed = grown(fragments.covered, round(MARGIN * size)) | hull_area(
            landmarks_of(batch).float(), size=size, margin=MARGIN
        )
        marks = marked(photo, fragments, share=self.options.pixels_left, weight=self.weight_left)
        masked = masked_photo(photo, removed, marks, projected, self.triangles)
        drawn = self.generator(torch.cat([render, masked], dim=1)).float()
        return Passes(photo, found, points, removed, marks, drawn)

    def _shown(self, image: Tensor) -> Tensor:
        """The picture in 0..1."""
        return _values(image.float(), self.system.picture)

    def _rendered(self, found: FaceParameters) -> tuple[Tensor, Fragments, Tensor]:
        """Projected vertices, fragments and the grey render; never in bf16, which cannot place a vertex."""
        with torch.autocast(found.pose.device.type, enabled=False):
            f = FaceParameters(**{name: value.float() for name, value in found.tensors().items()})
            vertices = self.flame(f.shape, f.expression, f.pose, f.jaw, f.lids)
            projected = project(vertices, f.camera)
            fragments = rasterize(projected, self.triangles, size=self.system.picture.size)
            return projected, fragments, grey_picture(fragments, vertices, self.triangles)

    # What is minimised

    def objectives(self) -> list[Objective]:
        encoder = self.system.encoder
        trained = encoder.expression_encoder if isinstance(encoder, SmirkEncoder) else encoder
        # As published: betas of a generator in an adversarial game, and small steps.
        optim = OptimOptions(
            name="adam", lr=self.options.generator_lr, betas=(0.5, 0.999), weight_decay=0.0,
            schedule=self.optim_options.schedule, clip=0.1,
        )  # fmt: skip
        return [
            Objective("encoder", self.encoder_terms, [ParameterGroup([*trained.parameters()])]),
            Objective("generator", self.generator_terms, [ParameterGroup([*self.generator.parameters()])], optim),
        ]

    def encoder_terms(self, batch: TorchBatch, shared: Passes) -> dict[str, Tensor]:
        terms = self.parameter_terms(shared.found, shared.points, batch) | self._picture_terms("", shared)
        if self.expression is not None:
            apart = self.expression(shared.drawn) - self.expression(shared.photo).detach()
            terms["expression_features"] = self.options.expression_features * apart.float().square().mean()
        if self.options.cycle and self.position.step % 2:
            terms["cycle"] = self._cycle(shared)
        return terms

    def generator_terms(self, batch: TorchBatch, shared: Passes) -> dict[str, Tensor]:
        terms = self._picture_terms(GENERATOR, shared)
        if self.options.cycle and not self.position.step % 2:
            terms[f"{GENERATOR}cycle"] = self._cycle(shared, with_shape=True)
        return terms

    def _picture_terms(self, prefix: str, shared: Passes) -> dict[str, Tensor]:
        options = self.options
        terms = {f"{prefix}photo": options.photo * F.l1_loss(shared.drawn, shared.photo)}
        if self.vgg is not None:
            terms[f"{prefix}perceptual"] = options.perceptual * self.vgg(shared.drawn, shared.photo)
        return terms

    def _cycle(self, shared: Passes, *, with_shape: bool = False) -> Tensor:
        """Draws the same people with other expressions and finds these in the drawings."""
        wanted = self.other_expressions(shared.found)
        projected, fragments, render = self._rendered(wanted)
        removed = shared.removed | grown(fragments.covered, round(MARGIN * render.shape[-1]))
        masked = masked_photo(shared.photo, removed, shared.marks, projected, self.triangles)
        drawn = self.generator(torch.cat([render, masked], dim=1)).float()
        found = self.system.parameters_of_face(_normalised(drawn, self.system.picture))
        error = F.mse_loss(found.expression.float(), wanted.expression)
        error = error + HARDER * F.mse_loss(found.jaw.float(), wanted.jaw)
        error = error + HARDER * F.mse_loss(found.lids.float(), wanted.lids)
        if with_shape:
            error = error + F.mse_loss(found.shape.float(), wanted.shape)
        return self.options.cycle * error

    def other_expressions(self, found: FaceParameters) -> FaceParameters:
        """The faces, a quarter each with a noisy expression, another's, a single unit, and none; jaw and lids with
        noise in half of them. Without a gradient."""
        own = {name: value.detach().float() for name, value in found.tensors().items()}
        expression, count = own["expression"], len(own["expression"])
        device, bounded = expression.device, self.face.name == OF_OPEN_FACE
        scale = 0.3 if bounded else 1.0
        unit = torch.randint(expression.shape[1], (count,), device=device)
        strength = torch.rand(count, device=device) if bounded else 4 * torch.rand(count, device=device) - 2
        kinds = torch.stack([
            expression + scale * torch.randn_like(expression), expression[torch.randperm(count, device=device)],
            F.one_hot(unit, expression.shape[1]) * strength[:, None], torch.zeros_like(expression),
        ])  # fmt: skip
        chosen = kinds[torch.arange(count, device=device) % 4, torch.arange(count, device=device)]
        noisy = (torch.rand(2, count, 1, device=device) < 0.5).float()
        jaw = own["jaw"] + noisy[0] * torch.randn_like(own["jaw"]) * torch.tensor(JAW_NOISE, device=device)
        jaw = torch.cat([jaw[:, :1].clamp(0, 1), jaw[:, 1:].clamp(-JAW_TURN, JAW_TURN)], dim=1)
        lids = (own["lids"] + noisy[1] * LID_NOISE * torch.randn_like(own["lids"])).clamp(0, 1)
        return FaceParameters(
            **own | {"expression": chosen.clamp(0, 1) if bounded else chosen, "jaw": jaw, "lids": lids}
        )  # fmt: skip

    # How it is measured

    def predict(self, system: nn.Module, batch: TorchBatch) -> Predictions:
        """Stage 1's, and how far each drawn picture is from its photo."""
        assert isinstance(system, Smirk)
        found = super().predict(system, batch)
        with torch.no_grad(), torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else []):
            torch.manual_seed(self.step_options.seed)  # which pixels are left is the same in every validation
            passes = self._passes(system, batch)
        apart = (passes.drawn - passes.photo).abs().mean((1, 2, 3))
        return found | {"photo_error": apart.float().cpu().numpy()}

    def validate(self, predictions: Predictions, samples: Any) -> dict[str, float]:
        """Stage 1's scores, and photo_error: the mean absolute difference of drawing and photo, of 1."""
        scores = super().validate(predictions, samples)
        if "photo_error" in predictions:
            scores["photo_error"] = float(predictions["photo_error"].mean())
        return scores


class Reframed(nn.Module):
    """The outputs of an expression network for pictures of another framing, in 0..1."""

    def __init__(self, network: System, output: str, framing: PictureInput) -> None:
        super().__init__()
        self.network, self.output, self.framing = network, output, framing

    def forward(self, picture: Tensor) -> Tensor:
        own, framing = self.network.picture, self.framing
        share = own.box_scale / framing.box_scale
        middle = [0.5 + (a - b) / framing.box_scale for a, b in zip(own.box_shift, framing.box_shift, strict=True)]
        at = share * ((torch.arange(own.size, device=picture.device) + 0.5) / own.size - 0.5)
        x, y = (2 * (at + centre) - 1 for centre in middle)
        grid = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1).expand(len(picture), -1, -1, -1)
        if share * picture.shape[-1] > own.size:  # fewer pixels: not every second one, but means
            side = round(picture.shape[-1] * own.size / (share * picture.shape[-1]))
            picture = F.interpolate(picture, size=(side, side), mode="bilinear", antialias=True, align_corners=False)
        crop = F.grid_sample(picture, grid.to(picture.dtype), padding_mode="border", align_corners=False)
        if own.color == "grey":
            crop = (
                (crop * crop.new_tensor((0.299, 0.587, 0.114)).view(3, 1, 1)).sum(1, keepdim=True).expand(-1, 3, -1, -1)
            )
        return self.network(_normalised(crop, own))[self.output].float()


def _values(image: Tensor, spec: PictureInput) -> Tensor:
    """Normalised pixels in 0..1."""
    return image * image.new_tensor(spec.std).view(3, 1, 1) + image.new_tensor(spec.mean).view(3, 1, 1)


def _normalised(picture: Tensor, spec: PictureInput) -> Tensor:
    return (picture - picture.new_tensor(spec.mean).view(3, 1, 1)) / picture.new_tensor(spec.std).view(3, 1, 1)
