"""Files appear whole or not at all."""

import csv
import hashlib
import os
import stat
from pathlib import Path

import pytest

from mien.core.errors import MienError
from mien.data.options import DataOptions
from mien.media.files import (
    atomic_path,
    cache_folder,
    home_expanded,
    is_own_folder,
    refuse_inside,
    sha256_of,
    writable_folder,
    write_csv,
    write_text,
)
from mien.media.listing import picture_files


def test_a_file_appears_when_the_block_ends_with_its_suffix_kept(tmp_path):
    target = tmp_path / "new" / "a.csv"
    with atomic_path(target) as temporary:
        assert temporary.suffix == ".csv"
        assert temporary.parent == target.parent
        temporary.write_text("x")
        assert not target.exists()
    assert target.read_text() == "x"
    assert [path.name for path in target.parent.iterdir()] == ["a.csv"]


def test_an_error_leaves_the_old_file_and_no_remains(tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(RuntimeError), atomic_path(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_a_full_disk_is_one_line_and_keeps_the_old_file(tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(MienError, match=r"Cannot write .*a\.txt: No space left on device"), atomic_path(target):
        raise OSError(28, "No space left on device")
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_a_folder_that_cannot_be_created(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(MienError, match="Cannot write"), atomic_path(tmp_path / "file" / "a.txt"):
        pass


def test_others_may_read_it_as_the_umask_says(tmp_path):
    old = os.umask(0o022)
    try:
        write_text(tmp_path / "a.txt", "é")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o644
    assert (tmp_path / "a.txt").read_bytes() == "é".encode()


def test_sha256(tmp_path):
    (tmp_path / "a").write_bytes(b"abc" * 100_000)
    assert sha256_of(tmp_path / "a") == hashlib.sha256(b"abc" * 100_000).hexdigest()


def test_a_folder_is_created_and_tried_before_work(tmp_path):
    assert writable_folder(tmp_path / "a" / "b") == tmp_path / "a" / "b"
    assert list((tmp_path / "a" / "b").iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(MienError, match=r"Cannot write --output .*file: it is a file; a folder is needed"):
        writable_folder(tmp_path / "file")
    with pytest.raises(MienError, match=r"Cannot write --output .*sub: Not a directory"):
        writable_folder(tmp_path / "file" / "sub")


def test_only_a_tilde_alone_means_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert home_expanded("~") == tmp_path
    assert home_expanded("~/faces/a.png") == tmp_path / "faces" / "a.png"
    for name in ("~draft.jpg", "~root", "a/~/b", "./~"):
        assert str(home_expanded(name)) == str(Path(name))


def test_without_a_home_folder_a_tilde_is_refused_in_one_line(monkeypatch):
    def nowhere(path):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "expanduser", nowhere)
    assert home_expanded("~draft.jpg") == Path("~draft.jpg")
    with pytest.raises(MienError, match="no home folder"):
        home_expanded("~/faces")


def test_the_cache_is_where_it_is_asked_for_and_nowhere_without_a_home(tmp_path, monkeypatch):
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("MIEN_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "~/kept")

    def homeless(self):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr("pathlib.Path.expanduser", homeless)
    assert cache_folder() is None


@pytest.mark.parametrize(
    "name", ["__MACOSX", "@eaDir", "$RECYCLE.BIN", "lost+found", ".git", "System Volume Information"]
)
def test_system_folders_are_nobodys(name):
    assert not is_own_folder(name) and is_own_folder(f"{name.strip('.')} 2024")


def test_every_name_is_read_back_from_a_csv(tmp_path: Path) -> None:
    names = ["a\rb", "\r", "a\n", 'a"', "a,b", "a\r\n", "", " a", "#a", "'a"]
    write_csv(tmp_path / "a.csv", ["name", "number"], [(name, number) for number, name in enumerate(names)])
    with (tmp_path / "a.csv").open(encoding="utf-8", newline="") as file:
        assert list(csv.reader(file)) == [["name", "number"], *([name, str(n)] for n, name in enumerate(names))]
    assert (tmp_path / "a.csv").read_bytes().startswith(b'name,number\n"a\rb",0\n')


def test_an_empty_path_is_not_the_folder_one_is_in() -> None:
    for used in (home_expanded, writable_folder, lambda path: picture_files([path])):
        with pytest.raises(MienError, match="A path is empty"):
            used("")


def test_what_lies_inside_a_data_set_is_refused(tmp_path: Path) -> None:
    refuse_inside(tmp_path / "runs", tmp_path / "faces")
    with pytest.raises(MienError, match="lies inside the data set"):
        refuse_inside(tmp_path / "other" / ".." / "faces" / "run", tmp_path / "faces")
    for output in (tmp_path / "faces", tmp_path / "faces" / "run"):
        with pytest.raises(MienError, match="lies inside the data set"):
            DataOptions(name="image_folder", root=str(tmp_path / "faces")).refuse_inside(str(output))
    DataOptions(name="manifest", root=str(tmp_path)).refuse_inside(str(tmp_path / "run"))  # has a list of its faces
