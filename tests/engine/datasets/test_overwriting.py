"""What `mien data split` and `mien data leaks` wrote is replaced on request only: scores depend on it."""

from pathlib import Path

import pytest

from mien.core.errors import MienError
from mien.data.replicas import write_drawn
from mien.engine.datasets.leaks import leaks
from mien.engine.datasets.split import split


def test_a_split_is_replaced_on_request_only(tmp_path: Path) -> None:
    write_drawn(tmp_path / "faces", faces=28, size=32, layout="image_folder")
    file = tmp_path / "split.csv"
    options = {"root": str(tmp_path / "faces"), "output": str(file), "pictures": False}
    split("image_folder", parts="train=.6,test=.4", **options)
    first = file.read_bytes()
    with pytest.raises(MienError, match=r"split\.csv exists\. Add --overwrite to replace it"):
        split("image_folder", parts="train=.6,test=.4", seed=1, **options)
    assert file.read_bytes() == first
    split("image_folder", parts="train=.6,test=.4", seed=1, overwrite=True, **options)
    assert file.read_bytes() != first


def test_a_page_of_leaks_is_replaced_on_request_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_drawn(tmp_path / "faces", faces=14, size=32, layout="drawn")
    monkeypatch.chdir(tmp_path)
    assert "leaks/leaks.csv" in leaks("drawn", root="faces", pictures=False)
    Path("leaks/leaks.html").write_text("of yesterday")
    with pytest.raises(MienError, match=r"leaks\.csv exists\. Add --overwrite"):
        leaks("drawn", root="faces", pictures=False)
    assert Path("leaks/leaks.html").read_text() == "of yesterday"
    leaks("drawn", root="faces", pictures=False, overwrite=True)
    assert "of yesterday" not in Path("leaks/leaks.html").read_text()
    write_drawn(tmp_path / "others", faces=14, size=32, layout="image_folder", seed=3)
    assert "leaks-image_folder/leaks.csv" in leaks("drawn", root="faces", pictures=False, against="image_folder=others")
