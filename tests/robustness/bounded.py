"""Hostile files opened in a child process with limits: `run_bounded` names each that breaks the contract.

The contract of everything that opens a file: it returns, or raises one MienError of one line; within a time, within a
memory, without a socket, a program or a pickle. One child opens many files, so that a case costs milliseconds; a child
that is killed is replaced, and the file that killed it is a failure.

`python bounded.py FILE` is the child: functions of that file and paths on standard input, outcomes on standard output.
"""

import atexit
import ctypes
import inspect
import json
import os
import platform
import re
import resource
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import IO, Any

SEED = 20
FORBIDDEN = re.compile(
    r"socket\.(connect|bind|getaddrinfo|sendto)|subprocess\.|os\.(system|exec|posix_spawn|fork)|pickle\."
)
ADDRESS_SPACE = 6 * 2**30  # beyond what the child has after its imports: a hard stop that saves the machine
WALL = 12  # seconds on the clock for each second of computing, on a busy machine


def seconds_of_fuzzing(usual: float) -> float:
    """How long a fuzz test goes on; MIEN_FUZZ_SECONDS names another time."""
    return float(os.environ.get("MIEN_FUZZ_SECONDS", usual))


def within(seconds: float, items: Iterable[Path], *, least: int) -> Iterator[Path]:
    """The items until the time is over; on a slow or busy machine so many in any case."""
    end = time.monotonic() + seconds
    for number, item in enumerate(items, 1):
        yield item
        if number >= least and time.monotonic() > end:
            return


@dataclass
class Outcomes:
    """What became of the files."""

    read: int = 0
    """Opened without an error."""
    refused: int = 0
    """One MienError of one line."""
    messages: list[str] = field(default_factory=list)
    """Of the refused ones, in order."""
    failures: list[str] = field(default_factory=list)
    """`NAME: what happened`: another exception, a limit, a socket, a killed child."""

    @property
    def tried(self) -> int:
        return self.read + self.refused + len(self.failures)


def run_bounded(
    function: Callable[[Path], object], files: Iterable[Path], *, seconds: float = 10, megabytes: int = 1024
) -> Outcomes:
    """Calls the function, which stands at the top of a file, with each path.

    seconds: of computing that one file may take. megabytes: of memory that one file may take. A generator of files may
    make each when it is asked for, and remove it when it is asked for the next.
    """
    outcomes = Outcomes()
    for path in files:
        kind, text = _outcome(function, path, seconds, megabytes)
        if kind == "read":
            outcomes.read += 1
        elif kind == "refused":
            outcomes.refused += 1
            outcomes.messages.append(text)
        else:
            outcomes.failures.append(f"{path.name}: {text}")
    return outcomes


_children: dict[str, "subprocess.Popen[str]"] = {}
"""By the file of their functions: what that imports takes longer than most of them."""


@atexit.register
def _end() -> None:
    for child in _children.values():
        child.kill()


def _child(file: str) -> "subprocess.Popen[str]":
    if file not in _children:
        more = {"OMP_NUM_THREADS": "1", "MIEN_CHECK_SHAPES": "0", "PYTHONPATH": os.pathsep.join(sys.path)}
        _children[file] = subprocess.Popen(
            [sys.executable, __file__, file],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=os.environ | more,
        )  # fmt: skip
    return _children[file]


def _outcome(function: Callable[[Path], object], path: Path, seconds: float, megabytes: int) -> tuple[str, str]:
    file = inspect.getfile(function)
    child = _child(file)
    assert child.stdin is not None and child.stdout is not None
    with suppress(BrokenPipeError):
        child.stdin.write(json.dumps([function.__name__, str(path), seconds, megabytes]) + "\n")
        child.stdin.flush()
    line = child.stdout.readline()
    if line:
        kind, text = json.loads(line)
        return kind, text
    code = _children.pop(file).wait()
    reasons = {
        -signal.SIGPROF: "took too much computing", -signal.SIGALRM: "hung", -signal.SIGSYS: "opened a socket",
    }  # fmt: skip
    return "killed", reasons.get(code, f"the process ended ({code})")


