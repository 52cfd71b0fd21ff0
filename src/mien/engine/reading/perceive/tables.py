"""The rows of `windows.csv` and `frames.csv`."""

from collections.abc import Mapping
from typing import Any

from mien.media.tables.columns import Column
from mien.runtime.voice.perceiver import Perceived
from mien.runtime.voice.windows import VoiceWindow

Expressions = Mapping[str, Mapping[str, float]]
"""face, voice, both -> class to probability."""
Classes = Mapping[str, tuple[str, ...]]
"""face, voice, both -> the classes that it is read into."""
_PROBABILITY: dict[str, Any] = {"unit": "probability", "range": "0..1", "csv_format": ".4f"}


def window_columns(classes: Classes) -> list[Column]:
    """Of a window of the voice."""
    return [
        Column("window", "integer", meaning="number, from 0"),
        Column("success", "integer", meaning="1 where it was read, 0 for a silent one"),
        _seconds("start_s", "of the window that was read"), _seconds("end_s", "of the window that was read"),
        _seconds("from_s", "beginning of the time that it stands for"), _seconds("to_s", "end of that time"),
        Column("level_db", unit="dB of full scale", meaning="root mean square about the mean", csv_format=".1f"),
        *_expression_columns(classes), *_CHANGES, Column("note", "text"),
    ]  # fmt: skip


def frame_columns(classes: Classes) -> list[Column]:
    """Of a frame of a video."""
    edges = [Column(f"box_{edge}", unit="pixels", csv_format=".1f") for edge in ("x0", "y0", "x1", "y1")]
    return [
        Column("frame", "integer", meaning="index, from 0"), _seconds("timestamp_s", "from the first frame"),
        Column("success", "integer", meaning="1 where a face was found"),
        Column("window", "integer", meaning="of the voice (windows.csv)"), *edges, *_expression_columns(classes),
        *_CHANGES, Column("note", "text"),
    ]  # fmt: skip


_CHANGES = [
    Column("shift", meaning="root mean square of what the voice added to the face's code", csv_format=".5g"),
    Column("change", range="0..1", meaning="mean difference between perceived and plain picture", csv_format=".5f"),
]


def _seconds(name: str, meaning: str) -> Column:
    return Column(name, unit="s", meaning=meaning, csv_format=".3f")


def _expression_columns(classes: Classes) -> list[Column]:
    found = []
    for way, names in classes.items():
        found.append(Column(f"expression_{way}", "text", meaning=f"likeliest class: {_MEANING[way]}"))
        found += [Column(f"prob_{way}_{name}", **_PROBABILITY) for name in names]
    return found


_MEANING = {"face": "the face alone", "voice": "the voice alone", "both": "the face with the voice"}


def expression_cells(found: Expressions) -> dict[str, Any]:
    """Of what was read; the cells of the rest stay empty."""
    cells: dict[str, Any] = {}
    for way, own in found.items():
        if own:
            cells[f"expression_{way}"] = top(own)[0]
            cells |= {f"prob_{way}_{name}": value for name, value in own.items()}
    return cells


def change_cells(perceived: Perceived) -> dict[str, Any]:
    return {"shift": perceived.shift, "change": float(perceived.change.mean())}


def window_row(window: VoiceWindow, found: Expressions, perceived: Perceived | None = None) -> dict[str, Any]:
    """Of a silent window empty cells and the reason as its note."""
    return {
        "window": window.number, "success": int(not window.silent), "start_s": window.start_s, "end_s": window.end_s,
        "from_s": window.from_s, "to_s": window.to_s, "level_db": window.level_db, "note": window.note,
        **expression_cells(found), **(change_cells(perceived) if perceived else {}),
    }  # fmt: skip


def top(found: Mapping[str, float]) -> tuple[str, float]:
    """The likeliest class and its probability."""
    name = max(found, key=lambda each: found[each])
    return name, found[name]


class MeanExpressions:
    """Means of probabilities, way by way."""

    def __init__(self) -> None:
        self._sums: dict[str, dict[str, float]] = {}
        self._counts: dict[str, int] = {}

    def add(self, found: Expressions) -> None:
        for way, own in found.items():
            if own:
                sums = self._sums.setdefault(way, dict.fromkeys(own, 0.0))
                for name, value in own.items():
                    sums[name] += value
                self._counts[way] = self._counts.get(way, 0) + 1

    @property
    def mean(self) -> dict[str, dict[str, float]]:
        """Of the ways that were read, face and voice before both."""
        return {
            way: {name: value / self._counts[way] for name, value in self._sums[way].items()}
            for way in _MEANING
            if way in self._sums
        }
