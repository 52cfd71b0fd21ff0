"""The shape of a drawn face: identity and expression as a few numbers, from which every curve and all 68 points follow.

Units: half the height of the face; x right, y down, (0, 0) between nose tip and eyes. The person's right is at
negative x. Actions are FACS's in spirit (brow raiser, nose wrinkler, lip corner puller, ...), 0 at rest.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from mien.core.labels import label_set

EXPRESSIONS = label_set("rafdb").classes  # contempt can be drawn too, but is not among them
Points = Float[np.ndarray, "points 2"]


@dataclass(frozen=True)
class Identity:
    """Proportions of one person, in face units."""

    face_width: float = 0.74
    """Half the width of the face."""
    jaw: float = 0.75
    """Shape of the jaw, 0.6 (pointed) .. 1 (square)."""
    eye_gap: float = 0.33
    """From the middle of the face to an eye's centre."""
    eye_width: float = 0.155
    """Half the width of an eye."""
    eye_height: float = 0.068
    """Half the height of an open eye."""
    brow_height: float = 0.2
    """Above the eye's centre."""
    nose_length: float = 0.44
    """From the bridge to the base."""
    nose_width: float = 0.15
    """Half the width at the base."""
    mouth_width: float = 0.27
    """Half the width of the mouth."""
    lips: float = 0.055
    """Thickness of the lips."""
    mouth_y: float = 0.53
    """Of the mouth, below the face's centre."""


@dataclass(frozen=True)
class Action:
    """What the muscles do. Lengths in face units, shares in 0..1."""

    brow_inner: float = 0.0
    """Inner end of the brows up."""
    brow_outer: float = 0.0
    """Outer end of the brows up."""
    brow_pinch: float = 0.0
    """Inner ends of the brows towards the middle."""
    lid_up: float = 0.0
    """Added to the opening, in eye heights."""
    lid_low: float = 0.0
    """Lower lid up, in eye heights."""
    lid_slope: float = 0.0
    """Outer corners of the eyes down."""
    nose_wrinkle: float = 0.0
    """Share: wrinkles at the nose."""
    corner_up: float = 0.0
    """Corners of the mouth up."""
    mouth_wide: float = 0.0
    """Added to the half width of the mouth."""
    lip_raise: float = 0.0
    """Middle of the upper lip up."""
    open: float = 0.0
    """Opening of the mouth."""
    jaw_drop: float = 0.0
    """Chin down."""
    thin: float = 0.0
    """Share: lips pressed."""
    square: float = 0.0
    """Share: opening as high at its sides as in its middle."""
    teeth: float = 0.0
    """Share of the opening that shows teeth."""
    cheeks: float = 0.0
    """Share: cheeks raised."""
    forehead: float = 0.0
    """Share: wrinkles across the forehead."""
    furrow: float = 0.0
    """Share: wrinkles between the brows."""
    left_corner: float = 0.0
    """Corner of the mouth up and back, on the person's left side only."""

    def scaled(self, strength: float) -> "Action":
        """The same action, weaker or stronger; at 1 the very same numbers."""
        return self if strength == 1 else Action(**{name: strength * value for name, value in vars(self).items()})


