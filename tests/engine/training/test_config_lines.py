"""An error about an option of a YAML file names file and line, also where the system or the stage refuses it."""

from pathlib import Path

import pytest

from mien.core.errors import MienError
from mien.engine.training.config import parse_fit, stage_defaults
from mien.media.yaml_text import key_lines

pytest.importorskip("lightning")
from mien.engine.training.setup import check_options

SYSTEM = "# a network\nsystem:\n  name: poster_v2_small\n  options:\n    drop_path: 0.1\n    {}\n"


def refusal(*arguments: str) -> str:
    with pytest.raises(MienError) as caught:
        parse_fit(arguments, defaults=stage_defaults, check=check_options)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        (SYSTEM.format("dropot: 0.2"), 6, "has no option 'dropot'. Did you mean 'dropout'?"),
        (SYSTEM.format("dropout: x"), 6, "dropout must be float"),
        (SYSTEM.format("dropout: 5"), 6, "dropout must be in 0..1"),
        ("stage: {options: {foo: 1}}\n", 1, "has no option 'foo'"),
        ("legacy: false\noptim:\n  lr: x\n", 3, "--optim.lr must be float"),
        ("optim:\n  lrr: 1\n", 2, "No option --optim.lrr"),
        ("data:\n  augment:\n    scal: 1\n", 3, "has no option 'scal'"),
        ("input:\n\n  sizee: 1\n", 3, "--input has no field 'sizee'"),
        ("data:\n  name: ferplus\n  name: rafdb\n", 3, "the key 'name' stands there twice"),
        ("data:\n  name: [a\n", 3, "is not YAML"),
    ],
)
def test_a_mistake_names_file_and_line(text: str, line: int, reason: str, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    message = refusal("poster_v2/own_folder", str(tmp_path / "mine.yaml"), "--data.root", str(tmp_path))
    assert message.startswith(f"{tmp_path / 'mine.yaml'}, line {line}") and reason in message


def test_the_last_file_that_states_the_option_is_named_and_the_command_goes_before_it(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("optim: {lr: 1}\nlegacy: true\n")
    (tmp_path / "b.yaml").write_text("\noptim: {lr: x}\n")
    files = (str(tmp_path / "a.yaml"), str(tmp_path / "b.yaml"))
    assert refusal(*files).startswith(f"{tmp_path / 'b.yaml'}, line 2: ")
    assert refusal(*files, "--optim.lr", "y").startswith("--optim.lr must be float")


@pytest.mark.parametrize(
    ("config", "option", "reason"),
    [
        ("poster_v2/0_landmarks_300w_small", "mixup", "stage landmarks trains something else (points, pictures"),
        ("parface/1_self_supervised", "cutmix", "stage self_supervised trains something else"),
        ("can/3_context", "cutmix", "a box of a picture, which the input voice does not have. Use data.mixup"),
    ],
)
def test_mixing_is_refused_where_a_mixed_face_has_no_true_target(config: str, option: str, reason: str) -> None:
    message = refusal(config, f"--data.{option}", "0.5")
    assert message.startswith(f"data.{option} ") and reason in message and "\n" not in message


@pytest.mark.parametrize("config", ["poster_v2/own_folder", "if3d/3_linear", "ifer/rafdb", "can/3_context"])
def test_every_classifier_takes_mixup(config: str) -> None:
    given = parse_fit([config, "--data.mixup", "0.5"], defaults=stage_defaults, check=check_options)
    assert given.data.mixup == 0.5


def test_lines_of_keys_by_their_dotted_path(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("# c\na: 1\nb:\n  - x: 1\n  - 2\nc: {d: {e: 1},\n    f: 2}\n")
    assert key_lines(tmp_path / "a.yaml") == {"a": 2, "b": 3, "c": 6, "c.d": 6, "c.d.e": 6, "c.f": 7}
    (tmp_path / "a.yaml").write_text("")
    assert key_lines(tmp_path / "a.yaml") == {}
