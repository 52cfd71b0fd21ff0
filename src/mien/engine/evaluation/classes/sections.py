"""Sections of a classification report: the accuracy beside its baseline, errors by class, calibration, and caveats."""

from markupsafe import Markup
from PIL import Image

from mien.core.records import Sample
from mien.core.spec import PictureInput
from mien.data.faces import prepare_face
from mien.engine.evaluation import page
from mien.engine.evaluation.classes.predictions import ClassEvaluation
from mien.engine.evaluation.classes.text import MEANING, bounds, format_interval, format_value
from mien.engine.evaluation.scores import Score, value_of
from mien.report import parts
from mien.report.page import Section, caveats, macro
from mien.report.plots import interval_figure, reliability_figure

TEMPLATE = "classes.html"
CARDS = {"balanced_accuracy": "balanced accuracy", "f1_macro": "macro F1", "kappa": "Cohen's kappa", "ece@15": "ECE"}
MISTAKES_SHOWN = 12
_CALIBRATED = 0.02  # largest difference between mean confidence and accuracy that counts as calibrated


def report_sections(result: ClassEvaluation, *, show_faces: bool = False) -> list[Section]:
    """The sections, for a report of this output alone or inside another one."""
    return [
        Section("", headline(result)),
        *_comparison(result),
        Section("Classes", classes_table(result)),
        Section("Confusion matrix", confusion_table(result)),
        Section("Calibration", reliability(result)),
        Section("The most confident mistakes", mistakes(result, show_faces=show_faces)),
        Section("All metrics", metrics_table(result.scores)),
        measured(result),
        caveats(),
    ]


def warnings(result: ClassEvaluation) -> list[str]:
    """What a reader must know before quoting the accuracy."""
    more = []
    if result.target.dropped:
        lost = ", ".join(f"{name} ({count:,})" for name, count in result.target.dropped.items())
        more.append(f"Left out, because the model has no such class: {lost}.")
    if absent := value_of(result.scores, "balanced_accuracy").note:
        more.append(f"Balanced accuracy and macro F1: {absent}.")
    if strength := result.predictions.logit_adjust:
        more.append(
            f"Logit adjustment {strength:g}: rare classes are found more often and common ones less than the network "
            "would by itself. Its prediction sets do not hold for these probabilities and are left out."
        )
    return page.warnings(result, *more)


def headline(result: ClassEvaluation) -> Markup:
    """The accuracy with its interval, in a sentence and a figure, beside the majority class; warnings."""
    accuracy, baseline = value_of(result.scores, "accuracy"), value_of(result.scores, "majority_accuracy")
    assert accuracy.value is not None and baseline.value is not None
    low, high = bounds(accuracy)
    predictions = result.predictions
    return macro(
        TEMPLATE, "headline",
        accuracy=accuracy.value, interval=(low, high) if accuracy.low is not None else None, baseline=baseline.value,
        figure=interval_figure(accuracy.value, low, high, baseline.value),
        right=int(predictions.right.sum()), faces=len(predictions),
        majority=predictions.labels.classes[int(predictions.confusion.sum(1).argmax())],
        cards={text: format_value(value_of(result.scores, name)) for name, text in CARDS.items()},
        warnings=warnings(result),
    )  # fmt: skip


def metrics_table(scores: list[Score]) -> Markup:
    """Every metric over the whole set, with its meaning."""
    return page.metrics_table(
        [s for s in scores if s.metric in MEANING], format_value, MEANING,
        note="Intervals of calibration errors are biased upwards.",
    )  # fmt: skip


def classes_table(result: ClassEvaluation) -> Markup:
    """Recall, precision and F1 as bars; the recall's interval; how often the class is the label and the prediction."""
    rows = [_class_row(result, index) for index in range(len(result.predictions.labels.classes))]
    columns = ["class", "faces", "predicted", "recall", "95 % interval", "precision", "F1"]
    caption = "Recall: of the faces with this label, the share found. Precision: of these predictions, the share right."
    return parts.table(columns, rows, caption=caption)


