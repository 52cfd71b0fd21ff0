"""The notebook of the first hour runs as it stands: from a photo to a model of one's own, in an empty folder."""

import json
from pathlib import Path
from typing import Any

import pytest

from mien.core.records import Reading

NOTEBOOK = Path(__file__).parents[1] / "docs" / "first_hour.ipynb"
LARGEST = 50_000  # bytes: no pictures of faces among its outputs


def cells(kind: str) -> list[str]:
    read = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    return ["".join(cell["source"]) for cell in read["cells"] if cell["cell_type"] == kind]


def test_the_notebook_is_small_and_has_no_outputs() -> None:
    read = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    assert read["nbformat"] == 4 and NOTEBOOK.stat().st_size < LARGEST
    assert all(not cell["outputs"] for cell in read["cells"] if cell["cell_type"] == "code")
    index = (NOTEBOOK.parent / "index.md").read_text(encoding="utf-8")
    assert "(first_hour.ipynb)" in index


@pytest.mark.slow
@pytest.mark.usefixtures("loaded_and_found_once")
def test_every_cell_runs_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("lightning")
    pytest.importorskip("skimage")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "__main__"}
    for number, cell in enumerate(cells("code")):
        exec(compile(cell, f"cell {number}", "exec"), names)
    printed = capsys.readouterr().out
    assert isinstance(names["face"], Reading) and repr(names["face"]) in printed
    assert names["result"].bundle.is_dir() and "accuracy" in printed
    (mine,) = names["own"].read("photo.jpg")
    assert mine.success and set(mine.probabilities) == {path.name for path in Path("my_faces/train").iterdir()}
    for name in ("drawn.png", "evaluation/report.html", "runs/mine/bundle/model.onnx"):
        assert (tmp_path / name).is_file()
