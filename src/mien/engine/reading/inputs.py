"""What the commands that read pictures have in common: their inputs, their output folder, their models."""

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from mien.core.errors import MienError
from mien.engine.bundles.predictor import bundle_folder
from mien.media.files import read_info
from mien.media.image import picture_files
from mien.runtime.landmarks import Landmarker, shipped_landmarks


def files_of(inputs: Sequence[str], output: Path, *, videos: bool = True) -> list[Path]:
    """What is to be read; what lies in the output folder is ours, from an earlier time."""
    found = picture_files(list(_named(inputs)), videos=videos)
    own = Path(os.path.realpath(output))  # Path.resolve raises for a link to itself
    files = [path for path in found if own not in Path(os.path.realpath(path)).parents]
    if not files:
        raise MienError(f"{', '.join(inputs)}: only files in {output}, which is the output folder.")
    return files


def _named(inputs: Sequence[str]) -> Iterator[str]:
    for item in inputs:
        if item == "-":
            yield from (line.rstrip("\r\n") for line in sys.stdin if line.strip())
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


def landmarker_for(
    bundles: Sequence[Path] | None, wanted: str, bundle: str | None, **options: Any
) -> Landmarker | Literal[False] | None:
    """The model that reads points beside these bundles, as the Analyzer takes it.

    False where points are not wanted, None where one of the bundles gives them or no model ships. Raises MienError for
    another word than auto, yes and no.
    """
    if wanted not in ("auto", "yes", "no"):
        raise MienError(f"--landmarks is auto, yes or no; got {wanted!r}.")
    if wanted == "no":
        return False
    if bundle is None and any(read_info(folder).outputs_of("points") for folder in bundles or ()):
        return None
    if wanted == "auto" and bundle is None and shipped_landmarks() is None:
        return None
    if options["precision"] == "bf16":
        options["precision"] = "auto"  # bf16 moves points, see Runner
    return Landmarker(bundle_of(bundle), **options)


def positive(number: int | None, name: str) -> int | None:
    if number is not None and number < 1:
        raise MienError(f"--{name} must be 1 or more; got {number}.")
    return number
