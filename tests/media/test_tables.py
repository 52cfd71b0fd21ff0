"""Tables: CSV and Parquet say the same, and what was appended is there after a kill at any time."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from mien.core.errors import MienError
from mien.media.files import printable
from mien.media.tables import Column, TableWriter, read_rows, write_table

COLUMNS = [
    Column("name", "text"),
    Column("frame", "integer", unit="frames"),
    Column("x", "number", csv_format=".3f"),
    Column("p", "number"),
]


def row(number: int) -> dict:
    name = f"a\r{number}" if number % 2 else f'a, "{number}"\nb'
    return {"name": name, "frame": number, "x": number / 3, "p": None if number % 2 else 1e-9}


def parquet(path: Path) -> dict[str, list]:
    from arro3.io import read_parquet

    table = read_parquet(str(path)).read_all()
    return {name: table.column(name).to_pylist() for name in table.column_names}


def test_csv_and_parquet_say_the_same(tmp_path: Path) -> None:
    with TableWriter(tmp_path / "out" / "t", COLUMNS, describe=lambda state: {"state": state}, rows_held=7) as table:
        for number in range(20):
            table.append([row(number)])
    rows, columns = list(read_rows(tmp_path / "out" / "t.csv")), parquet(tmp_path / "out" / "t.parquet")
    assert [r["name"] for r in rows] == columns["name"] == [row(n)["name"] for n in range(20)]
    assert columns["x"] == [n / 3 for n in range(20)] and rows[1]["x"] == "0.333"
    assert columns["p"][:2] == [1e-9, None] and [r["p"] for r in rows[:2]] == ["1e-09", ""]
    assert json.loads((tmp_path / "out" / "t.json").read_text()) == {"state": "complete"}
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["t.csv", "t.json", "t.parquet"]


def test_rows_are_in_the_csv_at_once_and_an_error_keeps_them(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="mid"), TableWriter(tmp_path / "t", COLUMNS) as table:
        table.append([row(0)])
        assert [r["frame"] for r in read_rows(tmp_path / "t.csv")] == ["0"]
        raise ValueError("mid")
    assert parquet(tmp_path / "t.parquet")["frame"] == [0]
    assert (tmp_path / "t.arrows").is_file()  # to go on from


@pytest.mark.parametrize("torn", ["csv", "arrows", "both"])
def test_a_torn_end_is_dropped_and_the_table_goes_on(tmp_path: Path, torn: str) -> None:
    table = TableWriter(tmp_path / "t", COLUMNS, rows_held=5)
    for number in range(13):
        table.append([row(number)])
    table._file.close()  # as a kill leaves it: ten rows in the journal, thirteen in the CSV
    if torn in ("csv", "both"):
        content = (tmp_path / "t.csv").read_bytes()
        (tmp_path / "t.csv").write_bytes(content[:-3])
    if torn in ("arrows", "both"):
        content = (tmp_path / "t.arrows").read_bytes()
        (tmp_path / "t.arrows").write_bytes(content[:-20])
    with TableWriter(tmp_path / "t", COLUMNS, resume=True) as table:
        assert table.rows == (5 if torn != "csv" else 10)
        for number in range(table.rows, 15):
            table.append([row(number)])
    assert [int(r["frame"]) for r in read_rows(tmp_path / "t.csv")] == list(range(15))
    assert parquet(tmp_path / "t.parquet")["frame"] == list(range(15))


def test_a_complete_table_goes_on_and_is_truncated_anywhere(tmp_path: Path) -> None:
    with TableWriter(tmp_path / "t", COLUMNS) as table:
        table.append(row(n) for n in range(9))
    with TableWriter(tmp_path / "t", COLUMNS, resume=True) as table:
        assert table.rows == 9
        table.truncate(4)
        table.append([row(99)])
    assert [int(r["frame"]) for r in read_rows(tmp_path / "t.csv")] == [0, 1, 2, 3, 99]
    assert parquet(tmp_path / "t.parquet")["x"] == [0, 1 / 3, 2 / 3, 1, 33]


def test_other_columns_are_refused_and_no_rows_still_make_a_table(tmp_path: Path) -> None:
    TableWriter(tmp_path / "t.csv", COLUMNS).close()
    assert (tmp_path / "t.csv").read_text() == "name,frame,x,p\n" and parquet(tmp_path / "t.parquet")["p"] == []
    with pytest.raises(MienError, match="other models or options"):
        TableWriter(tmp_path / "t", [*COLUMNS, Column("q")], resume=True)
    with pytest.raises(MienError, match="'p' is not one"):
        TableWriter(tmp_path / "t", [*COLUMNS[:3], Column("q")], resume=True)


KILLED = """
import sys; from mien.media.tables import Column, TableWriter
table = TableWriter(sys.argv[1], [Column("n", "integer"), Column("x")], save_every_s=0.02, rows_held=10**9)
n = 0
while True:
    table.append([{"n": n, "x": n / 7}] * 2); n += 1
    if n == 20000: print("ready", flush=True)
