"""Scales estimated from the eight photos of a synthetic examination."""

import numpy as np
import pytest
from synthetic_truth import TASKS, both, face_of, landmarks, severe

from mien.core.errors import MienError
from mien.runtime.asymmetry import FaceMeasures, Method, ScaleEstimate, analyse, estimate_scales
from mien.runtime.asymmetry.scales import weaker_side
from mien.synthetic.face.palsy import Palsy
from shape_checks import unchecked


def examination(palsy: Palsy | None = None) -> dict[str, FaceMeasures]:
    points = landmarks([both(units) for units in TASKS.values()], palsy=palsy)
    return {task: analyse(face_of(face), method=Method(draws=0)) for task, face in zip(TASKS, points, strict=True)}


def named(scales: list[ScaleEstimate]) -> dict[str, ScaleEstimate]:
    return {scale.name: scale for scale in scales}


@pytest.fixture(scope="module")
def by_severity() -> dict[float, dict[str, FaceMeasures]]:
    return {severity: examination(severe("L", severity)) for severity in (0.0, 0.3, 0.6, 1.0)}


def test_a_healthy_face_is_scored_healthy(by_severity: dict) -> None:
    found = named(estimate_scales(by_severity[0.0], affected="left"))
    assert found["House-Brackmann"].value == "like I"
    assert float(found["eFACE"].value.split()[0]) >= 95
    assert found["Sunnybrook"].value == "90 to 100 of 100"


def test_scales_follow_the_severity(by_severity: dict) -> None:
    found = [named(estimate_scales(faces, affected="left")) for faces in by_severity.values()]
    percent = [scales["House-Brackmann"].parts["percent"] for scales in found]
    assert np.all(np.diff(percent) < -15) and percent[-1] < 10
    order = ["I", "II", "III", "IV", "V", "VI"]
    grades = [order.index(scales["House-Brackmann"].value.removeprefix("like ")) for scales in found]
    assert grades == sorted(grades) and grades[-1] >= 4
    for name in ("eFACE", "Sunnybrook"):
        values = [float(scales[name].value.split()[0]) for scales in found]
        assert np.all(np.diff(values) < -5), (name, values)


def test_the_weak_side_is_found(by_severity: dict) -> None:
    assert weaker_side(by_severity[0.6]) == "left"
    assert weaker_side(examination(severe("R", 0.4))) == "right"
    scales = estimate_scales(examination(severe("R", 0.4)))
    assert {scale.affected for scale in scales} == {"right"}
    mirrored = estimate_scales(examination(severe("L", 0.4)))
    assert [scale.value for scale in scales] == [scale.value for scale in mirrored]


def test_synkinesis_costs_points() -> None:
    plain = named(estimate_scales(examination(Palsy("L", mouth=0.3)), affected="left"))
    linked = named(
        estimate_scales(examination(Palsy("L", mouth=0.3, oral_ocular=0.9, ocular_oral=0.9)), affected="left")
    )
    assert linked["eFACE"].parts["synkinesis"] < plain["eFACE"].parts["synkinesis"] - 20
    assert linked["Sunnybrook"].parts["synkinesis"] > plain["Sunnybrook"].parts["synkinesis"]


def test_what_is_not_there_is_not_estimated(by_severity: dict) -> None:
    faces = {task: by_severity[0.6][task] for task in ("rest", "smile")}
    found = named(estimate_scales(faces))
    assert {scale.value for scale in found.values()} == {""}
    assert found["House-Brackmann"].missing == ("brow_raise",)
    assert "needs rest and brow_raise" in found["House-Brackmann"].items[0].rule
    assert found["House-Brackmann"].items[1].value is not None
    assert set(found["Sunnybrook"].missing) == {"brow_raise", "eyes_closed_gently", "snarl", "pucker"}


def test_rest_alone_names_no_side(by_severity: dict) -> None:
    found = estimate_scales({"rest": by_severity[1.0]["rest"]})
    assert {scale.affected for scale in found} == {""}
    assert all(item.value is None for scale in found for item in scale.items)
    assert all("rest" not in scale.missing for scale in found)


def test_mistakes_are_named(by_severity: dict) -> None:
    with pytest.raises(MienError, match="smile"):
        estimate_scales({"smle": by_severity[0.0]["smile"]})
    with pytest.raises(MienError, match="right, left or auto"), unchecked():
        estimate_scales(by_severity[0.0], affected="both")  # type: ignore[arg-type]
