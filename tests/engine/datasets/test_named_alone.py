"""The `mien data` commands take a folder or a table in place of a reader and its root."""

from pathlib import Path

import pytest

from mien.core.errors import MienError
from mien.data.replicas import write_drawn
from mien.engine.datasets.check import check
from mien.engine.datasets.leaks import leaks
from mien.engine.datasets.stats import stats


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    write_drawn(tmp_path / "faces", faces=28, size=32, layout="image_folder")
    monkeypatch.chdir(tmp_path)
    return "faces"


def test_a_folder_alone(folder: str) -> None:
    assert check(folder, decode=False).startswith(check("image_folder", root=folder, decode=False))
    assert stats(folder, workers=1) == stats("image_folder", root=folder, workers=1)
    assert "leaks/leaks.csv" in leaks(folder, pictures=False)


def test_a_table_alone(folder: str) -> None:
    files = sorted(Path(folder).glob("*/*/*")) or sorted(Path(folder).glob("*/*"))
    rows = [f"{path.resolve()},{path.parent.name}" for path in files if path.is_file()]
    Path("faces.csv").write_text("\n".join(["path,label", *rows]) + "\n")
    assert stats("faces.csv", workers=1).startswith("manifest, faces.csv")


def test_what_is_neither(folder: str) -> None:
    for command in (check, stats, leaks):
        with pytest.raises(MienError, match=r"nowhere is no folder, no table and no reader; name one"):
            command("nowhere")
        with pytest.raises(MienError, match=r"--root DIR of rafdb"):
            command("rafdb")
