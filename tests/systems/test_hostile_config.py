"""The config in a bundle's system.json, with a wrong value in every field: one error, and no memory for it."""

import resource
from dataclasses import replace

import pytest
import torch

from mien.core.bundle import BundleInfo
from mien.core.errors import MienError
from mien.systems.config import LARGEST
from mien.systems.registry import config_dict, create_model, system_from_info
from robustness.mutate import places, replaced
from shape_checks import unchecked

WRONG = (
    None,
    True,
    "x",
    "x" * 100_000,
    -1,
    0,
    1,
    1000,
    10**9,
    10**30,
    0.5,
    -0.5,
    1e308,
    float("nan"),
    [],
    [1],
    {},
    [[]],
)


def described(name: str) -> tuple[BundleInfo, int]:
    """What a bundle of the system says, and the bytes of its weights."""
    system = create_model(name)
    size = sum(4 * value.numel() for value in system.state_dict().values())
    return BundleInfo(system.name, config_dict(system), system.inputs, system.outputs), size


@unchecked()
@pytest.mark.parametrize("name", ["poster_v2_small", "poster_v2_landmarks_small", "parface_small_3d"])
def test_a_wrong_value_in_every_field_is_one_error(name: str) -> None:
    info, size = described(name)
    before, refused = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, 0
    for at in places(info.config):
        for wrong in WRONG if at else ():
            try:
                system_from_info(replace(info, config=replaced(info.config, at, wrong)), weights=size)
            except MienError as error:
                refused += 1
                assert str(error).isprintable() and len(str(error)) < 500, error
    assert refused > 200
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 700_000  # kB


def test_a_network_larger_than_its_weight_file_is_refused_before_it_takes_memory() -> None:
    info, size = described("poster_v2_small")
    wide = replace(info, config=info.config | {"token_width": 9600, "vit_heads": 96})
    with pytest.raises(MienError, match=r"poster_v2: this config asks for more than [\d,]+ weights"):
        system_from_info(wide, weights=size)
    deep = replace(info, config=info.config | {"vit_depth": LARGEST})
    with pytest.raises(MienError, match=r"more than [\d,]+ (weights|modules)"):
        system_from_info(deep, weights=size)
    with pytest.raises(MienError, match=r"num_classes must be at most 1,000,000; got 1000000000"):
        create_model("poster_v2_small", num_classes=10**9)


def test_networks_that_are_built_later_are_not_counted() -> None:
    create_model("poster_v2_small")
    torch.nn.ModuleList(torch.nn.Linear(1, 1) for _ in range(30_000))
