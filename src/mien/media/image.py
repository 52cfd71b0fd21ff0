"""Pictures in: any common file to upright RGB pixels, within a stated limit, and one line when that cannot be.

Pillow decodes everything. OpenCV gives the same JPEG pixels and was 2 % (reduced, 512 pixels) to 25 % (12 megapixels,
full scale) quicker where measured, but prints libjpeg's and libpng's complaints to stderr, and tells no truncated file
from a whole one. Colour profiles are not applied.
"""

import difflib
import glob
import os
import stat
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from jaxtyping import UInt8
from PIL import ExifTags, Image

from mien.core.errors import MienError, one_line
from mien.media.files import home_expanded, is_own_folder
from mien.media.parts import Span, part_of

# Pillow warns of damaged metadata, which a picture can be read without; damaged pixels raise.
warnings.filterwarnings("ignore", module=r"PIL\.")

# Decoded pixels, not those of the file. At the limit decoding peaks at about 0.75 GB.
MAX_PIXELS = 100_000_000
PICTURES = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".jp2",
    ".ppm", ".pgm", ".pbm", ".pnm", ".avif",
)  # fmt: skip
# Kinds of pictures and videos that are not read: counted, so that none is left out in silence.
UNREAD_KINDS = (
    ".heic", ".heif", ".hif", ".cr2", ".cr3", ".crw", ".nef", ".nrw", ".arw", ".srf", ".sr2", ".dng", ".raf", ".orf",
    ".rw2", ".pef", ".srw", ".x3f", ".3fr", ".erf", ".kdc", ".mrw", ".raw", ".jxl", ".jxr", ".psd", ".tga", ".exr",
    ".hdr", ".ico", ".svg", ".vob", ".ogv", ".mxf", ".rm", ".rmvb", ".asf", ".divx", ".insv", ".lrv",
)  # fmt: skip
VIDEOS = (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".flv", ".3gp", ".mts", ".m2ts")
# Only these decoders are tried: no PostScript, no PDF, nothing that starts a program. JPEG includes MPO.
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "JPEG2000", "PPM", "AVIF")
_STRIP_PIXELS = 1 << 18

# What brings a picture upright, by the value of EXIF's orientation tag.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A decoded picture."""

    pixels: UInt8[np.ndarray, "height width 3"]
    """RGB, upright."""
    scale: float
    """Decoded pixels per pixel of the file: 1, 1/2, 1/4 or 1/8."""
    size: tuple[int, int]
    """(width, height) of the upright picture in the file; `pixels` are within one pixel of size * scale."""
    note: str = ""
    """Why the picture was reduced without being asked to; else empty."""

    @property
    def decoded_scale(self) -> tuple[float, float]:
        """Decoded pixels per pixel of the file, across and down: `scale` as it came out for this size."""
        rows, columns = self.pixels.shape[:2]
        return columns / self.size[0], rows / self.size[1]


def load_image(
    path: Path | str, *, span: Span | None = None, min_side: int | None = None, max_pixels: int = MAX_PIXELS
) -> Picture:
    """The first picture of a file, or the one at `span` (bytes: offset, length) in it, upright, as 8-bit RGB.

    Transparency is laid on white; 16 bits are divided by 257; float pixels within 0..1 are multiplied by 255. A JPEG
    is decoded at 1/2, 1/4 or 1/8 while its shorter side keeps `min_side` pixels, or until it holds `max_pixels`.
    Raises MienError, from the header alone, for larger pictures that cannot be reduced so, and for files that are
    missing, empty, truncated or no picture.
    """
    path = Path(path)
    try:
        mode = path.stat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):  # opening a named pipe would wait for ever
            raise MienError(f"{path}: a pipe or a device, not a picture.")
        with path.open("rb") as file:
            if span is not None:
                return _load(part_of(file, path, span), Path(f"{path}#{span[0]}"), min_side, max_pixels)
            return _load(file, path, min_side, max_pixels)
    except OSError as error:
        reason = {FileNotFoundError: "no such file", IsADirectoryError: "a folder, not a picture"}
        raise MienError(f"{path}: {reason.get(type(error), error.strerror or str(error))}.") from error


