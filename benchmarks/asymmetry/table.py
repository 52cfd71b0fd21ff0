"""The readings of `readings.py` as arrays: read and true measures, conditions of the picture, who and what it shows."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mien.core.landmarks import SCHEME_68
from mien.core.records import FacePoints
from mien.runtime.asymmetry.frame import Method
from mien.runtime.asymmetry.mirror import mean_of
from mien.runtime.asymmetry.significance.errors import Conditions
from mien.runtime.asymmetry.static import FaceMeasures, analyse

EXACT = Method(draws=0)
Columns = dict[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Table:
    """Rows are faces. read, true: measure -> [n, 3] difference (or value), right, left; NaN where there is none."""

    read: Columns
    true: Columns
    regions: Columns
    """Region -> percent as read."""
    conditions: np.ndarray
    """[n, 6] as Conditions.values."""
    yaw_deg: np.ndarray
    facts: Columns = field(default_factory=dict)
    """person, kind, task, side, severity, ..."""

    def __len__(self) -> int:
        return len(self.yaw_deg)

    def at(self, rows: np.ndarray) -> "Table":
        """Some rows."""
        parts = [{k: v[rows] for k, v in c.items()} for c in (self.read, self.true, self.regions, self.facts)]
        return Table(parts[0], parts[1], parts[2], self.conditions[rows], self.yaw_deg[rows], parts[3])


def load_table(folder: Path, name: str, *, mirrored: bool, only: Path | None = None) -> Table:
    """All shards of `name`, or one. mirrored: the mean of both readings, else the first alone."""
    paths = [only] if only else sorted(folder.glob(f"{name}_[0-9]*.npz"))
    shards = [dict(np.load(path)) for path in paths]
    if not shards:
        raise SystemExit(f"No readings {name} in {folder}.")
    joined = {key: np.concatenate([shard[key] for shard in shards]) for key in shards[0]}
    read, true, regions, conditions = [], [], [], []
    for i in range(len(joined["number"])):
        measured, mirror = reading(joined, i, mirrored=mirrored)
        sharp = float(joined["sharpness"][i])
        conditions.append(Conditions.of(measured, sharpness=sharp, mirror_percent=mirror))
        read.append(numbers(measured))
        true.append(numbers(truth_of(joined["head_m"][i])) if "head_m" in joined else {})
        regions.append({region.name: region.asymmetry.value for region in measured.regions})
    facts = {k: v for k, v in joined.items() if k not in ("grey",) and not k.startswith("mirrored_")}
    return Table(
        _columns(read), _columns(true), _columns(regions), np.stack([c.values for c in conditions]),
        np.array([c.yaw_deg for c in conditions]), facts,
    )  # fmt: skip


def reading(rows: Columns, i: int, *, mirrored: bool) -> tuple[FaceMeasures, float | None]:
    """The measured face, and the mean distance of both readings in percent of that of the outer eye corners."""
    first = _face(rows, i, "")
    if not mirrored:
        return analyse(first, method=EXACT), None
    second = _face(rows, i, "mirrored_")
    gap = np.linalg.norm(first.landmarks_px - second.landmarks_px, axis=1).mean()
    percent = 100 * float(gap) / float(SCHEME_68.interocular(first.landmarks_px))
    return analyse(mean_of(first, second), method=EXACT), percent


def truth_of(head: np.ndarray) -> FaceMeasures:
    """Measures of the head's own points, [68, 3], x to the person's left, y up, z to the front."""
    exact = FacePoints(head[:, :2] * (1, -1), depth_px=head[:, 2], pose_rad=(0.0, 0.0, 0.0))
    return analyse(exact, method=EXACT)


def numbers(measured: FaceMeasures) -> dict[str, tuple[float, float, float]]:
    """Difference (or value), right and left of each measure."""
    nan = float("nan")
    return {
        m.name: (m.difference.value, m.right.value if m.right else nan, m.left.value if m.left else nan)
        for m in measured.measures
    }


def _face(rows: Columns, i: int, prefix: str) -> FacePoints:
    part = {name: rows[prefix + name][i].astype(float) for name in ("landmarks_px", "depth_px", "sigma_px")}
    pitch, yaw, roll = rows[f"{prefix}pose_rad"][i].tolist()
    return FacePoints(**part, pose_rad=(pitch, yaw, roll))


def _columns(rows: list[dict[str, object]]) -> Columns:
    return {name: np.array([row[name] for row in rows], float) for name in rows[0]}
