"""Do the ranges hold, are healthy faces not clear, are palsies found? On people who were kept out of the fit.

    python benchmarks/asymmetry/readings.py people --readings READINGS --count 1200 --seed 4107
    python benchmarks/asymmetry/check.py READINGS

tests the fit that ships, as it is, on synthetic people of a seed that it never saw (`fit.py` tests its own in folds).
"""

import argparse
from pathlib import Path
from typing import Any

import fit as fitting
import numpy as np
from table import Table, load_table

from mien.media.files import read_info
from mien.runtime.asymmetry.measures import BY_NAME, DEFINITIONS
from mien.runtime.asymmetry.significance.errors import ERRORS_FILE, load_errors
from mien.runtime.asymmetry.significance.headline import MEASURES
from mien.runtime.landmarks import shipped_landmarks

REGIONS = ("brow", "eye", "mouth")
SHOWN_BY = {"brow": ("brow_raise",), "eye": ("eyes_closed_gently", "eyes_closed_tightly"),
            "mouth": ("smile", "snarl", "lower_teeth", "pucker")}  # fmt: skip


def report(people: Table, neutral: Table, smile: Table, repeats: Table | None, *, title: str) -> dict[str, Any]:
    """Prints, and returns what goes into the file."""
    kept_out = tested(people, neutral, smile)
    inside = {name: np.abs(v["error"]) <= v["half_90"] for name, v in kept_out.items()}
    coverage = {name: float(values.mean()) for name, values in inside.items()}
    overall = float(np.mean(list(coverage.values())))
    healthy = healthy_clear(people, neutral, smile)
    _print_measures(title, people, kept_out, coverage, healthy["measures"])
    shares = {name: f"{100 * healthy[name]:.1f} %" for name in ("overall", "smiling", "any", "faces")}
    print(
        f"all measures: {100 * overall:.1f} % of true differences in their 90 % range; healthy neutral portraits kept "
        f"out: {shares['overall']} of measures clear (smiling ones {shares['smiling']}), one or more in "
        f"{shares['any']} of faces, headline certain in {shares['faces']}"
    )
    _print_conditions(people, inside)
    power = found_palsies(people, kept_out, face_limit(people, neutral, smile))
    if repeats is not None:
        _print_repeats(people, neutral, smile, repeats)
    return {
        "people": len(np.unique(people.facts["person"])), "pictures": len(people), "portraits": len(neutral),
        "coverage_90": overall, "coverage_90_by_measure": coverage, "healthy_clear": healthy["overall"],
        "palsies_clear": power,
    }  # fmt: skip


def tested(people: Table, neutral: Table, smile: Table) -> dict[str, dict[str, np.ndarray]]:
    """Of each measure, by fits without that person: error, half_90, half_95, limit, corrected; each [n]."""
    empty = {
        key: np.full(len(people), np.nan) for key in ("error", "half_90", "half_95", "limit", "corrected", "excess")
    }
    found = {d.name: {key: values.copy() for key, values in empty.items()} for d in DEFINITIONS}
    for rows in fitting.folds(people):
        others = people.at(np.setdiff1d(np.arange(len(people)), rows))
        about = fitting.standardisation(others.conditions)
        fit = fitting.with_health(fitting.fit_measures(others, about), about, neutral, smile)
        part = people.at(rows)
        for name, fitted in fit.items():
            corrected, half_90, half_95 = fitting.halves(fitted, part, name, about)
            own = found[name]
            own["error"][rows] = part.true[name][:, 0] - corrected
            own["half_90"][rows], own["half_95"][rows], own["corrected"][rows] = half_90, half_95, corrected
            moved = part.facts["task"] != "rest"
            own["limit"][rows] = fitting.limits(fitted, part, name, about, moved=moved)
            own["excess"][rows] = fitting.excess(fitted, part, name, about, moved=moved)
    return found


