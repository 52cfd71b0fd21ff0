"""CREMA-D: 91 actors say twelve sentences with six expressions; 7,442 clips. Cao et al., IEEE TAC 5(4), 2014.

`1001_DFA_ANG_XX.flv` names actor, sentence, expression and intensity (LO, MD, HI, XX: not stated). The expression is
the one that was acted; what raters saw or heard stands in other tables of the set, which are not read.
"""

import re
from pathlib import Path

from mien.core.labels import label_set
from mien.data.readers.recordings import Recording, Recordings

MODALITIES = ("auto", "audio_video", "audio")
CODES = ("ANG", "DIS", "FEA", "HAP", "NEU", "SAD")  # in the order of the label set
_NAME = re.compile(r"(\d{4})_([A-Z]{3})_(ANG|DIS|FEA|HAP|NEU|SAD)_(LO|MD|HI|XX|X)\.(flv|mp4|wav)", re.IGNORECASE)
_WAY_OUT = "Expected VideoFlash/1001_DFA_ANG_XX.flv and AudioWAV/1001_DFA_ANG_XX.wav."


class CremaD(Recordings):
    """`VideoFlash/*.flv` (or .mp4) and `AudioWAV/*.wav`, in any folders. One split, "all".

    modality: "audio_video" reads the videos, with the sound of AudioWAV where it is there, else their own; "audio" the
    sounds alone; "auto" the videos where there are any. frames: as of Recordings. subject: the actor, 1001. clip: the
    name, which states the sentence and the intensity. Files of other names are left out and counted in the notes.
    """

    name = "cremad"
    signs = ("VideoFlash", "AudioWAV", "[0-9][0-9][0-9][0-9]_[A-Z][A-Z][A-Z]_[A-Z][A-Z][A-Z]_*")

    def __init__(self, root: Path, *, modality: str = "auto", frames: int = 5) -> None:
        super().__init__(root, frames=frames)
        self.choose("modality", modality, MODALITIES)
        self.labels = label_set("cremad")
        self._videos, self._sounds = self._found()
        if modality == "audio_video" and not self._videos:
            raise self.error(f"no videos under {self.root}, only sounds. {_WAY_OUT}")
        self.modality = modality if modality != "auto" else "audio_video" if self._videos else "audio"

    def _found(self) -> tuple[dict[str, Path], dict[str, Path]]:
        """Videos and sounds by their names without suffix."""
        videos: dict[str, Path] = {}
        sounds: dict[str, Path] = {}
        others = []
        for path in self.files(".flv", ".mp4", ".wav"):
            if _NAME.fullmatch(path.name) is None:
                others.append(path)
            else:
                (sounds if path.suffix.lower() == ".wav" else videos)[path.stem] = path
        if not videos and not sounds:
            self.need(self.root / "AudioWAV", way_out=_WAY_OUT)
            raise self.error(f"no recordings under {self.root}. {_WAY_OUT}")
        self.note_strange(others)
        return videos, sounds

    def _recordings(self) -> list[Recording]:
        if self.modality == "audio":
            return [self._recording(clip, None, sound) for clip, sound in self._sounds.items()]
        return [self._recording(clip, video, self._sounds.get(clip, video)) for clip, video in self._videos.items()]

    def _recording(self, clip: str, video: Path | None, voice: Path) -> Recording:
        actor, _, code, _ = clip.upper().split("_")
        return Recording(actor, clip, CODES.index(code), video, voice)