def _load(file: BinaryIO, path: Path, min_side: int | None, max_pixels: int) -> Picture:
    image = _open(file, path)
    size = image.size
    factor, note = _reduction(image, path, min_side, max_pixels)
    try:
        if factor > 1:
            image.draft(None, (size[0] // factor, size[1] // factor))  # type: ignore[arg-type]
        image.load()
        # Only now: Pillow brings some kinds (TIFF) upright by itself while it loads them, and then forgets the tag.
        turn = _UPRIGHT.get(_orientation(image))
        size = image.size if factor == 1 else size
        image = _eight_bit(image)
        if turn is not None:
            image = image.transpose(turn)
            size = size[::-1] if turn not in (_UPRIGHT[2], _UPRIGHT[3], _UPRIGHT[4]) else size
        return Picture(_pixels(image), 1 / factor, size, note)
    # Decoders raise nearly anything on damaged files: OSError, SyntaxError, ValueError, struct.error, MemoryError, ...
    except Exception as error:
        raise MienError(f"{path}: damaged or cut short ({one_line(error)}). Copy or export it anew.") from error


def _open(file: BinaryIO, path: Path) -> Image.Image:
    """The header, by the decoder that knows the first bytes.

    Image.open would do, but for its own limit on pixels, which is global and refuses JPEGs that reduce well.
    """
    start = file.read(32)
    if not start:
        raise MienError(f"{path}: the file is empty (0 bytes).")
    factory = _decoder(start)
    if factory is None:
        raise MienError(f"{path}: {_no_picture(start)}. Known: {', '.join(_FORMATS)}.")
    try:
        file.seek(0)
        return factory(file, str(path))
    except Exception as error:
        raise MienError(
            f"{path}: a picture whose header is damaged or of a kind not known here ({one_line(error)})."
        ) from error


def _decoder(start: bytes) -> Callable[[BinaryIO, str], Image.Image] | None:
    """Of Pillow's decoders the one that accepts these first bytes; Pillow's common ones are loaded before the rest."""
    for load_decoders in (Image.preinit, Image.init):
        load_decoders()
        for name in _FORMATS:
            factory, accepts = Image.OPEN.get(name, (None, None))
            if factory and accepts and accepts(start) in (True, 1):  # a string says that support was not compiled in
                return factory
    return None


def _no_picture(start: bytes) -> str:
    if start[4:12] in (b"ftypheic", b"ftypheix", b"ftypmif1", b"ftyphevc"):
        return "a HEIC picture, which is not read here; export it as JPEG"
    if start.lstrip()[:1] == b"<":
        return "not a picture but a web page or XML"
    return f"not a picture (it begins with {start[:12]!r})"


def _reduction(image: Image.Image, path: Path, min_side: int | None, max_pixels: int) -> tuple[int, str]:
    """The factor to reduce a JPEG by while decoding, and a note where the limit on pixels asks for it."""
    width, height = image.size
    if min(width, height) < 1:
        raise MienError(f"{path}: a picture of {width} x {height} pixels.")
    # A progressive JPEG holds all coefficients in memory whatever the scale.
    reducible = image.format in ("JPEG", "MPO") and not (image.info.get("progressive") and width * height > max_pixels)
    factor = 1
    for step in (2, 4, 8) if reducible else ():
        too_many = -(-width // factor) * -(-height // factor) > max_pixels
        if too_many or (min_side and min(width, height) // step >= min_side):
            factor = step
    if -(-width // factor) * -(-height // factor) > max_pixels:
        raise MienError(
            f"{path}: {width} x {height} pixels are above the limit of {max_pixels / 1e6:g} million. Reduce it first."
        )
    forced = width * height > max_pixels
    return factor, f"{width} x {height} pixels, read at 1/{factor} of its size" if forced else ""


def _orientation(image: Image.Image) -> int:
    """EXIF's orientation, 1 to 8; 1 where it is absent or unreadable."""
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:
        return 1


def _eight_bit(image: Image.Image) -> Image.Image:
    """The picture as L or RGB of 8 bits."""
    if image.mode in ("L", "RGB") and "transparency" not in image.info:
        return image
    if image.mode.startswith(("I", "F")):
        return Image.fromarray(_scaled(np.asarray(image)))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")


def _scaled(values: np.ndarray) -> UInt8[np.ndarray, "height width"]:
    """Divided by 257 where they are integers below 65536, by 2^24 above; floats times 255 where none exceeds 1."""
    whole = np.issubdtype(values.dtype, np.integer)
    values = np.nan_to_num(values.astype(np.float32))
    highest = values.max()
    if whole:
        values /= 257 if highest <= 65535 else 2**24
    elif highest <= 1:
        values *= 255
    return np.clip(values + 0.5, 0, 255).astype(np.uint8)


def _pixels(image: Image.Image) -> UInt8[np.ndarray, "height width 3"]:
    """Copied strip by strip: np.asarray of a whole picture holds it in memory twice more."""
    width, height = image.size
    pixels = np.empty((height, width, 3), np.uint8)
    rows = max(1, _STRIP_PIXELS // width)
    for top in range(0, height, rows):
        box = (0, top, width, min(top + rows, height))
        strip = np.asarray(image.crop(box) if rows < height else image)
        pixels[top : top + rows] = strip if strip.ndim == 3 else strip[..., None]
    return pixels


def is_video(path: Path | str) -> bool:
    """By its extension, in any case."""
    return Path(path).suffix.lower() in VIDEOS


def picture_files(inputs: Sequence[Path | str], *, videos: bool = False) -> list[Path]:
    """The pictures (and videos) meant by files, folders and glob patterns: sorted, each file once.

    A file named outright is taken whatever its extension; folders are searched to the bottom, also through links, and
    they and patterns give files with a known extension that do not begin with a dot. Raises MienError for an input
    that gives nothing.
    """
    if not inputs:
        raise MienError("No input: name pictures, folders or patterns such as 'photos/*.jpg'.")
    extensions = PICTURES + VIDEOS if videos else PICTURES
    found: dict[str, Path] = {}
    for item in inputs:
        path = home_expanded(item)
        matches = sorted(_matches(path, extensions))
        if not matches:
            raise MienError(_nothing(path, videos))
        for match in matches:
            found.setdefault(os.path.realpath(match), match)
    return sorted(found.values())


def left_out(inputs: Sequence[Path | str]) -> dict[str, int]:
    """How many pictures and videos of kinds that are not read the folders and patterns among the inputs hold.

    By extension, the most frequent first.
    """
    found: dict[str, str] = {}
    for item in inputs:
        path = home_expanded(item)
        if path.is_dir() or not os.path.lexists(path):
            found |= {os.path.realpath(each): each.suffix.lower() for each in _matches(path, UNREAD_KINDS)}
    return dict(Counter(found.values()).most_common())


def _matches(item: Path, extensions: tuple[str, ...]) -> Iterator[Path]:
    if item.is_dir():
        yield from _walk(item, extensions)
    elif os.path.lexists(item):  # also a link to nothing or to itself, which becomes a row that says so
        yield item
    else:
        for name in glob.glob(str(item), recursive=True):  # noqa: PTH207 (Path.glob wants relative patterns)
            if Path(name).is_dir():
                yield from _walk(Path(name), extensions)
            elif _wanted(name, extensions):
                yield Path(name)


def _walk(folder: Path, extensions: tuple[str, ...]) -> Iterator[Path]:
    """Files below a folder; a folder reached twice, as through a link to its parent, is entered once."""
    entered: set[str] = set()
    for where, folders, names in os.walk(folder, followlinks=True):
        entered.add(os.path.realpath(where))
        folders[:] = [
            name
            for name in sorted(folders)
            if is_own_folder(name) and os.path.realpath(Path(where, name)) not in entered
        ]
        yield from (Path(where, name) for name in names if _wanted(name, extensions))


def _wanted(name: str, extensions: tuple[str, ...]) -> bool:
    return not Path(name).name.startswith(".") and Path(name).suffix.lower() in extensions


def _nothing(item: Path, videos: bool) -> str:
    kinds = "pictures or videos" if videos else "pictures"
    if item.is_dir():
        known = " ".join(PICTURES + VIDEOS if videos else PICTURES)
        return f"{item}: no {kinds} in this folder or below it. Known: {known}."
    if glob.has_magic(str(item)):
        return f"{item}: the pattern matches no {kinds}."
    if not item.parent.is_dir():
        return f"{item}: no such file or folder."
    close = difflib.get_close_matches(item.name, [path.name for path in item.parent.iterdir()], n=1)
    return f"{item}: no such file or folder.{f' Did you mean {close[0]!r}?' if close else ''}"
