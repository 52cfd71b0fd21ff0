"""Grad-CAM and attention: what the network computed inside, from its PyTorch weights.

Each map is tested on the face that it is of: the probability with the brightest fifth of the map hidden, and with the
dimmest. A map that has to do with the number loses much by the first and little by the second.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import cv2
import numpy as np
from jaxtyping import Float

from mien.core.errors import MienError, nearest
from mien.engine.reading.explain.method import (
    WIDEST,
    Explanation,
    Face,
    Panel,
    explained_output,
    per_cent,
    place_columns,
)
from mien.media.crop import normalise
from mien.media.tables import Column
from mien.runtime.networks import FaceNetwork
from mien.runtime.occlusion import REGIONS, Fill, hidden, region_masks

if TYPE_CHECKING:
    from mien.systems.system import System

WEIGHTS = "model.safetensors"
SHARE = 0.2  # of the crop's pixels that are hidden to test a map
Map = Float[np.ndarray, "size size"]
NO_PERSON = (
    "It explains the network's number, not the person. A bright place is where the network computed its number from, "
    "as coarsely as the map has places; it is no proof that the place alone decides, and a dim place may matter all "
    "the same: the columns probability_hidden and probability_rest test that on each face."
)
GRAD_CAM = (
    "Grad-CAM (Selvaraju et al., ICCV 2017): the layer's map, its channels weighted by the mean gradient of the "
    "class's logit. Above 0 speaks for the class, below 0 against it (the paper's counterfactual explanation). It is "
    f"of first order: it does not see what channels do together. {NO_PERSON}"
)
ATTENTION = (
    "Attention weights as they were computed, without gradients: from where the network reads, whatever the class, and "
    f"not what it makes of it (Jain and Wallace, NAACL 2019). {NO_PERSON}"
)


@dataclass(eq=False)
class Looking(ABC):
    """A map of what a PyTorch network computed, and its test."""

    system: "System"
    """The network."""
    output: str
    """Of classes."""
    layer: str
    """Which map; "" for the system's default."""
    fill: Fill
    """What stands in hidden parts."""
    text: ClassVar[str]
    columns: ClassVar[tuple[Column, ...]] = (
        Column("probability_hidden", "number", "probability", "0..1", "with the map's brightest fifth hidden", ".6f"),
        Column("probability_rest", "number", "probability", "0..1", "with the map's dimmest fifth hidden", ".6f"),
        *place_columns("where the map is brightest"),
        *(
            Column(
                f"density_{name}",
                "number",
                "",
                "0..",
                f"mean of the map in the {name} over its mean in the crop; 1: no more than elsewhere",
                ".4f",
            )
            for name in REGIONS
        ),
    )

    def __post_init__(self) -> None:
        size = self.system.picture.size
        self.layer = self.chosen(np.zeros((1, 3, size, size), np.float32))

    @property
    def described(self) -> dict[str, Any]:
        """For explanations.json."""
        return {"method": self.text, "layer": self.layer, "fill": self.fill, "hidden_share": SHARE}

    def explain(self, face: Face) -> Explanation:
        """Of the face."""
        found, panels = self.maps(face)
        masks = [_fifth(found, sign) for sign in (1, -1)]
        base, without, rest = face.read([face.pixels, *(hidden(face.pixels, mask, self.fill) for mask in masks)])
        y, x = np.unravel_index(int(found.argmax()), found.shape)
        densities = {} if face.landmarks is None else dict(_densities(found, face.landmarks))
        return Explanation(
            base, (float(x), float(y)),
            {"probability_hidden": without, "probability_rest": rest}
            | {f"density_{name}": value for name, value in densities.items()},
            f"dimmest fifth hidden: {per_cent(rest)}",
            [(share, (*texts[:2], f"brightest fifth hidden: {per_cent(without)}" if i == 0 else ""))
             for i, (share, texts) in enumerate(panels[:WIDEST])],
            _sentence(face.expression, base, without, rest, densities),
        )  # fmt: skip

    @abstractmethod
    def chosen(self, blank: np.ndarray) -> str:
        """The layer that is asked for, or the system's first, tried on a blank picture. Raises MienError for none."""

    @abstractmethod
    def maps(self, face: Face) -> tuple[Map, list[Panel]]:
        """The map that is tested, at the size of the crop, and what is drawn, with two lines of text each."""

    def image(self, face: Face) -> np.ndarray:
        """As the network takes it."""
        return normalise(face.pixels[None], self.system.picture)


