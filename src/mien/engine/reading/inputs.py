"""What the commands that read pictures have in common: their inputs, their output folder, their models."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.core.errors import MienError

if TYPE_CHECKING:
    from mien.runtime.landmarks import Landmarker


def overlay_names(files: Sequence[Path]) -> dict[Path, str]:
    """A name of its own for each file's overlay: its own name, after its folder's where two files share it."""
    names: dict[Path, str] = {}
    taken: set[str] = set()
    shared = Counter(path.stem.casefold() for path in files)
    for path in files:
        stem = path.stem if shared[path.stem.casefold()] == 1 else f"{path.parent.name}__{path.stem}"
        candidates = [stem, f"{stem}_{path.suffix[1:]}", *(f"{stem}_{number}" for number in range(2, len(files) + 2))]
        stem = next(candidate for candidate in candidates if candidate.casefold() not in taken)
        taken.add(stem.casefold())
        names[path] = f"{stem}.jpg"
    return names


def files_of(inputs: Sequence[str], output: Path, *, videos: bool = True) -> list[Path]:
    """What is to be read; what lies in the output folder is ours, from an earlier time."""
    from mien.media.image import picture_files

    found = picture_files(list(_named(inputs)), videos=videos)
    own = output.resolve()
    files = [path for path in found if own not in path.resolve().parents]
    if not files:
        raise MienError(f"{', '.join(inputs)}: only files in {output}, which is the output folder.")
    return files


def _named(inputs: Sequence[str]) -> Iterator[str]:
    import sys

    for item in inputs:
        if item == "-":
            yield from (line.rstrip("\r\n") for line in sys.stdin if line.strip())
        else:
            yield item


def bundle_of(name: str | None) -> Path | None:
    if name is None:
        return None
    from mien.engine.bundles.predictor import bundle_folder

    return bundle_folder(name)


def landmarker_of(wanted: str, bundle: str | None, **options: Any) -> "Landmarker | None":
    """The model that reads points; None where nobody wants one, or none ships and none was asked for."""
    from mien.runtime.landmarks import Landmarker, shipped_landmarks

    if wanted not in ("auto", "yes", "no"):
        raise MienError(f"--landmarks is auto, yes or no; got {wanted!r}.")
    if wanted == "no" or (wanted == "auto" and bundle is None and shipped_landmarks() is None):
        return None
    if options["precision"] == "bf16":
        options["precision"] = "auto"  # bf16 moves points, see Runner
    return Landmarker(bundle_of(bundle), **options)


def positive(number: int | None, name: str) -> int | None:
    if number is not None and number < 1:
        raise MienError(f"--{name} must be 1 or more; got {number}.")
    return number
