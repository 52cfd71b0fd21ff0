"""The terms of inversion: weighted sums by hand, files by path with their SHA-256, and what is refused by name."""

import hashlib

import pytest
import torch

from mien.core.errors import MienError
from mien.nn.inversion.resnet50 import ResNet50
from mien.nn.losses.auxiliary import lpips_of, moco_of
from mien.systems.ifer.inversion_losses import InversionLosses, InversionLossOptions

WITHOUT_FILES = {"lpips": 0.0, "identity": 0.0}


def lpips_files(folder):
    random = torch.Generator().manual_seed(0)
    shapes = {0: (64, 3, 11), 3: (192, 64, 5), 6: (384, 192, 3), 8: (256, 384, 3), 10: (256, 256, 3)}
    backbone = {
        f"features.{i}.weight": 0.05 * torch.randn(o, n, k, k, generator=random) for i, (o, n, k) in shapes.items()
    }
    backbone |= {f"features.{i}.bias": torch.zeros(o) for i, (o, _, _) in shapes.items()}
    backbone |= {"classifier.1.weight": torch.zeros(2, 2)}
    widths = enumerate((64, 192, 384, 256, 256))
    heads = {f"lin{i}.model.1.weight": torch.rand(1, width, 1, 1, generator=random) for i, width in widths}
    torch.save(backbone, folder / "alexnet.pth")
    torch.save(heads, folder / "alex.pth")
    return backbone, heads


def test_terms_by_hand(tmp_path):
    backbone, heads = lpips_files(tmp_path)
    files = {"lpips_backbone": str(tmp_path / "alexnet.pth"), "lpips_heads": str(tmp_path / "alex.pth")}
    options = InversionLossOptions(**files, identity=0, l2=2, l2_crop=3, lpips=0.5, lpips_crop=0.25, code_norm=0.1)
    losses = InversionLosses(options)
    a, b = torch.rand(2, 2, 3, 64, 64, generator=torch.Generator().manual_seed(1)) * 2 - 1
    codes, mean = torch.ones(2, 3, 4), torch.zeros(4)
    terms = losses(a, b, codes, mean)
    lpips = lpips_of(backbone, heads)
    crop = (slice(None), slice(None), slice(9, 56), slice(8, 55))
    assert list(terms) == ["l2", "l2_crop", "lpips", "lpips_crop", "code_norm"]
    torch.testing.assert_close(terms["l2"], 2 * (a - b).square().mean())
    torch.testing.assert_close(terms["l2_crop"], 3 * (a[crop] - b[crop]).square().mean())
    torch.testing.assert_close(terms["lpips"], 0.5 * lpips(a, b).mean())
    torch.testing.assert_close(terms["lpips_crop"], 0.25 * lpips(a[crop], b[crop]).mean())
    torch.testing.assert_close(terms["code_norm"], torch.tensor(0.1 * 12**0.5))
    for name, file in (("lpips", "alexnet.pth"), ("lpips_heads", "alex.pth")):
        frozen = losses.frozen()[name]
        assert frozen.sha256 == hashlib.sha256((tmp_path / file).read_bytes()).hexdigest()
        assert not any(p.requires_grad for p in frozen.parameters())
    assert losses.state_dict() == {}, "auxiliary networks are never saved"
    torch.nn.ModuleList([losses]).to("meta")  # as a stage moves its parts to a GPU
    assert all(p.is_meta for frozen in losses.frozen().values() for p in [*frozen.parameters(), *frozen.buffers()])


def test_a_missing_file_is_refused_by_the_name_of_its_loss(tmp_path):
    with pytest.raises(
        MienError, match=r"The LPIPS loss needs a file and lpips_backbone names none\. .*lpips_crop to 0"
    ):
        InversionLosses(InversionLossOptions())
    with pytest.raises(MienError, match=r"The identity loss needs a file and there is no file gone.pth\."):
        InversionLosses(InversionLossOptions(lpips=0, recogniser="gone.pth"))
    with pytest.raises(MienError, match="The MoCo loss needs a file and moco_network names none"):
        InversionLosses(InversionLossOptions(lpips=0, identity=0, moco=0.5))
    with pytest.raises(MienError, match="set one of the two weights to 0"):
        InversionLossOptions(moco=0.5)
    with pytest.raises(MienError, match="weight l2 must be at least 0; got -1"):
        InversionLossOptions(l2=-1)
    assert list(InversionLosses(InversionLossOptions(**WITHOUT_FILES)).frozen()) == []


def test_another_network_is_refused(tmp_path):
    lpips_files(tmp_path)
    wrong = str(tmp_path / "alex.pth")
    with pytest.raises(MienError, match="IR-SE50: the weights do not fit"):
        InversionLosses(InversionLossOptions(lpips=0, recogniser=wrong))
    with pytest.raises(MienError, match="Not the backbone of LPIPS with alex"):
        InversionLosses(InversionLossOptions(identity=0, lpips_backbone=wrong, lpips_heads=wrong))


def test_moco_file():
    torch.manual_seed(0)
    network = ResNet50()
    released = {f"module.encoder_q.{k}": v for k, v in network.state_dict().items()}
    released |= {"module.encoder_q.fc.0.weight": torch.zeros(2, 2), "module.queue": torch.zeros(2, 2)}
    loss = moco_of({"state_dict": released})
    assert torch.equal(loss.network.layer4[2].conv3.weight, network.layer4[2].conv3.weight)
    with pytest.raises(MienError, match=r"Not MoCo's ResNet-50: layer4.2.conv3.weight is missing"):
        moco_of({"a": torch.zeros(1)})
