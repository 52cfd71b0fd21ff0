"""The words that install an extra work where they are read: in a clone, beside it, and for an installed copy."""

import json
import re
import shlex
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

from mien.core import extras
from mien.core.extras import EXTRAS, install_hint, missing_text

ROOT = Path(__file__).parents[2]
NAMED = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]


def test_in_a_clone_and_beside_it_the_hint_names_the_clone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(ROOT)
    assert install_hint("video", "audio") == "pip install '.[video,audio]'"
    monkeypatch.chdir(tmp_path)
    assert shlex.split(install_hint("train")) == ["pip", "install", f"{ROOT}[train]"]


@pytest.mark.parametrize(
    ("stated", "target"),
    [
        ({"url": "file://{folder}", "dir_info": {}}, "{folder}[video]"),
        ({"url": "https://example.org/mien.git", "vcs_info": {"vcs": "git"}}, "mien[video] @ git+https://example.org/mien.git"),
        (None, "mien[video]"),
    ],
)  # fmt: skip
def test_an_installed_copy_is_named_by_where_it_came_from(
    stated: dict | None, target: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Installed:
        def read_text(self, _: str) -> str | None:
            return None if stated is None else json.dumps(stated).replace("{folder}", str(tmp_path))

    monkeypatch.setattr(extras, "__file__", str(tmp_path / "site-packages" / "mien" / "core" / "extras.py"))
    monkeypatch.setattr(metadata, "distribution", lambda _: Installed())
    assert shlex.split(install_hint("video"))[2] == target.replace("{folder}", str(tmp_path))


def test_every_hint_names_an_extra_that_there_is_and_none_an_index() -> None:
    for path in sorted((ROOT / "src" / "mien").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        assert path.name == "extras.py" or "mien[" not in text, path
        for call in re.findall(r"install_hint\(([^)*]+)\)", text):
            assert set(re.findall(r"['\"](\w+)['\"]", call)) <= set(NAMED), path
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        assert "pip install 'mien[" not in page.read_text(encoding="utf-8"), page
    assert set(EXTRAS) <= set(NAMED)


def test_a_missing_package_is_named_with_its_extra() -> None:
    assert missing_text(ImportError("no", name="torch.nn"), "Training") == (
        f"Training needs torch, which is not installed: {install_hint('train')}."
    )
    assert missing_text(ImportError("no", name="unheard_of")) == ""
