"""Clinical scales as estimates, from measures of several photos of one person: the rule and its inputs are shown.

Clinicians score these scales by eye; folds, tone and skin are among what they see and 68 points do not. An estimate
says what the points alone would give by a stated rule. It is no grade and no diagnosis. What the material does not hold
is left out by name.
"""

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from mien.core.errors import MienError
from mien.runtime.asymmetry.pairs import Faces, Pairs, Side
from mien.runtime.asymmetry.tasks import TASKS, task_of

NO_MATERIAL = "cannot be estimated from this material"
_LEAST_MM = 1.5  # of the healthy side's movement; less is no movement to compare with
_GRADES = (("I", 95), ("II", 75), ("III", 50), ("IV", 25), ("V", 5), ("VI", -1))
EFACE_REFERENCE = (
    "Miller et al., Plast Reconstr Surg 147(2), 2021, 160 photographs: the published program gave 93.83 (SD 4.37) to "
    "normal faces, 59.96 (5.80) to flaccid and 62.35 (9.35) to severely synkinetic ones; clinicians 100.00 (1.58), "
    "52.20 (3.39), 54.22 (5.35)"
)
SUNNYBROOK_REFERENCE = (
    "Ross, Fradet and Nedzelski, Otolaryngol Head Neck Surg 114(3), 1996: 100 is normal, 0 complete palsy"
)
HOUSE_REFERENCE = (
    "House and Brackmann, Otolaryngol Head Neck Surg 93(2), 1985: brow and corner of the mouth, measured; "
    "I 100 %, II 76 to 99, III 51 to 75, IV 26 to 50, V 1 to 25, VI 0"
)


@dataclass(frozen=True)
class Item:
    """One item of a clinical scale."""

    name: str
    """Of the item."""
    value: float | None
    """None where it cannot be estimated, and `rule` says why."""
    rule: str
    """How it was estimated."""
    part: str = ""
    """Subscore that it belongs to."""


@dataclass(frozen=True)
class ScaleEstimate:
    """Estimate of a clinical scale."""

    name: str
    """Of the scale."""
    value: str
    """As the scale writes it; "" where it cannot be estimated."""
    rule: str
    """How it was estimated."""
    reference: str
    """Publication of the scale."""
    items: tuple[Item, ...] = ()
    """Its items."""
    missing: tuple[str, ...] = ()
    """Photos that are needed for an estimate."""
    parts: dict[str, float] = field(default_factory=dict)
    """Subscores."""
    affected: str = ""
    """Side that was taken as affected; "" where none is known."""


def estimate_scales(faces: Faces, *, affected: Side | Literal["auto"] = "auto") -> list[ScaleEstimate]:
    """eFACE, Sunnybrook, House-Brackmann. faces: task -> measures, all of one person. MienError for another task.

    affected "auto": the side that moves less over the tasks. Without rest and one task no side is known, and no item.
    """
    for name in faces:
        task_of(name)
    side = affected if affected != "auto" else weaker_side(faces)
    if side not in ("right", "left", ""):
        raise MienError(f"The affected side is right, left or auto; got {affected!r}.")
    pairs = Pairs(faces if side else {}, side or "right")
    return [_named(make(pairs), faces, side) for make in (_eface, _sunnybrook, _house_brackmann)]


def _named(scale: ScaleEstimate, faces: Faces, side: str) -> ScaleEstimate:
    """With the side that was taken as the affected one, and without the photos that are there in `missing`."""
    missing = tuple(task for task in scale.missing if task not in faces)
    return replace(scale, affected=side, missing=missing)


def weaker_side(faces: Faces) -> Side | Literal[""]:
    """The side with the smaller sum of movements in the tasks; "" without rest and a task."""
    pairs = Pairs(faces, "right")
    ratios = [move() for move in (pairs.brow, pairs.smile, pairs.closure_gap, pairs.pucker, pairs.snarl)]
    known = [(first, second) for first, second in filter(None, ratios)]
    if not known:
        return ""
    right, left = (sum(values) for values in zip(*known, strict=True))
    return "right" if right < left else "left"


def _needs(name: str, *tasks: str, part: str = "") -> Item:
    return Item(name, None, f"{NO_MATERIAL}: needs {' and '.join(tasks)}", part)


def _score(name: str, x: float, rule: str, part: str) -> Item:
    """eFACE's 100-point form: 100 - |100 - x|, x not below 0, the result not below 0."""
    return Item(name, float(np.clip(100 - abs(100 - max(x, 0)), 0, 100)), f"{rule}: {x:.0f}", part)


def _share(moved: tuple[float, float] | None) -> float | None:
    """Percent; None where the healthy side hardly moved."""
    return None if moved is None or moved[1] < _LEAST_MM else 100 * moved[0] / moved[1]


