"""A classification's scores as text (shares in percent, other metrics with three decimals), and what each means."""

from mien.engine.evaluation import page
from mien.engine.evaluation.scores import Score

MEANING = {
    "accuracy": "share of all faces predicted as labelled",
    "balanced_accuracy": "mean recall: every class counts the same",
    "f1_macro": "mean F1 of the classes",
    "f1_weighted": "mean F1, classes weighted by their size",
    "kappa": "agreement beyond chance (Cohen)",
    "majority_accuracy": "accuracy of always predicting the most frequent class",
    "ece@15": "calibration error over 15 bins; 0 is best",
    "nll": "negative log-likelihood of the label, in nats",
    "brier": "squared error of the probabilities, 0 to 2",
    "coverage@90": "share of faces whose label is in the prediction set of 90 %",
    "set_size@90": "mean number of classes in that set",
    "accuracy@subjects": "accuracy; the interval draws whole people",
    "balanced_accuracy@subjects": "mean recall (UAR); the interval draws whole people",
    "clip_accuracy": "share of clips whose mean probabilities name the label",
    "clip_balanced_accuracy": "mean recall (UAR) of clips",
    "congruent_accuracy": "accuracy where face and voice express the same",
    "incongruent_accuracy": "share predicted as the face where the voice expresses another class",
    "incongruent_as_voice": "share predicted as the voice where the face expresses another class",
    "incongruent_voice_probability": "mean probability of the voice's class there",
}
IN_PERCENT = ("majority_accuracy", "ece@15", "incongruent_as_voice")


def format_value(score: Score) -> str:
    """`61.3%`, `0.482` or `undefined`."""
    if score.value is None:
        return "undefined"
    share = (
        score.metric in IN_PERCENT
        or "accuracy" in score.metric
        or score.metric.split("/")[0] in ("precision", "recall", "coverage@90")
    )
    return f"{score.value:.1%}" if share else f"{score.value:.3f}"


def format_interval(score: Score) -> str:
    """`58.0% to 64.5%`; "" for a score without an interval."""
    return page.format_interval(score, format_value)


def bounds(score: Score) -> tuple[float, float]:
    """The ends of the interval; the value twice where there is none."""
    assert score.value is not None
    return (score.low, score.high) if score.low is not None and score.high is not None else (score.value, score.value)
