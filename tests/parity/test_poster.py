"""POSTER V2 and its blocks give the numbers of the released implementation, from its names and shapes.

A case holds outputs for weights that anyone can draw again (fill.py); see its docstring for the rules.
"""

import copy
import json
import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mien.nn.sam import SAM
from mien.systems.poster_v2.official_names import convert, network_from_official, parameter_names, to_official

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from case import Case  # noqa: E402

pytestmark = pytest.mark.usefixtures("device")


@torch.no_grad()
def test_ir50():
    case = Case("poster", "ir50")
    net, image = network_from_official(case.weights()), case.input("image")
    stem = net.stem(image)
    case.check("input_layer", stem)
    case.check("body1_unit0", net.stages[0][0](stem))
    map1, map2, map3 = net(image)
    case.check("body1", map1)
    case.check("body2", map2)
    case.check("body3_unit6", net.stages[2][:7](map2))
    case.check("body3", map3)


@torch.no_grad()
def test_mobilefacenet():
    case = Case("poster", "mobilefacenet")
    net, image = network_from_official(case.weights()), case.input("image")
    case.check("conv1", net.conv1(image))
    case.check("conv_23", net.stages[0][0](net.conv2(net.conv1(image))))
    maps = net(image)
    for name, got in zip(("map1", "map2", "map3"), maps, strict=True):
        case.check(name, got)
    case.check("landmarks", net.landmarks(maps[2]).flatten(1))


@torch.no_grad()
@pytest.mark.parametrize("level", [1, 3])
def test_window_attention(level):
    case = Case("poster", "window_attention")
    prefix = f"level{level}."
    block = network_from_official(
        {k.removeprefix(prefix): v for k, v in case.weights().items() if k.startswith(prefix)}
    )
    query = case.input(f"query{level}")[:, 0].transpose(1, 2).flatten(2)  # heads back into one width
    case.check(f"out{level}", block(case.input(f"tokens{level}"), query))
    case.check(f"index{level}", block.index)


def intermediates(net, image):
    """The 24 tensors of a case under the released names and in the released axis order."""
    outputs = {}

    def keep(module, name, change=lambda x: x):
        module.register_forward_hook(lambda _, __, out: outputs.__setitem__(name, change(out)))

    keep(net.landmark_net, "face_landback")
    keep(net.landmark_reduce, "last_face_conv")
    keep(net.trunk, "ir_back")
    for k, fusion in enumerate(net.fusions, 1):
        keep(fusion.down, f"conv{k}")
        keep(fusion.attention, f"attn{k}")
        keep(fusion, f"ffn{k}", lambda x: x.permute(0, 2, 3, 1))
    keep(net.embeds[0], "embed_q")
    keep(net.embeds[1], "embed_k")
    keep(net.embeds[2], "embed_v", lambda x: x.flatten(2).transpose(1, 2))
    keep(net.vit.gate, "VIT.se_block")
    outputs["logits"] = net(image)["expression"]
    outputs |= {f"{name}.{i}": outputs[name][i] for name in ("face_landback", "ir_back") for i in range(3)}
    # Ours runs the last block and norm for the class token alone: here for all tokens, as the case has them.
    outputs["VIT.blocks.0"] = net.vit.blocks[0](net.vit.embed(net.tokens(image)))
    outputs["VIT.blocks.1"] = net.vit.blocks[1](outputs["VIT.blocks.0"])
    outputs["VIT.norm"] = net.vit.norm(outputs["VIT.blocks.1"])
    return outputs


@torch.no_grad()
@pytest.mark.parametrize("classes", [7, 8])
def test_poster_v2(classes):
    case = Case("poster", f"poster_v2_{classes}")
    net = network_from_official(case.weights())
    assert net.config.num_classes == classes and net.config.legacy
    got = intermediates(net, case.input("image"))
    assert len(case.meta["outputs"]) == 24
    for name in case.meta["outputs"]:
        case.check(name, got[name])


@torch.no_grad()
def test_lean_network_gives_the_released_logits():
    case = Case("poster", "poster_v2_7")
    lean = network_from_official(case.weights()).for_inference()
    case.check("logits", lean(case.input("image").to(memory_format=torch.channels_last))["expression"])


