"""LabelSet: an ordered vocabulary of expressions. The orders of the published data sets are data (labels.json).

A class index means nothing without its order; every bundle stores the names and every reader names its set. The
checksum of a set is printed in reports, so that two numbers can be told apart that were made with different orders.
"""

import hashlib
import json
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from mien.core.errors import MienError, nearest
from mien.core.typed import checked, named, shown

# Other spellings of the same class, as data sets write them. Only true synonyms: "calm" is not "neutral".
SYNONYMS = {
    "happy": "happiness", "sad": "sadness", "angry": "anger", "surprised": "surprise", "fearful": "fear",
    "disgusted": "disgust", "afraid": "fear", "contemptuous": "contempt", "neutrality": "neutral",
    "joy": "happiness",
}  # fmt: skip

AFFECT = ("valence", "arousal")
# Pleasure and arousal of the words for the states, -1..1: the means that Russell & Mehrabian measured (1977, J. of
# Research in Personality 11, 273-294), which Russell's circumplex (1980) arranges on a circle. Neutral is the origin;
# contempt is not in the usual short list and was set by us between disgust and neutral.
CIRCUMPLEX = {
    "neutral": (0.0, 0.0), "happiness": (0.81, 0.51), "surprise": (0.40, 0.67), "sadness": (-0.63, -0.27),
    "anger": (-0.51, 0.59), "disgust": (-0.60, 0.35), "fear": (-0.64, 0.60), "contempt": (-0.40, 0.20),
}  # fmt: skip

# Reductions that lose information and are therefore asked for by name: (from, to) -> class by class.
COLLAPSES = {
    ("aihub", "aihub3"): {
        "joy": "positive", "neutral": "neutral", "embarrassment": "negative", "anger": "negative",
        "anxiety": "negative", "hurt": "negative", "sadness": "negative",
    },
}  # fmt: skip


def spelled(name: str) -> str:
    """A class name without blanks around it, its letters composed as Unicode's NFC."""
    return unicodedata.normalize("NFC", " ".join(name.split()))


def folded(name: str) -> str:
    """`spelled`, without case: what distinguishes one class from another."""
    return spelled(name).casefold()


def meaning(name: str) -> str:
    """`folded`, and of true synonyms always the same one."""
    return SYNONYMS.get(folded(name), folded(name))


def circumplex(shares: Mapping[str, float]) -> tuple[float, float]:
    """Valence and arousal, -1..1, of a mixture of expressions: the mean of their places on the circumplex by share.

    What words for expressions mean to people, so a proxy for a rating of the face. Raises MienError for an expression
    without a place, and for shares without a positive sum.
    """
    for name in shares:
        if meaning(name) not in CIRCUMPLEX:
            raise MienError(f"No valence and arousal are known of {name!r}.{nearest(name, CIRCUMPLEX)}")
    if not (total := sum(shares.values())) > 0:
        raise MienError(f"A mixture of expressions has shares of 0 or more and one above; got {shown(dict(shares))}.")
    valence, arousal = (sum(s * CIRCUMPLEX[meaning(name)][k] for name, s in shares.items()) / total for k in range(2))
    return valence, arousal


@dataclass(frozen=True)
class LabelSet:
    """Class names in index order."""

    name: str
    """Of the data set that orders them so."""
    classes: tuple[str, ...]
    """By index."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "classes", tuple(self.classes))
        if not self.classes:
            raise MienError(f"LabelSet {self.name!r} needs at least one class.")
        if len(set(self.classes)) != len(self.classes):
            raise MienError(f"LabelSet {self.name!r} names a class twice: {shown(self.classes)}.")

    def __len__(self) -> int:
        return len(self.classes)

    @property
    def checksum(self) -> str:
        """First 12 hexadecimal digits of SHA-256 over the class names in order, joined by newlines."""
        return hashlib.sha256("\n".join(self.classes).encode()).hexdigest()[:12]

    def index(self, name: str) -> int:
        """The index of a class by its name or a true synonym of it. Raises MienError for a class not in the set."""
        wanted = folded(name)
        for position, known in enumerate(self.classes):
            if wanted == folded(known):
                return position
        wanted = SYNONYMS.get(wanted, wanted)
        for position, known in enumerate(self.classes):
            if wanted == meaning(known):
                return position
        raise MienError(f"{name!r} is not a class of {self.name}.{nearest(wanted, self.classes)}")

    def mapping_to(self, other: "LabelSet") -> tuple[int | None, ...]:
        """For each class here its index in `other`, None where the other set has no such class.

        Classes meet by name or synonym; a published reduction (`COLLAPSES`) is used where one is known. Raises
        MienError when no class at all has a counterpart.
        """
        collapse = COLLAPSES.get((self.name, other.name), {})

        def find(name: str) -> int | None:
            try:
                return other.index(collapse.get(name, name))
            except MienError:
                return None

        mapping = tuple(find(name) for name in self.classes)
        if all(index is None for index in mapping):
            ours, theirs = ", ".join(self.classes), ", ".join(other.classes)
            raise MienError(f"No class of {self.name} ({ours}) is one of {other.name} ({theirs}).")
        return mapping

    def to_dict(self) -> dict[str, Any]:
        return {"name": self.name, "classes": list(self.classes), "checksum": self.checksum}

    @classmethod
    def from_dict(cls, values: Any, *, key: str = "labels") -> "LabelSet":
        """Raises MienError for other values, named by the key, and for a checksum that does not fit the order."""
        with named(key):
            labels: LabelSet = checked(values, cls, key=key)
        stored = values.get("checksum", labels.checksum)
        if stored != labels.checksum:
            raise MienError(f"{key}.checksum {shown(stored)} does not fit its class order ({labels.checksum}).")
        return labels


@cache
def _published() -> dict[str, tuple[str, ...]]:
    text = resources.files("mien.core").joinpath("labels.json").read_text(encoding="utf-8")
    return {name: tuple(classes) for name, classes in json.loads(text).items()}


def list_label_sets() -> list[str]:
    """Names of the published orders."""
    return list(_published())


def label_set(name: str, classes: Sequence[str] | None = None) -> LabelSet:
    """The published order of that name, or with `classes` a set of the user's own."""
    if classes is not None:
        return LabelSet(name, tuple(classes))
    if name not in _published():
        raise MienError(f"No label set {name!r}.{nearest(name, _published())}")
    return LabelSet(name, _published()[name])
