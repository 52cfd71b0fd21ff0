"""Containers of video: opened without reaching anything else, with limits. Needs PyAV: the extra `video`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from mien.core.errors import MienError
from mien.core.extras import install_hint
from mien.core.limits import FRAME_PIXELS

if TYPE_CHECKING:
    from av.container import InputContainer

# Containers that hold what they show. Playlists, lists of files, session descriptions and numbered pictures are left
# out: they name other files or addresses, which FFmpeg would open. Names as FFmpeg has them.
CONTAINERS = (
    "mov", "matroska", "avi", "mpeg", "mpegts", "mpegvideo", "m4v", "h264", "hevc", "av1", "ivf", "obu", "vc1", "asf",
    "flv", "live_flv", "ogg", "mxf", "gxf", "nut", "rm", "dv", "wtv", "yuv4mpegpipe", "mjpeg", "gif", "apng",
    "wav", "w64", "aiff", "mp3", "aac", "flac", "ac3", "caf", "amr", "au",
)  # fmt: skip
_CONTAINER_OPTIONS = {"format_whitelist": ",".join(CONTAINERS), "protocol_whitelist": "file"}
DECODER_OPTIONS = {"max_pixels": str(FRAME_PIXELS)}


@contextmanager
def opened_video(path: Path, *, pictures: bool = True) -> Iterator["InputContainer"]:
    """The container, closed in the end. Raises MienError for what is no video, and for damage found meanwhile.

    pictures: whether it must have a video stream; without, a file of sound alone will do.
    """
    av = import_av()
    if not path.is_file():
        raise MienError(f"{path}: {'a folder, not a video' if path.is_dir() else 'no such file'}.")
    if path.stat().st_size == 0:
        raise MienError(f"{path}: the file is empty (0 bytes).")
    try:
        options = {"options": DECODER_OPTIONS, "container_options": _CONTAINER_OPTIONS}
        with av.open(ffmpeg_name(path), **options) as container:
            if not container.streams.video and pictures:
                kinds = ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"
                raise MienError(f"{path}: no video stream in it, only {kinds}.")
            if container.streams.video:
                limit_decoder(container.streams.video[0], path)
            yield container
    except (av.FFmpegError, ValueError) as error:
        if isinstance(error, MienError):
            raise
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        what = "video" if pictures else "video or sound"
        raise MienError(f"{path}: not a {what} that can be read, or damaged ({reason}).") from error


def limit_decoder(stream: Any, path: Path) -> None:
    """Raises MienError for a codec that is not there, and for frames beyond the limit."""
    decoder = stream.codec_context
    if decoder is None:
        raise MienError(f"{path}: a video of a kind that is not decoded here, or damaged.")
    decoder.options = DECODER_OPTIONS
    if not 0 < decoder.width * decoder.height <= FRAME_PIXELS:
        most = f"{FRAME_PIXELS / 1e6:g} million"
        raise MienError(f"{path}: frames of unknown size, or of more than {most} pixels, which is the most.")


def ffmpeg_name(path: Path) -> str:
    """The path as FFmpeg's name of a file: else one that begins with `http:`, `tcp:`, ... would be opened as such."""
    return f"file:{path.absolute()}"


def import_av() -> ModuleType:
    """PyAV. Raises MienError, with the way to install it, where it is missing."""
    try:
        import av
    except ImportError as error:
        raise MienError(f"Videos need PyAV: {install_hint('video')}.") from error
    return av


def stated_duration_s(stream: Any, container: Any) -> float | None:
    """Of the stream, else of the container; None where neither says."""
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return container.duration / 1e6 if container.duration else None
