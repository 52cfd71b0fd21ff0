"""Colours of people: skin by its individual typology angle, hair by its pigments, irises. Linear RGB in 0..1.

ITA = atan((L* - 50) / b*) sorts skin from very light (above 55 degrees) to dark (below -30): Chardon, Cretois and
Hourseau, Int. J. Cosmetic Science 13 (1991). The table follows mean L*a*b* values of measured skin along that angle.
"""

import numpy as np
from jaxtyping import Float

_ITA = (-66.0, -51.0, -31.0, -10.0, 10.0, 28.0, 42.0, 55.0, 63.0)
_SKIN_LAB = np.array(
    [
        (25.0, 8.0, 11.0), (31.0, 10.0, 15.0), (39.0, 12.5, 18.5), (46.5, 13.0, 19.5), (53.5, 12.5, 20.0),
        (60.5, 11.5, 19.5), (66.0, 10.5, 17.5), (70.0, 9.5, 14.0), (73.0, 8.5, 11.7),
    ]
)  # fmt: skip
# sRGB of hair as photographs show it, from black to white; dark skin mostly has the first ones.
HAIR_SRGB = {
    "black": (26, 22, 22),
    "dark brown": (50, 34, 26),
    "brown": (84, 57, 39),
    "light brown": (122, 88, 58),
    "blond": (198, 170, 128),
    "red": (138, 70, 38),
    "grey": (142, 140, 138),
    "white": (216, 213, 208),
}
IRIS_SRGB = {
    "dark": (46, 28, 20),
    "brown": (84, 52, 30),
    "hazel": (110, 88, 48),
    "green": (88, 108, 70),
    "grey": (120, 132, 138),
    "blue": (88, 124, 158),
}


def to_linear(srgb: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    """sRGB in 0..1 to linear light."""
    srgb = np.asarray(srgb, np.float32)
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4).astype(np.float32)


def to_srgb(linear: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    """Linear light to sRGB in 0..1; light beyond 1 is cut."""
    linear = np.clip(linear, 0, 1)
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055).astype(np.float32)


def of_bytes(rgb: tuple[int, int, int]) -> Float[np.ndarray, "3"]:
    """Linear RGB of an 8-bit sRGB colour."""
    return to_linear(np.array(rgb, np.float32) / 255)


def luminance(linear: Float[np.ndarray, "*n 3"]) -> Float[np.ndarray, "*n"]:
    """Y of linear sRGB."""
    return np.asarray(linear @ np.array([0.2126, 0.7152, 0.0722], np.float32))


def skin_colour(ita_deg: float, *, redness: float = 0.0, yellowness: float = 0.0) -> Float[np.ndarray, "3"]:
    """Reflectance of skin, linear RGB. redness and yellowness: added to a* and b*."""
    lab = np.array([np.interp(ita_deg, _ITA, _SKIN_LAB[:, i]) for i in range(3)])
    return np.clip(lab_to_linear(lab + (0, redness, yellowness)), 0.005, 0.9)


def lab_to_linear(lab: Float[np.ndarray, "3"]) -> Float[np.ndarray, "3"]:
    """CIE L*a*b* (D65) to linear sRGB, which may leave 0..1."""
    fy = (lab[0] + 16) / 116
    f = np.array([fy + lab[1] / 500, fy, fy - lab[2] / 200])
    xyz = np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29)) * (0.95047, 1.0, 1.08883)
    matrix = np.array([[3.2406, -1.5372, -0.4986], [-0.9689, 1.8758, 0.0415], [0.0557, -0.2040, 1.0570]])
    return (matrix @ xyz).astype(np.float32)
