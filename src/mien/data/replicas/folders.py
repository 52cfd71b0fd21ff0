"""Replicas of sets whose classes are folders, and of those whose annotation is a file beside each picture."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2

from mien.data.replicas.face import Face, Written
from mien.data.replicas.picture import write_picture
from mien.media.points import write_pts
from mien.synthetic.drawn_shape import EXPRESSIONS

# Invented titles.
_FILMS = ("NightTrain", "OrchardRoad", "PaperMoons", "Lighthouse", "TwoSuitcases", "SlowRiver", "GlassHotel", "Harvest")
_SFEW_FOLDERS = {
    "anger": "Angry", "disgust": "Disgust", "fear": "Fear", "happiness": "Happy", "neutral": "Neutral",
    "sadness": "Sad", "surprise": "Surprise",
}  # fmt: skip
_SFEW_WIDTH = 143 / 181  # of the height


def write_class_folders(folder: Path, faces: Iterable[Face]) -> Iterator[Written]:
    """`train|test/<expression>/*.png`, and the points beside each picture: for `drawn` and `image_folder`."""
    for face in faces:
        key = f"{face.split}/{face.expression}/{face.number:05d}.png"
        write_picture(folder / key, face.pixels)
        write_pts((folder / key).with_suffix(".pts"), face.landmarks_px)
        yield Written(key, face.split, face.expression, landmarks_px=face.landmarks_px)


def write_plain_folders(folder: Path, faces: Iterable[Face]) -> list[Written]:
    """As `write_class_folders`, for a reader that takes no points."""
    return [face._replace(landmarks_px=None) for face in write_class_folders(folder, faces)]


def write_rafdb_folders(folder: Path, faces: Iterable[Face]) -> Iterator[Written]:
    """`train|test/1..7/*.jpg`."""
    for face in faces:
        code = EXPRESSIONS.index(face.expression) + 1
        key = f"{face.split}/{code}/{face.split}_{face.number:05d}_aligned.jpg"
        write_picture(folder / key, face.pixels)
        yield Written(key, face.split, face.expression)


def write_sfew(folder: Path, faces: Iterable[Face]) -> Iterator[Written]:
    """`Train|Val/*_Aligned_Faces/<class>/FILM_TIME_FRAME.png`, 143 x 181 in shape; a film for every person."""
    for face in faces:
        part = "Train" if face.split == "train" else "Val"
        film = _FILMS[face.person % len(_FILMS)] + str(face.person // len(_FILMS) + 1)
        seconds = 40 * face.number
        clip = f"{film}_{seconds // 3600:01d}{seconds // 60 % 60:02d}{seconds % 60:02d}{face.number % 1000:04d}"
        key = f"{part}/{part}_Aligned_Faces/{_SFEW_FOLDERS[face.expression]}/{clip}_{face.number % 90 + 1:08d}.png"
        side = len(face.pixels)
        narrow = cv2.resize(face.pixels, (round(side * _SFEW_WIDTH), side), interpolation=cv2.INTER_AREA)
        write_picture(folder / key, narrow)
        yield Written(key, face.split, face.expression, film, clip)
