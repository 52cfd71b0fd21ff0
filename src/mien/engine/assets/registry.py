"""`mien assets list` and `mien assets add`: the 3D faces that systems and commands take by name."""

from pathlib import Path

from mien.cli.text import columns
from mien.core.errors import MienError
from mien.media.files import home_expanded


def list_assets() -> str:
    """List the 3D faces: the open one, and those registered by path, with their licence."""
    from mien.synthetic.face import open_face
    from mien.synthetic.faces3d import KINDS, registered, registry_file

    rows = [(open_face.NAME, "built in", open_face.LICENCE, "")]
    for name, asset in registered().items():
        state = "; ".join(asset.changed()) or asset.files["model"]
        rows.append((name, KINDS.get(asset.kind, asset.kind), asset.licence, state))
    return f"3D faces (--system.options.face NAME):\n{columns(rows)}\n\nregistered in {registry_file()}"


def add_asset(
    name: str,
    *,
    model: str,
    landmarks: str | None = None,
    left_lid: str | None = None,
    right_lid: str | None = None,
    masks: str | None = None,
    licence: str | None = None,
    replace: bool = False,
) -> str:
    """Register a 3D face by the paths of its files; nothing is copied, and nothing in them is executed.

    Args:
        name: what it is called from now on.
        model: FLAME 2020 or 2023 as .pkl, .npz or .safetensors, or ICT-FaceKit's light .npz.
        landmarks: landmark_embedding.npy of FLAME; without it, no landmarks can be compared.
        left_lid: SMIRK's l_eyelid.npy.
        right_lid: SMIRK's r_eyelid.npy.
        masks: FLAME_masks.pkl, of which the mask face is rendered; without it the whole head is.
        licence: its licence in a few words, shown wherever the face is used.
        replace: register a name again.
    """
    from mien.synthetic.faces3d import KINDS, register

    given = {"model": model, "landmarks": landmarks, "left_lid": left_lid, "right_lid": right_lid, "masks": masks}
    files = {what: home_expanded(path) for what, path in given.items() if path is not None}
    if (left_lid is None) != (right_lid is None):
        raise MienError("Eyelids come in pairs: give both --left-lid and --right-lid, or neither.")
    asset, face = register(name, {what: Path(path) for what, path in files.items()}, licence=licence, replaced=replace)
    lines = [
        f"{name}: {KINDS[asset.kind]}, {len(face.template):,} vertices, {face.shape_count} shape and "
        f"{face.expression_count} expression parameters",
        f"licence: {asset.licence}",
        *(f"{what}: {asset.files[what]}, SHA-256 {digest[:12]}" for what, digest in asset.sha256.items()),
    ]
    if face.landmark_triangles is None:
        lines.append("It has no landmarks: give --landmarks to train with it or to compare points.")
    return "\n".join(lines)
