"""How much the maps of `mien explain` have to do with what the network computes: deletion, and random weights.

    python benchmarks/explanations.py --ferplus FERPLUS [--bundle poster_v2_small_ferplus] [--faces 200]
    python benchmarks/explanations.py --ferplus FERPLUS --system ddamfn_small [--options JSON] [--train-s 150]

Deletion: the probability of the most probable class is lost by how much when the brightest fifth of a map is hidden
(filled with the blurred face), and when the dimmest fifth is; a map of noise loses the same by both. Randomisation
(Adebayo et al., Sanity Checks for Saliency Maps, NeurIPS 2018): the mean rank correlation of the map with that of the
same network with fresh weights in the classifier, and in all layers; near 1 would say that the map shows the picture.
Means over faces of FER2013Valid; of the difference of both drops with its standard error. Prints a Markdown table.

--system: no bundle of it ships, so one is trained from fresh weights on faces of FER2013Train, by so many seconds of
processor time and one thread, by cross-entropy, mirrored at random: a weak network of that shape, which is all that
the choice of its layer can be measured on here.
"""

import argparse
import copy
import json
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch

from mien.core.decode import probabilities
from mien.core.geometry import crop_of_box
from mien.media.bundles import bundle_folder
from mien.media.crop import normalise, prepare
from mien.runtime.occlusion import hidden, occlusion
from mien.systems.bundle import load
from mien.systems.explanation import attention, grad_cam
from mien.systems.registry import create_model
from mien.systems.system import System
from quality import face_box, faces_of

Map = np.ndarray
Method = Callable[[System, np.ndarray, int], Map]  # of a crop and a class
SHARE = 0.2
TRAINED_ON = 6000  # faces


def trained(name: str, options: dict, root: str, seconds: float, seed: int) -> System:
    """From fresh weights; the learning rate falls to 0 along a cosine of the time."""
    torch.manual_seed(seed)
    system = create_model(name, labels="ferplus", **options)
    samples, pictures = faces_of("ferplus", root, "train", system.labels, TRAINED_ON)
    spec, output = system.picture, next(n for n, o in system.outputs.items() if o.kind == "classes")
    crops = np.stack([prepare(p, crop_of_box(face_box(*p.shape[1::-1], spec), spec), spec) for p in pictures])
    truth = torch.tensor([sample.expression for sample in samples])
    optimiser, random = torch.optim.AdamW(system.parameters(), lr=1e-3, weight_decay=0.01), np.random.default_rng(seed)
    system.train()
    started, steps = time.process_time(), 0
    while (part := (time.process_time() - started) / seconds) < 1:
        optimiser.param_groups[0]["lr"] = 1e-3 * (1 + np.cos(np.pi * part)) / 2
        chosen = random.integers(0, len(crops), 64)
        image = torch.from_numpy(normalise(crops[chosen], spec))
        image = image.flip(-1) if random.random() < 0.5 else image
        loss = torch.nn.functional.cross_entropy(system(image)[output], truth[chosen])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        steps += 1
    print(f"{name} {options}: {steps} steps on {len(crops)} faces, last loss {float(loss.detach()):.2f}")
    return system.eval()


class Reader:
    """Class shares of crops, by the PyTorch network."""

    def __init__(self, system: System) -> None:
        self.system, self.output = system, next(n for n, o in system.outputs.items() if o.kind == "classes")
        self.temperature = system.info.temperature(self.output) if system.info else 1.0

    def __call__(self, crops: Sequence[np.ndarray]) -> np.ndarray:
        image = torch.from_numpy(normalise(np.stack(crops), self.system.picture))
        with torch.no_grad():
            return probabilities(self.system(image)[self.output].numpy(), temperature=self.temperature)


def methods(system: System) -> Iterator[tuple[str, Method]]:
    output = Reader(system).output
    for layer in system.feature_maps:
        yield (
            f"Grad-CAM, {layer}",
            lambda s, crop, c, at=layer: grad_cam(
                s, normalise(crop[None], s.picture), output=output, index=c, layer=at
            ),
        )
    size = system.picture.size
    blank = np.zeros((1, 3, size, size), np.float32)
    for name in system.attention_maps(torch.from_numpy(blank)):
        yield (
            f"attention, {name}",
            lambda s, crop, c, at=name: attention(s, normalise(crop[None], s.picture))[at].weights[0].numpy(),
        )
    yield "occlusion", lambda s, crop, c: occlusion(crop, lambda crops: Reader(s)(crops)[:, c].tolist()).drop
    yield "noise", lambda s, crop, c: np.random.default_rng(int(crop.sum())).random((6, 6))


