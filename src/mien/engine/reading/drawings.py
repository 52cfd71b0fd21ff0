"""What `mien analyze` draws and writes beside its table: overlays, contact sheets, sheets of video frames, points."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from mien.core.errors import MienError
from mien.engine.reading.output_folder import MESHES, OVERLAYS, POINTS, SHEET, OutputFolder
from mien.engine.reading.output_names import OutputNames
from mien.engine.reading.video_overlay import DrawnVideo, drawn_video, restored_video
from mien.engine.reading.videos import Videos
from mien.media.files import atomic_path, printable
from mien.media.points import write_pts
from mien.report.contact_sheet import contact_sheet
from mien.runtime.overlay import drawn, scaled, thumbnail
from mien.runtime.readings import PictureReadings
from mien.runtime.tracking.checkpoints import Parts
from mien.runtime.tracking.state import State

# Parts of a state: what the sheet of a video's frames, and the video of them, go on from.
SHEET_OF_FRAMES, DRAWN_VIDEO = "sheet", "drawn"
PAGE, THUMBNAIL = 48, 320  # pictures on one contact sheet; their side in pixels
FRAMES_SHOWN = 24  # of a video
JPEG_SIDE = 65_500  # pixels; libjpeg writes no more
DRAWN_PIXELS = 25_000_000  # drawing takes 10 bytes for each


class Drawings:
    """Draws each picture and video as it is read. overlay, points: which of them are wanted. videos: those that are
    drawn whole too. meshes: suffixes of the files of each 3D face."""

    def __init__(
        self, output: OutputFolder, names: OutputNames, *, overlay: bool, points: bool, videos: Videos | None = None,
        meshes: tuple[str, ...] = (),
    ) -> None:  # fmt: skip
        self.output, self.names, self.overlay, self.points, self.meshes = output, names, overlay, points, meshes
        self.failed: list[str] = []
        """Pictures that could not be drawn, with the reason."""
        self._page: list[tuple[str, np.ndarray | None]] = []
        self._resumed = 0
        """Pictures of the page that an earlier start has read."""
        self._pages = 0
        self._frames = SampledFrames(FRAMES_SHOWN)
        self._videos = videos
        self._drawn_video: DrawnVideo | None = None
        self._video_path: Path | None = None

    def picture(self, path: Path, read: PictureReadings) -> None:
        """Draws a picture; what cannot be drawn is noted and stops nothing."""
        self._write_faces(path, read, video=False)
        if not self.overlay:
            return
        small = None
        try:
            small = self._drawn(path, read)
        except (ValueError, OSError, MemoryError) as error:
            if isinstance(error, MienError):  # the folder cannot be written
                raise
            self.failed.append(f"{path}: not drawn ({error})")
        self._page.append((printable(path.name), small))
        if len(self._page) == PAGE:
            self._write_page(last=False)

    def resume(self, pictures: Sequence[Path]) -> None:
        """Goes on behind these pictures, in the table's order: the sheet under way begins with their overlays."""
        if self.overlay:
            self._pages = len(pictures) // PAGE
            self._page = [(printable(path.name), self._thumbnail(path)) for path in pictures[self._pages * PAGE :]]
            self._resumed = len(self._page)

    def frame(self, path: Path, read: PictureReadings) -> None:
        """Of a video."""
        self._video_path = path
        self._write_faces(path, read, video=True)
        if self.overlay:
            self._frames.offer(read)
        if self._videos is not None and read.picture is not None:
            if self._drawn_video is None:
                source, selection = self._videos.source(path), self._videos.selection
                self._drawn_video = drawn_video(self._target(path), self.output.segments, source, selection, read)
            self._drawn_video.frame(read)

    def end_video(self, path: Path) -> None:
        """Draws the sheet of the video's frames, and ends the video of them."""
        if self._drawn_video is not None:
            self._drawn_video.end()
        self._drawn_video = self._video_path = None
        if self._frames.kept:
            sheet = contact_sheet(self._frames.kept)
            write_jpeg(sheet, self.output.new_file(OVERLAYS, f"{self.names.stem(path)}.jpg"))
        self._frames = SampledFrames(FRAMES_SHOWN)

    def give_up(self, error: BaseException, *, keep: bool = False) -> None:
        """The run ends before its video does. keep: the video so far is whole, else it stays in segments up to the last
        `state`, since half a video would look like a whole one."""
        if keep and self._video_path is not None:
            self.end_video(self._video_path)
        elif self._drawn_video is not None:
            self._drawn_video.abandon(error)
            self._drawn_video = None

    def state(self) -> dict[str, State]:
        """Of a video after its last frame: what its sheet of frames and the video of them hold so far."""
        drawn = {} if self._drawn_video is None else {DRAWN_VIDEO: self._drawn_video.state()}
        return {SHEET_OF_FRAMES: self._frames.state(), **drawn}

    def restore(self, path: Path, parts: Parts) -> None:
        """As `state` gave them, of that video. Raises MienError, the reason, where it cannot go on from there."""
        if SHEET_OF_FRAMES not in parts:
            raise MienError("its saved state lacks the sheet of frames")
        if self._videos is not None and DRAWN_VIDEO not in parts:
            raise MienError("its saved state lacks the overlay video")
        frames = SampledFrames(FRAMES_SHOWN)
        frames.restore(parts[SHEET_OF_FRAMES])
        if self._videos is not None:
            source = self._videos.source(path)
            self._drawn_video = restored_video(self._target(path), self.output.segments, source, parts[DRAWN_VIDEO])
        self._frames = frames

    def end(self) -> None:
        """Draws the last contact sheet."""
        self._write_page(last=True)

    def _target(self, path: Path) -> Path:
        return self.output.new_file(OVERLAYS, f"{self.names.stem(path)}.mp4")

    def _drawn(self, path: Path, read: PictureReadings) -> np.ndarray | None:
        """Writes the overlay; the thumbnail."""
        if read.picture is None:
            return None
        panels = 1 + any(reading.face3d is not None for reading in read.readings)
        pixels, factor = _fitted(read.picture.pixels, panels)
        readings = [scaled(reading, read.picture.scale * factor) for reading in read.readings]
        small = thumbnail(pixels, readings, side=THUMBNAIL)
        tiny = max(pixels.shape[:2]) < THUMBNAIL  # no letters fit; it is drawn enlarged
        target = self.output.new_file(OVERLAYS, f"{self.names.stem(path)}.jpg")
        write_jpeg(small if tiny else drawn(pixels, readings, own=pixels is not read.picture.pixels), target)
        return small

    def _thumbnail(self, path: Path) -> np.ndarray | None:
        """Of its overlay; None where it has none."""
        try:
            with Image.open(self.output.folder / OVERLAYS / f"{self.names.stem(path)}.jpg") as image:
                image.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.BILINEAR)
                return np.asarray(image.convert("RGB"))
        except (ValueError, OSError):
            return None

    def _write_faces(self, path: Path, read: PictureReadings, *, video: bool) -> None:
        """Points and meshes of each face."""
        for face in read.readings if self.points or self.meshes else []:
            name = self.names.face(path, face.face_id, frame=face.frame if video else None)
            if self.points and face.points is not None:
                write_pts(self.output.new_file(POINTS, f"{name}.pts"), face.points.landmarks_px)
            for suffix in self.meshes if face.face3d is not None else ():
                face.save_mesh(self.output.new_file(MESHES, f"{name}{suffix}"))

    def _write_page(self, *, last: bool) -> None:
        """The contact sheet, numbered when there is more than one."""
        if not self._page or (last and self._pages == 0 and len(self._page) == 1):
            return
        self._pages += 1
        alone = last and self._pages == 1
        name = f"{SHEET}.jpg" if alone else f"{SHEET}_{self._pages:03d}.jpg"
        if len(self._page) > self._resumed or not (self.output.folder / name).is_file():
            write_jpeg(contact_sheet(self._page), self.output.new_file(name))
        if not alone:
            self.output.remove_file(f"{SHEET}.jpg")  # of an earlier start that had fewer pictures
        self._page, self._resumed = [], 0