NEUTRAL = Action()
# Each expression has one or two ways to show it.
ACTIONS: dict[str, tuple[Action, ...]] = {
    "surprise": (
        Action(brow_inner=0.13, brow_outer=0.12, lid_up=0.55, mouth_wide=-0.1, open=0.26, jaw_drop=0.13, forehead=0.8),
        Action(brow_inner=0.11, brow_outer=0.11, lid_up=0.5, mouth_wide=-0.08, open=0.19, jaw_drop=0.09, forehead=0.6),
    ),
    "fear": (
        Action(
            brow_inner=0.13, brow_outer=0.01, brow_pinch=0.05, lid_up=0.5, lid_low=0.12, corner_up=-0.05,
            mouth_wide=0.08, open=0.12, jaw_drop=0.05, square=0.8, teeth=0.45, forehead=0.6, furrow=0.4,
        ),
        Action(
            brow_inner=0.14, brow_outer=0.02, brow_pinch=0.05, lid_up=0.6, lid_low=0.1, corner_up=-0.07,
            mouth_wide=0.06, open=0.09, jaw_drop=0.03, square=0.8, teeth=0.8, forehead=0.7, furrow=0.3,
        ),
    ),
    "disgust": (
        Action(
            brow_inner=-0.08, brow_outer=-0.03, brow_pinch=0.03, lid_up=-0.35, lid_low=0.35, nose_wrinkle=1,
            corner_up=-0.07, lip_raise=0.075, mouth_wide=0.0, open=0.05, teeth=0.75, cheeks=0.7, furrow=0.3,
        ),
        Action(
            brow_inner=-0.07, brow_outer=-0.03, brow_pinch=0.03, lid_up=-0.4, lid_low=0.4, nose_wrinkle=1,
            corner_up=-0.1, lip_raise=0.075, mouth_wide=-0.03, cheeks=0.6, furrow=0.2,
        ),
    ),
    "happiness": (
        Action(
            brow_outer=0.02, lid_up=-0.15, lid_low=0.45, corner_up=0.15, mouth_wide=0.1, open=0.13, jaw_drop=0.03,
            teeth=0.6, cheeks=1,
        ),
        Action(brow_outer=0.02, lid_low=0.4, lid_up=-0.1, corner_up=0.14, mouth_wide=0.09, cheeks=0.9),
    ),
    "sadness": (
        Action(
            brow_inner=0.11, brow_outer=-0.06, brow_pinch=0.04, lid_up=-0.3, lid_slope=0.05, corner_up=-0.12,
            mouth_wide=-0.03, thin=0.1, forehead=0.25, furrow=0.2,
        ),
    ),
    "anger": (
        Action(
            brow_inner=-0.14, brow_outer=0.03, brow_pinch=0.07, lid_up=-0.05, lid_low=0.2, corner_up=-0.05,
            mouth_wide=-0.03, thin=0.75, furrow=1, nose_wrinkle=0.15,
        ),
        Action(
            brow_inner=-0.14, brow_outer=0.03, brow_pinch=0.07, lid_up=0.05, lid_low=0.2, corner_up=-0.04,
            mouth_wide=0.03, open=0.15, jaw_drop=0.04, square=1, teeth=0.9, thin=0.3, furrow=1, nose_wrinkle=0.3,
        ),
    ),
    "neutral": (NEUTRAL,),
    "contempt": (Action(left_corner=0.11, lid_up=-0.1, thin=0.35), Action(left_corner=0.09, brow_outer=0.03, thin=0.2)),
}  # fmt: skip


def drawn_identity(rng: np.random.Generator) -> Identity:
    """A person: every proportion within about a tenth of the mean."""
    base = Identity()
    return Identity(**{name: value * rng.normal(1, 0.05) for name, value in vars(base).items()})


def drawn_action(expression: str, rng: np.random.Generator) -> Action:
    """One way of showing the expression, at 70 to 110 % of its strength, with a little of everything at random."""
    ways = ACTIONS[expression]
    action = ways[int(rng.integers(len(ways)))]
    strength = rng.uniform(0.7, 1.1)
    shares = {"nose_wrinkle", "thin", "square", "teeth", "cheeks", "forehead", "furrow"}
    values = {"left_corner": action.left_corner * strength}
    for name, value in vars(action).items():
        if name in values:
            continue  # draws nothing, so that the other expressions are what they were before it came
        stray = (
            0 if name in shares or name in ("open", "jaw_drop") else rng.normal(0, 0.008 if "lid" not in name else 0.05)
        )
        values[name] = value if name in ("square", "teeth") else value * strength * rng.uniform(0.9, 1.1) + stray
    return replace(action, **values)


