"""The teacher's run, dry on the CPU: the pack, augmentation on the device, resuming, and what comes back."""

import json
import sys
import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from mien.core.errors import MienError
from mien.core.landmarks import SCHEME_68
from mien.data.replicas import write_drawn
from mien.data.transforms import augmentation
from mien.media.crop import normalise
from mien.systems.bundle import load
from mien.systems.poster_v2.network import reduce_to

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import gpu_teacher
from small_systems import POSTER
from teacher import pack as packing
from teacher import results, stages
from teacher.faces import (
    HELD_OUT,
    MARGIN,
    SIDE,
    TRAIN,
    Faces,
    Pack,
    erased,
    fixed_warps,
    lit,
    mixed,
    normalised,
    random_warps,
    read_pack,
    warped,
    warped_points,
)  # fmt: skip

CPU = torch.device("cpu")
TINY = {name: value for name, value in POSTER.items() if name not in ("input_size", "trunk_size")}
gpu_teacher.NETWORKS["poster_v2_small"] = TINY


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sets")
    write_drawn(folder / "ferplus", faces=60, layout="ferplus")
    write_drawn(folder / "w300", faces=16, layout="w300")
    packing.write_pack(folder / "ferplus", folder / "w300", folder / "pack.npz")
    return folder


@pytest.fixture
def pack(sets: Path) -> Pack:
    return read_pack(sets / "pack.npz", CPU)


def options_of(sets: Path, output: Path, *more: str) -> Any:
    given = ["--data", str(sets / "pack.npz"), "--output", str(output), "--network", "poster_v2_small", "--steps", "4"]
    return gpu_teacher.arguments([*given, "--landmark-steps", "2", "--batch", "20", *more])


