"""The report of an evaluation: the number beside what it must beat, what was measured, where it errs, and caveats."""

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.engine.evaluation.contamination import UNKNOWN
from mien.engine.evaluation.scores import Score, value_of
from mien.report import page as report
from mien.report.page import Section

if TYPE_CHECKING:
    from mien.engine.evaluation.compare import Comparison
    from mien.engine.evaluation.result import Evaluation

MEANING = {
    "accuracy": "share of all faces answered as labelled",
    "balanced_accuracy": "mean recall: every class counts the same",
    "f1_macro": "mean F1 of the classes",
    "f1_weighted": "mean F1, classes weighted by their size",
    "kappa": "agreement beyond chance (Cohen)",
    "majority_accuracy": "accuracy of the most frequent class",
    "ece@15": "calibration error over 15 bins; 0 is best",
    "nll": "negative log-likelihood of the truth, in nats",
    "brier": "squared error of the probabilities, 0 to 2",
}
IN_PERCENT = ("accuracy", "balanced_accuracy", "majority_accuracy", "ece@15")
INTERVALS = "95 %: percentile bootstrap over faces (within classes for averages); recall and precision: Wilson"
MISTAKES_SHOWN = 12


def write_report(path: Path, result: "Evaluation", *, show_faces: bool = False) -> None:
    """report.html of one evaluation."""
    target = result.target
    title = f"{result.info.system} on {target.data}, {target.split}"
    subtitle = (
        f"Which expression does a face show? Model {result.model}, {len(result.answers):,} faces of split "
        f"{target.split_hash}, one view each."
    )
    report.write_page(path, title, evaluation_sections(result, show_faces=show_faces), subtitle=subtitle)


def evaluation_sections(result: "Evaluation", *, show_faces: bool = False) -> list[Section]:
    """The sections, for this report or inside another one."""
    sections = [
        Section("", headline(result)),
        Section("Class by class", classes_table(result)),
        Section("What is taken for what", confusion_table(result)),
        Section("Can the probabilities be believed?", reliability(result)),
        Section("The most confident mistakes", mistakes(result, show_faces=show_faces)),
        Section("All metrics", metrics_table(result.scores)),
        Section("What was measured", measured(result)),
    ]
    if result.comparison:
        sections.insert(1, Section("Against the second model", comparison(result.comparison)))
    return [*sections, report.caveats()]


def headline(result: "Evaluation") -> str:
    """The accuracy with its interval, in a sentence and a picture, beside the majority class; warnings."""
    from mien.report.plots import interval_figure

    accuracy, baseline = value_of(result.scores, "accuracy"), value_of(result.scores, "majority_accuracy")
    assert accuracy.value is not None and baseline.value is not None
    low, high = _ends(accuracy)
    right, n = int(result.answers.right.sum()), len(result.answers)
    usual = baseline.note.removeprefix("always answering ")
    interval = f"95 % interval {low:.1%} to {high:.1%}" if accuracy.low is not None else "no interval was asked for"
    sentences = [
        f"{right:,} of {n:,} faces were answered as they are labelled. Always answering “{usual}” would be right for "
        f"{baseline.value:.1%}."
    ]
    if low <= baseline.value:
        sentences.append("That is not clearly better than always giving one answer.")
    names = {
        "balanced_accuracy": "balanced accuracy",
        "f1_macro": "macro F1",
        "kappa": "Cohen's kappa",
        "ece@15": "ECE",
    }
    small = {words: shown(value_of(result.scores, name)) for name, words in names.items()}
    return (
        f'<p class="headline"><strong>{accuracy.value:.1%}</strong><span>accuracy, {interval}</span></p>'
        + report.figure(interval_figure(accuracy.value, low, high, baseline.value))
        + f"<p>{escape(' '.join(sentences))}</p>"
        + report.cards(small)
        + report.warning(*warnings(result))
    )


def warnings(result: "Evaluation") -> list[str]:
    """What a reader must know before quoting the number."""
    lines = list(result.seen)
    if result.failures:
        lines.append(f"{_pictures(len(result.failures))} not be read: not in the numbers, listed in failures.csv.")
    if result.target.dropped:
        lost = ", ".join(f"{name} ({count:,})" for name, count in result.target.dropped.items())
        lines.append(f"Left out, because the model has no such class: {lost}.")
    absent = value_of(result.scores, "balanced_accuracy").note
    if absent:
        lines.append(f"Balanced accuracy and macro F1: {absent}.")
    return lines


