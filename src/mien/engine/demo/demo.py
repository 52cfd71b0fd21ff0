"""`mien demo`: the tour. Draws faces, trains a tiny POSTER V2 on them, measures it, reads pictures, writes one report.

Everything is made on the spot: no download, no data set. Without PyTorch the tour reads pictures only.
"""

import shutil
import time
from importlib.util import find_spec
from pathlib import Path

from mien.core.errors import MienError
from mien.core.extras import install_hint

# What the tour writes into its folder; a second tour in the same folder replaces just these.
PARTS = (
    "faces", "landmarks", "expression", "evaluation", "pictures", "asymmetry_healthy", "asymmetry_palsy", "report.html",
    "readings",
)  # fmt: skip
NEEDS = ("torch", "lightning", "safetensors", "onnx", "onnxscript")


def demo(*, output: str = "mien-demo", faces: int = 1050, epochs: int = 14, seed: int = 0) -> str:
    """Tour of a few minutes: draws faces, trains on them, evaluates the result, reads pictures, writes a report.

    It says first how long it will take on this machine. Without PyTorch it reads pictures only, in seconds.

    Args:
        output: folder for all results; an earlier tour in it is replaced.
        faces: number of drawn faces to train and test on, in seven classes.
        epochs: epochs of training; the landmark stream is trained for half as many before.
        seed: seed of the drawings and of training.
    """
    from mien.cli.text import plain_console
    from mien.engine.demo import tour as steps
    from mien.engine.demo.forecast import in_words, seconds_ahead
    from mien.engine.demo.reading import measure_asymmetry, read_drawings, read_photographs
    from mien.engine.demo.report import sections
    from mien.report.page import write_page

    start = time.perf_counter()
    tour = steps.Tour(_emptied(Path(output)), plain_console(soft_wrap=True, highlight=False), seed)
    missing = [name for name in NEEDS if find_spec(name) is None]
    if missing:
        tour.skip(f"Training is left out: it needs {missing[0]} ({install_hint('train')}). Reading needs no PyTorch.")
    ahead = seconds_ahead(faces, epochs, trains=not missing, network=steps.NETWORK)
    tour.log(f"This takes {in_words(ahead)} on this machine, by a quick timing.")
    if not missing:
        steps.draw(tour, faces)
        with steps.one_thread():
            steps.train(tour, epochs)
            steps.measure(tour)
        read_drawings(tour)
    read_photographs(tour)
    measure_asymmetry(tour)
    tour.seconds["all"] = time.perf_counter() - start
    report = tour.folder / "report.html"
    subtitle = "Made on this machine, offline."
    write_page(report, "mien: the tour", sections(tour), subtitle=subtitle)
    return f"\nThe tour took {tour.seconds['all']:.0f} s. Open its report:\n{report.resolve()}"


def _emptied(folder: Path) -> Path:
    """The folder without an earlier tour. Raises MienError where it holds something else."""
    if folder.exists() and (not folder.is_dir() or any(path.name not in PARTS for path in folder.iterdir())):
        raise MienError(f"{folder} holds something that is not of an earlier tour. Name another --output.")
    for part in PARTS:
        if (folder / part).is_dir():
            shutil.rmtree(folder / part)
        (folder / part).unlink(missing_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    return folder
