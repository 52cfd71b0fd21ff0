"""`mien convert` and `mien analyze --format --report`: which files they write, replace and refuse."""

import json
import sys
from pathlib import Path

import pytest
from PIL import Image

from mien.__main__ import main
from mien.core.errors import MienError
from mien.engine.reading.analyze import analyze
from mien.engine.reading.tables.convert import convert
from stored_run import face, write_run

sys.path.insert(0, str(Path(__file__).parents[3] / "runtime"))
from tiny_bundle import write_tiny_bundle

MADE = {"readings_openface.csv", "readings_openface.json", "readings.jsonl", "report.html"}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_run(tmp_path / "run", [face(frame=i, time=i / 5, seed=i) for i in range(3)])


def test_one_format_goes_beside_the_table_or_into_a_file(run: Path, tmp_path: Path) -> None:
    assert convert(str(run), format_=["openface"]) == f"{run}/readings_openface.csv  OpenFace 2.2 CSV"
    assert json.loads((run / "readings_openface.json").read_text())["rows"] == 3
    convert(str(run / "readings.parquet"), format_=["coco"], output=str(tmp_path / "new" / "faces.json"))
    assert len(json.loads((tmp_path / "new" / "faces.json").read_text())["annotations"]) == 3
    convert(str(run), format_=["fex,jsonl"], output=str(tmp_path / "both"))
    assert {p.name for p in (tmp_path / "both").iterdir()} == {
        "readings_fex.csv",
        "readings_fex.json",
        "readings.jsonl",
    }


def test_files_are_replaced_only_on_request(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        code = main(["convert", str(run), "--format", "openface"])
    assert code == 2 and "readings_openface.csv exists. Add --overwrite" in capsys.readouterr().err
    assert main(["convert", str(run), "--format", "openface", "--overwrite"]) == 0


def test_the_table_itself_is_never_replaced(run: Path) -> None:
    before = (run / "readings.csv").read_bytes()
    for name in ("readings.csv", "readings.json", "readings.parquet"):
        with pytest.raises(MienError):
            convert(str(run), format_=["openface"], output=str(run / name), overwrite=True)
    assert (run / "readings.csv").read_bytes() == before and (run / "readings.parquet").is_file()


def test_analyze_writes_formats_and_a_page_and_takes_them_away_again(tmp_path: Path) -> None:
    astronaut = pytest.importorskip("skimage.data").astronaut()
    Image.fromarray(astronaut).save(tmp_path / "a.png")
    bundle, out = write_tiny_bundle(tmp_path / "bundle"), tmp_path / "out"
    options = {"output": str(out), "bundle": [str(bundle)], "landmarks": "no", "backend": "onnxruntime", "threads": 1}
    said = analyze([str(tmp_path / "a.png")], **options, format_=["openface,jsonl"], report=True)
    assert {p.name for p in out.iterdir()} >= MADE and "OpenFace 2.2 CSV" in said and "report.html" in said
    reading = json.loads((out / "readings.jsonl").read_text())
    assert reading["source"] == str(tmp_path / "a.png") and sum(reading["probabilities"].values()) == pytest.approx(1)
    assert "<img" in (out / "report.html").read_text(encoding="utf-8")
    analyze([str(tmp_path / "a.png")], **options, resume=True)  # a page of its own is no other command's
    convert(str(out), format_=["fex"])
    analyze([str(tmp_path / "a.png")], **options, overwrite=True)
    assert not {p.name for p in out.iterdir()} & {*MADE, "readings_fex.csv", "readings_fex.json"}
    with pytest.raises(MienError, match="--format needs --output"):
        analyze([str(tmp_path / "a.png")], format_=["openface"])
    with pytest.raises(MienError, match="--report needs --output"):
        analyze([str(tmp_path / "a.png")], report=True)
