"""Occlusion: parts of the face are hidden, and the drop of the probability is drawn; needs no PyTorch."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from mien.engine.reading.explain.method import Explanation, Face, Panel, per_cent, place_columns
from mien.media.tables import Column
from mien.runtime.occlusion import REGIONS, Fill, Occlusion, occlusion, region_drops

LEAST_FULL = 0.05  # drop that the brightest colour stands for at least: a map of noise stays dark
TEXT = (
    "Parts of the face crop are hidden one after another and the class's probability is computed again (Zeiler and "
    "Fergus 2014). A drop says that the network's number rests on that part as it is shown here; it says nothing about "
    "the person, depends on what fills the part, and parts that matter only together show small drops alone."
)


@dataclass(frozen=True)
class Hiding:
    """Hides square parts all over the face, then its regions."""

    part: float
    """Side of a hidden part over that of the crop."""
    fill: Fill
    """What stands in it."""
    columns: ClassVar[tuple[Column, ...]] = (
        Column("probability_least", "number", "probability", "0..1", "with the part hidden that matters most", ".6f"),
        *place_columns("middle of that part"),
        *(
            Column(
                f"drop_{name}",
                "number",
                "probability",
                "-1..1",
                f"drop of the probability with the {name} hidden",
                ".6f",
            )
            for name in REGIONS
        ),
    )

    @property
    def described(self) -> dict[str, Any]:
        """For explanations.json."""
        return {"method": TEXT, "part": self.part, "fill": self.fill}

    def explain(self, face: Face) -> Explanation:
        """Of the face."""
        found = occlusion(face.pixels, face.read, part=self.part, fill=self.fill)
        drops: dict[str, float] = {}
        if face.landmarks is not None:
            drops = dict(region_drops(face.pixels, face.read, face.landmarks, fill=self.fill))
        largest = max(drops, key=drops.__getitem__, default="")
        without = f"without the {largest}: {per_cent(found.base - drops[largest])}" if largest else ""
        values = {"probability_least": found.least} | {f"drop_{name}": drop for name, drop in drops.items()}
        return Explanation(
            found.base, found.place, values, without or "as the network gets it", _panels(found),
            _sentence(found, face.expression, drops),
        )  # fmt: skip


def _panels(found: Occlusion) -> list[Panel]:
    """Where hiding lowers and where it raises the probability."""
    full = max(LEAST_FULL, float(np.abs(found.drop).max()))
    brightest = f"brightest: by {full:.2f} on average"
    lowers = ("hiding lowers it", brightest, f"one part hidden: {per_cent(found.least)} at least")
    return [(found.drop / full, lowers), (-found.drop / full, ("hiding raises it", brightest, ""))]


def _sentence(found: Occlusion, name: str, drops: dict[str, float]) -> str:
    """`happiness 93 %; with one part hidden 20 % at least; drop with a region hidden: mouth +0.81, ...`."""
    ordered = sorted(drops.items(), key=lambda each: -each[1])
    hidden = ", ".join(f"{region} {drop:+.2f}".replace("-", "\N{MINUS SIGN}") for region, drop in ordered)
    text = f"{name} {per_cent(found.base)}; with one part hidden {per_cent(found.least)} at least"
    return f"{text}; drop with a region hidden: {hidden}" if hidden else text