"""


def test_a_kill_at_any_time_leaves_every_whole_row(tmp_path: Path) -> None:
    for delay in (0.0, 0.013, 0.05):
        process = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path / "t")], stdout=subprocess.PIPE)
        assert process.stdout and process.stdout.readline() == b"ready\n"
        time.sleep(delay)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        written = (tmp_path / "t.csv").read_text().splitlines()[1:-1]
        assert [int(line.split(",")[0]) for line in written] == [i // 2 for i in range(len(written))]
        with TableWriter(tmp_path / "t", [Column("n", "integer"), Column("x")], resume=True) as table:
            assert 0 < table.rows <= len(written) + 1
        found = parquet(tmp_path / "t.parquet")
        assert found["n"] == [i // 2 for i in range(table.rows)] and found["x"][-1] == (table.rows - 1) // 2 / 7


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    table = TableWriter(tmp_path / "t", COLUMNS)
    table._file.close()
    table._file = open("/dev/full", "wb", buffering=0)  # noqa: PTH123, SIM115
    with pytest.raises(MienError, match=r"Cannot write .*t\.csv: No space left on device"):
        table.append([row(0)])


def test_panics_of_arrow_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Panic(BaseException):
        pass

    def write(*_: object, **__: object) -> None:
        raise Panic("called `Result::unwrap()` on an `Err` value:\nStorageFull")

    monkeypatch.setattr("mien.media.tables.write_parquet", write)
    with pytest.raises(MienError, match=r"Cannot write .*t\.parquet: called .* StorageFull"):
        write_table(tmp_path / "t.parquet", {"a": [1]})
    assert list(tmp_path.iterdir()) == []


def test_a_save_costs_the_same_for_any_length(tmp_path: Path) -> None:
    columns = [Column("n", "integer"), *(Column(f"x{i}") for i in range(100))]
    table = TableWriter(tmp_path / "t", columns, rows_held=10**9, save_every_s=1e9)
    sizes, times = [], []
    for _ in range(12):
        table.append({column.name: 1.5 for column in columns} | {"n": i} for i in range(100))
        before, start = table.journal.stat().st_size, time.perf_counter()
        table.save()
        times.append(time.perf_counter() - start)
        sizes.append(table.journal.stat().st_size - before)
    assert len(set(sizes)) == 1 and min(times[6:]) < 2 * max(times[:6])


def test_whole_tables_take_lists_and_arrays(tmp_path: Path) -> None:
    columns = {
        "name": ["a", "bad\udce9"], "flag": np.array([True, False]), "x": np.array([0.1, np.nan], np.float64),
        "n": [1, None], "box": np.arange(4, dtype=np.float32).reshape(2, 2), "p": [0.125, 0.25],
    }  # fmt: skip
    write_table(tmp_path / "t.parquet", columns)
    write_table(tmp_path / "t.csv", columns, described=[Column("p", csv_format=".1f")])
    found = parquet(tmp_path / "t.parquet")
    assert found["name"] == ["a", "bad%E9"] and found["n"] == [1, None] and found["flag"] == [1, 0]
    assert found["box"] == [[0, 1], [2, 3]] and found["x"][0] == 0.1
    assert list(read_rows(tmp_path / "t.csv"))[1] == {
        "name": "bad%E9", "flag": "0", "x": "nan", "n": "", "box": "2 3", "p": "0.2",
    }  # fmt: skip
    with pytest.raises(MienError, match="one length"):
        write_table(tmp_path / "u.csv", {"a": [1], "b": [1, 2]})
    with pytest.raises(MienError, match=r"as \.csv or \.parquet"):
        write_table(tmp_path / "u.txt", {"a": [1]})


def test_names_that_are_not_utf8_stay_apart() -> None:
    assert printable("caf\udce9.jpg") == "caf%E9.jpg" != printable("caf\udce8.jpg")
    assert printable("üñ 100%") == "üñ 100%" and printable("\ud800") == "%uD800"
