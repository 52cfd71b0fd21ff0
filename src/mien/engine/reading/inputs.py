"""What the commands that read pictures have in common: their inputs, their output folder, their models."""

import os
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from mien.core.errors import MienError, nearest
from mien.media.bundles import bundle_folder
from mien.media.files import read_info
from mien.media.listing import picture_files
from mien.media.streams.source import Camera, FrameSource, PipedVideo, raw_frames, video_in_pipe
from mien.runtime.landmarks import shipped_landmarks

EXTRAS = ("affect", "face3d", "voice")  # further readings of a face, and of the sound of videos


def files_of(inputs: Sequence[str], output: Path | None, *, videos: bool = True, sounds: bool = False) -> list[Path]:
    """What is to be read; what lies in the output folder is ours, from an earlier time.

    sounds: take those of folders and patterns too.
    """
    found = picture_files(list(_named(inputs)), videos=videos, sounds=sounds)
    if output is None:
        return found
    own = Path(os.path.realpath(output))  # Path.resolve raises for a link to itself
    files = [path for path in found if own not in Path(os.path.realpath(path)).parents]
    if not files:
        raise MienError(f"{', '.join(inputs)}: only files in {output}, which is the output folder.")
    return files


def live_sources(inputs: Sequence[str], stdin_frames: str | None) -> tuple[list[str], dict[Path, FrameSource]]:
    """The inputs that are files, and by its name what is a camera or comes through standard input.

    A whole number is a camera, unless a file is called so; - is a video where standard input begins as one, and raw
    frames where stdin_frames says so. Raises MienError for a wrong spelling, and for raw frames without a -.
    """
    files, live = [], list[FrameSource]()
    for item in dict.fromkeys(inputs):
        if item == "-" and stdin_frames is not None:
            live.append(raw_frames(stdin_frames, sys.stdin.buffer))
        elif item == "-" and video_in_pipe(getattr(sys.stdin, "buffer", None)):
            live.append(PipedVideo(sys.stdin.buffer))
        elif item.isdecimal() and not os.path.lexists(item):
            live.append(Camera(int(item)))
        else:
            files.append(item)
    if stdin_frames is not None and "-" not in inputs:
        raise MienError("--stdin-frames says what comes through standard input: name it as an input, -.")
    return files, {Path(source.name): source for source in live}


def seconds(text: str | None, name: str) -> float | None:
    """Of `90`, `1:30`, `1:02:03.5`. Raises MienError for anything else."""
    if text is None:
        return None
    if not re.fullmatch(r"(\d+:){0,2}\d+(\.\d*)?", text):
        raise MienError(f"--{name} is a time in seconds or as minutes:seconds, such as 90 or 1:30; got {text!r}.")
    parts = [float(part) for part in text.split(":")]
    if any(part >= 60 for part in parts[1:]):
        raise MienError(f"--{name}: {text} has 60 or more of its smaller units.")
    return sum(part * 60**power for power, part in enumerate(reversed(parts)))


def _named(inputs: Sequence[str]) -> Iterator[str]:
    for item in inputs:
        if item == "-":
            for line in sys.stdin:
                if "\0" in line:
                    raise MienError("Standard input holds neither file names nor a video of a kind that is read there.")
                if line.strip():
                    yield line.rstrip("\r\n")
        else:
            yield item


def bundle_of(name: str | None) -> Path | None:
    """The folder that a name of a bundle means; None is the one that ships."""
    if name is None:
        return None
    return bundle_folder(name)


def bundles_of(names: Sequence[str] | str | None) -> list[Path] | None:
    """The folders of several bundles; None is the one that ships."""
    if not names:
        return None
    return [bundle_folder(name) for name in ([names] if isinstance(names, str) else names)]


def landmarks_for(bundles: Sequence[Path] | None, wanted: str, bundle: str | None) -> Path | bool:
    """What reads points beside these bundles, as the Analyzer takes it.

    Raises MienError for another word than auto, yes and no, and where points are wanted and no model has any.
    """
    if wanted not in ("auto", "yes", "no"):
        raise MienError(f"--landmarks is auto, yes or no; got {wanted!r}.")
    if wanted == "no":
        return False
    if bundle is not None:
        return bundle_folder(bundle)
    own = any(read_info(folder).outputs_of("points") for folder in bundles or ())
    if wanted == "yes" and not own and shipped_landmarks() is None:
        raise MienError("No landmark model ships with this installation. Name one: --landmark-bundle FOLDER.")
    return True


def extras_of(names: str) -> dict[str, bool]:
    """Of `affect,face3d,voice` what is asked for. Raises MienError for another name."""
    asked = [name.strip() for name in names.split(",") if name.strip()]
    for name in asked:
        if name not in EXTRAS:
            known = f"{', '.join(EXTRAS[:-1])} and {EXTRAS[-1]}"
            raise MienError(f"--with takes {known}, separated by commas; got {name!r}.{nearest(name, EXTRAS)}")
    return {name: name in asked for name in EXTRAS}


def positive(number: int | None, name: str) -> int | None:
    if number is not None and number < 1:
        raise MienError(f"--{name} must be 1 or more; got {number}.")
    return number
