"""ParFace-Net as a network: shapes at every size, what the switches change, what moves, and its way into a bundle."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

import mien
from mien import create_model
from mien.core.errors import MienError
from mien.nn.heatmaps import decode, targets
from mien.nn.resnet_ae import PlaneEncoder, ResNetEncoder, load_resnet18, resnet18_names
from mien.systems.bundle import check_state
from mien.systems.parface.network import ParFaceConfig
from mien.systems.registry import config_dict
from shape_checks import unchecked

TINY = {"size": 128, "width": 0.125, "latent": 12}


def scrambled(net):
    """Norms and biases that matter; fresh ones would hide mistakes."""
    with torch.no_grad():
        for name, tensor in net.state_dict().items():
            if name.endswith("running_var"):
                tensor.copy_(0.5 + torch.rand_like(tensor))
            elif tensor.is_floating_point() and "calibration" not in name:
                tensor.add_(0.05 * torch.randn_like(tensor))
    return net


def build(name="parface_3d", *, seed=0, **options):
    torch.manual_seed(seed)
    return scrambled(create_model(name, **(TINY | options)))


def pictures(batch=2, size=128, seed=1):
    return 0.3 * torch.randn(batch, 3, size, size, generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
@pytest.mark.parametrize("size", [128, 256, 512])
@pytest.mark.parametrize("lateral", [False, True])
def test_shapes(size, lateral):
    net = build(size=size, lateral=lateral, uncertainty=True, visibility=True).eval()
    image = pictures(1 if size == 512 else 2, size)
    batch = len(image)
    maps = net.encoder.maps(net.encoder.stem(image))
    assert [m.shape[-1] for m in maps] == list(net.encoder.sides) and maps[-1].shape[-1] == 4
    assert [m.shape[1] for m in maps] == list(net.encoder.widths)
    picture, features = net.decoder(net.encode(image))
    assert picture.shape == image.shape and picture.abs().max() <= 1
    assert [f.shape[-1] for f in features] == [4 << i for i in range(len(features))]
    assert features[-1].shape[-1] == size // 2
    assert net.discriminator(image).shape == (batch,) and net.latent_discriminator(net.encode(image)).shape == (
        batch,
        1,
    )
    assert net.heatmaps(net.encode_with_maps(image)).shape == (batch, 68, 128, 128)
    shapes = {name: tuple(value.shape) for name, value in net(image).items()}
    each = (batch, 68)
    assert shapes == {
        "landmarks": (*each, 2), "sigma": each, "visible": each, "depth": each, "latent": (batch, 12),
    }  # fmt: skip
    assert list(shapes) == list(net.outputs)


@pytest.mark.parametrize(("layers", "side"), [(1, 32), (2, 64), (3, 128)])
def test_fewer_head_layers_give_smaller_maps(layers, side):
    net = build(head_layers=layers, lateral=True).eval()
    assert net.config.maps == net.heatmaps(net.encode_with_maps(pictures())).shape[-1] == side


def test_parts_and_labels_follow_the_heads():
    autoencoder = create_model("parface_autoencoder", **TINY)
    assert list(autoencoder.parts()) == ["encoder", "decoder", "latent_discriminator", "discriminator"]
    assert list(autoencoder.outputs) == list(autoencoder(pictures())) == ["picture", "latent"]
    flat = create_model("parface", **TINY, discriminators=())
    assert list(flat.parts()) == ["encoder", "decoder", "landmark_head"]
    assert flat.outputs["landmarks"].scheme == "68" and list(flat.outputs) == list(flat(pictures())) == [
        "landmarks",
        "latent",
    ]
    with pytest.raises(MienError, match="heads is empty"):
        autoencoder.heatmaps(autoencoder.encode_with_maps(pictures()))
    with pytest.raises(MienError, match="no 'depth'"):
        flat.depths(torch.zeros(1, 68, 128, 128), torch.zeros(1, 12))


def test_the_published_network_has_the_published_size():
    counts = {
        name: sum(p.numel() for p in part.parameters()) for name, part in create_model("parface_3d").parts().items()
    }
    assert counts == {
        "encoder": 11_379_491, "decoder": 10_868_096, "latent_discriminator": 1_102_001, "discriminator": 1_743_744,
        "landmark_head": 880_640, "depth_head": 11_877_892,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 1024}, "size must be 128, 256 or 512; got 1024"),
        ({"heads": ("depth",)}, "heads must be with 'landmarks'"),
        ({"heads": ("landmark",)}, "Did you mean 'landmarks'"),
        ({"discriminators": ("image",)}, "discriminators has no 'image'"),
        ({"activation": "gelu"}, r"activation must be one of 'leaky_relu', 'relu'"),
        ({"size": 128, "head_layers": 4}, r"head_layers must be in 1..3 for size 128"),
        ({"labels": "rafdb"}, "parface gives landmarks, latent and no classes, so it takes no labels"),
        ({"num_classes": 7}, "no option 'num_classes'"),
    ],
)
@unchecked()
def test_mistakes_are_reported(options, message):
    with pytest.raises(MienError, match=message):
        create_model("parface", **options)


@torch.no_grad()
@pytest.mark.parametrize("side", [32, 64, 128, 36])
@pytest.mark.parametrize("latent", [1, 20])
def test_constant_planes_are_never_built_and_nothing_changes(side, latent):
    torch.manual_seed(0)
    net = scrambled(PlaneEncoder(maps=5, latent=latent, side=side, outputs=3, widths=(8, 8, 16, 16))).eval()
    maps, z = torch.randn(2, 5, side, side), torch.randn(2, latent)
    planes = torch.cat([maps, z[:, :, None, None].expand(-1, -1, side, side)], 1)
    naive, ours = net.stem_conv(planes), net.stem_map(maps, z)
    assert (naive - ours).abs().max() <= 1e-5 * naive.abs().max()
    stem = net.act(net.stem_norm(naive))
    assert torch.allclose(net.latent(net.maps(stem)[-1]), net(maps, z), rtol=1e-4, atol=1e-4)
    net.freeze_sums()
    assert torch.equal(net.stem_map(maps, z), ours)


def test_constant_planes_have_the_same_gradients():
    torch.manual_seed(0)
    net = PlaneEncoder(maps=4, latent=6, side=32, outputs=3, widths=(8, 8, 16, 16)).double()
    maps, z = torch.randn(2, 4, 32, 32).double(), torch.randn(2, 6).double().requires_grad_()
    planes = torch.cat([maps, z[:, :, None, None].expand(-1, -1, 32, 32)], 1)
    both = []
    for out in (net.stem_conv(planes), net.stem_map(maps, z)):
        both.append(torch.autograd.grad(out.square().sum(), (net.stem_conv.weight, z)))
    for naive, ours in zip(*both, strict=True):
        assert torch.allclose(naive, ours, rtol=1e-9)


@torch.no_grad()
def test_the_constant_planes_are_never_built():
    """No tensor on the way has the channels of maps and latent together; the way with planes has one."""
    net = PlaneEncoder(maps=68, latent=99, side=128, outputs=68).eval()
    maps, z = torch.randn(2, 68, 128, 128), torch.randn(2, 99)

    class Widest(TorchDispatchMode):
        channels = 0

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            result = func(*args, **(kwargs or {}))
            if isinstance(result, Tensor) and result.ndim == 4 and result.shape[-1] >= 64:
                self.channels = max(self.channels, result.shape[1])
            return result

    with Widest() as ours:
        net(maps, z)
    with Widest() as published:
        torch.cat([maps, z[:, :, None, None].expand(-1, -1, 128, 128)], 1)
    assert 0 < ours.channels <= 68 < published.channels == 167


@torch.no_grad()
def test_without_the_latent_vector_depth_comes_from_the_maps_alone():
    maps, z = torch.rand(2, 68, 128, 128), torch.randn(2, 2, 12)
    for depth_latent in (True, False):
        net = build(depth_latent=depth_latent, depth_width=0.25).eval()
        first, second = (net.depths(maps, latent) for latent in z)
        assert torch.equal(first, second) != depth_latent
        assert net.depth_head.stem_conv.in_channels == 68 + 12 * depth_latent
        assert net.depth_head.stem_conv.out_channels == 16


@torch.no_grad()
@pytest.mark.parametrize(
    "options",
    [{}, {"lateral": True, "legacy": True}, {"activation": "relu", "head_layers": 2}, {"depth_latent": False}],
)
def test_lean_network_gives_the_same(options):
    net, image = build(uncertainty=True, visibility=True, **options).eval().double(), pictures().double()
    lean = net.for_inference()
    assert lean.discriminator is None and len(lean.decoder.stages) == net.config.head_layers + 1
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in lean.modules())
    want, got = net(image), lean(image)
    assert want.keys() == got.keys()
    for name, value in want.items():
        assert torch.allclose(value, got[name], rtol=1e-9, atol=1e-9), name


@torch.no_grad()
def test_lean_autoencoder_still_reconstructs():
    net, image = build("parface_autoencoder").eval(), pictures()
    assert torch.allclose(net(image)["picture"], net.for_inference()(image)["picture"], atol=1e-4)


@torch.no_grad()
def test_points_lie_where_the_maps_say():
    net = build().eval()
    where = torch.rand(3, 68, 2, generator=torch.Generator().manual_seed(3)) * 0.8 + 0.1
    maps = targets(where * 128 - 0.5, size=128, sigma=7.0)
    assert (net.points(maps) - where).abs().max() < 1e-3
    legacy = build(legacy=True).eval()
    whole = decode(maps, legacy=True, blur=False)
    assert torch.allclose(legacy.points(maps, blur=False) * 256 - 0.5, 2 * whole)  # crop pixels of the published code


@torch.no_grad()
def test_sigma_grows_with_the_map_and_follows_its_calibration():
    net = build(uncertainty=True).eval()
    where = torch.full((1, 68, 2), 0.5)
    narrow, broad = (targets(where * 128 - 0.5, size=128, sigma=s) for s in (5.0, 10.0))
    small, large = net.sigma(narrow, where), net.sigma(broad, where)
    assert torch.allclose(large / small, torch.tensor(2.0), rtol=0.05)
    net.calibration[:, 1] -= 1
    assert torch.allclose(net.sigma(narrow, where), small / np.e)
    net.calibration[:, 0] = 0
    assert torch.allclose(net.sigma(narrow, where), torch.exp(torch.tensor(-1.0)))


@torch.no_grad()
def test_laterals_start_as_the_paper_and_reach_the_maps():
    torch.manual_seed(0)
    net = create_model("parface", **TINY, lateral=True).eval()
    code = net.encode_with_maps(pictures())
    assert [m.shape[-1] for m in code.maps] == [8, 16, 32, 64]
    before = net.heatmaps(code)
    after_x1 = list(net.decoder.stages)[1:]
    assert torch.equal(before, net.landmark_head(net.decoder.features(code.latent, count=2)[1], after_x1))
    for lateral in net.landmark_head.laterals:
        lateral.weight += 0.1
        after = net.heatmaps(code)
        assert not torch.allclose(before, after)
        before = after


def test_every_part_gets_a_gradient():
    net = build(lateral=True, visibility=True).train()
    image = pictures(4)
    code = net.encode_with_maps(image)
    maps = net.heatmaps(code)
    loss = maps.square().mean() + net.depths(maps, code.latent).square().mean()
    loss = loss + net.visibility_head(code.latent).square().mean() + net.decoder(code.latent).picture.square().mean()
    loss = loss + net.discriminator(image).mean() + net.latent_discriminator(code.latent).mean()
    loss.backward()
    assert [n for n, p in net.named_parameters() if p.grad is None or not p.grad.any()] == []


def moved(net, change):
    before = {k: v.clone() for k, v in net.state_dict().items()}
    change()
    return {k.split(".")[0] for k, v in net.state_dict().items() if not torch.equal(v, before[k])}


def test_what_is_not_trained_does_not_move():
    net, image = build().train(), pictures(4)
    net.train_only(("encoder", "discriminator"))
    assert net.encoder.training and not net.decoder.training and not net.train().decoder.training

    def step():
        optimizer = torch.optim.SGD([p for p in net.parameters() if p.requires_grad], lr=0.1)
        picture = net.decoder(net.encode(image)).picture
        (picture.square().mean() + net.discriminator(image).mean()).backward()
        optimizer.step()

    assert moved(net, step) == {"encoder", "discriminator"}
    with torch.no_grad():  # as released: the decoder is not stepped, its statistics drift
        net.train_only(("encoder",), in_train_mode=("encoder", "decoder"))
        assert moved(net, lambda: net.reconstruct(image)) == {"encoder", "decoder"}
        net.train_only(("landmark_head",), in_train_mode=())
        assert moved(net, lambda: net.train()(image)) == set()
    with pytest.raises(MienError, match="Did you mean 'encoder'"):
        net.train_only(("encodr",))


@torch.no_grad()
@pytest.mark.parametrize("activation", ["leaky_relu", "relu"])
def test_the_activation_travels_in_the_bundle(activation, tmp_path):
    net, image = build(activation=activation, uncertainty=True, lateral=True).eval(), pictures()
    net.calibration += 0.25
    net.save_pretrained(tmp_path / "bundle")
    other = mien.load(tmp_path / "bundle")
    assert other.config == net.config and other.config.activation == activation
    assert other.picture.mean == (0.518, 0.418, 0.361) and other.picture.std == (1.0, 1.0, 1.0)
    assert list(other.info.outputs_of("points")) == ["landmarks"]
    for name, value in net(image).items():
        assert torch.equal(value, other(image)[name]), name
    with pytest.raises(MienError, match=r"unexpected \(calibration"):
        check_state(create_model("parface_3d", **TINY), net.state_dict(), where="here")


def test_config_survives_json():
    net = create_model("parface_3d", **TINY, activation="relu")
    config = net.config
    assert ParFaceConfig(**config_dict(net)) == config


def test_imagenet_weights_fill_what_they_fit():
    torch.manual_seed(0)
    net = ResNetEncoder(size=256, outputs=9)
    names = resnet18_names(net)
    own = net.state_dict()
    theirs = {name: torch.full_like(own[ours], 0.5) for ours, name in names.items()}
    theirs = {name: value for name, value in theirs.items() if not name.startswith(("layer0.", "layer1.0.downsample"))}
    theirs["fc.weight"], theirs["fc.bias"] = torch.zeros(1000, 512), torch.zeros(1000)  # 1000 classes
    filled = {names[name] for name in load_resnet18(net, theirs)}
    assert filled == {name for name in theirs if not name.startswith("fc.")}
    assert net.state_dict()["stages.1.0.conv1.weight"].eq(0.5).all() and not net.head.weight.eq(0).any()
    for weights, encoder in (
        ({"x": torch.zeros(1)}, net),
        (theirs, ResNetEncoder(size=128, outputs=9, widths=(8,) * 4)),
    ):
        with pytest.raises(MienError, match="Not the weights of a ResNet-18"):
            load_resnet18(encoder, weights)


def test_it_learns_to_reconstruct_one_batch():
    torch.manual_seed(0)
    net, image = create_model("parface_autoencoder", **TINY).train(), pictures(4).clamp(-0.5, 0.5)
    image = torch.nn.functional.avg_pool2d(image, 32).repeat_interleave(32, 2).repeat_interleave(32, 3)
    optimizer = torch.optim.Adam([*net.encoder.parameters(), *net.decoder.parameters()], lr=3e-3)
    losses = []
    for _ in range(25):
        loss = (net.decoder(net.encode(image)).picture - image).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0]
