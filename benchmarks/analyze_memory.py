"""Memory and time of `mien analyze` by the number of pictures, and of saving its table by the number of rows.

    python benchmarks/analyze_memory.py [--source OTHER/src] [--pictures 300,3000] [--table-only]
    python benchmarks/analyze_memory.py --video FILE [--minutes 60] [-- OPTIONS OF ANALYZE]

Pictures: synthetic people, 112 pixels, cycled. --source: another copy of the code to run instead, for comparison (its
`analyze` is run; saving is measured for this copy alone). Each run is a process of its own; its peak is the kernel's.
--video: instead of pictures, that video repeated to so many minutes (its packets copied, without sound), and the memory
in use (resident set) at each minute of the clock, with the rows written by then.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

PEOPLE, SIDE = 40, 112
SAVED_ROWS = (4_000, 16_000)


def write_pictures(folder: Path, count: int) -> None:
    """The same faces again and again, under new names."""
    from mien.synthetic.people import portrait

    folder.mkdir()
    contents = []
    for number in range(min(PEOPLE, count)):
        Image.fromarray(portrait(0, number)[0]).resize((SIDE, SIDE)).save(folder / "one.jpg", quality=95)
        contents.append((folder / "one.jpg").read_bytes())
    (folder / "one.jpg").unlink()
    for number in range(count):
        (folder / f"{number:06d}.jpg").write_bytes(contents[number % len(contents)])


def run(pictures: Path, output: Path, source: Path, *options: str) -> tuple[float, float, float]:
    """Peak memory (MB), seconds and seconds of CPU time of one `mien analyze`."""
    command = [sys.executable, "-m", "mien", "analyze", str(pictures), "--output", str(output), *options]
    command += ["--backend", "onnxruntime", "--threads", "1"]
    start = time.perf_counter()
    process = subprocess.Popen(command, env=os.environ | {"PYTHONPATH": str(source)}, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"analyze ended with {status}")
    return used.ru_maxrss / 1e3, time.perf_counter() - start, used.ru_utime + used.ru_stime


def write_loop(video: Path, path: Path, minutes: float) -> None:
    """The video's packets, again and again."""
    import av

    with av.open(str(path), "w") as target:
        copy, ends, step = None, 0, 0
        while copy is None or float(ends * copy.time_base) < 60 * minutes:
            with av.open(str(video)) as source:
                given = source.streams.video[0]
                if copy is None:
                    copy = target.add_stream_from_template(given)
                    copy.time_base = given.time_base
                    step = round(1 / float(given.average_rate * given.time_base))
                start = last = ends
                for packet in source.demux(given):
                    if packet.dts is None:
                        continue
                    packet.stream, packet.time_base = copy, given.time_base
                    packet.pts, packet.dts = packet.pts + start, packet.dts + start
                    last = max(last, packet.pts)
                    target.mux(packet)
                ends = last + step


def memory_by_minute(video: Path, output: Path, source: Path, options: list[str]) -> None:
    """Prints it while `mien analyze` reads the video."""
    command = [sys.executable, "-m", "mien", "analyze", str(video), "--output", str(output), *options]
    start, minute = time.monotonic(), 0
    process = subprocess.Popen(command, env=os.environ | {"PYTHONPATH": str(source)}, stdout=subprocess.DEVNULL)
    status = Path(f"/proc/{process.pid}/status")
    print("| minute | rows | MB | peak MB |\n| --- | --- | --- | --- |", flush=True)
    while process.poll() is None:
        if time.monotonic() - start >= 60 * minute and (values := _kilobytes(status)):
            print(
                f"| {minute} | {_rows(output)} | {values['VmRSS'] / 1e3:.0f} | {values['VmHWM'] / 1e3:.0f} |",
                flush=True,
            )
            minute += 1
        time.sleep(0.5)
    took = time.monotonic() - start
    print(
        f"ended with {process.returncode} after {took:.0f} s, {_rows(output)} rows, {_rows(output) / took:.1f} a second"
    )


def _kilobytes(status: Path) -> dict[str, int]:
    try:
        lines = [line.split() for line in status.read_text().splitlines()]
    except OSError:
        return {}
    return {words[0].rstrip(":"): int(words[1]) for words in lines if words and words[0] in ("VmRSS:", "VmHWM:")}


def _rows(output: Path) -> int:
    path = output / "readings.csv"
    if not path.is_file():
        return 0
    with path.open("rb") as file:
        return max(0, sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b"")) - 1)


def saves(folder: Path) -> dict[int, list[float]]:
    """Milliseconds of the saves of 500 rows with points before each number of rows."""
    from mien import Analyzer
    from mien.core.records import FacePoints, Reading
    from mien.media.tables import TableWriter
    from mien.runtime.landmarks import Landmarker

    analyzer = Analyzer(backend="onnxruntime", threads=1, landmarks=Landmarker(backend="onnxruntime", threads=1))
    points, columns = np.random.default_rng(0).uniform(0, 500, (68, 2)), analyzer.columns
    values = np.full(68, 0.5)
    face = FacePoints(points, values, values, values, values, (0.1, 0.2, 0.3))
    table = TableWriter(folder / "t", columns.columns, describe=lambda state: columns.described(state=state))
    found: dict[int, list[float]] = {}
    for number in range(max(SAVED_ROWS) + 1):
        table.append([columns.row(Reading("video.mp4", True, frame=number, timestamp_s=number / 25, points=face))])
        if number and number % 250 == 0:
            start = time.process_time()
            table.save()
            found[number] = [*found.get(number, []), 1e3 * (time.process_time() - start)]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    here = Path(__file__).parents[1] / "src"
    parser.add_argument("--source", type=Path, default=here)
    parser.add_argument("--pictures", default="300,3000")
    parser.add_argument("--table-only", action="store_true", help="neither landmarks nor overlays")
    parser.add_argument("--video", type=Path)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("analyze", nargs="*", help="options of mien analyze for --video, after --")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.video:
            write_loop(options.video, folder / "loop.mp4", options.minutes)
            memory_by_minute(folder / "loop.mp4", folder / "out", options.source, options.analyze)
            return
        for count in map(int, options.pictures.split(",")):
            write_pictures(folder / f"p{count}", count)
            further = ("--landmarks", "no", "--no-overlay") if options.table_only else ()
            memory, seconds, cpu = run(folder / f"p{count}", folder / f"o{count}", options.source, *further)
            each = f"{1e3 * cpu / count:.1f} ms of CPU time each"
            print(f"{count} pictures: peak {memory:.0f} MB, {seconds:.1f} s, {each}", flush=True)
        if options.source == here:
            times = saves(folder)
            for rows in SAVED_ROWS:
                last = [times[number][0] for number in range(rows - 1750, rows + 1, 250)]
                print(f"a save of 250 rows after {rows} rows: {np.median(last):.0f} ms of CPU time")


if __name__ == "__main__":
    main()
