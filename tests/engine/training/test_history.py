"""Which epoch is the best, when patience ends, and what is written down."""

from mien.engine.training.history import History


def filled(*scores: float, nll: tuple[float, ...] = (), larger_is_better: bool = True) -> History:
    history = History("accuracy", larger_is_better)
    for i, score in enumerate(scores):
        history.add({"val/accuracy": score, "seconds": 1.5} | ({"val/nll": nll[i]} if nll else {}))
    return history


def test_the_best_epoch_is_the_first_of_equals_unless_its_nll_is_higher():
    assert filled(0.2, 0.5, 0.5, 0.4).best == 2
    assert filled(0.2, 0.5, 0.5, 0.4, nll=(2.0, 1.0, 0.9, 0.1)).best == 3
    assert filled(0.2, 0.5, 0.1, larger_is_better=False).best == 3


def test_the_last_epoch_is_kept_where_none_is_to_be_chosen():
    history = History("accuracy", keep_last=True)
    assert [history.add({"val/accuracy": score, "seconds": 1.0}) for score in (0.5, 0.2, 0.3)] == [True] * 3
    assert history.best == 3 and not history.exhausted(1)


def test_patience_counts_epochs_since_the_best():
    assert not filled(0.5, 0.4).exhausted(2) and filled(0.5, 0.4, 0.3).exhausted(2)
    assert not filled(0.5, 0.4, 0.3).exhausted(0)


def test_lines_end_with_the_bundles_own():
    history = filled(0.2, 0.5)
    history.bundle, history.temperatures = "abc", {"expression": 1.5}
    lines = history.lines(seed=3)
    assert lines[0] == {"metric": "val/accuracy", "value": 0.2, "epoch": 1}
    kept = {"seed": 3, "bundle": "abc", "best_epoch": 2, "seconds": 3.0}
    assert lines[-2:] == [
        {"metric": "val/accuracy", "value": 0.5} | kept,
        {"metric": "temperature", "value": 1.5} | kept,
    ]
