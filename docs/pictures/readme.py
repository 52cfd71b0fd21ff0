"""Draws docs/pictures/readings.jpg: predictions of the models that ship for a photograph and three synthetic faces.

    python docs/pictures/readme.py

The photograph is scikit-image's astronaut (NASA, public domain).
"""

from pathlib import Path

import numpy as np
from PIL import Image
from skimage import data

from mien import Analyzer
from mien.runtime.landmarks import Landmarker
from mien.runtime.overlay import draw
from mien.synthetic.people import unframed_portrait

SIDE = 300
PEOPLE = (("happiness", 1), ("surprise", 13), ("neutral", 23))  # expression, number of the picture


def main() -> None:
    analyzer = Analyzer(backend="onnxruntime", landmarks=Landmarker(backend="onnxruntime"))
    pictures = [np.ascontiguousarray(data.astronaut()[:SIDE, 80 : 80 + SIDE])]
    pictures += [unframed_portrait(7, number, expression=name, size=SIDE) for name, number in PEOPLE]
    drawn = [draw(pixels, analyzer.read(pixels)) for pixels in pictures]
    Image.fromarray(np.concatenate(drawn, axis=1)).save(Path(__file__).with_name("readings.jpg"), quality=88)


if __name__ == "__main__":
    main()
