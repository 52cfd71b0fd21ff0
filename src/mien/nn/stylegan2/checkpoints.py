"""Generators out of released files: rosinality's, those of pSp, e4e, ReStyle and ASIT, and StyleGAN2-ADA's."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from torch import Tensor

from mien.core.errors import MienError
from mien.nn.stylegan2.ada_names import from_ada
from mien.nn.stylegan2.generator import Generator
from mien.nn.stylegan2.names import generator_options, load_generator

DECODER = "decoder."
MEAN_SAMPLES = 100_000


class Found(NamedTuple):
    weights: dict[str, Tensor]
    """In the PyTorch layout"""
    latent_avg: Tensor | None
    """[width] or [styles, width]; None where the file has none"""
    layout: str
    """Whose file it is, for a report"""


def find_generator(contents: Mapping[str, Any], *, where: str) -> Found:
    """The generator's weights in what `read_checkpoint` gives. Raises MienError where there is none."""
    ada = contents.get("G_ema", contents.get("G"))
    if isinstance(ada, Mapping) and any(str(name).startswith("synthesis.b4.") for name in ada):
        return Found(*from_ada(_tensors(ada)), "StyleGAN2-ADA")
    stated = contents.get("latent_avg")
    mean = stated.float() if isinstance(stated, Tensor) else None
    for name in ("g_ema", "g"):
        if isinstance(contents.get(name), Mapping):
            return Found(_tensors(contents[name]), mean, f"StyleGAN2 in the PyTorch layout ({name})")
    state = contents.get("state_dict", contents)
    if isinstance(state, Mapping):
        tensors = _tensors(state)
        if any(name.startswith(DECODER) for name in tensors):
            inner = {k.removeprefix(DECODER): v for k, v in tensors.items() if k.startswith(DECODER)}
            return Found(inner, mean, "the decoder of an inversion network")
        tensors.pop("latent_avg", None)
        if "input.input" in tensors:
            return Found(tensors, mean, "StyleGAN2 in the PyTorch layout")
    raise MienError(
        f"{where}: no StyleGAN2 generator in it (neither g_ema, decoder.* nor G_ema); it has "
        f"{', '.join(map(str, list(contents)[:3]))}."
    )


def _tensors(state: Mapping[Any, Any]) -> dict[str, Tensor]:
    tensors = {str(name): value.detach() for name, value in state.items() if isinstance(value, Tensor)}
    return {name.removeprefix("module."): value for name, value in tensors.items()}


def generator_of(
    contents: Mapping[str, Any], *, where: str, size: int | None = None, samples: int = MEAN_SAMPLES
) -> tuple[Generator, list[str]]:
    """The generator of a released file, in eval mode, and lines about it for the user.

    size: what is wanted; another one is refused. samples: of the estimate of latent_avg where the file has none.
    """
    found = find_generator(contents, where=where)
    options = generator_options(found.weights)
    if size is not None and options["size"] != size:
        raise MienError(f"{where}: a generator of {options['size']} pixels where one of {size} is asked for.")
    generator = Generator(**options).eval()
    report = load_generator(generator, found.weights, where=where)
    lines = [f"{where}: {found.layout}, {options['size']} pixels: {report}"]
    if found.latent_avg is None:
        generator.latent_avg.copy_(generator.estimate_latent_avg(samples=samples))
        lines.append(f"latent_avg is not in the file: estimated from {samples:,} random vectors (seed 0).")
    else:
        rows = found.latent_avg.reshape(-1, generator.style)
        generator.latent_avg.copy_(rows.mean(0) if len(rows) > 1 else rows[0])
    return generator, lines
