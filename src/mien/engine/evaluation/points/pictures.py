"""A face of an evaluation as it was cut out, with its true and its predicted points."""

from dataclasses import replace

import numpy as np
from markupsafe import Markup
from PIL import Image, ImageDraw

from mien.engine.evaluation.points.predictions import PointEvaluation
from mien.media.crop import crop_pixels
from mien.media.image import load_image
from mien.report import parts

SIDE = 192  # CSS pixels of the picture in the report; it is drawn with twice as many
TRUE, PREDICTED = (0, 200, 110), (255, 120, 20)
_RADIUS = 2.5  # pixels of a point


def face_with_points(result: PointEvaluation, key: str) -> Markup:
    """An <img> of the network's crop, enlarged. Green points are true, orange ones predicted."""
    predictions = result.main
    place = predictions.keys.index(key)
    sample = next(s for s in result.target.samples if s.key == key)
    crop = replace(predictions.crops[place], size=2 * SIDE)
    loaded = load_image(sample.path, span=sample.span)
    image = Image.fromarray(crop_pixels(loaded, crop, replace(result.info.picture, color="rgb", size=2 * SIDE)))
    draw = ImageDraw.Draw(image)
    for points, colour in ((predictions.truth_px[place], TRUE), (predictions.predicted_px[place], PREDICTED)):
        for x, y in np.asarray(crop.to_crop(points)):
            draw.ellipse([x - _RADIUS, y - _RADIUS, x + _RADIUS, y + _RADIUS], fill=colour)
    return parts.photo(image, alt=f"the face in {key}", css_class="face large")
