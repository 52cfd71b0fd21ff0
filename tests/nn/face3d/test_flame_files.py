"""FLAME's own file formats are read without executing anything; what does not fit is one clear line."""

import os
import pickle
import struct
import sys
from types import ModuleType

import numpy as np
import pytest

from mien.core.errors import MienError
from mien.nn.face3d.flame_files import FlameFiles, read_flame, read_landmarks
from mien.nn.files.array_pickles import read_arrays

scipy_sparse = pytest.importorskip("scipy.sparse")
VERTICES, TRIANGLES = 40, 60


@pytest.fixture
def arrays():
    """The arrays of a small model in FLAME's arrangement."""
    rng = np.random.default_rng(0)
    weights = rng.random((VERTICES, 5))
    regressor = rng.random((5, VERTICES)) * (rng.random((5, VERTICES)) < 0.2)
    return {
        "f": rng.integers(VERTICES, size=(TRIANGLES, 3)).astype(np.uint32),
        "v_template": rng.normal(size=(VERTICES, 3)), "shapedirs": rng.normal(size=(VERTICES, 3, 400)),
        "posedirs": rng.normal(size=(VERTICES, 3, 36)), "J_regressor": regressor,
        "kintree_table": np.array([[4294967295, 0, 1, 1, 1], [0, 1, 2, 3, 4]], np.int64),
        "weights": weights / weights.sum(1, keepdims=True),
    }  # fmt: skip


@pytest.fixture
def chumpy(monkeypatch):
    """A class of the name that FLAME 2020 was pickled with; gone again when the file is read."""
    module = ModuleType("chumpy.ch")

    class Ch:
        def __init__(self, x):
            self.x, self.dterms = x, ()

        def __setstate__(self, state):
            raise AssertionError("unpickled")

    Ch.__module__, Ch.__qualname__ = "chumpy.ch", "Ch"
    module.Ch = Ch
    monkeypatch.setitem(sys.modules, "chumpy", ModuleType("chumpy"))
    monkeypatch.setitem(sys.modules, "chumpy.ch", module)
    return Ch


def _same(face, arrays):
    assert np.allclose(face.template, arrays["v_template"], atol=1e-6)
    assert np.allclose(np.concatenate([face.shapes, face.expressions], 2), arrays["shapedirs"], atol=1e-6)
    assert (face.shape_count, face.expression_count, face.parents) == (300, 100, (-1, 0, 1, 1, 1))
    assert np.allclose(face.joint_regressor, arrays["J_regressor"], atol=1e-6)
    bend = face.pose_directions.reshape(36, VERTICES, 3)[7]
    assert np.allclose(bend, arrays["posedirs"][:, :, 7], atol=1e-6)


@pytest.mark.parametrize("protocol", [2, 4])
def test_a_pickle_with_foreign_objects_gives_its_arrays(arrays, chumpy, tmp_path, protocol):
    held = arrays | {
        "shapedirs": chumpy(arrays["shapedirs"]), "J_regressor": scipy_sparse.csc_matrix(arrays["J_regressor"]),
        "posedirs": np.asfortranarray(arrays["posedirs"]), "bs_style": "lbs",
    }  # fmt: skip
    path = tmp_path / "generic_model.pkl"
    path.write_bytes(pickle.dumps(held, protocol=protocol))
    _same(read_flame(FlameFiles(path), name="flame", licence="theirs"), arrays)


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_the_same_arrays_in_plain_files(arrays, tmp_path, suffix):
    path = tmp_path / f"flame{suffix}"
    if suffix == ".npz":
        np.savez(path, **arrays)
    else:
        numpy_files = pytest.importorskip("safetensors.numpy")
        numpy_files.save_file({name: np.ascontiguousarray(value) for name, value in arrays.items()}, path)
    _same(read_flame(FlameFiles(path), name="flame", licence="theirs"), arrays)


def test_bytes_that_python_2_wrote_as_text_are_numbers_again(tmp_path):
    """1.0 and 2.0 are no UTF-8; 0.0 is, and comes out of the reader as text."""
    for values in ([1.0, 2.0], [0.0, 0.0]):
        raw = struct.pack("<2d", *values)
        kind = b"cnumpy\ndtype\nU\x02f8K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        made = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        state = b"(K\x01K\x02\x85" + kind + b"\x89U" + bytes([len(raw)]) + raw + b"tb"
        (tmp_path / "old.pkl").write_bytes(b"\x80\x02}U\x01x" + made + state + b"s.")
        assert read_arrays(tmp_path / "old.pkl")["x"].tolist() == values


def test_nothing_in_a_file_is_executed(tmp_path):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "executed"),)

    path = tmp_path / "evil.pkl"
    path.write_bytes(pickle.dumps({"v_template": Evil(), "f": np.zeros(3)}))
    with pytest.raises(MienError, match=r"no 'shapedirs', so it is no FLAME model\. It has f, v_template"):
        read_flame(FlameFiles(path), name="flame", licence="")
    assert not (tmp_path / "executed").exists()


