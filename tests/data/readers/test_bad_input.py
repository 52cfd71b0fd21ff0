"""What every reader does with folders that are not as they should be."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import small_sets as sets

from mien.core.errors import MienError
from mien.data.readers import open_reader
from mien.data.readers.listing import Listing, child_of, folder_names, walk
from mien.data.readers.recognise import looks_like
from mien.data.splits import split_hash

RAFDB = "EmoLabel/list_patition_label.txt"


def rafdb(root: Path, names: tuple[str, ...] = ("train_1", "train_2"), suffix: str = ".jpg") -> Path:
    (root / "EmoLabel").mkdir(parents=True)
    (root / RAFDB).write_text("".join(f"{name}.jpg 4\n" for name in names))
    for name in names:
        sets.picture(root / "Image" / "aligned" / f"{name}_aligned{suffix}")
    return root


@pytest.mark.parametrize(
    ("write", "name"),
    [
        (sets.affectnet_lists, "affectnet"), (sets.affectnet_arrays, "affectnet"), (sets.affectnet_tree, "affectnet"),
        (sets.caers, "caers"), (sets.aihub, "aihub"), (rafdb, "rafdb"),
    ],
)  # fmt: skip
def test_a_folder_is_recognised(tmp_path: Path, write: Callable[[Path], Path], name: str) -> None:
    root = write(tmp_path / "set")
    assert looks_like(root) == [name]
    with pytest.raises(MienError, match=rf"^ferplus: no FER2013Train .* looks like {name}: say --data.name {name}\."):
        open_reader("ferplus", root)
    if name != "aihub":  # which is found at any depth
        with pytest.raises(MienError, match=rf"{root} looks like {name}: name that folder\.") as caught:
            open_reader(name, tmp_path)  # one folder too high
        assert "\n" not in str(caught.value)


def test_the_folder_above_is_recognised(tmp_path: Path) -> None:
    root = rafdb(tmp_path / "set")
    with pytest.raises(MienError, match=rf"{root} looks like rafdb: name that folder\."):
        open_reader("rafdb", root / "Image")


def test_an_empty_folder_looks_like_nothing(tmp_path: Path) -> None:
    assert looks_like(tmp_path) == [] == looks_like(tmp_path / "nowhere")


def test_a_half_copied_tree_is_counted_or_left_out(tmp_path: Path) -> None:
    root = rafdb(tmp_path)
    (root / "Image" / "aligned" / "train_2_aligned.jpg").unlink()
    with pytest.raises(MienError, match=r"1 of 2 pictures listed in .* are missing, first .*train_2_aligned.jpg"):
        open_reader("rafdb", root).samples("train")
    reader = open_reader("rafdb", root, missing="skip")
    assert len(reader.samples("train")) == len(reader.samples("train")) == 1
    assert len(reader.notes) == 1 and "They are left out" in reader.notes[0]
    (root / "Image" / "aligned" / "train_1_aligned.jpg").unlink()
    with pytest.raises(MienError, match="2 of 2 pictures"):  # nothing left: that is no choice
        open_reader("rafdb", root, missing="skip").samples("train")
    with pytest.raises(MienError, match="missing must be stop or skip; got 'ignore'"):
        open_reader("rafdb", root, missing="ignore")


def test_pictures_without_a_label_are_a_note(tmp_path: Path) -> None:
    root = rafdb(tmp_path)
    sets.picture(root / "Image" / "aligned" / "train_9_aligned.jpg")
    (root / "Image" / "aligned" / "Thumbs.db").touch()
    reader = open_reader("rafdb", root)
    reader.samples("train")
    assert len(reader.notes) == 1
    assert "1 pictures have no label" in reader.notes[0] and "first " in reader.notes[0]


def test_extensions_may_change_their_case(tmp_path: Path) -> None:
    (first, _) = open_reader("rafdb", rafdb(tmp_path, suffix=".JPG")).samples("train")
    assert first.path.name == "train_1_aligned.JPG" and first.path.is_file()
    assert first.key == "Image/aligned/train_1_aligned.jpg"  # as listed: the same on every machine


def test_names_that_are_not_utf8_can_be_printed_and_hashed(tmp_path: Path) -> None:
    (tmp_path / "train" / "Anger").mkdir(parents=True)
    strange = os.fsencode(tmp_path / "train" / "Anger") + b"/\xff.png"
    try:
        Path(os.fsdecode(strange)).write_bytes(sets.picture(tmp_path / "ok.png").read_bytes())
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    (sample,) = open_reader("caers", tmp_path).samples("train")
    assert sample.key == "train/Anger/\\udcff.png" and sample.path.is_file()
    assert len(split_hash([sample])) == 12
    Path(tmp_path / os.fsdecode(b"train/b\xfcse")).mkdir()
    with pytest.raises(MienError) as caught:
        open_reader("caers", tmp_path).samples("train")
    assert str(caught.value).encode() and "b\\udcfcse" in str(caught.value)


def test_links_that_lead_to_themselves(tmp_path: Path) -> None:
    root = sets.caers(tmp_path / "set", each=1)
    (root / "train" / "loop").symlink_to(root / "train" / "loop")
    (root / "train" / "Anger" / "up").symlink_to(root)
    assert len(open_reader("caers", root).samples("train")) == 7
    (tmp_path / "root").symlink_to(tmp_path / "root")
    with pytest.raises(MienError, match=r"caers: no folder .*root"):
        open_reader("caers", tmp_path / "root")
    assert folder_names(tmp_path / "root") == [] and list(walk(tmp_path / "root")) == []


def test_listing_finds_what_is_there(tmp_path: Path) -> None:
    sets.picture(tmp_path / "a" / "b.JPG")
    listing = Listing(tmp_path)
    assert listing.find("a/b.jpg") == "a/b.JPG" and listing.find("a/B.jpg") is None and listing.find("c/b.jpg") is None
    assert listing.find(str(tmp_path / "a" / "b.JPG")) == str(tmp_path / "a" / "b.JPG")
    assert listing.pictures_beside(["a/b.JPG", str(tmp_path / "a" / "b.JPG")]) == []


def test_a_place_is_what_a_slash_makes(tmp_path: Path) -> None:
    listing = Listing(tmp_path)
    for path in ("x/a.b.jpg", "x/y/a.jpg", "a.jpg", "x/../a.jpg", "x//a.jpg", "./a.jpg", "x/..", "/b/a.jpg", "/a.jpg"):
        built, slash = listing.place(path), tmp_path / path
        assert built == slash and str(built) == str(slash) and hash(built) == hash(slash)
        assert built is not None and built.parent == slash.parent and built.suffix == slash.suffix
    assert child_of(tmp_path)("a.jpg") == tmp_path / "a.jpg" and listing.place(None) is None
