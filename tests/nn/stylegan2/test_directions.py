"""Closed-form factorisation: the known direction of a linear map, and which layers a code goes to."""

import pytest

torch = pytest.importorskip("torch")

from mien.core.errors import MienError  # noqa: E402
from mien.nn.stylegan2.directions import affine_weights, code_deviation, factorised, mapped_codes  # noqa: E402
from mien.nn.stylegan2.generator import Generator  # noqa: E402


def test_the_direction_of_a_linear_generator_is_the_known_one() -> None:
    torch.manual_seed(0)
    left, _ = torch.linalg.qr(torch.randn(12, 6))
    right, _ = torch.linalg.qr(torch.randn(6, 6))
    weights = left @ torch.diag(torch.tensor([0.1, 5.0, 0.2, 3.0, 0.3, 0.4])) @ right.T  # pictures = weights @ code
    found = factorised(weights, 2)
    for direction, strength, known in zip(found.directions, (5.0, 3.0), (right[:, 1], right[:, 3]), strict=True):
        assert abs(float(direction @ known)) == pytest.approx(1, abs=1e-5)
        assert float(direction[direction.abs().argmax()]) > 0  # a sign that does not depend on the solver
        assert float((weights @ direction).norm()) == pytest.approx(strength, rel=1e-5)
    torch.testing.assert_close(found.strengths, torch.tensor([5.0, 3.0]))
    with pytest.raises(MienError, match="has 1 to 6 directions; got 7"):
        factorised(weights, 7)


def test_a_code_stands_for_the_convolution_that_it_modulates() -> None:
    torch.manual_seed(0)
    generator = Generator(size=16, style=4, mapping_layers=1, most_channels=4)
    for layer in range(5):  # constant's convolution, then two for each of two doublings
        codes = torch.zeros(1, 6, 4)
        styled = [generator.first, *(part for block in generator.blocks for part in (block.up, block.conv))][layer]
        received = []
        hook = styled.register_forward_hook(lambda module, given, output, received=received: received.append(given[1]))
        codes[:, layer] = 7.0
        generator(codes)
        hook.remove()
        assert (received[0] == 7).all()
        weight = affine_weights(generator, [layer])
        torch.testing.assert_close(weight, styled.conv.affine.weight / 2)  # scaled by 1 / sqrt(4)
    assert len(affine_weights(generator, [0, 3])) == 8
    with pytest.raises(MienError, match=r"Code 5 .* colours alone .* 0\.\.4"):
        affine_weights(generator, [5])


def test_the_deviation_is_that_of_mapped_codes_and_repeats() -> None:
    torch.manual_seed(0)
    generator = Generator(size=8, style=4, mapping_layers=1, most_channels=4)
    codes = mapped_codes(generator)
    assert codes.shape == (10_000, 4) and torch.equal(codes, mapped_codes(generator))
    assert code_deviation(generator) == pytest.approx(float((codes - codes.mean(0)).square().mean().sqrt()), rel=1e-3)
