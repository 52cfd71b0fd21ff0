"""The report of reconstructed pictures: how far they are from their originals, and on which faces most."""

from pathlib import Path

from mien.engine.evaluation import page
from mien.engine.evaluation.picture.predictions import PictureEvaluation
from mien.engine.evaluation.scores import Score
from mien.report import parts
from mien.report.page import Section, write_page

MEANING = {
    "abs_error": "mean absolute difference of a pixel, in grey levels of 255",
    "psnr": "peak signal-to-noise ratio in dB, mean over the pictures",
    "ssim@7": "structural similarity over windows of 7 pixels, mean over the pictures; 1 is best",
}
WORST_SHOWN = 12


def write_report(path: Path, result: PictureEvaluation, *, show_faces: bool = False) -> None:
    """report.html of this output alone. show_faces: no face is shown in any case; `mien reconstruct` does."""
    target = result.target
    title = f"{result.info.system} on {target.data}, {target.split}"
    subtitle = f"Reconstruction. Model {result.model}, {len(result.predictions):,} faces of split {target.split_hash}."
    write_page(path, title, picture_sections(result), subtitle=subtitle)


def picture_sections(result: PictureEvaluation) -> list[Section]:
    """The sections, for this report or inside another one."""
    cards = {s.metric: format_value(s) for s in result.scores}
    facts = {"intervals": "95 %, percentile bootstrap over faces" if result.scores[0].low is not None else "none"}
    sections = [
        Section("", page.headline(result, cards)),
        Section("All metrics", page.metrics_table(result.scores, format_value, MEANING)),
        Section("The worst pictures", worst(result)),
        Section("Model, data and protocol", page.model_and_data(result, len(result.predictions), facts)),
    ]
    if result.comparison:
        sections.insert(1, Section("Comparison with the second model", page.comparison_table(result.comparison)))
    return sections


def worst(result: PictureEvaluation) -> str:
    """The pictures with the largest error, by file name."""
    errors = result.predictions.metrics["abs_error"]
    places = (-errors).argsort(kind="stable")[:WORST_SHOWN]
    return parts.facts({result.predictions.keys[i]: f"{errors[i]:.1f} grey levels" for i in places})


def print_summary(result: PictureEvaluation, folder: Path) -> None:
    """A short table on standard output, then where the report is."""
    page.print_scores(result, len(result.predictions), result.scores, format_value, folder)


def format_value(score: Score) -> str:
    """`12.31`, `24.10 dB`, `0.713` or `undefined`."""
    if score.value is None:
        return "undefined"
    if score.metric.startswith("ssim"):
        return f"{score.value:.3f}"
    return f"{score.value:.2f}{' dB' if score.metric == 'psnr' else ''}"
