"""`mien weights fetch`: files of others that mien does not contain, from their authors, known by SHA-256."""

import hashlib
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import IO

from mien.core.errors import MienError, nearest
from mien.media import yunet
from mien.media.files import atomic_path, cache_folder, sha256_of

TIMEOUT_S = 30


@dataclass(frozen=True)
class Fetchable:
    """A file that may be had from its authors."""

    file: str
    """Its name in the cache folder."""
    sha256: str
    """Of the whole file, in hexadecimal digits."""
    size: int
    """Bytes."""
    licence: str
    """In a few words, shown when it is fetched."""
    what: str
    """In a few words."""
    addresses: tuple[str, ...]
    """Where it lies, tried one after the other."""


FETCHABLE = {
    "yunet": Fetchable(
        yunet.FILE, yunet.SHA256, yunet.SIZE, yunet.LICENCE, "face detector of OpenCV's model zoo",
        (
            "https://media.githubusercontent.com/media/opencv/opencv_zoo/main/models/face_detection_yunet/"
            "face_detection_yunet_2023mar.onnx",
            "https://raw.githubusercontent.com/ShiqiYu/libfacedetection.train/master/onnx/yunet_s_640_640.onnx",
        ),
    )
}  # fmt: skip


def fetch(name: str, *, source: str = "") -> str:
    """Get a file of others once, into the cache folder, known by its SHA-256. No other command uses a network.

    Args:
        name: yunet, OpenCV's face detector.
        source: the file itself, on a machine without a network.
    """
    if name not in FETCHABLE:
        raise MienError(f"Nothing to fetch is called {name!r}.{nearest(name, FETCHABLE)}")
    wanted, folder = FETCHABLE[name], cache_folder()
    if folder is None:
        raise MienError("This user has no cache folder. Name one with the environment variable MIEN_CACHE.")
    path = folder / "weights" / wanted.file
    place = f"{path}\nlicence: {wanted.licence}; SHA-256 {wanted.sha256}"
    if path.is_file() and sha256_of(path) == wanted.sha256:
        return f"{name} is there already: {place}"
    reasons = []
    for address in (source,) if source else wanted.addresses:
        try:
            content = _content(address, wanted)
        except (OSError, HTTPException, OtherFileError) as error:
            reasons.append(f"{address}: {getattr(error, 'reason', None) or getattr(error, 'strerror', None) or error}")
            continue
        with atomic_path(path) as temporary:
            temporary.write_bytes(content)
        return f"{name}, {wanted.what}: {place}"
    raise MienError(
        f"{name} could not be fetched ({'; '.join(reasons)}). On a machine without a network copy {wanted.file} there "
        f"and name it: mien weights fetch {name} --source FILE."
    )


class OtherFileError(Exception):
    """What lies there is not the file."""


def _content(address: str, wanted: Fetchable) -> bytes:
    with _opened(address) as source:
        content = source.read(wanted.size + 1)
    if (found := hashlib.sha256(content).hexdigest()) != wanted.sha256:
        raise OtherFileError(f"another file (SHA-256 {found[:12]}, expected {wanted.sha256[:12]})")
    return content


@contextmanager
def _opened(address: str) -> Iterator[IO[bytes]]:
    if address.startswith("https://"):
        with urllib.request.urlopen(address, timeout=TIMEOUT_S) as response:
            yield response
    else:
        with Path(address).expanduser().open("rb") as file:
            yield file
