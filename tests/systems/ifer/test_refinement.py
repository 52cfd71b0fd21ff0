"""Refinement of codes: the loss falls, nothing else changes, and it ends when nothing is gained."""

import pytest

torch = pytest.importorskip("torch")

import mien  # noqa: E402
from mien.systems.ifer.refinement import RefinementOptions, refine  # noqa: E402

SMALL = {
    "style": 8, "mapping_layers": 1, "most_channels": 8, "width": 8, "depths": (1, 1, 1, 1), "heads": (1, 1, 1, 1),
    "head_width": 8, "structure_channels": 4,
}  # fmt: skip


@pytest.fixture(scope="module")
def case():
    """An untrained ASIT, a picture that its generator draws, and codes that are off from that picture's."""
    torch.manual_seed(0)
    inversion = mien.create_model("asit_small", **SMALL).eval().requires_grad_(False).inversion
    codes, structure = torch.randn(1, 10, 8), torch.randn(1, 4, 4, 4)
    feature_code = torch.zeros(1, 8, 16, 16)
    with torch.no_grad():
        image = inversion.decode(codes, structure, feature_code=feature_code).image
    start = codes + 0.3 * torch.randn(codes.shape)
    return inversion, image, start, structure, feature_code


def run(case, **more):
    inversion, image, start, structure, feature_code = case
    lpips = more.pop("lpips", None)
    options = RefinementOptions(**{"steps": 25, **more})
    return refine(inversion, image, start, structure, feature_code=feature_code, options=options, lpips=lpips)


def test_the_codes_come_nearer_to_the_picture_and_the_same_every_time(case) -> None:
    inversion, image, start, structure, feature_code = case
    before = {name: value.clone() for name, value in inversion.state_dict().items()}
    first, second = run(case), run(case)
    with torch.no_grad():
        losses = [
            float((inversion.decode(codes, place, feature_code=feature_code).image - image).square().mean())
            for codes, place in ((start, structure), (first.codes, first.structure))
        ]
    assert (first.before, first.after) == pytest.approx(losses, rel=1e-4) and first.after < 0.5 * first.before
    assert torch.equal(first.codes, second.codes) and torch.equal(first.structure, second.structure)
    assert first.steps == 25 and not torch.equal(first.codes, start)
    assert all(torch.equal(value, before[name]) for name, value in inversion.state_dict().items())
    assert all(parameter.grad is None for parameter in inversion.parameters())


def test_it_stops_when_nothing_is_gained_and_never_ends_worse(case) -> None:
    still = run(case, rate=0.0, patience=3)
    assert still.steps == 3 and torch.equal(still.codes, case[2]) and still.after == still.before
    wild = run(case, rate=100.0, steps=4)
    assert wild.after <= wild.before
    none = run(case, steps=0)
    assert none.steps == 0 and none.after == none.before and torch.equal(none.codes, case[2])


def test_lpips_counts_by_its_weight(case) -> None:
    counted = []
    _, image, *_ = case

    def distance(picture, target):
        counted.append(torch.equal(target, image))
        return (picture - target).abs().mean((1, 2, 3))

    plain, both = run(case, steps=1), run(case, steps=1, lpips=distance)
    assert all(counted) and len(counted) == 2
    with torch.no_grad():
        picture = case[0].decode(case[2], case[3], feature_code=case[4]).image
    assert both.before == pytest.approx(plain.before + 0.8 * float((picture - image).abs().mean()), rel=1e-4)
    with pytest.raises(mien.core.errors.MienError, match="refinement: rate must be at least 0"):
        RefinementOptions(rate=-1)
