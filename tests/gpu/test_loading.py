"""Batches reach the GPU from pinned memory, by copies that nothing waits for."""

from pathlib import Path

import pytest

from mien.core.spec import PictureInput
from mien.data.options import DataOptions

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")


def test_batches_are_pinned(device: str, tmp_path: Path) -> None:
    if device == "cpu":
        pytest.skip("pins memory for a GPU")
    from mien.data.datamodule import FaceDataModule
    from mien.data.replicas import write_drawn

    root = write_drawn(tmp_path / "drawn", faces=28, size=40, layout="drawn", test_share=0.25)
    options = DataOptions(name="drawn", root=str(root), batch_size=7, workers=1, leaks="ignore")
    data = FaceDataModule(options, PictureInput(size=32), options.target_labels())
    data.pin_memory = True
    data.setup("fit")
    for batch in data.train_dataloader():
        assert batch.image.is_pinned() and batch.index.is_pinned()
        assert batch.map(lambda value: value.to(device, non_blocking=True)).image.device.type == "cuda"
