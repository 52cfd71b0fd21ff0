"""The columns of a manifest beyond path, class, split and box: what `mien data prepare` carries over."""

import json
from pathlib import Path

import numpy as np
import pytest

from mien.core.errors import MienError
from mien.data.readers import open_reader
from mien.media.image import load_image


def table(folder: Path, header: str, *rows: str) -> Path:
    for name in ("a.png", "b.png"):
        _png(folder / name, 10)
    path = folder / "manifest.csv"
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def _png(path: Path, value: int) -> bytes:
    import cv2

    content: bytes = cv2.imencode(".png", np.full((8, 8, 3), value, np.uint8))[1].tobytes()
    path.write_bytes(content)
    return content


def test_a_voice_may_express_something_else(tmp_path: Path) -> None:
    (tmp_path / "v.wav").write_bytes(b"")
    path = table(tmp_path, "path,expression,voice,voice_expression", "a.png,anger,v.wav,fear", "b.png,fear,v.wav,")
    first, second = open_reader("manifest", path).samples("all")
    assert first.voice == tmp_path / "v.wav" and (first.voice_expression, second.voice_expression) == ("fear", None)


def test_every_column_reaches_its_sample(tmp_path: Path) -> None:
    path = table(
        tmp_path,
        "path,expression,key,subject,clip,valence,arousal,landmarks",
        "a.png,anger,train/1.jpg,anna,c1,-0.5,0.25,1 2 3.5 4",
        "b.png,fear,train/2.jpg,,,,,",
    )
    first, second = open_reader("manifest", path).samples("all")
    assert (first.key, first.subject, first.clip) == ("train/1.jpg", "anna", "c1")
    assert (first.valence, first.arousal) == (-0.5, 0.25)
    assert first.landmarks_px is not None
    assert first.landmarks_px.tolist() == [[1, 2], [3.5, 4]]
    assert (second.subject, second.clip, second.valence, second.landmarks_px) == (None, None, None, None)


def test_offset_and_length_name_a_picture_inside_a_file(tmp_path: Path) -> None:
    one, two = _png(tmp_path / "x.png", 10), _png(tmp_path / "y.png", 200)
    (tmp_path / "shard.tar").write_bytes(one + two)
    path = table(
        tmp_path, "path,expression,offset,length", f"shard.tar,anger,0,{len(one)}",
        f"shard.tar,fear,{len(one)},{len(two)}",
    )  # fmt: skip
    first, second = open_reader("manifest", path).samples("all")
    assert (first.key, second.key) == ("shard.tar", "shard.tar#2")
    assert load_image(second.path, span=second.span).pixels[0, 0, 0] == 200


@pytest.mark.parametrize(
    ("header", "row", "message"),
    [
        ("path,expression,valence", "a.png,anger,-2", "row 2: valence lies in -1..1; got -2"),
        ("path,expression", ",anger", "row 2: path names the picture's file; got ''"),
        ("path,expression,key", "a.png,anger,k\na.png,anger,k", "'k' is the key of several rows"),
        ("path,expression,x0,y0,x1,y1", "a.png,anger,,0,4,4", "row 2: a box needs x0, y0, x1, y1; without a value: x0"),
        ("path,expression,landmarks", "a.png,anger,1 2 3", "row 2: landmarks are pairs"),
        ("path,expression,landmarks", "a.png,anger,one two", "row 2: landmarks are numbers"),
        ("path,expression,offset", "a.png,anger,3", "a part of a file needs all of offset, length"),
        ("path,expression,offset,length", "a.png,anger,3,0", "offset and length are whole bytes"),
        ("path,expression,landmark", "a.png,anger,1 2", "'landmark'. Did you mean 'landmarks'?"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path: Path, header: str, row: str, message: str) -> None:
    with pytest.raises(MienError, match=message.replace("(", r"\(").replace("?", r"\?")):
        open_reader("manifest", table(tmp_path, header, row)).samples("all")


def test_a_prepared_table_keeps_the_order_of_its_classes(tmp_path: Path) -> None:
    path = table(tmp_path, "path,expression", "a.png,surprise", "b.png,anger")
    labels = {"name": "own", "classes": ["surprise", "fear", "anger"]}
    (tmp_path / "prepared.json").write_text(json.dumps({"labels": labels}), encoding="utf-8")
    reader = open_reader("manifest", path)
    assert reader.labels is not None
    assert reader.labels.classes == ("surprise", "fear", "anger")
    assert [sample.expression for sample in reader.samples("all")] == [0, 2]
    (tmp_path / "prepared.json").write_text("{", encoding="utf-8")
    with pytest.raises(MienError, match="damaged"):
        open_reader("manifest", path)


@pytest.mark.parametrize("sign", [";", "\t"])
def test_cells_are_separated_as_the_header_is(tmp_path: Path, sign: str) -> None:
    path = table(tmp_path, f"path{sign}label", f"a.png{sign}a,b", f"b.png{sign}c")
    assert open_reader("manifest", path).labels.classes == ("a,b", "c")


@pytest.mark.parametrize("cell", ["NA", "NaN", "<NA>", "null", ""])
def test_what_says_that_there_is_no_value_is_none(tmp_path: Path, cell: str) -> None:
    header = "path,label,subject,valence,x0,y0,x1,y1"
    path = table(tmp_path, header, f"a.png,{','.join([cell] * 7)}", "b.png,fear,anna,0.5,0,0,4,4")
    reader = open_reader("manifest", path)
    first, second = reader.samples("all")
    assert reader.labels.classes == ("fear",) and second.subject == "anna"
    assert (first.expression, first.subject, first.valence, first.box) == (None, None, None, None)


def test_valence_and_arousal_need_no_class(tmp_path: Path) -> None:
    path = table(tmp_path, "path,valence,arousal", "a.png,0.5,-0.5", "b.png,,")
    reader = open_reader("manifest", path)
    assert reader.labels is None and [each.valence for each in reader.samples("all")] == [0.5, None]


def test_paths_of_windows_are_found(tmp_path: Path) -> None:
    (tmp_path / "faces").mkdir()
    _png(tmp_path / "faces" / "c.png", 3)
    (sample,) = open_reader("manifest", table(tmp_path, "path,label", r"faces\c.png,fear")).samples("all")
    assert sample.path.is_file() and sample.key == "faces/c.png"


def test_parquet_has_each_name_once_and_nan_is_no_class(tmp_path: Path) -> None:
    import arro3.core
    import arro3.io

    _png(tmp_path / "a.png", 10)
    path = tmp_path / "manifest.parquet"
    for names, message in ((["path", "label"], ""), (["label", "label"], "'label' twice")):
        columns = [arro3.core.Array(["a.png"] * 2, arro3.core.DataType.string())]
        columns.append(arro3.core.Array(np.array([1.0, np.nan])))
        arro3.io.write_parquet(arro3.core.Table.from_arrays(columns, names=names), str(path))
        if message:
            with pytest.raises(MienError, match=message):
                open_reader("manifest", path)
        else:
            assert [each.expression for each in open_reader("manifest", path).samples("all")] == [0, None]