def measured(result: "Evaluation") -> str:
    info, target, labels = result.info, result.target, result.answers.labels
    accuracy = value_of(result.scores, "accuracy")
    return report.facts(
        {
            "model": result.model,
            "bundle": result.bundle,
            "weights (SHA-256, first 12)": info.weight_hash,
            "computed by": f"{result.engine}, {len(result.answers) / max(result.seconds, 1e-9):,.0f} faces a second",
            "data set and split": f"{target.data}, {target.split}",
            "split hash": target.split_hash,
            "split file": target.split_file,
            "faces it was trained on": seen_said(result.leaks),
            "faces measured": f"{len(result.answers):,}",
            "pictures that could not be read": f"{len(result.failures):,}",
            "samples without a label": f"{target.unlabelled:,}",
            "samples of classes the model lacks": f"{sum(target.dropped.values()):,}",
            "classes": f"{', '.join(labels.classes)} (order {labels.name}, {labels.checksum})",
            "input": f"{info.picture.size} x {info.picture.size} pixels, {info.picture.color}, one view, no flips",
            "temperature": f"{result.answers.temperature:.4g}",
            "intervals": INTERVALS if accuracy.low is not None else "none",
        }
    )


def seen_said(leaks: dict[str, Any]) -> str:
    """Whether faces of the split were trained on, in words."""
    if leaks.get("policy") in (None, "ignore"):
        return "nobody looked (data.leaks: ignore)"
    if leaks.get("seen") == "unknown":
        return f"not known: {UNKNOWN}"
    done = f", {leaks['dropped']:,} left out" if "dropped" in leaks else ""
    return f"{leaks.get('seen', 0):,} found by fingerprints{done}"


def shown(score: Score) -> str:
    """A value as people write it: shares in percent, the rest in three decimals."""
    if score.value is None:
        return "undefined"
    share = score.metric in IN_PERCENT or score.metric.split("/")[0] in ("precision", "recall")
    return f"{score.value:.1%}" if share else f"{score.value:.3f}"


def shown_interval(score: Score) -> str:
    if score.low is None or score.high is None:
        return ""
    low, high = (shown(Score(score.metric, v)) for v in (score.low, score.high))
    return f"{low} to {high}"


def metrics_table(scores: list[Score]) -> str:
    rows = [
        [
            escape(s.metric),
            shown(s),
            f"<small>{shown_interval(s)}</small>",
            escape(MEANING[s.metric] + (f"; {s.note}" if s.note else "")),
        ]
        for s in scores
        if s.metric in MEANING
    ]
    caption = "metrics.jsonl holds these values to full precision. Intervals of calibration errors lean upwards."
    return report.table(["metric", "value", "95 % interval", "meaning"], rows, left=(0, 3), caption=caption)


def classes_table(result: "Evaluation") -> str:
    """Recall, precision and F1 as bars; the recall's interval; how often the class occurs and is answered."""
    rows = []
    for k, name in enumerate(result.answers.labels.classes):
        recall, precision, f1 = (value_of(result.scores, f"{m}/{name}") for m in ("recall", "precision", "f1"))
        bars = [report.bar(s.value, shown(s)) if s.value is not None else "undefined" for s in (recall, precision, f1)]
        counts = [f"{int(result.answers.confusion.sum(axis)[k]):,}" for axis in (1, 0)]
        rows.append([escape(name), *counts, bars[0], f"<small>{shown_interval(recall)}</small>", *bars[1:]])
    columns = ["class", "faces", "answered", "recall", "95 % interval", "precision", "F1"]
    caption = "Recall: of the faces with this label, those found. Precision: of these answers, those right."
    return report.table(columns, rows, caption=caption)


