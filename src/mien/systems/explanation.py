"""What a system's network looked at in one picture, as arrays: by its layers' names and by its declared attention."""

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float

from mien.core.errors import MienError, nearest
from mien.nn.explanation import AttentionMap, class_activation
from mien.systems.system import System

Image = Float[np.ndarray, "1 3 size size"]


def grad_cam(system: System, image: Image, *, output: str, index: int, layer: str) -> Float[np.ndarray, "height width"]:
    """The signed Grad-CAM of a class's logit, at the size of the layer's map (`mien.nn.explanation`).

    image: normalised, as `media.crop.normalise` gives it. Raises MienError for a layer that is none of the system's,
    gives no map, or does not lead to the output.
    """
    modules = dict(system.named_modules())
    modules.pop("", None)
    if layer not in modules:
        known = system.feature_maps if layer.count(".") == 0 else modules
        raise MienError(f"{system.name} has no layer {layer!r}.{nearest(layer, known)}")
    found = class_activation(lambda: system(torch.from_numpy(image))[output][0, index], modules[layer])
    if found is None:
        raise MienError(
            f"{layer} of {system.name} gives no feature map that leads to {output}. Name one that does: "
            f"{', '.join(system.feature_maps)}."
        )
    return found[0].numpy()


def attention(system: System, image: Image) -> Mapping[str, AttentionMap]:
    """The attention that the system declares, over this picture. Raises MienError where it declares none."""
    found = system.attention_maps(torch.from_numpy(image))
    if not found:
        raise MienError(f"{system.name} declares no attention over places. Explain it with --method gradcam.")
    return found
