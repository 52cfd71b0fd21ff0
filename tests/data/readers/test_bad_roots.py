"""What a reader says of a folder that is not its own, and of names that are no text."""

import os
from pathlib import Path

import pytest

from mien.core.errors import MienError
from mien.data.readers import open_reader
from mien.data.readers.recognise import looks_like

MINE = ("sfew", "fer2013", "ckplus", "jaffe", "kdef", "expw")


@pytest.mark.parametrize("name", MINE)
def test_a_replica_looks_like_its_own_set(name: str, replicas: dict[str, Path]) -> None:
    assert looks_like(replicas[name]) == [name]


@pytest.mark.parametrize("name", MINE)
def test_another_sets_folder_is_recognised_in_one_line(name: str, replicas: dict[str, Path]) -> None:
    other = MINE[MINE.index(name) - 1]
    with pytest.raises(MienError, match=rf"^{name}: .*looks like {other}: say --data.name {other}") as caught:
        open_reader(name, replicas[other])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", MINE)
def test_the_folder_above_is_answered_with_the_one_below(name: str, replicas: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "sets").mkdir()
    (tmp_path / "sets" / "mine").symlink_to(replicas[name])
    with pytest.raises(MienError, match=rf"mine looks like {name}: name that folder"):
        open_reader(name, tmp_path / "sets")


@pytest.mark.parametrize(
    ("name", "picture"),
    [("sfew", b"Train/Angry/Caf\xe9_000519240_00000005.png"), ("jaffe", b"caf\xe9/KA.AN1.39.tiff"),
     ("kdef", b"KDEF/caf\xe9/AF01AFS.JPG"), ("ckplus", b"cohn-kanade-images/S005/caf\xe9/S005_001_00000001.png")],
)  # fmt: skip
def test_names_that_are_not_utf_8_are_read_and_can_be_printed(tmp_path: Path, name: str, picture: bytes) -> None:
    path = os.path.join(os.fsencode(tmp_path), picture)  # noqa: PTH118 (bytes)
    os.makedirs(os.path.dirname(path))  # noqa: PTH103, PTH120
    Path(os.fsdecode(path)).touch()
    (tmp_path / "Emotion").mkdir()
    reader = open_reader(name, tmp_path, **({"neutral": "all"} if name == "ckplus" else {}))
    (sample,) = reader.samples(reader.splits[0])
    assert sample.path.exists()
    "\n".join([sample.key, *reader.notes, str(reader.error(str(sample.path)))]).encode("utf-8")


@pytest.mark.parametrize("name", ["sfew", "jaffe", "kdef"])
def test_a_folder_that_links_to_itself_is_read_once(name: str, replicas: dict[str, Path], tmp_path: Path) -> None:
    whole = open_reader(name, replicas[name])
    for entry in replicas[name].iterdir():
        (tmp_path / entry.name).symlink_to(entry)
    (tmp_path / "loop").symlink_to(tmp_path)
    split = whole.splits[0]
    assert len(open_reader(name, tmp_path).samples(split)) == len(whole.samples(split))
