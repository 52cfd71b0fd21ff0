"""Scripts in processes of their own that need not import what they run: each is forked from one that has imported it.

`import lightning` takes five seconds of computing, most of a short training, and what reads faces half a second. A
forked process is killed, ends and prints as any other; what it shares with the next one is the seed of `hash`.
"""

import gc
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from functools import cache
from multiprocessing.context import ForkServerContext
from pathlib import Path

# What a training and a reading import before and at their first step. Nothing of it may start a thread, as onnxruntime
# does: a forked process would be without it.
PRELOADED = (
    "lightning", "mien.engine.training.run", "mien.engine.training.setup", "mien.report.training", "safetensors.torch",
    "mien.engine.reading.run", "dlib",
)  # fmt: skip


@cache
def _context() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch.utils.tensorboard", *PRELOADED])
    first = context.Process(target=int)  # when it has ended, all is imported
    first.start()
    first.join()
    return context


def ready() -> None:
    """Returns when the process that scripts are forked from has imported all, which the first one waits for."""
    _context()


def _run(script: str, arguments: list[str], streams: list[str]) -> None:
    gc.freeze()  # what was imported before the fork is neither searched nor, by that, copied page by page
    os.setsid()
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # a background job's parent may ignore both
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, path in enumerate(streams, 1):
        os.dup2(os.open(path, os.O_WRONLY), number)
    sys.argv = [script, *arguments]
    sys.path.insert(0, str(Path(script).parent))
    runpy.run_path(script, run_name="__main__")


class Forked:
    """A running script."""

    def __init__(self, script: Path, *arguments: str) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="mien-forked-")
        self._streams = [Path(self._folder.name) / name for name in ("stdout", "stderr")]
        for path in self._streams:
            path.touch()
        words = str(script), list(arguments), [str(path) for path in self._streams]
        self._process = _context().Process(target=_run, args=words)
        self._process.start()

    def kill(self) -> None:
        """SIGKILL for it and its children."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid or 0, signal.SIGKILL)

    def finished(self, *, seconds: float = 300) -> "subprocess.CompletedProcess[str]":
        """What it printed, when it has ended; killed after so many seconds."""
        self._process.join(seconds)
        self.kill()
        self._process.join()
        output, errors = (path.read_text(encoding="utf-8") for path in self._streams)
        self._folder.cleanup()
        return subprocess.CompletedProcess(sys.argv, self._process.exitcode or 0, output, errors)
