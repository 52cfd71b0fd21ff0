"""Pictures beside one another with lines of text below, and heat maps over a picture in grey."""

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw, ImageFont

GAP, LINE = 14, 22  # pixels
LEAST_SIDE = 224  # of a panel; smaller pictures are shown enlarged
_PAPER, _INK, _MUTED = "#ffffff", "#1b1f24", "#5b6470"
Pixels = UInt8[np.ndarray, "height width 3"]


def panels(pictures: Sequence[np.ndarray], captions: Sequence[Sequence[str]]) -> Image.Image:
    """Square pictures in a row, each with its lines of text below."""
    side, lines = max(LEAST_SIDE, pictures[0].shape[0]), max(map(len, captions))
    sheet = Image.new("RGB", (GAP + len(pictures) * (side + GAP), 2 * GAP + side + lines * LINE), _PAPER)
    canvas, font = ImageDraw.Draw(sheet), ImageFont.load_default(15)
    for number, (pixels, texts) in enumerate(zip(pictures, captions, strict=True)):
        left = GAP + number * (side + GAP)
        sheet.paste(Image.fromarray(pixels).resize((side, side), Image.Resampling.BICUBIC), (left, GAP))
        for line, text in enumerate(texts):
            place = (left, GAP + side + 6 + line * LINE)
            canvas.text(place, _fitting(text, font, side), fill=_MUTED if line else _INK, font=font)
    return sheet


def heat_over(pixels: Pixels, share: Float[np.ndarray, "height width"]) -> Pixels:
    """The picture in grey under a map of 0..1, which is the brighter the larger it is; 0 is transparent."""
    share = np.clip(share, 0, 1).astype(np.float32)
    grey = np.repeat(pixels.mean(2, keepdims=True), 3, axis=2) * 0.6 + 60
    colours = cv2.applyColorMap((255 * share).astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1]
    weight = (0.85 * share**0.7)[..., None]
    return np.round(weight * colours + (1 - weight) * grey).clip(0, 255).astype(np.uint8)


def _fitting(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: float) -> str:
    while len(text) > 1 and font.getlength(text) > width:
        text = text[:-2].rstrip() + "…"
    return text
