"""Released files of ParFace-Net and 3FabRec: what they tell, what must be stated, and nothing loaded in part."""

import os
import pickle

import pytest
import torch

import mien
from mien.__main__ import main
from mien.core.errors import MienError
from mien.nn.weights import read_checkpoint
from mien.systems.parface.official_names import (
    SELF_SUPERVISED,
    converted,
    describe,
    load_official,
    network_from_official,
    to_checkpoint,
    to_official,
)


@pytest.fixture(scope="module")
def whole():
    torch.manual_seed(0)
    return to_checkpoint(mien.create_model("parface_3d").eval())


@pytest.fixture
def self_supervised(whole):
    state = {k: v for k, v in whole["state_dict"].items() if not k.startswith("LMH")}
    return whole | {"arch": "SAAE", "state_dict": state}


def without(checkpoint, *names):
    return checkpoint | {"state_dict": {k: v for k, v in checkpoint["state_dict"].items() if k not in names}}


def test_a_file_tells_its_network(whole):
    assert describe(whole) == {
        "size": 256, "latent": 99, "heads": ("landmarks", "depth"), "discriminators": ("latent", "picture"),
        "points": 68, "activation": "leaky_relu",
    }  # fmt: skip


@pytest.mark.parametrize("size", [128, 512])
def test_other_sizes_are_recognised_and_come_back(size):
    net = mien.create_model("parface_3d", size=size, points=98)
    found = describe(to_checkpoint(net))
    assert (found["size"], found["points"]) == (size, 98)
    back = network_from_official(to_checkpoint(net))
    assert back.config.size == size and back.outputs["landmarks"].scheme == "98"
    own = net.state_dict()
    assert all(torch.equal(value, own[name]) for name, value in back.state_dict().items())


def test_the_activation_must_be_stated_where_the_file_cannot_tell(whole, self_supervised):
    with pytest.raises(MienError, match="--activation relu for 3FabRec"):
        network_from_official(self_supervised)
    assert network_from_official(self_supervised, activation="relu").config.activation == "relu"
    with pytest.raises(MienError, match="only ParFace has"):
        network_from_official(whole, activation="relu")
    with pytest.raises(MienError, match="Did you mean 'leaky_relu'"):
        network_from_official(self_supervised, activation="leakyrelu")


def test_nothing_is_loaded_in_part(whole):
    with pytest.raises(MienError, match=r"1 missing.*missing: decoder\.stages\.2\.norm1\.weight"):
        network_from_official(without(whole, "P.layer3.0.bn1.weight"))
    more = whole | {"state_dict": whole["state_dict"] | {"P.layer9.weight": torch.zeros(3)}}
    with pytest.raises(MienError, match=r"unexpected: P\.layer9\.weight"):
        network_from_official(more)
    other = whole | {"state_dict": whole["state_dict"] | {"Q.bn1.weight": torch.zeros(3)}}
    with pytest.raises(MienError, match=r"of another shape: encoder\.stem_norm\.weight \(3,\) for \(64,\)"):
        network_from_official(other)
    with pytest.raises(MienError, match="states z_dim 50"):
        network_from_official(whole | {"z_dim": 50})
    with pytest.raises(MienError, match="Not a released ParFace"):
        network_from_official({"VIT.cls_token": torch.zeros(1)})


def test_heads_and_discriminators_can_be_left_out_knowingly(whole):
    net, report = converted(whole, heads=("landmarks",), discriminators=())
    assert list(net.parts()) == ["encoder", "decoder", "landmark_head"]
    assert len(report.dropped) == 152 + 6 + 26 and not report.missing and not report.unexpected


def test_a_landmark_network_begins_from_a_self_supervised_file(self_supervised):
    net = mien.create_model("parface_3d")
    report = load_official(net, self_supervised, parts=SELF_SUPERVISED)
    assert len(report.matched) == 283
    assert torch.equal(net.encoder.stem_conv.weight, self_supervised["state_dict"]["Q.conv1.weight"])
    with pytest.raises(MienError, match="missing"):
        load_official(net, self_supervised)
    with pytest.raises(MienError, match="missing"):
        load_official(net, self_supervised, parts=("landmark_head",))
    with pytest.raises(MienError, match="no part 'Q'"):
        load_official(net, self_supervised, parts=("Q",))


def test_only_the_released_arrangement_is_written():
    for options in ({"lateral": True}, {"width": 0.5}, {"head_layers": 2}):
        with pytest.raises(MienError, match="no such network"):
            to_official(mien.create_model("parface", **options))
    extra = mien.create_model("parface", uncertainty=True, visibility=True)
    assert not any("calib" in name or "visib" in name for name in to_official(extra))


def run(capsys, *arguments):
    code = main([str(argument) for argument in arguments])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def test_a_released_file_becomes_a_bundle(whole, self_supervised, tmp_path, capsys):
    torch.save(whole, tmp_path / "saae.mdl")
    convert = ("weights", "convert", tmp_path / "saae.mdl", "--output", tmp_path / "bundle")
    code, _, errors = run(capsys, *convert)
    assert code == 2 and "add --system parface" in errors
    code, out, errors = run(capsys, *convert, "--system", "parface")
    assert (code, errors) == (0, "")
    assert "440 matched, 0 missing, 0 unexpected" in out and "leaky_relu, autoencoder, landmarks, depth" in out
    net = mien.load(tmp_path / "bundle")
    assert net.config.legacy and torch.equal(net.decoder.linear.weight, whole["state_dict"]["P.fc.weight"])
    torch.save(self_supervised, tmp_path / "saae.mdl")
    code, _, errors = run(capsys, *convert, "--system", "parface")
    assert code == 2 and errors.count("\n") == 1 and "--activation leaky_relu for ParFace" in errors
    code, out, errors = run(capsys, *convert, "--system", "parface", "--activation", "relu")
    assert code == 0 and "no landmark head" in out and "picture" in out
    assert list(mien.load(tmp_path / "bundle").info.outputs_of("picture")) == ["picture"]
    code, _, errors = run(capsys, *convert, "--system", "parface", "--labels", "rafdb")
    assert code == 2 and "without --labels" in errors


class Hostile:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_a_hostile_file_executes_nothing(tmp_path, capsys):
    trap = tmp_path / "trap"
    torch.save({"arch": Hostile(trap), "state_dict": {"Q.fc.weight": torch.zeros(1)}}, tmp_path / "a.mdl")
    (tmp_path / "b.mdl").write_bytes(pickle.dumps(Hostile(trap)))
    for name in ("a.mdl", "b.mdl"):
        arguments = ("weights", "convert", tmp_path / name, "--system", "parface", "--output", tmp_path / "out")
        assert run(capsys, *arguments)[0] == 2
    assert not trap.exists() and not (tmp_path / "out").exists()
    assert set(read_checkpoint(tmp_path / "a.mdl")) == {"arch", "state_dict"} and not trap.exists()
