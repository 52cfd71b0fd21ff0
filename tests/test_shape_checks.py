"""A false shape, dtype or type fails a test wherever it is passed; `unchecked` lets it through."""

import os
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest
from jaxtyping import TypeCheckError

from mien.core.decode import probabilities
from mien.core.landmarks import to_68
from mien.core.spec import PictureInput
from mien.report.plots import confusion_figure
from shape_checks import calls, checked, unchecked

pytestmark = pytest.mark.skipif(os.environ.get("MIEN_CHECK_SHAPES") == "0", reason="the checks are turned off")


@pytest.fixture(autouse=True)
def every_call_is_checked() -> None:
    """Also of a function that other tests have called often."""
    for count in calls.values():
        count[0] = 0


@pytest.mark.parametrize(
    "call",
    [
        lambda: probabilities(np.zeros(3, int)),
        lambda: probabilities([0.0, 1.0]),
        lambda: to_68(np.zeros(68)),
        lambda: PictureInput(mean=(0.5, 0.5)),
        lambda: confusion_figure([[1]], ["happiness"], title=""),  # its array's type is imported for type checkers only
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


LATE = """
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float


def pairs(points: "Float[np.ndarray, 'points 2']", weights: "Float[np.ndarray, ' points']") -> "list[Later]":
    return [Later() for _ in points]


def broken(points: "Float[np.ndarray, 'points 2']") -> "Float[np.ndarray, 'points 3']":
    return points


def unknown(points: "Nothing") -> None: ...


class Later: ...
"""


def test_of_many_calls_some_are_checked() -> None:
    for _ in range(1000):
        probabilities(np.zeros(2))
    found = 0
    for _ in range(20):
        try:
            probabilities(np.zeros(2, int))
        except TypeCheckError:
            found += 1
    assert found == 1


def test_strings_are_resolved_with_what_is_imported_for_type_checkers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "late.py").write_text(LATE)
    spec = spec_from_file_location("late", tmp_path / "late.py")
    assert spec and spec.loader
    module = module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "late", module)
    spec.loader.exec_module(module)
    assert len(checked(module.pairs)(np.zeros((3, 2)), np.zeros(3))) == 3
    for wrong in (lambda: checked(module.pairs)(np.zeros((3, 3)), np.zeros(3)),
                  lambda: checked(module.pairs)(np.zeros((3, 2)), np.zeros(4)),
                  lambda: checked(module.broken)(np.zeros((3, 2)))):  # fmt: skip
        with pytest.raises(TypeCheckError):
            wrong()
    with pytest.raises(NameError, match="Nothing"):
        checked(module.unknown)(1)
