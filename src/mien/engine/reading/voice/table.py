"""The voices of videos beside their faces: a row for each window, joined to the frames by file and time.

A frame of readings.csv belongs to the row of voice.csv with the same `source` for which from_s <= timestamp < to_s.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mien.core.errors import MienError
from mien.media.bundles import bundle_folder
from mien.media.files import printable, read_info
from mien.media.listing import is_video
from mien.media.tables import TableWriter
from mien.media.tables.columns import Column
from mien.runtime.voice.network import VoiceNetwork, VoiceReading, mean_of, voice_input

SHIPPED = "voice_expression_ravdess"
TABLE, NO_SOUND = "voice", "no sound in it"


def hearing_of(
    bundles: Sequence[Path] | None, *, wanted: bool = False, threads: int | None = None
) -> tuple[list[Path] | None, VoiceNetwork | None]:
    """The bundles that read faces, and the network that reads voices: the one bundle that takes a voice alone.

    wanted: the one that ships where none of them does. None of bundles is the face model that ships. Raises MienError
    for two that read voices.
    """
    hearing = [folder for folder in bundles or () if voice_input(read_info(folder).inputs) is not None]
    faces = None if bundles is None else [folder for folder in bundles if folder not in hearing]
    if len(hearing) > 1:
        raise MienError(f"One bundle reads the voice; got {' and '.join(str(each) for each in hearing)}.")
    if wanted and not hearing:
        hearing = [bundle_folder(SHIPPED)]
    return faces or None, VoiceNetwork(hearing[0], threads=threads) if hearing else None


def voice_columns(network: VoiceNetwork) -> list[Column]:
    """Of voice.csv."""

    def seconds(name: str, meaning: str) -> Column:
        return Column(name, unit="s", meaning=meaning, csv_format=".3f")

    return [
        Column("source", "text", meaning="the video, as in readings.csv"),
        Column("window", "integer", meaning="number, from 0"),
        Column("success", "integer", meaning="1 where a voice was read, 0 for silence and videos without sound"),
        seconds("from_s", "beginning of the time that the row stands for, from the first frame"),
        seconds("to_s", "end of that time"), seconds("start_s", "of the window that was read"),
        seconds("end_s", "of the window that was read"),
        Column("level_db", unit="dB of full scale", meaning="root mean square", csv_format=".1f"),
        Column("expression_voice", "text", meaning="the likeliest class"),
        *(Column(f"prob_voice_{name}", unit="probability", range="0..1", csv_format=".6f") for name in network.classes),
        Column("model", "text"), Column("note", "text"),
    ]  # fmt: skip


def voice_rows(source: Path, network: VoiceNetwork) -> Iterator[tuple[dict[str, Any], dict[str, float]]]:
    """A row for each window, with its probabilities; one empty row of a video without sound, or that cannot be read."""
    row: dict[str, Any] = {"source": str(source), "window": 0, "success": 0, "model": network.info.model_id}
    count = 0
    try:
        for reading in network.read_file(source):
            yield row | _cells(reading), reading.expression
            count += 1
    except MienError as error:
        yield row | {"window": count, "note": printable(str(error))}, {}
        return
    if not count:
        yield row | {"note": NO_SOUND}, {}


def _cells(reading: VoiceReading) -> dict[str, Any]:
    window, found = reading.window, reading.expression
    return {
        "window": window.number, "success": int(bool(found)), "from_s": window.from_s, "to_s": window.to_s,
        "start_s": window.start_s, "end_s": window.end_s, "level_db": window.level_db, "note": window.note,
        "expression_voice": max(found, key=lambda name: found[name]) if found else None,
        **{f"prob_voice_{name}": value for name, value in found.items()},
    }  # fmt: skip


def read_voices(files: Sequence[Path], network: VoiceNetwork | None, folder: Path | None) -> list[str]:
    """Reads the videos among the files into `folder`/voice.csv, where there is one; a line for each video."""
    videos = [path for path in files if is_video(path)]
    if network is None:
        return []
    if not videos:
        return ["voice: no video among the inputs, so there is no voice to read"]
    if folder is None:
        return [_line(path, list(voice_rows(path, network))) for path in videos]
    lines, columns = [], voice_columns(network)
    described = {column.name: column.described() for column in columns}

    def describe(state: str) -> dict[str, Any]:
        return {
            "state": state,
            "model": network.info.model_id,
            "provenance": network.info.provenance,
            "columns": described,
        }

    with TableWriter(folder / TABLE, columns, describe=describe) as table:
        for path in videos:
            read = []
            for row, found in voice_rows(path, network):
                table.append([row])
                read.append(({"note": row["note"]}, found))
            lines.append(_line(path, read))
    return [*lines, f"voices by {network.info.model_id}, a row a window in {folder / TABLE}.csv"]


def _line(path: Path, read: Sequence[tuple[dict[str, Any], dict[str, float]]]) -> str:
    mean = mean_of([found for _, found in read if found])
    if not mean:
        return f"{printable(str(path))}: voice: nothing to read ({read[-1][0]['note']})"
    name = max(mean, key=lambda each: mean[each])
    heard = sum(bool(found) for _, found in read)
    return f"{printable(str(path))}: voice: {name} {mean[name]:.2f}, mean over {heard} of {len(read)} windows"
