"""Losses of inversion by hand and by symmetry; what they refuse; where gradients go and where they do not."""

import pytest
import torch

from mien.core.errors import MienError
from mien.nn.inversion.resnet50 import ResNet50
from mien.nn.iresnet import FaceRecogniser
from mien.nn.losses.distribution import distribution_loss, draw, published_distribution_loss
from mien.nn.losses.inversion import (
    IdentityLoss,
    MocoLoss,
    code_norm,
    face_crop,
    inversion_loss,
    same_picture_loss,
)
from mien.nn.losses.lpips import Lpips


def lpips_weights(backbone):
    """Random ones, under the released names."""
    random = torch.Generator().manual_seed(0)
    shapes = {
        "alex": {0: (64, 3, 11), 3: (192, 64, 5), 6: (384, 192, 3), 8: (256, 384, 3), 10: (256, 256, 3)},
        "vgg": {0: (64, 3, 3), 2: (64, 64, 3), 5: (128, 64, 3), 7: (128, 128, 3), 10: (256, 128, 3), 12: (256, 256, 3),
                14: (256, 256, 3), 17: (512, 256, 3), 19: (512, 512, 3), 21: (512, 512, 3), 24: (512, 512, 3),
                26: (512, 512, 3), 28: (512, 512, 3)},
    }[backbone]  # fmt: skip
    weights = {}
    for place, (outputs, inputs, side) in shapes.items():
        scale = (2 / (inputs * side**2)) ** 0.5
        weights[f"features.{place}.weight"] = scale * torch.randn(outputs, inputs, side, side, generator=random)
        weights[f"features.{place}.bias"] = torch.zeros(outputs)
    widths = (64, 192, 384, 256, 256) if backbone == "alex" else (64, 128, 256, 512, 512)
    for i, width in enumerate(widths):
        weights[f"lin{i}.model.1.weight"] = torch.rand(1, width, 1, 1, generator=random)
    return weights


@pytest.mark.parametrize("backbone", ["alex", "vgg"])
def test_lpips(backbone):
    weights = lpips_weights(backbone)
    net = Lpips(weights, backbone=backbone)
    a, b = torch.rand(2, 2, 3, 64, 64, generator=torch.Generator().manual_seed(1)) * 2 - 1
    assert torch.equal(net(a, a), torch.zeros(2))
    torch.testing.assert_close(net(a, b), net(b, a))
    assert (net(a, b) > 2 * net(a, 0.9 * a + 0.1 * b)).all()
    # pSp's names of the same linear heads
    renamed = {k.replace("lin", "").replace("model.", "") if k.startswith("lin") else k: v for k, v in weights.items()}
    torch.testing.assert_close(Lpips(renamed, backbone=backbone)(a, b), net(a, b))
    # black pictures have features of no direction: gradients stay finite
    black = torch.full((1, 3, 64, 64), 0.0, requires_grad=True)
    net(black, b[:1]).sum().backward()
    assert torch.isfinite(black.grad).all() and black.grad.abs().sum() > 0
    assert not any(p.requires_grad for p in net.parameters())
    with pytest.raises(MienError, match=rf"linear heads of LPIPS with {backbone}: heads.0"):
        Lpips({k: v for k, v in weights.items() if not k.startswith("lin")}, backbone=backbone)
    with pytest.raises(MienError, match=r"Not the backbone of LPIPS with .*: features.0.weight"):
        Lpips({k: v for k, v in weights.items() if k.startswith("lin")}, backbone=backbone)


def test_lpips_by_hand():
    """All taps at the picture itself: (3, 4, 0) and (0, 0, 2) have the directions (.6, .8, 0) and (0, 0, 1)."""
    net = Lpips(lpips_weights("alex"))
    net.features, net.taps = torch.nn.Sequential(*(torch.nn.Identity() for _ in range(5))), (0, 1, 2, 3, 4)
    heads = [1.0, 2.0, 0.5], [0.0, 0.0, 3.0], *([0.0, 0.0, 0.0] for _ in range(3))
    net.heads = torch.nn.ParameterList(torch.tensor(head) for head in heads)
    net.requires_grad_(False)

    def picture(*rows):
        return torch.tensor(rows).T[None, :, :, None] * net.scale + net.centre

    first, second = picture([3.0, 4.0, 0.0], [-1.0, 0.0, 1.0]), picture([0.0, 0.0, 2.0], [-1.0, 0.0, 1.0])
    layers = net.by_layer(first, second)  # the second row is the same in both: a mean over two places
    wanted = torch.tensor([[(0.36 + 2 * 0.64 + 0.5) / 2, 3 / 2, 0, 0, 0]])
    torch.testing.assert_close(layers, wanted, atol=1e-5, rtol=0)
    assert net(first, second).item() == pytest.approx(1.07 + 1.5, abs=1e-5)