def _class_row(result: ClassEvaluation, index: int) -> list[parts.Cell]:
    name = result.predictions.labels.classes[index]
    recall, precision, f1 = (value_of(result.scores, f"{metric}/{name}") for metric in ("recall", "precision", "f1"))
    labelled, predicted = (f"{int(result.predictions.confusion.sum(axis)[index]):,}" for axis in (1, 0))
    return [name, labelled, predicted, _bar(recall), parts.small(format_interval(recall)), _bar(precision), _bar(f1)]


def _bar(score: Score) -> parts.Cell:
    return "undefined" if score.value is None else parts.bar(score.value, format_value(score))


def confusion_table(result: ClassEvaluation) -> Markup:
    """Counts and shares of the row, shaded by the share."""
    names, confusion = result.predictions.labels.classes, result.predictions.confusion
    rows = [(name, [(int(count), int(row.sum())) for count in row]) for name, row in zip(names, confusion, strict=True)]
    return macro(TEMPLATE, "confusion", names, rows)


def reliability(result: ClassEvaluation) -> Markup:
    """The reliability diagram beside mean confidence and accuracy."""
    confidence, accuracy = (
        float(result.predictions.probabilities.max(-1).mean()),
        float(result.predictions.right.mean()),
    )
    leaning = "overconfident" if confidence > accuracy else "underconfident"
    finding = leaning if abs(confidence - accuracy) > _CALIBRATED else "calibrated on average"
    figure = reliability_figure(result.predictions.reliability)
    return macro(TEMPLATE, "reliability", figure, confidence=confidence, accuracy=accuracy, finding=finding)


def mistakes(result: ClassEvaluation, *, show_faces: bool) -> Markup:
    """The wrong predictions with the highest probability, by file name; with their pictures only when asked."""
    predictions, names = result.predictions, result.predictions.labels.classes
    samples = {sample.key: sample for sample in result.target.samples} if show_faces else {}
    rows: list[list[parts.Cell]] = []
    for i in predictions.mistakes(MISTAKES_SHOWN):
        key, confidence = predictions.keys[i], f"{predictions.probabilities[i].max():.1%}"
        rows.append([parts.code(key), names[predictions.truth[i]], names[predictions.predicted[i]], confidence])
        if show_faces:
            rows[-1].append(_thumbnail(result, samples[key]))
    columns = ["file", "label", "prediction", "confidence", *(["face"] if show_faces else [])]
    return macro(TEMPLATE, "mistakes", columns, rows, show_faces=show_faces)


def _thumbnail(result: ClassEvaluation, sample: Sample) -> Markup:
    inputs = result.info.inputs.values()
    given = next((each for each in inputs if isinstance(each, PictureInput)), PictureInput())  # a voice has a face too
    image = Image.fromarray(prepare_face(sample, given)[0]).resize((96, 96))
    return parts.photo(image, alt=f"the face in {sample.key}", css_class="face")


def measured(result: ClassEvaluation) -> Section:
    """Which model, on which faces, how."""
    target, labels, accuracy = result.target, result.predictions.labels, value_of(result.scores, "accuracy")
    intervals = "percentile bootstrap over faces (within classes for averages); recall and precision: Wilson"
    return page.model_and_data(
        result,
        {
            "samples without a label": f"{target.unlabelled:,}",
            "samples of classes the model lacks": f"{sum(target.dropped.values()):,}",
            "classes": f"{', '.join(labels.classes)} (order {labels.name}, {labels.checksum})",
            "temperature": f"{result.predictions.temperature:.4g}",
            "intervals": f"95 %: {intervals}" if accuracy.low is not None else "none",
        },
    )


def _comparison(result: ClassEvaluation) -> list[Section]:
    """With McNemar's test."""
    if (compared := result.comparison) is None:
        return []
    test = compared.mcnemar
    return page.comparison(
        compared,
        {
            "same prediction": f"{compared.agreement:.1%} of {compared.n:,} faces",
            "right only in the first, only in the second": f"{test.only_first:,}, {test.only_second:,}",
            "McNemar's test": f"p = {test.p_value:.3g} ({test.method})",
        },
    )