def healthy_clear(people: Table, neutral: Table, smile: Table) -> dict[str, Any]:
    """Share of clear measures on portraits whose people did not set the limits: in folds by person."""
    about = fitting.standardisation(people.conditions)
    plain = fitting.fit_measures(people, about)
    ratios: dict[str, list[np.ndarray]] = {"rest": [], "moved": []}
    faces: list[np.ndarray] = []
    for fold in range(fitting.FOLDS):
        own = [np.arange(len(table)) % fitting.FOLDS == fold for table in (neutral, smile)]
        mine = [table.at(np.flatnonzero(rows)) for table, rows in zip((neutral, smile), own, strict=True)]
        other = [table.at(np.flatnonzero(~rows)) for table, rows in zip((neutral, smile), own, strict=True)]
        fit = fitting.with_health(plain, about, *other)
        for table, shown in zip(mine, ratios, strict=True):
            part = [fitting.excess(f, table, name, about, moved=shown == "moved") for name, f in fit.items()]
            ratios[shown].append(np.stack(part))
        limit = fitting.face_limit(fit, other[0], about)
        faces.append(fitting.largest_ratio(fit, mine[0], about, moved=False) > limit)
    rest, moved = (np.concatenate(parts, axis=1) > 1 for parts in ratios.values())
    return {"measures": dict(zip(plain, rest.mean(1).tolist(), strict=True)), "overall": float(rest.mean()),
            "smiling": float(moved.mean()), "any": float(rest.any(0).mean()),
            "faces": float(np.concatenate(faces).mean())}  # fmt: skip


def face_limit(people: Table, neutral: Table, smile: Table) -> float:
    about = fitting.standardisation(people.conditions)
    fit = fitting.with_health(fitting.fit_measures(people, about), about, neutral, smile)
    return fitting.face_limit(fit, neutral, about)


def found_palsies(people: Table, kept_out: dict[str, dict[str, np.ndarray]], strict: float) -> dict[str, float]:
    """Share of faces in which a measure of the region is clear, by severity of the region and by what is shown.
    "headline": one that a headline names; "certain headline": its excess is above `strict`, which 5 % of healthy faces
    exceed."""
    shares: dict[str, float] = {}
    kind, task = people.facts["kind"], people.facts["task"]
    print("| palsy | region | shown by its task | at rest |\n| --- | --- | --- | --- |")
    for name, chosen in (
        ("complete", kind == "complete"), ("half", kind == "half"), ("none", kind == "none"),
    ):  # fmt: skip
        for region in (*REGIONS, "any", "headline", "certain headline"):
            own = [d.name for d in DEFINITIONS if region in (d.region, "any")] or list(MEASURES)
            excess = np.stack([kept_out[n]["excess"] for n in own])
            clear = excess.max(0) > (strict if region == "certain headline" else 1)
            tasks = SHOWN_BY.get(region, tuple(t for group in SHOWN_BY.values() for t in group))
            cells = []
            for where in (np.isin(task, tasks), task == "rest"):
                some = clear[chosen & where]
                cells.append(f"{100 * some.mean():.0f} % of {len(some)}")
            shares[f"{name}/{region}"] = float(clear[chosen & np.isin(task, tasks)].mean())
            print(f"| {name} | {region} | {cells[0]} | {cells[1]} |")
    return shares


def _print_measures(
    title: str, people: Table, kept_out: dict[str, Any], coverage: dict[str, float], healthy: dict[str, float]
) -> None:
    print(f"\n{title}: {len(people)} pictures of {len(np.unique(people.facts['person']))} synthetic people")
    print("| measure | unit | true SD | r | corrected RMSE | median 90 % half width | in the range | limit at rest | "
          "portraits clear |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- |")  # fmt: skip
    for name, own in kept_out.items():
        true, rest = people.true[name][:, 0], people.facts["task"] == "rest"
        r = np.corrcoef(true, own["corrected"])[0, 1]
        rmse, half, limit = (
            np.sqrt(np.mean(own["error"] ** 2)),
            np.median(own["half_90"]),
            np.median(own["limit"][rest]),
        )
        print(f"| `{name}` | {BY_NAME[name].unit} | {true.std():.2f} | {r:.2f} | {rmse:.2f} | {half:.2f} | "
              f"{100 * coverage[name]:.1f} % | {limit:.2f} | {100 * healthy[name]:.1f} % |")  # fmt: skip


