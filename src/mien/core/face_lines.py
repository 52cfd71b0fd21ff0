"""Which of the 68 points are joined by lines where a face is drawn: jaw, brows, nose, eyes, lips."""

from itertools import pairwise

# (indices in order, closed)
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