class FaceShape:
    """Curves of one face. Every curve is [points, 2]; `landmarks` lie exactly on them."""

    def __init__(self, identity: Identity, action: Action, *, yaw: float = 0.0) -> None:
        self.identity, self.action, self.yaw = identity, action, yaw

    @property
    def landmarks(self) -> Points:
        """iBUG's 68 points."""
        brows = [self.brow(-1, np.linspace(-1, 1, 5)), self.brow(1, np.linspace(1, -1, 5))]
        eyes = [self._eye_points(-1), self._eye_points(1)]
        return np.concatenate(
            [self.jaw(np.linspace(0, np.pi, 17)), *brows, *self._nose_points(), *eyes, self._mouth_points()]
        )

    def jaw(self, t: Float[np.ndarray, " points"]) -> Points:
        """From the right ear (t = 0) over the chin to the left ear (t = pi)."""
        who, power = self.identity, 0.6 + 0.4 * (1 - self.identity.jaw)
        x = -who.face_width * np.sign(np.cos(t)) * np.abs(np.cos(t)) ** power
        y = -0.12 + (1.08 + self.action.jaw_drop) * np.sin(t) ** 0.95
        return self._turned(x, y, depth=-0.25 + 0.5 * np.sin(t))

    def brow(self, side: int, s: Float[np.ndarray, " points"]) -> Points:
        """The middle of a brow, s from the outer end (-1) to the inner (1). side: -1 the person's right."""
        who, do = self.identity, self.action
        x = who.eye_gap + 0.02 - s * (who.eye_width + 0.055) - do.brow_pinch * (1 + s) / 2
        rise = do.brow_outer + (do.brow_inner - do.brow_outer) * (1 + s) / 2
        arch = 0.05 * (1 - s**2) + 0.012 * s
        y = self._eye_y - who.brow_height - rise - arch + 0.02 * np.maximum(-s, 0)
        return self._turned(side * x, y, depth=0.3)

    def lid(self, side: int, s: Float[np.ndarray, " points"], *, upper: bool) -> Points:
        """An eyelid, s from the outer corner (-1) to the inner (1)."""
        who, do = self.identity, self.action
        x = who.eye_gap - s * who.eye_width
        bulge = np.clip(1 - np.abs(s) ** 2.2, 0, None)
        up = max(0.12, 1 + do.lid_up) * (1 - do.lid_slope * 3 * np.clip(-s, 0, 1))
        low = 0.72 - do.lid_low
        y = self._eye_y - 0.004 * -s + do.lid_slope * np.clip(-s, 0, None)
        y = y - who.eye_height * bulge * up if upper else y + who.eye_height * bulge * low
        return self._turned(side * x, y, depth=0.25)

    def eye_centre(self, side: int) -> Points:
        """[1, 2]: where the iris rests."""
        return self._turned(np.array([side * self.identity.eye_gap]), np.array([self._eye_y - 0.008]), depth=0.25)

    def nose_base(self, s: Float[np.ndarray, " points"]) -> Points:
        """From the right nostril's wing (-1) to the left one's (1)."""
        do = self.action
        width = self.identity.nose_width * (1 + 0.15 * do.nose_wrinkle)
        y = self._nose_y + 0.03 * (1 - s**2) - 0.02 * do.nose_wrinkle * np.abs(s)
        return self._turned(width * s, y, depth=0.4 + 0.15 * (1 - s**2))

    def bridge(self, t: Float[np.ndarray, " points"]) -> Points:
        """From between the eyes (0) to the tip (1)."""
        top = self._eye_y + 0.01
        return self._turned(0 * t, top + (self._nose_y - 0.06 - top) * t, depth=0.35 + 0.4 * t)

    def lip(self, s: Float[np.ndarray, " points"], *, upper: bool, inner: bool) -> Points:
        """A lip's edge, s from the right corner (-1) to the left (1)."""
        who, do = self.identity, self.action
        width = who.mouth_width + do.mouth_wide
        bulge = np.clip(1 - s**2, 0, None) ** (1 - 0.7 * do.square)
        y = who.mouth_y + do.jaw_drop * 0.35 - do.corner_up * (s**2 - 0.35)
        y = y - do.left_corner * np.clip(s, 0, 1) ** 2
        y = y - do.lip_raise * np.clip(1 - (1.3 * s) ** 2, 0, None) * (1.0 if upper else 0.55)
        y = y - do.open * 0.4 * bulge if upper else y + do.open * 0.6 * bulge
        if not inner:
            thickness = who.lips * (1 - 0.75 * do.thin) * np.clip(1 - s**2, 0, None) ** 0.6
            bow = 1 - 0.3 * np.exp(-((s / 0.16) ** 2))
            y = y - thickness * bow * 0.9 if upper else y + 1.15 * thickness
        return self._turned(width * s, y, depth=0.45 - 0.2 * s**2)

    @property
    def _eye_y(self) -> float:
        return -0.17

    @property
    def _nose_y(self) -> float:
        return self._eye_y + self.identity.nose_length - 0.045 * self.action.nose_wrinkle

    def _eye_points(self, side: int) -> Points:
        """Six points in iBUG's order: the right eye begins at its outer corner, the left at its inner one."""
        s = np.array([-1.0, -0.36, 0.36, 1.0]) * (1 if side < 0 else -1)
        upper, lower = self.lid(side, s, upper=True), self.lid(side, s, upper=False)
        return np.concatenate([upper, lower[[2, 1]]])

    def _nose_points(self) -> tuple[Float[np.ndarray, "4 2"], Float[np.ndarray, "5 2"]]:
        return self.bridge(np.linspace(0, 1, 4)), self.nose_base(np.linspace(-0.8, 0.8, 5))

    def _mouth_points(self) -> Points:
        outer, inner = np.array([-1, -0.62, -0.24, 0, 0.24, 0.62, 1]), np.array([-0.86, -0.38, 0, 0.38, 0.86])
        return np.concatenate([
            self.lip(outer, upper=True, inner=False),
            self.lip(outer[-2:0:-1], upper=False, inner=False),
            self.lip(inner, upper=True, inner=True),
            self.lip(inner[-2:0:-1], upper=False, inner=True),
        ])  # fmt: skip

    def _turned(self, x: np.ndarray, y: np.ndarray | float, *, depth: np.ndarray | float) -> Points:
        """A turn of the head to the side, orthographic: x cos + depth sin."""
        x = np.asarray(x, float)
        return np.stack([x * np.cos(self.yaw) + depth * np.sin(self.yaw), np.broadcast_to(y, x.shape)], axis=-1)
