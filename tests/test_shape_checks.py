"""A false shape, dtype or type fails a test wherever it is passed; `unchecked` lets it through."""

import os

import numpy as np
import pytest
from jaxtyping import TypeCheckError

from mien.core.decode import probabilities
from mien.core.landmarks import to_68
from mien.core.spec import PictureInput
from shape_checks import unchecked

pytestmark = pytest.mark.skipif(os.environ.get("MIEN_CHECK_SHAPES") == "0", reason="the checks are turned off")


@pytest.mark.parametrize(
    "call",
    [
        lambda: probabilities(np.zeros(3, int)),
        lambda: probabilities([0.0, 1.0]),
        lambda: to_68(np.zeros(68)),
        lambda: PictureInput(mean=(0.5, 0.5)),
    ],
)
def test_a_false_type_is_found(call) -> None:
    with pytest.raises(TypeCheckError):
        call()


def test_whole_numbers_pass_for_floats() -> None:
    assert probabilities(np.zeros(2), temperature=2).tolist() == [0.5, 0.5]


def test_unchecked_lets_it_through_and_ends() -> None:
    with unchecked():
        assert probabilities(np.zeros(2, int)).tolist() == [0.5, 0.5]
    with pytest.raises(TypeCheckError):
        probabilities(np.zeros(2, int))
