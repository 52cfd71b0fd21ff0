"""fit and evaluate refuse faces that stand on two sides, and say so in every file when told to go on."""

import json
import shutil
from pathlib import Path

import cv2
import pytest

from mien.core.errors import MienError

pytest.importorskip("lightning")


@pytest.fixture
def leaking(faces: Path, tmp_path: Path) -> Path:
    """The drawn faces, with a mirrored copy of a training face in test."""
    root = Path(shutil.copytree(faces, tmp_path / "leaking"))
    source = sorted((root / "train").rglob("*.png"))[0]
    cv2.imwrite(str(root / "test" / source.parent.name / "copy.png"), cv2.imread(str(source))[:, ::-1])
    return root


def fit(root: Path, output: Path, *more: str) -> None:
    from mien.engine.training.fit import fit_command

    fit_command([
        "--system.name=toy", "--stage.name=guess", "--data.name=image_folder", f"--data.root={root}",
        "--data.val_fraction=0.2", "--trainer.epochs=1", "--trainer.device=cpu", "--trainer.progress=false",
        "--data.augmentation=none", f"--output={output}", *more,
    ])  # fmt: skip


def measure(bundle: Path, root: Path, output: Path, leaks: str) -> str:
    from mien.data.options import DataOptions
    from mien.engine.evaluation.evaluate import evaluate

    evaluate(
        str(bundle), data=DataOptions(name="image_folder", root=str(root), leaks=leaks), output=str(output), bootstrap=0
    )
    return (output / "report.html").read_text()


def test_fit_refuses_drops_or_reports(toy: None, leaking: Path, tmp_path: Path) -> None:
    with pytest.raises(
        MienError, match=r"1 near-duplicate in both \w+ and test, first 'test/.*copy.png' \(like 'train/"
    ):
        fit(leaking, tmp_path / "refused")
    fit(leaking, tmp_path / "reported", "--data.leaks=report")
    about = json.loads((tmp_path / "reported/bundle/system.json").read_text())
    assert about["provenance"]["leaks"]["policy"] == "report" and "near-duplicate" in str(about["provenance"]["leaks"])
    assert "near-duplicate" in (tmp_path / "reported/report.html").read_text()
    assert "left in: " in (tmp_path / "reported/bundle/README.md").read_text()
    assert any("leaks" in json.loads(line) for line in (tmp_path / "reported/metrics.jsonl").open())
    assert "train_faces.npz" in about["files"]
    fit(leaking, tmp_path / "dropped", "--data.leaks=drop")
    lost = json.loads((tmp_path / "dropped/bundle/system.json").read_text())["provenance"]
    faces = [sum(p[side]["faces"] for side in ("train", "val")) for p in (lost, about["provenance"])]
    assert faces[0] == faces[1] - 1


def test_evaluate_refuses_drops_or_reports(toy: None, faces: Path, leaking: Path, tmp_path: Path) -> None:
    fit(faces, tmp_path / "run", "--data.val_fraction=0.05")
    bundle = tmp_path / "run/bundle"
    assert "0 found by fingerprints" in measure(bundle, faces, tmp_path / "clean", "refuse")
    with pytest.raises(MienError, match=r"was trained on 1 of the 15 faces of image_folder, split test \(1 copy\)"):
        measure(bundle, leaking, tmp_path / "refused", "refuse")
    assert "was trained on 1 of the 15 faces" in measure(bundle, leaking, tmp_path / "reported", "report")
    line = json.loads((tmp_path / "reported/metrics.jsonl").read_text().splitlines()[0])
    assert line["leaks"]["seen"] == 1 and line["n"] == 15
    assert "1 left out" in measure(bundle, leaking, tmp_path / "dropped", "drop")
    assert json.loads((tmp_path / "dropped/metrics.jsonl").read_text().splitlines()[0])["n"] == 14
    assert "not checked" in measure(bundle, leaking, tmp_path / "ignored", "ignore")


def test_a_changed_memory_is_refused(toy: None, faces: Path, tmp_path: Path) -> None:
    fit(faces, tmp_path / "run")
    (tmp_path / "run/bundle/train_faces.npz").write_bytes(b"x")
    with pytest.raises(MienError, match=r"is missing or not the file that system\.json names"):
        measure(tmp_path / "run/bundle", faces, tmp_path / "out", "refuse")


def test_the_command_lists_what_it_finds(faces: Path, leaking: Path, tmp_path: Path) -> None:
    from mien.engine.datasets.leaks import leaks

    output = leaks("image_folder", root=str(leaking), output=str(tmp_path / "out"))
    assert output.startswith("train and test: 1 near-duplicate. ")
    assert (tmp_path / "out/leaks.csv").read_text().splitlines()[1].startswith("near-duplicate,train,train/")
    page = (tmp_path / "out/leaks.html").read_text()
    assert "the same photograph" in page and "data:image/jpeg" in page and "http:" not in page and "https:" not in page
    with pytest.raises(MienError, match="1 near-duplicate on two sides"):
        leaks("image_folder", root=str(leaking), output=str(tmp_path / "strict"), strict=True)
    other = f"image_folder={faces}"
    output = leaks("image_folder", root=str(leaking), against=other, output=str(tmp_path / "two"))
    assert "test: 14 pictures" in output and f"train and {faces} train: 42 pictures" in output
    with pytest.raises(MienError, match="is the set itself"):
        leaks("image_folder", root=str(faces), against=other, output=str(tmp_path / "three"))


def test_a_part_of_a_split_is_no_leak_of_it(tmp_path: Path) -> None:
    """300-W's common and challenging sets are parts of its test set."""
    from mien.data.replicas import write_drawn
    from mien.engine.datasets.leaks import leaks

    folder = write_drawn(tmp_path / "w300", faces=21, layout="w300", size=40, test_share=0.5)
    assert leaks("w300", root=str(folder), output=str(tmp_path / "out")).startswith("No leaks.")