def _loaded(file: str) -> ModuleType:
    spec = spec_from_file_location("bounded_function", file)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def _serve(file: str) -> None:
    """The child: nothing but outcomes reaches its standard output."""
    from mien.core.errors import MienError, printable

    outcomes = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    functions = _loaded(file)
    limit = _memory("VmSize") + ADDRESS_SPACE
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _refuse_sockets()
    events = _noted_events()
    for line in sys.stdin:
        name, path, seconds, megabytes = json.loads(line)
        function = getattr(functions, name)
        _reset_peak()
        before = _memory("VmRSS")
        events.clear()
        signal.setitimer(signal.ITIMER_PROF, seconds)
        signal.setitimer(signal.ITIMER_REAL, WALL * seconds)
        try:
            function(Path(path))
            kind, text = "read", ""
        except MienError as error:
            text = str(error)
            one_line = printable(text) == text and 0 < len(text) < 2000
            kind, text = ("refused", text) if one_line else ("failed", f"an error that is not one line: {text!r:.300}")
        except BaseException as error:
            kind, text = "failed", _described(error)
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        taken = (_memory("VmHWM") - before) / 2**20
        if events:
            kind, text = "failed", f"reached {events[0]}"
        elif taken > megabytes:
            kind, text = "failed", f"took {taken:.0f} MB ({kind}: {text:.200})"
        _write(outcomes, kind, text)


def _write(stream: IO[str], kind: str, text: str) -> None:
    stream.write(json.dumps([kind, text]) + "\n")
    stream.flush()


def _described(error: BaseException) -> str:
    """The exception and the innermost place in mien that it came through."""
    place, trace = "", error.__traceback__
    while trace is not None:
        name = trace.tb_frame.f_code.co_filename
        if f"{os.sep}mien{os.sep}" in name:
            place = f"{Path(name).name}:{trace.tb_lineno}"
        trace = trace.tb_next
    return f"{type(error).__name__} at {place or 'no line of mien'}: {' '.join(str(error).split())[:200]}"


def _noted_events() -> list[str]:
    """What Python itself does against the contract, noted as it happens and stopped."""
    events: list[str] = []

    def note(event: str, _arguments: Any) -> None:
        if FORBIDDEN.match(event):
            events.append(event)
            raise PermissionError(event)

    sys.addaudithook(note)
    return events


def _refuse_sockets() -> None:
    """From here on the kernel kills the process when any library asks for an internet socket. Linux on x86-64 and ARM.

    A filter of seccomp: for the system call `socket`, and the families AF_INET and AF_INET6, SIGSYS; else as usual.
    """
    call = {"x86_64": 41, "aarch64": 198}.get(platform.machine())
    if sys.platform != "linux" or call is None:
        return
    load, equal, give = 0x20, 0x15, 0x06
    code = (
        (load, 0, 0, 0), (equal, 0, 3, call), (load, 0, 0, 16), (equal, 2, 0, 2), (equal, 1, 0, 10),
        (give, 0, 0, 0x7FFF0000), (give, 0, 0, 0x80000000),
    )  # fmt: skip
    program = ctypes.create_string_buffer(b"".join(struct.pack("<HBBI", *step) for step in code))
    filters = ctypes.create_string_buffer(struct.pack("<H6xQ", len(code), ctypes.addressof(program)))
    prctl = ctypes.CDLL(None).prctl
    prctl(38, 1, 0, 0, 0)  # no new privileges
    prctl(22, 2, ctypes.c_void_p(ctypes.addressof(filters)), 0, 0)


def _memory(name: str) -> int:
    """A size of this process in bytes; 0 where /proc is missing."""
    with suppress(OSError), Path("/proc/self/status").open() as file:
        for line in file:
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024
    return 0


def _reset_peak() -> None:
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


if __name__ == "__main__":
    _serve(sys.argv[1])
