"""LandmarkScheme: which point is which, for 5, 19 and 21 (AFLW), 39 (Menpo's profiles), 68 (Multi-PIE / iBUG),
84 (Menpo 3D) and 98 (WFLW) points.

Left and right are the person's own throughout: the point of the person's right eye comes first in iBUG's order and
stands on the left of an unmirrored picture.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float

from mien.core.errors import MienError


def _pairs(*runs: tuple[int, int, int]) -> tuple[tuple[int, int], ...]:
    """(first, second, count): first + i meets second - i."""
    return tuple((a + i, b - i) for a, b, count in runs for i in range(count))


@dataclass(frozen=True)
class LandmarkScheme:
    """A numbering of facial landmarks."""

    name: str
    """Of the scheme."""
    points: int
    """Their number."""
    mirror_pairs: tuple[tuple[int, int], ...]
    """Indices that change places in the mirror."""
    outer_corners: tuple[int, int] | None
    """Of the eyes, right, left."""
    pupils: tuple[tuple[int, ...], tuple[int, ...]]
    """Groups whose mean is a pupil, right, left."""
    regions: dict[str, tuple[int, ...]]
    """Name → indices."""

    @property
    def mirror(self) -> np.ndarray:
        """int64 [points]: index of each point's counterpart in the mirrored face. Its own inverse."""
        order = np.arange(self.points)
        for a, b in self.mirror_pairs:
            order[a], order[b] = b, a
        return order

    def mirrored(
        self, landmarks: Float[np.ndarray, "*batch points dims"], *, width: float
    ) -> Float[np.ndarray, "*batch points dims"]:
        """The landmarks of the picture flipped left to right; `width` in the landmarks' unit (pixels: width - 1)."""
        flipped = np.take(landmarks, self.mirror, axis=-2).copy()
        flipped[..., 0] = width - flipped[..., 0]
        return flipped

    def interocular(self, landmarks: Float[np.ndarray, "*batch points dims"]) -> Float[np.ndarray, "*batch"]:
        """Distance of the outer eye corners, [*batch]. Raises MienError where the scheme has no eye corners."""
        if self.outer_corners is None:
            raise MienError(f"The {self.name} scheme has no outer eye corners.")
        right, left = self.outer_corners
        return np.asarray(np.linalg.norm(landmarks[..., right, :] - landmarks[..., left, :], axis=-1))

    def interpupil(self, landmarks: Float[np.ndarray, "*batch points dims"]) -> Float[np.ndarray, "*batch"]:
        """Distance of the pupils (the means of the points around each eye), [*batch].

        Raises MienError where the scheme has no points of the eyes.
        """
        if not all(self.pupils):
            raise MienError(f"The {self.name} scheme has no points around both eyes.")
        right, left = (landmarks[..., list(group), :].mean(-2) for group in self.pupils)
        return np.asarray(np.linalg.norm(right - left, axis=-1))


_EYES_68 = (tuple(range(36, 42)), tuple(range(42, 48)))
SCHEME_68 = LandmarkScheme(
    name="68",
    points=68,
    mirror_pairs=(
        *_pairs((0, 16, 8), (17, 26, 5), (31, 35, 2)),
        *((36, 45), (37, 44), (38, 43), (39, 42), (40, 47), (41, 46)),
        *_pairs((48, 54, 3), (60, 64, 2)),
        *((59, 55), (58, 56), (67, 65)),
    ),
    outer_corners=(36, 45),
    pupils=_EYES_68,
    regions={
        "jaw": tuple(range(17)),
        "right_brow": tuple(range(17, 22)),
        "left_brow": tuple(range(22, 27)),
        "nose": tuple(range(27, 36)),
        "right_eye": _EYES_68[0],
        "left_eye": _EYES_68[1],
        "mouth": tuple(range(48, 68)),
    },
)
SCHEME_98 = LandmarkScheme(
    name="98",
    points=98,
    mirror_pairs=(
        *_pairs((0, 32, 16), (33, 46, 5)),
        *((38, 50), (39, 49), (40, 48), (41, 47)),
        *_pairs((55, 59, 2), (76, 82, 3), (88, 92, 2)),
        *((60, 72), (61, 71), (62, 70), (63, 69), (64, 68), (65, 75), (66, 74), (67, 73)),
        *((87, 83), (86, 84), (95, 93), (96, 97)),
    ),
    outer_corners=(60, 72),
    pupils=((96,), (97,)),
    regions={
        "jaw": tuple(range(33)),
        "right_brow": tuple(range(33, 42)),
        "left_brow": tuple(range(42, 51)),
        "nose": tuple(range(51, 60)),
        "right_eye": (*range(60, 68), 96),
        "left_eye": (*range(68, 76), 97),
        "mouth": tuple(range(76, 96)),
    },
)
SCHEME_5 = LandmarkScheme(
    name="5",
    points=5,
    mirror_pairs=((0, 1), (3, 4)),
    outer_corners=None,
    pupils=((0,), (1,)),
    regions={"right_eye": (0,), "left_eye": (1,), "nose": (2,), "mouth": (3, 4)},
)
# AFLW (Koestinger et al., ICCV workshops 2011), from the left of the picture to its right: brows, eyes (outer, centre,
# inner), an ear, the nose, the other ear, the mouth, the chin; the 19 are the 21 without the ears.
SCHEME_21 = LandmarkScheme(
    name="21",
    points=21,
    mirror_pairs=(*_pairs((0, 5, 3), (6, 11, 3)), (12, 16), (13, 15), (17, 19)),
    outer_corners=(6, 11),
    pupils=((7,), (10,)),
    regions={
        "right_brow": (0, 1, 2), "left_brow": (3, 4, 5), "right_eye": (6, 7, 8), "left_eye": (9, 10, 11),
        "ears": (12, 16), "nose": (13, 14, 15), "mouth": (17, 18, 19), "jaw": (20,),
    },
)  # fmt: skip
SCHEME_19 = LandmarkScheme(
    name="19",
    points=19,
    mirror_pairs=(*_pairs((0, 5, 3), (6, 11, 3)), (12, 14), (15, 17)),
    outer_corners=(6, 11),
    pupils=((7,), (10,)),
    regions={
        "right_brow": (0, 1, 2), "left_brow": (3, 4, 5), "right_eye": (6, 7, 8), "left_eye": (9, 10, 11),
        "nose": (12, 13, 14), "mouth": (15, 16, 17), "jaw": (18,),
    },
)  # fmt: skip
# Menpo's profile faces (Zafeiriou et al., CVPR workshops 2017): one half of a face, which stays that half in a mirror.
SCHEME_39 = LandmarkScheme("39", 39, (), None, ((), ()), {"profile": tuple(range(39))})


