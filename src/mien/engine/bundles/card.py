"""The card of a bundle: its README.md, from what its provenance says."""

from collections.abc import Mapping
from typing import Any

from mien.core.spec import Output, described_inputs, primary
from mien.systems.system import System


def bundle_card(system: System, provenance: dict[str, Any]) -> str:
    """Markdown: what it is, how it was made, what it scored where, and what nobody has measured."""
    rows = "".join(f"| {name.removeprefix('val/')} | {value:.4f} |\n" for name, value in provenance["scores"].items())
    train, val = provenance["train"], provenance["val"]
    outputs = "; ".join(_described(*each) for each in primary(system.outputs).items())
    leaks = describe_leaks(provenance.get("leaks", {}))
    return f"""# {system.name}, trained on {provenance["data"]}

{system.name} ({provenance["stage"]}).
Inputs: {described_inputs(system.inputs)}.
Outputs: {outputs}.

- Trained on {train["faces"]} faces (split {train["split"]}, hash {train["hash"]}), seed {provenance["seed"]}.
- Chosen: {provenance["selection"]}, {_epochs(provenance)}.
- Faces on two sides: {leaks}.
- Started from: {provenance["init"]}. Published behaviour (legacy): {"yes" if provenance["legacy"] else "no"}.

| on {val["faces"]} validation faces (hash {val["hash"]}) | value |
| --- | --- |
{rows}
{_flattery(provenance)} `mien evaluate` measures it on a test split.

Terms: these weights carry the terms of the data they were trained on. An expression shown is not a feeling had. The
scores hold for faces like those of the data set, and were not measured by age, skin or sex.
"""


def _flattery(provenance: Mapping[str, Any]) -> str:
    """What the validation faces were used for beside these scores."""
    if provenance["selection"].endswith("last epoch"):
        return "No epoch was chosen on these faces; temperatures and prediction sets are fitted on them."
    whose = "Each run's" if "soup" in provenance else "The"
    return f"{whose} epoch was chosen on these same faces, so the values flatter it."


def _epochs(provenance: Mapping[str, Any]) -> str:
    if (soup := provenance.get("soup")) is None:
        return f"epoch {provenance['epoch']}"
    each = (f"seed {seed} epoch {epoch}" for seed, epoch in zip(soup["seeds"], soup["epochs"], strict=True))
    return ", ".join(each)


def _described(name: str, output: Output) -> str:
    if output.kind == "points":
        return f"{name}, {len(output.names)} points"
    return f"{name} ({', '.join(output.names)})" if output.names else name


def describe_leaks(leaks: Mapping[str, Any]) -> str:
    """What `data.leaks` did and found, in words: `none found`, or `report: train and valid, near-duplicate 159`."""
    policy = leaks.get("policy", "")
    found = [f"{sides}, " + ", ".join(f"{kind} {n:,}" for kind, n in counts.items())
             for sides, counts in leaks.items() if sides != "policy"]  # fmt: skip
    if policy in ("", "ignore"):
        return "nobody looked"
    done = {"drop": "left out of the earlier split: ", "report": "left in: "}.get(policy, "")
    return done + "; ".join(found) if found else "none found"
