"""SIGTERM during `mien fit`: the step ends, the state is saved, the exit code is 143, and the run can go on."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SMALL = [
    "--system.name=poster_v2_small", "--system.options.input_size=32", "--system.options.trunk_size=32",
    "--system.options.widths=[8,16,24]", "--system.options.depths=[1,1,1]", "--system.options.stem=8",
    "--system.options.landmark_widths=[8,16,16]", "--system.options.landmark_features=16",
    "--system.options.landmark_depths=[1,1,1]", "--system.options.token_width=16", "--system.options.head_dim=8",
    "--system.options.vit_heads=2", "--system.options.vit_depth=1", "--data.name=drawn", "--data.batch_size=2",
    "--optim.sam_rho=0", "--trainer.epochs=100", "--trainer.device=cpu",
    "--init=random",
]  # fmt: skip


@pytest.mark.slow
def test_a_terminated_training_is_saved_and_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("lightning")
    from mien.__main__ import main
    from mien.data.replicas import write_drawn

    faces, run = write_drawn(tmp_path / "faces", faces=56, size=32, test_share=0.25), tmp_path / "run"
    command = [sys.executable, "-m", "mien", "fit", f"--output={run}", *SMALL, f"--data.root={faces}"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for _ in range(3000):  # on a busy machine
        if (run / "checkpoints" / "last.ckpt").is_file() or process.poll() is not None:
            break
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 143
    assert "Stopped by SIGTERM" in output and f"Resume with: mien fit --output {run} --resume true" in output
    assert "Traceback" not in errors
    assert main(["fit", f"--output={run}", "--resume", "--trainer.epochs=1"]) == 0
    again = capsys.readouterr().out
    assert "going on in epoch" in again or "best epoch" in again
