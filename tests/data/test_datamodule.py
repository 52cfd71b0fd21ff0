"""Batches: what is in them, that workers and resuming change nothing, and what broken pictures do."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from mien.core.errors import MienError
from mien.core.labels import label_set
from mien.core.records import Sample
from mien.core.spec import PictureInput
from mien.data.faces import FaceSet, prepare_face
from mien.data.options import DataOptions
from mien.data.readers import open_reader
from mien.data.replicas import write_drawn

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")
from mien.data.datamodule import FaceDataModule  # noqa: E402

SPEC = PictureInput(size=32)


def module(folder: Path, name: str, spec: PictureInput = SPEC, **values: object) -> FaceDataModule:
    options = DataOptions(**{"name": name, "root": str(folder), "batch_size": 8, "val_fraction": 0.2} | values)
    module = FaceDataModule(options, spec, options.target_labels())
    module.setup("fit")
    return module


def same(first: list, second: list) -> bool:
    return len(first) == len(second) and all(
        torch.equal(a.image, b.image) and torch.equal(a.index, b.index) for a, b in zip(first, second, strict=True)
    )


def test_a_batch_holds_what_its_docstring_says(replicas: dict[str, Path]) -> None:
    data = module(replicas["drawn"], "drawn", augmentation="none", soft_labels=True)
    batch = next(iter(data.val_dataloader()))
    assert batch.image.shape == (7, 3, 32, 32) and batch.image.dtype == torch.float32
    assert batch.expression.tolist() == [data.selection.val[i].expression for i in batch.index]
    assert torch.equal(batch.distribution, torch.eye(7)[batch.expression])
    assert batch.landmarks.shape == (7, 68, 2) and batch.landmarks.min() > 0 and batch.landmarks.max() < 1.05
    assert data.class_counts.tolist() == [4] * 7
    assert sum(len(b.image) for b in data.train_dataloader()) == 28


def test_evaluation_is_the_plain_crop(replicas: dict[str, Path]) -> None:
    data = module(replicas["drawn"], "drawn", augmentation="strong")
    batch = next(iter(data.val_dataloader()))
    crop, _ = prepare_face(data.selection.val[2], SPEC)
    expected = (crop / 255 - np.array(SPEC.mean)) / np.array(SPEC.std)
    np.testing.assert_allclose(batch.image[2].numpy(), expected.transpose(2, 0, 1), atol=1e-5)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("cache", ["none", "memory"])
def test_workers_and_cache_change_nothing(replicas: dict[str, Path], workers: int, cache: str) -> None:
    plain = module(replicas["drawn"], "drawn", augmentation="strong")
    other = module(replicas["drawn"], "drawn", augmentation="strong", workers=workers, cache=cache)
    assert same(list(plain.train_dataloader()), list(other.train_dataloader()))


@pytest.mark.parametrize("sampler", ["shuffle", "imbalanced"])
def test_resuming_in_mid_epoch_goes_on_exactly(replicas: dict[str, Path], sampler: str) -> None:
    whole, resumed = (module(replicas["rafdb"], "rafdb", augmentation="strong", sampler=sampler) for _ in range(2))
    loader = whole.train_dataloader()
    epochs = []
    for epoch in range(3):
        loader.batch_sampler.sampler.set_epoch(epoch)
        epochs.append(list(loader))
    resumed.start_epoch, resumed.start_batch = 1, 2
    loader = resumed.train_dataloader()
    assert len(loader) == len(epochs[1])
    assert same(list(loader), epochs[1][2:])
    loader.batch_sampler.sampler.set_epoch(2)
    assert same(list(loader), epochs[2])
    assert not same(epochs[0], epochs[1])


def test_the_global_generator_is_left_alone(replicas: dict[str, Path]) -> None:
    before = torch.get_rng_state()
    list(module(replicas["rafdb"], "rafdb").train_dataloader())
    assert torch.equal(before, torch.get_rng_state())


def test_drop_last_and_few_faces(replicas: dict[str, Path]) -> None:
    sizes = [len(b.image) for b in module(replicas["rafdb"], "rafdb", drop_last=True).train_dataloader()]
    assert sizes == [8, 8, 8]
    few = module(replicas["rafdb"], "rafdb", drop_last=True, batch_size=100)
    assert [len(b.image) for b in few.train_dataloader()] == [28]


def test_grey_caches_one_channel_and_serves_three(replicas: dict[str, Path]) -> None:
    spec = PictureInput(size=48, color="grey")
    data = module(replicas["ferplus"], "ferplus", spec, cache="memory", augmentation="strong")
    batch = next(iter(data.train_dataloader()))
    unit = batch.image * torch.tensor(spec.std)[:, None, None] + torch.tensor(spec.mean)[:, None, None]
    erased = (batch.image == 0).all(1)
    assert batch.image.shape[1:] == (3, 48, 48)
    assert (unit[:, 0] - unit[:, 2]).abs()[~erased].max() < 1e-5
    cached = data._sets["train"]._cached
    assert cached is not None and cached[0] is not None and cached[0].crop.base is not None
    assert cached[0].crop.base.nbytes == 48 * 48 * len(data.selection.train)


def test_landmarks_without_expressions(replicas: dict[str, Path]) -> None:
    data = module(replicas["w300"], "w300", PictureInput(size=32, box_scale=1.3))
    batch = next(iter(data.train_dataloader()))
    assert batch.expression is None and batch.distribution is None
    assert (batch.landmarks.amin(1) > 0.05).all() and (batch.landmarks.amax(1) < 0.95).all()
    with pytest.raises(MienError, match="w300 has no expressions"):
        _ = data.class_counts


def test_landmarks_of_a_picture_decoded_at_reduced_scale(tmp_path: Path) -> None:
    """A 512-pixel JPEG is decoded at a fraction for a 32-pixel crop; points and pixels still fit."""
    folder = write_drawn(tmp_path / "large", faces=14, layout="w300", size=512, test_share=0.5)
    sample = open_reader("w300", folder).samples("train")[0]
    whole = Sample(sample.key, sample.path, landmarks_px=sample.landmarks_px)
    crop, points = prepare_face(whole, SPEC)
    assert crop.shape == (32, 32, 3) and points is not None
    np.testing.assert_allclose(points, (sample.landmarks_px + 0.5) / 16 - 0.5, atol=1e-4)
    boxed, _ = prepare_face(Sample(sample.key, sample.path, box=(0, 0, 512, 512)), SPEC)
    assert np.abs(boxed.astype(int) - crop).mean() < 2


def test_batches_move_to_a_device(replicas: dict[str, Path]) -> None:
    data = module(replicas["w300"], "w300")
    moved = data.transfer_batch_to_device(next(iter(data.val_dataloader())), torch.device("meta"), 0)
    assert moved.image.device.type == moved.landmarks.device.type == "meta" and moved.expression is None


def test_other_faces_are_noticed_when_a_run_goes_on(replicas: dict[str, Path]) -> None:
    data = module(replicas["rafdb"], "rafdb")
    data.load_state_dict(data.state_dict())
    with pytest.raises(MienError, match="The train faces changed since this run began"):
        module(replicas["rafdb"], "rafdb", seed=1).load_state_dict(data.state_dict())


def test_notes_are_logged_once(replicas: dict[str, Path], caplog: pytest.LogCaptureFixture) -> None:
    data = module(replicas["rafdb"], "rafdb")
    data.setup("validate")
    assert data.notes == ["7 of the train faces are held out to select the epoch on."]
    assert len(caplog.records) == 1


# Broken pictures


@pytest.fixture
def broken(replicas: dict[str, Path], tmp_path: Path) -> Path:
    root = Path(shutil.copytree(replicas["rafdb"], tmp_path / "set"))
    folder = root / "Image" / "aligned"
    (folder / "train_00002_aligned.jpg").write_bytes(b"")
    (folder / "train_00009_aligned.jpg").write_text("not a picture")
    return root


@pytest.mark.parametrize("workers", [0, 1])
def test_a_broken_picture_stops_with_one_line(broken: Path, workers: int) -> None:
    data = module(broken, "rafdb", workers=workers, val_fraction=0.1)
    with pytest.raises(MienError, match="on_broken: skip") as caught:
        list(data.train_dataloader()), list(data.val_dataloader())
    assert "\n" not in str(caught.value) and "_aligned.jpg" in str(caught.value)


def test_a_cache_counts_all_broken_pictures(broken: Path) -> None:
    samples = open_reader("rafdb", broken).samples("train")
    with pytest.raises(MienError, match=r"2 of 35 pictures are broken, first .*train_00002"):
        FaceSet(samples, SPEC, cache=True)


@pytest.mark.parametrize("cache", [True, False])
def test_broken_pictures_can_be_left_out(broken: Path, cache: bool) -> None:
    samples = open_reader("rafdb", broken).samples("train")
    faces = FaceSet(samples, SPEC, labels=label_set("rafdb"), cache=cache, on_broken="skip")
    assert [len(batch.index) for batch in faces.numpy_batches(10)] == [8, 10, 10, 5]
    assert sorted(faces.broken) == [1, 8]
    with pytest.raises(MienError, match="No picture of a whole batch can be read"):
        faces.batch([(0, 1), (0, 8)])


def test_a_cache_beyond_memory_is_refused(replicas: dict[str, Path]) -> None:
    samples = open_reader("rafdb", replicas["rafdb"]).samples("train")
    with pytest.raises(MienError, match=r"cache: memory would take .* Use data.cache: none"):
        FaceSet(samples * 5000, PictureInput(size=1024), cache=True)
