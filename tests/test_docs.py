"""The pages: commands and snippets run word for word, excerpts are equal to their files, links have a target.

`mien ...` in a ```bash block, in an indented line and in a table is run in a folder with the files that the pages
name, all of them synthetic. Of commands in sentences, and of those with a placeholder in capitals or `...`, the options
and configs are checked. A block after `<!-- excerpt: FILE -->` is compared with that file.
"""

import contextlib
import io
import re
import shlex
import shutil
import textwrap
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from mien.__main__ import COMMANDS, command_of, main
from mien.cli import grammar
from mien.cli.parameters import accepts_overrides, options_from, parameters_of
from mien.core.errors import MienError
from mien.core.extras import imported

ROOT = Path(__file__).parents[1]
CARDS = sorted((*ROOT.glob("src/mien/systems/*/README.md"), *ROOT.glob("src/mien/runtime/bundles/*/README.md")))
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/**/*.md")), *CARDS]
CONFIGS = sorted(ROOT.glob("configs/*/*.yaml"))
# Commands of the pages that are not run here, by how they begin, and why.
EXEMPT = {
    "python3 -m venv": "makes an environment; .ci/run runs README's command for the tests word for word",
    ". .venv/bin/activate": "changes the shell",
    "pip install": "installs",
    "pre-commit install": "changes the checkout",
    "pytest": "these tests",
    "bash .ci/run": "these tests",
    "mien analyze 0": "needs a camera; tests/engine/reading reads from one that is imitated",
    "ffmpeg": "needs a camera and FFmpeg; tests/engine/reading pipes a video",
    "program |": "stands for any program that writes frames; tests/engine/reading pipes some",
    "torchrun": "several processes; tests/engine/training runs two",
    "PYTHONPATH=src python": "needs a GPU or many minutes; tests/benchmarks runs the benchmarks small, on the CPU",
    "mien demo": "two minutes; tests/test_commands.py runs it with fewer faces",
}
PLACEHOLDER = re.compile(r"(?<![\w.-])[A-Z][A-Z_0-9]*(?![\w.-])")


class Block(NamedTuple):
    """A fenced block of a page."""

    language: str
    text: str
    excerpt_of: str


class Command(NamedTuple):
    """A command of a page."""

    line: int
    text: str
    is_run: bool
    """True in a block, an indented line and a table; False in a sentence."""

    @property
    def is_complete(self) -> bool:
        return "..." not in self.text and not PLACEHOLDER.search(_without_quotes(self.text))

    @property
    def exemption(self) -> str:
        return next((reason for start, reason in EXEMPT.items() if self.text.startswith(start)), "")


def _without_quotes(text: str) -> str:
    return re.sub(r"'[^']*'|\"[^\"]*\"", "", text)


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path) -> list[Block]:
    found = re.findall(
        r"^( *)(?:<!-- excerpt: (\S+) -->\n\s*)?```(\w*)\n(.*?)^\s*```$", page.read_text(encoding="utf-8"), re.M | re.S
    )
    return [Block(language, textwrap.dedent(text), excerpt) for _, excerpt, language, text in found]


def commands(page: Path) -> Iterator[Command]:
    """Every command of a page, in order; a line that ends in a backslash goes on."""
    fence, start, text = None, 0, ""
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        if match := re.match(r"\s*```(\w*)", line):
            fence = match[1] if fence is None else None
            continue
        start = start if text else number
        if fence == "bash" or (fence is None and re.match(r"    mien ", line)):
            text += line.strip().removesuffix("\\")
            if not line.endswith("\\"):
                if text and not text.startswith("#"):
                    yield Command(start, re.sub(r"\s+# .*", "", text), True)
                text = ""
        elif fence is None:
            for mentioned in re.findall(r"`(mien [^`]+)`", line):
                is_name = mentioned.removeprefix("mien ") in COMMANDS
                yield Command(number, mentioned, line.lstrip().startswith("|") and not is_name)


