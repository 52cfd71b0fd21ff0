"""How much two boxes share. Boxes are edges x0, y0, x1, y1; pixels or any other unit."""

from mien.core.records import Box


def area(box: Box) -> float:
    """Width times height; 0 for a box without either."""
    return max(box[2] - box[0], 0.0) * max(box[3] - box[1], 0.0)


def intersection(a: Box, b: Box) -> float:
    """Area in common."""
    return area((max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])))


def intersection_over_union(a: Box, b: Box) -> float:
    """0..1; 0 for two boxes without area."""
    common = intersection(a, b)
    union = area(a) + area(b) - common
    return common / union if union > 0 else 0.0


def intersection_over_smaller(a: Box, b: Box) -> float:
    """Area in common over the smaller area, 0..1: 1 where one box lies in the other. 0 where one has no area."""
    smaller = min(area(a), area(b))
    return intersection(a, b) / smaller if smaller > 0 else 0.0