class GradCam(Looking):
    """Of one layer: what speaks for the class and what against it."""

    text = GRAD_CAM

    def chosen(self, blank: np.ndarray) -> str:
        layer = self.layer or next(iter(self.system.feature_maps), "")
        if not layer:
            raise MienError(f"{self.system.name} declares no feature map for Grad-CAM. Name one: --layer MODULE.")
        self._map(blank, 0, layer)
        return layer

    def _map(self, image: np.ndarray, index: int, layer: str) -> np.ndarray:
        from mien.systems.explanation import grad_cam

        return grad_cam(self.system, image, output=self.output, index=index, layer=layer)

    def maps(self, face: Face) -> tuple[Map, list[Panel]]:
        names = self.system.outputs[self.output].names
        small = self._map(self.image(face), names.index(face.expression), self.layer)
        found = _enlarged(small, face.size)
        full = max(float(np.abs(found).max()), 1e-12)
        of = f"{self.layer}, {small.shape[1]} x {small.shape[0]} places"
        panels: list[Panel] = [(found / full, ("speaks for it", of))]
        return found, [*panels, (-found / full, ("speaks against it", "same scale"))]


class Attention(Looking):
    """Of every attention that the system declares; one of them is tested."""

    text = ATTENTION

    def chosen(self, blank: np.ndarray) -> str:
        self.meanings = {name: each.meaning for name, each in self._found(blank).items()}
        if self.layer and self.layer not in self.meanings:
            known = nearest(self.layer, list(self.meanings))
            raise MienError(f"{self.system.name} has no attention {self.layer!r}.{known}")
        return self.layer or next(iter(self.meanings))

    def _found(self, image: np.ndarray) -> Any:
        from mien.systems.explanation import attention

        return attention(self.system, image)

    @property
    def described(self) -> dict[str, Any]:
        return super().described | {"maps": self.meanings}

    def maps(self, face: Face) -> tuple[Map, list[Panel]]:
        found = {name: each.weights[0].numpy() for name, each in self._found(self.image(face)).items()}
        panels: list[Panel] = []
        for name in sorted(found, key=lambda name: name != self.layer):
            small = found[name]
            large = _enlarged(small, face.size)
            low, high = float(large.min()), float(large.max())
            of = f"{small.shape[1]} x {small.shape[0]} places, {low / max(high, 1e-12):.2f} to 1"
            panels.append(((large - low) / max(high - low, 1e-12), (f"attention: {name}", of)))
        return _enlarged(found[self.layer], face.size), panels


def looking(method: str, network: FaceNetwork, *, layer: str, fill: Fill) -> Looking:
    """Of a network's first output of classes. method: gradcam or attention.

    Raises MienError for a bundle without PyTorch weights, and for a layer that it lacks.
    """
    info, folder = network.info, network.runner.folder
    if not (folder / WEIGHTS).is_file():
        raise MienError(
            f"{info.model_id} has no {WEIGHTS}, only an exported network: --method {method} needs PyTorch weights. "
            "Without them: --method occlusion."
        )
    from mien.systems.bundle import load

    kind = GradCam if method == "gradcam" else Attention
    return kind(load(folder).requires_grad_(False), explained_output(network), layer, fill)


def _enlarged(small: np.ndarray, size: int) -> Map:
    return np.asarray(cv2.resize(small.astype(np.float32), (size, size), interpolation=cv2.INTER_LINEAR))


def _fifth(found: Map, sign: int) -> Map:
    """1 where the map, times the sign, is largest; so many pixels at every map, the first of equal ones."""
    order, mask = np.argsort(-sign * found, axis=None, kind="stable"), np.zeros(found.size, np.float32)
    mask[order[: round(SHARE * found.size)]] = 1
    return mask.reshape(found.shape)


def _densities(found: Map, landmarks: np.ndarray) -> Iterator[tuple[str, float]]:
    """None where nothing speaks for the class."""
    above = np.maximum(found, 0)
    mean = float(above.mean())
    for name, mask in region_masks(found.shape[0], landmarks).items():
        if mean > 0 and mask.sum() > 0:  # a region may lie outside of the crop
            yield name, float((above * mask).sum() / mask.sum()) / mean


def _sentence(name: str, base: float, without: float, rest: float, densities: dict[str, float]) -> str:
    """`happiness 93 %; 40 % with the brightest fifth of the map hidden, 92 % with the dimmest; density: mouth 2.1`."""
    text = f"{name} {per_cent(base)}; {per_cent(without)} with the map's brightest fifth hidden, {per_cent(rest)} with "
    ordered = ", ".join(f"{region} {value:.1f}" for region, value in sorted(densities.items(), key=lambda e: -e[1]))
    return f"{text}its dimmest; density: {ordered}" if ordered else f"{text}its dimmest"
