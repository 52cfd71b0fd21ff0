"""The pictures of `mien perceive`: panels beside one another, the sheet of strengths, frames of the video."""

from collections.abc import Mapping

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from mien.core.records import Box
from mien.engine.reading.perceive.tables import Expressions, top
from mien.report.panels import GAP, LINE, heat_over, panels
from mien.runtime.voice.perceiver import Perceived

SCREEN, SCREEN_FACE = (640, 360), 288  # of the video, and of a face beside it
GAIN = 2.0  # of the change on the photo
LEAST_FULL = 0.02  # difference that the heat map's brightest colour stands for at least, of 1
_SCREEN = "#14171b"
WAY_NAMES = {"face": "face alone", "voice": "voice alone", "both": "face with voice"}


def perceived_sheet(photo: np.ndarray, perceived: Perceived, found: Expressions) -> Image.Image:
    """The face, its reconstruction without and with the voice, what the voice changed, and that change on the photo."""
    full = full_scale(perceived)
    return panels(
        [photo, perceived.plain, perceived.perceived, heat_map(perceived), changed_photo(photo, perceived)],
        [
            ("face", "the photo"),
            ("without the voice", described(found, "face")),
            ("with the voice", described(found, "both")),
            ("what the voice changed", f"brightest: {100 * full:.1f} % of full scale"),
            ("the change on the photo", f"{GAIN:g} times as strong"),
        ],
    )


def strength_sheet(steps: Mapping[float, Perceived]) -> Image.Image:
    """The perceived face at each strength."""
    captions = [(f"strength {t:g}", described(each.expressions, "both")) for t, each in steps.items()]
    return panels([each.perceived for each in steps.values()], captions)


def changed_photo(photo: np.ndarray, perceived: Perceived) -> np.ndarray:
    """The photo [side, side, 3] and GAIN times the difference of the two reconstructions, enlarged to it: uint8. What
    the network does not keep of the face stays the photo's."""
    change = perceived.perceived.astype(np.float32) - perceived.plain
    enlarged = cv2.resize(change, photo.shape[1::-1], interpolation=cv2.INTER_CUBIC)
    return np.round(photo + GAIN * enlarged).clip(0, 255).astype(np.uint8)


def heat_map(perceived: Perceived) -> np.ndarray:
    """Where the perceived picture differs from the plain one, over the plain one in grey: uint8 [side, side, 3]."""
    change = cv2.GaussianBlur(perceived.change, (0, 0), max(0.5, perceived.plain.shape[0] / 128))
    return heat_over(perceived.plain, change / full_scale(perceived))


def full_scale(perceived: Perceived) -> float:
    """What the heat map's brightest colour stands for, of 1."""
    return max(LEAST_FULL, float(np.percentile(perceived.change, 99)))


def described(found: Expressions, way: str) -> str:
    """The likeliest class with its probability; empty where it was not read."""
    if not found.get(way):
        return ""
    name, value = top(found[way])
    return f"{name} {100 * value:.0f} %"


class Screen:
    """The frames of the written video: the source, the face without and with the voice, the three expressions."""

    def __init__(self, width: int, height: int) -> None:
        scale = min(SCREEN[0] / width, SCREEN[1] / height)
        self._video = max(2, round(width * scale)), max(2, round(height * scale))
        self._scale = scale
        self.size = self._video[0] + 2 * SCREEN_FACE + 4 * GAP, SCREEN[1] + 2 * GAP + 3 * LINE + 8
        self.size = self.size[0] // 2 * 2, self.size[1] // 2 * 2
        self._fonts = ImageFont.load_default(15), ImageFont.load_default(17)

    def frame(
        self, pixels: np.ndarray, box: Box | None, perceived: Perceived | None, found: Expressions, note: str
    ) -> np.ndarray:
        """uint8 [height, width, 3]. note: what is shown where there is nothing to perceive."""
        sheet = Image.new("RGB", self.size, _SCREEN)
        canvas, top_edge = ImageDraw.Draw(sheet), GAP + (SCREEN[1] - self._video[1]) // 2
        shown = cv2.resize(pixels, self._video, interpolation=cv2.INTER_AREA)
        sheet.paste(Image.fromarray(shown), (GAP, top_edge))
        if box is not None:
            edges = [v * self._scale + (GAP if i % 2 == 0 else top_edge) for i, v in enumerate(box)]
            canvas.rectangle(edges, outline="#ffffff", width=2)
        small, large = self._fonts
        faces = (
            []
            if perceived is None
            else [("without the voice", perceived.plain), ("with the voice", perceived.perceived)]
        )
        for number, (title, picture) in enumerate(faces):
            left = 2 * GAP + self._video[0] + number * (SCREEN_FACE + GAP)
            canvas.text((left, GAP), title, fill="#a0a9b5", font=small)
            face = cv2.resize(picture, (SCREEN_FACE, SCREEN_FACE), interpolation=cv2.INTER_CUBIC)
            sheet.paste(Image.fromarray(face), (left, GAP + LINE))
        if not faces:
            canvas.text((2 * GAP + self._video[0], GAP), note, fill="#a0a9b5", font=small)
        for line, (way, name) in enumerate(WAY_NAMES.items()):
            place = SCREEN[1] + 2 * GAP + line * LINE
            canvas.text((GAP, place), name, fill="#a0a9b5", font=small)
            canvas.text((GAP + 130, place), described(found, way) or "-", fill="#ffffff", font=large)
            if found.get(way):
                share = top(found[way])[1]
                canvas.rectangle([GAP + 330, place + 5, GAP + 330 + 240, place + 15], fill="#343b44")
                canvas.rectangle([GAP + 330, place + 5, GAP + 330 + 240 * share, place + 15], fill="#5ea7ee")
        return np.asarray(sheet)
