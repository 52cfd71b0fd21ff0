"""StopSignals: Ctrl-C, SIGTERM and SIGHUP ask a training run to stop after its step, with a checkpoint."""

import signal
import threading
from types import FrameType
from typing import Any

SIGNALS = tuple(number for name in ("SIGINT", "SIGTERM", "SIGHUP") if (number := getattr(signal, name, None)))


class Interrupted(Exception):  # noqa: N818 (not an error)
    """The run was asked to stop; its state is written."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


class StopSignals:
    """Made before the Trainer starts, which installs handlers of its own; `restore` brings back those of before."""

    def __init__(self) -> None:
        self.received: int | None = None
        self._before: dict[int, Any] = {number: signal.getsignal(number) for number in SIGNALS}

    def install(self) -> None:
        """Does nothing outside the main thread. A SIGHUP that is ignored (nohup) stays ignored."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number, before in self._before.items():
            if number == signal.SIGINT or before is not signal.SIG_IGN:
                signal.signal(number, self._receive)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        """The first Ctrl-C waits for the end of the step, the second does not."""
        self.received = number
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def restore(self) -> None:
        if threading.current_thread() is threading.main_thread():
            for number, before in self._before.items():
                signal.signal(number, before)