def _of_68(name: str, jaw: int) -> LandmarkScheme:
    """The 51 inner points of the 68 after a jaw line of `jaw` points."""
    more = jaw - 17
    inner = tuple((a + more, b + more) for a, b in SCHEME_68.mirror_pairs if a >= 17)
    regions = {region: tuple(i + more for i in indices) for region, indices in SCHEME_68.regions.items()}
    return LandmarkScheme(
        name, 68 + more, (*_pairs((0, jaw - 1, jaw // 2)), *inner), (36 + more, 45 + more),
        (regions["right_eye"], regions["left_eye"]), regions | {"jaw": tuple(range(jaw))},
    )  # fmt: skip


SCHEME_84 = _of_68("84", 33)
_SCHEMES = (SCHEME_5, SCHEME_19, SCHEME_21, SCHEME_39, SCHEME_68, SCHEME_84, SCHEME_98)
_BY_POINTS = {scheme.points: scheme for scheme in _SCHEMES}


def scheme_of(points: int) -> LandmarkScheme:
    """The scheme with that many points. Raises MienError for a count that no scheme has."""
    if points not in _BY_POINTS:
        raise MienError(f"No landmark scheme has {points} points. Known: {', '.join(map(str, _BY_POINTS))}.")
    return _BY_POINTS[points]


# WFLW to iBUG by place, not by index: the 68 of 98 points that name the same spot.
WFLW_TO_68 = (
    *range(0, 33, 2), *range(33, 38), *range(42, 47), *range(51, 60),
    60, 61, 63, 64, 65, 67, 68, 69, 71, 72, 73, 75, *range(76, 96),
)  # fmt: skip


_JAW_33_TO_68 = (*range(0, 33, 2), *range(33, 84))


def to_68(landmarks: Float[np.ndarray, "*batch points dims"]) -> Float[np.ndarray, "*batch 68 dims"]:
    """68 points from 68, 84 or 98. Raises MienError for others."""
    points = landmarks.shape[-2]
    if points == 68:
        return landmarks
    if points in (84, 98):
        return np.take(landmarks, WFLW_TO_68 if points == 98 else _JAW_33_TO_68, axis=-2)
    raise MienError(f"68 points can be taken from 68, 84 or 98 points; got {points}.")


def to_5(landmarks: Float[np.ndarray, "*batch points dims"]) -> Float[np.ndarray, "*batch 5 dims"]:
    """Eye centres (right, left), nose tip and mouth corners (right, left) from 68 points."""
    points = to_68(landmarks)
    eyes = [points[..., list(group), :].mean(-2) for group in _EYES_68]
    return np.stack([*eyes, points[..., 30, :], points[..., 48, :], points[..., 54, :]], axis=-2)


# Which of the 68 points are joined where a face is drawn: jaw, brows, nose, eyes, lips. (indices in order, closed)
LINES_68: tuple[tuple[tuple[int, ...], bool], ...] = (
    (tuple(range(17)), False),
    (tuple(range(17, 22)), False),
    (tuple(range(22, 27)), False),
    (tuple(range(27, 31)), False),
    (tuple(range(31, 36)), False),
    (tuple(range(36, 42)), True),
    (tuple(range(42, 48)), True),
    (tuple(range(48, 60)), True),
    (tuple(range(60, 68)), True),
)


def edges(lines: tuple[tuple[tuple[int, ...], bool], ...] = LINES_68) -> list[tuple[int, int]]:
    """Pairs of points that are joined."""
    joined: list[tuple[int, int]] = []
    for indices, closed in lines:
        joined += pairwise(indices)
        joined += [(indices[-1], indices[0])] if closed else []
    return joined
