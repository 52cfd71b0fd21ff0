"""A face of an evaluation as it was cut out, with its true and its predicted points."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mien.engine.evaluation.result import LandmarkEvaluation

SIDE = 192  # pixels of the picture in the report
TRUE, ANSWERED = (0, 200, 110), (255, 120, 20)


def face_with_points(result: "LandmarkEvaluation", key: str) -> str:
    """An <img> of the crop that the network got, larger."""
    import io
    from dataclasses import replace

    import numpy as np
    from PIL import Image, ImageDraw

    from mien.engine.evaluation.points.crops import pixels_of
    from mien.media.image import load_image
    from mien.report.page import picture

    answers = result.main
    place = answers.keys.index(key)
    sample = next(s for s in result.target.samples if s.key == key)
    crop = replace(answers.crops[place], size=2 * SIDE)
    loaded = load_image(sample.path, span=sample.span)
    image = Image.fromarray(pixels_of(loaded, crop, replace(result.info.picture, color="rgb", size=2 * SIDE)))
    draw = ImageDraw.Draw(image)
    for points, colour in ((answers.truth_px[place], TRUE), (answers.predicted_px[place], ANSWERED)):
        for x, y in np.asarray(crop.to_crop(points)):
            draw.ellipse([x - 2.5, y - 2.5, x + 2.5, y + 2.5], fill=colour)
    encoded = io.BytesIO()
    image.save(encoded, format="JPEG", quality=80)
    return picture(encoded.getvalue(), alt=f"the face in {key}", css_class="face large", kind="jpeg")
