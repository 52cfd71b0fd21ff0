"""Frames a second and memory of reading videos: tracked or every frame detected, one face and three, 360p and 720p.

    python benchmarks/video.py --shared ../shared [--seconds 6] [--minutes 0] [--threads 2] [--stages]

Videos are cut from the demo video, at its size and enlarged to 1280 x 720, one with its face three times side by side;
each run is a process of its own that reads expression, 68 points and pose as `mien analyze --output` does, table and
all. Frames a second count from the first frame to the last; the loading of models is left out. On a busy machine the
processor time of a frame says more: two cores read at most 2000 / ms frames a second. --minutes: also the memory while
a video is looped for so long. --stages: where the time of a frame goes, one thread.
"""

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

VIDEO = "data/demo/video/WolfgangLanger_Pexels.mp4"
YUNET = "weights/yunet/face_detection_yunet_2023mar.onnx"
LARGE, GOAL = (1280, 720), {1: 60, 3: 30}  # frames a second asked for, by faces


def write_videos(shared: Path, folder: Path, seconds: float) -> dict[tuple[str, int], Path]:
    """By size and number of faces."""
    from mien.media.streams.writer import video_writer
    from mien.media.video import FrameSelection, frames

    wanted = {("360p", 1): (640, 360), ("720p", 1): LARGE, ("720p", 3): LARGE}
    found = {}
    for (name, faces), size in wanted.items():
        found[name, faces] = folder / f"{name}_{faces}.mp4"
        with video_writer(found[name, faces], size=size, rate_hz=24.0, x264={"crf": "23"}) as video:
            for frame in frames(shared / VIDEO, selection=FrameSelection(end_s=seconds)):
                video.picture(_picture(frame.pixels, size, faces), frame.timestamp_s)
    return found


def _picture(pixels: np.ndarray, size: tuple[int, int], faces: int) -> np.ndarray:
    """The frame at that size; its face three times, from top to bottom as high as the frame is."""
    if faces == 1:
        return pixels if pixels.shape[1::-1] == size else cv2.resize(pixels, size, interpolation=cv2.INTER_CUBIC)
    face = pixels[:, 250:]
    width, height = size[0] // 3, round(size[0] / 3 * face.shape[0] / face.shape[1])
    one = cv2.resize(face, (width, height), interpolation=cv2.INTER_CUBIC)
    row = np.concatenate([one, one[:, ::-1], one], axis=1)
    canvas = np.full((size[1], size[0], 3), 60, np.uint8)
    top = (size[1] - height) // 2
    canvas[top : top + height, : row.shape[1]] = row
    return canvas


def in_a_process(**options: object) -> dict[str, float]:
    """What `measure` gives, in a process of its own."""
    command = [sys.executable, __file__, "--measure", json.dumps({k: str(v) for k, v in options.items()})]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr[-3000:])
    return json.loads(done.stdout.splitlines()[-1])


def measure(options: dict[str, str]) -> dict[str, float]:
    """Frames a second, processor milliseconds a frame, megabytes after a minute of video and at the end."""
    from mien import Analyzer
    from mien.media.tables import TableWriter

    analyzer = Analyzer(
        detector=options["detector"], weights=None if options["detector"] == "dlib" else options["weights"],
        detect_every=int(options["detect_every"]), threads=int(options["threads"]),
    )  # fmt: skip
    columns, count, faces = analyzer.columns, 0, 0
    minutes, memory = float(options["minutes"]), list[float]()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "readings"
        with TableWriter(path, columns.columns, describe=lambda state: columns.described(state=state)) as table:
            start, processor = time.perf_counter(), time.process_time()
            for count, read in enumerate(_reads(analyzer, Path(options["video"]), minutes), 1):
                table.append([columns.row(reading) for reading in read.readings])
                faces += sum(reading.success for reading in read.readings)
                if count == 1:
                    start, processor = time.perf_counter(), time.process_time()
                if count % 1440 == 0:
                    memory.append(_megabytes())
            took, used = time.perf_counter() - start, time.process_time() - processor
    rate, each = (count - 1) / took, 1e3 * used / (count - 1)
    memory.append(_megabytes())
    return {
        "fps": rate,
        "ms": each,
        "faces": faces / count,
        "frames": count,
        "first_mb": memory[0],
        "last_mb": memory[-1],
    }


