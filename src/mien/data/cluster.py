"""Processes of a Ray cluster that share a list of independent tasks: `data.parallel.shared_out` over many machines.

Each task takes one CPU. The task of a process or a machine that is killed runs again elsewhere; its results are kept by
whoever asked for them, so that nothing is lost. Every machine needs the same mien and sees files at the same paths.
"""

import logging
import os
import re
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import cache
from typing import Any

import cv2

from mien.core.errors import MienError, one_line
from mien.core.extras import missing_text
from mien.data.parallel import Executor, cores
from mien.media.image import DECODING

RETRIES = 3  # further times that a task runs whose process was killed
CONNECT_S = 10.0
_LOCAL = re.compile(r"local(?::([1-9]\d*))?")


@contextmanager
def ray_cluster(address: str) -> Iterator[Executor]:
    """The cluster's processes meanwhile.

    address: local (one process a core) or local:N starts one on this machine, without a dashboard and without usage
    statistics; auto, HOST:PORT and ray://HOST:PORT join a running one. Raises MienError without ray, and where there is
    no cluster.
    """
    try:
        import ray
    except ImportError as error:
        raise MienError(missing_text(error, "--ray") or one_line(error)) from error
    if ray.is_initialized():  # the caller's own
        yield _Ray()
        return
    local = _LOCAL.fullmatch(address)
    options: dict[str, Any] = {"address": address, "log_to_driver": False, "logging_level": logging.ERROR}
    if local:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        options |= {"address": "local", "num_cpus": int(local[1] or cores()), "include_dashboard": False}
    try:
        _answers(address)
        with _own_signals():
            ray.init(**options)
    except (ConnectionError, ValueError, RuntimeError, OSError) as error:
        raise MienError(
            f"--ray {address}: no cluster is reached ({one_line(error)[:200]}). Start one (ray start --head) and name "
            "it, auto or ray://HOST:PORT, or read on this machine's processes: local, local:4."
        ) from error
    try:
        yield _Ray()
    finally:
        ray.shutdown()  # ends the tasks that this process has begun


def _answers(address: str) -> None:
    """Raises OSError where nothing listens at HOST:PORT; Ray itself would wait for minutes."""
    if found := re.fullmatch(r"(?:ray://)?\[?([^/]+?)\]?:(\d+)", address.removeprefix("local:")):
        socket.create_connection((found[1], int(found[2])), timeout=CONNECT_S).close()


@contextmanager
def _own_signals() -> Iterator[None]:
    """What SIGTERM does here stays as it is; Ray would end the process with another exit code."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


class _Ray:
    """The cluster that this process has joined."""

    def __init__(self) -> None:
        import ray

        self._ray = ray
        self.width = max(1, int(ray.cluster_resources().get("CPU", 1)))
        self._run = ray.remote(num_cpus=1, max_retries=RETRIES, retry_exceptions=False)(_run)

    def submit(self, function: Callable[[Any], Any], task: Any) -> Any:
        return self._run.remote(function, task)

    def done(self, handles: Sequence[Any]) -> Sequence[Any]:
        return list(self._ray.wait(list(handles), num_returns=1)[0])

    def result(self, handle: Any) -> Any:
        try:
            return self._ray.get(handle)
        except self._ray.exceptions.RayTaskError as error:
            cause = error.cause
            if isinstance(cause, Exception):
                raise cause from None
            raise MienError(f"A task failed on the cluster: {one_line(error)[-300:]}") from error
        except self._ray.exceptions.RayError as error:
            raise MienError(
                f"A task's process was killed {RETRIES + 1} times, as a machine without free memory does "
                f"({type(error).__name__}). Fewer processes on a machine (ray start --num-cpus N, --ray local:N) leave "
                "each more memory."
            ) from error


def _run(function: Callable[[Any], Any], task: Any) -> Any:
    _begin()
    return function(task)


@cache
def _begin() -> None:
    """Once in each process: its share of the machine's memory for decoding, and one thread."""
    DECODING.shared(cores(), nullcontext())
    cv2.setNumThreads(0)
