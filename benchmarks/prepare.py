"""How busy `mien data prepare` keeps the cores it may use, and how many faces a second it cuts.

    python benchmarks/prepare.py --faces 4000 --side 256

Draws a set, prepares it with one process for each core that this process may run on (with the set's boxes, then with
the detector; into a folder, then into shards), and prints faces a second and two shares of cores times wall time, the
start of the processes included: "busy", the CPU time that all processes got (os.times), and "wanted", that time and
the time they stood ready while another program had the core (Linux, /proc). On an idle machine the two are equal.
"""

import argparse
import multiprocessing
import os
import tempfile
import threading
import time
from pathlib import Path

from mien.data.parallel import cores
from mien.data.replicas import write_drawn
from mien.engine.datasets.prepare import prepare


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, help="a 300-W folder to take rather than drawn faces")
    parser.add_argument("--faces", type=int, default=2000)
    parser.add_argument("--side", type=int, default=256, help="of the drawn pictures, in pixels")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as top:
        root = options.root or write_drawn(Path(top) / "set", faces=options.faces, size=options.side, layout="w300")
        for own_boxes in (True, False):
            for kind in ("folder", "shards"):
                measure(root, Path(top) / f"{kind}-{own_boxes}", kind, own_boxes=own_boxes)


def measure(root: Path, output: Path, kind: str, *, own_boxes: bool) -> None:
    """Prepares once and prints a line."""
    waits = Waits()
    start, before = time.perf_counter(), cpu_s()
    waits.start()
    prepare("w300", root=str(root), output=str(output), format=kind, own_boxes=own_boxes)  # type: ignore[arg-type]
    wall, spent = time.perf_counter() - start, cpu_s() - before
    waited = waits.stop()
    faces = sum(1 for _ in root.rglob("*.pts"))
    granted = wall * cores()
    finder = "own boxes" if own_boxes else "dlib"
    print(
        f"{finder:<9}  {kind:<6}  {faces:,} faces  {wall:6.1f} s  {faces / wall:6.0f} faces/s"
        f"  busy {spent / granted:6.1%}, wanted {(spent + waited) / granted:6.1%} of {cores()} cores"
    )


def cpu_s() -> float:
    """User and system seconds of this process and of its children that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


class Waits(threading.Thread):
    """Adds up how long this process and its children stood ready to run while another had the core."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._last: dict[int, float] = {}
        self._begun = _waited_s(os.getpid())
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.wait(0.1):
            for child in multiprocessing.active_children():
                if child.pid:
                    self._last[child.pid] = _waited_s(child.pid) or self._last.get(child.pid, 0.0)

    def stop(self) -> float:
        """Seconds."""
        self._over.set()
        self.join()
        return sum(self._last.values()) + _waited_s(os.getpid()) - self._begun


def _waited_s(pid: int) -> float:
    """Of all threads of a process; 0 where the system does not say."""
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
        return sum(int((thread / "schedstat").read_text().split()[1]) for thread in threads) / 1e9
    except (OSError, IndexError, ValueError):
        return 0.0


if __name__ == "__main__":
    main()
