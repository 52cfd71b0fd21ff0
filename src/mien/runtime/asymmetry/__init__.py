"""Left against right: measures of one face, of one movement and of the instrument itself. Estimates, no diagnosis.

`analyse` measures one face, `analyse_track` a movement, `mirror_test` the reader of the points, `check_quality` the
picture; `scales` turns measures of several expressions into estimates of clinical scales. All of it takes FacePoints
with 68 points; nothing here needs a network.
"""

from mien.runtime.asymmetry.dynamic import Movement, analyse_track
from mien.runtime.asymmetry.frame import Frame, Method, Scale
from mien.runtime.asymmetry.measures import Estimate, Measure
from mien.runtime.asymmetry.mirror import MirrorTest, mirror_test, mirrored_points
from mien.runtime.asymmetry.quality import Check, check_quality
from mien.runtime.asymmetry.scales import ScaleEstimate, estimate_scales
from mien.runtime.asymmetry.static import FaceMeasures, analyse

__all__ = [
    "Check", "Estimate", "FaceMeasures", "Frame", "Measure", "Method", "MirrorTest", "Movement", "Scale",
    "ScaleEstimate", "analyse", "analyse_track", "check_quality", "estimate_scales", "mirror_test", "mirrored_points",
]  # fmt: skip
