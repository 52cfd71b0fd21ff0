"""The plan of the neutral face: figures of a head, and a grid of rows and columns round it, slit at eyes and mouth.

Everything is built from figures, in inter-ocular units (the distance of the outer eye corners is 1; ADULT_METRES
turns it into metres), x to the person's left, y up, z to the viewer, origin midway between the outer eye corners.

Where the figures come from: SECTIONS (radii of horizontal head sections as cosine series) and the depths of nose,
lips, chin and lids were measured on the mean of a set of scans (ICT-FaceKit, USC, MIT licence), rounded; the frontal
places of eyes, brows, lips and jaw also weigh the mean of human annotations of closed-mouthed frontal faces (300-W). No
vertex of either is used.
"""

import numpy as np

ADULT_METRES = 0.089  # outer eye corner to outer eye corner, mean adult
AXIS_Z = -0.5  # the vertical axis that azimuths turn about
EYE_CENTRE = np.array([0.3535, -0.004, -0.044])  # the left one
EYE_RADIUS = 0.15
LID_RADIUS = 0.160  # lids lie on this sphere: the eyeball and the lid's own thickness
EYE_CORNERS = np.array([[0.207, -0.024, 0.066], [0.5, 0.0, -0.004]])  # inner, outer
LID_ARCH = (0.078, 0.034)  # upper and lower, over the line between the corners
MOUTH_Y, MOUTH_HALF, LIPS = -0.750, 0.268, (0.084, 0.094)  # line, half width of the opening, vermilion heights
CROWN_FROM, CROWN_TOP = 0.55, 1.22

# Radius of the head's horizontal section about the axis: sum over k of row[k] * cos(k * azimuth), at these heights.
SECTION_HEIGHTS = np.array([-1.25, -1.05, -0.85, -0.65, -0.45, -0.25, -0.05, 0.1, 0.25, 0.55])
SECTIONS = np.array([
    [0.375, 0.256, 0.056, 0.020, 0.008, 0.003, 0.001, 0.000],
    [0.576, 0.121, 0.033, 0.017, 0.010, 0.007, 0.004, 0.002],
    [0.718, 0.011, 0.025, 0.016, 0.007, 0.002, 0.002, 0.003],
    [0.779, -0.017, 0.027, 0.020, 0.010, 0.005, 0.006, 0.009],
    [0.791, -0.036, -0.001, -0.001, -0.002, 0.001, 0.006, 0.010],
    [0.802, -0.070, -0.020, -0.010, -0.004, 0.002, 0.007, 0.009],
    [0.811, -0.135, -0.012, 0.000, 0.004, 0.007, 0.007, 0.006],
    [0.802, -0.080, -0.017, -0.001, -0.008, -0.009, 0.003, 0.013],
    [0.893, -0.195, 0.064, 0.000, -0.018, -0.006, 0.000, 0.002],
    [0.862, -0.255, 0.062, 0.004, -0.013, 0.000, 0.003, -0.001],
])  # fmt: skip
# Height of the jaw's edge by azimuth (degrees): chin, jaw angle under the ear, nape.
JAW_AZIMUTH = np.array([0, 14, 33, 53, 71, 81, 90, 110, 180.0])
JAW_EDGE = np.array([-1.215, -1.20, -1.14, -1.04, -0.85, -0.73, -0.62, -0.58, -0.72])
BACK_Y, BACK_Z = np.array([-0.72, -0.45, -0.1, 0.25, 0.55]), np.array([-1.46, -1.62, -1.83, -1.93, -1.90])

# Columns of the left half by azimuth in degrees: midline, eye's inner corner, eye's outer corner, ear, back.
EYE_FIRST, EYE_LAST, MOUTH_LAST = 9, 21, 10
AZIMUTHS = np.radians(
    np.concatenate(
        [np.linspace(0, 18, 10), np.linspace(20, 42.5, 12), [45.5, 50, 56, 64, 74, 86], [100, 122, 150, 180]]
    )
)
COLUMNS = len(AZIMUTHS)
_CROWN = (1.17, 1.06, 0.92, 0.76)
_BROW = (0.62, 0.51, 0.42, 0.35, 0.295, 0.255, 0.22, 0.185, 0.15, 0.118, 0.088)
_CHEEK = (-0.085, -0.12, -0.16, -0.205, -0.255, -0.305, -0.35, -0.39, -0.422, -0.45, -0.475, -0.497, -0.517)
_CHIN = (-0.87, -0.905, -0.945, -0.99, -1.035, -1.08, -1.12, -1.16, -1.19, -1.215)
_ROWS = (
    *_CROWN, *_BROW, 0.06, 0.03, 0.0, 0.0, -0.025, -0.05, *_CHEEK, -0.55, -0.59, -0.635,
    -0.675, -0.7, -0.725, MOUTH_Y, MOUTH_Y, -0.775, -0.805, -0.835, *_CHIN,
)  # fmt: skip
ROWS = np.array(_ROWS)
EYE_ROW = len(_CROWN) + len(_BROW) + 2  # the upper lid's rim; the lower lid's is the next row
MOUTH_ROW = EYE_ROW + 4 + len(_CHEEK) + 6  # the upper lip's rim; the lower lip's is the next row
LIP_ROWS = 3  # from a rim to its vermilion border
JAW_ROW = len(ROWS) - 1


