"""Every system is fitted, resumed, evaluated and exported with its network on the GPU, by the commands."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

import mien
from mien.__main__ import main

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")
from small_systems import SMALL, fit_words  # noqa: E402


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    from mien.data.replicas import write_drawn
    from mien.data.replicas.people import Plan, write_people
    from mien.synthetic.people import PeopleOptions

    folder = tmp_path_factory.mktemp("data")
    plan = Plan(faces=24, pictures=2, seed=0, shares=(0.6, 0.2, 0.2))
    write_people(folder / "people", plan, options=PeopleOptions(size=64), workers=1)
    drawn = write_drawn(folder / "drawn", faces=35, size=40, layout="drawn", test_share=0.4)
    return {"drawn": drawn, "people": folder / "people"}


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("name", SMALL)
def test_fit_resume_evaluate_export(
    name: str, precision: str, device: str, roots: dict[str, Path], tmp_path: Path
) -> None:
    data, run = SMALL[name].data, tmp_path / "run"
    more = {"trainer.device": device, "trainer.precision": precision, "trainer.epochs": 1, "optim.ema": 0.9,
            "data.leaks": "ignore", "data.workers": 1, "optim.schedule": "constant"}  # fmt: skip
    assert main(["fit", *fit_words(name, roots[data], run, **more)]) == 0
    assert main(["fit", "--output", str(run), "--resume", "true", "--trainer.epochs", "2"]) == 0
    epochs = [json.loads(line) for line in (run / "metrics.jsonl").read_text("utf-8").splitlines()]
    assert max(line["epoch"] for line in epochs if line.get("epoch") is not None) == 2
    system = mien.load(run / "bundle")
    assert all(bool(value.isfinite().all()) for value in system.state_dict().values() if value.is_floating_point())
    words = ["--data.name", data, "--data.root", str(roots[data]), "--bootstrap", "20", "--device", device]
    words += [] if SMALL[name].reads == "picture" else ["--split", "test"]
    assert main(["evaluate", str(run), *words, "--runner", "torch", "--output", str(tmp_path / "scores")]) == 0
    assert (tmp_path / "scores" / "report.html").is_file()
    if SMALL[name].reads != "picture":
        pytest.importorskip("onnx")
        assert main(["export", str(run), "--output", str(tmp_path / "reading")]) == 0
        assert (tmp_path / "reading" / "model.onnx").is_file()


def test_a_run_goes_on_on_the_other_device(device: str, roots: dict[str, Path], tmp_path: Path) -> None:
    run = tmp_path / "run"
    more = {"trainer.device": device, "trainer.epochs": 1, "data.leaks": "ignore", "optim.schedule": "constant"}
    assert main(["fit", *fit_words("poster_v2", roots["drawn"], run, **more)]) == 0
    for epochs, place in ((2, "cpu"), (3, device)):
        words = ["--resume", "true", "--trainer.epochs", str(epochs), "--trainer.device", place]
        assert main(["fit", "--output", str(run), *words]) == 0


def test_evaluation_on_the_gpu_gives_the_cpus_probabilities(
    device: str, roots: dict[str, Path], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    more = {"trainer.device": device, "trainer.epochs": 1, "data.leaks": "ignore"}
    assert main(["fit", *fit_words("poster_v2", roots["drawn"], run, **more)]) == 0
    tables: list[list[dict[str, Any]]] = []
    for place in ("cpu", device):
        words = ["--data.name", "drawn", "--data.root", str(roots["drawn"]), "--split", "test", "--bootstrap", "20"]
        words += ["--device", place, "--runner", "torch", "--output", str(tmp_path / f"on_{place}_{len(tables)}")]
        assert main(["evaluate", str(run), *words]) == 0
        file = tmp_path / f"on_{place}_{len(tables)}" / "predictions.csv"
        tables.append(list(csv.DictReader(file.open(encoding="utf-8"))))
    for first, second in zip(*tables, strict=True):
        chances = [key for key in first if key.startswith("p_")]
        assert chances
        assert all(abs(float(first[key]) - float(second[key])) < 1e-4 for key in chances)
