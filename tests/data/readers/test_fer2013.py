"""fer2013.csv is indexed without reading pixels, and a sample is the very picture of its row."""

import time
from pathlib import Path

import numpy as np
import pytest

from mien.core.errors import MienError
from mien.data.readers import open_reader
from mien.media.image import load_image
from shape_checks import unchecked

SIDE = 4
PIXELS = [np.arange(16).reshape(SIDE, SIDE) * (i + 1) % 256 for i in range(5)]
TEXTS = [" ".join(map(str, pixels.ravel())) for pixels in PIXELS]
USAGES = ("Training", "Training", "Training", "PublicTest", "PrivateTest")


def table(root: Path, content: str, name: str = "fer2013.csv", *, newline: str = "\n") -> Path:
    root.mkdir(exist_ok=True, parents=True)
    (root / name).write_bytes(content.replace("\n", newline).encode())
    return root


def fer2013(quote: str = "") -> str:
    rows = (f"{i},{quote}{text}{quote},{usage}\n" for i, (text, usage) in enumerate(zip(TEXTS, USAGES, strict=True)))
    return "emotion,pixels,Usage\n" + "".join(rows)


def icml() -> str:
    rows = (f"{i}, {usage}, {text}\n" for i, (text, usage) in enumerate(zip(TEXTS, USAGES, strict=True)))
    return "emotion, Usage, pixels\n" + "".join(rows)


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize(
    ("name", "content"),
    [("fer2013.csv", fer2013()), ("fer2013.csv", fer2013('"')), ("fer2013.csv", "\ufeff" + fer2013()),
     ("fer2013.csv", fer2013().rstrip()), ("fer2013.csv", fer2013() + "\n"), ("icml_face_data.csv", icml()),
     ("fer2013/fer2013.csv", fer2013())],
)  # fmt: skip
def test_both_tables_give_splits_classes_and_pixels(tmp_path: Path, name: str, content: str, newline: str) -> None:
    table((tmp_path / name).parent, content, Path(name).name, newline=newline)
    reader = open_reader("fer2013", tmp_path)
    assert reader.splits == ("train", "valid", "test") and reader.notes == []
    samples = [sample for split in reader.splits for sample in reader.samples(split)]
    assert [sample.expression for sample in samples] == [0, 1, 2, 3, 4]
    assert [sample.split for sample in samples] == ["train"] * 3 + ["valid", "test"]
    assert samples[3].key == f"{Path(name).name}/00003" and samples[3].box is None
    for sample, pixels in zip(samples, PIXELS, strict=True):
        np.testing.assert_array_equal(load_image(sample.path, span=sample.span).pixels[..., 0], pixels)


def test_the_table_itself_can_be_the_root(tmp_path: Path) -> None:
    root = table(tmp_path, fer2013(), "anything.csv")
    assert len(open_reader("fer2013", root / "anything.csv").samples("train")) == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "fer2013.csv is empty"),
        ("emotion,pixels\n0,1 2\n", r"has the columns 'emotion, pixels'.*train.csv does not"),
        ("emotion,pixels,Usage\n7,1 2,Training\n", "line 2: class '7' is not one of 0..6"),
        ("emotion,pixels,Usage\n0,1 2,Training\n0,1 2,Trai", "line 3: use 'Trai' is none of Training.*cut short"),
        ("emotion,pixels,Usage\n0,1 2 3", "line 2: fewer than three fields. Is the file cut short"),
    ],
)
def test_mistakes_name_line_and_rule(tmp_path: Path, content: str, message: str) -> None:
    table(tmp_path, content)
    with pytest.raises(MienError, match=message) as caught:
        open_reader("fer2013", tmp_path)
    assert "\n" not in str(caught.value)


def test_a_row_whose_pixels_are_broken_is_named_when_it_is_opened(tmp_path: Path) -> None:
    table(tmp_path, "emotion,pixels,Usage\n0,1 2 x 4,Training\n")
    (sample,) = open_reader("fer2013", tmp_path).samples("train")
    with pytest.raises(MienError, match=r"fer2013.csv: the text at byte 23 is not a row of grey values"):
        load_image(sample.path, span=sample.span)


@pytest.mark.slow
@unchecked()
def test_the_whole_set_is_indexed_in_a_second_and_a_half(tmp_path: Path) -> None:
    pixels = " ".join(["128"] * 2304)
    counts = {"Training": 28709, "PublicTest": 3589, "PrivateTest": 3589}
    rows = (f"3,{pixels},{usage}\n" * count for usage, count in counts.items())
    table(tmp_path, "emotion,pixels,Usage\n" + "".join(rows))
    seconds = []
    for _ in range(3):
        start = time.process_time()
        reader = open_reader("fer2013", tmp_path)
        assert [len(reader.samples(split)) for split in reader.splits] == list(counts.values())
        seconds.append(time.process_time() - start)
    assert min(seconds) < 1.5
