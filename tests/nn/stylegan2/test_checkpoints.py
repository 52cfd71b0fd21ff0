"""Generators out of released files of every layout; hostile and unfitting files end in one line."""

import io
import pickle
import sys
import types
from collections import OrderedDict

import pytest
import torch

from mien.core.errors import MienError
from mien.nn.stylegan2.checkpoints import generator_of
from mien.nn.stylegan2.generator import Generator
from mien.nn.stylegan2.names import generator_to_official
from mien.nn.stylegan2.ops import fir_kernel
from mien.nn.weights import read_checkpoint


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    net = Generator(size=16, style=8, mapping_layers=2, most_channels=8).eval()
    with torch.no_grad():
        for p in net.parameters():
            p.add_(0.1 * torch.randn_like(p))
        net.latent_avg.normal_()
    return net


def same(a, b):
    z = torch.randn(2, 8, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        torch.testing.assert_close(a(a.codes(z, truncation=0.5)).image, b(b.codes(z, truncation=0.5)).image)


def ada_names(net):
    """Our weights under StyleGAN2-ADA's names and in its shapes, written out by hand."""
    ours, theirs = net.state_dict(), {"mapping.w_avg": net.latent_avg}
    for i in range(2):
        for leaf in ("weight", "bias"):
            theirs[f"mapping.fc{i}.{leaf}"] = ours[f"mapping.layers.{i}.{leaf}"]
    theirs["synthesis.b4.const"] = ours["constant"][0]
    layers = [("first", "b4.conv1"), ("blocks.0.up", "b8.conv0"), ("blocks.0.conv", "b8.conv1"),
              ("blocks.1.up", "b16.conv0"), ("blocks.1.conv", "b16.conv1")]  # fmt: skip
    for place, (our, ada) in enumerate(layers):
        for leaf, name in (("conv.weight", "weight"), ("bias", "bias"), ("conv.affine.weight", "affine.weight"),
                           ("conv.affine.bias", "affine.bias")):  # fmt: skip
            theirs[f"synthesis.{ada}.{name}"] = ours[f"{our}.{leaf}"]
        theirs[f"synthesis.{ada}.noise_strength"] = ours[f"{our}.noise_strength"][0]
        theirs[f"synthesis.{ada}.noise_const"] = ours[f"noise_{place}"][0, 0]
        theirs[f"synthesis.{ada}.resample_filter"] = fir_kernel()
    for our, ada in (("first_rgb", "b4"), ("blocks.0.rgb", "b8"), ("blocks.1.rgb", "b16")):
        for leaf, name in (("conv.weight", "weight"), ("bias", "bias"), ("conv.affine.weight", "affine.weight"),
                           ("conv.affine.bias", "affine.bias")):  # fmt: skip
            theirs[f"synthesis.{ada}.torgb.{name}"] = ours[f"{our}.{leaf}"]
    return theirs


class Persistent:
    """Pickles itself as StyleGAN2-ADA's modules do: a function of their code base, and the source of the class."""

    def __init__(self, tensors):
        parameters, modules = OrderedDict(), OrderedDict()
        inner = {}
        for name, value in tensors.items():
            head, _, rest = name.partition(".")
            if rest:
                inner.setdefault(head, {})[rest] = value
            else:
                parameters[name] = torch.nn.Parameter(value.clone())
        for name, part in inner.items():
            modules[name] = Persistent(part)
        self.state = {"_parameters": parameters, "_buffers": OrderedDict(), "_modules": modules, "training": False,
                      "_backward_hooks": OrderedDict(), "_non_persistent_buffers_set": set()}  # fmt: skip

    def __reduce__(self):
        meta = sys.modules["dnnlib.util"].EasyDict(
            type="class", version=6, class_name="Generator", module_src="raise SystemExit('run')", state=self.state
        )
        return sys.modules["torch_utils.persistence"]._reconstruct_persistent_obj, (meta,)


@pytest.fixture
def ada_modules(monkeypatch):
    persistence, util = types.ModuleType("torch_utils.persistence"), types.ModuleType("dnnlib.util")

    def _reconstruct_persistent_obj(meta):
        raise AssertionError("foreign code ran")

    _reconstruct_persistent_obj.__module__ = "torch_utils.persistence"
    _reconstruct_persistent_obj.__qualname__ = "_reconstruct_persistent_obj"
    persistence._reconstruct_persistent_obj = _reconstruct_persistent_obj
    util.EasyDict = type("EasyDict", (dict,), {"__module__": "dnnlib.util"})
    for name, module in (("torch_utils", types.ModuleType("torch_utils")), ("torch_utils.persistence", persistence),
                         ("dnnlib", types.ModuleType("dnnlib")), ("dnnlib.util", util)):  # fmt: skip
        monkeypatch.setitem(sys.modules, name, module)


def save_ada(path, tensors, **more):
    with path.open("wb") as file:
        pickle.dump({"G_ema": Persistent(tensors), "training_set_kwargs": {"path": "x"}, **more}, file)
    return path


def test_stylegan2_ada(net, tmp_path, ada_modules):
    path = save_ada(tmp_path / "network.pkl", ada_names(net))
    for name in ("torch_utils.persistence", "torch_utils", "dnnlib.util", "dnnlib"):
        sys.modules.pop(name)
    found, lines = generator_of(read_checkpoint(path), where="network.pkl")
    same(found, net)
    assert lines == [
        "network.pkl: StyleGAN2-ADA, 16 pixels: 47 matched, 0 missing, 0 unexpected, 0 of another shape, "
        "0 dropped knowingly"
    ]


def test_pytorch_layouts(net):
    weights = generator_to_official(net)
    for contents in (
        {"g_ema": weights, "latent_avg": net.latent_avg, "args": object()},
        {"state_dict": {f"decoder.{k}": v for k, v in weights.items()} | {"encoder.x": torch.zeros(1)},
         "latent_avg": net.latent_avg.repeat(6, 1), "opts": {}},
        {**weights, "latent_avg": net.latent_avg},
    ):  # fmt: skip
        found, lines = generator_of(contents, where="f.pt")
        same(found, net)
        assert len(lines) == 1
    found, lines = generator_of({"g_ema": weights}, where="f.pt", samples=1000)
    assert lines[1] == "latent_avg is not in the file: estimated from 1,000 random vectors (seed 0)."
    assert torch.equal(found.latent_avg, net.estimate_latent_avg(samples=1000))


def test_files_of_torch_keep_being_read_whatever_they_are_called(tmp_path):
    for zipped in (True, False):
        torch.save({"a": torch.ones(2)}, tmp_path / "weights.pkl", _use_new_zipfile_serialization=zipped)
        assert torch.equal(read_checkpoint(tmp_path / "weights.pkl")["a"], torch.ones(2))


def test_weights_as_long_as_real_ones_are_within_the_limits(tmp_path, ada_modules):
    """A step of the budget pays for 64 bytes: these 80 MB would exceed that of a usual file."""
    path = save_ada(tmp_path / "long.pkl", {"part.weight": torch.full((20_000_000,), 3.0)})
    found = read_checkpoint(path)["G_ema"]["part.weight"]
    assert found.shape == (20_000_000,) and found[-1] == 3


def test_storages_that_share_their_bytes_are_bounded(tmp_path):
    """One storage of 8 MB, rebuilt 200 times from the same bytes: 1.6 GB out of an 8 MB file."""
    stored = io.BytesIO()
    torch.save(torch.zeros(2_000_000).untyped_storage(), stored, _use_new_zipfile_serialization=False)
    body = pickle.dumps(stored.getvalue(), protocol=4)[:-1] + b"\x940"  # remembered as 1, off the stack
    call = b"ctorch.storage\n_load_from_bytes\nh\x01\x85R"
    (tmp_path / "bomb.pkl").write_bytes(body + b"(" + 200 * call + b"t.")
    with pytest.raises(MienError, match="takes more than"):
        read_checkpoint(tmp_path / "bomb.pkl")


class Runs:
    def __reduce__(self):
        return print, ("foreign code ran",)


def test_hostile_and_foreign_pickles(net, tmp_path, ada_modules, capfd):
    path = save_ada(tmp_path / "hostile.pkl", ada_names(net), D=Runs(), more=[Runs()])
    contents = read_checkpoint(path)
    assert list(contents) == ["G_ema"]
    for name, content in (("only.pkl", {"G_ema": Runs()}), ("list.pkl", [1, 2]), ("none.pkl", {})):
        (tmp_path / name).write_bytes(pickle.dumps(content))
        with pytest.raises(MienError) as raised:
            read_checkpoint(tmp_path / name)
        assert "\n" not in str(raised.value) and "StyleGAN2-ADA" in str(raised.value)
    whole = path.read_bytes()
    for cut in (len(whole) // 3, len(whole) - 2):
        (tmp_path / "cut.pkl").write_bytes(whole[:cut])
        with pytest.raises(MienError, match=r"cut.pkl: damaged, or not a StyleGAN2-ADA pickle .*Fetch it again"):
            read_checkpoint(tmp_path / "cut.pkl")
    assert "foreign code ran" not in capfd.readouterr().out


def test_what_ours_cannot_be_is_refused(net):
    theirs = ada_names(net)

    def refused(match, **changes):
        with pytest.raises(MienError, match=match):
            generator_of({"G_ema": theirs | changes}, where="n.pkl")

    refused("class-conditional", **{"mapping.embed.weight": torch.zeros(8, 3)})
    refused("makes 1 channels", **{"synthesis.b4.torgb.weight": torch.zeros(1, 8, 1, 1)})
    refused(r"another filter than \[1, 3, 3, 1\]", **{"synthesis.b8.conv0.resample_filter": torch.ones(4, 4) / 16})
    with pytest.raises(MienError, match=r"16 pixels where one of 256"):
        generator_of({"G_ema": theirs}, where="n.pkl", size=256)
    with pytest.raises(MienError, match="no StyleGAN2 generator in it"):
        generator_of({"state_dict": {"a": torch.zeros(1)}}, where="x.pt")
