"""What is trained on, selected on and reported on; what is refused."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from mien.core.errors import MienError
from mien.core.labels import label_set
from mien.data.options import DataOptions
from mien.data.selection import relabelled, select_for_evaluation, select_for_training


def options(replicas: dict[str, Path], name: str, **values: object) -> DataOptions:
    return DataOptions(name=name, root=str(replicas[name]), **values)


def test_a_set_without_validation_gets_a_cut_of_train(replicas: dict[str, Path]) -> None:
    chosen = select_for_training(options(replicas, "rafdb", val_fraction=0.2), label_set("rafdb"))
    assert (len(chosen.train), len(chosen.val)) == (28, 7)
    assert not {s.key for s in chosen.train} & {s.key for s in chosen.val}
    assert all("train_" in s.key for s in chosen.val)
    assert chosen.provenance()["val"]["split"] == "0.2 of train, stratified, seed 0"  # type: ignore[index]


def test_a_set_with_validation_uses_it_by_default(replicas: dict[str, Path]) -> None:
    labels = label_set("ferplus")
    assert all(s.split == "valid" for s in select_for_training(options(replicas, "ferplus"), labels).val)
    cut = select_for_training(options(replicas, "ferplus", val_split="cut", val_fraction=0.2), labels)
    assert all(s.split == "train" for s in cut.val)
    reported = select_for_training(options(replicas, "ferplus", test_split="valid"), labels)
    assert all(s.split == "train" for s in reported.val)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("rafdb", {"val_split": "test"}),
        ("ferplus", {"val_split": "valid", "test_split": "val"}),
        ("rafdb", {"val_split": "test", "test_split": "valid"}),
    ],
)
def test_selecting_on_test_is_refused(replicas: dict[str, Path], name: str, values: dict) -> None:
    with pytest.raises(MienError, match="is the test split, and selecting an epoch on it is refused"):
        select_for_training(options(replicas, name, **values), None)


def test_selecting_on_posters_valid_folder_is_refused(replicas: dict[str, Path], tmp_path: Path) -> None:
    root = Path(shutil.copytree(replicas["rafdb_folders"], tmp_path / "set"))
    (root / "test").rename(root / "valid")
    with pytest.raises(MienError, match="'valid' is the test split"):
        select_for_training(DataOptions(name="rafdb_folders", root=str(root), val_split="valid"), None)


def test_selecting_on_train_is_refused(replicas: dict[str, Path]) -> None:
    with pytest.raises(MienError, match="'train' is what is trained on"):
        select_for_training(options(replicas, "rafdb", val_split="train"), None)


def test_a_subject_on_both_sides_is_refused(replicas: dict[str, Path], tmp_path: Path) -> None:
    root = Path(shutil.copytree(replicas["manifest"], tmp_path / "set"))
    table = root / "manifest.csv"
    faces = {split: DataOptions(name="manifest", root=str(root)).open().samples(split) for split in ("train", "test")}
    known, new = faces["train"][0].subject, faces["test"][0].subject
    assert known and new
    table.write_text(table.read_text().replace(new, known))
    with pytest.raises(MienError, match=f"1 subject in both [a-z]+ and test, first '{known}'"):
        select_for_training(DataOptions(name="manifest", root=str(root), val_fraction=0.2), None)


def test_classes_without_counterpart_are_counted_once(replicas: dict[str, Path]) -> None:
    """FER+ → RAF-DB: every class of the seven by name; the one that is lacking is said."""
    reader_labels, target = label_set("ferplus"), label_set("rafdb")
    samples = options(replicas, "ferplus").open().samples("train")
    contempt = replace(samples[0], expression=7, distribution=(0, 0, 0, 0, 0, 0, 0.4, 0.6))
    afraid = replace(samples[0], expression=6, distribution=(0, 0, 0, 0, 0, 0, 0.6, 0.4))
    notes: list[str] = []
    kept = relabelled([contempt, afraid], reader_labels, target, notes=notes, where="train")
    assert [s.expression for s in kept] == [1] and kept[0].distribution == (0, 1, 0, 0, 0, 0, 0)
    assert notes == ["train: 1 faces of classes that rafdb lacks are left out (contempt 1)."]


def test_validation_and_evaluation_select_the_same_faces(replicas: dict[str, Path]) -> None:
    """Training on soft votes, selecting on the strict majority: the same cut, fewer faces, none of them in train."""
    soft = {"reader": {"majority": "soft"}, "val_split": "cut", "val_fraction": 0.3}
    loose = select_for_training(options(replicas, "ferplus", **soft), None)
    strict = select_for_training(
        options(replicas, "ferplus", **soft, eval_reader={"drop_single_votes": True, "majority": "strict"}), None
    )
    assert {s.key for s in strict.val} <= {s.key for s in loose.val}
    assert [s.key for s in strict.train] == [s.key for s in loose.train]


def test_limit_keeps_each_class_in_its_share(replicas: dict[str, Path]) -> None:
    chosen = select_for_training(options(replicas, "rafdb", val_fraction=0.2, limit=14), None)
    assert len(chosen.train) == 14 and {s.expression for s in chosen.train} == set(range(7))


def test_evaluation_in_the_bundles_classes(replicas: dict[str, Path]) -> None:
    chosen = select_for_evaluation(options(replicas, "drawn"), label_set("ferplus"), split="test")
    assert len(chosen.samples) == 7 and chosen.notes == [] and {s.expression for s in chosen.samples} == set(range(7))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "Name a data set"),
        ({"name": "rafdb"}, "Name the folder of rafdb"),
        ({"sampler": "shufle"}, r"Did you mean 'shuffle'\?"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"val_fraction": 1.0}, "between 0 and 1"),
    ],
)
def test_wrong_options_are_named(values: dict, message: str) -> None:
    with pytest.raises(MienError, match=message):
        DataOptions(**values).open()
