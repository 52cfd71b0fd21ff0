"""The plan of a study: which rater sees which face with which voice, and in which order.

A rater sees each face once. Over as many raters as there are expressions of voices each face stands with each of them
once, and each rater hears each expression equally often, or one time more or less where the faces are no multiple of
the expressions (a Latin square). Orders of faces follow Williams (Australian Journal of Scientific Research A 2, 1949):
over a block of raters each face stands at each place equally often, and after each other face equally often.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mien.core.errors import MienError


@dataclass(frozen=True)
class Trial:
    """A face with a voice, for one rater."""

    rater: int
    """From 1."""
    number: int
    """Place in the rater's session, from 1."""
    face: Path
    """Picture."""
    voice: Path
    """Sound."""
    expression: str
    """Of the voice."""


def plan(faces: Sequence[Path], voices: Mapping[str, Sequence[Path]], *, raters: int, seed: int = 0) -> list[Trial]:
    """The sessions of all raters, one after the other.

    voices: expression -> recordings, which take turns. seed: which faces, expressions and recordings stand where in the
    squares. Raises MienError for fewer than two faces, two expressions or one rater.
    """
    if len(faces) < 2 or len(voices) < 2 or raters < 1:
        raise MienError(
            f"A study needs two faces, voices of two expressions and a rater; got {len(faces)} faces, {len(voices)} "
            f"expressions and {raters} raters."
        )
    random = np.random.default_rng(seed)
    shown = [faces[i] for i in random.permutation(len(faces))]
    names = [sorted(voices)[i] for i in random.permutation(len(voices))]
    recordings = {name: [voices[name][i] for i in random.permutation(len(voices[name]))] for name in names}
    orders, trials = williams_square(len(shown)), []
    for rater in range(raters):
        order = orders[(rater // len(names)) % len(orders)]
        for number, face in enumerate(order):
            expression = names[(face + rater) % len(names)]
            takes = recordings[expression]
            take = takes[(face // len(names) + rater) % len(takes)]
            trials.append(Trial(rater + 1, number + 1, shown[face], take, expression))
    return trials


def williams_square(count: int) -> list[list[int]]:
    """Orders of so many conditions, balanced for what comes just before: `count` rows, twice as many for odd counts."""
    first = [0]
    for step in range(1, count):
        first.append((first[-1] + (step if step % 2 else -step)) % count)
    rows = [[(each + shift) % count for each in first] for shift in range(count)]
    return rows if count % 2 == 0 else rows + [row[::-1] for row in rows]