def _eface(pairs: Pairs) -> ScaleEstimate:
    items = [*_eface_rest(pairs), *_eface_moves(pairs), _eface_synkinesis(pairs)]
    rule = (
        "each item 100 - |100 - x| with x = affected over healthy in percent (exceptions named); parts are means of "
        "their items; the whole weighs the dynamic part twice. 9 of eFACE's 16 items; folds, platysma and the like "
        "are not in 68 points"
    )
    parts = {}
    for part in ("static", "dynamic", "synkinesis"):
        values = [item.value for item in items if item.part == part]
        if all(value is not None for value in values):
            parts[part] = float(np.mean([value for value in values if value is not None]))
    value = ""
    if len(parts) == 3:
        value = f"{(parts['static'] + 2 * parts['dynamic'] + parts['synkinesis']) / 4:.0f} of 100"
    wanted = ("rest", "brow_raise", "eyes_closed_gently", "eyes_closed_tightly", "smile", "pucker", "lower_teeth")
    return ScaleEstimate("eFACE", value, rule, EFACE_REFERENCE, tuple(items), _absent(pairs, wanted), parts)


def _eface_rest(pairs: Pairs) -> list[Item]:
    names = ("brow at rest", "palpebral fissure at rest", "commissure at rest")
    brow, lids = pairs.at("rest", "brow_height"), pairs.at("rest", "palpebral_fissure")
    depth, out = pairs.at("rest", "commissure_depth"), pairs.at("rest", "commissure_excursion")
    if brow is None or lids is None or depth is None or out is None or min(lids) <= 0:
        return [_needs(name, "rest", part="static") for name in names]
    higher = 0 < depth[0] < depth[1]
    corner, how = (depth, "depth below the pupil line") if higher else (out, "distance from the lip's middle")
    return [
        _score(names[0], 100 * brow[0] / brow[1], "brow height, affected / healthy", "static"),
        _score(names[1], 100 * lids[1] / lids[0], "palpebral fissure, healthy / affected", "static"),
        _score(names[2], 100 * corner[0] / corner[1], f"commissure, {how}, affected / healthy", "static"),
    ]


def _eface_moves(pairs: Pairs) -> list[Item]:
    teeth = pairs.at("lower_teeth", "dental_show")
    moves: list[tuple[str, float | None, str, str]] = [
        ("brow elevation", _share(pairs.brow()), "brow_raise", "rise of the brow, affected / healthy"),
        ("oral commissure with smile", _share(pairs.change("smile", "commissure_excursion")), "smile",
         "growth of the commissure excursion, affected / healthy"),
        ("lower lip, EEE", _share(teeth), "lower_teeth", "gap of the lips, affected / healthy"),
    ]  # fmt: skip
    found = []
    for name, share, task, rule in moves:
        if share is not None:
            found.append(_score(name, min(share, 200), rule, "dynamic"))
        elif task in pairs.faces and "rest" in pairs.faces:
            found.append(Item(name, None, "cannot be estimated: the healthy side hardly moved", "dynamic"))
        else:
            found.append(_needs(name, "rest", task, part="dynamic"))
    for name, task in (("gentle eye closure", "eyes_closed_gently"), ("full eye closure", "eyes_closed_tightly")):
        closed = pairs.closure(task)
        rule = "closure of the affected eye, percent of its opening at rest"
        found.append(
            _needs(name, "rest", task, part="dynamic") if closed is None else _score(name, closed[0], rule, "dynamic")
        )
    return found


def _eface_synkinesis(pairs: Pairs) -> Item:
    ratios = []
    for task in ("smile", "pucker"):
        lids = pairs.at(task, "palpebral_fissure")
        if lids is not None and lids[1] > 0:
            ratios.append(100 * lids[0] / lids[1])
    if len(ratios) < 2:
        return _needs("ocular synkinesis", "smile", "pucker", part="synkinesis")
    rule = "palpebral fissure, affected / healthy, the smaller of smile and pucker"
    return _score("ocular synkinesis", min(*ratios, 100), rule, "synkinesis")


def _sunnybrook(pairs: Pairs) -> ScaleEstimate:
    items = [*_sunnybrook_moves(pairs), *_sunnybrook_rest(pairs), *_sunnybrook_synkinesis(pairs)]
    rule = (
        "composite = 4 x voluntary - 5 x rest - synkinesis. Our steps: a movement of 10, 40, 70, 90 percent of the "
        "healthy side's begins 2, 3, 4, 5; the fold of the cheek (0 to 2) is not in 68 points, hence a range"
    )
    wanted = ("rest", "brow_raise", "eyes_closed_gently", "smile", "snarl", "pucker")
    missing = _absent(pairs, wanted)
    known = [item for item in items if item.name != "cheek"]
    if any(item.value is None for item in known):
        return ScaleEstimate("Sunnybrook", "", rule, SUNNYBROOK_REFERENCE, tuple(items), missing)
    sums = {
        part: sum(item.value or 0 for item in known if item.part == part)
        for part in ("voluntary", "rest", "synkinesis")
    }
    high = 4 * sums["voluntary"] - 5 * sums["rest"] - sums["synkinesis"]
    value = f"{max(high - 10, 0):.0f} to {max(high, 0):.0f} of 100"
    return ScaleEstimate("Sunnybrook", value, rule, SUNNYBROOK_REFERENCE, tuple(items), missing, sums)


