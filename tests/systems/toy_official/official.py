"""Released files of the toy system."""

from dataclasses import dataclass
from typing import Literal

from mien.systems.official import ReleasedFile
from mien.systems.registry import create_model

FILES = (ReleasedFile("toy.pth", "one linear layer", "classifier; state --colour"),)


@dataclass(frozen=True)
class ConvertOptions:
    colour: Literal["red", "green"] | None = None
    """Colour of the toy, which its file does not state."""
    bright_light: bool = False
    """Whether the toy was painted in bright light."""


def recognise(contents):
    from mien.nn.weights import weight_names

    return "toy.weight" in weight_names(contents)


def convert(files, options):
    from mien.nn.weights import load_weights, weights_of

    network = create_model("toy", colour=f"bright {options.colour}" if options.bright_light else options.colour)
    report = []
    for path, contents in files.items():
        ours = {name.replace("toy.", "head."): value for name, value in weights_of(contents).items()}
        report.append(f"{path.name}: {load_weights(network, ours, where='released toy')}")
    return network.eval(), report
