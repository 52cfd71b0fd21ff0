"""What one GPU does with the systems: forward passes, training steps, and pictures on their way to it.

    PYTHONPATH=src python benchmarks/gpu.py --minutes 8 --output DIR [--only poster_v2_forward_256 ...]

The sections run in order of worth, each in a process of its own, which is stopped when its share of the time is up;
what one leaves unused goes to those after it. DIR/gpu.json and DIR/gpu.md are written with every row. A section whose
system or packages are missing is skipped by name, and one that fails leaves its reason. Times are medians between CUDA
events, after warm-up; TF32 is off unless a row says otherwise. `--device cpu --dry-run` runs each section once, tiny,
in this process. What a section measures stands in gpu_sections.py and gpu_generators.py.
"""

import argparse
import contextlib
import json
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from gpu_generators import asit_forward, can_steps, generator_256, if3d_step_and_renderer
from gpu_sections import Bench, Section, parface_forward, parface_steps, pictures_to_gpu, poster_forward, poster_step
from mien.media.files import write_text
from mien.systems.registry import list_models

COLUMNS = ("what", "ms", "times as fast", "pictures/s", "TFLOP/s", "of bf16 peak", "GiB", "note")
Found = dict[str, Any]
SECTIONS = {
    "poster_v2_forward_256": Section(partial(poster_forward, batch=256), 7, ("poster_v2",)),
    "poster_v2_sam_step_144": Section(partial(poster_step, batch=144), 7, ("poster_v2",)),
    "pictures_to_gpu": Section(pictures_to_gpu, 3, ("poster_v2",)),
    "poster_v2_forward_64": Section(partial(poster_forward, batch=64), 2, ("poster_v2",)),
    "poster_v2_forward_1": Section(partial(poster_forward, batch=1), 1, ("poster_v2",)),
    "parface_steps": Section(parface_steps, 2, ("parface",)),
    "parface_forward_64": Section(partial(parface_forward, batch=64), 1, ("parface_3d",)),
    "stylegan2_256": Section(partial(generator_256, batch=8), 3, ()),
    "asit": Section(partial(asit_forward, batch=4), 2, ()),
    "if3d_step_and_renderer": Section(if3d_step_and_renderer, 2, ("if3d",)),
    "can_steps": Section(can_steps, 1, ("can", "can_face", "can_voice", "can_face_expression")),
}


