"""Planted leaks of every kind are found, none is invented, and what bundles remember tells them again."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from mien.core.errors import MienError
from mien.core.records import Sample
from mien.data.leakage import duplicates, fingerprints
from mien.data.leakage.contamination import TrainFaces, hashed, train_faces
from mien.data.leakage.duplicates import LIMITS_OF_ALIKE, groups, is_same, likeness, near_duplicates, pairs_of_keys
from mien.data.leakage.fingerprint_store import Store
from mien.data.leakage.fingerprints import fingerprints_of, is_blank, keys_of
from mien.data.leakage.leaks import find_leaks, leak_counts, refuse, summary, without
from mien.data.replicas.face import style_named


def sample(path: Path, **known: object) -> Sample:
    return Sample(path.name, path, **known)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> list[Sample]:
    """300 different drawn faces of 96 pixels."""
    from mien.data.replicas import write_drawn

    folder = write_drawn(tmp_path_factory.mktemp("faces"), faces=300, size=96, seed=5)
    return [Sample(str(path.relative_to(folder)), path) for path in sorted(folder.rglob("*.png"))]


def half(face: np.ndarray) -> np.ndarray:
    return cv2.resize(face, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA)


VARIANTS: dict[str, tuple[str, Callable[[np.ndarray], np.ndarray]]] = {
    "re-encoded": (".jpg", lambda face: face),
    "resized": (".png", half),
    "resized and re-encoded": (".jpg", half),
    "mirrored": (".png", lambda face: face[:, ::-1]),
    "mirrored and re-encoded": (".jpg", lambda face: face[:, ::-1]),
    "brighter": (".png", lambda face: np.clip(face * 0.7 + 60, 0, 255).astype(np.uint8)),
    "darker": (".png", lambda face: (face * 0.6).astype(np.uint8)),
    "cropped": (".png", lambda face: face[2:-2, 1:-3]),
    "cropped on one side and re-encoded": (".jpg", lambda face: face[6:, :-4]),
}


def planted(faces: list[Sample], folder: Path, variant: str) -> list[Sample]:
    suffix, change = VARIANTS[variant]
    found = []
    for face in faces:
        path = folder / f"{face.path.parent.name}_{face.path.stem}{suffix}"
        cv2.imwrite(str(path), change(cv2.imread(str(face.path))), [cv2.IMWRITE_JPEG_QUALITY, 60] * (suffix == ".jpg"))
        found.append(sample(path))
    return found


def test_no_near_duplicate_is_invented_among_300_faces(drawn: list[Sample]) -> None:
    assert len(drawn) == 300 and near_duplicates(drawn) == []


@pytest.mark.parametrize(("name", "first", "second"), [("neutral", 426, 874), ("surprise", 364, 952)])
def test_the_drawings_of_the_demo_that_resemble_each_other_most_are_two(name: str, first: int, second: int) -> None:
    draw = style_named("drawn")
    greys = []
    for number in (first, second):
        (shot,) = draw(name, seed=0, number=number, person=None, size=64, frames=1)
        grey = cv2.cvtColor(shot.pixels, cv2.COLOR_RGB2GRAY)
        greys.append(cv2.resize(grey, (48, 48), interpolation=cv2.INTER_AREA))
    detail, tone = likeness(*greys)
    assert detail > 0.9 and not is_same(detail, tone, LIMITS_OF_ALIKE)


@pytest.mark.parametrize("variant", VARIANTS)
def test_changed_copies_are_found(drawn: list[Sample], tmp_path: Path, variant: str) -> None:
    copies = planted(drawn[::30], tmp_path, variant)
    leaks = find_leaks({"train": drawn, "test": copies})
    places = {copy.key: face.key for copy, face in zip(copies, drawn[::30], strict=True)}
    assert all(leak.kind == "near-duplicate" and places[leak.second.key] == leak.first.key for leak in leaks)
    assert len(leaks) == 10
    assert all(leak.mirrored == ("mirrored" in variant) for leak in leaks)


def test_processes_find_what_one_process_finds(
    drawn: list[Sample], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More parts than processes, with one twin each beside the candidates that are none."""
    faces = drawn[:40] + planted(drawn[:20], tmp_path, "cropped") + planted(drawn[:20], tmp_path, "mirrored")
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path / "one"))
    alone = near_duplicates(faces)
    assert {(a, 40 + a) for a in range(20)} <= {twin[:2] for twin in alone}
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path / "many"))
    for module in (duplicates, fingerprints):
        monkeypatch.setattr(module, "MANY_PICTURES", 2)
        monkeypatch.setattr(module, "cores", lambda: 2)
    monkeypatch.setattr(fingerprints, "_PART", 9)
    monkeypatch.setattr(duplicates, "_PAIRS", 7)
    assert near_duplicates(faces) == alone


