"""Replicas: drawn faces as a data set folder, in the genuine layout of each reader.

A layout is a writer in `folders.py` (class folders), `tables.py` (lists and tables), `posed.py` (laboratory sets),
`wild.py` (the large sets), `recordings.py` (videos with voices), `landmarks_2d.py` and `landmarks_3d.py` (points),
`unlabelled.py` (pictures alone); the faces come from `face.py`, whatever style draws them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mien.core.errors import MienError, nearest
from mien.data.replicas import folders, landmarks_2d, landmarks_3d, posed, recordings, tables, unlabelled, wild
from mien.data.replicas.face import SAME, STYLES, Face, Shot, Writer, Written, faces_of

__all__ = ["LAYOUTS", "STYLES", "Face", "Layout", "Shot", "Written", "faces_of", "layout_named", "write_drawn"]
WITH_CONTEMPT = {**SAME, "contempt": "contempt"}


@dataclass(frozen=True)
class Layout:
    """A writer of a data set's layout, and the reader of it."""

    writer: Writer
    """Writes faces into a folder one by one."""
    reader: str
    """Name of the reader."""
    classes: Mapping[str, str] = field(default_factory=lambda: SAME)
    """Class of the layout → expression that is drawn for it."""
    frames: int = 1
    """Pictures in a recording."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Of the reader."""

    def write(self, folder: Path, faces: Iterable[Face]) -> list[Written]:
        """Writes the faces into the folder; what was written, as the reader must find it."""
        return list(self.writer(folder, faces))


LAYOUTS: dict[str, Layout] = {
    "image_folder": Layout(folders.write_plain_folders, "image_folder"),
    "drawn": Layout(folders.write_class_folders, "drawn"),
    "rafdb": Layout(tables.write_rafdb, "rafdb"),
    "rafdb_folders": Layout(folders.write_rafdb_folders, "rafdb_folders"),
    "ferplus": Layout(tables.write_ferplus, "ferplus", WITH_CONTEMPT),
    "fer2013": Layout(tables.write_fer2013, "fer2013"),
    "affectnet": Layout(wild.write_affectnet, "affectnet", WITH_CONTEMPT),
    "affectnet_arrays": Layout(wild.write_affectnet_arrays, "affectnet", WITH_CONTEMPT, options={"index": "off"}),
    "affectnet_folders": Layout(wild.write_affectnet_folders, "affectnet", WITH_CONTEMPT),
    "caers": Layout(wild.write_caers, "caers", options={"boxes": True}),
    "aihub": Layout(wild.write_aihub, "aihub", wild.AIHUB_CLASSES),
    "sfew": Layout(folders.write_sfew, "sfew"),
    "ckplus": Layout(
        posed.write_ckplus, "ckplus", {name: name for name in posed.CKPLUS_CLASSES}, frames=posed.CKPLUS_FRAMES
    ),
    "jaffe": Layout(posed.write_jaffe, "jaffe"),
    "kdef": Layout(posed.write_kdef, "kdef"),
    "expw": Layout(tables.write_expw, "expw"),
    "w300": Layout(landmarks_2d.write_w300, "w300"),
    "menpo2d": Layout(landmarks_2d.write_menpo2d, "menpo2d"),
    "wflw": Layout(landmarks_2d.write_wflw, "wflw"),
    "aflw": Layout(landmarks_2d.write_aflw, "aflw"),
    "neuroface": Layout(landmarks_2d.write_neuroface, "neuroface"),
    "w300lp": Layout(landmarks_3d.write_w300lp, "w300lp"),
    "w300lp_mat": Layout(landmarks_3d.write_w300lp_mat, "w300lp", options={"pose": True}),
    "aflw2000": Layout(landmarks_3d.write_aflw2000, "aflw2000"),
    "ls3d": Layout(landmarks_3d.write_ls3d, "ls3d"),
    "parface_palsy": Layout(landmarks_3d.write_parface_palsy, "parface_palsy"),
    "meei": Layout(unlabelled.write_meei, "meei"),
    "celeba": Layout(unlabelled.write_celeba, "celeba"),
    "vggface2": Layout(unlabelled.write_vggface2, "vggface2", options={"min_height": 0}),
    "ffhq": Layout(unlabelled.write_ffhq, "ffhq"),
    "ravdess": Layout(recordings.write_ravdess, "ravdess", recordings.RAVDESS_CLASSES, options={"frames": 1}),
    "mead": Layout(recordings.write_mead, "mead", recordings.MEAD_CLASSES, options={"frames": 1}),
    "cremad": Layout(recordings.write_cremad, "cremad", recordings.CREMAD_CLASSES, options={"frames": 1}),
    "manifest": Layout(tables.write_manifest, "manifest"),
    "joined": Layout(tables.write_joined, "joined"),
}


def layout_named(name: str) -> Layout:
    """Raises MienError for an unknown layout."""
    if name not in LAYOUTS:
        raise MienError(f"No layout {name!r}.{nearest(name, LAYOUTS)}")
    return LAYOUTS[name]


def write_drawn(
    folder: Path | str, *, faces: int = 700, seed: int = 0, layout: str = "image_folder", size: int = 112,
    test_share: float = 0.2, pictures: int = 1, style: str = "drawn",
) -> Path:  # fmt: skip
    """Writes `faces` pictures, as many of each class, the last share of them as test. Returns the folder.

    pictures: of each person. The same arguments write the same bytes. Raises MienError for an unknown layout or style.
    """
    found, folder = layout_named(layout), Path(folder)
    drawn = faces_of(
        style, faces=faces, seed=seed, size=size, pictures=pictures, test_share=test_share, classes=found.classes,
        frames=found.frames,
    )  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    found.write(folder, drawn)
    return folder
