"""Several data sets as one: names stay apart, classes meet by name, what is wrong is named."""

from pathlib import Path

import pytest

from mien.core.errors import MienError
from mien.data.readers import open_reader
from mien.data.replicas import write_drawn


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("joined")
    write_drawn(root / "ferplus", faces=16, layout="ferplus", size=48)
    write_drawn(root / "raf", faces=16, layout="rafdb", size=48, seed=1)
    (root / "joined.yaml").write_text(
        "labels: ferplus\nsets:\n- {name: ferplus, root: ferplus, reader: {majority: plurality}}\n"
        "- {name: rafdb, root: raf, splits: {train: train}}\n"
    )
    return root


def test_both_sets_come_in_one_order(root: Path) -> None:
    reader = open_reader("joined", root)
    samples = reader.samples("train")
    assert reader.splits == ("train", "valid")
    assert reader.labels is not None and reader.labels.name == "ferplus"
    assert {sample.key.partition("/")[0] for sample in samples} == {"ferplus", "rafdb"}
    raf = open_reader("rafdb", root / "raf")
    own = {sample.key: sample for sample in raf.samples("train")}
    assert raf.labels is not None
    for sample in samples:
        if sample.key.startswith("rafdb/"):
            before = own[sample.key.removeprefix("rafdb/")]
            assert before.expression is not None and sample.expression is not None
            assert reader.labels.classes[sample.expression] == raf.labels.classes[before.expression]
    assert {sample.key.partition("/")[0] for sample in reader.samples("valid")} == {"ferplus"}


def test_options_reach_the_set_they_name(root: Path) -> None:
    with pytest.raises(MienError, match="no majority 'most'"):
        open_reader("joined", root, options={"ferplus": {"majority": "most"}})
    with pytest.raises(MienError, match=r"options for 'ferpuls'.*Did you mean 'ferplus'"):
        open_reader("joined", root, options={"ferpuls": {}})


def test_a_class_without_counterpart_is_counted(tmp_path: Path) -> None:
    write_drawn(tmp_path / "ferplus", faces=16, layout="ferplus", size=48)
    (tmp_path / "joined.yaml").write_text("labels: affectnet7\nsets: [{name: ferplus, root: ferplus}]\n")
    reader = open_reader("joined", tmp_path)
    reader.samples("train")
    assert reader.notes == ["ferplus train: 1 faces of classes that affectnet7 lacks are left out (contempt 1)."]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sets: []", "no list `sets`"),
        ("a: [", "is not YAML"),
        ("sets: [{name: rafdb}]", "set 1: needs name and root"),
        ("sets: [{name: rafdb, root: raf, split: {}}]", "no key 'split'. Did you mean 'splits'"),
        ("sets: [{name: rafbd, root: raf}]", "Did you mean 'rafdb'"),
    ],
)
def test_what_is_wrong_in_the_file_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "joined.yaml").write_text(text)
    with pytest.raises(MienError, match=message):
        open_reader("joined", tmp_path)
