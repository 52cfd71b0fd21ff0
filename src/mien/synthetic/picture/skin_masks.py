"""Where things are on a face, drawn on the atlas from its 68 landmarks."""

import numpy as np

from mien.synthetic.picture.atlas import Atlas, smooth


def skin_masks(atlas: Atlas) -> dict[str, np.ndarray]:
    """Where things are on the face, each [side, side] in 0..1."""
    p = atlas.points
    unit = float(p[45, 0] - p[36, 0])  # the outer eye corners' distance, about 0.09 m
    inside = np.clip(
        atlas.area(p.mean(0) + np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * (0.8 * unit, 0.98 * unit), 0.006), 0, 1
    )
    masks = {
        "inside": inside,
        "seam": atlas.line(
            np.concatenate([p[48:49], (p[[60, 61, 62, 63, 64]] + p[[60, 67, 66, 65, 64]]) / 2, p[54:55]]), 0.0011
        ),
        "lips": atlas.area(_closed(p[48:60]), 0.0009),
        "blush": np.zeros_like(inside),
        "sockets": np.zeros_like(inside),
        "freckled": atlas.blob(p[29] + (0, 0.005), (0.75 * unit, 0.3 * unit)),
        "shiny": np.maximum(
            atlas.blob(p[30] - (0, 0.004), (0.14 * unit, 0.2 * unit)),
            atlas.blob((0, p[19, 1] - 0.3 * unit), (0.4 * unit, 0.25 * unit)),
        ),
        "nostrils": np.zeros_like(inside),
        "creases": np.zeros_like(inside),
        "hollows": atlas.blob(p[57] + (0, 0.0075), (0.3 * unit * 0.6, 0.0045))
        + 0.5 * atlas.blob(p[33] + (0, 0.006), (0.012, 0.005)),
        "upper lashes": np.zeros_like(inside),
        "lower lashes": np.zeros_like(inside),
        "lid": np.zeros_like(inside),
        **_beard_masks(atlas, unit),
    }
    masks["blush"] += 0.6 * atlas.blob(p[30], (0.2 * unit, 0.16 * unit)) + 0.35 * atlas.blob(
        p[8] - (0, 0.012), (0.25 * unit, 0.16 * unit)
    )
    for sign, eye, mouth, wing in ((-1.0, p[36:42], p[48], p[31]), (1.0, p[[45, 44, 43, 42, 47, 46]], p[54], p[35])):
        cheek = np.array([eye[0, 0] * 0.86, 0.45 * eye[0, 1] + 0.55 * mouth[1]])
        masks["blush"] += atlas.blob(cheek, (0.27 * unit, 0.2 * unit))
        masks["sockets"] += atlas.blob(eye.mean(0) + (-sign * 0.004, 0.004), (0.24 * unit, 0.16 * unit))
        masks["hollows"] += atlas.blob(eye[3] + (sign * 0.004 * -0.5, -0.0075), (0.0085, 0.0075))
        masks["hollows"] += 0.5 * atlas.blob(eye[[0, 3]].mean(0) + (0, -0.0095), (0.016, 0.0045))
        masks["nostrils"] += atlas.blob(wing + (-sign * 0.0058, -0.0008), (0.0042, 0.0026), angle_rad=sign * 0.35)
        masks["creases"] += atlas.line(
            np.array([wing + (sign * 0.003, -0.011), wing + (sign * 0.005, -0.005), wing + (sign * 0.002, 0.001)]),
            0.002,
        )
        masks["creases"] += 0.8 * atlas.line(
            np.array(
                [eye[0] + (0.5 * sign * 0.004, -0.004), (eye[1] + eye[2]) / 2 - (0, 0.0062), eye[3] + (0, -0.005)]
            ),
            0.0013,
        )
        masks["upper lashes"] += atlas.line(
            np.concatenate([[eye[0] + (sign * 0.0025, -0.0002)], eye[:4]]) - (0, 0.0009), 0.0022, taper=False
        )
        masks["lower lashes"] += atlas.line(np.array([eye[0], eye[5], eye[4], eye[3]]) + (0, 0.0006), 0.0011)
        masks["lid"] += atlas.area(np.concatenate([eye[:4], eye[3:0:-1] - (0, 0.007)]), 0.002)
        masks[f"chin_{'R' if sign < 0 else 'L'}"] = atlas.blob(p[8] + (sign * 0.011, -0.013), (0.013, 0.012))
    # What reaches the border would be smeared over all that lies beyond it.
    ends = np.minimum(np.arange(atlas.side), np.arange(atlas.side)[::-1]) / (0.07 * atlas.side)
    border = np.clip(np.minimum(ends[:, None], ends[None]), 0, 1)
    return {name: (np.clip(mask, 0, 1) * border).astype(np.float32) for name, mask in masks.items()}


def _beard_masks(atlas: Atlas, unit: float) -> dict[str, np.ndarray]:
    p = atlas.points
    under = np.array([0, 0.12 * unit])
    jaw = np.concatenate(
        [
            [p[1] + (0.0, 0)],
            p[2:15],
            [p[15]],
            [p[14] - (0.008, 0.004)],
            [p[54] + (0.012, 0.002)],
            [p[33] + (0.004, 0.004)],
        ]
        + [[p[33] - (0.004, -0.004)], [p[48] + (-0.012, 0.002)], [p[2] + (0.008, -0.004)]]
    )
    below = np.concatenate([p[3:14], (p[3:14] + under)[::-1]])
    upper = np.concatenate(
        [
            [p[48] + (-0.006, 0.003)],
            [p[31] + (0, 0.004)],
            [p[33] + (0, 0.003)],
            [p[35] + (0, 0.004)],
            [p[54] + (0.006, 0.003)],
            p[54:47:-1],
        ]
    )
    chin = np.concatenate(
        [
            [p[48] + (-0.006, 0)],
            [p[6] + (0.004, 0)],
            p[7:10] + (0, 0.012),
            [p[10] - (0.004, 0)],
            [p[54] + (0.006, 0)],
            p[55:60],
        ]
    )
    bare = 1 - np.clip(atlas.blob(p[57] + (0, 0.0045), (0.022, 0.0035)), 0, 1) * 0.6
    return {
        "beard": np.clip(atlas.area(jaw, 0.004) + 0.6 * atlas.area(below, 0.006), 0, 1) * bare,
        "moustache": atlas.area(upper, 0.0018),
        "goatee": atlas.area(chin, 0.004) * bare,
    }


def _closed(points: np.ndarray) -> np.ndarray:
    return smooth(np.concatenate([points, points[:1]]), 60)
