"""The licence ledger: of each bundle, fetched file and 3D face, what it may be used for, its hash, and its scores."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mien.core.bundle import BundleInfo
from mien.engine.bundles.fetch import FETCHABLE
from mien.media.bundles import bundle_folder, bundle_name, shipped_bundles
from mien.media.files import cache_folder, read_info, sha256_of

SCORES = 4  # of a bundle
INDENT = "  "


def ledger(bundles: Sequence[str] = ()) -> Iterator[str]:
    """Blocks of text: bundles that ship and those named, fetched files, registered 3D faces."""
    yield "\n".join(["Bundles that ship:", *(line for folder, info in shipped_bundles() for line in _of(folder, info))])
    if bundles:
        own = [bundle_folder(bundle) for bundle in bundles]
        yield "\n".join(["Bundles named:", *(line for folder in own for line in _of(folder, read_info(folder)))])
    yield "\n".join(["Files to fetch (mien weights fetch NAME):", *_fetched()])
    yield "\n".join(["3D faces:", *_faces()])


def use_of(info: BundleInfo) -> str:
    """What it may be used for, in a few words."""
    if info.licence is None:
        return "not stated"
    return {"research": "research only", "commercial": "commercial use allowed"}[info.licence.use]


def _of(folder: Path, info: BundleInfo) -> Iterator[str]:
    yield f"{INDENT}{bundle_name(folder)}  {use_of(info)}"
    rows = {"weights": "", "data": "", "sha256": "", "scores": "; ".join(scores_of(info))}
    rows["card"] = str(folder / "README.md")
    if info.licence is not None:
        rows["weights"] = info.licence.weights
        rows["data"] = "; ".join(f"{name}: {terms}" for name, terms in info.licence.data.items())
    rows["sha256"] = ", ".join(f"{name} {digest}" for name, digest in info.files.items() if name.startswith("model."))
    yield from (f"{2 * INDENT}{name:<8} {text}" for name, text in rows.items() if text)


def scores_of(info: BundleInfo) -> list[str]:
    """The first scores that its provenance states: of validation faces, optimistic where they selected the epoch."""
    found: Any = info.provenance.get("scores") or info.provenance.get("actors_kept_aside")
    if not isinstance(found, dict):
        return []
    shown = []
    for name, value in found.items():
        if isinstance(value, list) and len(value) == 3:
            shown.append(f"{name} {value[0]:.3g} ({value[1]:.3g} to {value[2]:.3g})")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            shown.append(f"{name} {value:.3g}")
    return shown[:SCORES]


def _fetched() -> Iterator[str]:
    cache = cache_folder()
    for name, wanted in FETCHABLE.items():
        path = None if cache is None else cache / "weights" / wanted.file
        state = "not fetched"
        if path is not None and path.is_file():
            state = f"fetched: {path}" if sha256_of(path) == wanted.sha256 else f"{path} is another file"
        yield f"{INDENT}{name}  {wanted.licence}"
        yield f"{2 * INDENT}sha256   {wanted.sha256}"
        yield f"{2 * INDENT}state    {state}"


def _faces() -> Iterator[str]:
    from mien.synthetic.face import open_face
    from mien.synthetic.faces3d import registered

    yield f"{INDENT}{open_face.NAME}  {open_face.LICENCE} (built in)"
    for name, asset in registered().items():
        yield f"{INDENT}{name}  {asset.licence}"
        yield from (f"{2 * INDENT}sha256   {what} {digest}" for what, digest in asset.sha256.items())
