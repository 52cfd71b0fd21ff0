"""The rules of the house that a machine can check: who imports whom, how light it is, what must not stand in a file."""

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "src" / "mien").rglob("*.py"))
HEAVY = ("torch", "lightning", "numpy", "cv2", "onnxruntime", "matplotlib", "pandas", "jsonargparse", "yaml", "rich")


def python(code: str, *options: str) -> str:
    result = subprocess.run([sys.executable, *options, "-c", code], capture_output=True, text=True, check=True)
    return result.stdout


def test_import_contracts() -> None:
    pytest.importorskip("importlinter")
    code = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-2000:]


def test_importing_mien_is_light() -> None:
    """In processor time: other work on the machine does not count."""
    code = (
        "import time; start = time.process_time(); import mien; took = time.process_time() - start; import sys;"
        f"print(took, *[m for m in {HEAVY} if m in sys.modules])"
    )
    runs = [python(code).split() for _ in range(3)]
    assert [run[1:] for run in runs] == [[]] * 3
    assert min(float(run[0]) for run in runs) < 0.1


def test_what_reads_faces_never_reaches_torch() -> None:
    """Also where it is installed: in a process of its own, since other tests of this one have imported it."""
    code = (
        "import sys, mien.runtime.analyzer, mien.runtime.tables, mien.runtime.overlay, mien.engine.reading.analyze;"
        "import mien.runtime.asymmetry.examination, mien.engine.reading.asymmetry.run;"
        "import mien.engine.reading.photo_points;"
        "print([m for m in ('torch', 'lightning', 'pandas', 'matplotlib') if m in sys.modules])"
    )
    assert python(code).strip() == "[]"


def tracked() -> list[Path]:
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("needs a git checkout")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def test_no_folder_is_crowded() -> None:
    """Readers are a list by nature; everything else is divided at 16 files."""
    counts: dict[Path, int] = {}
    for path in SOURCES:
        counts[path.parent] = counts.get(path.parent, 0) + (path.name != "__init__.py")
    crowded = {str(folder.relative_to(ROOT)): count for folder, count in counts.items() if count > 16}
    assert [folder for folder in crowded if not folder.endswith("data/readers")] == []


def test_no_path_of_a_machine_and_no_registry() -> None:
    pattern = re.compile(r"/(work|farm|root)/|/tmp/[a-z]+/|https?://[a-z.]*(pypi|pythonhosted|npmjs)")
    found = []
    for path in tracked():
        content = path.read_bytes()
        if b"\0" in content[:8000]:
            continue
        lines = content.decode("utf-8", "replace").splitlines()
        found += [
            f"{path.relative_to(ROOT)}:{i}: {line.strip()}" for i, line in enumerate(lines, 1) if pattern.search(line)
        ]
    assert not found


def test_tracked_files_are_small() -> None:
    """A shipped model is a few MB; nothing else comes near one."""
    most = {".onnx": 10_000_000, ".safetensors": 5_000_000}
    assert [path.name for path in tracked() if path.stat().st_size > most.get(path.suffix, 1_000_000)] == []


def names_in(tree: ast.AST) -> list[str]:
    """Every name that the source itself gives: functions, classes, parameters, assigned names."""
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
            names.append(node.name)
        elif isinstance(node, ast.arg):
            names.append(node.arg)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.append(node.id)
    return names


def test_an_expression_is_never_called_an_emotion() -> None:
    wrong = [
        f"{path.name}: {name}"
        for path in SOURCES
        for name in names_in(ast.parse(path.read_text(encoding="utf-8")))
        if "emotion" in name.lower()
    ]
    assert not wrong


def test_no_drawer_for_odds_and_ends() -> None:
    assert [p.name for p in SOURCES if p.stem in ("utils", "helpers", "misc", "manager", "common")] == []


def test_light_dependencies_hold_no_torch() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    base = {re.split(r"[\[><=~!; ]", line)[0] for line in project["dependencies"]}
    assert not base & {"torch", "torchvision", "lightning", "pandas", "pyarrow", "matplotlib", "scipy"}


def test_constraints_name_what_the_project_asks_for() -> None:
    """Numbers only, each for a package that an extra names; torch resolves with torchvision, so neither is pinned."""
    import tomllib

    lines = [
        line
        for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
        if line and not line.startswith("#")
    ]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = [*project["dependencies"], *(line for extra in project["optional-dependencies"].values() for line in extra)]
    wanted = {re.split(r"[\[><=~!; ]", line)[0].lower() for line in asked} - {"mien", "torch", "torchvision"}
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[\w.]+", line) for line in lines)
    assert {line.split("==")[0].lower() for line in lines} == wanted


def test_without_torch_the_names_of_mien_say_what_to_install() -> None:
    """In a process where torch cannot be imported."""
    code = (
        "import sys; sys.modules['torch'] = None; import mien\n"
        "for call in (lambda: mien.create_model('poster_v2'), lambda: mien.load('x')):\n"
        "    try: call()\n"
        "    except mien.core.errors.MienError as error: print(error)\n"
        "print(len(mien.list_models()) > 5)"
    )
    first, second, listed = python(code).splitlines()
    assert re.fullmatch(r"Building poster_v2 needs torch, which is not installed: pip install '\S*\[train\]'\.", first)
    assert re.fullmatch(r"mien.load needs torch, which is not installed: pip install '\S*\[train\]'\.", second)
    assert listed == "True"
