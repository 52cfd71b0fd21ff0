"""What the grammar makes of signatures: sections, repeated options, mappings, help."""

from dataclasses import dataclass
from typing import Any, Literal

import pytest

from mien.cli.grammar import call
from mien.cli.help import help_text
from mien.core.errors import MienError


@dataclass(frozen=True)
class Place:
    """A data set."""

    root: str = ""
    """Its folder."""
    sizes: tuple[int, ...] = (1, 2)
    """Sizes in pixels."""
    options: dict[str, Any] | None = None
    """Of its reader."""


def read(
    *names: str, place: Place, tag: list[str] | None = None, share: float = 0.5, mode: Literal["a", "b"] = "a",
    output: str,
) -> dict[str, Any]:  # fmt: skip
    """Read pictures.

    Args:
        names: files to read.
        place: Where they are
        tag: a tag; may be given several times.
        share: share to read, 0 to 1, which is
            explained on two lines.
        mode: how.
        output: folder for the results.
    """
    return locals()


def came(*arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = call(read, ["--output", "o", *arguments], command="mien read")
    return found


def test_an_option_of_a_list_of_texts_may_be_repeated() -> None:
    assert came("--tag", "no", "--tag=2026-11-26", "x")["tag"] == ["no", "2026-11-26"]
    assert "tag" not in came() or came()["tag"] is None


def with_more(*, with_: str = "") -> str:
    """Read more.

    Args:
        with_: what else.
    """
    return with_


def test_a_name_that_python_keeps_for_itself_is_an_option_without_its_underscore() -> None:
    assert call(with_more, ["--with", "a,b"], command="mien more") == "a,b"
    assert "--with WITH" in help_text(with_more, "mien more")
    with pytest.raises(MienError, match="--with"):
        call(with_more, ["--wiht", "a"], command="mien more")


def test_any_number_of_inputs() -> None:
    assert came()["names"] == ()
    assert came("a", "--share", "1", "--", "-b", "--c")["names"] == ("a", "-b", "--c")


def test_a_section_is_a_dataclass_and_takes_dotted_keys_of_mappings() -> None:
    place = came("--place.root", "12:30:00", "--place.options.n", "3", "--place.options.deep.key=x")["place"]
    assert place == Place("12:30:00", options={"n": 3, "deep": {"key": "x"}})
    assert came("--place", "{root: here, sizes: [3]}", "--place.root", "there")["place"] == Place("there", (3,))
    assert came("--place.options", "{a: 1}", "--place.options.b", "2")["place"].options == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--place", "3"], "place has options of its own (such as place.root); got 3."),
        (["--place", "{rot: 3}"], "mien read has no option --place.rot. Did you mean '--place.root'?"),
        (["--place.rot", "3"], "mien read has no option --place.rot. Did you mean '--place.root'?"),
        (["--root", "3"], "mien read has no option --root. Did you mean '--place.root'?"),
        (["--place.sizes", "[1, x]"], "--place.sizes must be a list of int; got '[1, x]'."),
        (["--no-share"], "mien read has no option --no-share."),
        (["-o", "x"], "mien read has no option -o. Did you mean '--output'?"),
        (["--out_dir", "x"], "mien read has no option --out_dir. Did you mean '--output'?"),
        (["--out-dir=x"], "mien read has no option --out-dir. Did you mean '--output'?"),
        (["--data", "x"], "mien read has no option --data. Did you mean "),
        (["--mode", "c"], "--mode must be one of 'a', 'b'; got 'c'."),
        (["--share", "--mode", "a"], "--share needs a value after it: share to read, 0 to 1"),
    ],
)
def test_mistakes(arguments: list[str], message: str) -> None:
    with pytest.raises(MienError) as caught:
        came(*arguments)
    assert str(caught.value).startswith(message)


def test_a_required_option_is_named_with_its_meaning() -> None:
    with pytest.raises(MienError, match=r"^mien read needs --output OUTPUT: folder for the results\.$"):
        call(read, [], command="mien read")


def test_help(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    lines = help_text(read, "mien read").splitlines()
    assert lines[0] == "usage: mien read [NAMES ...] --output OUTPUT [--option value ...]"
    assert lines[2] == "Read pictures."
    assert "  --tag TAG                   a tag; may be given several times." in lines
    assert "  --share X                   share to read, 0 to 1, which is explained on two lines. [0.5]" in lines
    assert "  --mode a|b                  how. [a]" in lines
    assert "  --output OUTPUT             folder for the results. [required]" in lines
    start = lines.index("Where they are:")
    assert lines[start + 1 :] == [
        "  --place.root ROOT           Its folder.",
        "  --place.sizes [N, ...]      Sizes in pixels. [1, 2]",
        "  --place.options {KEY: VALUE}",
        "                              Of its reader.",
    ]
