"""A one-sided palsy on the 3D face."""

import numpy as np
import pytest

from mien.core.errors import MienError
from mien.core.landmarks import SCHEME_68
from mien.synthetic.face.build import face_model
from mien.synthetic.face.palsy import Palsy, sample_palsy

FULL = Palsy("R", forehead=1, eye=1, midface=1, mouth=1)


def landmarks(units: dict[str, float]) -> np.ndarray:
    model = face_model()
    return model.landmarks(model.vertices(action_units=model.weights(units)))[0] / 0.089


def both(code: str, weight: float = 1.0) -> dict[str, float]:
    return {f"{code}_L": weight, f"{code}_R": weight}


def test_the_other_side_is_the_mirror_image() -> None:
    units = {**both("AU12"), **both("AU43", 0.7), "AU1_L": 0.5, "AU1_R": 0.5}
    here, there = landmarks(FULL.applied(units)), landmarks(FULL.mirrored.applied(units))
    np.testing.assert_allclose(there[SCHEME_68.mirror] * (-1, 1, 1), here, atol=1e-5)
    assert FULL.mirrored.mirrored == FULL


def test_at_rest_brow_and_corner_droop_and_the_eye_is_wide() -> None:
    rest, healthy = landmarks(FULL.applied({})), landmarks({})
    assert rest[19, 1] < healthy[19, 1] - 0.03 and rest[24, 1] == pytest.approx(healthy[24, 1], abs=1e-4)
    assert rest[48, 1] < healthy[48, 1] - 0.03
    assert rest[37, 1] - rest[41, 1] > healthy[37, 1] - healthy[41, 1] + 0.02
    assert rest[62, 0] > 0.003, "the mouth is drawn to the healthy side, the person's left"


def test_a_smile_is_one_sided_and_the_lids_do_not_meet() -> None:
    smile = landmarks(FULL.applied(both("AU12")))
    assert smile[54, 1] > smile[48, 1] + 0.12
    shut = landmarks(FULL.applied(both("AU43")))
    assert shut[43, 1] - shut[47, 1] < 1e-3
    assert shut[37, 1] - shut[41, 1] > 0.04, "lagophthalmos"


def test_severity_is_graded() -> None:
    corners = [landmarks(Palsy("L", mouth=s).applied(both("AU12")))[54, 1] for s in (0, 0.3, 0.6, 1)]
    assert (np.diff(corners) < 0).all()
    grades = [Palsy("L", s, s, s, s).house_brackmann for s in (0, 0.1, 0.4, 0.6, 0.8, 1)]
    assert grades == ["I", "II", "III", "IV", "V", "VI"]
    assert Palsy("L").applied(both("AU12")) == both("AU12")
    assert "right side: forehead does not move" in FULL.described() and "not a diagnosis" in FULL.described()


def test_synkinesis_closes_the_eye_in_a_smile_and_pulls_the_mouth_in_a_blink() -> None:
    palsy = Palsy("R", 0.3, 0.3, 0.3, 0.3, flaccid=0, oral_ocular=1, ocular_oral=1)
    smile, plain = (landmarks(p.applied(both("AU12"))) for p in (palsy, Palsy("R", 0.3, 0.3, 0.3, 0.3, flaccid=0)))
    assert smile[37, 1] - smile[41, 1] < 0.6 * (plain[37, 1] - plain[41, 1])
    assert landmarks(palsy.applied(both("AU45")))[48, 1] > landmarks({})[48, 1] + 0.02


def test_the_eye_that_cannot_close_can_be_opened_wide() -> None:
    assert FULL.applied(both("AU5")).items() >= both("AU5").items()


def test_sampling_repeats_by_seed_and_stays_in_range() -> None:
    for seed in range(20):
        one, two = (sample_palsy(np.random.default_rng(seed)) for _ in range(2))
        assert one == two
    assert sample_palsy(np.random.default_rng(0), severity=1.0, side="L").severity > 0.8


def test_mistakes_are_named_in_one_line() -> None:
    with pytest.raises(MienError, match="side is L or R"):
        Palsy("left")
    with pytest.raises(MienError, match=r"mouth lies in 0..1; got 2"):
        Palsy("L", mouth=2)
