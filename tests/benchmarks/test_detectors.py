"""The synthetic people of the detector benchmark are turned as far as their condition says, and are counted rightly."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from mien.media.detect import Detection

detectors = pytest.importorskip("detectors")


def test_people_are_turned_as_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []

    def photograph(who, units, scene, *, options):
        drawn.append(scene)
        return np.zeros((8, 8, 3), np.uint8), {"landmarks_px": np.random.default_rng(0).random((68, 2)) * 8}

    monkeypatch.setattr(detectors, "photograph", photograph)
    for name, condition in detectors.CONDITIONS.items():
        drawn.clear()
        assert len(list(detectors.synthetic(10, condition))) == 10, name
        yaws = np.degrees([scene.camera.yaw_rad for scene in drawn])
        assert (abs(yaws) >= condition.yaw_deg[0]).all() and (abs(yaws) <= condition.yaw_deg[1]).all()
        assert (yaws > 0).any() and (yaws < 0).any()
        heads = [scene.camera.face_side / detectors.SIDE for scene in drawn]
        assert condition.head[0] <= min(heads) and max(heads) <= condition.head[1]
        covered = {scene.occluder.kind for scene in drawn}
        assert covered == ({"none", "mask", "hand", "microphone", "telephone"} if condition.things else {"none"})
    fourth = drawn[3].camera
    detectors.person(3, detectors.CONDITIONS["heads of 20 to 40 pixels"])
    assert drawn[-1].camera == fourth and drawn[4].camera != fourth  # the same arguments, the same person


def test_hits_and_others_are_counted() -> None:
    found = detectors.Found()
    faces = [(0.0, 0.0, 10.0, 10.0), (50.0, 50.0, 60.0, 60.0)]
    boxes = [(1.0, 1.0, 11.0, 11.0), (0.0, 0.0, 9.0, 9.0), (80.0, 80.0, 90.0, 90.0)]
    for _ in range(2):
        found.add(lambda pixels: [Detection(box, 1.0) for box in boxes], np.zeros((4, 4, 3), np.uint8), faces)
    assert (found.faces, found.hits, found.others, found.pictures) == (4, 2, 2, 2)
    assert found.recall() == "50.0 % (15.0 to 85.0)" and detectors.Found().recall() == ""
