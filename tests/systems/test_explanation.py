"""What systems declare for `mien explain`: every declared map is there; random weights change what it shows."""

import numpy as np
import pytest
import torch

from mien.core.errors import MienError
from mien.media.bundles import shipped_folder
from mien.systems.bundle import load
from mien.systems.explanation import attention, grad_cam
from mien.systems.registry import create_model
from small_systems import SMALL

NAMES = ("poster_v2", "ddamfn", "if3d", "ifer", "can_face_expression")


@pytest.fixture(scope="module", params=NAMES)
def system(request: pytest.FixtureRequest):
    torch.manual_seed(0)
    return create_model(request.param, **SMALL[request.param].options).eval().requires_grad_(False)


def pictures(system) -> list[torch.Tensor]:
    return [torch.randn(1, 3, given.size, given.size) for given in system.inputs.values()]


def test_every_declared_layer_has_a_map_of_the_classes(system) -> None:
    assert system.feature_maps
    torch.manual_seed(1)
    given = pictures(system)
    for layer in system.feature_maps:
        if len(given) == 1:
            found = grad_cam(system, given[0].numpy(), output="expression", index=1, layer=layer)
            assert found.ndim == 2 and found.size > 1 and np.isfinite(found).all()
        else:
            assert layer in dict(system.named_modules())


def test_declared_attention_lies_over_places(system) -> None:
    given = pictures(system)
    found = system.attention_maps(*given)
    assert bool(found) == (system.name != "can_face_expression")
    for each in found.values():
        batch, height, width = each.weights.shape
        assert batch == 1 and height == width > 1 and each.meaning
        assert (each.weights >= 0).all() and each.weights.max() > 0 and not each.weights.requires_grad


@pytest.fixture(scope="module")
def shipped():
    return load(shipped_folder() / "poster_v2_small_ferplus").requires_grad_(False)


def ranks(x: np.ndarray) -> np.ndarray:
    return np.argsort(np.argsort(x.ravel()))


def test_random_weights_change_the_maps(shipped) -> None:
    """Sanity check of Adebayo et al. (NeurIPS 2018): else the map would show the picture, whatever was learned."""
    torch.manual_seed(0)
    fresh = create_model(shipped.name, inputs=shipped.inputs, **vars(shipped.config)).eval().requires_grad_(False)
    images = torch.rand(6, 1, 3, 48, 48).numpy() * 2 - 1
    for of in (
        lambda s, x: grad_cam(s, x, output="expression", index=1, layer="trunk.stages.1"),
        lambda s, x: attention(s, x)["cross_12"].weights.numpy(),
    ):
        same = [np.corrcoef(ranks(of(shipped, x)), ranks(of(fresh, x)))[0, 1] for x in images]
        assert abs(np.mean(same)) < 0.5
        assert np.array_equal(of(shipped, images[0]), of(shipped, images[0]))


def test_another_class_has_another_map_and_the_same_attention(shipped) -> None:
    x = torch.rand(1, 3, 48, 48).numpy()
    one, two = (grad_cam(shipped, x, output="expression", index=i, layer="trunk.stages.2") for i in (0, 1))
    assert np.corrcoef(one.ravel(), two.ravel())[0, 1] < 0.9
    transformer = attention(shipped, x)["transformer"].weights
    assert transformer.shape == (1, 3, 3) and 0.1 < float(transformer.sum()) < 1  # the rest is the class token's own


def test_mistakes_are_named(shipped) -> None:
    x = np.zeros((1, 3, 48, 48), np.float32)
    for layer, text in (
        ("trunk.stage.2", "Did you mean 'trunk.stages.2'"), ("vit.head", "gives no feature map"),
        ("vit", "gives no feature map"),
    ):  # fmt: skip
        with pytest.raises(MienError, match=text):
            grad_cam(shipped, x, output="expression", index=0, layer=layer)
    plain = create_model("can_face_expression", **SMALL["can_face_expression"].options).eval()
    with pytest.raises(MienError, match="declares no attention over places"):
        attention(plain, np.zeros((1, 3, 32, 32), np.float32))
