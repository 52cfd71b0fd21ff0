"""How a bundle takes another's place, so that a kill at any moment leaves one of the two where it belongs."""

import ctypes
import shutil
from pathlib import Path

_HERE, _EXCHANGE = -100, 2  # AT_FDCWD and RENAME_EXCHANGE of Linux


def replace_bundle(folder: Path, new: Path) -> None:
    """`new` becomes `folder`; what was there is gone, or is at `new`, where the kernel can exchange two folders.

    Elsewhere the former bundle stands at `previous_bundle(folder)` while neither is in place.
    """
    if not folder.exists():
        new.rename(folder)
    elif not exchange(new, folder):
        previous = previous_bundle(folder)
        shutil.rmtree(previous, ignore_errors=True)
        folder.rename(previous)
        new.rename(folder)
        shutil.rmtree(previous, ignore_errors=True)


def previous_bundle(folder: Path) -> Path:
    """Where the former bundle stands while its successor is moved into place."""
    return folder.with_name(f".{folder.name}.previous")


def restore_bundle(folder: Path) -> None:
    """Puts the former bundle back where a kill came between it and its successor; removes it where it is not needed."""
    previous = previous_bundle(folder)
    if previous.is_dir() and not folder.exists():
        previous.rename(folder)
    elif previous.is_dir():
        shutil.rmtree(previous, ignore_errors=True)


def exchange(first: Path, second: Path) -> bool:
    """Whether the two paths now name each other's folder; False where system or file system cannot do it at once."""
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError, TypeError):  # no glibc 2.28
        return False
    return bool(rename(_HERE, bytes(first), _HERE, bytes(second), _EXCHANGE) == 0)
