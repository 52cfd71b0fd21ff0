"""How long one face in one photo takes, part by part, what it needs of memory, and what starting up costs.

    python benchmarks/read_photo.py [--bundle FOLDER] [--detector yunet --weights FILE] [--no-landmarks] [--threads 2]
        [--repeats 15] [--cpu-time]

The photo is scikit-image's astronaut saved as JPEG: as it is (0.26 megapixels), at 1 and at 12. Medians of the repeats,
each after a pause of 50 ms, as when photos come one by one; decoding is included. Asked for with YuNet and points: 15
ms for 1 megapixel, 60 ms for 12; peak memory up to 400 MB (each size in a process of its own). Parts are measured one
at a time; the whole reads the points beside the expression where there are two threads. On a busy machine --cpu-time,
with OMP_NUM_THREADS=1, says more.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

SIZES = {"0.26 MP": (512, 512), "1 MP": (1000, 1000), "12 MP": (4000, 3000)}
LIMIT_MS = {"0.26 MP": 15, "1 MP": 15, "12 MP": 60}
LIMIT_MB = 400


def write_photo(path: Path, size: tuple[int, int]) -> None:
    """The astronaut filling the height, border pixels beside it where the picture is wider."""
    import numpy as np
    from PIL import Image
    from skimage.data import astronaut

    face = np.asarray(Image.fromarray(astronaut()).resize((size[1], size[1]), Image.Resampling.BICUBIC))
    rest = size[0] - size[1]
    Image.fromarray(np.pad(face, ((0, 0), (rest // 2, rest - rest // 2), (0, 0)), mode="edge")).save(path, quality=92)


def in_own_process(arguments: list[str]) -> dict:
    done = subprocess.run(
        [sys.executable, __file__, "--child", *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def child(photo: str, args: argparse.Namespace) -> dict:
    """Seconds of each part and of all (medians of the repeats), of starting up, and the peak of memory."""
    clock = time.process_time if args.cpu_time else time.perf_counter
    start = clock()
    from mien import Analyzer

    analyzer = Analyzer(
        args.bundle, backend=args.backend, threads=args.threads, detector=args.detector, weights=args.weights,
        landmarks=not args.no_landmarks,
    )  # fmt: skip
    started = clock() - start
    first, readings = timed(lambda: analyzer.read(photo), clock)
    whole = statistics.median(rested(lambda: analyzer.read(photo), clock) for _ in range(args.repeats))
    parts = [parts_of(analyzer, photo, clock) for _ in range(args.repeats)]
    return {
        "start": started, "first": first, "whole": whole, "faces": sum(r.success for r in readings),
        "parts": {name: statistics.median(part[name] for part in parts) for name in parts[0]},
        "peak_mb": peak_megabytes(), "engine": analyzer.engine, "torch": "torch" in sys.modules,
    }  # fmt: skip


def rested(run: Callable, clock: Callable[[], float]) -> float:
    time.sleep(0.05)
    return timed(run, clock)[0]


def parts_of(analyzer, photo: str, clock: Callable[[], float]) -> dict[str, float]:
    """The same steps as Analyzer.read, one at a time."""
    finder, network = analyzer.finder, analyzer.networks[0]
    time.sleep(0.05)
    task = finder.task(photo, "")
    decode, picture = timed(task.load, clock)
    detect, _ = timed(lambda: finder._detector(picture.scale)(picture.pixels), clock)
    faces = finder.find(task)
    crop, cut = timed(lambda: finder.cut(task, faces.picture, faces.boxes, faces.scores), clock)
    points, _ = timed(lambda: analyzer.reader.points([faces]), clock)
    expression, _ = timed(lambda: network.read(cut.crops[network.spec]), clock)
    return {"decode": decode, "detect": detect, "crop": crop, "points": points, "expression": expression}


def timed(run: Callable, clock: Callable[[], float]) -> tuple[float, object]:
    start = clock()
    result = run()
    return clock() - start, result


def peak_megabytes() -> float:
    """This program's own peak: ru_maxrss also counts the process that started it (Linux)."""
    try:
        line = next(s for s in Path("/proc/self/status").read_text().splitlines() if s.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    except (OSError, StopIteration):
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", help="by default the model that ships")
    parser.add_argument("--backend", default="", help="by default both, where installed")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--detector", default="dlib")
    parser.add_argument("--weights", help="of yunet; by default the fetched file")
    parser.add_argument("--no-landmarks", action="store_true")
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--cpu-time", action="store_true", help="process time in place of wall time")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        print(json.dumps(child(args.child, args)))
        return
    from importlib.util import find_spec

    backends = [args.backend] if args.backend else [b for b in ("onnxruntime", "openvino") if find_spec(b)]
    with tempfile.TemporaryDirectory() as folder:
        for backend in backends:
            for name, size in SIZES.items():
                photo = Path(folder) / f"{name}.jpg"
                if not photo.exists():
                    write_photo(photo, size)
                arguments = [str(photo), "--backend", backend, "--detector", args.detector]
                arguments += ["--threads", str(args.threads), "--repeats", str(args.repeats)]
                arguments += ["--bundle", args.bundle] if args.bundle else []
                arguments += ["--weights", args.weights] if args.weights else []
                arguments += [option for option in ("--no-landmarks", "--cpu-time") if option in sys.argv]
                print_result(name, in_own_process(arguments))


def print_result(name: str, measured: dict) -> None:
    parts = "  ".join(f"{part} {1000 * seconds:.1f}" for part, seconds in measured["parts"].items())
    good = 1000 * measured["whole"] <= LIMIT_MS[name] and measured["peak_mb"] <= LIMIT_MB
    print(
        f"{measured['engine']:16s} {name:>8s}: {1000 * measured['whole']:6.1f} ms of {LIMIT_MS[name]} ({parts}), peak "
        f"{measured['peak_mb']:.0f} MB of {LIMIT_MB}, start-up {1000 * measured['start']:.0f} ms, first picture "
        f"{1000 * measured['first']:.0f} ms, {measured['faces']} face(s)  {'met' if good else 'NOT MET'}"
    )


if __name__ == "__main__":
    main()
