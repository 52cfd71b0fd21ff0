"""Splits that are written down: disjoint, stratified, the same in any order, read back as they were."""

import random
from collections import Counter
from pathlib import Path

import pytest

from mien.core.errors import MienError
from mien.core.records import Sample
from mien.data.options import DataOptions
from mien.data.readers.divided import Divided
from mien.data.split_file import SplitFile, parts_from, read_split_file
from mien.data.splits import divide, kept_together, stratified_holdout

SHARES = {"train": 0.8, "valid": 0.1, "test": 0.1}


def people(seed: int, count: int = 600) -> list[Sample]:
    """Faces of 5 classes in uneven shares; some with a subject, some with a clip."""
    draw = random.Random(seed)
    return [
        Sample(
            f"{i:04}.png", Path(f"{i:04}.png"), expression=draw.choices(range(5), (50, 25, 15, 8, 2))[0],
            subject=f"p{draw.randrange(90)}" if i % 3 == 0 else None,
            clip=f"c{draw.randrange(80)}" if i % 3 == 1 else None,
        )
        for i in range(count)
    ]  # fmt: skip


@pytest.mark.parametrize("seed", range(12))
def test_parts_are_disjoint_stratified_and_the_same_in_any_order(seed: int) -> None:
    faces = people(seed)
    pairs = [(f"{i:04}.png", f"{i + 7:04}.png") for i in range(0, 500, 31)]
    parts = divide(faces, SHARES, seed=seed, pairs=pairs)
    assert sorted(s.key for part in parts.values() for s in part) == sorted(s.key for s in faces)
    where = {s.key: name for name, part in parts.items() for s in part}
    for kind in ("subject", "clip"):
        for value in {getattr(s, kind) for s in faces} - {None}:
            assert len({where[s.key] for s in faces if getattr(s, kind) == value}) == 1
    assert all(where[a] == where[b] for a, b in pairs)
    counts = Counter(s.expression for s in faces)
    for name, part in parts.items():
        for label, got in Counter(s.expression for s in part).items():
            assert abs(got - SHARES[name] * counts[label]) <= max(6, 0.1 * counts[label])
    shuffled = random.Random(seed + 1).sample(faces, len(faces))
    assert divide(shuffled, SHARES, seed=seed, pairs=pairs[::-1]) == parts
    assert divide(faces, SHARES, seed=seed + 1, pairs=pairs) != parts


@pytest.mark.parametrize("seed", range(6))
def test_folds_cover_all_and_are_equal(seed: int) -> None:
    faces = [Sample(f"{i}.png", Path(f"{i}.png"), expression=i % 3) for i in range(100)]
    folds = divide(faces, {str(k): 1.0 for k in range(5)}, seed=seed)
    assert sorted(s.key for fold in folds.values() for s in fold) == sorted(s.key for s in faces)
    sizes = [Counter(s.expression for s in fold) for fold in folds.values()]
    assert all(max(size[c] for size in sizes) - min(size[c] for size in sizes) <= 1 for c in range(3))


def test_the_cut_keeps_pairs_on_one_side_and_is_the_old_one_without() -> None:
    faces = [Sample(f"{i}.png", Path(f"{i}.png"), expression=0) for i in range(100)]
    pairs = [(f"{i}.png", f"{i + 50}.png") for i in range(20)]
    for seed in range(8):
        train, held = ({s.key for s in side} for side in stratified_holdout(faces, seed=seed, pairs=pairs))
        assert all({a, b} <= train or {a, b} <= held for a, b in pairs) and 9 <= len(held) <= 11
    assert len(kept_together(faces, pairs=[("0.png", "1.png"), ("1.png", "2.png")])) == 98


def test_a_split_file_is_read_back_and_guards_itself(tmp_path: Path) -> None:
    file = SplitFile("drawn", ("train",), 3, "by hand", {'a,"b".png': "train", "#c.png": "valid", "d.png": "test"})
    file.write(tmp_path / "split.csv")
    again = read_split_file(tmp_path / "split.csv")
    assert again == file and again.hash == file.hash and again.names == ("train", "valid", "test")
    text = (tmp_path / "split.csv").read_text().replace("d.png,test", "d.png,train")
    (tmp_path / "changed.csv").write_text(text)
    with pytest.raises(MienError, match="was changed after it was made"):
        read_split_file(tmp_path / "changed.csv")
    (tmp_path / "own.csv").write_text("\n".join(line for line in text.splitlines() if "# hash" not in line))
    assert read_split_file(tmp_path / "own.csv").parts["d.png"] == "train"
    for content, message in (("path,split\n", "no line `key,part`"), ("key,part\na,b\na,c\n", "each key once")):
        (tmp_path / "bad.csv").write_text(content)
        with pytest.raises(MienError, match=message):
            read_split_file(tmp_path / "bad.csv")
    with pytest.raises(MienError, match="No split file"):
        read_split_file(tmp_path / "none.csv")


def test_readers_obey_a_split_file(replicas: dict[str, Path], tmp_path: Path) -> None:
    from mien.engine.datasets.split import split

    output = split("manifest", root=str(replicas["manifest"]), output=str(tmp_path / "s.csv"), parts="train=.5,test=.5")
    assert "known subjects stay on one side each" in output
    options = DataOptions(name="manifest", root=str(replicas["manifest"]), split_file=str(tmp_path / "s.csv"))
    reader = options.open()
    assert isinstance(reader, Divided) and reader.splits == ("train", "test")
    sides = {part: {s.subject for s in reader.samples(part)} for part in reader.splits}
    assert not sides["train"] & sides["test"] and len(sides["train"] | sides["test"]) > 2
    split("manifest", root=str(replicas["manifest"]), output=str(tmp_path / "f.csv"), folds=3)
    held_out = []
    for fold in range(3):
        opened = DataOptions(
            name="manifest", root=str(replicas["manifest"]), split_file=str(tmp_path / "f.csv"), fold=fold
        ).open()
        held_out += [s.key for s in opened.samples("test")]
        assert not {s.key for s in opened.samples("train")} & {s.key for s in opened.samples("test")}
    assert len(held_out) == len(set(held_out)) == sum(len(reader.samples(part)) for part in reader.splits)
    with pytest.raises(MienError, match=r"has 3 folds; none was named: --data.fold 0 to 2"):
        DataOptions(name="manifest", root=str(replicas["manifest"]), split_file=str(tmp_path / "f.csv")).open()
    with pytest.raises(MienError, match="divides manifest, not rafdb"):
        DataOptions(name="rafdb", root=str(replicas["rafdb"]), split_file=str(tmp_path / "s.csv")).open()
    with pytest.raises(MienError, match=r"data.fold chooses a part of a split file"):
        DataOptions(name="rafdb", root=str(replicas["rafdb"]), fold=1).open()


@pytest.mark.parametrize("text", ["train", "train=.8", "train=.8,test=-1", "train=.8,te st=.2", "train=x,test=1"])
def test_wrong_parts_are_named(text: str) -> None:
    with pytest.raises(MienError, match="--parts"):
        parts_from(text)
