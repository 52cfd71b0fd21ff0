"""`mien data synth people|clips`: synthetic people as a folder with their truth."""

from collections import Counter
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from mien.cli.progress import tracked
from mien.core.errors import MienError, nearest
from mien.data.parallel import cores
from mien.data.replicas.clips import write_clips
from mien.data.replicas.people import Plan, write_people
from mien.synthetic.clips import ClipOptions
from mien.synthetic.people import PeopleOptions

Options = TypeVar("Options")


def make(
    name: str, folder: Path, *, named: Path, faces: int, pictures: int, seed: int, size: int, options: dict[str, Any],
    workers: int | None,
) -> str:  # fmt: skip
    """Writes the set into `folder`, which will be called `named`; returns what to tell the user."""
    plan = Plan(faces=faces, pictures=pictures, seed=seed)
    workers = workers or cores()
    clip_names = {field.name for field in fields(ClipOptions)} - {"people"}
    looks = {key: value for key, value in options.items() if name == "people" or key not in clip_names}
    people = _checked(PeopleOptions, {"size": size} | looks, also=clip_names if name == "clips" else ())
    if name == "people":
        truths = write_people(
            folder, plan, options=people, workers=workers, shown=partial(tracked, title="photographing", total=faces)
        )
        counts, what = Counter(plan.split(i) for i in range(len(truths))), "pictures"
    else:
        if "yaw_max_deg" not in looks:
            people = _checked(PeopleOptions, {"size": size, "yaw_max_deg": 25, "occluders": False} | looks)
        own = {key: value for key, value in options.items() if key in clip_names}
        clips = _checked(ClipOptions, own | {"people": people})
        rows = write_clips(
            folder, plan, options=clips, workers=workers, shown=partial(tracked, title="drawing", total=faces)
        )
        counts, what = Counter(row.split for row in rows), "clips"
    persons = len({plan.person(number) for number in range(faces)})
    splits = ", ".join(f"{split} {count:,}" for split, count in counts.items())
    return (
        f"{name}: {faces:,} {what} of {persons:,} synthetic persons ({splits}) in {named}\n"
        f"Read them with --data.name {name} --data.root {named}"
    )


def _checked(kind: type[Options], values: dict[str, Any], *, also: Any = ()) -> Options:
    known = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    for key in values:
        if key not in known:
            raise MienError(f"--options has no {key!r}.{nearest(key, [*known, *also])}")
    try:
        return kind(**values)
    except TypeError as error:
        raise MienError(f"--options: a value of the wrong kind ({error}).") from error
