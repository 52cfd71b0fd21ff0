"""The steps of the tour that read: the network just trained reads drawings, the models that ship read photographs."""

from mien.engine.demo import pictures
from mien.engine.demo.tour import Tour
from mien.engine.export.command import export
from mien.engine.reading.asymmetry.command import asymmetry
from mien.runtime.analyzer import Analyzer
from mien.runtime.readings import Readings


def read_drawings(tour: Tour) -> None:
    """With the network just trained: exported, then as any other picture is read, by a detector and ONNX."""
    tour.step("4  Reading new drawings with the network just trained")
    tour.log(export(str(tour.folder / "expression")))
    drawn = pictures.draw_pictures(tour.folder / "pictures", tour.seed)
    with_points = Analyzer(tour.folder / "expression")
    found = with_points.read([path for _, path in drawn])
    tour.drawings = [(name, readings) for (name, _), readings in zip(drawn, found, strict=True)]
    for name, readings in tour.drawings:
        tour.log(f"drawn as {name}: {readings[0].summary}")
    tour.log(f"{tour.right} of {len(drawn)} as they were drawn")


def read_photographs(tour: Tour) -> None:
    """With the models that ship."""
    number = 5 if tour.evaluation is not None else 1
    tour.step(f"{number}  Reading photographs with the models that ship")
    named = pictures.photographs(tour.folder / "pictures", tour.seed)
    analyzer = Analyzer()
    found = analyzer.read([path for _, path in named])
    tour.photographs = [(name, readings) for (name, _), readings in zip(named, found, strict=True)]
    for name, readings in tour.photographs:
        _log(tour, name, readings)


def measure_asymmetry(tour: Tour) -> None:
    """A report of the same synthetic person without and with a palsy."""
    tour.step(
        f"{6 if tour.evaluation is not None else 2}  Measuring asymmetry of a synthetic smile, healthy and with a palsy"
    )
    for name, path in pictures.smiling_faces(tour.folder / "pictures", tour.seed):
        output = tour.folder / f"asymmetry_{name}"
        text = asymmetry([f"smile={path}"], output=str(output))
        tour.asymmetry.append((name, path, "\n".join(text.splitlines()[:-1])))
        tour.log(text)


def _log(tour: Tour, name: str, readings: Readings) -> None:
    for reading in readings:
        tour.log(f"{name}: {reading.summary}")
