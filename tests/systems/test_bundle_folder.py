"""A bundle takes another's place: one of the two is always there, whatever is killed when."""

from pathlib import Path

import pytest

from mien.systems import bundle_folder
from mien.systems.bundle_folder import exchange, previous_bundle, replace_bundle, restore_bundle


@pytest.fixture
def folders(tmp_path) -> tuple[Path, Path]:
    for name in ("bundle", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "system.json").write_text(name)
    return tmp_path / "bundle", tmp_path / "new"


def text(folder: Path) -> str:
    return (folder / "system.json").read_text()


def test_two_folders_are_exchanged_at_once_where_the_kernel_can(folders):
    bundle, new = folders
    if not exchange(new, bundle):
        pytest.skip("this kernel or file system cannot exchange two folders")
    assert text(bundle) == "new" and text(new) == "bundle"
    assert not exchange(new, bundle.with_name("nowhere"))


@pytest.mark.parametrize("can_exchange", [True, False])
def test_the_new_bundle_is_in_place_and_nothing_beside_it(folders, monkeypatch, can_exchange):
    bundle, new = folders
    if not can_exchange:
        monkeypatch.setattr(bundle_folder, "exchange", lambda first, second: False)
    replace_bundle(bundle, new)
    assert text(bundle) == "new" and not previous_bundle(bundle).exists()


def test_without_exchange_a_kill_between_two_renames_leaves_the_former_bundle(folders, monkeypatch):
    from mien.systems.bundle import _in_place

    bundle, new = folders
    monkeypatch.setattr(bundle_folder, "exchange", lambda first, second: False)
    rename = Path.rename

    def killed(self, target):
        if self == new:
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", killed)
    with pytest.raises(KeyboardInterrupt):
        replace_bundle(bundle, new)
    monkeypatch.undo()
    assert not bundle.exists() and text(_in_place(bundle)) == "bundle"  # what `load` reads
    restore_bundle(bundle)
    assert text(bundle) == "bundle" and not previous_bundle(bundle).exists()
