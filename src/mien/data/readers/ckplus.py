"""CK+: 593 posed sequences of 123 persons, from a neutral face to the peak. Lucey et al., CVPR workshops 2010.

Verified against the set's own read-me (28 September 2010): folders, the codes 0..7, one FACS and at most one expression
file a sequence (327 have one), named for the last frame, and 68 points a frame. That the points follow the order of
iBUG's 68 is verified against public code that uses them; whether they count pixels from 0 or from 1 is not known: they
are given as they stand.
"""

from pathlib import Path

import numpy as np

from mien.core.errors import nearest
from mien.core.framing import box_of
from mien.core.labels import label_set
from mien.core.records import Sample
from mien.data.readers.reader import Reader, file_names, folder_names, is_picture

_PLACES = {
    "images": ("cohn-kanade-images", "extended-cohn-kanade-images/cohn-kanade-images"),
    "labels": ("Emotion", "Emotion_labels/Emotion"),
    "points": ("Landmarks", "Landmarks/Landmarks"),
    "facs": ("FACS", "FACS_labels/FACS"),
}
_WAY_OUT = "Expected cohn-kanade-images/S005/001/*.png and Emotion/S005/001/*_emotion.txt."
NEUTRALS = ("labelled", "all", "none")


class CkPlus(Reader):
    """`cohn-kanade-images/S005/001/*.png`, `Emotion/`, and where they are `Landmarks/` and `FACS/`. One split, "all".

    frames: how many of a labelled sequence's last frames have its class. neutral: "labelled" takes the first frame of
    each labelled sequence as neutral, "all" that of each sequence, "none" none; classes are then `ckplus7`.
    subject: the person, S005. clip: the sequence, S005/001. box: the points' own rectangle; without Landmarks the whole
    picture is taken, of which the face is a part. Sequences without a label are counted in the notes.
    """

    name = "ckplus"
    signs = _PLACES["images"]

    def __init__(self, root: Path, *, frames: int = 3, neutral: str = "labelled") -> None:
        super().__init__(root)
        if frames < 1:
            raise self.error(f"frames must be at least 1; got {frames}.")
        if neutral not in NEUTRALS:
            raise self.error(f"no neutral {neutral!r}.{nearest(str(neutral), NEUTRALS)}")
        self.frames, self.neutral = int(frames), neutral
        self._images, self._labels = self._place("images"), self._place("labels")
        self._points, self._facs = self._place("points", needed=False), self._place("facs", needed=False)
        self.labels = label_set("ckplus7" if neutral == "none" else "ckplus")
        self.splits = ("all",)
        self._sequences = self._find()

    def _place(self, what: str, *, needed: bool = True) -> Path:
        places = [self.root / name for name in _PLACES[what]]
        found = next((place for place in reversed(places) if place.is_dir()), None)
        return found or (self.need(places[0], way_out=_WAY_OUT) if needed else places[0])

    def _find(self) -> dict[str, tuple[list[str], int | None]]:
        """By clip: names of the frames in order, and the code of the class where there is one."""
        clips = [
            f"{person}/{clip}" for person in folder_names(self._images) for clip in folder_names(self._images / person)
        ]
        found = {
            clip: (sorted(filter(is_picture, file_names(self._images / clip))), self._code(clip)) for clip in clips
        }
        if not found:
            raise self.error(f"no sequences under {self._images}. {_WAY_OUT}")
        self._note_missing(found)
        return {clip: value for clip, value in found.items() if value[0]}

    def _note_missing(self, found: dict[str, tuple[list[str], int | None]]) -> None:
        """Notes on what is missing on either side."""
        empty = [clip for clip, (frames, _) in found.items() if not frames]
        if lost := sorted(self._labelled() - found.keys()) + [clip for clip in empty if found[clip][1] is not None]:
            self.note(f"{len(lost)} labelled sequences have no pictures, first {lost[0]}.")
        unlabelled = sum(code is None for _, code in found.values())
        if unlabelled:
            self.note(f"{unlabelled} of {len(found)} sequences have no label and give no expression.")
        if not self._points.is_dir():
            self.note("no Landmarks: there are no points, and the whole picture stands for the face.")

    def _labelled(self) -> set[str]:
        return {
            f"{person}/{clip}" for person in folder_names(self._labels) for clip in folder_names(self._labels / person)
            if any(name.endswith("_emotion.txt") for name in file_names(self._labels / person / clip))
        }  # fmt: skip

    def _code(self, clip: str) -> int | None:
        """The one number in the sequence's file, written as a float; None without a file."""
        names = sorted(name for name in file_names(self._labels / clip) if name.endswith("_emotion.txt"))
        if not names:
            return None
        path = self._labels / clip / names[0]
        try:
            code = float(path.read_text(encoding="ascii"))
        except (ValueError, UnicodeDecodeError):
            code = -1.0
        if len(names) > 1 or code not in range(8):
            raise self.error(f"{path}: expected one file a sequence with one number 0..7.")
        return int(code)

    def _read(self, split: str) -> list[Sample]:
        samples = []
        for clip, (names, code) in self._sequences.items():
            moves = code is None or len(names) > 1  # a sequence of one frame is its peak
            if moves and (self.neutral == "all" or (self.neutral == "labelled" and code is not None)):
                samples.append(self._sample(clip, names[0], split, 0))
            if code is not None:
                last = names[max(1, len(names) - self.frames) :] or names  # the first frame has not begun to move
                samples += [self._sample(clip, name, split, code) for name in last if code or self.neutral != "none"]
        return samples

    def _sample(self, clip: str, name: str, split: str, code: int) -> Sample:
        path = self._images / clip / name
        points = self._landmarks(clip, name)
        return Sample(
            self.key_of(path), path, split, code - (self.neutral == "none"),
            box=None if points is None else box_of(points), landmarks_px=points,
            subject=clip.partition("/")[0], clip=clip,
        )  # fmt: skip

    def _landmarks(self, clip: str, name: str) -> np.ndarray | None:
        path = self._points / clip / f"{Path(name).stem}_landmarks.txt"
        try:
            points = np.array(path.read_text(encoding="ascii").split(), np.float32).reshape(-1, 2)
        except FileNotFoundError:
            return None
        except (ValueError, UnicodeDecodeError):
            points = np.empty((0, 2), np.float32)
        if len(points) != 68:
            raise self.error(f"{path}: expected 68 rows of x and y; got {len(points)}.")
        return points

    def action_units(self, clip: str) -> dict[int, int]:
        """Action unit → intensity at the peak: 1..5 is A..E, 0 present and not graded. Empty without a file."""
        names = sorted(name for name in file_names(self._facs / clip) if name.endswith("_facs.txt"))
        if not names:
            return {}
        path = self._facs / clip / names[-1]
        try:
            pairs = np.array(path.read_text(encoding="ascii").split(), float).reshape(-1, 2)
        except (ValueError, UnicodeDecodeError):
            raise self.error(f"{path}: expected an action unit and its intensity a row.") from None
        return {int(unit): int(intensity) for unit, intensity in pairs}
