"""Folds and lines that expressions press into skin: which, where, and what drives them.

Each is a furrow on the chart with the action units that deepen it and the share that age alone leaves (Hjortsjo, Man's
face and mimic language, 1969; Ekman, Friesen and Hager, Facial Action Coding System, 2002). The sides are separate, so
that a paralysed side stays flat.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mien.core.landmarks import SCHEME_68
from mien.synthetic.picture.atlas import Atlas, noise

NAMES = (
    "nasolabial fold", "inner forehead lines", "outer forehead lines", "glabella", "nose root", "crow's feet",
    "lower lid", "tear trough", "nose wrinkles", "marionette line", "dimple", "smile bracket", "chin crease",
)  # fmt: skip
SIDES = ("R", "L")  # of the person; the right one is at the viewer's left


@dataclass(frozen=True, eq=False)
class Wrinkle:
    """A wrinkle of the skin."""

    name: str
    """Same on both sides."""
    side: str
    """"R" or "L", the person's own."""
    furrow: np.ndarray
    """[side, side], share of `depth` in the skin's atlas."""
    drive: Mapping[int, float]
    """Action unit → weight."""
    age: float
    """Depth without any action at age 1."""
    depth: float
    """Metres at depth 1."""
    sag: str = ""
    """The sag (see action_units.py) that smooths it."""

    def strength(self, action_units: Mapping[str, float], age: float, *, habit: float = 1.0) -> float:
        """0..1. Young skin folds less deeply. habit: how much of it this face has kept at rest, 1 for the mean one."""
        pressed = sum(weight * sided(action_units, unit, self.side) for unit, weight in self.drive.items())
        slack = action_units.get(f"{self.sag}_{self.side}", 0.0)
        kept = self.age * habit * (0.06 + age**1.5)
        return float(np.clip(((0.45 + 0.55 * age) * pressed + kept) * (1 - slack), 0, 1.1))


def habits(seed: int) -> dict[str, float]:
    """What each fold keeps at rest in one person, by name: some frown lines are there at 25, some not at 70."""
    rng = np.random.Generator(np.random.PCG64([seed, 53]))
    return {name: float(np.exp(rng.normal(0, 0.7))) for name in NAMES}


def sided(action_units: Mapping[str, float], unit: int, side: str) -> float:
    """The weight of an action unit on one side: `AU12_L`, or the unsided `AU12`."""
    return float(action_units.get(f"AU{unit}_{side}", action_units.get(f"AU{unit}", 0.0)))


def wrinkles(atlas: Atlas) -> list[Wrinkle]:
    """All of them, on both sides."""
    found = []
    for side in SIDES:
        mirror = np.array([1.0, 1.0]) if side == "R" else np.array([-1.0, 1.0])
        points = atlas.points if side == "R" else atlas.points[SCHEME_68.mirror] * (-1, 1)  # as if on the right side
        found += [
            Wrinkle(
                name, side, _furrow(atlas, [c * mirror for c in curves], width), drive, age, depth, _SAGS.get(name, "")
            )
            for name, curves, width, drive, age, depth in _plan(points)
        ]
    return found


def _furrow(atlas: Atlas, curves: list[np.ndarray], width: float) -> np.ndarray:
    furrow = atlas.line(curves[0], width)
    for curve in curves[1:]:
        np.maximum(furrow, atlas.line(curve, width), out=furrow)
    return furrow * np.clip(0.8 + 0.3 * noise(12, atlas.side, 24, 2), 0.2, 1.2)  # no fold is drawn with a ruler


_Plan = list[tuple[str, list[np.ndarray], float, dict[int, float], float, float]]


