"""SIGINT, SIGTERM and SIGHUP as one kind of exception, kept back while something is written that must be whole."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

STOPPING = tuple(
    found for name in ("SIGINT", "SIGTERM", "SIGHUP") if (found := getattr(signal, name, None)) is not None
)


class Interrupted(KeyboardInterrupt):
    """A signal asks the command to stop. A KeyboardInterrupt: what saves its work on Ctrl-C does so here too."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number
        """As shells count: 130 for SIGINT, 143 for SIGTERM, 129 for SIGHUP."""


class Interruption:
    """Turns signals into `Interrupted` while it is entered; a signal that was ignored before (nohup) stays ignored.

    Outside the main thread, where Python has no signal handlers, entering it changes nothing. A process that is forked
    meanwhile is killed by SIGTERM and SIGHUP as any other.
    """

    def __init__(self) -> None:
        self._before: dict[signal.Signals, Any] = {}
        self._process = os.getpid()
        self._held = False
        self._waiting: int | None = None

    def __enter__(self) -> "Interruption":
        for number in STOPPING:
            if signal.getsignal(number) in (signal.SIG_IGN, None):
                continue
            try:
                self._before[number] = signal.signal(number, self._stop)
            except ValueError:  # not the main thread
                break
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    @contextmanager
    def held(self) -> Iterator[None]:
        """A block that is not interrupted: a signal within it raises at its end, also where the block failed."""
        self._held = True
        try:
            yield
        except BaseException as error:
            if self._waiting is not None:
                raise Interrupted(self._waiting) from error
            raise
        finally:
            self._held = False
        if self._waiting is not None:
            raise Interrupted(self._waiting)

    def _stop(self, number: int, _: FrameType | None) -> None:
        if os.getpid() != self._process and number != signal.SIGINT:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        self._waiting = number
        if not self._held:
            raise Interrupted(number)
