"""Where a face is cut out: by the data set's box, by its points as ParFace and 3FabRec cut faces out, or about where
a face detector would put its box, so that a network learns the crops that it will read in.
"""

from collections.abc import Sequence
from dataclasses import replace

from mien.core.errors import MienError
from mien.core.framing import POINT_BOXES
from mien.core.records import Box, Sample


def framed(samples: Sequence[Sample], crop_source: str) -> list[Sample]:
    """The samples with the box that `crop_source` names; PictureInput's box_scale and box_shift come after it.

    Raises MienError for a face without points where crops are to be made by them.
    """
    if crop_source == "box":
        return list(samples)
    if without := next((sample for sample in samples if sample.landmarks_px is None), None):
        raise MienError(f"data.crop_source: {crop_source} needs points of every face; {without.key} has none. Use box.")
    return [replace(sample, box=_of(sample, crop_source)) for sample in samples]


def _of(sample: Sample, crop_source: str) -> Box:
    assert sample.landmarks_px is not None
    try:
        return POINT_BOXES[crop_source](sample.landmarks_px)
    except MienError as error:
        raise MienError(f"data.crop_source: {crop_source}: {sample.key}: {error}") from error
