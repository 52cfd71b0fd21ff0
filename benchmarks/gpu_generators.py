"""Sections of gpu.py: StyleGAN2 and ASIT against the published way of computing them, If3D with its
renderer, and CAN.
"""

import copy
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor

from gpu_sections import Bench, Row, own_step, tf32
from mien.nn.face3d import render
from mien.nn.inversion.encoders import AsitEncoder
from mien.nn.stylegan2.generator import Generator
from published_stylegan2 import PublishedEncoder, PublishedGenerator
from renderer import faces

TINY_GENERATOR = {"size": 32, "most_channels": 16}
TINY_ENCODER = {"width": 16, "depths": (1, 1, 1, 1), "heads": (1, 1, 2, 2), "head_width": 16, "outputs": 16,
                "structure_channels": 16}  # fmt: skip
TINY_IF3D = {"input_size": 32, "widths": [8, 8, 16], "depths": [1, 1, 1], "features": 16, "heads": 2, "mlp": [16]}
TINY_CAN = {"size": 32, "width": 0.125, "latent": 16}


def generator_256(bench: Bench, *, batch: int) -> Iterator[Row]:
    """Pictures from codes with stored noise, then the same with a backward pass to the codes, as inversion needs."""
    batch = 1 if bench.dry else batch
    torch.manual_seed(0)
    ours = Generator(**(TINY_GENERATOR if bench.dry else {"size": 256})).eval().requires_grad_(False)  # type: ignore[arg-type]
    theirs = _published(ours).to(bench.device)
    ours = ours.to(bench.device)
    lean = ours.for_inference()
    half = copy.deepcopy(lean).to(torch.bfloat16).to(memory_format=torch.channels_last)
    compiled = bench.compiled(half)
    codes = torch.randn(batch, ours.style_count, ours.style, device=bench.device)
    variants: list[tuple[str, Callable[[Tensor], Tensor], bool]] = [  # name, network, TF32
        ("published, grouped fp32", theirs, False),
        ("published, grouped fp32, TF32", theirs, True),
        ("ours, fp32", lambda c: lean(c).image, False),
        ("ours, fp32, TF32", lambda c: lean(c).image, True),
        ("ours, bf16", lambda c: half(c.bfloat16()).image, False),
        ("ours, bf16, graph", lambda c: half(c.bfloat16()).image, False),
        ("ours, bf16, compiled", lambda c: compiled(c.bfloat16()).image, False),
    ]
    with torch.no_grad():
        yield from _compared(bench, variants, codes, what="forward")
    gradients: list[tuple[str, Callable[[Tensor], Tensor], bool]] = [
        ("published, grouped fp32", partial(_to_codes, theirs), False),
        ("ours, fp32", partial(_to_codes, lambda c: ours(c).image), False),
        ("ours, fp32, TF32", partial(_to_codes, lambda c: ours(c).image), True),
    ]
    yield from _compared(bench, gradients, codes, what="forward and backward to the codes")


def _published(ours: Generator) -> PublishedGenerator:
    widths = [ours.constant.shape[1], *(block.conv.conv.weight.shape[0] for block in ours.blocks)]  # type: ignore[union-attr]
    theirs = PublishedGenerator(widths).eval().requires_grad_(False)
    theirs.copy_from(ours)
    return theirs


def _to_codes(network: Callable[[Tensor], Tensor], codes: Tensor) -> Tensor:
    given = codes.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(network(given).square().mean(), given)
    return gradient


def _compared(
    bench: Bench, variants: list[tuple[str, Callable[[Tensor], Tensor], bool]], given: Tensor, *, what: str
) -> Iterator[Row]:
    """A row for each; the first one is what the others are compared with, in time and in result."""
    first, want = None, None
    for name, network, allowed in variants:
        with tf32(allowed):
            got, run = network(given).float(), partial(network, given)
            run = bench.graph(run) if name.endswith("graph") else run
            row = bench.row(f"{what}, {name}", run, pictures=len(given), first=first)
        first, want = first or row["ms"], got if want is None else want
        off = float((got - want).abs().max() / want.abs().max())
        yield row | {"note": f"off by {off:.1e} of the largest value"}


@torch.inference_mode()
def asit_forward(bench: Bench, *, batch: int) -> Iterator[Row]:
    batch = 1 if bench.dry else batch

    def built() -> AsitEncoder:
        torch.manual_seed(0)
        return AsitEncoder(legacy=True, **(TINY_ENCODER if bench.dry else {})).eval().to(bench.device)  # type: ignore[arg-type]

    ours, theirs = built(), PublishedEncoder(built())
    ours.trunk.freeze_biases()
    half = copy.deepcopy(ours).to(torch.bfloat16)
    compiled = bench.compiled(half)
    image = torch.randn(batch, 3, 256, 256, device=bench.device)
    variants: list[tuple[str, Callable[[Tensor], Tensor], bool]] = [
        ("published, fp32", theirs, False),
        ("ours, fp32", lambda x: ours(x).codes, False),
        ("ours, fp32, TF32", lambda x: ours(x).codes, True),
        ("ours, bf16", lambda x: half(x.bfloat16()).codes, False),
        ("ours, bf16, graph", lambda x: half(x.bfloat16()).codes, False),
        ("ours, bf16, compiled", lambda x: compiled(x.bfloat16()).codes, False),
    ]
    yield from _compared(bench, variants, image, what="forward")


def if3d_step_and_renderer(bench: Bench) -> Iterator[Row]:
    """The step of two trunks with attention at the recipe's batch, and the renderer of their second input."""
    options = {"fusion": "attention", **(TINY_IF3D if bench.dry else {})}
    yield from _steps(bench, "if3d", "expression", batch=2 if bench.dry else 128, system_options=options)
    count, size = (1, 32) if bench.dry else (32, 224)
    vertices, triangles, camera = (given.to(bench.device) for given in faces(count))
    draw = partial(render.render_grey, vertices, triangles, camera, size=size)
    note = f"{len(triangles):,} triangles, {size} x {size}"
    yield bench.row(f"renderer, {count} faces", draw, pictures=count) | {"note": note}


def can_steps(bench: Bench) -> Iterator[Row]:
    """The steps of both autoencoders, of the classifier and of the context, each at the recipes' batch."""
    for system, stage in (
        ("can_face", "face_reconstruction"), ("can_voice", "voice_reconstruction"),
        ("can_face_expression", "face_expression"), ("can", "context"),
    ):  # fmt: skip
        yield from _steps(bench, system, stage, batch=4 if bench.dry else 128,
                          system_options=TINY_CAN if bench.dry else {})  # fmt: skip


def _steps(bench: Bench, system: str, stage: str, *, batch: int, system_options: dict[str, Any]) -> Iterator[Row]:
    first: float | None = None
    plans: list[tuple[str, Row]] = [
        ("fp32", {}), ("bf16", {"bf16": True}), ("bf16, graph", {"bf16": True, "cuda_graph": True})
    ]  # fmt: skip
    for precision, step_options in plans[: 2 if bench.dry else 3]:
        step = own_step(bench, system, stage, step_options=step_options, batch=batch, system_options=system_options)
        with tf32(False):
            name = f"{system}, {stage}, {precision}"
            row = bench.row(name, step, pictures=batch, first=first)
        first = first or row["ms"]
        yield row
