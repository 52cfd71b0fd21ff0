"""The expressions of the clinical examination, and what each of them moves."""

from dataclasses import dataclass
from typing import Literal

from mien.core.errors import MienError, nearest

Target = Literal["brow", "eye", "mouth"]


@dataclass(frozen=True)
class Task:
    """A posed expression of the examination."""

    name: str
    """As in file names."""
    instruction: str
    """What to ask for."""
    target: Target | None
    """What should move; None at rest."""


TASKS = {
    task.name: task
    for task in (
        Task("rest", "relax the face, look at the lens", None),
        Task("brow_raise", "raise the brows", "brow"),
        Task("eyes_closed_gently", "close the eyes gently, as in sleep", "eye"),
        Task("eyes_closed_tightly", "squeeze the eyes shut", "eye"),
        Task("smile", "smile broadly, show the teeth", "mouth"),
        Task("snarl", "wrinkle the nose", "mouth"),
        Task("pucker", "pucker the lips, as for a kiss", "mouth"),
        Task("lower_teeth", "show the lower teeth", "mouth"),
    )
}


def task_of(name: str) -> Task:
    """Raises MienError for another name."""
    if name not in TASKS:
        raise MienError(f"No task {name!r}.{nearest(name, TASKS)} Tasks: {', '.join(TASKS)}.")
    return TASKS[name]