def step(edge0: float | np.ndarray, edge1: float | np.ndarray, x: np.ndarray) -> np.ndarray:
    """Smooth 0..1 from edge0 to edge1 (either order)."""
    t = np.clip((x - edge0) / (edge1 - edge0), 0, 1)
    return t * t * (3 - 2 * t)


def _spline(knots: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Weights [n, knots] of the natural cubic spline through values at the knots."""
    h, count = np.diff(knots), len(knots)
    left, right = np.eye(count), np.zeros((count, count))
    for k in range(1, count - 1):
        left[k, k - 1 : k + 2] = h[k - 1], 2 * (h[k - 1] + h[k]), h[k]
        right[k, k - 1 : k + 2] = 6 / h[k - 1], -6 / h[k - 1] - 6 / h[k], 6 / h[k]
    bend = np.linalg.solve(left, right)
    at = np.clip(at, knots[0], knots[-1])
    i = np.clip(np.searchsorted(knots, at) - 1, 0, count - 2)
    t, u, s, unit = (at - knots[i])[:, None], (knots[i + 1] - at)[:, None], h[i][:, None], np.eye(count)
    curve = bend[i] * (u**3 / (6 * s) - s * u / 6) + bend[i + 1] * (t**3 / (6 * s) - s * t / 6)
    return curve + unit[i] * u / s + unit[i + 1] * t / s


def radius(azimuth: np.ndarray, height: np.ndarray) -> np.ndarray:
    """Radius of the head without nose, lips and lids about the axis, same shape as the two arguments."""
    a, y = azimuth.ravel(), height.ravel()
    along = _spline(SECTION_HEIGHTS, y) @ SECTIONS
    return (along * np.cos(a[:, None] * np.arange(SECTIONS.shape[1]))).sum(1).reshape(azimuth.shape)


def _back(azimuth: np.ndarray, height: np.ndarray) -> np.ndarray:
    """Radius about the axis of an ellipse whose rear end is the occiput above and the nape below."""
    rear = np.interp(height, BACK_Y, BACK_Z)
    centre = -0.85 - AXIS_Z
    depth, width = centre - (rear - AXIS_Z), 0.87
    s, c = np.sin(azimuth) / width, np.cos(azimuth) / depth
    b = -c * centre / depth
    return (-b + np.sqrt(b * b - (s * s + c * c) * ((centre / depth) ** 2 - 1))) / (s * s + c * c)


def head_radius(azimuth: np.ndarray, height: np.ndarray) -> np.ndarray:
    """The measured sections in front, the ellipse behind the ears (where the sections were not measured)."""
    t = np.clip((np.degrees(azimuth) - 78) / 34, 0, 1)
    share = t * t * (3 - 2 * t)
    return (1 - share) * radius(azimuth, height) + share * _back(azimuth, height)


def azimuth_at(x: np.ndarray, height: np.ndarray) -> np.ndarray:
    """Azimuth at which the head has that x (front of the face, |x| < 0.6)."""
    a = np.arcsin(np.clip(x / 0.75, -1, 1))
    for _ in range(12):
        a = 0.5 * a + 0.5 * np.arcsin(np.clip(x / radius(a, height), -1, 1))
    return a


def lid_curves(t: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x, upper y and lower y of the left eye's opening, t from 0 (inner corner) to 1 (outer)."""
    (x0, y0, _), (x1, y1, _) = EYE_CORNERS
    line = y0 + (y1 - y0) * t
    upper = LID_ARCH[0] * (4 * t * (1 - t)) ** 0.8 * (1.12 - 0.24 * t)
    lower = LID_ARCH[1] * (4 * t * (1 - t)) ** 0.9 * (0.85 + 0.3 * t)
    return x0 + (x1 - x0) * t, line + upper, line - lower


def mouth_line(x: np.ndarray) -> np.ndarray:
    """Height of the line between closed lips."""
    u = np.abs(x) / MOUTH_HALF
    return MOUTH_Y + 0.004 * u**2 - 0.008 * np.exp(-((u / 0.22) ** 2))


def vermilion(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Heights of the upper and the lower lip's red over the mouth line (both positive), tapering to the corners."""
    u = np.clip(np.abs(x) / (MOUTH_HALF + 0.02), 0, 1)
    taper = (1 - u**2) ** 0.75
    bow = 1 + 0.13 * np.exp(-(((np.abs(x) - 0.062) / 0.04) ** 2)) - 0.08 * np.exp(-((x / 0.025) ** 2))
    return np.maximum(LIPS[0] * taper * bow, 0.024), np.maximum(LIPS[1] * taper, 0.024)


def plan() -> tuple[np.ndarray, np.ndarray]:
    """Azimuth and height of every row and column before eyes and mouth: rows bend down to the jaw's edge."""
    a = np.broadcast_to(AZIMUTHS, (len(ROWS), COLUMNS)).copy()
    edge = np.interp(np.degrees(AZIMUTHS), JAW_AZIMUTH, JAW_EDGE)
    top = 0.12
    share = np.clip((top - ROWS) / (top - JAW_EDGE[0]), 0, 1)[:, None]
    y = np.where(ROWS[:, None] > top, ROWS[:, None], top - share * (top - edge))
    return a, y


def fade(values: np.ndarray, first: int, last: int, reach: int) -> np.ndarray:
    """The values inside [first, last], their end values fading out over `reach` columns outside."""
    c = np.arange(COLUMNS)
    away = np.clip(np.maximum(first - c, c - last) / reach, 0, 1)
    held = values[np.clip(c, first, last) - first]
    return held * (1 - away * away * (3 - 2 * away))


def warp_eye(a: np.ndarray, y: np.ndarray) -> None:
    """Moves the rows round the eye onto the lids' curves, less and less away from the rims."""
    i = np.arange(EYE_LAST - EYE_FIRST + 1) / (EYE_LAST - EYE_FIRST)
    x, upper, lower = lid_curves(0.6 * i + 0.4 * (0.5 - 0.5 * np.cos(np.pi * i)))
    columns = slice(EYE_FIRST, EYE_LAST + 1)
    away = np.array([1, 0.94, 0.84, 0.66, 0.46, 0.28, 0.12])
    for rim, curve, step in ((EYE_ROW, upper, -1), (EYE_ROW + 1, lower, 1)):
        turn = fade(azimuth_at(x, curve) - a[rim, columns], EYE_FIRST, EYE_LAST, 4)
        lift = fade(curve - y[rim, columns], EYE_FIRST, EYE_LAST, 5)
        for k, w in enumerate(away):
            a[rim + step * k] += turn * w
            y[rim + step * k] += lift * w


def warp_mouth(a: np.ndarray, y: np.ndarray) -> None:
    """Moves the rows round the mouth onto lip line and vermilion borders."""
    c = np.arange(MOUTH_LAST + 1)
    x = MOUTH_HALF * (0.75 * c / MOUTH_LAST + 0.25 * np.sin(np.pi / 2 * c / MOUTH_LAST))
    line, (red_up, red_down) = mouth_line(x), vermilion(x)
    near = fade(np.ones(MOUTH_LAST + 1), 0, MOUTH_LAST, 5)
    turn = fade(azimuth_at(x, line) - AZIMUTHS[c], 0, MOUTH_LAST, 6)
    for rim, red, step in ((MOUTH_ROW, red_up, -1), (MOUTH_ROW + 1, -red_down, 1)):
        for k in range(LIP_ROWS + 5):
            within = min(k / LIP_ROWS, 1)
            target = line + red * (within * (1.25 - 0.25 * within))
            row, w = rim + step * k, (1, 1, 1, 1, 0.8, 0.55, 0.3, 0.1)[k]
            spread = 1 - (1 - w) ** 2
            a[row] += turn * spread
            if k <= LIP_ROWS:
                y[row] += (_full(target) - y[row]) * near
                border = _full(target) - ROWS[row]
            else:
                y[row] += border * near * w


def _full(inside: np.ndarray) -> np.ndarray:
    """Values of the mouth's columns carried outwards to all columns."""
    return inside[np.clip(np.arange(COLUMNS), 0, len(inside) - 1)]
