"""The 3D faces by name: the open one, and those whose files a user registered with `mien assets add`.

The registry is a JSON file with paths, SHA-256 and licence of each; the files themselves stay where they are.
"""

import json
import os
import sys
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np

from mien.core.errors import MienError, nearest
from mien.core.face3d import Face3D
from mien.core.json_text import parse_json
from mien.core.options import from_plain
from mien.media.files import sha256_of, write_text
from mien.nn.face3d.flame_files import FlameFiles, read_flame
from mien.nn.files.numpy_files import read_npz
from mien.synthetic.face import open_face
from mien.synthetic.face.files import load_face_model

KINDS = {"flame": "FLAME", "ict": "ICT-FaceKit"}
LICENCES = {
    "flame": "FLAME's licence of the Max Planck Society, as its registration states it; not checked",
    "ict": "MIT, USC Institute for Creative Technologies",
}
RESERVED = (open_face.NAME, "none")


@dataclass(frozen=True)
class Asset:
    """A registered 3D face."""

    kind: str
    """flame or ict."""
    files: dict[str, str]
    """What (model, landmarks, left_lid, right_lid, masks) to path."""
    sha256: dict[str, str]
    """Of each file, when it was registered."""
    licence: str
    """As the user states it, or what is known of the kind."""

    def changed(self) -> list[str]:
        """What is wrong with its files, in words; empty where all are as they were."""
        found = []
        for what, path in self.files.items():
            if not Path(path).is_file():
                found.append(f"{what} is not there: {path}")
            elif sha256_of(Path(path)) != self.sha256.get(what):
                found.append(f"{what} has changed: {path}")
        return found


def registry_file() -> Path:
    """`$MIEN_ASSETS`, or assets.json in mien's own folder where this platform keeps settings."""
    if own := os.environ.get("MIEN_ASSETS"):
        return Path(own).expanduser()
    if sys.platform == "win32":
        return Path(os.environ.get("APPDATA", "~/AppData/Roaming")).expanduser() / "mien" / "assets.json"
    return Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser() / "mien" / "assets.json"


def registered() -> dict[str, Asset]:
    """The assets by name. Raises MienError for a damaged registry."""
    path = registry_file()
    if not path.is_file():
        return {}
    content = parse_json(path.read_bytes(), where=str(path))
    if not isinstance(content, dict):
        raise MienError(f"{path} must be an object of assets by name; got a {type(content).__name__}.")
    return {
        str(name): from_plain(Asset, value, where=f"{path}: {name}", what="field") for name, value in content.items()
    }


def register(
    name: str, files: dict[str, Path], *, licence: str | None = None, replaced: bool = False
) -> tuple[Asset, Face3D]:
    """Reads the files, keeps their SHA-256, and writes the registry.

    Raises MienError for a name that is taken and for files that are no 3D face; nothing is written then.
    """
    known = registered()
    if name in RESERVED or not name.isidentifier():
        raise MienError(
            f"A 3D face is named with letters, digits and _, and not {' or '.join(RESERVED)}; got {name!r}."
        )
    if name in known and not replaced:
        raise MienError(f"{name} is registered already. Take another name, or --replace.")
    kind = "ict" if _is_ict(files["model"]) else "flame"
    if kind == "ict" and (others := sorted(files.keys() - {"model"})):
        raise MienError(
            f"An ICT-FaceKit file holds its own landmarks and eyelids: leave out --{others[0].replace('_', '-')}."
        )
    paths = {what: str(path.resolve()) for what, path in files.items()}
    asset = Asset(kind, paths, {}, licence or LICENCES[kind])
    face = _read(name, asset)
    asset = replace(asset, sha256={what: sha256_of(Path(path)) for what, path in paths.items()})
    plain = {other: asdict(value) for other, value in (known | {name: asset}).items()}
    write_text(registry_file(), json.dumps(plain, indent=1) + "\n")
    return asset, face


def face_named(name: str) -> Face3D:
    """The face. Raises MienError for a name that is not known, and for files that have changed since."""
    if name == open_face.NAME:
        return open_face.open_face()
    known = registered()
    if name not in known:
        raise MienError(
            f"No 3D face {name!r}.{nearest(name, [open_face.NAME, *known])} "
            f"Register one: mien assets add {name} --model FILE."
        )
    asset = known[name]
    if wrong := asset.changed():
        raise MienError(f"The 3D face {name}: {wrong[0]}. Register it again: mien assets add {name} --replace.")
    return _kept(name, json.dumps(asdict(asset), sort_keys=True))


@cache
def _kept(name: str, asset: str) -> Face3D:
    return _read(name, Asset(**json.loads(asset)))


def _read(name: str, asset: Asset) -> Face3D:
    paths = {what: Path(path) for what, path in asset.files.items()}
    if asset.kind == "flame":
        return read_flame(FlameFiles(**paths), name=name, licence=asset.licence)
    face = open_face.face3d_of(load_face_model(paths["model"]), name=name, licence=asset.licence)
    narrow = int(read_npz(paths["model"]).get("n_narrow_face", len(face.template)))
    return replace(face, shown=face.triangles[(face.triangles < narrow).all(1)])


def _is_ict(path: Path) -> bool:
    """Whether it is a .npz with a neutral face. Raises MienError for a file that is not there."""
    if not path.is_file():
        raise MienError(f"No file at {path}.")
    if path.suffix != ".npz":
        return False
    try:
        with np.load(path, allow_pickle=False) as stored:
            return "neutral" in stored.files
    except Exception:  # damaged in whatever way: the reader says how
        return False
