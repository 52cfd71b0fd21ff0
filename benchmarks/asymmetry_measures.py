"""Each measure of left against right as a bundle reads it, over the truth, on synthetic people nobody was trained on.

    mien data synth people --output palsy --faces 400 --options.palsy 0.8 --options.yaw_max_deg 20 --seed 7777
    python benchmarks/asymmetry_measures.py palsy [BUNDLE]

Of each measure's difference, right minus left: the spread of the truth, how much of it is found (slope of a straight
line), the correlation, and the root mean square error. The truth is the head turned to the front by its exact depth;
the reading is turned by the bundle's, if it has one. Faces are cut out by the set's own boxes, which lie about as a
detector's.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from mien.core.records import FacePoints, Sample
from mien.data.readers import open_reader
from mien.media.image import load_image
from mien.runtime.asymmetry.static import analyse
from mien.runtime.landmarks import Landmarker
from mien.runtime.pose import head_pose


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("people", type=Path, help="a folder by mien data synth people")
    parser.add_argument("bundle", nargs="?", help="a landmark bundle; the one that ships by default")
    parser.add_argument("--faces", type=int, default=1000, help="at most so many")
    parser.add_argument("--turn-deg", type=float, default=90.0, help="only heads turned by less")
    parser.add_argument("--flat", action="store_true", help="leave the bundle's depth unused")
    parser.add_argument("--json", type=Path, help="write what is found, for `measures_found` in a bundle's provenance")
    options = parser.parse_args()
    reader = Landmarker(options.bundle)
    people = open_reader("people", options.people)
    faces = [s for split in people.splits for s in people.samples(split)]
    faces = [s for s in faces if abs(np.degrees(s.pose_rad[1])) < options.turn_deg][: options.faces]
    found = [reader.read(load_image(s.path).pixels, s.box) for s in faces]
    deep = "depth" in reader.outputs and not options.flat
    true = [differences(truth(s)) for s in faces]
    read = [differences(face if deep else replace(face, depth_px=None, pose_rad=None)) for face in found]
    print(f"{reader}, {len(faces)} faces, {'turned to the front by depth' if deep else 'as they are in the picture'}")
    print(f"{'difference, right minus left':30s} {'truth, sd':>10s} {'found':>6s} {'r':>6s} {'rms error':>10s}")
    shares = {}
    for name in true[0]:
        x, y = (np.array([row[name] for row in rows]) for rows in (true, read))
        if x.std() > 1e-9:
            slope, r = np.polyfit(x, y, 1)[0], np.corrcoef(x, y)[0, 1]
            shares[name] = round(float(slope), 2)
            print(f"{name:30s} {x.std():10.2f} {slope:6.2f} {r:6.2f} {np.sqrt(np.mean((y - x) ** 2)):10.2f}")
    if options.json:
        options.json.write_text(json.dumps(shares))


def truth(sample: Sample) -> FacePoints:
    points, depth = np.asarray(sample.landmarks_px, float), np.asarray(sample.depth_px, float)
    return FacePoints(points, depth_px=depth - depth.mean(), pose_rad=head_pose(points, depth))


def differences(face: FacePoints) -> dict[str, float]:
    return {m.name: m.difference.value for m in analyse(replace(face, sigma_px=None)).measures}


if __name__ == "__main__":
    main()
