"""What a checkpoint holds, and how one of an earlier version is read."""

from collections.abc import Mapping
from typing import Any

# What `Stage.snapshot` gives, the history of the run, and the hashes of its faces.
KEYS = ("system", "ema", "companions", "frozen", "optimizers", "position", "losses", "history", "faces")


def upgraded(state: Mapping[str, Any]) -> dict[str, Any]:
    """The checkpoint with today's keys. Raises KeyError for a file that is no checkpoint of any version."""
    if "diary" in state:
        state = _from_first_version(state)
    return {key: state[key] for key in KEYS}


def _from_first_version(state: Mapping[str, Any]) -> dict[str, Any]:
    """It had one optimiser or a list of them, sums of losses over all batches, and one temperature."""
    optimizers = state["optimizer"] if isinstance(state["optimizer"], list) else [state["optimizer"]]
    counts = dict.fromkeys(state["sums"], state["position"]["batch"])
    history = {key: value for key, value in state["diary"].items() if key != "temperature"}
    temperature = state["diary"].get("temperature", 1.0)
    return {
        **{key: state[key] for key in ("system", "ema", "position", "faces")},
        "companions": {},
        "frozen": {},
        "optimizers": [_with_lr_scale(optimizer) for optimizer in optimizers],
        "losses": {"sums": state["sums"], "counts": counts, "latest": {}},
        "history": history | {"temperatures": {} if temperature == 1 else {"expression": temperature}},
    }


def _with_lr_scale(optimizer: Mapping[str, Any]) -> dict[str, Any]:
    """`lr_scale` of a parameter group was called `share`."""
    groups = [
        {name: value for name, value in group.items() if name != "share"} | {"lr_scale": group.get("share", 1.0)}
        for group in optimizer["param_groups"]
    ]
    return {**optimizer, "param_groups": groups}