def test_the_same_file_under_another_name(drawn: list[Sample], tmp_path: Path) -> None:
    other = tmp_path / "renamed.png"
    other.write_bytes(drawn[7].path.read_bytes())
    (leak,) = find_leaks({"train": drawn[:50], "test": [*drawn[50:60], sample(other)]})
    assert (leak.kind, leak.first.key, leak.second.key) == ("file", drawn[7].key, "renamed.png")


def test_the_same_file_listed_twice_is_found_without_opening_it(drawn: list[Sample]) -> None:
    (leak,) = find_leaks({"train": drawn[:3], "test": [replace(drawn[1], key="again")]}, pictures=False)
    assert leak.kind == "file"
    rows = [replace(drawn[0], key=str(i), span=(100 * i, 100)) for i in range(2)]
    assert find_leaks({"train": rows[:1], "test": rows[1:]}, pictures=False) == []


def test_people_and_recordings_on_both_sides(drawn: list[Sample]) -> None:
    train = [replace(face, subject=f"p{i // 4}", clip=f"c{i // 2}") for i, face in enumerate(drawn[:20])]
    test = [replace(drawn[30], subject="p1", clip="new"), replace(drawn[31], subject="new", clip="c3"), drawn[32]]
    leaks = find_leaks({"train": train, "test": test})
    assert [(leak.kind, leak.value) for leak in leaks] == [("subject", "p1"), ("clip", "c3")]
    assert summary(leaks) == "1 subject, 1 clip" and leak_counts(leaks) == {"subject": 1, "clip": 1}
    assert find_leaks({"train": train, "test": test}, data={"train": "a", "test": "b"}) == []
    assert [s.key for s in without(train, leaks, side=0)] == [s.key for s in [*train[:4], *train[8:]]]
    with pytest.raises(
        MienError, match=r"1 subject, 1 clip in both train and test, first 'p1'\. A score on seen faces"
    ):
        refuse(leaks, ways_out="")


def test_blank_and_broken_pictures_resemble_nothing(tmp_path: Path) -> None:
    blank = []
    for i, level in enumerate((0, 0, 128, 255)):
        cv2.imwrite(str(tmp_path / f"{i}.png"), np.full((48, 48, 3), level, np.uint8))
        blank.append(sample(tmp_path / f"{i}.png"))
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0nothing")
    blank += [sample(tmp_path / "broken.jpg"), sample(tmp_path / "missing.jpg")]
    assert is_blank(fingerprints_of(blank)).all()
    assert near_duplicates(blank) == [] and find_leaks({"a": blank[:2], "b": blank[2:]}) == []


def test_pairs_are_the_same_from_both_sides(drawn: list[Sample], tmp_path: Path) -> None:
    copies = planted(drawn[:40], tmp_path, "cropped")
    there = {(t.first, t.second, t.likeness) for t in near_duplicates(drawn[:40], copies)}
    back = {(t.second, t.first, t.likeness) for t in near_duplicates(copies, drawn[:40])}
    together = {(t.first, t.second - 40, t.likeness) for t in near_duplicates([*drawn[:40], *copies])}
    assert there == back == together and there


def test_a_box_is_compared_not_the_picture_around_it(drawn: list[Sample], tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (300, 400, 3), np.uint8)
    noise[100:196, 200:296] = cv2.imread(str(drawn[0].path))
    cv2.imwrite(str(tmp_path / "scene.png"), noise)
    face = sample(tmp_path / "scene.png", box=(200.0, 100.0, 296.0, 196.0))
    assert [(t.first, t.second) for t in near_duplicates(drawn[:20], [face])] == [(0, 0)]


def test_groups_join_through_others() -> None:
    assert groups([(0, 3), (3, 5), (6, 2)]) == [[0, 3, 5], [2, 6]] and groups([]) == []