@pytest.fixture(scope="module")
def finished(sets: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("finished") / "out"
    assert gpu_teacher.train(options_of(sets, output))
    return output


def test_the_pack_holds_every_picture(sets: Path, pack: Pack) -> None:
    assert len(pack.train) == 48 and len(pack.valid) == 12
    for names, faces, most in ((pack.names, pack.train, 4), (pack.valid_names, pack.valid, 0)):
        for name, pixels in zip(names, faces.pixels.numpy(), strict=True):
            picture = cv2.imread(str(sets / "ferplus" / name), cv2.IMREAD_GRAYSCALE)
            apart = picture.astype(float) - pixels
            assert np.sqrt((apart**2).mean()) <= most
    held, train = pack.train.of(HELD_OUT), pack.train.of(TRAIN)
    assert len(held) == 8 and len(train) == 40 and sorted(held.expression.tolist()) == list(range(8))
    torch.testing.assert_close(train.distribution.sum(1), torch.ones(40))
    assert (train.distribution.argmax(1) == train.expression).all()
    assert not set(pack.names) & set(pack.valid_names)


def test_the_points_of_the_pack_lie_in_the_face(pack: Pack) -> None:
    faces = pack.landmarks
    assert faces.pixels.shape[1:] == (SIDE + 2 * MARGIN,) * 2 and faces.points.shape[1:] == (68, 2)
    assert faces.points.amin() > 0 and faces.points.amax() < 1
    right, left = faces.points[:, 36:42].mean(1), faces.points[:, 42:48].mean(1)
    assert (right[:, 0] < left[:, 0]).all()


def test_without_augmentation_a_face_is_what_the_network_makes_of_it(pack: Pack) -> None:
    pixels = pack.train.pixels[:5]
    enlarged = warped(pixels, fixed_warps(5, CPU), 112)
    torch.testing.assert_close(enlarged, reduce_to(pixels[:, None].float() / 255, 112), atol=1e-5, rtol=0)
    network = gpu_teacher.create_model("poster_v2", num_classes=8, **gpu_teacher.NETWORKS["poster_v2"])
    crops = np.repeat(pixels.numpy()[..., None], 3, axis=3)
    wanted = torch.from_numpy(normalise(crops, network.picture))
    torch.testing.assert_close(normalised(pixels[:, None].float() / 255), wanted, atol=1e-5, rtol=0)
    assert network.picture.size == SIDE


def test_points_move_with_the_pixels(pack: Pack) -> None:
    """A bright dot is found where the warp says, in faces with a margin too; a mirrored eye is the other eye."""
    count, side, size = 40, SIDE + 2 * MARGIN, 112
    rows, columns = torch.randint(26, 46, (2, count), generator=torch.Generator().manual_seed(5))
    pixels = torch.zeros(count, side, side, dtype=torch.uint8)
    pixels[torch.arange(count), rows, columns] = 255
    points = ((torch.stack([columns, rows], 1) + 0.5 - MARGIN) / SIDE)[:, None].expand(count, 68, 2)
    recipe = augmentation("strong", rotation_deg=30, scale=(0.8, 1.3), scale_apart=True, shear_deg=10)
    warps = random_warps(recipe, count, torch.Generator().manual_seed(7))
    assert 8 < int(warps.mirrored.sum()) < 32
    image = warped(pixels, warps, size)[:, 0]
    at = (torch.arange(size) + 0.5) / size
    mass = image.sum((1, 2))
    found = torch.stack([(image.sum(1) * at).sum(1) / mass, (image.sum(2) * at).sum(1) / mass], dim=1)
    torch.testing.assert_close(found, warped_points(points, warps)[:, 0], atol=0.004, rtol=0)
    mirrored = warped_points(pack.landmarks.points[:1], fixed_warps(1, CPU, mirrored=True))[0]
    wanted = pack.landmarks.points[0][torch.from_numpy(SCHEME_68.mirror)] * torch.tensor([-1.0, 1]) + torch.tensor(
        [1.0, 0]
    )
    torch.testing.assert_close(mirrored, wanted)


def test_light_follows_the_one_law_of_augmentation(pack: Pack) -> None:
    """At its mean, contrast does nothing; a range of 0 changes nothing; the spread of means is that of brightness."""
    image = pack.train.pixels[:40, None].float() / 255
    still = augmentation("none")
    torch.testing.assert_close(lit(image, still, torch.Generator().manual_seed(1)), image.clamp(1e-6, 1))
    flat = torch.full((400, 1, 4, 4), 0.5)
    bright = lit(flat, augmentation("none", brightness=0.2, contrast=0.9), torch.Generator().manual_seed(1))
    assert 0.4 - 1e-6 <= bright.min() < 0.41 and 0.59 < bright.max() <= 0.6 + 1e-6
    darker = lit(flat, augmentation("none", gamma=0.2), torch.Generator().manual_seed(1))
    assert darker.min() == pytest.approx(0.5 ** np.exp(0.2), abs=2e-3)


def test_holes_and_mixtures_have_their_shares() -> None:
    generator = torch.Generator().manual_seed(3)
    image = torch.ones(2000, 1, 40, 40)
    recipe = augmentation("none", erase_probability=0.5, erase_scale=(0.02, 0.2))
    gone = (erased(image, recipe, generator) == 0).float().mean((1, 2, 3))
    assert (gone > 0).float().mean() == pytest.approx(0.5, abs=0.04)
    assert gone[gone > 0].mean() == pytest.approx(0.11, abs=0.01) and gone.max() < 0.23
    one = torch.eye(8).repeat(250, 1)
    same, targets = mixed(image, one, generator, probability=0.0)
    assert torch.equal(same, image) and torch.equal(targets, one)
    values = torch.arange(2000.0)[:, None, None, None].expand(-1, 1, 2, 2)
    blend, targets = mixed(values, torch.nn.functional.one_hot(torch.arange(2000)).float(), generator, probability=0.5)
    torch.testing.assert_close(targets.sum(1), torch.ones(2000))
    torch.testing.assert_close(targets @ torch.arange(2000.0), blend[:, 0, 0, 0], rtol=1e-4, atol=1e-2)
    assert (targets.amax(1) < 1).float().mean() == pytest.approx(0.5, abs=0.04)


def test_the_rate_rises_and_ends_at_zero() -> None:
    stage = stages.LandmarkTeacher.__new__(stages.LandmarkTeacher)
    torch.nn.Module.__init__(stage)
    rates = []
    for progress in (0.0, stages.WARMUP / 2, stages.WARMUP, 0.52, 1.0, 1.3):
        object.__setattr__(stage, "progress", progress)
        rates.append(stage.learning_rate(gpu_teacher.OPTIM) / gpu_teacher.OPTIM.lr)
    assert 0 < rates[0] < 0.1 and rates[1] == 0.5 and rates[2] == 1
    assert rates[3] == pytest.approx(0.5) and rates[4:] == pytest.approx([0, 0], abs=1e-12)


def test_what_comes_back(finished: Path, sets: Path, tmp_path: Path) -> None:
    assert not finished.with_name("out.checkpoint.pt").exists()
    files = {path.name for path in finished.iterdir()}
    assert files == {"log.csv", "logits_train.npz", "metrics.json", "weights_1.safetensors"}
    scores = json.loads((finished / "metrics.json").read_text())
    assert scores["valid"]["faces"] == 12 and set(scores["valid"]) == {"single", "mirrored", "views", "faces"}
    assert scores["landmarks"]["steps"] == 2 and scores["chosen"]["step"] in (1, 2, 3, 4)
    assert (finished / "log.csv").read_text().splitlines()[0].startswith("elapsed_s,progress,epoch,step")
    with np.load(finished / "logits_train.npz", allow_pickle=False) as arrays:
        assert set(arrays["part"]) == {TRAIN, HELD_OUT} and len(arrays["names"]) == 48
        assert {arrays[f"logits{end}"].dtype.str for end in ("", "_mirrored", "_drawn")} == {"<f2"}
        logits, names, classes = arrays["logits"], arrays["names"].tolist(), arrays["classes"].tolist()
    gpu_teacher.write_bundle(finished, tmp_path / "bundle")
    network = load(tmp_path / "bundle")
    assert network.name == "poster_v2" and list(network.labels.classes) == classes
    pack = read_pack(sets / "pack.npz", CPU)
    assert pack.names == names
    with torch.no_grad():
        again = network(normalised(pack.train.pixels[:, None].float() / 255))["expression"]
        valid = network(normalised(pack.valid.pixels[:, None].float() / 255))["expression"].argmax(1)
    np.testing.assert_allclose(again.numpy(), logits, atol=3e-4)  # weights and logits in half precision
    assert np.ptp(logits, axis=0).max() > 1e-3  # faces differ, so the order of names is tested
    right = float((valid == pack.valid.expression).float().mean())
    assert right == pytest.approx(scores["valid_as_bundle"]) == pytest.approx(scores["valid"]["single"]["accuracy"])


def test_a_student_learns_votes_and_its_teachers_probabilities(
    finished: Path, sets: Path, pack: Pack, tmp_path: Path
) -> None:
    with np.load(finished / "logits_train.npz", allow_pickle=False) as arrays:
        mean = (arrays["logits"].astype(float) + arrays["logits_mirrored"] + arrays["logits_drawn"]) / 3
    by_hand = np.exp(mean) / np.exp(mean).sum(1, keepdims=True)
    np.testing.assert_allclose(results.teacher_probabilities(finished, pack).numpy(), by_hand, atol=1e-4)
    assert gpu_teacher.train(options_of(sets, tmp_path / "student", "--teacher", str(finished)))
    losses = [(run / "log.csv").read_text().splitlines()[-1].split(",")[5] for run in (tmp_path / "student", finished)]
    assert losses[0] != losses[1]  # other targets
    other = Pack(**{**vars(pack), "names": pack.names[::-1]})
    with pytest.raises(MienError, match="has the logits of other faces than the pack"):
        results.teacher_probabilities(finished, other)


def test_a_run_that_was_cut_off_goes_on_as_if_it_had_not(
    finished: Path, sets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu_teacher, "CHECKPOINT_S", 0.0)
    options = options_of(sets, tmp_path / "out")
    progress = gpu_teacher.Budget.progress

    def cut_off(self: Any, step: int) -> float:
        if self.steps == 4 and step == 3:
            raise KeyboardInterrupt
        return progress(self, step)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(gpu_teacher.Budget, "progress", cut_off)
        gpu_teacher.train(options)
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join()
    assert options.checkpoint.is_file() and not (tmp_path / "out" / "metrics.json").exists()
    monkeypatch.setattr(gpu_teacher, "landmark_network", lambda *_: pytest.fail("stage 0 was done"))
    assert gpu_teacher.train(options)
    for read, name in ((load_file, "weights_1.safetensors"), (read_arrays, "logits_train.npz")):
        whole, resumed = read(finished / name), read(tmp_path / "out" / name)
        assert len(whole) > 3 and whole.keys() == resumed.keys()
        assert all(np.array_equal(whole[key], resumed[key]) for key in whole)


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as arrays:
        return dict(arrays)


def test_a_run_that_diverged_goes_on_at_half_the_rate(
    sets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finite, calls, factors = stages.ExpressionTeacher.check_finite, [], []

    def once(self: Any) -> None:
        calls.append(self.position.step)
        factors.append(self.lr_factor)
        if len(calls) == 1:
            raise self.diverged("The loss is nan")
        finite(self)

    monkeypatch.setattr(stages.ExpressionTeacher, "check_finite", once)
    assert gpu_teacher.train(options_of(sets, tmp_path / "out"))
    assert calls[:2] == [2, 2] and factors[:2] == [1, 0.5]


def test_every_face_comes_once_an_epoch_and_differs_the_next_time(pack: Pack, sets: Path) -> None:
    network = gpu_teacher.create_model("poster_v2_small", labels="ferplus")
    network = stages.SupervisedPosterV2(network.config, inputs=network.inputs, outputs=network.outputs)
    stage = stages.build(stages.ExpressionTeacher, network, CPU, gpu_teacher.OPTIM, seed=0, bf16=False)
    train, options = pack.train.of(TRAIN), options_of(sets, sets)

    def batch(epoch: int, number: int) -> Any:
        stage.position.epoch, stage.position.batch, stage.position.step = epoch, number, 2 * epoch + number
        return gpu_teacher.batch_of(train, stage, options, recipe=gpu_teacher.RECIPE)

    first, second, third = batch(0, 0), batch(0, 1), batch(1, 0)
    assert sorted([*first.index.tolist(), *second.index.tolist()]) == list(range(40))
    assert first.index.tolist() != third.index.tolist() and torch.equal(batch(0, 0).image, first.image)


def test_weights_come_in_parts_that_are_small_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = gpu_teacher.create_model("poster_v2_small", labels="ferplus")
    monkeypatch.setattr(results, "PART_BYTES", 1 << 20)
    names = results.write_weights(tmp_path, network)
    assert len(names) == 4 and all((tmp_path / name).stat().st_size < 1.1 * (1 << 20) for name in names)
    other = results.read_weights(tmp_path, gpu_teacher.create_model("poster_v2_small", labels="ferplus"))
    own = network.state_dict()
    for name, value in other.state_dict().items():
        torch.testing.assert_close(value, own[name], atol=1e-4, rtol=1e-3)
    (tmp_path / names[2]).unlink()
    with pytest.raises(gpu_teacher.MienError, match="Copy every weights"):
        results.read_weights(tmp_path, network)


def test_faces_take_their_fields_together(pack: Pack) -> None:
    chosen: Faces = pack.train.take(torch.tensor([3, 1]))
    assert torch.equal(chosen.pixels[0], pack.train.pixels[3]) and chosen.expression[1] == pack.train.expression[1]
