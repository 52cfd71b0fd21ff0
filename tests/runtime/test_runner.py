"""The runner: the same logits on every backend and batch, and one line for each thing that can be wrong."""

import copy
import json
import multiprocessing
from pathlib import Path

import numpy as np
import pytest
from tiny_bundle import write_tiny_bundle

from mien.core.errors import MienError
from mien.runtime import runner
from mien.runtime.runner import Runner


def images(count: int, size: int = 64) -> np.ndarray:
    return np.random.default_rng(3).normal(0, 1, (count, 3, size, size)).astype(np.float32)


def by_hand(bundle: Path, x: np.ndarray) -> np.ndarray:
    """The tiny network in numpy."""
    from onnx import load, numpy_helper

    stored = {t.name: numpy_helper.to_array(t) for t in load(bundle / "model.onnx").graph.initializer}
    padded = np.pad(x, ((0, 0), (0, 0), (2, 2), (2, 2)))
    patches = np.lib.stride_tricks.sliding_window_view(padded, (5, 5), axis=(2, 3))[:, :, ::4, ::4]
    maps = np.maximum(np.einsum("nchwij,ocij->nohw", patches, stored["kernel"]), 0)
    step = x.shape[2] // 16
    pooled = maps.reshape(*maps.shape[:2], 4, step, 4, step).mean((3, 5))
    return 0.2 * pooled.reshape(len(x), -1) @ stored["head"] + stored["bias"]


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_any_batch_gives_the_logits_worked_by_hand(tiny_bundle: Path, backend: str) -> None:
    pytest.importorskip(backend)
    run = Runner(tiny_bundle, backend=backend, precision="fp32", threads=1)
    for count in (1, 3, 16, 1, 40):
        x = images(count)
        logits = run(x)
        assert logits.dtype == np.float32 and logits.shape == (count, 8)
        np.testing.assert_allclose(logits, by_hand(tiny_bundle, x), atol=2e-5)
    assert run(images(0)).shape == (0, 8)


def test_bf16_stays_near_where_the_cpu_has_it(tiny_bundle: Path) -> None:
    pytest.importorskip("openvino")
    try:
        half = Runner(tiny_bundle, backend="openvino", precision="bf16", threads=1)
    except MienError as error:
        pytest.skip(str(error))
    x = images(8)
    assert half.precision == "bf16"
    np.testing.assert_allclose(half(x), by_hand(tiny_bundle, x), atol=0.05)


def test_a_result_is_not_overwritten_by_the_next(tiny_bundle: Path) -> None:
    for backend in ("onnxruntime", "openvino"):
        if backend == "openvino":
            pytest.importorskip("openvino")
        run, x = Runner(tiny_bundle, backend=backend, threads=1), images(2)
        first = run(x)
        kept = first.copy()
        run(-x)
        np.testing.assert_array_equal(first, kept)


def test_small_networks_stay_in_fp32_by_themselves(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Runner(tiny_bundle).precision == "fp32"
    assert Runner(tiny_bundle).backend == runner.choose_backend("auto")
    monkeypatch.setattr(runner, "find_spec", lambda name: None if name == "openvino" else object())
    assert Runner(tiny_bundle).backend == "onnxruntime"
    with pytest.raises(MienError, match=r"openvino is not installed. pip install '\S*\[fast\]'"):
        Runner(tiny_bundle, backend="openvino")


def change(bundle: Path, **fields) -> None:
    path = bundle / "system.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def cut_model(bundle: Path) -> None:
    data = (bundle / "model.onnx").read_bytes()[:-300]
    (bundle / "model.onnx").write_bytes(data)


def restate(bundle: Path) -> None:
    from mien.media.files import sha256_of

    change(bundle, files={"model.onnx": sha256_of(bundle / "model.onnx")})


def text_as_model(bundle: Path) -> None:
    (bundle / "model.onnx").write_text("no network\nat all")
    restate(bundle)


def other_size(bundle: Path) -> None:
    spec = json.loads((bundle / "system.json").read_text())["inputs"]["image"]
    change(bundle, inputs={"image": spec | {"size": 48}})


def other_classes(bundle: Path) -> None:
    change(bundle, outputs={"expression": {"kind": "classes", "labels": {"name": "two", "classes": ["a", "b"]}}})


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (cut_model, "is damaged or changed: SHA-256"),
        (text_as_model, "is not a network that"),
        (lambda b: (b / "model.onnx").unlink(), "holds no model.onnx.*mien export"),
        (lambda b: (b / "system.json").unlink(), "is not a bundle: cannot read"),
        (lambda b: (b / "system.json").write_bytes(b"\xff\xfe{"), "not a mien bundle"),
        (lambda b: (b / "system.json").write_text("[]"), "not a mien bundle"),
        (lambda b: change(b, files={}), "does not state the SHA-256"),
        (other_size, r"does not run on \[1, 3, 48, 48\]"),
        (other_classes, r"gives expression of \[1, 8\], but system.json names 2 classes"),
    ],
)
@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_a_spoiled_bundle_is_refused_in_one_line(tmp_path: Path, spoil, message: str, backend: str) -> None:
    pytest.importorskip(backend)
    bundle = write_tiny_bundle(tmp_path / "b")
    spoil(bundle)
    with pytest.raises(MienError, match=message) as caught:
        Runner(bundle, backend=backend, threads=1)
    assert "\n" not in str(caught.value)


