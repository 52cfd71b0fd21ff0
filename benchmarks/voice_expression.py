"""The voice model that ships: how well it tells expressions apart on speakers kept aside, and how it is made.

    python benchmarks/voice_expression.py ../shared/data/audio/ravdess_16k [--write FOLDER]

Linear discriminant analysis with shrinkage on functionals of each recording and of six copies of other speed, pitch
and level, half of them with noise and another tilt of the spectrum. Each person is kept aside once; the shrinkage is
chosen on the other nine, each kept aside in turn, so that the score is not that of a choice made on the persons it is
measured on. --write trains on all ten and writes a bundle.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.preprocessing import StandardScaler

from mien.core.bundle import BundleInfo
from mien.core.labels import label_set
from mien.core.spec import FunctionalsInput, Output
from mien.data.readers import open_reader
from mien.media.files import sha256_of, write_text
from mien.media.sound.audio import Sound, read_sound, resample
from mien.metrics.expression import balanced_accuracy, confusion_matrix
from mien.metrics.significance import cluster_weights, percentiles
from mien.runtime.voice.functionals import RATE_HZ, functionals

COPIES, SHRINKAGES, LIMIT = 6, (0.3, 0.5, 0.7, 0.8), 3.0
LABELS = label_set("ravdess")
CLASSES = len(LABELS)


def copies(sound: Sound, random: np.random.Generator) -> Iterator[np.ndarray]:
    """The recording, then changed ones."""
    yield sound.samples.astype(float)
    for number in range(COPIES):
        changed = resample(sound, round(RATE_HZ * 2 ** random.uniform(-0.22, 0.22))).samples.astype(float)
        changed *= 10 ** (random.uniform(-3, 3) / 20)
        if number % 2:
            changed += random.normal(0, 10 ** random.uniform(-4.5, -3), len(changed))
            tilt = random.uniform(-0.25, 0.25)
            changed = np.convolve(changed, [1, tilt])[: len(changed)] / (1 + abs(tilt))
        yield changed


class Model:
    """values: [recordings, 1 + COPIES, functionals]."""

    def __init__(self, values: np.ndarray, truth: np.ndarray, shrinkage: float) -> None:
        x, y = values.reshape(-1, values.shape[2]), np.repeat(truth, values.shape[1])
        scaler = StandardScaler().fit(x)
        self.mean, self.scale = scaler.mean_, scaler.scale_
        found = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=shrinkage).fit(self.scaled(x), y)
        self.weights, self.bias = found.coef_, found.intercept_

    def scaled(self, x: np.ndarray) -> np.ndarray:
        return np.clip((x - self.mean) / self.scale, -LIMIT, LIMIT)

    def logits(self, values: np.ndarray) -> np.ndarray:
        """Of the recordings themselves."""
        return self.scaled(values[:, 0]) @ self.weights.T + self.bias


def kept_aside(values: np.ndarray, truth: np.ndarray, person: np.ndarray, shrinkage: float) -> np.ndarray:
    """Logits of each recording by the model of the other persons."""
    found = np.zeros((len(truth), CLASSES))
    for one in np.unique(person):
        rest = person != one
        found[~rest] = Model(values[rest], truth[rest], shrinkage).logits(values[~rest])
    return found


def chosen(values: np.ndarray, truth: np.ndarray, person: np.ndarray) -> float:
    """The shrinkage with the best accuracy on persons kept aside."""
    return max(SHRINKAGES, key=lambda s: (kept_aside(values, truth, person, s).argmax(1) == truth).mean())


def nested(values: np.ndarray, truth: np.ndarray, person: np.ndarray) -> tuple[np.ndarray, list[float]]:
    """Logits of each recording by a model whose shrinkage, too, was chosen on other persons, and the choices."""
    found, choices = np.zeros((len(truth), CLASSES)), []
    for one in np.unique(person):
        rest = person != one
        choices.append(chosen(values[rest], truth[rest], person[rest]))
        found[~rest] = Model(values[rest], truth[rest], choices[-1]).logits(values[~rest])
    return found, choices


def surprise(logits: np.ndarray, truth: np.ndarray, temperature: float) -> float:
    """Mean negative log-likelihood, nats."""
    scaled = logits / temperature
    scaled = scaled - scaled.max(1, keepdims=True)
    return float((np.log(np.exp(scaled).sum(1)) - scaled[np.arange(len(truth)), truth]).mean())


def report(truth: np.ndarray, answers: np.ndarray, people: np.ndarray) -> dict[str, list[float]]:
    names, of = np.unique(people, return_inverse=True)
    tables = np.stack([confusion_matrix(truth[of == i], answers[of == i], classes=CLASSES) for i in range(len(names))])
    drawn, found = np.tensordot(cluster_weights(len(names)), tables, axes=1), {}
    for metric, value, spread in (
        ("accuracy", (truth == answers).mean(), np.trace(drawn, axis1=1, axis2=2) / drawn.sum((1, 2))),
        ("balanced accuracy", float(balanced_accuracy(tables.sum(0))), balanced_accuracy(drawn)),
    ):
        interval = percentiles(spread)
        found[metric] = [round(float(each), 3) for each in (value, interval.low, interval.high)]
        print(f"{metric} {value:.3f} ({interval.low:.3f} to {interval.high:.3f} over {len(names)} people)")
    print("by person:", ", ".join(f"{(truth == answers)[of == i].mean():.2f}" for i in range(len(names))))
    recall = np.diag(tables.sum(0)) / tables.sum((0, 2))
    print("recall:", ", ".join(f"{name} {each:.2f}" for name, each in zip(LABELS.classes, recall, strict=True)))
    return found


def write_bundle(folder: Path, model: Model, temperature: float, scores: dict[str, list[float]]) -> None:
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    given, output = FunctionalsInput(), Output.classes(LABELS)
    constants = {
        "mean": model.mean, "scale": model.scale, "low": np.array(-LIMIT), "high": np.array(LIMIT),
        "weights": model.weights, "bias": model.bias,
    }  # fmt: skip
    nodes = [
        helper.make_node("Sub", ["voice", "mean"], ["centred"]),
        helper.make_node("Div", ["centred", "scale"], ["scaled"]),
        helper.make_node("Clip", ["scaled", "low", "high"], ["limited"]),
        helper.make_node("Gemm", ["limited", "weights", "bias"], ["expression"], transB=1),
    ]
    graph = helper.make_graph(
        nodes, "voice_expression",
        [helper.make_tensor_value_info("voice", TensorProto.FLOAT, ["batch", *given.shape])],
        [helper.make_tensor_value_info("expression", TensorProto.FLOAT, ["batch", CLASSES])],
        [numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in constants.items()],
    )  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    network = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    onnx.checker.check_model(network)
    onnx.save(network, str(folder / "model.onnx"))
    info = BundleInfo(
        "voice_expression", {}, {"voice": given}, {"expression": output}, {"expression": round(temperature, 3)},
        {"model.onnx": sha256_of(folder / "model.onnx")},
        {
            "data": "RAVDESS speech, actors 1 to 10, repetition 1 (300 recordings)",
            "licence": "CC BY-NC-SA 4.0 (weights follow the recordings: no commercial use)",
            "method": "linear discriminant analysis with shrinkage on 547 functionals",
            "actors_kept_aside": scores,
        },
    )  # fmt: skip
    write_text(folder / "system.json", info.to_json())
    print(json.dumps(scores), folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root")
    parser.add_argument("--write", type=Path)
    args = parser.parse_args()
    samples = open_reader("ravdess", args.root, modality="audio").samples("all")
    random = np.random.default_rng(0)
    sounds = [read_sound(sample.path, sample_rate_hz=RATE_HZ) for sample in samples]
    values = np.array([[functionals(each) for each in copies(sound, random)] for sound in sounds])
    truth, people = np.array([s.expression for s in samples]), np.array([sample.subject or "" for sample in samples])
    logits, choices = nested(values, truth, people)
    print(f"{len(truth)} recordings of {len(np.unique(people))} people, shrinkage {choices}")
    scores = report(truth, logits.argmax(1), people)
    temperature = min(np.arange(0.5, 8, 0.05), key=lambda t: surprise(logits, truth, t))
    before, after = (surprise(logits, truth, each) for each in (1.0, temperature))
    print(f"temperature {temperature:.2f}: {after:.3f} nats ({before:.3f} at 1)")
    for shrinkage in SHRINKAGES:
        print(f"shrinkage {shrinkage}: {(kept_aside(values, truth, people, shrinkage).argmax(1) == truth).mean():.3f}")
    if args.write:
        write_bundle(args.write, Model(values, truth, chosen(values, truth, people)), temperature, scores)


if __name__ == "__main__":
    main()
