"""MEAD: actors say sentences with eight expressions in three intensities, recorded from seven sides.

Wang et al., ECCV 2020. `M003/video/front/angry/level_1/001.mp4` with `M003/audio/angry/level_1/001.m4a` beside it.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from mien.core.errors import nearest
from mien.core.labels import label_set
from mien.data.readers.recordings import Recording, Recordings

VIEWS = ("front", "left_30", "left_60", "right_30", "right_60", "top", "down")
LEVELS = (1, 2, 3)
_VIDEO = re.compile(r"([MW]\d{3,})/video/(\w+)/(\w+)/level_(\d)/(\w+)\.mp4", re.IGNORECASE)
_SOUND = re.compile(r"([MW]\d{3,})/audio/(\w+)/level_(\d)/(\w+)\.(?:m4a|wav)", re.IGNORECASE)
_Named = tuple[Path, re.Match[str]]
_WAY_OUT = "Expected M003/video/front/angry/level_1/001.mp4 and M003/audio/angry/level_1/001.m4a."


class Mead(Recordings):
    """The unpacked folders of the actors, in any folder. One split, "all".

    views: which of front, left_30, left_60, right_30, right_60, top, down to read; front alone by default. levels: of
    intensity, 1 to 3; neutral has level 1 alone. frames: as of Recordings. subject: M003. clip: actor, expression,
    level and number, the same from all sides. Actors without videos are read from their sounds.
    """

    name = "mead"
    signs = ("[MW][0-9][0-9][0-9]/video", "[MW][0-9][0-9][0-9]/audio")

    def __init__(
        self, root: Path, *, views: Sequence[str] = ("front",), levels: Sequence[int] | int = LEVELS, frames: int = 5
    ) -> None:
        super().__init__(root, frames=frames)
        self.views = [views] if isinstance(views, str) else list(views)
        for view in self.views:
            if view not in VIEWS:
                raise self.error(f"no view {view!r}.{nearest(str(view), VIEWS)}")
        self.levels = [int(level) for level in ([levels] if isinstance(levels, int) else levels)]
        for level in self.levels:
            self.choose("levels", level, LEVELS)
        self.labels = label_set("mead")
        self._videos, self._sounds = self._found()

    def _found(self) -> tuple[list[_Named], dict[str, _Named]]:
        """Videos with their names' parts, and sounds with theirs by clip."""
        videos: list[_Named] = []
        sounds: dict[str, _Named] = {}
        others = []
        for path in self.files(".mp4", ".m4a", ".wav"):
            place = path.relative_to(self.root).as_posix()
            if video := _VIDEO.search(place):
                videos.append((path, video))
            elif sound := _SOUND.search(place):
                sounds[_clip(sound[1], *sound.groups()[-3:])] = path, sound
            else:
                others.append(path)
        if not videos and not sounds:
            self.need(self.root / "M003", way_out=_WAY_OUT)
            raise self.error(f"no recordings under {self.root}. {_WAY_OUT}")
        self.note_strange(others)
        return videos, sounds

    def _recordings(self) -> list[Recording]:
        found, recorded = [], set()
        for path, (subject, view, *rest) in ((path, parts.groups()) for path, parts in self._videos):
            clip = _clip(subject, *rest)
            recorded.add(subject)
            if view in self.views and int(rest[1]) in self.levels:
                voice = self._sounds.get(clip)
                found.append(Recording(subject, clip, self._class_of(path, rest[0]), path, voice and voice[0]))
        for clip, (path, parts) in self._sounds.items():
            if parts[1] not in recorded and int(parts[3]) in self.levels:
                found.append(Recording(parts[1], clip, self._class_of(path, parts[2]), None, path))
        return found

    def _class_of(self, path: Path, word: str) -> int:
        return self.class_of(path.parent.parent if path.parent.parent.name == word else Path(word))


def _clip(subject: str, label: str, level: str, number: str) -> str:
    return f"{subject}/{label}/level_{level}/{number}"
