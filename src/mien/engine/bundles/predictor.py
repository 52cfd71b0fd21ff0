"""A bundle made ready to answer, by PyTorch where it holds safetensors, else by the ONNX runner; and its answers."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mien.core.errors import MienError

if TYPE_CHECKING:
    import numpy as np

    from mien.core.bundle import BundleInfo
    from mien.core.records import Sample
    from mien.core.spec import PictureInput
    from mien.engine.evaluation.scores import Answers

RunnerName = Literal["auto", "torch", "onnx"]


@dataclass(frozen=True)
class Network:
    """logits: float32 [batch, 3, size, size], normalised as info.picture says, to the main output as float64: [batch,
    classes], or points. outputs: the same images to everything that the network gives, by name.

    engine says in words what computes it.
    """

    info: "BundleInfo"
    engine: str
    logits: "Callable[[np.ndarray], np.ndarray]"
    outputs: "Callable[[np.ndarray], dict[str, np.ndarray]] | None" = None


def open_network(bundle: str, *, runner: RunnerName = "auto", device: str = "auto") -> Network:
    """Raises MienError for a folder that is no bundle, and where the runner asked for finds no weights of its kind."""
    folder = bundle_folder(bundle)
    kinds = {"torch": "model.safetensors", "onnx": "model.onnx"}
    if runner == "auto":
        runner = "torch" if (folder / kinds["torch"]).is_file() and _has_torch() else "onnx"
    if runner not in kinds:
        raise MienError(f"No runner {runner!r}. Known: auto, torch, onnx.")
    if not (folder / kinds[runner]).is_file():
        way_out = (
            " Install PyTorch (pip install 'mien[train]') or export it: mien export BUNDLE --to onnx."
            if runner == "onnx"
            else " Use --runner onnx."
        )
        raise MienError(f"{folder} has no {kinds[runner]}, which the {runner} runner needs.{way_out}")
    return _torch_network(folder, device) if runner == "torch" else _onnx_network(folder)


def bundle_folder(bundle: str) -> Path:
    """The folder of a bundle: its path, that of a run folder with `bundle/` in it, or the name of a shipped model."""
    path = Path(bundle)
    for folder in (path, path / "bundle", Path(str(resources.files("mien.runtime"))) / "bundles" / bundle):
        if (folder / "system.json").is_file():
            return folder
    kind = "a folder without system.json" if path.is_dir() else "no such folder" if not path.exists() else "a file"
    raise MienError(
        f"{bundle} is not a bundle ({kind}). Expected a folder with system.json and the weights, or a run folder."
    )


def answers_of(
    network: Network, samples: "Sequence[Sample]", *, batch_size: int = 64
) -> "tuple[Answers, list[tuple[str, str]]]":
    """The network's answers for every picture that can be read, and (key, reason) of those that cannot.

    Their expression counts in the network's LabelSet. Raises MienError when not one picture can be read.
    """
    import numpy as np

    from mien.engine.evaluation.scores import Answers
    from mien.media.crop import normalise

    main, output = next(iter(network.info.outputs_of("classes").items()))
    labels = output.labels
    assert labels is not None
    kept, logits, failures = [], [], []
    for indices, crops, broken in crops_of(samples, network.info.picture, batch_size=batch_size):
        failures += broken
        if indices:
            kept += indices
            logits.append(network.logits(normalise(np.stack(crops), network.info.picture)))
    if not kept:
        raise MienError(f"None of the {len(samples)} pictures could be read; the first: {failures[0][1]}")
    return Answers(
        labels=labels,
        keys=tuple(samples[i].key for i in kept),
        truth=np.array([samples[i].expression for i in kept]),
        logits=np.concatenate(logits),
        temperature=network.info.temperature(main),
    ), failures


def crops_of(
    samples: "Sequence[Sample]", spec: "PictureInput", *, batch_size: int
) -> "Iterator[tuple[list[int], list[np.ndarray], list[tuple[str, str]]]]":
    """Batches in order: indices, their uint8 crops [size, size, 3], failures. The next batch is decoded meanwhile."""
    import os
    from concurrent.futures import ThreadPoolExecutor

    batches = [range(i, min(i + batch_size, len(samples))) for i in range(0, len(samples), batch_size)]
    with progress_bar() as progress, ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        task = progress.add_task("reading faces", total=len(samples))
        ahead = [pool.submit(_crop_or_reason, samples[i], spec) for i in batches[0]]
        for number, batch in enumerate(batches):
            following = batches[number + 1] if number + 1 < len(batches) else ()
            current, ahead = ahead, [pool.submit(_crop_or_reason, samples[i], spec) for i in following]
            results = [future.result() for future in current]
            good = [(i, r) for i, r in zip(batch, results, strict=True) if not isinstance(r, str)]
            broken = [(samples[i].key, r) for i, r in zip(batch, results, strict=True) if isinstance(r, str)]
            yield [i for i, _ in good], [crop for _, crop in good], broken
            progress.advance(task, len(batch))


def _crop_or_reason(sample: "Sample", spec: "PictureInput") -> "np.ndarray | str":
    from mien.data.faces import prepare_face

    try:
        return prepare_face(sample, spec)[0]
    except MienError as error:
        return str(error)


def _has_torch() -> bool:
    from importlib.util import find_spec

    return find_spec("torch") is not None


def _torch_network(folder: Path, device: str) -> Network:
    import torch

    from mien.systems.bundle import load

    system = load(folder)
    assert system.info is not None
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        where = torch.device(device)
        network = system.for_inference().to(where)
    except (RuntimeError, AssertionError) as error:  # an unknown word, or a device that is not there
        raise MienError(f"--device {device} cannot be used: {str(error).splitlines()[0]} Try cpu.") from error

    def outputs(images: "np.ndarray") -> "dict[str, np.ndarray]":
        with torch.inference_mode():
            found = network(torch.from_numpy(images).to(where))
        return {name: values.double().cpu().numpy() for name, values in found.items()}

    return _network(system.info, f"PyTorch {torch.__version__} on {where}", outputs)


def _onnx_network(folder: Path) -> Network:
    from mien.runtime.runner import Runner

    runner = Runner(folder)
    return _network(runner.info, f"ONNX on {runner.backend}, {runner.precision}", runner.outputs)


def _network(info: "BundleInfo", engine: str, outputs: "Callable[[np.ndarray], dict[str, np.ndarray]]") -> Network:
    main = next(iter(info.outputs))
    return Network(info, engine, lambda images: outputs(images)[main].astype("float64"), outputs)


def progress_bar() -> Any:
    """On stderr, gone when it is done."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    return Progress(*columns, console=Console(stderr=True), transient=True)
