"""Replicas of sets posed in a laboratory: the same persons many times, annotated by file names and parallel trees."""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from mien.core.framing import box_of
from mien.core.labels import label_set
from mien.data.replicas.face import Face, Shot, Written
from mien.data.replicas.picture import grey, in_scene, middle, write_lines, write_picture

CKPLUS_FRAMES = 6
CKPLUS_CLASSES = label_set("ckplus7").classes
_LABELLED_FRAMES = 3  # as the reader counts by default
_JAFFE_PERSONS = ("KA", "KL", "KM", "KR", "MK", "NA", "NM", "TM", "UY", "YM")
_JAFFE_CODES = {"anger": "AN", "disgust": "DI", "fear": "FE", "happiness": "HA", "neutral": "NE", "sadness": "SA",
                "surprise": "SU"}  # fmt: skip
_KDEF_CODES = _JAFFE_CODES | {"fear": "AF"}
_KDEF_ANGLES = ("S", "HL", "HR", "FL", "FR")
# The action units by which Lucey et al. (2010, table 2) sort sequences into classes.
_UNITS = {"anger": (23, 24), "contempt": (14,), "disgust": (9,), "fear": (1, 2, 4), "happiness": (6, 12),
          "sadness": (1, 4, 15), "surprise": (1, 2, 5)}  # fmt: skip


def write_ckplus(folder: Path, faces: Iterable[Face]) -> list[Written]:
    """A sequence a face, neutral to the peak: grey frames of 640:490, points, action units, the class of the peak."""
    written, clips = [], Counter[int]()
    for face in faces:
        clips[face.person] += 1
        clip = f"S{face.person + 5:03d}/{clips[face.person]:03d}"
        shots = [*face.earlier, Shot(face.pixels, face.landmarks_px)]
        frames = [_ckplus_frame(folder, clip, number, shot) for number, shot in enumerate(shots, 1)]
        stem = f"{clip}/{clip.replace('/', '_')}_{len(shots):08d}"
        write_lines(folder / "Emotion" / f"{stem}_emotion.txt", [_row(label_set("ckplus").index(face.expression))])
        units = [_row(unit, face.number % 5 + 1) for unit in _UNITS[face.expression]]
        write_lines(folder / "FACS" / f"{stem}_facs.txt", units)
        first_labelled = max(1, len(frames) - _LABELLED_FRAMES)
        written += [frame._replace(expression=face.expression) for frame in frames[first_labelled:]]
        written.append(frames[0]._replace(expression="neutral"))
    return written


def _ckplus_frame(folder: Path, clip: str, number: int, shot: Shot) -> Written:
    height = round(1.25 * len(shot.pixels))
    size = (height, round(height * 640 / 490))
    points = shot.landmarks_px + middle(shot.pixels, size)
    stem = f"{clip}/{clip.replace('/', '_')}_{number:08d}"
    key = f"cohn-kanade-images/{stem}.png"
    write_picture(folder / key, grey(in_scene(shot.pixels, size)))
    write_lines(folder / "Landmarks" / f"{stem}_landmarks.txt", [_row(*point) for point in points.tolist()])
    return Written(key, "all", None, clip.partition("/")[0], clip, box_of(points), points)


def _row(*numbers: float) -> str:
    """As MATLAB saves numbers as text."""
    return "".join(f"   {number:.7e}" for number in numbers)


def write_jaffe(folder: Path, faces: Iterable[Face]) -> Iterator[Written]:
    """`KA.AN1.39.tiff`: grey, persons' initials as in the set, then AA, AB, ..."""
    pictures = Counter[str]()
    for face in faces:
        person = _initials(face.person)
        clip = f"{person}.{_JAFFE_CODES[face.expression]}"
        pictures[clip] += 1
        key = f"{clip}{pictures[clip]}.{face.number}.tiff"
        write_picture(folder / key, grey(face.pixels))
        yield Written(key, "all", face.expression, person, clip)


def _initials(person: int) -> str:
    if person < len(_JAFFE_PERSONS):
        return _JAFFE_PERSONS[person]
    letters = [a + b for a in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" for b in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"]
    return [pair for pair in letters if pair not in _JAFFE_PERSONS][person - len(_JAFFE_PERSONS)]


def write_kdef(folder: Path, faces: Iterable[Face]) -> Iterator[Written]:
    """`KDEF/AF01/AF01AFS.JPG`, 562:762. A person's second picture of an expression is session B, then other angles.

    Other angles are in the name only: what is drawn looks ahead.
    """
    times = Counter[tuple[int, str]]()
    for face in faces:
        turn = times[face.person, face.expression]
        times[face.person, face.expression] += 1
        subject = f"{'FM'[face.person % 2]}{face.person // 2 + 1:02d}"
        pose = f"{'AB'[turn % 2]}{subject}{_KDEF_CODES[face.expression]}"
        key = f"KDEF/{pose[:4]}/{pose}{_KDEF_ANGLES[turn // 2 % len(_KDEF_ANGLES)]}.JPG"
        side = len(face.pixels)
        write_picture(folder / key, in_scene(face.pixels, (round(1.5 * side), round(1.5 * side * 562 / 762))))
        yield Written(key, "all", face.expression, subject, pose)