def test_fingerprints_are_computed_once_and_anew_for_a_changed_file(
    drawn: list[Sample], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "face.png"
    path.write_bytes(drawn[0].path.read_bytes())
    first, key = fingerprints_of([sample(path)]), keys_of([sample(path)])
    with Store() as store:
        assert set(store.prints(key)) == set(key)
    monkeypatch.setattr("mien.data.leakage.fingerprints.grey_picture", lambda sample: pytest.fail("opened again"))
    assert fingerprints_of([sample(path)]) == first
    monkeypatch.undo()
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path / "cache"))
    path.write_bytes(drawn[1].path.read_bytes())
    assert fingerprints_of([sample(path)]) != first
    content = (tmp_path / "cache" / "fingerprints.sqlite").read_bytes()
    assert b"face.png" not in content


@pytest.mark.parametrize("state", ["damaged", "a file where the folder belongs"])
def test_a_useless_store_costs_time_only(
    drawn: list[Sample], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    cache = tmp_path / "cache"
    monkeypatch.setenv("MIEN_CACHE", str(cache))
    if state == "damaged":
        cache.mkdir()
        (cache / "fingerprints.sqlite").write_bytes(b"not a database" * 100)
    else:
        cache.write_text("")
    assert not is_blank(fingerprints_of(drawn[:3])).any()
    assert pairs_of_keys(drawn[:3]) == []


def test_what_a_bundle_remembers(drawn: list[Sample], tmp_path: Path) -> None:
    train = [replace(face, subject=f"p{i}") for i, face in enumerate(drawn[:200])]
    known = train_faces(train, drawn[200:220], data="set")
    assert known.trained.shape == (200, 24) and known.to_bytes() == known.to_bytes() and b"p17" not in known.to_bytes()
    copies = planted(drawn[:10], tmp_path, "mirrored and re-encoded")
    matches = known.matches([*copies, *drawn[200:203], *drawn[220:300], replace(drawn[299], subject="p3")], data="set")
    assert matches.trained[:10].all() and not matches.trained[10:].any()
    assert matches.chosen.nonzero()[0].tolist() == [10, 11, 12] and matches.subjects.nonzero()[0].tolist() == [93]
    assert not known.matches([replace(drawn[299], subject="p3")], data="another set").subjects.any()
    assert hashed("joined", "subject", "set/p3") == hashed("set", "subject", "p3")
    assert matches.described([*copies, *drawn[200:203], *drawn[220:300], replace(drawn[299], subject="p3")]) == (
        "10 copies, 1 subject"
    )


def test_a_bundle_knows_cropped_photographs_and_no_others(tmp_path: Path) -> None:
    """Of synthetic people, who differ as photographs do: crops by some pixels of 96, brighter and re-encoded."""
    people = [sample(path) for path in written_people(tmp_path / "people", 24)]
    known = train_faces(people[:12], [], data="set")
    crops = planted(people[:12], tmp_path, "cropped on one side and re-encoded")
    matched = known.matches([*crops, *people[12:]], data="set").trained
    assert matched[:12].sum() >= 11 and not matched[12:].any()
    assert [(t.first, t.second) for t in near_duplicates(people, crops)] == [(i, i) for i in range(12)]


def written_people(folder: Path, faces: int) -> list[Path]:
    from mien.data.replicas.people import Plan, write_people
    from mien.synthetic.people import PeopleOptions

    plan = Plan(faces=faces, pictures=1, seed=3, shares=(0.6, 0.2, 0.2))
    write_people(folder, plan, options=PeopleOptions(size=96), workers=1)
    return sorted(folder.rglob("*.png")) or sorted(folder.rglob("*.jpg"))


def test_two_memories_join(drawn: list[Sample]) -> None:
    first, second = train_faces(drawn[:6], [], data="a"), train_faces(drawn[4:9], drawn[:1], data="b")
    both: TrainFaces = first.joined(second)
    assert len(both.trained) == 9 and len(both.chosen) == 1


@pytest.mark.shared
def test_fer2013_repeats_itself(shared: Path) -> None:
    """One in 17 of 7,000 training pictures has a near-duplicate among them; of all 28,000 it is one in seven."""
    folder = shared / "expressions/ferplus/FER2013Train"
    faces = [sample(path) for path in sorted(folder.glob("*.png"))[:7000]]
    twins = near_duplicates(faces)
    assert len({place for twin in twins for place in twin[:2]}) > 380
    assert len(groups([twin[:2] for twin in twins])) > 170 and any(twin.mirrored for twin in twins)


@pytest.mark.shared
def test_lfw_has_no_leaks(shared: Path) -> None:
    from mien.data.readers import open_reader

    reader = open_reader("rafdb", shared / "expressions/lfw_rafstyle")
    assert find_leaks({split: reader.samples(split) for split in ("train", "test")}) == []
