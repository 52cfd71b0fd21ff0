"""RAVDESS: 24 actors speak and sing two statements with eight expressions. Livingstone, Russo, PLoS ONE 13(5), 2018.

`01-01-03-02-01-02-12.mp4` names modality (01 sound and picture, 02 picture, 03 sound), channel (01 speech, 02 song),
expression, intensity (01 normal, 02 strong), statement, repetition and actor. Codes after the set's own page
(zenodo.org/record/1188976).
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, NamedTuple

from mien.core.labels import label_set
from mien.data.readers.recordings import Recording, Recordings

MODALITIES, CHANNELS = ("auto", "audio_video", "video", "audio"), ("all", "speech", "song")
_CODES = {"audio_video": "01", "video": "02", "audio": "03"}
_NAME = re.compile(r"(0[1-3])-(0[12])-(0[1-8])-(0[12])-(\d\d)-(\d\d)-(\d{2,4})\.(?:mp4|wav)", re.IGNORECASE)
_WAY_OUT = "Expected Actor_01/01-01-01-01-01-01-01.mp4 or Actor_01/03-01-01-01-01-01-01.wav, in any folders."


class _File(NamedTuple):
    path: Path
    modality: str
    clip: str
    """The name without modality: channel-expression-intensity-statement-repetition-actor."""


class Ravdess(Recordings):
    """`Video_Speech_Actor_01/Actor_01/*.mp4`, `Audio_Song_Actors_01-24/Actor_01/*.wav`, ... One split, "all".

    modality: "audio_video" reads the videos with sound, "video" those without (with the sounds unpacked beside
    them), "audio" the sounds alone; "auto" takes the first of these that is there. channel: "speech", "song" or "all".
    frames: as of Recordings. subject: Actor_01. clip: the rest of the name, which states statement and repetition.
    Song has no disgust and no surprise. Files of other names are left out and counted in the notes.
    """

    name = "ravdess"
    signs = (
        "Actor_[0-9][0-9]", "Audio_S*_Actors_*", "Video_S*_Actor_*",
        "0[123]-0[12]-0[1-8]-0[12]-0[12]-0[12]-[0-9][0-9].*",
    )  # fmt: skip
    # Held-out actors of Luna-Jiménez et al., Sensors 21(22), 2021.
    published_folds: ClassVar = tuple(
        tuple(f"Actor_{number:02d}" for number in fold)
        for fold in ((2, 5, 14, 15, 16), (3, 6, 7, 13, 18), (10, 11, 12, 19, 20), (8, 17, 21, 23, 24), (1, 4, 9, 22))
    )

    def __init__(self, root: Path, *, modality: str = "auto", channel: str = "all", frames: int = 5) -> None:
        super().__init__(root, frames=frames)
        self.choose("modality", modality, MODALITIES)
        self.choose("channel", channel, CHANNELS)
        self.labels = label_set("ravdess")
        files = self._files(channel)
        self.modality = self._modality(modality, files)
        self._videos = [file for file in files if file.modality == _CODES[self.modality]]
        self._sounds = {file.clip: file.path for file in files if file.modality == _CODES["audio"]}

    def _files(self, channel: str) -> list[_File]:
        found, others = [], []
        for path in self.files(".mp4", ".wav"):
            parts = _NAME.fullmatch(path.name)
            if parts is None:
                others.append(path)
            elif channel == "all" or parts[2] == f"{CHANNELS.index(channel):02d}":
                found.append(_File(path, parts[1], path.stem[3:]))
        if not found:
            what = "recordings" if channel == "all" else f"{channel} recordings"
            first = f" The first of {len(others)} other files: {others[0]}." if others else ""
            if not (others or channel != "all"):
                self.need(self.root / "Actor_01", way_out=_WAY_OUT)
            raise self.error(f"no {what} of RAVDESS's names under {self.root}. {_WAY_OUT}{first}")
        self.note_strange(others)
        return found

    def _modality(self, wanted: str, files: Sequence[_File]) -> str:
        here = [name for name, code in _CODES.items() if any(file.modality == code for file in files)]
        if wanted == "auto":
            return here[0]
        if wanted not in here:
            raise self.error(f"no recordings of modality {wanted} under {self.root}. It has: {', '.join(here)}.")
        return wanted

    def _recordings(self) -> list[Recording]:
        return [self._recording(file) for file in {file.clip: file for file in self._videos}.values()]

    def _recording(self, file: _File) -> Recording:
        _, expression, *_, actor = file.clip.split("-")
        voice = {"audio_video": file.path, "audio": file.path, "video": self._sounds.get(file.clip)}[self.modality]
        video = None if self.modality == "audio" else file.path
        return Recording(f"Actor_{actor}", file.clip, int(expression) - 1, video, voice)