def commands_of_config(path: Path) -> Iterator[str]:
    """The commands of the comment that a config begins with."""
    comment = [line[1:] for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
    for line in re.sub(r"\\\n\s*", "", "\n".join(comment)).splitlines():
        if line.strip().startswith("mien "):
            yield line.strip()


# --- a folder with the files that the pages name


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("lightning")
    pytest.importorskip("av")
    folder = tmp_path_factory.mktemp("everything")
    write_pictures(folder)
    write_data_sets(folder)
    write_bundles(folder / "runs")
    write_released_files(folder)
    return folder


def write_pictures(folder: Path) -> None:
    from mien.media.sound.audio import Sound, write_sound
    from mien.media.video import write_video
    from mien.synthetic.people import unframed_portrait

    rest, smile = (unframed_portrait(7, 23, expression=name, size=240) for name in ("neutral", "happiness"))
    for name in ("photos", "before", "after"):
        (folder / name).mkdir()
    for name, pixels in (
        ("photo", smile), ("rest", rest), ("smile", smile), ("photos/a", rest), ("photos/b", smile), ("may", smile),
        ("july", smile), ("before/smile", smile), ("after/smile", smile),
    ):  # fmt: skip
        Image.fromarray(pixels).save(folder / f"{name}.jpg", quality=95)
    for name in ("video.mp4", "smile.mp4"):
        write_video(folder / name, np.stack([rest] * 6 + [smile] * 8 + [rest] * 6), rate_hz=20)
    times = np.arange(32_000) / 16_000
    hum = 0.05 * np.cos(2 * np.pi * 150 * times[:, None] * np.arange(1, 8)).sum(1)
    write_sound(folder / "speech.wav", Sound(hum.astype(np.float32), 16_000))


def write_data_sets(folder: Path) -> None:
    from mien.data.replicas import write_drawn

    write_drawn(folder / "my_faces", faces=28, size=48, layout="image_folder", seed=1)
    for name, faces in (
        ("rafdb", 15), ("ferplus", 48), ("affectnet", 48), ("kdef", 42), ("expw", 28), ("w300", 28),
    ):  # fmt: skip
        write_drawn(folder / "datasets" / name.replace("w300", "300w"), faces=faces, size=96, layout=name, pictures=2)


def write_bundles(folder: Path) -> None:
    """Small untrained bundles of two kinds, and copies of two bundles that ship, which have ONNX."""
    import mien
    from small_systems import CAN, PARFACE

    expression = mien.create_model("can_face_expression", labels="rafdb", **CAN)  # the quickest to export
    expression.save_pretrained(folder / "expression" / "bundle")
    mien.create_model("parface_autoencoder", **PARFACE).save_pretrained(folder / "autoencoder" / "bundle")
    shipped = ROOT / "src" / "mien" / "runtime" / "bundles"
    for name, source in (("a", "poster_v2_small_ferplus"), ("b", "parface_small_300w")):
        shutil.copytree(shipped / source, folder / name / "bundle")


def write_released_files(folder: Path) -> None:
    """Random weights with the names of the released files."""
    import torch

    import mien
    from mien.systems.can.official_names import to_official as to_can
    from mien.systems.parface.official_names import to_official as to_parface
    from mien.systems.poster_v2.official_names import parameter_names, to_official

    network = mien.create_model("poster_v2", labels="rafdb", legacy=True)
    released = to_official(network)
    whole = {f"module.{name}": value for name, value in released.items()}
    torch.save({"state_dict": whole, "epoch": 7, "best_acc": torch.tensor(92.2)}, folder / "raf-db.pth")
    (folder / "checkpoint.pth").hardlink_to(folder / "raf-db.pth")
    torch.save({"state_dict": to_official(network.trunk)}, folder / "ir50.pth")
    landmarks = {k.removeprefix("face_landback."): v for k, v in released.items() if k.startswith("face_landback.")}
    torch.save({"state_dict": landmarks}, folder / "mobilefacenet_model_best.pth.tar")
    names = list(parameter_names())
    kept = {i: {"old_p": released[name]} for i, name in enumerate(names) if "face_landback" not in name}
    best = {"state": kept, "param_groups": [{"params": list(range(len(names)))}]}
    torch.save(best, folder / "model_best.pth")
    for name, file in (("parface_3d", "saae.mdl"), ("parface", "3fabrec.mdl")):
        parface = mien.create_model(name, legacy=True)
        held = {"arch": "resnet18", "z_dim": 99, "input_size": 256, "state_dict": to_parface(parface)}
        torch.save(held, folder / file)
    torch.save({"state_dict": to_can(mien.create_model("can", size=32, latent=16, alone=False))}, folder / "best.ckpt")


def linked_copy(source: Path, target: Path) -> Path:
    """A copy of the folder with hard links. mien replaces files and never changes them in place."""
    return Path(shutil.copytree(source, target, copy_function=lambda a, b: Path(b).hardlink_to(a)))


# --- commands and snippets


def to_run(page: Path) -> list[Command]:
    return [command for command in commands(page) if command.is_run and command.is_complete and not command.exemption]


def snippets(page: Path) -> list[str]:
    return [block.text for block in blocks(page) if block.language == "python" and not block.excerpt_of]


@pytest.mark.slow
@pytest.mark.usefixtures("loaded_and_found_once")
@pytest.mark.parametrize("page", [page for page in PAGES if to_run(page) or snippets(page)], ids=name_of)
def test_commands_and_snippets_run(
    page: Path, everything: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(linked_copy(everything, tmp_path / "here"))
    failed = []
    for command in to_run(page):
        assert command.text.startswith("mien "), f"{name_of(page)}:{command.line}: not a mien command, not in EXEMPT"
        code, errors = run(command.text)
        if code != 0:
            failed.append(f"{name_of(page)}:{command.line}: {command.text}\n  exit code {code}: {errors}")
    for text in snippets(page):
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                exec(compile(text, name_of(page), "exec"), {"__name__": "page"})
        except Exception as error:
            failed.append(f"{name_of(page)}: {text}  {described(error)}")
    assert not failed, "\n".join(failed)


def run(command: str) -> tuple[int, str]:
    """Exit code and standard error; after an exception that mien does not handle, -1 and its origin."""
    errors = io.StringIO()
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(errors):
            code = main(shlex.split(command)[1:])
    except Exception as error:
        return -1, described(error)
    return code, errors.getvalue()


def described(error: Exception) -> str:
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "/mien/" in frame.filename]
    where = [f"{frame.filename.rpartition('/mien/')[2]}:{frame.lineno}" for frame in frames[-2:]]
    return f"{type(error).__name__} at {', '.join(where)}: {str(error)[:600]}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_have_the_options_and_configs_that_they_name(page: Path) -> None:
    for command in commands(page):
        if not command.text.startswith("mien "):
            assert command.exemption, f"{name_of(page)}:{command.line}: {command.text}"
        else:
            check_grammar(command.text, where=f"{name_of(page)}:{command.line}")


@pytest.mark.parametrize("path", CONFIGS, ids=name_of)
def test_the_command_of_a_config_is_its_own(path: Path) -> None:
    found = list(commands_of_config(path))
    for command in found:
        check_grammar(command, where=name_of(path))
    assert any(f" {path.parent.name}/{path.stem} " in f"{command} " for command in found)


def check_grammar(text: str, *, where: str) -> None:
    """Asserts that the command, its options and its configs exist; values may be placeholders."""
    args = [arg for arg in shlex.split(text)[1:] if arg not in ("...", "--help", "--version", "COMMAND")]
    if not args or any(name.startswith(f"{' '.join(args)} ") for name in COMMANDS):
        return
    try:
        name, rest = command_of(args)
        function = imported(COMMANDS[name][0])
        parameters = parameters_of(function)
        inputs, options = grammar.split_arguments(rest, parameters, command=f"mien {name}")
        if accepts_overrides(function):
            described = imported(options_from(function).target)
            configs = [arg for arg in inputs if "/" in arg and "..." not in arg]
            described(configs, {}, detailed=False)
            if name == "fit":
                check_fit(configs, options)
    except MienError as error:
        pytest.fail(f"{where}: {text}\n  {error}")


def check_fit(configs: list[str], options: dict[str, str | list[str]]) -> None:
    from mien.engine.training.config import find_config, option_keys

    for config in configs:
        find_config(config)
    sections = ("system.options.", "stage.options.", "data.reader.", "data.eval_reader.", "data.augment.", "input.")
    for key in options:
        if key not in option_keys() and not key.startswith((*sections, "init.")):
            raise MienError(f"mien fit has no option --{key}.")


# --- excerpts, links, the first screen


def is_within(excerpt: str, text: str) -> bool:
    """Whether each run of lines between lines `...` stands in the text, indentation aside."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    for part in re.split(r"^\s*\.\.\.\s*$", excerpt, flags=re.M):
        wanted = [line.strip() for line in part.splitlines() if line.strip()]
        starts = range(len(lines) - len(wanted) + 1)
        if not any(lines[start : start + len(wanted)] == wanted for start in starts):
            return False
    return True


def test_excerpts_stand_in_the_files_that_they_name() -> None:
    for page in PAGES:
        for block in blocks(page):
            if block.excerpt_of:
                text = (ROOT / block.excerpt_of).read_text(encoding="utf-8")
                assert is_within(block.text, text), f"{name_of(page)}: not in {block.excerpt_of}:\n{block.text}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_to_files_and_headings(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if target.startswith(("http://", "https://")):
            continue
        file, _, heading = target.partition("#")
        path = (page.parent / file) if file else page
        assert path.exists(), f"{name_of(page)}: no {target}"
        if heading:
            assert heading in headings(path), f"{name_of(page)}: no heading {target}"


def headings(page: Path) -> set[str]:
    """As GitHub links to them."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_each_page_is_in_the_index() -> None:
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    assert [page.name for page in PAGES if page.parent.name == "docs" and f"({page.name})" not in index] == ["index.md"]


def test_the_index_shows_every_folder_of_the_package() -> None:
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    source = ROOT / "src" / "mien"
    shown = {line.split()[0] for line in index.splitlines() if re.match(r"\s*\w+/\s", line)}
    folders = {path.parent for path in source.rglob("*.py")} - {source}
    depth = {folder for folder in folders if len(folder.relative_to(source).parts) <= 2}
    assert {f"{folder.name}/" for folder in depth} - shown == set()


def test_the_first_screen_shows_a_picture_a_snippet_and_the_systems() -> None:
    first = "\n".join((ROOT / "README.md").read_text(encoding="utf-8").splitlines()[:40])
    picture = re.search(r"!\[[^\]]+\]\(([^)]+)\)", first)
    assert picture and (ROOT / picture[1]).is_file()
    assert "```python\n" in first
    assert all(f"| `{name}` |" in first for name in ("poster_v2", "parface", "if3d", "can", "ifer"))


def test_the_first_snippet_prints_what_readme_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    astronaut = pytest.importorskip("skimage.data").astronaut()
    Image.fromarray(astronaut).save(tmp_path / "photo.jpg", quality=95)
    monkeypatch.chdir(tmp_path)
    snippet, output = blocks(ROOT / "README.md")[:2]
    assert (snippet.language, output.language) == ("python", "text") and len(snippet.text.strip().splitlines()) <= 5
    exec(compile(snippet.text, "README.md", "exec"), {})
    assert capsys.readouterr().out == output.text


def test_the_number_of_readers_is_the_one_that_readme_states() -> None:
    from mien.data.readers import list_readers

    text = (ROOT / "README.md").read_text(encoding="utf-8")
    stated = re.search(r"(\d+) readers", text)
    assert stated and int(stated[1]) == len(list_readers())
