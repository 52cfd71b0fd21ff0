"""Rows that share a picture decode it once, and get what they would get alone."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.core.errors import MienError
from mien.core.records import Sample
from mien.core.spec import PictureInput
from mien.data import recent
from mien.data.inspection import pictures
from mien.data.preparation import prepared
from mien.data.preparation.face_crop import Preparation, cut
from mien.data.preparation.prepared import parts_of, write_part
from mien.data.recent import Recent


def test_the_last_values_are_kept_and_errors_too() -> None:
    made: list[int] = []

    def square(n: int) -> int:
        made.append(n)
        if n < 0:
            raise MienError("below 0")
        return n * n

    values = Recent[int](30, weigh=lambda value: value)
    for n in (3, 4, 3, 4, 5, 4, 5, 3, 9, 9):
        assert values.get(n, lambda n=n: square(n)) == n * n  # type: ignore[misc]
    assert made == [3, 4, 5, 4, 5, 3, 9, 9]  # 9 + 16 fit, 25 stands alone, 81 never stays
    for _ in range(3):
        with pytest.raises(MienError, match="below 0") as caught:
            values.get(-1, lambda: square(-1))
        assert len(caught.traceback) < 6
    assert made.count(-1) == 1


@pytest.fixture
def rows(tmp_path: Path) -> list[Sample]:
    """400 rows over two pictures and a damaged one, in three boxes and none."""
    random = np.random.default_rng(3)
    for name in ("a.png", "b.png"):
        Image.fromarray(random.integers(0, 255, (60, 80, 3), np.uint8)).save(tmp_path / name)
    (tmp_path / "c.png").write_bytes((tmp_path / "a.png").read_bytes()[:900])
    boxes = (None, (0.0, 0.0, 40.0, 40.0), (20.5, 10.0, 70.0, 60.0))
    return [Sample(f"{i:03d}", tmp_path / f"{'abc'[i % 3]}.png", "all", box=boxes[i // 3 % 3]) for i in range(400)]


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    names: list[str] = []
    load = recent.load_still
    monkeypatch.setattr(recent, "load_still", lambda path, **how: names.append(path.name) or load(path, **how))
    monkeypatch.setattr(recent, "_recent", Recent(recent._PICTURES, weigh=lambda picture: picture.pixels.size))
    monkeypatch.setattr(prepared, "_recent", Recent(100, kept=prepared.CutError))
    yield names


def test_statistics_decode_each_picture_once(rows: list[Sample], decoded: list[str]) -> None:
    spec = PictureInput(size=pictures.SIDE)
    found = pictures.inspect(rows, spec=spec, workers=1)
    assert sorted(decoded) == ["a.png"] * 2 + ["b.png"] * 2 + ["c.png"] * 2  # with a box and without
    for row, facts in zip(rows[:9], found, strict=False):
        assert facts == pictures.inspect([row], spec=spec)[0]
    assert {bool(facts.why_broken) for facts in found[2::3]} == {True}


def test_preparing_decodes_each_picture_once(rows: list[Sample], decoded: list[str], tmp_path: Path) -> None:
    how = Preparation(size=24, detector="none", encoding="png", min_face=1)
    parts = parts_of({"all": rows}, tmp_path / "out", how, labels=None, shards=False)
    counts = [write_part(part) for part in parts]
    assert (sum(n for n, _ in counts), sum(n for _, n in counts)) == (267, 133)
    assert len(decoded) == 6
    name = dict(zip((row.key for row in rows), (name for part in parts for name in part.names), strict=True))
    for row in (rows[0], rows[3], rows[390], rows[391]):
        with Image.open(tmp_path / "out" / "pictures" / name[row.key]) as picture:
            np.testing.assert_array_equal(np.asarray(picture), cut(row, how).pixels)


def test_many_keys_that_become_one_name_are_numbered_at_once(tmp_path: Path) -> None:
    rows = [Sample(chr(0x1F300 + i) + ".png", tmp_path / "a.png", "all") for i in range(20_000)]
    how = Preparation(size=24, detector="none")
    names = [name for part in parts_of({"all": rows}, tmp_path, how, labels=None, shards=False) for name in part.names]
    assert len(set(names)) == 20_000 and names[:2] == ["_.jpg", "_-2.jpg"]
