"""train_faces.npz: read back as written, and hostile archives refused before they take memory."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mien.core.bundle import TRAIN_FACES, BundleInfo
from mien.core.errors import MienError
from mien.core.spec import Output, PictureInput
from mien.data.leakage.contamination import TrainFaces, read_train_faces
from mien.data.leakage.fingerprints import CODE_VERSION
from mien.media.files import sha256_of
from robustness.bounded import run_bounded

FACES = TrainFaces(
    np.arange(72, dtype=np.uint8).reshape(3, 24), np.zeros((0, 24), np.uint8), np.arange(5, dtype=np.uint64),
    np.zeros(0, np.uint64),
)  # fmt: skip


def read(folder: Path) -> TrainFaces | None:
    files = {TRAIN_FACES: sha256_of(folder / TRAIN_FACES)}
    return read_train_faces(
        folder, BundleInfo("toy", {}, {"image": PictureInput()}, {"x": Output("picture")}, files=files)
    )


def test_what_is_written_is_read(tmp_path: Path) -> None:
    (tmp_path / TRAIN_FACES).write_bytes(FACES.to_bytes())
    found = read(tmp_path)
    assert found is not None
    for name in ("trained", "chosen", "subjects", "clips"):
        before, after = getattr(FACES, name), getattr(found, name)
        assert (before == after).all() and before.dtype == after.dtype and before.shape == after.shape


def archive(compression: int = zipfile.ZIP_STORED, **arrays: np.ndarray | bytes) -> bytes:
    """The archive of FACES with other arrays, or other bytes, under these names."""
    whole = {
        "format": np.array([1, CODE_VERSION]),
        **{n: getattr(FACES, n) for n in FACES.__dataclass_fields__},
    } | arrays
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as target:
        for name, value in whole.items():
            content = io.BytesIO()
            if isinstance(value, np.ndarray):
                np.save(content, value, allow_pickle=True)
            target.writestr(f"{name}.npy", value if isinstance(value, bytes) else content.getvalue())
    return file.getvalue()


def header(text: str) -> bytes:
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


HOSTILE: dict[str, Callable[[], bytes]] = {
    "bomb": lambda: archive(zipfile.ZIP_DEFLATED, trained=np.zeros((10_000_000, 24), np.uint8)),
    "lying shape": lambda: archive(trained=header("{'descr': '|u1', 'fortran_order': False, 'shape': (10**12, 24)}\n")),
    "huge shape": lambda: archive(
        trained=header("{'descr': '|u1', 'fortran_order': False, 'shape': (1000000000000, 24)}\n")
    ),
    "objects": lambda: archive(trained=np.array([[print] * 24], object)),
    "code in the header": lambda: archive(trained=header("__import__('os').system('true')\n")),
    "long header": lambda: archive(trained=header("[" * 60_000)),
    "other rows": lambda: archive(trained=np.zeros((3, 8), np.uint8)),
    "other type": lambda: archive(subjects=np.zeros(3, np.float64)),
    "no axes": lambda: archive(subjects=np.uint64(3)),
    "empty file": lambda: b"",
    "text": lambda: b"no archive",
    "cut": lambda: FACES.to_bytes()[:-40],
    "missing": lambda: FACES.to_bytes().replace(b"trained", b"drained"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_archives_are_one_error(name: str, tmp_path: Path) -> None:
    (tmp_path / TRAIN_FACES).write_bytes(HOSTILE[name]())
    with pytest.raises(MienError, match=r"is not a file of training faces \(\w+\). Copy the bundle again"):
        read(tmp_path)


def test_none_takes_time_or_memory(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in HOSTILE]
    for folder in folders:
        folder.mkdir()
        (folder / TRAIN_FACES).write_bytes(HOSTILE[folder.name]())
    found = run_bounded(read, folders, seconds=5, megabytes=50)
    assert found.failures == [] and found.refused == len(HOSTILE)
