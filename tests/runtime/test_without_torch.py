"""Reading a picture loads no torch, whatever is installed. `.ci/run` runs this file by itself as well."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_points import frontal_face, write_point_bundle


def test_reading_never_imports_torch(tiny_bundle: Path, tmp_path: Path) -> None:
    """A whole `mien analyze` in a process of its own, with whatever is installed here."""
    if "openvino" in sys.modules:  # a pytest worker with its threads was twice seen to die in starting a process
        pytest.skip("OpenVINO's threads are in this process; .ci/run runs this file by itself")
    from PIL import Image

    skimage = pytest.importorskip("skimage.data")
    Image.fromarray(skimage.astronaut()).save(tmp_path / "a.jpg")
    heavy = ["torch", "torchvision", "lightning", "timm", "pandas", "matplotlib", "skimage", "scipy"]
    dots = write_point_bundle(tmp_path / "dots", {"landmarks": frontal_face()[:, :2], "depth": frontal_face()[:, 2]})
    arguments = ["analyze", str(tmp_path / "a.jpg"), "--bundle", str(tiny_bundle), "--output", str(tmp_path / "out")]
    arguments += ["--landmark-bundle", str(dots), "--points", "--smooth"]
    code = (
        f"import sys\nfrom mien.__main__ import main\nassert main({arguments!r}) == 0\n"
        f"print('loaded:', [m for m in {heavy!r} if m in sys.modules])"
    )
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "loaded: []" in done.stdout
    assert "pose_yaw" in (tmp_path / "out" / "readings.csv").read_text().partition("\n")[0]
    assert (tmp_path / "out" / "points" / "a.pts").is_file()