def fifth(found: Map, size: int, *, brightest: bool) -> Map:
    """1 on the brightest or dimmest fifth of a map at the size of the crop."""
    large = cv2.resize(found.astype(np.float32), (size, size), interpolation=cv2.INTER_CUBIC)
    large = large if brightest else -large
    return (large >= np.quantile(large, 1 - SHARE)).astype(np.float32)


def rank_correlation(a: Map, b: Map) -> float:
    ranks = [np.argsort(np.argsort(each.ravel())) for each in (a, b)]
    return float(np.corrcoef(*ranks)[0, 1])


def fresh(system: System) -> tuple[System, System]:
    """Copies with fresh weights: in linear layers with as many outputs as there are classes (in If3D's two more, for
    valence and arousal), and everywhere."""
    torch.manual_seed(0)
    everywhere = create_model(system.name, inputs=system.inputs, **vars(system.config)).eval()
    head, count = copy.deepcopy(system), len(system.labels)
    for module in head.modules():
        if isinstance(module, torch.nn.Linear) and module.out_features in (count, count + 2):
            torch.nn.init.normal_(module.weight, std=float(module.weight.std()))
    return head, everywhere


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ferplus", type=Path, required=True)
    parser.add_argument("--bundle", default="poster_v2_small_ferplus")
    parser.add_argument("--faces", type=int, default=200)
    parser.add_argument("--system", default="")
    parser.add_argument("--options", type=json.loads, default={}, help="of the system, as JSON")
    parser.add_argument("--train-s", type=float, default=150)
    parser.add_argument("--seed", type=int, default=0, help="of the training")
    parser.add_argument("--maps", default="", help="only those whose name has this in it, such as Grad-CAM")
    given = parser.parse_args()
    if given.system:
        torch.set_num_threads(1)
        system = trained(given.system, given.options, str(given.ferplus), given.train_s, given.seed)
    else:
        system = load(bundle_folder(given.bundle))
    head, everywhere = fresh(system.requires_grad_(False))
    samples, pictures = faces_of("ferplus", str(given.ferplus), "valid", system.labels, given.faces)
    spec, read = system.picture, Reader(system)
    crops = [prepare(p, crop_of_box(face_box(*p.shape[1::-1], spec), spec), spec) for p in pictures]
    shares = read(crops)
    classes = shares.argmax(1)
    right = np.mean(classes == np.array([sample.expression for sample in samples]))
    print(f"accuracy on these {len(samples)} faces {right:.2f}, mean probability {shares.max(1).mean():.2f}\n")
    print(
        "| map | brightest fifth hidden | dimmest fifth hidden | difference | fresh classifier | fresh network |\n|"
        + " --- |" * 6
    )
    for name, method in methods(system):
        if given.maps not in name:
            continue
        maps = [method(system, crop, c) for crop, c in zip(crops, classes, strict=True)]
        drops = []
        for brightest in (True, False):
            masks = [fifth(m, crop.shape[0], brightest=brightest) for m, crop in zip(maps, crops, strict=True)]
            left = read([hidden(crop, mask, "blur") for crop, mask in zip(crops, masks, strict=True)])
            drops.append(np.array([b[c] - a[c] for b, a, c in zip(shares, left, classes, strict=True)]))
        apart = drops[0] - drops[1]
        cells = [f"{drop.mean():.3f}" for drop in drops]
        cells.append(f"{apart.mean():.3f} ± {apart.std() / len(apart) ** 0.5:.3f}")
        few = range(0, len(crops), 4 if name == "occlusion" else 1)
        for other in (head, everywhere) if name != "noise" else ():
            same = [rank_correlation(maps[i], method(other, crops[i], int(classes[i]))) for i in few]
            cells.append(f"{np.nanmean(same):.2f}")
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
