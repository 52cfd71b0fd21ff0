"""Orders are data with a checksum; data sets meet by name, never by index."""

from itertools import product

import pytest

from mien.core.errors import MienError, nearest
from mien.core.labels import LabelSet, circumplex, label_set, list_label_sets

# Changing an order makes every stored index mean another class, so it must be done here too, knowingly.
ORDERS = {
    "rafdb": "surprise fear disgust happiness sadness anger neutral",
    "ferplus": "neutral happiness surprise sadness anger disgust fear contempt",
    "fer2013": "anger disgust fear happiness sadness surprise neutral",
    "affectnet8": "neutral happiness sadness surprise fear disgust anger contempt",
    "affectnet7": "neutral happiness sadness surprise fear disgust anger",
    "caers": "anger disgust fear happiness neutral sadness surprise",
    "sfew": "anger disgust fear happiness neutral sadness surprise",
    "expw": "anger disgust fear happiness sadness surprise neutral",
    "ckplus": "neutral anger contempt disgust fear happiness sadness surprise",
    "ckplus7": "anger contempt disgust fear happiness sadness surprise",
    "jaffe": "anger disgust fear happiness neutral sadness surprise",
    "kdef": "fear anger disgust happiness neutral sadness surprise",
    "aihub": "joy embarrassment anger anxiety hurt sadness neutral",
    "aihub3": "positive neutral negative",
    "ravdess": "neutral calm happiness sadness anger fear disgust surprise",
    "mead": "neutral anger contempt disgust fear happiness sadness surprise",
    "can_ravdess": "calm happiness sadness anger fear disgust surprise",
    "can_mead": "anger contempt disgust fear happiness sadness surprise",
    "cremad": "anger disgust fear happiness neutral sadness",
}


def test_published_orders():
    assert {name: " ".join(label_set(name).classes) for name in list_label_sets()} == ORDERS


def test_checksum_is_sha256_of_the_names_in_order():
    """printf 'a\\nb' | sha256sum"""
    assert LabelSet("x", ("a", "b")).checksum == "7e18f737311b"
    assert LabelSet("other name", ("a", "b")).checksum == "7e18f737311b"
    assert LabelSet("x", ("b", "a")).checksum != "7e18f737311b"


def test_checksums_tell_orders_apart():
    sums = {label_set(name).checksum for name in list_label_sets()}
    shared = [("caers", "sfew", "jaffe"), ("fer2013", "expw"), ("mead", "ckplus"), ("can_mead", "ckplus7")]
    assert len(sums) == len(ORDERS) - sum(len(names) - 1 for names in shared)
    for names in shared:
        assert len({label_set(name).checksum for name in names}) == 1


@pytest.mark.parametrize("name", ORDERS)
def test_index_is_the_inverse_of_classes(name):
    labels = label_set(name)
    assert [labels.index(name) for name in labels.classes] == list(range(len(labels)))
    assert [labels.index(f" {name.upper()} ") for name in labels.classes] == list(range(len(labels)))


def test_synonyms_but_not_neighbours():
    rafdb = label_set("rafdb")
    assert [rafdb.index(name) for name in ("Happy", "sad", "ANGRY", "surprised", "fearful", "disgusted")] == [
        3,
        4,
        5,
        0,
        1,
        2,
    ]
    assert label_set("aihub").index("happy") == 0  # joy
    with pytest.raises(MienError, match="'calm' is not a class of rafdb"):
        rafdb.index("calm")
    with pytest.raises(MienError, match="Did you mean 'happiness'"):
        rafdb.index("hapiness")


def test_mappings_by_hand():
    assert label_set("rafdb").mapping_to(label_set("ferplus")) == (2, 6, 5, 1, 3, 4, 0)
    assert label_set("ferplus").mapping_to(label_set("rafdb")) == (6, 3, 0, 4, 5, 2, 1, None)
    assert label_set("ravdess").mapping_to(label_set("fer2013")) == (6, None, 3, 4, 0, 2, 1, 5)
    assert label_set("aihub").mapping_to(label_set("rafdb")) == (3, None, 5, None, None, 4, 6)


def test_reduction_to_three_classes_is_total():
    assert label_set("aihub").mapping_to(label_set("aihub3")) == (0, 2, 2, 2, 2, 2, 1)


@pytest.mark.parametrize(("a", "b"), product(ORDERS, ORDERS))
def test_mappings_there_and_back(a, b):
    """What comes back comes back to itself; only neutral is shared with the three-class set."""
    if "aihub3" in (a, b) and a != b:
        return
    there = label_set(a).mapping_to(label_set(b))
    back = label_set(b).mapping_to(label_set(a))
    for index, other in enumerate(there):
        assert other is None or back[other] == index


def test_sets_without_a_common_class_are_refused():
    with pytest.raises(MienError, match="No class of mine"):
        LabelSet("mine", ("cat", "dog")).mapping_to(label_set("rafdb"))


def test_dictionary_round_trip_and_a_forged_order():
    labels = label_set("mead")
    assert LabelSet.from_dict(labels.to_dict()) == labels
    forged = labels.to_dict() | {"classes": list(reversed(labels.classes))}
    with pytest.raises(MienError, match="does not fit its class order"):
        LabelSet.from_dict(forged)


def test_refusals():
    with pytest.raises(MienError, match="at least one class"):
        LabelSet("x", ())
    with pytest.raises(MienError, match="names a class twice"):
        LabelSet("x", ("a", "a"))
    with pytest.raises(MienError, match="Did you mean 'rafdb'"):
        label_set("raf-db")
    assert label_set("mine", ["a", "b"]) == LabelSet("mine", ("a", "b"))


def test_the_circumplex_by_hand():
    assert circumplex({"joy": 3, "neutral": 1}) == pytest.approx((0.6075, 0.3825))  # a synonym of happiness
    with pytest.raises(MienError, match=r"No valence and arousal are known of 'sadnes'\. Did you mean 'sadness'"):
        circumplex({"sadnes": 1.0})
    with pytest.raises(MienError, match="has shares of 0 or more"):
        circumplex({"neutral": 0.0})


def test_nearest_names_one_or_all_or_none():
    assert nearest("colour", ["color", "size"]) == " Did you mean 'color'?"
    assert nearest("zzz", ["color", "size"]) == " Known: color, size."
    assert nearest("zzz", []) == ""
