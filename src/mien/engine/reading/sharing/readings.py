"""The pictures and videos of a run, read by other processes: the same readings in the same order as by this one."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mien.core.errors import MienError
from mien.data.cluster import ray_cluster
from mien.data.parallel import Executor, shared_out
from mien.engine.reading.sharing.task import ReadingTask, Recipe, computed_by, read_task
from mien.engine.reading.videos import Videos
from mien.media.parallel.ahead import in_batches
from mien.runtime.readings import PictureReadings
from mien.runtime.tracking.checkpoints import Checkpoints

PICTURES = 32  # of one task at most


@dataclass(frozen=True, eq=False)
class SharedReadings(Videos):
    """Tasks go out in the order of the table, and their readings come back in it. `begin` first."""

    address: str = ""
    """Of the cluster, for the sidecar."""
    executor: Executor | None = None
    """Does the tasks."""
    recipe: Recipe | None = None
    """How they are read."""
    _results: list[Iterator[tuple[int, list[PictureReadings]]]] = field(default_factory=list)
    """Of the tasks that were handed out, in one iterator."""

    @property
    def described(self) -> dict[str, Any]:
        """For the sidecar."""
        assert self.executor is not None
        return {"address": self.address, "processes": self.executor.width}

    def begin(self, files: Sequence[Path]) -> None:
        """Hands out the first tasks: pictures in batches, then one task a video."""
        assert self.executor is not None and self.recipe is not None
        pictures = [path for path in files if not self.is_video(path)]
        size = max(1, min(PICTURES, len(pictures) // (4 * self.executor.width)))
        parts = [(tuple(batch), False) for batch in in_batches(pictures, size)]
        parts += [((path,), True) for path in files if self.is_video(path)]
        tasks = [ReadingTask(self.recipe, paths, video) for paths, video in parts]
        self._results[:] = [shared_out(read_task, tasks, self.executor, ordered=True)]

    def pictures(self, paths: Sequence[Path]) -> Iterator[PictureReadings]:
        """In their order."""
        left = len(paths)
        while left > 0:
            _, found = next(self._results[0])
            left -= len(found)
            yield from found

    def readings(self, path: Path, checkpoints: Checkpoints | None = None) -> Iterator[PictureReadings]:
        """Of the next video; a half-read one, which `begin` was not given, is gone on with by this process."""
        if checkpoints is not None and checkpoints.start is not None:
            yield from super().readings(path, checkpoints)
            return
        _, found = next(self._results[0])
        yield from found


@contextmanager
def shared_readings(address: str, videos: Videos, options: dict[str, Any]) -> Iterator[SharedReadings]:
    """Over a Ray cluster. options: the arguments that `videos.analyzer` was made with.

    Raises MienError for live sources, without ray, and where there is no cluster.
    """
    if videos.live:
        raise MienError(f"--ray reads files; {next(iter(videos.live))} is read by this process alone.")
    options = {"threads": 1} | {name: _absolute(value) for name, value in options.items() if value is not None}
    recipe = Recipe(options, videos.selection, Path.cwd(), computed_by(videos.analyzer))
    with ray_cluster(address) as executor:
        yield SharedReadings(videos.analyzer, videos.selection, {}, address, executor, recipe)


def _absolute(value: Any) -> Any:
    """Paths of bundles from the root."""
    if isinstance(value, list):
        return [_absolute(each) for each in value]
    return value.resolve() if isinstance(value, Path) else value
