"""ParFace-Net and its blocks give the numbers of the released implementation, from its names and shapes.

A case holds outputs for weights that anyone can draw again (fill.py); see its docstring for the rules.
"""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from mien import create_model
from mien.nn.heatmaps import blurred
from mien.systems.parface.network import Encoded
from mien.systems.parface.official_names import load_official, network_from_official, to_official

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from case import Case  # noqa: E402

pytestmark = pytest.mark.usefixtures("device")

SIDE = 256  # of the published crop, pixels


def build(case, *parts, **options):
    net = create_model("parface_3d", legacy=True, **options).eval()
    load_official(net, case.weights(), parts=parts)
    return net


def keep(outputs, module, name):
    module.register_forward_hook(lambda _, __, out: outputs.__setitem__(name, out.clone()))


@torch.no_grad()
def test_encoder():
    case = Case("parface", "encoder")
    net, image = build(case, "encoder").encoder, case.input("image")
    maps = net.maps(net.stem(image))
    for i in range(5):
        case.check(f"layer{i}", maps[i + 1])
    case.check("z", net(image))
    net.train()
    case.check("z_train", net(image))
    case.check("running_mean_after", net.stem_norm.running_mean)
    case.check("running_var_after", net.stages[4][1].norm2.running_var)


@torch.no_grad()
def test_decoder():
    case = Case("parface", "decoder")
    net, latent = build(case, "decoder").decoder, case.input("z")
    picture, features = net(latent)
    for i in range(6):
        case.check(f"x{i}", features[i])
    case.check("picture", picture)
    case.check("picture_train", net.train()(latent).picture)


@torch.no_grad()
def test_discriminators():
    case = Case("parface", "discriminators")
    net, image, outputs = build(case, "discriminator", "latent_discriminator"), case.input("image"), {}
    for place, name in ((0, "conv1"), (3, "bn2"), (12, "bn5"), (14, "logits")):
        keep(outputs, net.discriminator.layers[place], name)
    case.check("d", net.discriminator(image))
    for name, got in outputs.items():
        case.check(name, got)
    case.check("d_z", net.latent_discriminator(case.input("z")))
    net.train()
    case.check("d_train", torch.stack([net.discriminator(x) for x in (image, image.flip(3), -image)]))
    case.check("running_var_after", net.discriminator.layers[12].running_var)


@torch.no_grad()
def test_relu_variant():
    case = Case("parface", "relu_variant")
    net, image = build(case, "encoder", "decoder", activation="relu"), case.input("image")
    case.check("z", net.encode(image))
    case.check("picture", net.reconstruct(image))
    other = build(case, "encoder", "decoder", activation="leaky_relu")
    with pytest.raises(AssertionError):
        case.check("z", other.encode(image))


@torch.no_grad()
@pytest.mark.parametrize("lean", [False, True])
def test_landmark_head(lean):
    case = Case("parface", "landmark_head")
    net, outputs = build(case, "decoder", "landmark_head"), {}
    net = net.for_inference() if lean else net
    for i, transfer in enumerate(net.landmark_head.transfers, 1):
        keep(outputs, transfer, f"t{i}")
    case.check("heatmaps", net.heatmaps(Encoded(case.input("z"), [])))
    for name, got in outputs.items():
        case.check(name, got)


@torch.no_grad()
@pytest.mark.parametrize("lean", [False, True])
def test_landmark_head_3d(lean):
    case = Case("parface", "landmark_head_3d")
    net = build(case, "depth_head")
    net, maps, latent = net.for_inference() if lean else net, case.input("heatmaps"), case.input("z")
    head = net.depth_head
    if not lean:
        case.check("conv1", head.stem_map(maps, latent))
    stages = head.maps(head.act(head.stem_norm(head.stem_map(maps, latent))))
    case.check("layer1", stages[2])
    case.check("layer4", stages[5])
    case.check("depth", net.depths(maps, latent))


@torch.no_grad()
@pytest.mark.parametrize("lean", [False, True])
def test_fabrec(lean):
    case = Case("parface", "fabrec")
    net, image = network_from_official(case.weights()), case.input("image")
    assert net.config.legacy and net.config.activation == "leaky_relu" and net.config.heads == ("landmarks", "depth")
    if not lean:
        case.check("reconstruction", net.reconstruct(image))
    net = net.for_inference() if lean else net
    outputs = net.encode_with_maps(image)
    maps = net.heatmaps(outputs)
    case.check("z", outputs.latent)
    case.check("heatmaps", maps)
    case.check("heatmaps_blurred", blurred(maps))
    flat = net.points(maps, blur=True) * SIDE - 0.5
    compare_points(case, "landmarks_2d", flat, case.want["margin_2d"])
    spatial = torch.cat([net(image)["landmarks"] * SIDE - 0.5, SIDE * net.depths(maps, outputs.latent)[..., None]], -1)
    compare_points(case, "landmarks_3d", spatial, case.want["margin_3d"])
    assert net(image)["depth"].mean(1).abs().max() < 1e-5


def compare_points(case, name, got, margin):
    """Whole pixels must be equal where the maximum is clear (the case names the margin), depths within tolerance."""
    want = case.want[name].reshape(got.shape)
    clear = margin.reshape(got.shape[:2]) > 1e-5
    assert clear.mean() > 0.95
    assert np.array_equal(got[..., :2].round().cpu().numpy()[clear], want[..., :2][clear])
    assert (got[..., :2] - got[..., :2].round()).abs().max() < 1e-4
    if got.shape[-1] == 3:
        limit = case.meta["tolerance"] * abs(want).max()
        assert abs(got[..., 2].cpu().numpy() - want[..., 2]).max() <= limit


@pytest.mark.parametrize("name", ["fabrec", "relu_variant"])
def test_there_and_back(name):
    case = Case("parface", name)
    theirs, keys = case.weights(), json.loads((case.folder / "keys.json").read_text())["keys"]
    net = network_from_official(theirs, activation=None if name == "fabrec" else "relu")
    back = to_official(net)
    assert list(back) == list(keys) and len(back) == {"fabrec": 440, "relu_variant": 251}[name]
    for key, value in theirs.items():
        assert torch.equal(back[key], value) and back[key].dtype == value.dtype, key
