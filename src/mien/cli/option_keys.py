"""Dotted option keys, such as `data.root`: which is nearest to a key that does not exist."""

import difflib
from collections.abc import Iterable

# What other programs call an option -> what it may be called here, the likeliest first.
OTHER_NAMES = {
    "o": ("output",), "out": ("output",), "out_dir": ("output",), "output_dir": ("output",), "outdir": ("output",),
    "save": ("output",), "dest": ("output",), "result": ("output",), "results": ("output",),
    "model": ("bundle", "init"), "models": ("bundle", "init"), "m": ("bundle",), "weights": ("bundle", "init"),
    "checkpoint": ("bundle", "init"), "ckpt": ("bundle", "init"), "pretrained": ("init", "bundle"),
    "force": ("overwrite",), "f": ("overwrite",), "y": ("overwrite",), "yes": ("overwrite",), "replace": ("overwrite",),
    "device": ("trainer.device",), "gpu": ("trainer.device",), "gpus": ("trainer.devices",),
    "batch_size": ("data.batch_size",), "batch": ("data.batch_size",), "bs": ("data.batch_size",),
    "b": ("data.batch_size",), "jobs": ("workers", "threads"), "j": ("workers", "threads"), "cpus": ("threads",),
    "num_workers": ("workers", "data.workers", "threads"), "workers": ("threads",), "w": ("workers", "threads"),
    "num_threads": ("threads",), "max": ("limit",), "n": ("limit",), "skip": ("every",), "stride": ("every",),
    "step": ("every",), "fps": ("every",), "dataset": ("data.name",), "data": ("data.root", "root"), "d": ("root",),
    "data_dir": ("data.root", "root"), "data_path": ("data.root", "root"), "path": ("root", "data.root"),
    "lr": ("optim.lr",), "learning_rate": ("optim.lr",), "epochs": ("trainer.epochs",), "e": ("trainer.epochs",),
    "seed": ("trainer.seed",), "fp16": ("precision", "trainer.precision"), "half": ("precision", "trainer.precision"),
    "no_draw": ("no-overlay",), "draw": ("overlay",), "vis": ("overlay",), "visualize": ("overlay",),
    "pts": ("points",), "face_id": ("face",), "side": ("affected",), "continue": ("resume",), "r": ("resume",),
}  # fmt: skip
# Options that many programs have and some commands cannot have: why not, by an option that such a command has.
REASONS = {
    ("device", "backend"): "Faces are read on the CPU, on every core; --threads and --backend choose how.",
    ("gpu", "backend"): "Faces are read on the CPU, on every core; --threads and --backend choose how.",
    ("gpus", "backend"): "Faces are read on the CPU, on every core; --threads and --backend choose how.",
    ("cuda", "backend"): "Faces are read on the CPU, on every core; --threads and --backend choose how.",
    ("batch_size", "threads"): "Faces are read in batches by themselves, with the same numbers; see --threads.",
    ("batch", "threads"): "Faces are read in batches by themselves, with the same numbers; see --threads.",
    ("device", "threads"): "Faces are read on the CPU, on every core; --threads says on how many.",
    ("gpu", "threads"): "Faces are read on the CPU, on every core; --threads says on how many.",
}


def unknown_option(key: str, known: Iterable[str], *, owner: str = "") -> str:
    """The message for an option that does not exist, with the nearest one that does.

    owner: the command, such as `mien evaluate`, where one is known. known: dotted keys of options.
    """
    known = list(known)
    begun = f"{owner} has no option" if owner else "No option"
    wrong, section, names = _first_unknown_part(key, known)
    return f"{begun} --{section}{wrong}.{_way_out(key, wrong, section, names, known)}"


def _first_unknown_part(key: str, known: list[str]) -> tuple[str, str, list[str]]:
    """The first part of the key that no option has there, the section that it stands in (`data.`), and its options."""
    section = ""
    for part in key.split("."):
        names = list(dict.fromkeys(k.removeprefix(section).split(".")[0] for k in known if k.startswith(section)))
        if part not in names:
            return part, section, names
        section += f"{part}."
    return key.rpartition(".")[2], section.removesuffix(f"{key.rpartition('.')[2]}."), names


def _way_out(key: str, wrong: str, section: str, names: list[str], known: list[str]) -> str:
    """What other programs call so, else why there is none; the nearest name in the section, else elsewhere."""
    spelled = {other.replace("-", "_"): other for other in known}
    plain = key.replace("-", "_")
    if plain not in spelled and (there := [name for name in OTHER_NAMES.get(plain, ()) if name in spelled]):
        return f" Did you mean '--{spelled[there[0]]}'?"
    if why := next((text for (name, has), text in REASONS.items() if name == plain and has in spelled), ""):
        return f" {why}"
    if close := difflib.get_close_matches(wrong, names, n=1, cutoff=0.5):
        return f" Did you mean '--{section}{close[0]}'?"
    same = [other for other in known if other.rpartition(".")[2] == key.rpartition(".")[2]]
    if close := same or ([] if section and names else difflib.get_close_matches(key, known, n=1, cutoff=0.4)):
        return f" Did you mean '--{close[0]}'?"
    return f" Known: {', '.join(f'--{section}{name}' for name in names)}." if names else " It has none."
