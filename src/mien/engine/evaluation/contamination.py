"""What a training run records of its faces in the bundle, and whether an evaluation meets them again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mien.core.bundle import TRAIN_FACES, BundleInfo
from mien.core.errors import MienError
from mien.core.records import Sample
from mien.data.leakage.contamination import read_train_faces, train_faces
from mien.data.selection import Selection
from mien.data.splits import split_hash
from mien.engine.evaluation.data import EvaluationData, Target
from mien.media.bundles import bundle_folder
from mien.media.files import read_info

UNKNOWN = "this bundle carries no fingerprints of its training faces; only the names of splits were compared"


def training_faces(
    selection: Selection, *, data: str, leaks: str, inits: Sequence[str]
) -> tuple[dict[str, bytes], dict[str, Any]]:
    """Files for the bundle by name, and what its provenance says of them.

    The faces of the bundles that the run starts from are included. Nothing is written where leaks are ignored, for then
    the pictures are not fingerprinted.
    """
    if leaks == "ignore":
        return {}, {"train_faces": "not recorded (data.leaks: ignore)"}
    faces = train_faces(selection.train, selection.val, data=data)
    about: dict[str, Any] = {"of this stage": len(faces.trained)}
    earlier = [read_train_faces(folder, read_info(folder)) for folder in map(bundle_folder, inits)]
    known = [found for found in earlier if found is not None]
    if earlier:
        about["of earlier stages"] = "unknown" if len(known) < len(earlier) else sum(len(f.trained) for f in known)
    for found in known:
        faces = faces.joined(found)
    return {TRAIN_FACES: faces.to_bytes()}, {"train_faces": about}


@dataclass
class Contamination:
    """What the fingerprints in some bundles say of the faces of a split."""

    dropped: set[str] = field(default_factory=set)
    """Keys of faces to leave out of every number."""
    warnings: list[list[str]] = field(default_factory=list)
    """By bundle."""
    about: dict[str, Any] = field(default_factory=dict)
    """Policy and counts, for metrics.jsonl."""


def check_contamination(
    data: EvaluationData, samples: Sequence[Sequence[Sample]], bundles: Sequence[str], infos: Sequence[BundleInfo]
) -> Contamination:
    """Obeys `data.leaks`. samples: the faces that each bundle is to be measured on.

    Raises MienError for faces that a bundle was trained on, where they are to be refused. Of two bundles both lose the
    faces that either was trained on, so that they predict the same.
    """
    result = Contamination(about={"policy": data.leaks})
    trained: set[str] = set()
    for faces, bundle, info in zip(samples, bundles, infos, strict=True):
        found = None if data.leaks == "ignore" else _matches(data, faces, bundle, info)
        result.warnings.append(found.warnings if found else [])
        result.about |= found.counts if found else {}
        trained |= found.trained if found else set()
    if data.leaks == "drop" and trained:
        result.about["dropped"] = len(trained)
        result.dropped = trained
    return result


@dataclass(frozen=True)
class _Matches:
    trained: set[str]  # keys of faces that the bundle was trained on
    warnings: list[str]
    counts: Mapping[str, Any]


def _matches(data: EvaluationData, samples: Sequence[Sample], bundle: str, info: BundleInfo) -> _Matches:
    known = read_train_faces(bundle_folder(bundle), info) if info.train_faces else None
    if known is None:
        return _Matches(set(), [], {"seen": "unknown"})
    matches, total = known.matches(samples, data=data.name), f"{len(samples):,}"
    kinds = matches.described(samples)
    trained = {s.key for s, hit in zip(samples, matches.in_training, strict=True) if hit}
    if trained and data.leaks == "refuse":
        raise MienError(
            f"{bundle} was trained on {len(trained):,} of the {total} faces of {data.described} ({kinds}), "
            f"first {min(trained)!r}. A score on training faces means nothing. Leave them out: --data.leaks drop; "
            "go on and say so: --data.leaks report."
        )
    effect = "They are left out of every number." if data.leaks == "drop" else "These scores are no test of new faces."
    warnings = [f"{bundle} was trained on {len(trained):,} of the {total} faces ({kinds}). {effect}"] * bool(trained)
    if chosen := int(matches.chosen.sum()):
        warnings.append(f"{bundle} was selected on copies of {chosen:,} of the {total} faces: they flatter it.")
    return _Matches(trained, warnings, {"seen": len(trained), "chosen": chosen})


def provenance_warnings(info: BundleInfo, target: Target) -> list[str]:
    """Lines of warning where the bundle's provenance says that it was trained or selected on these faces.

    Read from provenance (or its `data`): the data set's name as `data` or `name`, and `train` and `val`, each with
    `split` and `hash` (of the faces in the model's classes).
    """
    known = info.provenance["data"] if isinstance(info.provenance.get("data"), dict) else info.provenance
    same_set = target.data in (known.get("data"), known.get("name"))
    asked = split_hash(target.samples)
    warnings = []
    for side, use in (("train", "trained"), ("val", "selected")):
        about = known.get(side)
        about = about if isinstance(about, dict) else {"split": about}
        split = f"{target.data}, split {target.split}"
        if about.get("hash") and about["hash"] == asked:
            warnings.append(f"The model was {use} on these very faces ({split}): this is no test of new faces.")
        elif same_set and about.get("split") == target.split:
            warnings.append(f"The model was {use} on faces of {split}: this is no test of new faces.")
    return warnings


def format_overlap(leaks: dict[str, Any]) -> str:
    """How many faces of the split the model was trained on, as text."""
    if leaks.get("policy") in (None, "ignore"):
        return "not checked (data.leaks: ignore)"
    if leaks.get("seen") == "unknown":
        return f"not known: {UNKNOWN}"
    done = f", {leaks['dropped']:,} left out" if "dropped" in leaks else ""
    return f"{leaks.get('seen', 0):,} found by fingerprints{done}"