def _print_conditions(people: Table, inside: dict[str, np.ndarray]) -> None:
    held = np.stack(list(inside.values())).mean(0)
    size, sharp, yaw = np.exp(people.conditions[:, 0]), np.exp(people.conditions[:, 1]), people.conditions[:, 2]
    for name, chosen in {
        "size below 80 px": size < 80, "size above 120 px": size > 120, "sharpness below 0.02": sharp < 0.02,
        "sharp": sharp > 0.1, "turn above 10 deg": yaw > 10, "turn below 5 deg": yaw < 5,
        **{kind: people.facts["kind"] == kind for kind in ("none", "any", "half", "complete")},
        **{task or "an expression": people.facts["task"] == task for task in np.unique(people.facts["task"])},
    }.items():  # fmt: skip
        print(f"  {name}: {100 * held[chosen].mean():.1f} % in the range, {chosen.sum()} pictures")


def _print_repeats(people: Table, neutral: Table, smile: Table, repeats: Table) -> None:
    """Half of the pairs sets the factor, the other half is tested."""
    about = fitting.standardisation(people.conditions)
    plain = fitting.with_health(fitting.fit_measures(people, about), about, neutral, smile)
    first, second = fitting.paired_rows(repeats)
    held, factors = [], []
    for half in (0, 1):
        mine = np.arange(len(first)) % 2 == half
        others = repeats.at(np.sort(np.concatenate([first[~mine], second[~mine]])))
        fit = fitting.with_repeats(plain, about, others)
        for name, fitted in fit.items():
            corrected, half_90, _ = fitting.halves(fitted, repeats, name, about)
            change = (corrected[second] - corrected[first])[mine]
            true = (repeats.true[name][second, 0] - repeats.true[name][first, 0])[mine]
            width = fitted.repeat * np.hypot(half_90[first], half_90[second])[mine]
            held.append(np.abs(change - true) <= width)
            factors.append(fitted.repeat)
    share = f"{100 * np.concatenate(held).mean():.1f} %"
    print(
        f"repeats: {len(first)} pairs; the true change lies in its 90 % range in {share} of measures; error of a "
        f"change over independent errors {np.mean(factors):.2f} on average"
    )


def shipped(people: Table, *, mirrored: bool) -> None:
    """Prints the coverage of the shipped ranges, and which palsies the shipped limits find."""
    folder = shipped_landmarks()
    assert folder is not None
    model = load_errors(folder / ERRORS_FILE, mirrored=mirrored, files=read_info(folder).files)
    assert model is not None
    moved = people.facts["task"] != "rest"
    coverage, found = {}, {}
    for name, fitted in model.measures.items():
        corrected, half_90, _ = fitting.halves(fitted, people, name, model.conditions)
        coverage[name] = float((np.abs(corrected - people.true[name][:, 0]) <= half_90).mean())
        found[name] = {"excess": fitting.excess(fitted, people, name, model.conditions, moved=moved)}
    low, high = min(coverage, key=coverage.__getitem__), max(coverage, key=coverage.__getitem__)
    print(
        f"\n{'mirrored' if mirrored else 'single'}: {100 * np.mean(list(coverage.values())):.1f} % of the true "
        f"differences of {len(people)} pictures in their 90 % range; from {100 * coverage[low]:.1f} ({low}) to "
        f"{100 * coverage[high]:.1f} % ({high})"
    )
    found_palsies(people, found, model.face_limit)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("readings", type=Path)
    options = parser.parse_args()
    for mirrored in (True, False):
        shipped(load_table(options.readings, "people", mirrored=mirrored), mirrored=mirrored)


if __name__ == "__main__":
    main()
