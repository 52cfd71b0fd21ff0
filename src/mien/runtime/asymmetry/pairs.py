"""Measures and movements of the affected side beside those of the healthy one, from photos of one person by task."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mien.runtime.asymmetry.static import FaceMeasures

Side = Literal["right", "left"]
Faces = Mapping[str, FaceMeasures]  # task -> that photo's measures


@dataclass(frozen=True)
class Pairs:
    """(affected, healthy) pairs of movements, mm or percent; None where a photo is missing."""

    faces: Faces
    """Task → measured face."""
    affected: Side
    """Side."""

    def at(self, task: str, name: str) -> tuple[float, float] | None:
        if task not in self.faces:
            return None
        measure = self.faces[task][name]
        if measure.right is None or measure.left is None:
            return None
        sides = measure.right.value, measure.left.value
        return sides if self.affected == "right" else sides[::-1]

    def change(self, task: str, name: str) -> tuple[float, float] | None:
        """From rest to the task."""
        before, after = self.at("rest", name), self.at(task, name)
        return None if before is None or after is None else (after[0] - before[0], after[1] - before[1])

    def corner(self, task: str) -> tuple[float, float] | None:
        """How far the corners of the mouth went, mm."""
        if "rest" not in self.faces or task not in self.faces:
            return None
        before, after = (self.faces[name].points_mm[[48, 54], :2] for name in ("rest", task))
        ways = np.linalg.norm(after - before, axis=1)
        return (ways[0], ways[1]) if self.affected == "right" else (ways[1], ways[0])

    def brow(self) -> tuple[float, float] | None:
        return self.change("brow_raise", "brow_height")

    def smile(self) -> tuple[float, float] | None:
        return self.corner("smile")

    def pucker(self) -> tuple[float, float] | None:
        return self.corner("pucker")

    def snarl(self) -> tuple[float, float] | None:
        moved = self.change("snarl", "upper_lip_depth")
        return None if moved is None else (-moved[0], -moved[1])

    def closure(self, task: str) -> tuple[float, float] | None:
        """100 (rest - closed) / rest; a fissure below 1 mm is closed."""
        before, after = self.at("rest", "palpebral_fissure"), self.at(task, "palpebral_fissure")
        if before is None or after is None or min(before) <= 0:
            return None
        a, b = (100 * (open_ - (shut if shut >= 1 else 0)) / open_ for open_, shut in zip(before, after, strict=True))
        return a, b

    def closure_gap(self) -> tuple[float, float] | None:
        """The same in tenths of a percent, to be added to millimetres of other movements."""
        closed = self.closure("eyes_closed_gently")
        return None if closed is None else (closed[0] / 10, closed[1] / 10)

    def narrowing(self, task: str) -> tuple[float, float] | None:
        before, after = self.at("rest", "palpebral_fissure"), self.at(task, "palpebral_fissure")
        if before is None or after is None or min(before) <= 0:
            return None
        return 100 * (1 - after[0] / before[0]), 100 * (1 - after[1] / before[1])
