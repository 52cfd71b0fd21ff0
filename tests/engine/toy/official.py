"""Released files of the toy with a face and a voice: one file, whose layers have other names than ours."""

from dataclasses import dataclass

from mien.core.errors import MienError
from mien.systems.official import ReleasedFile
from mien.systems.registry import create_model

FILES = (ReleasedFile("talking.pth", "the network of face and voice", "trained network; state --dropout"),)
NAMES = {
    "photo_encoder": "first", "sound_encoder": "ear", "batch_norm": "norm", "classifier": "expression_head",
    "regressor": "affect_head", "generator": "decoder",
}  # fmt: skip


@dataclass(frozen=True)
class ConvertOptions:
    dropout: float = 0.0
    """Share of features that training leaves out, which the file does not state."""


def recognise(contents):
    from mien.nn.weights import weight_names

    return "sound_encoder.weight" in weight_names(contents)


def convert(files, options):
    from mien.nn.weights import load_weights, weights_of

    if len(files) != 1:
        raise MienError(f"talking.pth is one file; got {len(files)}.")
    ((path, contents),) = files.items()
    weights = {_ours(name): value for name, value in weights_of(contents, where=str(path)).items()}
    size = round((weights["first.weight"].shape[1] / 3) ** 0.5)
    network = create_model(
        "toy_face_voice", num_classes=len(weights["expression_head.bias"]), size=size,
        width=len(weights["first.bias"]), dropout=options.dropout,
    )  # fmt: skip
    return network.eval(), [f"{path.name}: {load_weights(network, weights, where=str(path))}"]


def _ours(name):
    layer, _, rest = name.partition(".")
    return f"{NAMES.get(layer, layer)}.{rest}"
