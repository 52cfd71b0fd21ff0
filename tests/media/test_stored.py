"""Tables are read back as they were written: Parquet, CSV, the journal of a killed run; batch by batch, and whole."""

import json
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import mien
from mien.core.errors import MienError
from mien.media.tables import Column, TableWriter
from mien.media.tables.stored import open_table

COLUMNS = [
    Column("source", "text", meaning="the file"),
    Column("frame", "integer", "frames"),
    Column("success", "integer"),
    Column("x", "number", "pixels"),
    Column("half", "number"),
    Column("code", "numbers"),
]


def row(i: int) -> dict:
    face = i % 3 > 0
    given = {"source": f'a, "{i}"\nb', "frame": i, "success": int(face), "half": None if i % 2 else i / 2}
    return given | ({"x": i / 3, "code": [i, 0.5]} if face else {})


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    described = {"columns": {column.name: column.described() for column in COLUMNS}}
    with TableWriter(tmp_path / "readings", COLUMNS, describe=lambda state: described, rows_held=4) as table:
        for i in range(9):
            table.append([row(i)])
    return tmp_path


@pytest.mark.parametrize("name", ["", "readings", "readings.parquet", "readings.csv", "readings.json"])
def test_every_way_to_name_a_table_gives_the_same_rows(stored: Path, name: str) -> None:
    table = open_table(stored / name)
    assert [(c.name, c.kind, c.unit) for c in table.columns] == [(c.name, c.kind, c.unit) for c in COLUMNS]
    assert table.columns[0].meaning == "the file"
    batches = list(table.batches())
    assert sum(rows.count for rows in batches) == 9
    assert [v for rows in batches for v in rows.texts("source")] == [row(i)["source"] for i in range(9)]
    x = np.concatenate([rows.numbers("x") for rows in batches])
    assert np.array_equal(x, [row(i).get("x", np.nan) for i in range(9)], equal_nan=True)
    half = np.concatenate([rows.numbers("half") for rows in batches])  # empty in other rows than those without a face
    assert np.array_equal(half, [np.nan if i % 2 else i / 2 for i in range(9)], equal_nan=True)
    assert [v for rows in batches for v in rows.plain(COLUMNS[5])] == [row(i).get("code", []) for i in range(9)]


def test_a_journal_and_a_torn_csv_give_their_whole_rows(tmp_path: Path) -> None:
    table = TableWriter(tmp_path / "readings", COLUMNS)
    table.append(map(row, range(3)))
    table.save()
    table.append([row(3)])
    with (tmp_path / "readings.csv").open("ab") as file:
        file.write(b"half a ro")
    assert open_table(tmp_path).path.suffix == ".arrows"
    assert sum(rows.count for rows in open_table(tmp_path).batches()) == 3
    with (tmp_path / "readings.arrows").open("ab") as file:
        file.write(b"\xff\xff\xff\xff\x40\0")
    assert sum(rows.count for rows in open_table(tmp_path).batches()) == 3
    assert sum(rows.count for rows in open_table(tmp_path / "readings.csv").batches()) == 4


def test_a_csv_without_sidecar_has_the_types_of_its_cells(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b,c,d\n1,2,x,\n3,4.5,7,\n", encoding="utf-8")
    table = open_table(tmp_path / "t.csv")
    assert [column.kind for column in table.columns] == ["integer", "number", "text", "integer"]


def test_read_table_as_arrow(stored: Path) -> None:
    table = mien.read_table(stored, "arrow")
    assert table.column("frame").to_pylist() == list(range(9))
    assert table.column("x").to_pylist()[:2] == [None, 1 / 3]
    assert json.loads(table.schema.metadata_str["mien"])["columns"]["x"]["unit"] == "pixels"
    assert mien.read_table(stored / "readings.csv", "arrow", columns=["x", "frame"]).schema.names == ["x", "frame"]


class Pandas:
    class DataFrame(dict):
        def __init__(self, values: dict) -> None:
            super().__init__(values)
            self.attrs: dict = {}


def test_read_table_as_pandas(stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mien.media.tables.frames.find_spec", lambda name: name == "pandas")
    monkeypatch.setitem(sys.modules, "pandas", Pandas())
    frame = mien.read_table(stored)
    assert frame["frame"].dtype == np.int64 and frame["x"].dtype == np.float64 and np.isnan(frame["x"][0])
    assert frame["code"][:2] == [[], [1.0, 0.5]] and frame.attrs["mien"]["columns"]["x"]["unit"] == "pixels"


@pytest.mark.skipif(not find_spec("polars"), reason="polars is not installed")
def test_read_table_as_polars(stored: Path) -> None:
    assert mien.read_table(stored, "polars")["frame"].to_list() == list(range(9))


def test_mistakes_are_named(stored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MienError, match=r"no such file or folder\. Expected the --output folder of mien analyze"):
        mien.read_table(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "voice.csv").write_text("a\n")
    with pytest.raises(MienError, match=r"a folder without readings.parquet or readings.csv, but with voice.csv"):
        mien.read_table(tmp_path / "empty")
    with pytest.raises(MienError, match=r"no column 'frames'. Did you mean 'frame'?"):
        mien.read_table(stored, "arrow", columns=["frames"])
    (stored / "readings.parquet").write_bytes(b"PAR1 and nothing else")
    with pytest.raises(MienError, match=r"readings.parquet cannot be read"):
        mien.read_table(stored, "arrow")
    (tmp_path / "empty" / "wide.csv").write_text("a,b\n1,2\n1,2,3\n1,2\n")
    with pytest.raises(MienError, match="row 3 has 3 cells, the header 2"):
        mien.read_table(tmp_path / "empty" / "wide.csv", "arrow")
    monkeypatch.setattr("mien.media.tables.frames.find_spec", lambda name: None)
    with pytest.raises(MienError, match="polars is not installed: pip install polars, or take kind='arrow'"):
        mien.read_table(stored, "polars")
