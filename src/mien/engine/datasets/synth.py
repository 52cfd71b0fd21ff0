"""`mien data synth`: synthetic people with their truth, or a replica in the layout of a data set."""

import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mien.cli.progress import tracked
from mien.core.errors import MienError
from mien.data.parallel import cores
from mien.data.replicas import Layout, Written, faces_of, layout_named
from mien.engine.datasets.synth_people import make
from mien.media.files import home_expanded
from mien.media.parallel.limits import checked_count


def synth(
    name: str,
    *,
    output: str,
    faces: int = 700,
    size: int = 112,
    seed: int = 0,
    style: str = "drawn",
    pictures: int = 7,
    replace: bool = False,
    workers: int | None = None,
    options: dict[str, Any] | None = None,
) -> str:
    """Generate synthetic people with exact ground truth, or a replica in the layout of a data set.

    `people` gives pictures, `clips` short videos with voices, each with expression, action units, affect, 68 landmarks
    in 2D and 3D, pose and palsy. Every other name gives a replica of a data set's layout, for trying its commands and
    for tests; results on it do not carry over to the data set.

    Args:
        name: people, clips, or the layout of a data set: a reader of `mien data list`, affectnet_arrays or
            affectnet_folders.
        output: new folder.
        faces: number of pictures (clips: videos), balanced over the classes; of a replica a fifth of the persons is
            test.
        size: side of a face in pixels; layouts with a fixed size keep theirs.
        seed: seed of the generator; the same seed writes the same bytes.
        style: of a replica: drawn is a fast 2D drawing, people a rendered 3D face (0.1 s each).
        pictures: pictures of each person, in different expressions.
        replace: delete what the folder holds; otherwise a folder that is not empty is refused.
        workers: processes; by default one for each core.
        options: of people: palsy, mixtures, yaw_max_deg, occluders, degradations, least_intensity, renders; of
            clips also seconds, frames_per_s, voice, syllables, disagree. For instance --options.palsy 0.5.
    """
    if name in ("people", "clips"):
        with _in_place_of(home_expanded(output), replace=replace) as temporary:
            return make(
                name, temporary, named=Path(output), faces=faces, pictures=pictures, seed=seed, size=size,
                options=options or {}, workers=_workers(workers, faces),
            )  # fmt: skip
    if options:
        raise MienError(f"--options are those of people and clips; the replica {name} has none.")

    layout, folder = layout_named(name), home_expanded(output)
    drawn = faces_of(
        style, faces=faces, seed=seed, size=size, pictures=pictures, classes=layout.classes, frames=layout.frames,
        workers=_workers(workers, faces * layout.frames) or cores(),
    )  # fmt: skip
    with _in_place_of(folder, replace=replace) as temporary:
        written = layout.write(temporary, tracked(drawn, f"drawing {name}", faces))
    return _summary(name, folder, layout, written)


def _workers(given: int | None, shots: int) -> int | None:
    """Few pictures are drawn sooner than processes start."""
    return checked_count(given, "--workers") if given is not None else 1 if shots < 300 else None


@contextmanager
def _in_place_of(folder: Path, *, replace: bool) -> Iterator[Path]:
    """A new folder beside `folder` that takes its place when the block ends without an error."""
    if folder.exists() and not folder.is_dir():
        raise MienError(f"{folder} is a file. Name another --output.")
    if folder.is_dir() and any(folder.iterdir()) and not replace:
        raise MienError(f"{folder} is not empty. Name another --output, or say --replace true to lose what is in it.")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    except OSError as error:
        raise MienError(f"Cannot write {folder}: {error.strerror}. Name another --output.") from error
    try:
        yield temporary
        temporary.chmod(0o755)
        if folder.exists():
            old = folder.rename(temporary.with_name(temporary.name + ".old"))
            temporary.rename(folder)
            shutil.rmtree(old)
        else:
            temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _summary(name: str, folder: Path, layout: Layout, written: list[Written]) -> str:
    splits = ", ".join(f"{split} {count:,}" for split, count in Counter(face.split for face in written).items())
    persons = len({face.subject for face in written if face.subject is not None})
    of_persons = f" of {persons:,} persons" if persons else ""
    return (
        f"{name}: {len(written):,} pictures{of_persons} ({splits}) in {folder}\n"
        f"Read them with --data.name {layout.reader} --data.root {folder}{_options(layout.options)}\n"
        "They are drawn: what is measured on them says nothing of the data set."
    )


def _options(options: Any) -> str:
    return "".join(f" --data.reader.{name} {str(value).lower()}" for name, value in options.items())
