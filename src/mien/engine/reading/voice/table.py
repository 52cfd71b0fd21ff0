"""Voices of videos and of sounds alone: a row for each window, joined to a video's frames by file and time.

A frame of readings.csv belongs to the row of voice.csv with the same `source` for which from_s <= timestamp < to_s.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mien.cli.progress import progress_bar
from mien.core.errors import MienError
from mien.engine.reading.output_folder import VOICES, OutputFolder
from mien.media.bundles import bundle_folder
from mien.media.files import printable, read_info
from mien.media.listing import is_sound, is_video
from mien.media.tables import TableWriter
from mien.media.tables.columns import Column
from mien.runtime.voice.network import SHIPPED, VoiceAnalyzer, VoiceReading, mean_of, voice_input

NO_SOUND = "no sound in it"


def hearing_of(
    bundles: Sequence[Path] | None, *, wanted: bool = False, threads: int | None = None
) -> tuple[list[Path] | None, VoiceAnalyzer | None]:
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
    return faces or None, VoiceAnalyzer(hearing[0], threads=threads) if hearing else None


def voice_columns(network: VoiceAnalyzer) -> list[Column]:
    """Of voice.csv."""

    def seconds(name: str, meaning: str) -> Column:
        return Column(name, unit="s", meaning=meaning, csv_format=".3f")

    return [
        Column("source", "text", meaning="the video, as in readings.csv, or the sound"),
        Column("window", "integer", meaning="number, from 0"),
        Column("success", "integer", meaning="1 where a voice was read, 0 for silence and videos without sound"),
        seconds("from_s", "beginning of the time that the row stands for, from the first frame of a video"),
        seconds("to_s", "end of that time"), seconds("start_s", "of the window that was read"),
        seconds("end_s", "of the window that was read"),
        Column("level_db", unit="dB of full scale", meaning="root mean square", csv_format=".1f"),
        Column("expression_voice", "text", meaning="the likeliest class"),
        *(Column(f"prob_voice_{name}", unit="probability", range="0..1", csv_format=".6f") for name in network.classes),
        Column("model", "text"), Column("note", "text"),
    ]  # fmt: skip


def voice_rows(source: Path, network: VoiceAnalyzer) -> Iterator[tuple[dict[str, Any], dict[str, float]]]:
    """A row for each window, with its probabilities; one empty row of a video without sound, or that cannot be read."""
    row: dict[str, Any] = {"source": str(source), "window": 0, "success": 0, "model": network.info.model_id}
    count = 0
    try:
        for reading in network.stream(source):
            yield row | _cells(reading), reading.probabilities
            count += 1
    except MienError as error:
        yield row | {"window": count, "note": printable(str(error))}, {}
        return
    if not count:
        yield row | {"note": NO_SOUND}, {}


def _cells(reading: VoiceReading) -> dict[str, Any]:
    window, found = reading.window, reading.probabilities
    return {
        "window": window.number, "success": int(bool(found)), "from_s": window.from_s, "to_s": window.to_s,
        "start_s": window.start_s, "end_s": window.end_s, "level_db": window.level_db, "note": window.note,
        "expression_voice": reading.expression,
        **{f"prob_voice_{name}": value for name, value in found.items()},
    }  # fmt: skip


def read_voices(files: Sequence[Path], network: VoiceAnalyzer, folder: Path | None) -> list[str]:
    """Reads the videos and sounds among the files into `folder`/voice.csv, where there is one; a line for each."""
    heard = [path for path in files if is_video(path) or is_sound(path)]
    if not heard:
        return ["voice: no video and no sound among the inputs, so there is no voice to read"]
    return [each.line for each in _read(heard, network, folder)] + _where(network, folder)


def read_voices_alone(
    files: Sequence[Path], network: VoiceAnalyzer, out: OutputFolder | None, *, refused: Mapping[str, bool]
) -> list[str]:
    """As `read_voices`, of sounds without a picture or video beside them.

    refused: options of faces, and whether they were given. Raises MienError for such an option, and where nothing could
    be read.
    """
    option = next((name for name, given in refused.items() if given and name not in ("resume", "overwrite")), None)
    if option is not None:
        raise MienError(f"--{option} is about faces, and only sounds were named.")
    if out is not None:
        out.begin()
    folder = None if out is None else out.folder
    read = _read(files, network, folder)
    if not any(each.windows for each in read):
        raise MienError(f"Nothing could be read: {read[0].reason}")
    return [each.line for each in read] + _where(network, folder)


@dataclass(frozen=True)
class _Voice:
    """What was read of one file."""

    path: Path
    """The file."""
    found: list[dict[str, float]]
    """Probabilities of each window with a voice."""
    windows: int
    """How many there are; 0 of a file that cannot be read or has no sound."""
    reason: str
    """The last window's note, or why there is none."""

    @property
    def line(self) -> str:
        """For the terminal."""
        mean = mean_of(self.found)
        if not mean:
            return f"{printable(str(self.path))}: voice: nothing to read ({self.reason})"
        name = max(mean, key=lambda each: mean[each])
        over = f", mean over {len(self.found)} of {self.windows} windows" if self.windows > 1 else ""
        return f"{printable(str(self.path))}: voice: {name} {100 * mean[name]:.0f} %{over}"


def _read(files: Sequence[Path], network: VoiceAnalyzer, folder: Path | None) -> list[_Voice]:
    columns = voice_columns(network)
    described = {column.name: column.described() for column in columns}

    def describe(state: str) -> dict[str, Any]:
        return {
            "state": state, "model": network.info.model_id, "provenance": network.info.provenance, "columns": described
        }  # fmt: skip

    read = []
    with ExitStack() as stack:
        advance = stack.enter_context(progress_bar("windows of voices"))
        table = None if folder is None else TableWriter(folder / VOICES, columns, describe=describe)
        append = None if table is None else stack.enter_context(table).append
        for path in files:
            found, windows, note = [], 0, ""
            for row, probabilities in voice_rows(path, network):
                if append is not None:
                    append([row])
                advance(1)
                found += [probabilities] if probabilities else []
                windows, note = windows + (row.get("to_s") is not None), row["note"]
            read.append(_Voice(path, found, windows, note))
    return read


def _where(network: VoiceAnalyzer, folder: Path | None) -> list[str]:
    return [] if folder is None else [f"voices by {network.info.model_id}, a row a window in {folder / VOICES}.csv"]
