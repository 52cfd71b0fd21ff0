"""FID's Inception and CurricularFace's IR-101: the released names, and the numbers of torchvision's network."""

import pytest

torch = pytest.importorskip("torch")
from torch.nn import functional as F  # noqa: E402

from mien.core.errors import MienError  # noqa: E402
from mien.nn.inception import inception_of  # noqa: E402
from mien.nn.inversion.names import load_named, recogniser_names  # noqa: E402
from mien.nn.iresnet import FaceRecogniser, ir_101  # noqa: E402


def torchvisions():
    """Without its auxiliary head, of the file's 1008 classes."""
    inception = pytest.importorskip("torchvision.models.inception")
    return inception.Inception3(num_classes=1008, aux_logits=False, init_weights=False).eval()


def test_names_and_features_are_torchvisions_with_tensorflows_pooling(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    theirs = torchvisions()
    ours, image = inception_of(theirs.state_dict()), torch.rand(1, 3, 80, 75)
    with torch.no_grad():
        found = ours.features(2 * image - 1)
    theirs.dropout = theirs.fc = torch.nn.Identity()
    average = F.avg_pool2d
    monkeypatch.setattr(F, "avg_pool2d", lambda x, **how: average(x, **how, count_include_pad=False))
    last = theirs.Mixed_7c
    pooled = last._forward

    def with_maximum(x):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(F, "avg_pool2d", F.max_pool2d)
            return pooled(x)

    monkeypatch.setattr(last, "_forward", with_maximum)
    with torch.no_grad():
        torch.testing.assert_close(found, theirs(2 * image - 1), atol=1e-5, rtol=1e-4)
    with pytest.raises(MienError, match=r"Inception of 2015-12-05: the weights do not fit .*fc.weight"):
        inception_of(theirs.state_dict())  # fc is gone


def test_ir_101_has_the_released_names(monkeypatch: pytest.MonkeyPatch) -> None:
    for layer in (torch.nn.Conv2d, torch.nn.Linear):  # only shapes count
        monkeypatch.setattr(layer, "reset_parameters", lambda self: None)
    network = ir_101()
    names, state = recogniser_names(network), network.state_dict()
    theirs = {name: tuple(state[ours].shape) for ours, name in names.items()}
    # 7 of the stem, 13 of each of 49 units, 6 of each of 3 shortcuts, 10 of the head, whose last norm has no weights
    assert len(theirs) == 7 + 49 * 13 + 3 * 6 + 10 and "output_layer.4.weight" not in theirs
    assert theirs["output_layer.3.weight"] == (512, 25088) and theirs["output_layer.4.running_mean"] == (512,)
    shortcuts = sorted({name.split(".")[1] for name in theirs if "shortcut_layer.0.weight" in name}, key=int)
    assert shortcuts == ["3", "16", "46"]  # where a stage widens
    assert theirs["body.48.res_layer.3.weight"] == (512, 512, 3, 3) and "body.48.res_layer.5.fc1.weight" not in theirs


def test_a_recogniser_without_squeeze_excitation_loads_strictly() -> None:
    torch.manual_seed(0)
    plain = {"depths": (1, 1, 1, 1), "reduction": 0, "size": 16, "outputs": 8}
    ours, other = FaceRecogniser(**plain, affine=False).eval(), FaceRecogniser(**plain, affine=False).eval()
    names = recogniser_names(ours)
    file = {names[name]: value for name, value in ours.state_dict().items()}
    load_named(other, names, file, where="IR-101")
    face = torch.rand(2, 3, 16, 16)
    with torch.no_grad():
        assert torch.equal(ours(face), other(face))
        torch.testing.assert_close(ours(face).square().sum(1), torch.ones(2))
    with pytest.raises(MienError, match=r"IR-101: the weights do not fit .*unexpected: output_layer.4.weight"):
        load_named(other, names, file | {"output_layer.4.weight": torch.ones(8)}, where="IR-101")
