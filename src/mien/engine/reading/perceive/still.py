"""A picture with a voice: every window of the voice with the same face."""

from pathlib import Path

from mien.cli.progress import tracked
from mien.core.errors import MienError
from mien.engine.reading.perceive.faces import FoundFace, LargestFace
from mien.engine.reading.perceive.page import Shown, write_results
from mien.engine.reading.perceive.source import (
    Heard,
    Networks,
    PerceiveOptions,
    expressions,
    heard_windows,
    recorded_rate_hz,
    thinned,
)
from mien.engine.reading.perceive.tables import MeanExpressions, top, window_columns, window_row
from mien.media.image import load_image
from mien.media.tables import TableWriter

MOST_WINDOWS = 240  # of a long recording, evenly over it


def perceive_still(options: PerceiveOptions, networks: Networks, finder: LargestFace, folder: Path) -> str:
    """Writes the tables, the pictures and the page; the summary. Raises MienError for what cannot be read."""
    face = found_face(options.face, finder)
    heard = thinned(heard_windows(options, networks), MOST_WINDOWS)
    if all(each.mel is None for each in heard):
        raise MienError(f"{options.voice}: {heard[0].window.note}, so there is no voice to perceive with.")
    mean, rows = MeanExpressions(), []
    with TableWriter(folder / "windows", window_columns(networks.classes)) as table:
        for each in tracked(heard, "windows of the voice", len(heard)):
            if each.mel is None:
                table.append([window_row(each.window, {})])
                continue
            perceived = networks.perceiver.perceive(
                face.crop, each.mel, strength=None if options.strength == 1 else options.strength
            )
            found = expressions(perceived, each)
            mean.add(found)
            rows.append((each, perceived, found))
            table.append([window_row(each.window, found, perceived)])
    loudest = max(rows, key=lambda row: row[0].window.level_db)
    shown = Shown(face.crop, face.photo, *loudest)
    notes = [f"{face.others} smaller faces were left out"] if face.others else []
    found_mean = mean.mean
    write_results(
        folder, options, networks, shown, mean=found_mean,
        windows=[(each.window, found) for each, _, found in rows],
        notes=[*notes, *sound_notes(heard, options, networks)],
    )  # fmt: skip
    return summary(found_mean, folder, f"{len(rows)} of {len(heard)} windows of the voice", networks)


def found_face(path: Path, finder: LargestFace) -> FoundFace:
    """Raises MienError for a picture without a face."""
    face = finder(load_image(path).pixels)
    if face is None:
        raise MienError(
            f"{path}: no face found. Name a picture with a face, lower --min-face, or, where the whole picture is the "
            "face, add --detector none."
        )
    return face


def sound_notes(heard: list[Heard], options: PerceiveOptions, networks: Networks) -> list[str]:
    """What is wrong with the sound, for a reader."""
    found = []
    silent = sum(each.mel is None for each in heard)
    clipped = sum("clipped" in each.window.note for each in heard)
    if silent:
        found.append(f"{silent} of {len(heard)} windows are silent and were left out")
    if clipped:
        found.append(f"{clipped} of {len(heard)} windows are clipped, which sounds like more effort than there was")
    wanted, rate = 2 * networks.perceiver.voice.heard_hz, recorded_rate_hz(options.voice)
    if rate < 0.95 * wanted:
        found.append(
            f"recorded at {rate} Hz: nothing above {rate / 2:.0f} Hz can be heard, and the network knows up to "
            f"{wanted / 2:.0f} Hz"
        )
    return found


def summary(mean: dict[str, dict[str, float]], folder: Path, read: str, networks: Networks) -> str:
    """A few lines for the terminal."""
    names = {"face": "face alone", "voice": "voice alone", "both": "face with voice"}
    lines = [f"{names[way]}: {top(own)[0]} {top(own)[1]:.2f}" for way, own in mean.items()]
    return "\n".join([*lines, f"{read}; {folder / 'report.html'}", f"model {networks.model_id}"])