def _plan(p: np.ndarray) -> _Plan:
    """The person's right side, chart metres: x negative is outwards."""
    eye, mouth, wing = p[36], p[48], p[31]
    inner, under = p[39], (p[40] + p[41]) / 2
    brow_in, brow_mid, brow_out = p[21], p[19], p[17]
    fold = [wing + (-0.005, -0.009), wing + (-0.012, 0.002), mouth + (-0.011, -0.012), mouth + (-0.013, 0.004)]
    forehead = [
        [
            np.array([0.0, brow_mid[1] - rise]),
            np.array([brow_in[0], brow_in[1] - rise + 0.001]),
            np.array([brow_mid[0], brow_mid[1] - rise - 0.002]),
            np.array([brow_out[0] + 0.004, brow_mid[1] - rise + 0.005]),
        ]
        for rise in (0.017, 0.027, 0.038)
    ]
    feet = [[eye + (-0.007, dy), eye + (-0.014, 1.6 * dy + 0.001), eye + (-0.022, 2.6 * dy + 0.002)] for dy in _FEET]
    nose = [
        [np.array([-0.002, y]), np.array([-0.009, y - 0.002]), np.array([-0.014, y + 0.003])] for y in (0.005, 0.012)
    ]
    bag = [inner + (0.0, 0.006), under + (0.0, 0.009), eye + (-0.001, 0.009)]
    tear = [inner + (0.002, 0.007), under + (0.004, 0.016), under + (-0.008, 0.021)]
    return [
        ("nasolabial fold", [np.array(fold)], 0.0036, {12: 0.75, 10: 0.8, 9: 0.7, 11: 0.7, 14: 0.2}, 0.75, 0.0026),
        ("inner forehead lines", [np.array(c[:3]) for c in forehead], 0.0015, {1: 1.0, 2: 0.15}, 0.3, 0.0013),
        ("outer forehead lines", [np.array(c[1:]) for c in forehead], 0.0015, {2: 1.0, 1: 0.25}, 0.3, 0.0013),
        (
            "glabella",
            [np.array([brow_in + (0.0055, -0.006), brow_in + (0.0065, 0.002), brow_in + (0.005, 0.008)])],
            0.0024, {4: 1.0, 9: 0.3}, 0.25, 0.0020,
        ),
        (
            "nose root",
            [np.array([(0.0, p[27][1] - 0.003), (-0.006, p[27][1] - 0.002), (-0.011, p[27][1] - 0.005)])],
            0.0021, {4: 0.6, 9: 0.8}, 0.15, 0.0013,
        ),
        ("crow's feet", [np.array(c) for c in feet], 0.0016, {6: 1.0, 12: 0.25}, 0.4, 0.0012),
        ("lower lid", [np.array(bag)], 0.0019, {6: 0.7, 7: 0.6, 9: 0.4}, 0.45, 0.0010),
        ("tear trough", [np.array(tear)], 0.0042, {6: 0.5, 9: 0.3}, 0.7, 0.0011),
        ("nose wrinkles", [np.array(c) for c in nose], 0.0017, {9: 1.0, 4: 0.1}, 0.0, 0.0011),
        (
            "marionette line",
            [np.array([mouth + (-0.003, 0.003), mouth + (-0.006, 0.011), mouth + (-0.006, 0.021)])],
            0.0026, {15: 0.9, 17: 0.2}, 0.55, 0.0013,
        ),
        ("dimple", [np.array([mouth + (-0.006, -0.004), mouth + (-0.0075, 0.003)])], 0.0026, {14: 1.0}, 0.0, 0.0016),
        (
            "smile bracket",
            [np.array([mouth + (-0.019, -0.022), mouth + (-0.022, -0.006), mouth + (-0.018, 0.009)])],
            0.0034, {12: 0.55}, 0.25, 0.0011,
        ),
        (
            "chin crease",
            [np.array([[0.0, p[57][1] + 0.0085], [p[58][0], p[57][1] + 0.0095], [p[59][0], p[57][1] + 0.013]])],
            0.0030, {17: 0.8, 15: 0.2}, 0.2, 0.0018,
        ),
    ]  # fmt: skip


_SAGS = {
    "nasolabial fold": "sag_fold",
    "smile bracket": "sag_fold",
    "inner forehead lines": "sag_brow",
    "outer forehead lines": "sag_brow",
    "glabella": "sag_brow",
    "crow's feet": "sag_eye",
}
_FEET = (-0.005, -0.001, 0.003)
