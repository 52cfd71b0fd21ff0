"""`mien data prepare`: what comes out is what training would have cut, whatever happened on the way."""

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from mien.core.errors import MienError
from mien.core.spec import PictureInput
from mien.data.faces import FaceSet, prepare_face
from mien.data.readers import open_reader
from mien.data.replicas import write_drawn
from mien.engine.datasets.prepare import prepare


@pytest.fixture(scope="module")
def top(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn faces in three layouts: with boxes and points, with votes, and with subjects."""
    folder = tmp_path_factory.mktemp("sets")
    for layout in ("w300", "ferplus", "manifest"):
        write_drawn(folder / layout, faces=42, layout=layout, size=64, test_share=1 / 6)
    return folder


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("kind", ["folder", "shards"])
def test_a_prepared_set_is_the_direct_path(top: Path, tmp_path: Path, kind: str) -> None:
    spec = PictureInput(size=48, box_scale=1.3, box_shift=(0.0, -0.1))
    output = prepare(
        "w300", root=str(top / "w300"), output=str(tmp_path / "out"), size=48, box_scale=1.3, box_shift_y=-0.1,
        encoding="png", format=kind, workers=1,
    )  # fmt: skip
    assert "--data.name manifest" in output
    source, reopened = open_reader("w300", top / "w300"), open_reader("manifest", tmp_path / "out")
    assert set(reopened.splits) == set(source.splits)
    for split in source.splits:
        assert [sample.key for sample in reopened.samples(split)] == [sample.key for sample in source.samples(split)]
        direct = next(FaceSet(source.samples(split), spec).numpy_batches(50))
        prepared = next(FaceSet(reopened.samples(split), spec).numpy_batches(50))
        np.testing.assert_array_equal(prepared.image, direct.image)
        np.testing.assert_allclose(prepared.landmarks, direct.landmarks, atol=1e-5)


def test_training_batches_of_shards_are_those_of_the_set(top: Path, tmp_path: Path) -> None:
    """Same cut, same hashes, same order, same augmentation, same pixels."""
    pytest.importorskip("lightning")
    from mien.data.datamodule import FaceDataModule
    from mien.data.options import DataOptions

    root, out = str(top / "ferplus"), str(tmp_path / "out")
    prepare("ferplus", root=root, output=out, size=48, detector="none", encoding="png", format="shards", workers=1)
    batches, provenances = [], []
    for name, where in (("ferplus", root), ("manifest", out)):
        options = DataOptions(name=name, root=where, batch_size=8, soft_labels=True, val_split="cut", val_fraction=0.3)
        faces = FaceDataModule(options, PictureInput(size=48), options.target_labels())
        faces.setup("fit")
        provenances.append(faces.selection.provenance())
        batches.append(next(iter(faces.train_dataloader())))
    assert provenances[0] == provenances[1]
    for field in ("image", "expression", "distribution"):
        assert (getattr(batches[0], field) == getattr(batches[1], field)).all()


def test_a_script_without_a_main_guard_may_prepare(top: Path, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from mien.engine.datasets.prepare import prepare\nprint('once')\n"
        f"prepare('w300', root={str(top / 'w300')!r}, output={str(tmp_path / 'out')!r}, size=48, workers=2)\n"
    )
    result = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True)
    assert result.stdout.count("once") == 1


def test_jpeg_stays_within_two_grey_levels(top: Path, tmp_path: Path) -> None:
    prepare("w300", root=str(top / "w300"), output=str(tmp_path / "out"), size=48, workers=1)
    spec = PictureInput(size=48, box_scale=1.18, box_shift=(0.0, -0.075))
    source = open_reader("w300", top / "w300").samples("train")[0]
    reopened = open_reader("manifest", tmp_path / "out").samples("train")[0]
    difference = np.abs(prepare_face(source, spec)[0].astype(int) - prepare_face(reopened, spec)[0])
    assert difference.mean() < 2


def test_votes_classes_and_subjects_are_carried_over(top: Path, tmp_path: Path) -> None:
    for name in ("ferplus", "manifest"):
        out = tmp_path / name
        prepare(name, root=str(top / name), output=str(out), size=48, detector="none", format="shards", workers=1)
        source, reopened = open_reader(name, top / name), open_reader("manifest", out)
        assert reopened.labels is not None
        assert source.labels is not None
        assert reopened.labels.classes == source.labels.classes
        for before, after in zip(source.samples("train"), reopened.samples("train"), strict=True):
            assert (after.key, after.expression, after.subject) == (before.key, before.expression, before.subject)
            assert after.distribution == pytest.approx(before.distribution)


def test_side_frame_and_voice_are_carried_over(tmp_path: Path) -> None:
    root = tmp_path / "set"
    for name in ("a.png", "b.png"):
        drawn(root / name)
    (root / "a.wav").write_bytes(b"a sound")
    rows = ["path,expression,affected,frame,voice", "a.png,anger,L,7,a.wav", "b.png,fear,,,"]
    (root / "manifest.csv").write_text("\n".join(rows) + "\n")
    prepare("manifest", root=str(root), output=str(tmp_path / "out"), size=48, detector="none", workers=1)
    first, second = open_reader("manifest", tmp_path / "out").samples("all")
    assert (first.affected, first.frame, first.voice) == ("L", 7, (root / "a.wav").absolute())
    assert (second.affected, second.frame, second.voice) == (None, None, None)


def drawn(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((64, 64, 3), len(path.name) * 20, np.uint8))


def test_every_failure_is_listed_with_its_reason(tmp_path: Path) -> None:
    root = write_drawn(tmp_path / "set", faces=14, size=64)
    first, second, third = sorted(root.glob("train/*/*.png"))[:3]
    first.write_bytes(b"not a picture")
    cv2.imwrite(str(second), np.full((64, 64, 3), 128, np.uint8))
    cv2.imwrite(str(third), np.full((8, 8, 3), 128, np.uint8))
    out = tmp_path / "out"
    output = prepare("image_folder", root=str(root), output=str(out), size=48, detector="none", workers=1)
    assert "broken picture 1, too small 1: failures.csv" in output
    rows = list(csv.DictReader((out / "failures.csv").open(encoding="utf-8")))
    assert {row["reason"]: Path(row["picture"]) for row in rows} == {"broken picture": first, "too small": third}
    with pytest.raises(MienError, match=r"No face could be prepared.*--detector none keeps"):
        blank = tmp_path / "blank" / "calm"
        blank.mkdir(parents=True)
        cv2.imwrite(str(blank / "a.png"), np.full((64, 64, 3), 128, np.uint8))
        prepare("image_folder", root=str(blank.parent), output=str(tmp_path / "none"), workers=1)


def test_five_points_stand_where_the_template_says(top: Path, tmp_path: Path) -> None:
    from mien.core.framing import FIVE_POINTS
    from mien.core.landmarks import to_5

    prepare("w300", root=str(top / "w300"), output=str(tmp_path / "out"), size=112, align="five_points", box_scale=1,
            workers=1)  # fmt: skip
    points = [to_5(s.landmarks_px) for s in open_reader("manifest", tmp_path / "out").samples("train")]
    assert np.abs(np.mean(points, axis=0) - (FIVE_POINTS * 112 - 0.5)).max() < 12  # drawn faces are not ArcFace's mean
    assert np.abs(np.array(points)[:, 0, 1] - np.array(points)[:, 1, 1]).max() < 3  # the eyes are level
    with pytest.raises(MienError, match=r"No face could be prepared"):
        prepare("ferplus", root=str(top / "ferplus"), output=str(tmp_path / "no"), align="five_points",
                detector="none", workers=1)  # fmt: skip


def test_ffhq_prepares_the_very_pixels_that_invert_reads_and_its_points_go_back(top: Path, tmp_path: Path) -> None:
    from mien.core.framing import ffhq_crop
    from mien.core.landmarks import to_5
    from mien.media.crop import prepare as cut_out
    from mien.media.image import load_image

    out = tmp_path / "out"
    prepare("w300", root=str(top / "w300"), output=str(out), size=64, align="ffhq", encoding="png", workers=1)
    sources = {s.key: s for s in open_reader("w300", top / "w300").samples("train")}
    prepared = open_reader("manifest", out).samples("train")
    assert len(prepared) == len(sources)
    for sample in prepared[:3]:
        source = sources[sample.key]
        crop = ffhq_crop(source.landmarks_px, size=64)  # what mien invert calls
        wanted = cut_out(load_image(source.path).pixels, crop, PictureInput(size=64))
        assert np.array_equal(load_image(sample.path).pixels, wanted)
        np.testing.assert_allclose(crop.to_picture(sample.landmarks_px), source.landmarks_px, atol=1e-3)
        again = ffhq_crop(to_5(sample.landmarks_px), size=64)  # what is aligned stays as it is
        assert again.centre == pytest.approx((32, 32), abs=0.01) and again.sides == pytest.approx((64, 64), abs=0.01)
        assert again.roll_rad == pytest.approx(0, abs=1e-4)
    with pytest.raises(MienError, match="leave --box-scale and --box-shift-y out"):
        prepare("w300", root=str(top / "w300"), output=str(tmp_path / "no"), align="ffhq", box_scale=1.0)


# The process is killed while it writes its second part: the shard is there, what says that it is whole is not.
DIES_AFTER_A_PART = """
import json, os, signal, sys
import mien.data.preparation.prepared as prepared
from mien.engine.datasets.prepare import prepare
write, done = prepared.write_text, []
def last_words(path, text):
    if done:
        os.kill(os.getpid(), signal.SIGKILL)
    write(path, text)
    done.append(path)
prepared.write_text = last_words
prepare("w300", root=sys.argv[1], output=sys.argv[2], **json.loads(sys.argv[3]))
"""


def test_a_killed_run_goes_on_to_the_same_bytes(top: Path, tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    options = {"size": 224, "encoding": "png", "format": "shards", "workers": 1}
    prepare("w300", root=str(top / "w300"), output=str(whole), **options)
    done_and_dead = [sys.executable, "-c", DIES_AFTER_A_PART, str(top / "w300"), str(killed), json.dumps(options)]
    assert subprocess.run(done_and_dead, check=False).returncode == -signal.SIGKILL
    assert json.loads((killed / "prepared.json").read_text())["state"] == "unfinished"
    with pytest.raises(MienError, match=r"was begun otherwise: size 224, now 112\..*delete it"):
        prepare("w300", root=str(top / "w300"), output=str(killed), **(options | {"size": 112}))
    assert not (killed / "manifest.parquet").exists()
    (first,) = killed.glob("parts/*.json")
    written = (killed / "shards" / "train-00000.tar").stat().st_mtime_ns
    (killed / "shards" / ".train-00001.abc.tar").write_bytes(b"half")
    prepare("w300", root=str(top / "w300"), output=str(killed), **options)
    assert (killed / "shards" / f"{first.stem}.tar").stat().st_mtime_ns == written
    assert files_of(killed) == files_of(whole)
    assert "complete already" in prepare("w300", root=str(top / "w300"), output=str(killed), **options)
    (killed / "shards" / "train-00000.tar").unlink()
    with pytest.raises(MienError, match="files are gone"):
        prepare("w300", root=str(top / "w300"), output=str(killed), **options)


def test_processes_give_the_bytes_of_one(top: Path, tmp_path: Path) -> None:
    for workers in (1, 2):
        prepare("w300", root=str(top / "w300"), output=str(tmp_path / str(workers)), size=48, workers=workers)
    assert files_of(tmp_path / "1") == files_of(tmp_path / "2")


def test_output_must_be_ours_and_elsewhere(top: Path, tmp_path: Path) -> None:
    root = str(top / "w300")
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "thesis.txt").write_text("")
    for output, message in (
        (tmp_path / "theirs", "is not empty, and no prepared.json"),
        (tmp_path / "theirs" / "thesis.txt", "is a file"),
        (top / "w300" / "out", "lies inside the data set"),
    ):
        with pytest.raises(MienError, match=message):
            prepare("w300", root=root, output=str(output))
    if os.geteuid():
        (tmp_path / "closed").mkdir(mode=0o500)
        with pytest.raises(MienError, match="Cannot write"):
            prepare("w300", root=root, output=str(tmp_path / "closed" / "out"))
    with pytest.raises(MienError, match="Cannot write"):
        prepare("w300", root=root, output="/dev/null/out")


def test_the_largest_face_counts_or_the_middle_one_of_equals() -> None:
    from mien.data.preparation.face_crop import CutError, chosen
    from mien.media.detect import Detection

    small, large, middle = (Detection(box, 1.0) for box in ((40, 40, 60, 60), (0, 0, 40, 40), (30, 30, 66, 66)))
    assert chosen([small, large], (100, 100)) is large
    assert chosen([large, middle], (100, 100)) is middle
    assert chosen([large, middle], (100, 100), near=(0, 0, 30, 30)) is large
    with pytest.raises(CutError, match="none of 1 faces lies where"):
        chosen([large], (100, 100), near=(80, 80, 99, 99))