class Report:
    """The results so far: gpu.json for programs, gpu.md for people."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.sections = folder, dict[str, Found]()

    def put(self, name: str, state: str, rows: list[Found]) -> None:
        self.sections[name] = {"state": state, "rows": rows}
        write_text(self.folder / "gpu.json", json.dumps(self.sections, indent=1) + "\n")
        write_text(self.folder / "gpu.md", "\n\n".join(map(self._table, self.sections)) + "\n")

    def _table(self, name: str) -> str:
        found = self.sections[name]
        columns = [column for column in COLUMNS if any(column in row for row in found["rows"])]
        lines = [f"## {name}\n", found["state"]]
        if columns:
            lines += ["", f"| {' | '.join(columns)} |", f"|{' --- |' * len(columns)}"]
            lines += [f"| {' | '.join(_cell(row.get(column, '')) for column in columns)} |" for row in found["rows"]]
        return "\n".join(lines)


def _cell(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) and abs(value) < 100 else (
        f"{value:,.0f}" if isinstance(value, int | float) else str(value).replace("|", "/")
    )  # fmt: skip


def lacking(section: Section) -> str:
    """Why this section cannot run here, or nothing."""
    systems = [name for name in section.systems if name not in list_models()]
    packages = [name for name in section.packages if find_spec(name) is None]
    if systems or packages:
        return "skipped: no " + ", ".join([*(f"system {s}" for s in systems), *(f"package {p}" for p in packages)])
    return ""


def run_here(section: Section, bench: Bench, keep: Callable[[Found], None]) -> str:
    """Runs it in this process. Returns its state."""
    try:
        for row in section.run(bench):
            keep(row)
    except Exception as error:  # whatever it is, the other sections go on
        return f"failed: {type(error).__name__}: {(str(error).strip().splitlines() or [''])[0][:300]}"
    return "done"


def run_apart(name: str, seconds: float, folder: Path, show: Callable[[list[Found]], None]) -> str:
    """Runs it in a process of its own, with what it starts, for at most so many seconds. Returns its state."""
    rows, log = folder / f"{name}.jsonl", folder / f"{name}.log"
    rows.unlink(missing_ok=True)
    began = time.monotonic()
    # Forked: to import PyTorch and Lightning again takes ten seconds of the GPU's time. This process asks for no CUDA.
    process = multiprocessing.get_context("fork").Process(target=child, args=(name, folder, log))
    process.start()
    while process.is_alive() and time.monotonic() - began < seconds:
        process.join(0.5)
        show(_rows(rows))
    stopped = process.is_alive()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # its workers too
    process.kill()
    process.join()
    found = _rows(rows)
    state = found.pop()["state"] if found and "state" in found[-1] else ""
    show(found)
    words = log.read_text(errors="replace").strip().splitlines() or [f"exit code {process.exitcode}"]
    state = state or (f"stopped after {seconds:.0f} s, its share" if stopped else f"failed: {words[-1][:300]}")
    for path in (rows, log):
        if path is rows or state == "done":
            path.unlink(missing_ok=True)
    return f"{state} ({time.monotonic() - began:.0f} s)"


def _rows(path: Path) -> list[Found]:
    """Of a file that may be in the middle of a line."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.is_file() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def child(name: str, folder: Path, log: Path) -> None:
    """One section in a process group of its own; every row is a line of NAME.jsonl, and the last line is its state."""
    os.setsid()
    errors = log.open("w", buffering=1, encoding="utf-8")
    for stream in (1, 2):
        os.dup2(errors.fileno(), stream)
    sys.stdout = sys.stderr = errors
    with (folder / f"{name}.jsonl").open("a", encoding="utf-8") as file:

        def keep(row: Found) -> None:
            file.write(json.dumps(row) + "\n")
            file.flush()

        keep({"state": run_here(SECTIONS[name], Bench("cuda", dry=False), keep)})


def everything(names: list[str], report: Report, *, minutes: float, device: str, dry: bool) -> None:
    end = time.monotonic() + 60 * minutes
    for place, name in enumerate(names):
        section = SECTIONS[name]
        if reason := lacking(section):
            report.put(name, reason, [])
            continue
        shares = [SECTIONS[other].share for other in names[place:] if not lacking(SECTIONS[other])]
        seconds = (end - time.monotonic()) * section.share / sum(shares)
        rows: list[Found] = []

        def show(found: list[Found], name: str = name, rows: list[Found] = rows) -> None:
            if len(found) != len(rows):
                rows[:] = found
                report.put(name, "running", [row for row in rows if "state" not in row])

        if dry:
            state = run_here(section, Bench(device, dry=True), rows.append)
        elif seconds < 20:
            state = "skipped: no time was left"
        else:
            state = run_apart(name, seconds, report.folder, show)
        report.put(name, state, rows)
        print(f"{name}: {state}", flush=True)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--only", nargs="*", choices=list(SECTIONS), help="these sections, in the order given")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--dry-run", action="store_true", help="each section once, at tiny sizes")
    options = parser.parse_args(arguments)
    options.output.mkdir(parents=True, exist_ok=True)
    if options.device == "cpu" and not options.dry_run:
        parser.error("--device cpu goes with --dry-run: its times say nothing of a GPU")
    report = Report(options.output)
    names = options.only or list(SECTIONS)
    everything(names, report, minutes=options.minutes, device=options.device, dry=options.dry_run)
    print((options.output / "gpu.md").read_text(encoding="utf-8"))
    return int(any(found["state"].startswith("failed") for found in report.sections.values()))


if __name__ == "__main__":
    sys.exit(main())
