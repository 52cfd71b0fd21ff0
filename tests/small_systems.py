"""Every registered system made small: what it is built with, the stage that trains it, and a batch for it."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

import mien
from mien.core.records import Batch
from mien.systems.optim import OptimOptions
from mien.systems.registry import stage_class
from mien.systems.stage import Stage, StepOptions

POSTER: dict[str, Any] = {
    "input_size": 32, "trunk_size": 32, "stem": 8, "widths": [8, 16, 24], "depths": [1, 1, 1],
    "landmark_widths": [8, 16, 16], "landmark_features": 16, "landmark_depths": [1, 1, 1], "head_dim": 8,
    "token_width": 16, "vit_heads": 2, "vit_depth": 1,
}  # fmt: skip


IF3D: dict[str, Any] = {
    "input_size": 32, "widths": [8, 8, 16], "depths": [1, 1, 1], "features": 16, "heads": 2, "mlp": [16],
}  # fmt: skip
PARFACE: dict[str, Any] = {"size": 128, "width": 0.125, "latent": 12, "head_layers": 2}  # heat maps of 64 pixels
SMIRK: dict[str, Any] = {"input_size": 32}
CAN: dict[str, Any] = {"size": 32, "width": 0.125, "latent": 16}
STYLEGAN2: dict[str, Any] = {"size": 16, "style": 8, "mapping_layers": 2, "most_channels": 8}
ASIT: dict[str, Any] = {
    "size": 64, "style": 8, "mapping_layers": 2, "most_channels": 8, "width": 8, "depths": [1, 1, 1, 1],
    "heads": [1, 1, 2, 2], "head_width": 8, "shared_heads": True, "drop_path": 0.1,
}  # fmt: skip


@dataclass(frozen=True)
class Small:
    """options: that make the system small. stage: that trains it. reads: what its outputs are. data: what it trains on,
    drawn faces or, where depth is needed, people, or where voices are, a manifest."""

    options: dict[str, Any]
    stage: str
    reads: str
    more: dict[str, str] = field(default_factory=dict)
    data: str = "drawn"


ANEW = {"init": "random"}
NO_FILES = {"stage.options": '{"lpips": 0, "identity": 0}'}  # of LPIPS and of the face recogniser
WITHOUT_RESIDUAL = {"stage.options": '{"lpips": 0, "identity": 0, "codes_alone": 0.5, "realism": 0.01, "laplacian": 1}'}
SMALL = {
    "poster_v2": Small(POSTER, "expression", "expression", ANEW),
    "poster_v2_small": Small(POSTER, "expression", "expression", ANEW),
    "poster_v2_landmarks": Small(POSTER, "landmarks", "landmarks"),
    "poster_v2_landmarks_small": Small(POSTER, "landmarks", "landmarks"),
    "parface": Small({**PARFACE, "uncertainty": True}, "landmarks", "landmarks", ANEW),
    "parface_3d": Small(PARFACE, "depth", "landmarks", ANEW, data="people"),
    "parface_small": Small({**PARFACE, "visibility": True}, "landmarks_encoder", "landmarks", ANEW, data="people"),
    "parface_small_3d": Small(
        {**PARFACE, "visibility": True, "uncertainty": True, "depth_latent": True},  # every part that there is
        "depth",
        "landmarks",
        ANEW,
        data="people",
    ),
    "parface_autoencoder": Small(
        PARFACE,
        "self_supervised",
        "picture",
        {"stage.options": '{"perceptual": 0}', "optim.sam_rho": "0"},  # VGG-19's weights are a download
    ),
    "ddamfn": Small(IF3D, "expression", "expression"),
    "ddamfn_small": Small(IF3D, "expression", "expression"),
    "if3d": Small(IF3D, "expression", "expression of photo and render", data="people"),
    "if3d_small": Small({**IF3D, "fusion": "spp"}, "expression", "expression of photo and render", data="people"),
    "smirk": Small(SMIRK, "pretrain", "landmarks", data="people"),
    "smirk_small": Small(SMIRK, "pretrain", "landmarks", data="people"),
    "smirk_points": Small(SMIRK, "pretrain", "landmarks", data="people"),
    "can": Small(CAN, "context", "heard expression", ANEW, data="manifest"),
    "can_product": Small(CAN, "context", "heard expression", ANEW, data="manifest"),
    "can_face": Small(CAN, "face_reconstruction", "picture"),
    "can_voice": Small(CAN, "voice_reconstruction", "vector", data="manifest"),
    "can_face_expression": Small(CAN, "face_expression", "expression", ANEW),
    "stylegan2": Small(STYLEGAN2, "generator", "drawn picture"),
    "stylegan2_small": Small(STYLEGAN2, "generator", "drawn picture"),
    "asit": Small({**ASIT, "shared_heads": False}, "inversion", "picture", {**ANEW, **NO_FILES}),
    "asit_small": Small({**ASIT, "structure_channels": 4}, "inversion", "picture", {**ANEW, **WITHOUT_RESIDUAL}),
    "ifer": Small(ASIT, "expression", "expression", ANEW),
    "ifer_small": Small({**ASIT, "pooling": "attention"}, "expression", "expression", ANEW),
}

# Made small, each is another system but for a default or an output more or less.
ALIKE = {
    "parface": "parface_small_3d", "poster_v2": "poster_v2_small", "poster_v2_landmarks": "poster_v2_landmarks_small",
    "parface_small": "parface_small_3d", "parface_3d": "parface_small_3d", "ddamfn_small": "ddamfn",
    "if3d_small": "if3d", "smirk": "smirk_small", "smirk_points": "smirk_small",
    "can_product": "can", "stylegan2_small": "stylegan2",
    "ifer_small": "ifer", "asit": "asit_small",
}  # fmt: skip
DISTINCT = [name for name in SMALL if name not in ALIKE]
# Whose stages play two networks against each other, and refuse SAM.
ADVERSARIAL = [
    name for name, small in SMALL.items()
    if "reconstruct" in small.stage or small.stage in ("generator", "inversion") or name == "parface_autoencoder"
]  # fmt: skip


def fit_words(name: str, root: Path, output: Path, **more: Any) -> list[str]:
    """The arguments of `mien fit` for the system of that name."""
    small = SMALL[name]
    words = {
        "system.name": name, "system.options": json.dumps(small.options), "stage.name": small.stage,
        "data.name": small.data, "data.root": root, "data.batch_size": 14, "data.augmentation": "none",
        "optim.lr": "1e-3", "trainer.epochs": 2, "trainer.device": "cpu", "trainer.progress": "false",
        "output": output, **small.more, **more,
    }  # fmt: skip
    return [f"--{key}={value}" for key, value in words.items()]


def stage_of(name: str, *, optim: OptimOptions, step: StepOptions, **options: Any) -> Stage:
    """The stage with its system, freshly initialised, as `mien fit` builds it."""
    small = SMALL[name]
    kind = stage_class(name, small.stage)
    torch.manual_seed(0)
    system = mien.create_model(kind.system_name(name), **small.options, **options)
    stated = json.loads(small.more.get("stage.options", "{}"))
    return kind(system, options=stated, optim=optim, step=step, epochs=2)


def batch_of(system: Any, *, faces: int = 6) -> Batch[torch.Tensor]:
    """Random pictures and voices with every label that a stage may ask for."""
    random = torch.Generator().manual_seed(1)
    shapes = {name: given.shape for name, given in system.inputs.items()}
    points = 0.2 + 0.6 * torch.rand(faces, 68, 2, generator=random)
    depth = 0.1 * torch.randn(faces, 68, generator=random)
    return Batch(
        image=torch.rand(faces, *shapes.get("image", (3, 8, 8)), generator=random) - 0.5,
        render=torch.rand(faces, *shapes["render"], generator=random) - 0.5 if "render" in shapes else None,
        affect=2 * torch.rand(faces, 2, generator=random) - 1, index=torch.arange(faces),
        expression=torch.arange(faces) % 7, landmarks=points, depth=depth - depth.mean(1, keepdim=True),
        visible=torch.ones(faces, 68),
        voice=torch.rand(faces, *shapes["voice"], generator=random) if "voice" in shapes else None,
    )  # fmt: skip
