"""`mien study make`: the trials of a study of faces with voices, and the table that raters fill in."""

import json
import re
from collections import Counter
from pathlib import Path

from mien.core.errors import MienError
from mien.core.labels import label_set
from mien.engine.study.design import Trial, plan
from mien.media.files import home_expanded, is_own_folder, printable, writable_folder, write_csv, write_text
from mien.media.listing import SOUNDS, is_sound, picture_files

TRIALS = ("rater", "trial", "face", "voice", "voice_expression")
RATINGS = ("expression", "valence", "arousal")
_RAVDESS = re.compile(r"\d\d-\d\d-(0[1-8])-\d\d-\d\d-\d\d-\d{2,4}")


def make(*, faces: str, voices: str, output: str, raters: int = 16, seed: int = 0) -> str:
    """Plan a study that tests how voices change the expression that people see in faces.

    Writes ratings.csv, a row for each trial with empty columns for the rating, sessions/rater_001.csv, ... with the
    same rows for each rater, and study.json. Every rater sees each face once; expressions of voices and orders of faces
    are counterbalanced over raters.

    Args:
        faces: folder of pictures, of neutral faces as a rule; each file is one face.
        voices: folder of sounds. The expression of a voice is the name of its folder, or that in RAVDESS's file names.
        output: new folder.
        raters: number of raters; a multiple of the number of expressions is balanced.
        seed: of the assignment of faces, expressions and recordings to the squares.
    """
    shown = picture_files([str(home_expanded(faces))], videos=False)
    heard = voices_by_expression(home_expanded(voices))
    folder = writable_folder(home_expanded(output))
    if any(folder.iterdir()):
        raise MienError(f"--output {folder} is not empty. Name a new folder, so that no ratings are overwritten.")
    trials = plan(shown, heard, raters=raters, seed=seed)
    _write(folder, trials)
    counts = Counter((trial.face, trial.expression) for trial in trials)
    balanced = raters % len(heard) == 0
    about = {
        "faces": len(shown), "expressions": {name: len(takes) for name, takes in heard.items()}, "raters": raters,
        "seed": seed, "trials_of_a_rater": len(shown), "balanced": balanced,
    }  # fmt: skip
    write_text(folder / "study.json", json.dumps(about, indent=2, ensure_ascii=False) + "\n")
    times = ("" if balanced else "at most ") + str(max(counts.values()))
    lines = [
        f"{len(trials)} trials: {raters} raters, {len(shown)} faces each, voices of {len(heard)} expressions",
        f"each face with each expression {times} times"
        + ("" if balanced else f"; a multiple of {len(heard)} raters would be balanced"),
        f"fill in {', '.join(RATINGS)} of {folder / 'ratings.csv'} (or of the sessions), then: mien study score",
    ]
    return "\n".join(lines)


def voices_by_expression(folder: Path) -> dict[str, list[Path]]:
    """Expression -> sounds below the folder, in the order of their names. Raises MienError where there is none."""
    if not folder.is_dir():
        raise MienError(
            f"--voices {folder}: {'a file; a folder of sounds is needed' if folder.exists() else 'no such folder'}."
        )
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder).parts
        if is_sound(path) and all(is_own_folder(part) for part in inside) and path.is_file():
            found.setdefault(_expression(path, folder), []).append(path)
    if not found:
        raise MienError(f"--voices {folder}: no sounds in it ({', '.join(SOUNDS)}).")
    return found


def _expression(path: Path, folder: Path) -> str:
    if name := _RAVDESS.fullmatch(path.stem):
        return label_set("ravdess").classes[int(name[1]) - 1]
    if path.parent == folder:
        raise MienError(
            f"{path}: its expression is not known. Put sounds into a folder for each expression, such as "
            f"{folder / 'anger' / path.name}."
        )
    return path.parent.name


def _write(folder: Path, trials: list[Trial]) -> None:
    rows = [
        [t.rater, t.number, printable(str(t.face)), printable(str(t.voice)), t.expression, "", "", ""] for t in trials
    ]
    write_csv(folder / "ratings.csv", [*TRIALS, *RATINGS], rows)
    for rater in dict.fromkeys(trial.rater for trial in trials):
        own = [row for row in rows if row[0] == rater]
        write_csv(folder / "sessions" / f"rater_{rater:03d}.csv", [*TRIALS, *RATINGS], own)
