"""`mien` as a process: closed streams, signals, odd names, no home folder, and how quickly it starts."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mien import __main__ as cli

MIEN = [sys.executable, "-m", "mien"]
# `mien models` that does as it is told instead.
FAKE = """import sys, os, time; from mien import __main__ as cli
def models():
    {body}
cli.imported = lambda target: models
sys.exit(cli.main(['models']))
"""


def script(body: str) -> list[str]:
    return [sys.executable, "-c", FAKE.format(body=body)]


@pytest.mark.parametrize("closed", [">&-", ">&- 2>&-", "<&-", "<&- >&- 2>&-"])
def test_closed_streams_are_no_fault(closed: str, tmp_path: Path) -> None:
    body = "print('text'); open('file.txt', 'w').write('mine'); os.system('echo child')"
    command = " ".join(f"'{argument}'" if "\n" not in argument else '"$CODE"' for argument in script(body))
    environment = os.environ | {"CODE": script(body)[-1]}
    done = subprocess.run(
        f"{command} {closed}", shell=True, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert (tmp_path / "file.txt").read_text() == "mine"  # nothing that was printed went into it


def test_a_mistake_without_standard_error_keeps_its_exit_code() -> None:
    done = subprocess.run(f"'{sys.executable}' -m mien analyse 2>&-", shell=True, stdout=subprocess.PIPE, check=False)
    assert (done.returncode, done.stdout) == (2, b"")


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_reader_that_is_gone_is_quiet(stream: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    body = f"[print('x' * 1000, file=sys.{stream}, flush=True) for _ in range(100)]"
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | {stream: writer}
    try:
        done = subprocess.run(script(body), **streams, check=False)
    finally:
        os.close(writer)
    assert done.returncode == cli.PIPE_CLOSED
    assert not done.stdout and not done.stderr


def ended_by(number: signal.Signals, body: str) -> tuple[int, str, str]:
    process = subprocess.Popen(script(body), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    printed, errors = process.communicate(timeout=30)
    return process.returncode, printed, errors


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)], ids=str
)
def test_signals_end_with_one_line_after_work_is_saved(number: signal.Signals, code: int) -> None:
    body = "\n    ".join((
        "try:", "    print('ready', flush=True); time.sleep(30)",
        "finally:", "    print('saved')",
    ))  # fmt: skip
    if signal.getsignal(number) is signal.SIG_IGN:
        pytest.skip(f"{number.name} is ignored here, as in a shell's background job or under nohup")
    assert ended_by(number, body) == (code, "saved\n", "mien: stopped.\n")


def test_a_held_block_ends_before_the_signal_counts() -> None:
    body = "\n    ".join((
        "from mien.cli.signals import Interruption",
        "with Interruption() as interruption, interruption.held():",
        "    print('ready', flush=True); time.sleep(0.5); print('whole')",
        "print('never')",
    ))  # fmt: skip
    assert ended_by(signal.SIGTERM, body) == (143, "whole\n", "mien: stopped.\n")


def test_a_held_block_that_fails_after_a_signal_counts_as_stopped() -> None:
    """In a process of its own: handlers belong to the main thread, which a test may not run in."""
    code = (
        "import os, signal, time\nfrom mien.cli.signals import Interrupted, Interruption\n"
        "try:\n"
        "    with Interruption() as interruption, interruption.held():\n"
        "        os.kill(os.getpid(), signal.SIGTERM)\n        time.sleep(0.01)\n        raise SystemExit\n"
        "except Interrupted as error:\n    print(error.exit_code)\n"
        "try:\n    with Interruption().held():\n        raise ZeroDivisionError\n"
        "except ZeroDivisionError:\n    print('not stopped')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout.splitlines() == ["143", "not stopped"]


def test_a_forked_child_dies_by_sigterm() -> None:
    code = (
        "import os, signal, time\nfrom mien.cli.signals import Interruption\n"
        "with Interruption():\n"
        "    child = os.fork()\n"
        "    if not child:\n        time.sleep(30)\n"
        "    time.sleep(0.2); os.kill(child, signal.SIGTERM); print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    assert (done.stdout, done.stderr) == ("-15\n", "")


def test_names_that_are_not_utf8_are_printed(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.jpg")
    arguments = [os.fsencode(argument) for argument in [*MIEN, "analyze", name, "--output", str(tmp_path / "out")]]
    done = subprocess.run(arguments, capture_output=True, cwd=tmp_path, check=False)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(b"mien: caf\\udce9.jpg: no such file")


def test_a_tilde_without_a_home_folder_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def models() -> None:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(cli, "imported", lambda target: models)
    assert cli.main(["models"]) == 2
    assert "no home folder" in capsys.readouterr().err


def test_the_list_of_commands_is_quick_as_a_process() -> None:
    took = []
    for _ in range(3):
        start = time.perf_counter()
        subprocess.run([*MIEN, "--help"], check=True, stdout=subprocess.DEVNULL)
        took.append(time.perf_counter() - start)
    bare = time.perf_counter()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    bare = time.perf_counter() - bare
    assert min(took) - bare < 0.15
