"""Readers: a data set's own folder layout → Sample. One file a data set; nothing is decoded here.

`open_reader` finds a reader by name; what a reader must offer is in `reader.py`, how to add one in
docs/add_a_dataset.md.
"""

from inspect import signature
from pathlib import Path
from typing import Any

from mien.core.errors import MienError, nearest
from mien.core.extras import imported
from mien.data.readers.reader import MISSING, PICTURES, Reader, one_line
from mien.media.files import home_expanded

READERS: dict[str, str] = {
    "rafdb": "mien.data.readers.rafdb:RafDb",
    "rafdb_folders": "mien.data.readers.rafdb:RafDbFolders",
    "ferplus": "mien.data.readers.ferplus:FerPlus",
    "image_folder": "mien.data.readers.image_folder:ImageFolder",
    "manifest": "mien.data.readers.manifest:Manifest",
    "w300": "mien.data.readers.w300:W300",
    "w300lp": "mien.data.readers.w300lp:W300Lp",
    "aflw2000": "mien.data.readers.aflw2000:Aflw2000",
    "wflw": "mien.data.readers.wflw:Wflw",
    "menpo2d": "mien.data.readers.menpo2d:Menpo2d",
    "ls3d": "mien.data.readers.ls3d:Ls3d",
    "aflw": "mien.data.readers.aflw:Aflw",
    "neuroface": "mien.data.readers.neuroface:NeuroFace",
    "parface_palsy": "mien.data.readers.parface_palsy:ParFacePalsy",
    "meei": "mien.data.readers.meei:Meei",
    "celeba": "mien.data.readers.celeba:CelebA",
    "vggface2": "mien.data.readers.vggface2:VggFace2",
    "ffhq": "mien.data.readers.ffhq:Ffhq",
    "affectnet": "mien.data.readers.affectnet:AffectNet",
    "caers": "mien.data.readers.caers:CaerS",
    "aihub": "mien.data.readers.aihub:AiHub",
    "sfew": "mien.data.readers.sfew:Sfew",
    "fer2013": "mien.data.readers.fer2013:Fer2013",
    "ckplus": "mien.data.readers.ckplus:CkPlus",
    "jaffe": "mien.data.readers.jaffe:Jaffe",
    "kdef": "mien.data.readers.kdef:Kdef",
    "expw": "mien.data.readers.expw:ExpW",
    "ravdess": "mien.data.readers.ravdess:Ravdess",
    "mead": "mien.data.readers.mead:Mead",
    "cremad": "mien.data.readers.cremad:CremaD",
    "drawn": "mien.data.readers.drawn:Drawn",
    "people": "mien.data.readers.people:People",
    "clips": "mien.data.readers.clips:Clips",
    "joined": "mien.data.readers.joined:Joined",
}


def list_readers() -> list[str]:
    """Names of the readers."""
    return list(READERS)


def open_reader(name: str, root: str | Path, **options: Any) -> Reader:
    """The reader `name` over the folder (for `manifest`: the file) `root`.

    Every reader takes the options `missing`: "stop" or "skip", for listed pictures that are not on disk; `pictures`:
    "photo", or "render" to take each face's render, which has the photo's size, in the place of the photo.
    Raises MienError for an unknown name, an unknown option, or a root that is not laid out as that data set is.
    """
    if name not in READERS:
        raise MienError(f"No data set reader {name!r}.{nearest(name, READERS)}")
    reader: type[Reader] = imported(READERS[name])
    known = [*(name for name in signature(reader).parameters if name != "root"), "missing", "pictures"]
    for option in options:
        if option not in known:
            raise MienError(f"Reader {name} has no option {option!r}.{nearest(option, known)}")
    missing = str(options.pop("missing", "stop"))
    if missing not in MISSING:
        raise MienError(f"Reader {name}: missing must be stop or skip; got {missing!r}.")
    folder = home_expanded(root)
    own = "pictures" in signature(reader).parameters  # renders of another size than the photos, in folders of their own
    pictures = "photo" if own else str(options.pop("pictures", "photo"))
    if pictures not in PICTURES:
        raise MienError(f"Reader {name}: pictures must be photo or render; got {pictures!r}.")
    with one_line(name, folder):
        opened = reader(folder, **options)
    opened.missing, opened.picture_kind = missing, pictures
    return opened


__all__ = ["READERS", "Reader", "list_readers", "open_reader"]
