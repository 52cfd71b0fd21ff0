"""One's own folder of classes: divided, fitted, measured; random weights learn by heart; hints where a start lacks."""

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")
from mien.__main__ import main  # noqa: E402
from mien.core.errors import MienError  # noqa: E402
from mien.core.labels import LabelSet  # noqa: E402
from mien.data.options import DataOptions  # noqa: E402
from mien.data.selection import select_for_training  # noqa: E402
from mien.engine.evaluation.run_data import with_data_of_run  # noqa: E402
from mien.engine.training.config import parse_fit, stage_defaults  # noqa: E402
from mien.engine.training.fit import fit_command  # noqa: E402
from mien.engine.training.history import constant_warnings  # noqa: E402
from mien.engine.training.setup import build, for_untrained  # noqa: E402
from mien.systems.optim import build_optimizer  # noqa: E402
from mien.systems.poster_v2.stages import Expression  # noqa: E402
from mien.systems.registry import create_model  # noqa: E402
from mien.systems.stage import StepOptions  # noqa: E402
from mien.systems.step import layer_groups  # noqa: E402
from small_systems import POSTER  # noqa: E402


@pytest.fixture(scope="module")
def flat(faces: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes of eight drawn faces, without split folders."""
    folder = tmp_path_factory.mktemp("own") / "my_faces"
    for label in ("happiness", "sadness", "anger"):
        (folder / label).mkdir(parents=True)
        for path in sorted(faces.glob(f"*/{label}/*")):
            (folder / label / path.name).write_bytes(path.read_bytes())
    return folder


def test_a_flat_folder_is_fitted_and_measured_with_two_commands(flat, tmp_path, capsys) -> None:
    run = tmp_path / "mine"
    shown = ["--trainer.epochs=1", "--trainer.device=cpu", "--trainer.progress=false", "--optim.ema=0"]
    assert main(["fit", "poster_v2/own_folder", f"--data.root={flat}", f"--output={run}", *shown]) == 0
    assert f"mien evaluate {run}" in capsys.readouterr().out
    lines = (run / "split.csv").read_text("utf-8").splitlines()
    kept = sum(line.endswith(",test") for line in lines)
    assert "# rule: train 0.75, valid 0.1, test 0.15" in "\n".join(lines) and kept >= 3
    assert main(["evaluate", str(run), "--bootstrap=0", f"--output={tmp_path / 'evaluation'}"]) == 0
    rows = (tmp_path / "evaluation" / "predictions.csv").read_text("utf-8").splitlines()
    assert len(rows) == kept + 1
    assert "poster_v2@" in capsys.readouterr().out


def test_the_divided_set_has_no_face_in_two_parts_and_the_same_parts_again(flat) -> None:
    options = DataOptions(name="image_folder", root=str(flat), divide="train=.6,valid=.2,test=.2")
    reader = options.open()
    keys = [{sample.key for sample in reader.samples(split)} for split in ("train", "valid", "test")]
    assert len(set.union(*keys)) == sum(map(len, keys)) == 24
    again = DataOptions(name="image_folder", root=str(flat), divide="train=.6,valid=.2,test=.2").open()
    assert [s.key for s in again.samples("test")] == [s.key for s in reader.samples("test")]
    chosen = select_for_training(options, reader.labels)
    assert len(chosen.val) == len(keys[1]) and chosen.division["rule"].startswith("train 0.6")


def test_options_of_another_set_are_left_as_they_are(flat, tmp_path) -> None:
    run = tmp_path / "run"
    (run / "bundle").mkdir(parents=True)
    (run / "config.yaml").write_text(f"data: {{name: image_folder, root: {flat}}}\n")
    (run / "split.csv").write_text("key,part\na.png,train\nb.png,test\n")
    found = with_data_of_run(str(run), DataOptions())
    assert (found.name, found.root, found.split_file) == ("image_folder", str(flat), str(run / "split.csv"))
    assert with_data_of_run(str(run / "bundle"), DataOptions()) == found
    other = DataOptions(name="image_folder", root=str(flat.parent))
    assert with_data_of_run(str(run), other) == other
    assert with_data_of_run("poster_v2_small_ferplus", DataOptions()) == DataOptions()


def test_data_split_takes_a_folder(flat, tmp_path, capsys) -> None:
    assert main(["data", "split", str(flat), "--output", str(tmp_path / "split.csv")]) == 0
    assert "--data.split_file" in capsys.readouterr().out
    assert "# data: image_folder" in (tmp_path / "split.csv").read_text("utf-8")
    assert main(["data", "split", "no_such_folder"]) == 2
    assert "no_such_folder is no folder, no table and no reader" in capsys.readouterr().err


@pytest.mark.slow
def test_random_weights_learn_by_heart_with_the_shipped_recipe(flat) -> None:
    """16 patterns with labels at random, on the recipe's own network and optimiser. Frozen norms would prevent it."""
    config = for_untrained(parse_fit(["poster_v2/own_folder", "--init=random"], defaults=stage_defaults))
    assert not config.trainer.freeze_batch_norm and config.optim.layer_decay == 1
    torch.manual_seed(0)
    network = create_model(config.system.name, num_classes=5)
    stage = Expression(network, options=config.stage.options, optim=config.optim, step=StepOptions(), epochs=40)
    images = torch.nn.functional.interpolate(torch.randn(16, 1, 6, 6), 48, mode="bilinear").expand(-1, 3, -1, -1)
    truth = torch.randint(0, 5, (16,))
    optimizer = build_optimizer(config.optim, layer_groups(network, decay=config.optim.layer_decay))
    stage.train()
    for _ in range(40):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(stage(images)["expression"], truth, label_smoothing=0.1).backward()
        optimizer.step()
    with torch.no_grad():
        assert (network.eval()(images)["expression"].argmax(-1) == truth).float().mean() >= 0.95


def test_classes_of_the_shipped_model_are_known_by_synonyms(flat) -> None:
    from mien.engine.bundles.predictor import bundle_folder
    from mien.systems.bundle import load

    shipped = load(bundle_folder("poster_v2_small_ferplus"))
    network = create_model("poster_v2_small", labels=LabelSet("own", ("Angry", "calm", "happy")))
    own = network.state_dict()["vit.head.weight"].clone()
    config = parse_fit(["poster_v2/own_folder"], defaults=stage_defaults)
    Expression(network, options={}, optim=config.optim, step=StepOptions(), epochs=1).start_from("network", shipped)
    rows, names = network.state_dict()["vit.head.weight"], list(shipped.outputs["expression"].names)
    before = shipped.state_dict()["vit.head.weight"]
    assert torch.equal(rows[0], before[names.index("anger")]) and torch.equal(rows[2], before[names.index("happiness")])
    assert torch.equal(rows[1], own[1])


def test_a_missing_start_is_named(faces) -> None:
    config = parse_fit(["poster_v2/rafdb", f"--data.root={faces}", "--data.name=image_folder"], defaults=stage_defaults)
    with pytest.raises(MienError, match=r"mien fit poster_v2/0_landmarks_300w --data.root DIR --output start"):
        build(config)
    words = ["poster_v2/own_folder", f"--data.root={faces}", "--init="]
    with pytest.raises(MienError, match="Of this size ships: --init poster_v2_landmarks_small_300w"):
        build(parse_fit(words, defaults=stage_defaults))


def test_a_mirrored_face_has_the_same_logits_with_mirror_average() -> None:
    torch.manual_seed(0)
    network = create_model("poster_v2_small", **POSTER, mirror_average=True).eval()
    image = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.allclose(network(image)["expression"], network(image.flip(3))["expression"], atol=1e-6)


def test_points_no_better_than_the_mean_shape_are_reported(faces, tmp_path, capsys) -> None:
    from mien.data.replicas import write_drawn

    root = write_drawn(tmp_path / "w300", faces=21, size=64, layout="w300", test_share=0.34)
    words = ["--system.name=poster_v2_landmarks_small", f"--system.options={POSTER}", "--stage.name=landmarks"]
    words += ["--data.name=w300", f"--data.root={root}", "--data.val_fraction=0.3", "--data.leaks=ignore"]
    words += ["--optim.lr=1e-12", "--trainer.epochs=1", "--trainer.device=cpu", f"--output={tmp_path / 'run'}"]
    fit_command(words)
    assert "does not beat the mean shape (" in capsys.readouterr().out


def test_constant_warnings_compare_in_the_right_direction() -> None:
    larger = {"accuracy": True, "nme": False}
    found = constant_warnings(
        {"val/accuracy": 0.5, "val/nme": 3.0}, {"accuracy": 0.4, "nme": 2.0}, larger=larger, what="x"
    )
    assert len(found) == 1 and found[0].startswith("nme 3.0000 does not beat x (2.0000)")