def confusion_table(result: "Evaluation") -> str:
    names, confusion = result.answers.labels.classes, result.answers.confusion
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in names)
    body = "".join(
        f'<tr><th scope="row">{escape(name)}</th>{"".join(_cell(int(c), int(row.sum())) for c in row)}</tr>'
        for name, row in zip(names, confusion, strict=True)
    )
    caption = "Rows: the label. Columns: the answer. Large: faces; small: share of the row, which also sets the shade."
    return (
        f'<div class="wide"><table class="matrix"><caption>{caption}</caption>'
        f'<thead><tr><th scope="col">label \\ answer</th>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def _cell(count: int, total: int) -> str:
    share = count / total if total else 0.0
    look = ' class="full"' if share > 0.7 else ' class="none"' if count == 0 else ""
    percent = f"<small>{share:.1%}</small>" if total else ""
    return f'<td{look} style="--share:{100 * share:.1f}%">{count:,}{percent}</td>'


def reliability(result: "Evaluation") -> str:
    from mien.report.plots import reliability_figure

    bins = result.answers.reliability
    confidence, right = result.answers.probabilities.max(-1).mean(), result.answers.right.mean()
    leaning = "too sure of itself" if confidence > right else "not sure enough"
    verdict = f"on average it is {leaning}" if abs(confidence - right) > 0.02 else "on average that is right"
    text = f"The answers claim {confidence:.1%} on average and {right:.1%} of them are right: {verdict}."
    caption = (
        "Blue: the share that was right among answers of that confidence. Orange: what they claimed. Equal is good."
    )
    return (
        f'<div class="beside">{report.figure(reliability_figure(bins))}<div><p>{text}</p><p>{caption}</p></div></div>'
    )


def mistakes(result: "Evaluation", *, show_faces: bool) -> str:
    """The wrong answers with the highest probability, by file name; with their pictures only when asked."""
    answers, names = result.answers, result.answers.labels.classes
    worst = answers.mistakes(MISTAKES_SHOWN)
    if not worst:
        return "<p>There are none.</p>"
    samples = {s.key: s for s in result.target.samples} if show_faces else {}
    rows = []
    for i in worst:
        cells = [
            f'<span class="code">{escape(answers.keys[i])}</span>',
            names[answers.truth[i]],
            names[answers.predicted[i]],
        ]
        row = [cells[0], *map(escape, cells[1:]), f"{answers.probabilities[i].max():.1%}"]
        rows.append([*row, _thumbnail(result, samples[answers.keys[i]])] if show_faces else row)
    columns = ["file", "label", "answer", "confidence", *(["face"] if show_faces else [])]
    hint = "" if show_faces else " No faces are shown; --show-faces embeds them, for your own eyes."
    caption = f"Often the label is the doubtful part. All answers are in predictions.csv.{hint}"
    return report.table(columns, rows, left=(0, 1, 2, 4) if show_faces else (0, 1, 2), caption=caption)


def _thumbnail(result: "Evaluation", sample: object) -> str:
    import io

    from PIL import Image

    from mien.core.records import Sample
    from mien.data.faces import prepare_face

    assert isinstance(sample, Sample)
    image = Image.fromarray(prepare_face(sample, result.info.picture)[0]).resize((96, 96))
    encoded = io.BytesIO()
    image.save(encoded, format="JPEG", quality=80)
    return report.picture(encoded.getvalue(), alt=f"the face in {sample.key}", css_class="face", kind="jpeg")


def comparison(compared: "Comparison") -> str:
    """Verdict, McNemar's test, and the differences with their paired intervals."""
    test = compared.mcnemar
    rows = [
        [escape(d.name), f"{d.first:.1%}", f"{d.second:.1%}", f"{100 * d.value:+.1f}",
         f"<small>{100 * d.interval.low:+.1f} to {100 * d.interval.high:+.1f}</small>", f"{d.n:,}"]
        for d in compared.differences
    ]  # fmt: skip
    about = {
        "first": compared.first,
        "second": compared.second,
        "same answer": f"{compared.agreement:.1%} of {compared.n:,} faces",
        "right only in the first, only in the second": f"{test.only_first:,}, {test.only_second:,}",
        "McNemar's test": f"p = {test.p_value:.3g} ({test.method})",
    }
    columns = ["metric", "first", "second", "difference", "95 % interval", "faces"]
    caption = "Second minus first, in points; intervals by a paired bootstrap, not corrected for many classes."
    return f"<p>{escape(compared.verdict)}</p>{report.facts(about)}{report.table(columns, rows, caption=caption)}"


def print_summary(result: "Evaluation", folder: Path) -> None:
    """A short table on standard output, then where the report is."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    title = f"{result.model} on {result.target.data} {result.target.split}: {len(result.answers):,} faces"
    console.print(title, markup=False, highlight=False, soft_wrap=True)
    table = Table()
    for name, side in (("metric", "left"), ("value", "right"), ("95 % interval", "right")):
        table.add_column(name, justify=side)  # type: ignore[arg-type]
    for s in result.scores:
        if s.metric in MEANING or s.metric.startswith("recall/"):
            table.add_row(s.metric, shown(s), shown_interval(s))
    console.print(table)
    for line in warnings(result):
        console.print(f"Note: {line}", markup=False, highlight=False, soft_wrap=True)
    if result.comparison:
        console.print(result.comparison.verdict, markup=False, highlight=False, soft_wrap=True)
    console.print(f"Report: {folder / 'report.html'}", markup=False, highlight=False, soft_wrap=True)


def _pictures(count: int) -> str:
    return "1 picture could" if count == 1 else f"{count:,} pictures could"


def _ends(score: Score) -> tuple[float, float]:
    assert score.value is not None
    return (score.low, score.high) if score.low is not None and score.high is not None else (score.value, score.value)
