"""Pictures through an Analyzer: decoded and searched in threads, read in batches, within one budget of memory."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from itertools import chain
from typing import TypeVar

from mien.core.limits import READING_BYTES
from mien.media.parallel.threads import Pool
from mien.runtime.faces import Faces, PictureTask

BATCH = 16  # pictures, and faces, through the networks at once
Ready = tuple[PictureTask, Faces]
Find = Callable[[PictureTask], Faces]
Read = TypeVar("Read")


def in_batches(
    tasks: Iterable[PictureTask], find: Find, read: Callable[[Sequence[Ready]], list[Read]], *,
    batch_size: int, workers: int,
) -> Iterator[Read]:  # fmt: skip
    """What `read` gives of them, in order: `find` runs in `workers` threads, `read` on what it found in several.

    At most `batch_size` pictures are held at a time, besides those being read; fewer where they are so large that they
    would exceed READING_BYTES; a picture of more is read alone. Raises what the tasks raise, behind the pictures before
    it.
    """
    ready: list[Ready] = []
    pool = Pool(workers, "mien-read")
    ahead: deque[tuple[PictureTask, Future[Faces]]] = deque()
    failures: list[Exception] = []
    try:
        for task in chain(_until_failure(tasks, failures), [None]):
            while (ahead or ready) and (task is None or len(ahead) > workers or _crowded(task, ahead, ready)):
                ready += [_finished(*ahead.popleft())] if ahead else []
                if not ahead or _enough(ready, batch_size) or (task and _crowded(task, ahead, ready)):
                    yield from read(ready)
                    ready = []
            if task is not None:
                ahead.append((task, pool.submit(find, task)))
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    for error in failures:  # in its place: behind everything that came before it
        raise error


def _until_failure(tasks: Iterable[PictureTask], failures: list[Exception]) -> Iterator[PictureTask]:
    """The tasks up to one that fails to come; why is kept."""
    try:
        yield from tasks
    except Exception as error:
        failures.append(error)


def _finished(task: PictureTask, future: Future[Faces]) -> Ready:
    return task, future.result()


def _crowded(task: PictureTask, ahead: Iterable[tuple[PictureTask, Future[Faces]]], ready: Iterable[Ready]) -> bool:
    """Whether there is no memory to decode the task's picture beside those that are held."""
    done = [future.result() for _, future in ahead if future.done()] + [faces for _, faces in ready]
    read = sum(faces.picture.pixels.size for faces in done if faces.picture is not None)
    return task.memory + read + sum(other.memory for other, future in ahead if not future.done()) > READING_BYTES


def _enough(ready: Sequence[Ready], batch_size: int) -> bool:
    return len(ready) >= batch_size or sum(len(faces.boxes) for _, faces in ready) >= batch_size
