"""Differences read against those of people's annotations, on photographs: what share is found, what annotations allow.

    python benchmarks/asymmetry/readings.py photos AFW --readings READINGS --name afw
    python benchmarks/asymmetry/annotated.py READINGS afw [--turn-deg 10]

Annotated points have no depth: they are turned to the front by the depth that was read, and what that turn leaves is
taken out of both. Of each measure: spread of the annotated and of the corrected difference, share found (slope of read
over annotated, through 0), reliability of the annotated differences (slope of the corrected over the annotated one:
what it lacks to 1 is the annotators' noise, as far as the correction is right), and how many annotated differences lie
in the 90 % range of the reading.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from table import EXACT, reading

from mien.media.files import read_info
from mien.runtime.asymmetry.measures import DEFINITIONS
from mien.runtime.asymmetry.significance.errors import ERRORS_FILE, Conditions, load_errors
from mien.runtime.asymmetry.static import analyse
from mien.runtime.landmarks import shipped_landmarks


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("readings", type=Path)
    parser.add_argument("names", nargs="+")
    parser.add_argument("--turn-deg", type=float, default=20.0, help="only heads turned by less")
    options = parser.parse_args()
    folder = shipped_landmarks()
    assert folder is not None
    errors = load_errors(folder / ERRORS_FILE, mirrored=True, files=read_info(folder).files)
    assert errors is not None
    rows: dict[str, list[tuple[float, float, float, float]]] = {d.name: [] for d in DEFINITIONS}
    for path in sorted(path for name in options.names for path in options.readings.glob(f"{name}_[0-9]*.npz")):
        joined = dict(np.load(path))
        for i in range(len(joined["number"])):
            measured, mirror = reading(joined, i, mirrored=True)
            conditions = Conditions.of(measured, sharpness=float(joined["sharpness"][i]), mirror_percent=mirror)
            if abs(conditions.yaw_deg) > options.turn_deg or not np.isfinite(joined["truth_px"][i]).all():
                continue
            fitted = errors.applied(measured, conditions)
            annotated = analyse(replace(measured.face, landmarks_px=joined["truth_px"][i].astype(float)), method=EXACT)
            for one, other in zip(fitted.measures, annotated.measures, strict=True):
                assert one.true is not None
                turned = errors.measures[one.name].turn * conditions.yaw_deg
                pair = other.difference.value - turned, one.difference.value - turned
                rows[one.name].append((*pair, one.true.value, one.true.half_90))
    _print(rows)


def _print(rows: dict[str, list[tuple[float, float, float, float]]]) -> None:
    print(
        f"{len(rows['mrd1'])} faces\n| measure | SD annotated | SD corrected | found | r | reliability | in the range |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- |")
    held = []
    for name, values in rows.items():
        true, read, corrected, half = np.array(values).T
        share, rest = (float(v @ true / (true @ true)) for v in (read, corrected))
        inside = np.abs(true - corrected) <= half
        held.append(inside.mean())
        r = np.corrcoef(true, read)[0, 1]
        print(f"| `{name}` | {true.std():.2f} | {corrected.std():.2f} | {share:.2f} | {r:.2f} | "
              f"{rest:.2f} | {100 * inside.mean():.0f} % |")  # fmt: skip
    print(f"all measures: {100 * np.mean(held):.1f} % in the range")


if __name__ == "__main__":
    main()