@torch.no_grad()
def test_the_network_we_time_against_is_the_released_one():
    sys.path.insert(0, str(HERE.parents[1] / "benchmarks"))
    published = pytest.importorskip("published_poster_v2").PublishedPosterV2(7).eval()
    case = Case("poster", "poster_v2_7")
    missing = published.load_state_dict(case.weights(), strict=False)
    assert not missing.unexpected_keys and all("index" in key for key in missing.missing_keys)
    case.check("logits", published(case.input("image")))


def test_poster_v2_train_step():
    case = Case("poster", "poster_v2_train_step")
    net = network_from_official(case.weights(), drop_path=0.0).train()
    sam = SAM(torch.optim.Adam([p for p in net.parameters() if p.requires_grad], lr=3.5e-5), rho=0.05)
    image, target = case.input("image"), torch.arange(4) % 7
    loss = F.cross_entropy(net(image)["expression"], target)
    loss.backward()
    case.check("loss_first_pass", loss)
    gradients = {name: p.grad for name, p in net.named_parameters() if p.grad is not None}
    case.check("grad_norm", grad_norms(net, gradients, case.meta["grad_names"]))
    sam.climb()
    sam.zero_grad()
    loss = F.cross_entropy(net(image)["expression"], target)  # BatchNorm moves again, as released
    loss.backward()
    case.check("loss_second_pass", loss)
    sam.step()
    official = to_official(net)
    # IR-50's output layer never runs: its statistics stay as they came, and we do not keep them.
    official |= {k: v for k, v in case.weights().items() if k.startswith("ir_back.output_layer.")}
    case.check("buffers_sum", torch.stack([official[name].sum() for name in case.meta["buffers"]]))


def grad_norms(net, gradients, names):
    """Norms in the released order: the gradients travel through the name table in the weights' place."""
    carrier = copy.deepcopy(net)
    carrier.load_state_dict(net.state_dict() | gradients)
    official = to_official(carrier)
    return torch.stack([official[name].norm() for name in names])


def test_parameters_are_numbered_as_released():
    meta = Case("poster", "poster_v2_train_step").meta
    keys = json.loads((HERE / "poster" / "poster_v2_7" / "keys.json").read_text())["keys"]
    parameters = set(meta["grad_names"]) | set(meta["without_grad"])
    names = parameter_names()
    assert set(names) == parameters
    assert names == [k for k in keys if k in parameters]


@pytest.mark.parametrize("speed", ["published", "fast"])
def test_sam(speed):
    case = Case("poster", "sam")
    net = nn.Sequential(nn.Linear(12, 16, bias=False), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 7))
    net.load_state_dict(case.weights())
    lr = {"published": 3.5e-5, "fast": 1e-2}[speed]
    sam = SAM(torch.optim.Adam(net.parameters(), lr=lr), rho=0.05)
    start = torch.cat([p.detach().flatten() for p in net.parameters()]).clone()
    losses, moved = [], []
    for i in range(5):
        for move in (sam.climb, sam.step):
            sam.zero_grad()
            loss = F.cross_entropy(net(case.input(f"x{i}")), torch.arange(24) % 7)
            loss.backward()
            losses.append(loss.detach())
            move()
        now = torch.cat([p.detach().flatten() for p in net.parameters()])
        moved.append((now - start) / lr)
    case.check(f"losses_{speed}", torch.stack(losses).view(5, 2))
    case.check(f"moved_{speed}", torch.stack(moved))
    case.check(f"statistics_{speed}", torch.cat([net[1].running_mean, net[1].running_var]))
    case.check(f"batches_{speed}", net[1].num_batches_tracked)


@pytest.mark.parametrize("name", ["ir50", "mobilefacenet", "poster_v2_8"])
def test_there_and_back(name):
    case = Case("poster", name)
    theirs, keys = case.weights(), json.loads((case.folder / "keys.json").read_text())
    back, dropped = to_official(network_from_official(theirs)), convert(theirs)[1].dropped
    assert [k for k in back if k not in keys["constants"]] == list(keys["keys"])
    for key, value in theirs.items():
        assert back[key].shape == value.shape and back[key].dtype == value.dtype, key
        assert key in dropped or torch.equal(back[key], value), key
    assert len(dropped) == {"ir50": 12, "mobilefacenet": 0, "poster_v2_8": 24}[name]
    assert all(index in back for index in keys["constants"])
