"""curves.png of a training run."""

from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

from mien.engine.training.history import History
from mien.media.files import atomic_path
from mien.report.plots import curves_figure


def write_curves(file: Path, history: History) -> None:
    """The losses, the scores and the learning rates by epoch, one above the other."""
    with TemporaryDirectory() as folder:
        panels = []
        for title, names in _panels(history.epochs[0], history.monitor).items():
            curves = {n: [(float(i), e[n]) for i, e in enumerate(history.epochs, start=1) if n in e] for n in names}
            curves_figure(curves, title=title).png(Path(folder) / "panel.png")
            panels.append(Image.open(Path(folder) / "panel.png").convert("RGB"))
        sheet = Image.new("RGB", (max(p.width for p in panels), sum(p.height for p in panels)), "white")
        for i, panel in enumerate(panels):
            sheet.paste(panel, (0, sum(p.height for p in panels[:i])))
    with atomic_path(file) as path:
        sheet.save(path)


def _panels(epoch: dict[str, float], monitor: str) -> dict[str, list[str]]:
    """Title -> the values that share a scale."""
    scores = [name for name in epoch if name.startswith("val/") and name != "val/nll"]
    losses = [name for name in epoch if name.startswith("train/") or name == "val/nll"]
    rates = [name for name in epoch if name.rpartition("/")[2] == "lr"]
    return {"loss": losses, f"validation (chosen by {monitor})": scores, "learning rate": rates}
