"""kill -9 at random moments of reading and of preparing: nothing is lost or doubled, and the end is the same."""

import csv
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from forked import Forked, ready
from mien.synthetic.people import portrait
from robustness.bounded import SEED

KILLS = int(os.environ.get("MIEN_KILLS", "3"))
Check = Callable[[Path], None]
pytestmark = pytest.mark.slow


def started(words: list[str]) -> Forked:
    """`mien` with these arguments, saving often."""
    return Forked(Path(__file__).with_name("saving_often.py"), *words)


def duration_of(words: list[str]) -> float:
    ready()
    start = time.monotonic()
    done = started(words).finished()
    assert done.returncode == 0, done.stderr
    return time.monotonic() - start


def killed(words: list[str], folder: Path, longest_s: float, *, so_far: Check, in_the_end: Check) -> None:
    """Starts it with `--output` below the folder and kills it KILLS times; where it was quicker, in a new place.

    so_far, in_the_end: called with the output after each kill, and where it ended by itself.
    """
    moments, kills, place = random.Random(SEED), 0, 0
    while True:
        output = folder / str(place)
        alive_s = moments.uniform(0.3, 1) * longest_s if kills < KILLS else 300
        process = started([*words, "--output", str(output)]).finished(seconds=alive_s)
        if process.returncode == -signal.SIGKILL:
            kills += 1
            so_far(output)
            continue
        assert process.returncode == 0, process.stderr
        in_the_end(output)
        place += 1
        if kills == KILLS:
            return


def rows_of(path: Path) -> list[dict[str, str]]:
    """The whole rows; a torn last one is what a kill may leave."""
    if not path.is_file():
        return []
    content = path.read_text(encoding="utf-8", errors="replace")
    return list(csv.DictReader(content[: content.rfind("\n") + 1].splitlines()))


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    faces = [Image.fromarray(portrait(SEED, number)[0]).resize((256, 256)) for number in range(4)]
    for number in range(14):
        faces[number % 4].resize((140 + number, 140 + number)).save(folder / f"{number:02d}.jpg")
    return folder


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("av")
    import numpy as np

    from mien.media.video import write_video

    face = np.asarray(Image.fromarray(portrait(SEED, 0)[0]).resize((160, 160)))
    path = tmp_path_factory.mktemp("video") / "video.mp4"
    write_video(path, np.stack([np.roll(face, shift % 9, 1) for shift in range(28)]), rate_hz=25)
    return path


@pytest.mark.parametrize("what", ["photos", "video", "tracked video", "drawn video"])
def test_a_table_is_whole_at_any_kill_and_complete_in_the_end(
    what: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    source = str(request.getfixturevalue(what.rsplit(maxsplit=1)[-1]))
    own = {"tracked video": ["--smooth"], "drawn video": ["--overlay-video"]}.get(what, ["--landmarks", "no"])
    options = [*own, "--backend", "onnxruntime", "--threads", "1"]
    words = ["analyze", source, *options, "--resume"]
    longest_s = duration_of([*words, "--output", str(tmp_path / "whole")])
    whole = rows_of(tmp_path / "whole" / "readings.csv")

    def so_far(output: Path) -> None:
        found = rows_of(output / "readings.csv")
        assert found == whole[: len(found)]

    def in_the_end(output: Path) -> None:
        assert rows_of(output / "readings.csv") == whole
        assert not (output / "readings.state.npz").exists()
        assert (output / "readings.parquet").is_file() and not (output / "readings.arrows").exists()
        assert names_in(output / "overlays") == names_in(tmp_path / "whole" / "overlays")
        assert names_in(output) == names_in(tmp_path / "whole")
        if what == "drawn video":
            drawn = [folder / "overlays" / "video.mp4" for folder in (output, tmp_path / "whole")]
            assert drawn[0].read_bytes() == drawn[1].read_bytes()

    killed(words, tmp_path / "killed", longest_s, so_far=so_far, in_the_end=in_the_end)


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_prepared_set_is_the_same_after_any_kills(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "happy").symlink_to(photos)
    (tmp_path / "set" / "sad").mkdir()
    Image.new("RGB", (64, 64)).save(tmp_path / "set" / "sad" / "none.png")

    options = ["--size", "64", "--format", "shards", "--workers", "1", "--root", str(tmp_path / "set")]
    words = ["data", "prepare", "image_folder", *options]
    longest_s = duration_of([*words, "--output", str(tmp_path / "whole")])
    whole = content_of(tmp_path / "whole")

    def in_the_end(output: Path) -> None:
        assert content_of(output) == whole

    killed(words, tmp_path / "killed", longest_s, so_far=lambda _: None, in_the_end=in_the_end)


def content_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