def test_face_crop_by_hand():
    rows = torch.arange(256.0).view(1, 1, 256, 1).expand(1, 3, 256, 256)
    crop = face_crop(rows)
    assert crop.shape == (1, 3, 188, 188) and crop[0, 0, 0, 0] == 35 and crop[0, 0, -1, 0] == 222
    assert face_crop(rows[:, :, ::4, ::4]).shape == (1, 3, 47, 47)


@pytest.mark.parametrize(
    ("loss", "side"), [(lambda: IdentityLoss(FaceRecogniser()), 256), (lambda: MocoLoss(ResNet50()), 224)]
)
def test_features_that_agree_cost_nothing(loss, side):
    torch.manual_seed(0)
    loss = loss()
    a, b = torch.rand(2, 1, 3, side, side) * 2 - 1
    assert loss(a, a).item() == pytest.approx(0, abs=1e-5)
    a.requires_grad_(), b.requires_grad_()
    value = loss(a, b)
    cosine = (loss.embed(a) * loss.embed(b)).sum()
    assert value.item() == pytest.approx(1 - cosine.item(), abs=1e-5) and value > 1e-4
    by_a, by_b = torch.autograd.grad(value, (a, b), allow_unused=True)
    assert by_a.abs().sum() > 0 and by_b is None, "the target takes no gradient"


def test_resnet50_is_torchvisions():
    models = pytest.importorskip("torchvision.models")
    torch.manual_seed(0)
    theirs, ours = models.resnet50().eval(), ResNet50().eval()
    with torch.no_grad():
        for name, buffer in theirs.named_buffers():
            if name.endswith(("running_mean", "running_var")):
                buffer.add_(torch.rand_like(buffer))
    ours.load_state_dict({k: v for k, v in theirs.state_dict().items() if not k.startswith("fc.")})
    theirs.fc = torch.nn.Identity()
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x))


def test_code_norm_by_hand():
    codes = torch.zeros(2, 2, 2)
    codes[0, 0, 0], codes[0, 1, 1] = 3, 4
    assert code_norm(codes).item() == 2.5
    assert code_norm(codes, codes[0]).item() == 2.5


def test_codes_at_the_mean_have_a_gradient():
    codes = torch.zeros(2, 3, 4, requires_grad=True)
    code_norm(codes).backward()
    assert codes.grad is not None and codes.grad.eq(0).all()


def test_the_encoder_gets_a_gradient_and_as_released_none():
    score = torch.tensor([[0.5], [-0.5]], requires_grad=True)
    assert inversion_loss(score).item() == pytest.approx((0.25 + 2.25) / 2)
    assert torch.autograd.grad(inversion_loss(score), score)[0].tolist() == [[-0.5], [-1.5]]
    assert not inversion_loss(score, legacy=True).requires_grad
    assert same_picture_loss(torch.ones(2, 1), -torch.ones(2, 1)).item() == 0


def test_distribution_loss_is_zero_for_the_same_relations():
    random = torch.Generator().manual_seed(0)
    source = [torch.randn(4, 6, 3, 3, generator=random) for _ in range(2)]
    other = [torch.randn(4, 6, 3, 3, generator=random).requires_grad_() for _ in range(2)]
    assert distribution_loss(source, [2.5 * s.flip(1) for s in source]).item() == pytest.approx(0, abs=1e-6)
    assert distribution_loss(source, other) > 1e-3
    # by hand for one layer and three pictures
    a, b = source[0][:3], other[0][:3].detach()
    total = 0.0
    for i in range(3):
        rows = []
        for maps in (a, b):
            cosines = [torch.cosine_similarity(maps[i].flatten(), maps[j].flatten(), dim=0) for j in range(3) if j != i]
            rows.append(torch.stack(cosines).softmax(0))
        total += (rows[0] * (rows[0] / rows[1]).log()).sum().item()
    assert distribution_loss([a], [b]).item() == pytest.approx(total / 3, rel=1e-4)
    for _ in range(60):
        loss = distribution_loss(source, other)
        for maps, gradient in zip(other, torch.autograd.grad(loss, other), strict=True):
            maps.data -= 300 * gradient
    assert distribution_loss(source, other) < 0.2 * distribution_loss(source, [o.detach().roll(1, 0) for o in other])
    with pytest.raises(MienError, match="batches of 3 or more, equal on both sides; got 2 and 2"):
        distribution_loss([s[:2] for s in source], [s[:2] for s in source])


def test_draws_repeat_and_one_picture_alone_costs_nothing():
    assert draw(torch.Generator().manual_seed(5)) == draw(torch.Generator().manual_seed(5))
    maps = [torch.randn(2, 3, 2, 2) for _ in range(3)]
    assert published_distribution_loss(maps, maps, layers=[0, 1, 2], pictures=[1, 1, 1]).item() == 0
