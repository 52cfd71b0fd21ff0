"""Memory and time of `mien analyze` by the number of pictures, and of saving its table by the number of rows.

    python benchmarks/analyze_memory.py [--source OTHER/src] [--pictures 300,3000] [--table-only]

Pictures: synthetic people, 112 pixels, cycled. --source: another copy of the code to run instead, for comparison (its
`analyze` is run; saving is measured for this copy alone). Each run is a process of its own; its peak is the kernel's.
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
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
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