class SampledFrames:
    """Frames of a video of unknown length, evenly spaced, at most so many: when full every second one is dropped."""

    def __init__(self, most: int) -> None:
        self.most, self.step, self.count = most, 1, 0
        self.kept: list[tuple[str, np.ndarray | None]] = []

    def offer(self, read: PictureReadings) -> None:
        if self.count % self.step == 0 and read.picture is not None:
            if len(self.kept) == self.most:
                self.kept, self.step = self.kept[::2], 2 * self.step
            if self.count % self.step == 0:
                caption = f"{read.readings[0].timestamp_s or 0:.2f} s"
                self.kept.append((caption, thumbnail(read.picture.pixels, read.readings, side=THUMBNAIL)))
        self.count += 1

    def state(self) -> State:
        """After the last frame."""
        pictures = {f"{i}": picture for i, (_, picture) in enumerate(self.kept) if picture is not None}
        return State({"step": self.step, "count": self.count, "captions": [name for name, _ in self.kept]}, pictures)

    def restore(self, state: State) -> None:
        """As `state` gave it. Raises MienError for what is none."""
        try:
            pictures = [(str(name), state.arrays[f"{i}"]) for i, name in enumerate(state.values["captions"])]
            step, count = max(1, int(state.values["step"])), int(state.values["count"])
        except (LookupError, TypeError, ValueError) as error:
            raise MienError("its saved state has no sheet of frames") from error
        if any(picture.dtype != np.uint8 or picture.shape[2:] != (3,) for _, picture in pictures):
            raise MienError("its saved state has a damaged sheet of frames")
        self.kept, self.step, self.count = [*pictures], step, count


def _fitted(pixels: np.ndarray, panels: int) -> tuple[np.ndarray, float]:
    """The picture as it is drawn on, and by how much it was reduced for that (1 where it was not). panels: of its width
    that stand side by side."""
    height, width = pixels.shape[:2]
    factor = min(1.0, JPEG_SIDE / max(height, panels * width), (DRAWN_PIXELS / (height * width)) ** 0.5)
    if factor == 1:
        return pixels, factor
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), factor


def write_jpeg(picture: np.ndarray | Image.Image, path: Path) -> None:
    """At quality 90."""
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    with atomic_path(path) as temporary:
        image.save(temporary, quality=90, format="JPEG")