def _embedding(full=True):
    rng = np.random.default_rng(1)

    def points(*shape):
        weights = rng.random((*shape, 3))
        return rng.integers(TRIANGLES, size=shape), weights / weights.sum(-1, keepdims=True)

    held = {}
    for name, shape in (("static", (51,)), ("dynamic", (79, 17)), *([("full", (1, 68))] if full else [])):
        index, weights = points(*shape)
        held |= {f"{name}_lmk_faces_idx": index, f"{name}_lmk_bary_coords": weights}
    return held


def test_an_embedding_gives_68_points_fixed_or_as_seen_from_the_front(tmp_path):
    path = tmp_path / "landmark_embedding.npy"
    for full in (True, False):
        held = _embedding(full)
        np.save(path, held, allow_pickle=True)
        index, weights = read_landmarks(path, triangles=TRIANGLES)
        assert weights.sum(1) == pytest.approx(1) and index.shape == (68,)
        assert np.array_equal(index[17:], held["full_lmk_faces_idx"][0, 17:] if full else held["static_lmk_faces_idx"])
        assert full or np.array_equal(index[:17], held["dynamic_lmk_faces_idx"][0])
    with pytest.raises(MienError, match="and the face has 3: it belongs to another mesh"):
        read_landmarks(path, triangles=3)


def test_eyelids_and_masks_fit_the_mesh(arrays, tmp_path):
    paths = {name: tmp_path / name for name in ("m.npz", "l.npy", "r.npy", "masks.pkl")}
    np.savez(paths["m.npz"], **arrays)
    np.save(paths["l.npy"], np.ones((1, VERTICES, 3)))
    np.save(paths["r.npy"], np.ones((1, VERTICES + 1, 3)))
    paths["masks.pkl"].write_bytes(pickle.dumps({"face": np.arange(30), "neck": np.arange(2)}, protocol=2))
    face = read_flame(
        FlameFiles(paths["m.npz"], masks=paths["masks.pkl"], left_lid=paths["l.npy"]), name="f", licence=""
    )
    assert 0 < len(face.render_triangles) < TRIANGLES and face.render_triangles.max() < 30
    with pytest.raises(MienError, match=r"an eyelid of \[1, 41, 3\]; the face has 40 vertices"):
        read_flame(FlameFiles(paths["m.npz"], right_lid=paths["r.npy"]), name="f", licence="")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kintree_table": np.zeros((2, 24), np.int64)}, "24 joints where FLAME has 5"),
        ({"shapedirs": np.zeros((VERTICES, 3, 10))}, "10 shape directions where FLAME 2019 to 2023 have 300"),
        ({"weights": np.zeros((VERTICES + 1, 5))}, r"weights is \[41, 5\]; 40 vertices ask for \[40, 5\]"),
        ({"f": np.full((4, 3), VERTICES)}, "a triangle names a vertex beyond the 40"),
        ({"v_template": np.full((VERTICES, 3), np.nan)}, "v_template is no array of finite numbers"),
    ],
)
def test_another_version_or_topology_is_named(arrays, tmp_path, change, message):
    np.savez(tmp_path / "m.npz", **(arrays | change))
    with pytest.raises(MienError, match=message):
        read_flame(FlameFiles(tmp_path / "m.npz"), name="f", licence="")


@pytest.mark.parametrize("content", [b"", b"\x80\x02", b"no pickle", b"\x93NUMPY\x01\x00", b"\x80\x02]q\x00."])
def test_damaged_files_are_one_line(tmp_path, content):
    (tmp_path / "m.pkl").write_bytes(content)
    with pytest.raises(MienError, match=r"m\.pkl") as raised:
        read_flame(FlameFiles(tmp_path / "m.pkl"), name="f", licence="")
    assert "\n" not in str(raised.value)


def test_mediapipes_points_are_not_the_68(tmp_path):
    np.savez(tmp_path / "mp.npz", lmk_face_idx=np.zeros(105, int), lmk_b_coords=np.zeros((105, 3)))
    with pytest.raises(MienError, match="embeds MediaPipe's points; the 68 landmarks are needed"):
        read_landmarks(tmp_path / "mp.npz", triangles=9)
