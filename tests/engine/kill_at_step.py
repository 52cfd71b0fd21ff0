"""`python kill_at_step.py SIGNAL STEP ARGUMENTS...`: `mien fit`, which gets that signal right after that step.

SIGNAL is a name (SIGKILL, SIGTERM). The systems of the folder `toy` are registered.
"""

import os
import signal
import sys
from typing import Any

from toy.register import register

from mien.engine.training.fit import fit_command
from mien.engine.training.loop import Checkpointer

number, last = signal.Signals[sys.argv[1]], int(sys.argv[2])
proceed = Checkpointer.on_train_batch_end


def and_signal(self: Checkpointer, trainer: Any, stage: Any, *rest: Any) -> None:
    if stage.position.step == last and number != signal.SIGKILL:
        os.kill(os.getpid(), number)
    proceed(self, trainer, stage, *rest)
    if stage.position.step == last:
        os.kill(os.getpid(), number)


Checkpointer.on_train_batch_end = and_signal  # type: ignore[method-assign]
register()
fit_command(sys.argv[3:])
