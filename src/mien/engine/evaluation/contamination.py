"""What a training run remembers of its faces in the bundle, and what an evaluation concludes from it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mien.core.bundle import SEEN_FACES
from mien.core.errors import MienError

if TYPE_CHECKING:
    from mien.core.bundle import BundleInfo
    from mien.data.selection import Selection
    from mien.engine.evaluation.result import Target

UNKNOWN = "this bundle carries no fingerprints of its training faces; only the names of splits were compared"


def remembered(
    selection: "Selection", *, data: str, leaks: str, inits: Sequence[str]
) -> tuple[dict[str, bytes], dict[str, Any]]:
    """Files for the bundle by name, and what its provenance says of them.

    The faces of the bundles that the run starts from are included. Nothing is written where leaks are ignored, for then
    the pictures are not fingerprinted.
    """
    from mien.data.leakage.contamination import read_seen, seen_faces
    from mien.engine.bundles.predictor import bundle_folder
    from mien.systems.bundle import read_info

    if leaks == "ignore":
        return {}, {"seen_faces": "not recorded (data.leaks: ignore)"}
    seen = seen_faces(selection.train, selection.val, data=data)
    about: dict[str, Any] = {"of this stage": len(seen.trained)}
    earlier = [read_seen(folder, read_info(folder)) for folder in map(bundle_folder, inits)]
    known = [faces for faces in earlier if faces is not None]
    if earlier:
        about["of earlier stages"] = "unknown" if len(known) < len(earlier) else sum(len(f.trained) for f in known)
    for faces in known:
        seen = seen.joined(faces)
    return {SEEN_FACES: seen.to_bytes()}, {"seen_faces": about}


def checked(
    targets: "Sequence[Target]", bundles: Sequence[str], infos: "Sequence[BundleInfo]", *, leaks: str
) -> "tuple[list[Target], list[list[str]], dict[str, Any]]":
    """The targets after `leaks` was obeyed, warnings for each, and what to write down of it.

    Raises MienError for faces that a bundle was trained on, where they are to be refused. Of two bundles both lose the
    faces that either has seen, so that they answer the same.
    """
    if leaks == "ignore":
        return list(targets), [[] for _ in targets], {"policy": leaks}
    about: dict[str, Any] = {"policy": leaks}
    warnings: list[list[str]] = []
    seen_keys: set[str] = set()
    for target, bundle, info in zip(targets, bundles, infos, strict=True):
        keys, lines, counts = _met(target, bundle, info, leaks)
        seen_keys |= keys
        warnings.append(lines)
        about |= counts
    if leaks == "drop" and seen_keys:
        about["dropped"] = len(seen_keys)
        targets = [_without(target, seen_keys) for target in targets]
    return list(targets), warnings, about


def _met(
    target: "Target", bundle: str, info: "BundleInfo", leaks: str
) -> tuple[set[str], list[str], Mapping[str, Any]]:
    """Keys of faces that the bundle was trained on, warnings, counts."""
    from mien.data.leakage.contamination import read_seen
    from mien.engine.bundles.predictor import bundle_folder

    seen = read_seen(bundle_folder(bundle), info) if SEEN_FACES in info.files else None
    if seen is None:
        return set(), [], {"seen": "unknown"}
    met = seen.met_in(target.samples, data=target.data)
    said, of = met.said(target.samples), f"{target.data}, split {target.split}"
    keys = {s.key for s, hit in zip(target.samples, met.seen, strict=True) if hit}
    if keys and leaks == "refuse":
        raise MienError(
            f"{bundle} was trained on {len(keys):,} of the {len(target.samples):,} faces of {of} ({said}), "
            f"first {min(keys)!r}. A score on seen faces means nothing. Leave them out: --data.leaks drop; go on and "
            "say so: --data.leaks report."
        )
    did = "They are left out of every number." if leaks == "drop" else "These scores are no test of new faces."
    lines = [f"{bundle} was trained on {len(keys):,} of the {len(target.samples):,} faces ({said}). {did}"] * bool(keys)
    if chosen := int(met.chosen.sum()):
        lines.append(
            f"{bundle} was chosen by copies of {chosen:,} of the {len(target.samples):,} faces: they flatter it."
        )
    return keys, lines, {"seen": len(keys), "chosen": chosen}


def _without(target: "Target", keys: set[str]) -> "Target":
    kept = [sample for sample in target.samples if sample.key not in keys]
    if not kept:
        raise MienError(f"data.leaks: drop leaves no face of {target.data}, split {target.split}: all were trained on.")
    return replace(target, samples=kept)


def seen_before(info: "BundleInfo", target: "Target") -> list[str]:
    """Lines of warning where the bundle's provenance says that it was trained or chosen on these faces.

    Read from provenance (or its `data`): the data set's name as `data` or `name`, and `train` and `val`, each with
    `split` and `hash` (of the faces in the model's classes).
    """
    from mien.data.splits import split_hash

    known = info.provenance["data"] if isinstance(info.provenance.get("data"), dict) else info.provenance
    same_set = target.data in (known.get("data"), known.get("name"))
    asked = split_hash(target.samples)
    warnings = []
    for side, use in (("train", "trained"), ("val", "chosen")):
        about = known.get(side)
        about = about if isinstance(about, dict) else {"split": about}
        split = f"{target.data}, split {target.split}"
        if about.get("hash") and about["hash"] == asked:
            warnings.append(f"The model was {use} on these very faces ({split}): this is no test of new faces.")
        elif same_set and about.get("split") == target.split:
            warnings.append(f"The model was {use} on faces of {split}: this is no test of new faces.")
    return warnings
