"""The sets that benchmarks/index.py times are read right, by every form: speed is not bought with mistakes."""

import sys
from pathlib import Path

import numpy as np
import pytest

from mien.data.readers import open_reader

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))
import index

FACES = 40


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("form", sorted(index.FORMS))
def test_every_face_is_what_was_written(form: str, tmp_path: Path) -> None:
    if "manifest_p" in form:
        pytest.importorskip("pyarrow")
    write, reader, _ = index.FORMS[form]
    opened = open_reader(reader, write(tmp_path / form, FACES))
    samples = opened.samples("train")
    assert len(samples) == FACES == len({sample.key for sample in samples}) and opened.notes == []
    assert all(sample.path.is_file() for sample in samples) and opened.labels is not None
    numbers = {index.name_of(i).rpartition("/")[2]: i for i in range(FACES)} | {f"{i}.jpg": i for i in range(FACES)}
    for sample in samples:
        i = numbers[sample.path.name]
        assert opened.labels.classes[sample.expression or 0] == index.CLASSES[i % 8]
        if form == "lists":
            assert sample.box == (i % 90, i % 80, i % 90 + 200 + i % 7, i % 80 + 210) and sample.valence == i / 100
            np.testing.assert_allclose(np.asarray(sample.landmarks_px)[-1], [284.95, 284.95 + 1.37], atol=1.4)
        if form.startswith("manifest"):
            assert sample.box == (1, 2, 201.5, 220) and sample.subject == f"person{i}"
        assert (form == "manifest_points") <= (sample.landmarks_px is not None)


def test_a_kept_index_says_the_same(tmp_path: Path) -> None:
    root = index.arrays(tmp_path / "arrays", FACES)
    first, second = (open_reader("affectnet", root).samples("train") for _ in range(2))
    assert [(s.key, s.expression, s.valence) for s in first] == [(s.key, s.expression, s.valence) for s in second]
