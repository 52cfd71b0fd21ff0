"""Contact sheets: every thumbnail whole and at its place, whatever its shape; rows with their titles."""

import numpy as np
import pytest

from mien.report.contact_sheet import EMPTY, Row, Tile, contact_sheet, row_sheet
from mien.report.svg import COLOURS

RED, BLUE = (250, 10, 20), (10, 20, 250)


def tile(colour: tuple[int, int, int], width: int = 100, height: int = 100) -> np.ndarray:
    return np.full((height, width, 3), colour, np.uint8)


def count(sheet: np.ndarray, colour: tuple[int, int, int]) -> int:
    return int((sheet == colour).all(-1).sum())


def test_it_holds_every_thumbnail_whole() -> None:
    items = [("a.jpg", tile(RED)), ("b" * 200, None), ("c.jpg", tile(BLUE, 40, 100)), ("d", tile(BLUE, 100, 30))]
    sheet = contact_sheet(items, side=100)
    assert sheet.dtype == np.uint8
    assert sheet.shape[1] == 2 * 108 + 8
    assert (count(sheet, RED), count(sheet, BLUE)) == (100 * 100, 40 * 100 + 100 * 30)
    assert 0.7 * 100 * 100 < count(sheet, EMPTY) < 100 * 100  # the text that it cannot be read is on it


@pytest.mark.parametrize(("items", "columns"), [(1, 1), (4, 2), (9, 3), (48, 6)])
def test_its_columns_follow_from_the_number_of_pictures(items: int, columns: int) -> None:
    sheet = contact_sheet([("x", tile(RED, 20, 20))] * items, side=20)
    assert sheet.shape[1] == columns * 28 + 8
    assert count(sheet, RED) == items * 20 * 20


def test_a_long_caption_stays_under_its_picture() -> None:
    sheet = contact_sheet([("w" * 300, tile(RED)), ("", tile(RED))] * 2, side=100)
    ink = (sheet < 128).all(-1)
    assert ink[:, :8].sum() == ink[:, 108:116].sum() == 0


def test_rows_break_after_their_columns_and_have_titles() -> None:
    rows = [Row("first", [Tile("", tile(RED, 50, 50))] * 5, "5 faces"), Row("second", [], "no face", warns=True)]
    sheet = row_sheet(rows, columns=3, side=50, title="A set", note="a note")
    assert count(sheet, RED) == 5 * 50 * 50
    red = (sheet == RED).all(-1)
    assert len(np.flatnonzero(np.diff(red.any(1).astype(int)) == 1)) == 2  # two lines
    left = np.flatnonzero(red.any(0))[0]
    assert (sheet[:, :left] < 200).all(-1).any()  # titles
    assert count(sheet, COLOURS["warn"]) > 0


def test_an_empty_sheet_is_still_a_picture() -> None:
    assert contact_sheet([]).ndim == 3
    assert row_sheet([Row("none", [])], columns=3, side=50).ndim == 3