def test_wrong_names_and_shapes_are_refused(tiny_bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(MienError, match="Did you mean 'openvino'"):
        Runner(tiny_bundle, backend="openvin")
    with pytest.raises(MienError, match="Did you mean 'bf16'"):
        Runner(tiny_bundle, precision="bf61")
    with pytest.raises(MienError, match="at least 1; got 0"):
        Runner(tiny_bundle, threads=0)
    with pytest.raises(MienError, match="computes in fp32"):
        Runner(tiny_bundle, backend="onnxruntime", precision="bf16")
    with pytest.raises(MienError, match="is not a bundle"):
        Runner(tmp_path / "nothing")
    with pytest.raises(MienError, match=r"takes image \[n, 3, 64, 64\]; got \[2, 3, 32, 32\]"):
        Runner(tiny_bundle, backend="onnxruntime")(images(2, 32))


def test_logits_that_are_not_numbers_are_refused(tmp_path: Path) -> None:
    from onnx import load, numpy_helper, save

    bundle = write_tiny_bundle(tmp_path / "b")
    model = load(bundle / "model.onnx")
    huge = numpy_helper.from_array(np.full((3 * 8, 5, 5), 1e38, np.float32).reshape(8, 3, 5, 5), "kernel")
    next(t for t in model.graph.initializer if t.name == "kernel").CopyFrom(huge)
    save(model, str(bundle / "model.onnx"))
    restate(bundle)
    run = Runner(bundle, backend="onnxruntime")  # zeros times anything is zero
    with pytest.raises(MienError, match="not finite"):
        run(images(1))


def test_a_file_is_checked_once_by_a_process_and_another_file_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked = []
    monkeypatch.setattr(runner, "_within_limits", set())
    monkeypatch.setattr(runner, "check_graph", lambda path, inputs: checked.append((path.parent.name, inputs)))
    one, other = (write_tiny_bundle(tmp_path / name, seed=seed) for seed, name in enumerate(("one", "other")))
    for bundle in (one, one, other, one):
        Runner(bundle, backend="onnxruntime", threads=1)
    assert checked == [(name, {"image": (1, 3, 64, 64)}) for name in ("one", "other")]


def test_a_file_beyond_the_limits_is_refused_each_time(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, inputs: object) -> None:
        raise MienError("too much")

    monkeypatch.setattr(runner, "_within_limits", set())
    monkeypatch.setattr(runner, "check_graph", refuse)
    for _ in range(2):
        with pytest.raises(MienError, match="too much"):
            Runner(tiny_bundle, backend="onnxruntime", threads=1)


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_copies_and_copied_processes_load_the_network_anew(tiny_bundle: Path, backend: str) -> None:
    pytest.importorskip(backend)
    used, x = Runner(tiny_bundle, backend=backend, threads=2), images(3)
    expected = used(x)
    assert np.array_equal(copy.deepcopy(used)(x), expected)
    fork = multiprocessing.get_context("fork")
    found = fork.SimpleQueue()
    child = fork.Process(target=lambda: found.put(used(x)), daemon=True)
    child.start()
    child.join(60)
    assert child.exitcode == 0
    assert np.array_equal(found.get(), expected)