def _reads(analyzer: "object", video: Path, minutes: float) -> Iterator["object"]:
    """Of the video once, or looped for so many minutes of it, as one stream."""
    from mien.media.streams.source import ArrayFrames
    from mien.media.video import frames

    if not minutes:
        yield from analyzer.read_video(video)  # type: ignore[attr-defined]
        return
    looped = (frame.pixels for _ in itertools.count() for frame in frames(video))
    timed = ((pixels, index / 24) for index, pixels in enumerate(looped))
    source = ArrayFrames(itertools.takewhile(lambda item: item[1] < 60 * minutes, timed), name="loop")
    yield from analyzer.read_frames(source)  # type: ignore[attr-defined]


def _megabytes() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def stages(video: Path, weights: Path) -> None:
    """Processor milliseconds of each step of a frame with one face, one thread."""
    from mien import Analyzer
    from mien.core.geometry import crop_of_box
    from mien.media.crop import prepare
    from mien.media.detect import create_detector
    from mien.media.video import frames
    from mien.runtime.tracking.appearance import look_of

    cv2.setNumThreads(1)
    analyzer = Analyzer(threads=1)
    start, shown = time.process_time(), [frame.pixels for frame in frames(video)]
    print(f"decoding, with colours: {1e3 * (time.process_time() - start) / len(shown):.1f} ms")
    pixels, network, landmarks = shown[0], analyzer.networks[0], analyzer.landmarks
    yunet, dlib = create_detector("yunet", weights=weights), create_detector("dlib")
    box = dlib(pixels)[0].box
    points = landmarks.read(pixels, box)
    crop = prepare(pixels, crop_of_box(box, network.spec), network.spec)
    reading = next(iter(analyzer.read_video(video))).readings[0]
    steps: dict[str, Callable[[], object]] = {
        "dlib": lambda: dlib(pixels),
        "yunet": lambda: yunet(pixels),
        "landmarks from a detection, two passes": lambda: landmarks.read(pixels, box),
        "landmarks of a followed face, one pass": lambda: landmarks.follow(pixels, [(points, np.zeros(2))]),
        "expression": lambda: network.read([crop]),
        "appearance, where the detector looks": lambda: look_of(pixels, box),
        "row of the table": lambda: analyzer.columns.row(reading),
    }
    for name, step in steps.items():
        step()
        start = time.process_time()
        for _ in range(40):
            step()
        print(f"{name}: {1e3 * (time.process_time() - start) / 40:.1f} ms", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, help="the folder with data/ and weights/")
    parser.add_argument("--seconds", type=float, default=6.0, help="of the video")
    parser.add_argument("--minutes", type=float, default=0.0, help="of looped video, for the memory")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--stages", action="store_true")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(json.loads(options.measure))))
        return
    weights = options.shared / YUNET
    with tempfile.TemporaryDirectory() as name:
        videos = write_videos(options.shared, Path(name), options.seconds)
        common = {"weights": weights, "threads": options.threads}
        print(f"load {os.getloadavg()[0]:.1f}, {options.threads} threads")
        if options.stages:
            stages(videos["720p", 1], weights)
        print("| video | faces | detector | fps, every frame | fps, tracked | ratio | ms, every | ms, tracked | MB |")
        print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
        for (size, faces), video in videos.items():
            for detector in ("dlib", "yunet"):
                each = {**common, "video": video, "detector": detector, "minutes": 0}
                every = in_a_process(**each, detect_every=1)
                tracked = in_a_process(**each, detect_every=10)
                asked = "" if size == "360p" else f" (asked {GOAL[faces]})"
                rates = f"{every['fps']:.1f} | {tracked['fps']:.1f}{asked} | {tracked['fps'] / every['fps']:.1f}"
                rest = f"{every['ms']:.1f} | {tracked['ms']:.1f} | {tracked['last_mb']:.0f}"
                print(f"| {size} | {tracked['faces']:.1f} | {detector} | {rates} | {rest} |", flush=True)
        if options.minutes:
            found = in_a_process(
                **common, video=videos["720p", 1], detector="dlib", detect_every=10, minutes=options.minutes
            )
            print(
                f"720p, one face, looped for {options.minutes:g} minutes ({found['frames']:.0f} frames): "
                f"{found['first_mb']:.0f} MB after the first minute, {found['last_mb']:.0f} MB at the end"
            )


if __name__ == "__main__":
    main()
