"""`python kill_at_step.py STEP ARGUMENTS...`: `mien fit`, killed (as by kill -9) right after that optimiser step."""

import os
import signal
import sys
from typing import Any

from mien.engine.training.fit import fit_command
from mien.engine.training.loop import Checkpointer

last = int(sys.argv[1])
proceed = Checkpointer.on_train_batch_end


def and_die(self: Checkpointer, trainer: Any, stage: Any, *rest: Any) -> None:
    proceed(self, trainer, stage, *rest)
    if stage.position.step == last:
        os.kill(os.getpid(), signal.SIGKILL)


Checkpointer.on_train_batch_end = and_die  # type: ignore[method-assign]
fit_command(sys.argv[2:])