def _sunnybrook_moves(pairs: Pairs) -> list[Item]:
    closed = pairs.closure("eyes_closed_gently")
    closing = None if closed is None or closed[1] < 20 else 100 * closed[0] / closed[1]
    shares = {
        "brow lift": ("brow_raise", _share(pairs.brow())),
        "gentle eye closure": ("eyes_closed_gently", closing),
        "open-mouth smile": ("smile", _share(pairs.smile())),
        "snarl": ("snarl", _share(pairs.snarl())),
        "lip pucker": ("pucker", _share(pairs.pucker())),
    }
    found = []
    for name, (task, share) in shares.items():
        if share is not None:
            step = 1 + int(np.searchsorted([10, 40, 70, 90], share, side="right"))
            found.append(Item(name, step, f"affected / healthy movement: {share:.0f} %", "voluntary"))
        elif task in pairs.faces and "rest" in pairs.faces:
            found.append(Item(name, None, "cannot be estimated: the healthy side hardly moved", "voluntary"))
        else:
            found.append(_needs(name, "rest", task, part="voluntary"))
    return found


def _sunnybrook_rest(pairs: Pairs) -> list[Item]:
    lids, corners = pairs.at("rest", "palpebral_fissure"), pairs.at("rest", "commissure_depth")
    cheek = Item("cheek", None, "cannot be estimated: the nasolabial fold is not among the points; 0 to 2", "rest")
    if lids is None or corners is None or min(lids) <= 0:
        return [_needs("eye", "rest", part="rest"), cheek, _needs("mouth", "rest", part="rest")]
    apart, fall = 100 * abs(lids[0] / lids[1] - 1), abs(corners[0] - corners[1])
    return [
        Item("eye", float(apart > 15), f"1 where the fissures differ by more than 15 %: {apart:.0f} %", "rest"),
        cheek,
        Item(
            "mouth", float(fall > 2), f"1 where the corners differ in height by more than 2 mm: {fall:.1f} mm", "rest"
        ),
    ]


def _sunnybrook_synkinesis(pairs: Pairs) -> list[Item]:
    found = []
    for task in ("brow_raise", "eyes_closed_gently"):
        ways = pairs.corner(task)
        if ways is None:
            found.append(_needs(TASKS[task].name, "rest", task, part="synkinesis"))
        else:
            more = round(ways[0] - ways[1], 1) + 0.0  # no -0
            found.append(_synkinesis(task, more, [1.5, 3, 5], f"corner of the mouth moves {more:.1f} mm more"))
    for task in ("smile", "snarl", "pucker"):
        shut = pairs.narrowing(task)
        if shut is None:
            found.append(_needs(TASKS[task].name, "rest", task, part="synkinesis"))
        else:
            more = round(shut[0] - shut[1]) + 0.0
            found.append(_synkinesis(task, more, [10, 25, 50], f"eye narrows {more:.0f} % more"))
    return found


def _synkinesis(task: str, more: float, steps: list[float], observation: str) -> Item:
    text = f"{observation} than on the other side; {steps[0]:g}, {steps[1]:g}, {steps[2]:g} begin 1, 2, 3"
    return Item(task, float(np.searchsorted(steps, more, side="right")), text, "synkinesis")


def _house_brackmann(pairs: Pairs) -> ScaleEstimate:
    rule = (
        "mean of two shares, affected over healthy: rise of the brow, way of the corner of the mouth in a smile; "
        "each at most 100 %. From 95 % I, 75 II, 50 III, 25 IV, 5 V, below VI. Only an ordinal hint: the grade also "
        "weighs rest, eye closure and synkinesis"
    )
    shares = {"brow": _share(pairs.brow()), "mouth": _share(pairs.smile())}
    items = [
        Item(name, share, "percent of the healthy side's movement") if share is not None else _needs(name, "rest", task)
        for (name, share), task in zip(shares.items(), ("brow_raise", "smile"), strict=True)
    ]
    missing = _absent(pairs, ("rest", "brow_raise", "smile"))
    known = [float(np.clip(share, 0, 100)) for share in shares.values() if share is not None]
    if len(known) < 2:
        return ScaleEstimate("House-Brackmann", "", rule, HOUSE_REFERENCE, tuple(items), missing)
    mean = float(np.mean(known))
    grade = next(name for name, least in _GRADES if mean >= least)
    parts = {"percent": mean}
    return ScaleEstimate("House-Brackmann", f"like {grade}", rule, HOUSE_REFERENCE, tuple(items), missing, parts)


def _absent(pairs: Pairs, wanted: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(task for task in wanted if task not in pairs.faces)
