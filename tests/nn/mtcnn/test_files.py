"""MTCNN's two released layouts give the same networks; what does not fit is one clear line."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from mien.core.errors import MienError  # noqa: E402
from mien.nn.mtcnn.cascade import CascadeOptions  # noqa: E402
from mien.nn.mtcnn.files import files_in, mtcnn_of  # noqa: E402

F = torch.nn.functional
# (layer, shape of its weight), in the order of facenet-pytorch's files; its name, pSp's name.
LAYERS = {
    "pnet": [
        ("conv1", (10, 3, 3, 3)), ("prelu1", (10,)), ("conv2", (16, 10, 3, 3)), ("prelu2", (16,)),
        ("conv3", (32, 16, 3, 3)), ("prelu3", (32,)), ("conv4_1", (2, 32, 1, 1)), ("conv4_2", (4, 32, 1, 1)),
    ],
    "rnet": [
        ("conv1", (28, 3, 3, 3)), ("prelu1", (28,)), ("conv2", (48, 28, 3, 3)), ("prelu2", (48,)),
        ("conv3", (64, 48, 2, 2)), ("prelu3", (64,)), ("dense4", (128, 576)), ("prelu4", (128,)),
        ("dense5_1", (2, 128)), ("dense5_2", (4, 128)),
    ],
    "onet": [
        ("conv1", (32, 3, 3, 3)), ("prelu1", (32,)), ("conv2", (64, 32, 3, 3)), ("prelu2", (64,)),
        ("conv3", (64, 64, 3, 3)), ("prelu3", (64,)), ("conv4", (128, 64, 2, 2)), ("prelu4", (128,)),
        ("dense5", (256, 1152)), ("prelu5", (256,)), ("dense6_1", (2, 256)), ("dense6_2", (4, 256)),
        ("dense6_3", (10, 256)),
    ],
}  # fmt: skip
HEADS = {"pnet": ("conv4_1", "conv4_2"), "rnet": ("dense5",), "onet": ("dense6",)}  # in pSp's files outside of features


def facenet_weights(name: str) -> dict[str, torch.Tensor]:
    rng = np.random.default_rng(len(name) + ord(name[0]))
    found = {}
    for layer, shape in LAYERS[name]:
        spread = 1 / np.sqrt(np.prod(shape[1:])) if len(shape) > 1 else 0.2
        found[f"{layer}.weight"] = torch.from_numpy((rng.standard_normal(shape) * spread).astype(np.float32))
        if len(shape) > 1:
            found[f"{layer}.bias"] = torch.from_numpy((rng.standard_normal(shape[0]) * 0.1).astype(np.float32))
    return found


def psp_arrays(name: str) -> dict[str, np.ndarray]:
    """The same network in pSp's layout: its rows of the linear layer are channels, width, height."""
    found = {}
    for key, value in facenet_weights(name).items():
        array = value.numpy()
        if key in ("dense4.weight", "dense5.weight"):
            array = array.reshape(len(array), 3, 3, -1).transpose(0, 3, 1, 2).reshape(len(array), -1)
        theirs = key.replace("dense", "conv")
        found[theirs if key.startswith(HEADS[name]) and "_" in key else f"features.{theirs}"] = array
    return found


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    psp, facenet = (tmp_path_factory.mktemp(name) for name in ("psp", "facenet"))
    for name in LAYERS:
        np.save(psp / f"{name}.npy", psp_arrays(name), allow_pickle=True)  # type: ignore[arg-type]
        torch.save(facenet_weights(name), facenet / f"{name}.pt")
    return {"psp": psp, "facenet": facenet}


def test_both_layouts_are_the_same_networks(folders: dict[str, Path]) -> None:
    psp, facenet = (mtcnn_of(files_in(folder)) for folder in folders.values())
    for (name, one), other in zip(psp.state_dict().items(), facenet.state_dict().values(), strict=True):
        assert torch.equal(one, other), name


def test_rnet_flattens_as_facenet_pytorch_does(folders: dict[str, Path]) -> None:
    """Its forward pass, written out: the map goes into the linear layer as width, height, channels."""
    w = facenet_weights("rnet")
    network = mtcnn_of(files_in(folders["psp"])).rnet
    x = given = torch.randn(2, 3, 24, 24, generator=torch.Generator().manual_seed(0))
    for number, pooling in ((1, True), (2, True), (3, False)):
        x = F.prelu(F.conv2d(x, w[f"conv{number}.weight"], w[f"conv{number}.bias"]), w[f"prelu{number}.weight"])
        x = F.max_pool2d(x, 3, 2, ceil_mode=True) if pooling else x
    x = F.prelu(F.linear(x.permute(0, 3, 2, 1).flatten(1), w["dense4.weight"], w["dense4.bias"]), w["prelu4.weight"])
    scores, offsets = network(given)
    wanted = F.linear(x, w["dense5_1.weight"], w["dense5_1.bias"]).softmax(1)[:, 1]
    assert torch.allclose(scores, wanted, atol=1e-6)
    assert torch.allclose(offsets, F.linear(x, w["dense5_2.weight"], w["dense5_2.bias"]), atol=1e-6)


def test_onet_gives_x_of_all_points_and_then_y(folders: dict[str, Path]) -> None:
    network = mtcnn_of(files_in(folders["facenet"])).onet
    found = network(torch.zeros(1, 3, 48, 48))[2][0]
    row = network.points(network.act(network.linear(network.trunk(torch.zeros(1, 3, 48, 48)).flatten(1))))[0]
    assert torch.equal(found[:, 0], row[:5]) and torch.equal(found[:, 1], row[5:])


def test_legacy_is_in_pnet_alone(folders: dict[str, Path]) -> None:
    network = mtcnn_of(files_in(folders["psp"]), CascadeOptions(legacy=True))
    assert network.pnet.legacy and network.options.legacy


def test_what_does_not_fit_is_named(folders: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(MienError, match=r"No folder .*nowhere, which should hold MTCNN's pnet"):
        files_in(tmp_path / "nowhere")
    with pytest.raises(MienError, match=r"has no pnet\.npy \(pSp's MTCNN\) and no pnet\.pt"):
        files_in(tmp_path)
    files = files_in(folders["psp"])
    with pytest.raises(MienError, match=r"rnet\.npy, MTCNN's P-Net: the weights do not fit"):
        mtcnn_of(files | {"pnet": files["rnet"]})
    for content, message in ((b"\x93NUMPY", "damaged, or no pickled dict"), (b"text", "damaged")):
        (tmp_path / "onet.npy").write_bytes(content)
        with pytest.raises(MienError, match=message):
            mtcnn_of(files | {"onet": tmp_path / "onet.npy"})
    np.save(tmp_path / "onet.npy", np.zeros(3))
    with pytest.raises(MienError, match=r"onet\.npy"):
        mtcnn_of(files | {"onet": tmp_path / "onet.npy"})


def test_a_file_that_would_run_a_program_runs_none(folders: dict[str, Path], tmp_path: Path) -> None:
    class Program:
        def __reduce__(self):
            return Path.touch, (tmp_path / "executed",)

    np.save(tmp_path / "rnet.npy", psp_arrays("rnet") | {"more": Program()}, allow_pickle=True)  # type: ignore[arg-type]
    with pytest.raises(MienError, match=r"rnet\.npy"):
        mtcnn_of(files_in(folders["psp"]) | {"rnet": tmp_path / "rnet.npy"})
    assert not (tmp_path / "executed").exists()
