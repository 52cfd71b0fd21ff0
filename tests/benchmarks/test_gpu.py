"""The GPU benchmark runs on the CPU, tiny: each section once, failures and missing systems by name."""

import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("lightning")
sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from shape_checks import unchecked

gpu = pytest.importorskip("gpu")


@pytest.mark.slow
@unchecked()
def test_every_section_runs_once(tmp_path):
    # Other batches of the same section are the same in a dry run.
    names = [name for name in gpu.SECTIONS if name not in ("poster_v2_forward_64", "poster_v2_forward_1")]
    assert gpu.main(["--device", "cpu", "--dry-run", "--output", str(tmp_path), "--only", *names]) == 0
    found = json.loads((tmp_path / "gpu.json").read_text("utf-8"))
    assert list(found) == names
    for name in names:
        section = gpu.SECTIONS[name]
        assert found[name]["state"] == (gpu.lacking(section) or "done"), found[name]
        assert bool(found[name]["rows"]) == (not gpu.lacking(section))
    rows = {row["what"]: row for row in found["poster_v2_forward_256"]["rows"]}
    assert rows["published, eager fp32"]["times as fast"] == 1 and rows["ours, bf16, compiled"]["ms"] > 0
    training = found["pictures_to_gpu"]["rows"][-1]
    assert 0 <= training["idle"] < 1 and training["pictures/s"] > 0
    for name in ("stylegan2_256", "asit"):  # the same weights computed another way
        offs = [float(row["note"].split()[2]) for row in found[name]["rows"] if "fp32" in row["what"]]
        assert offs[0] == 0 and max(offs) < 1e-4


def sections(monkeypatch, **runs):
    section = gpu.Section(iter, 1, ("poster_v2",))
    found = {name: replace(section, run=run) for name, run in runs.items()}
    monkeypatch.setattr(gpu, "SECTIONS", found)
    return list(found)


def test_a_failing_section_leaves_its_rows_and_its_reason(monkeypatch, tmp_path):
    def breaks(bench):
        yield {"what": "a | b", "ms": 1.5}
        raise RuntimeError("CUDA error: out of memory\nmore")

    def works(bench):
        assert json.loads((tmp_path / "gpu.json").read_text("utf-8"))["first"]["state"].startswith("failed")
        yield {"what": "c", "ms": 2000.0}

    names = sections(monkeypatch, first=breaks, second=works)
    gpu.everything(names, gpu.Report(tmp_path), minutes=1, device="cpu", dry=True)
    table = (tmp_path / "gpu.md").read_text("utf-8")
    assert "failed: RuntimeError: CUDA error: out of memory" in table and "| a / b | 1.5 |" in table
    assert "| c | 2,000 |" in table


def test_what_is_missing_is_named(monkeypatch):
    section = gpu.Section(iter, 1, ("poster_v2", "no_such"), ("no_package",))
    assert gpu.lacking(section) == "skipped: no system no_such, package no_package"
    assert gpu.lacking(gpu.Section(iter, 1, ("poster_v2",))) == ""


def test_a_section_that_takes_longer_than_its_share_is_stopped(monkeypatch, tmp_path):
    """Its rows stay; what it started goes with it."""

    def slow(bench):
        started = subprocess.Popen(["sleep", "60"])
        yield {"what": "kept", "pid": started.pid}
        time.sleep(60)

    sections(monkeypatch, slow=slow)
    seen = []
    state = gpu.run_apart("slow", 1, tmp_path, seen.append)
    assert state.startswith("stopped after 1 s") and [row["what"] for row in seen[-1]] == ["kept"]
    status = Path(f"/proc/{seen[-1][0]['pid']}/status")
    assert not status.exists() or "zombie" in status.read_text()


def test_a_section_that_dies_leaves_its_last_words(monkeypatch, tmp_path):
    def dies(bench):
        raise SystemExit("no driver")
        yield

    sections(monkeypatch, dies=dies)
    assert gpu.run_apart("dies", 30, tmp_path, lambda rows: None).startswith("failed: no driver")


def test_a_cpu_is_timed_by_no_mistake(tmp_path):
    with pytest.raises(SystemExit):
        gpu.main(["--device", "cpu", "--output", str(tmp_path)])
