"""`mien weights`: released weight files, their conversion to bundles, and whether a bundle is unchanged.

Each system describes and converts its own files (`systems/NAME/official.py`); nothing here knows a system by name.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from mien.cli.parameters import NO_VALUE, OptionsFrom, Parameter, argument_texts, section
from mien.cli.text import columns
from mien.core.errors import MienError
from mien.core.licence import Licence
from mien.core.spec import primary
from mien.core.typed import named
from mien.systems.official import (
    check_files,
    check_options,
    convert_options,
    official_module,
    official_modules,
    option_names,
)

if TYPE_CHECKING:
    from mien.systems.system import System

STATED = ("epoch", "best_acc")  # numbers that a checkpoint may hold beside its weights, kept in the provenance


def list_weights(*bundles: str) -> str:
    """The licence ledger: bundles that ship, fetched files, registered 3D faces; then the files that can be converted.

    Of each bundle: what it may be used for, the licence of its weights and of the data behind them, its SHA-256 and its
    validation scores. `--policy commercial`, in every command, opens only bundles that may be used commercially.

    Args:
        bundles: further bundles to list, by folder.
    """
    from mien.engine.bundles.ledger import ledger

    released = "\n\n".join(map("\n".join, _listed()))
    return "\n\n".join(
        [
            *ledger(bundles),
            "Released weight files that can be converted (mien contains none of them):",
            released,
            "Convert: mien weights convert FILE ... --system NAME --output DIR",
        ]
    )


def _listed() -> Iterator[list[str]]:
    for name, module in official_modules().items():
        rows = columns([(file.name, file.description, file.result) for file in module.FILES])
        options = ", ".join(f"--{option.replace('_', '-')}" for option in option_names(module))
        yield [f"{name}{f' (options: {options})' if options else ''}", *(f"  {row}" for row in rows.splitlines())]


def convert_parameters(inputs: Sequence[str], options: Mapping[str, str], *, detailed: bool = False) -> list[Parameter]:
    """The options of `mien weights convert` for that --system; with neither inputs nor options those of all systems."""
    texts = argument_texts(convert)
    common = [Parameter("output", str, NO_VALUE, texts["output"]), Parameter("system", str, "", texts["system"])]
    modules = official_modules()
    if inputs or options:
        name = options.get("system") or _default_system()
        modules = {name: official_module(name)}
        check_options(name, {key: value for key, value in options.items() if key not in ("output", "system")})
    for name, module in modules.items():
        common += section(module.ConvertOptions, "", group=f"--system {name}")
    return common


def convert(
    *files: str,
    output: str = "",
    system: str = "",
    **options: Annotated[Any, OptionsFrom("mien.engine.bundles.weights:convert_parameters")],
) -> str:
    """Convert released weight files to one bundle. Every name must match; nothing in a file is executed.

    A trained network becomes a bundle for evaluation, export and inference. Backbones become a bundle to start training
    from: mien fit ... --init DIR. Each system has its own options.

    Args:
        files: released files: .pth, .pth.tar, .pt, .mdl or .safetensors.
        output: folder of the bundle.
        system: system of the released files; by default the first that `mien weights list` shows.
    """
    if not files:
        raise MienError("mien weights convert needs FILES: the released files. See mien weights convert --help.")
    if not output:
        raise MienError("mien weights convert needs --output OUTPUT: folder of the bundle.")
    from mien.nn.weights import read_checkpoint, require_finite
    from mien.systems.bundle import save_bundle

    name = system or _default_system()
    own_options = convert_options(name, options)
    contents = {Path(file): read_checkpoint(file) for file in files}
    check_files(name, contents)
    with named(files[0]) if len(files) == 1 else nullcontext():
        network, report = official_module(name).convert(contents, own_options)
    require_finite(network, " and ".join(files))
    provenance = _provenance(contents, report)
    info = save_bundle(output, network, provenance=provenance, card=_card(network, provenance))
    return "\n".join([*report, f"bundle {output}  {info.model_id}, {_outputs_text(network)}"])


def _default_system() -> str:
    return next(iter(official_modules()))


def verify(bundle: str) -> str:
    """Compare the files of a bundle with the SHA-256 that its system.json states.

    Args:
        bundle: folder of the bundle or of a training run, or the name of a model that ships with mien.
    """
    from mien.media.bundles import bundle_folder
    from mien.media.files import INFO_FILE, read_info, sha256_of

    folder = bundle_folder(bundle)
    info = read_info(folder)
    if not info.files:
        raise MienError(f"{folder / INFO_FILE} states no SHA-256, so nothing can be verified.")
    for name, stated in info.files.items():
        if not (folder / name).is_file():
            raise MienError(f"{folder}: {name} is missing.")
        if (found := sha256_of(folder / name)) != stated:
            raise MienError(
                f"{folder / name} was changed: SHA-256 {found[:12]}..., system.json states {stated[:12]}..."
            )
    return columns([(name, stated, "ok") for name, stated in info.files.items()])


def state_licence(
    bundle: str, *, use: Literal["commercial", "research"], text: str, data: list[str] | None = None
) -> str:
    """State in a bundle's system.json what it may be used for; the bundles that ship are left as they are.

    Args:
        bundle: folder of the bundle or of a training run.
        use: commercial, or research: not for commercial use.
        text: licence of the weights, in a few words.
        data: NAME=TERMS of each data set that it was trained on; repeat it for several.
    """
    from mien.media.bundles import bundle_folder, shipped_folder
    from mien.media.files import INFO_FILE, read_info, write_text

    folder = bundle_folder(bundle)
    if folder.parent == shipped_folder():
        raise MienError(f"{folder.name} ships with mien and states its licence already: mien weights list.")
    terms = dict(each.partition("=")[::2] for each in data or [])
    if not text.strip() or not all(name and value for name, value in terms.items()):
        raise MienError("--text must not be empty, and --data is NAME=TERMS, such as --data 'FERG=research only'.")
    licence = Licence(use, text, terms)
    write_text(folder / INFO_FILE, replace(read_info(folder), licence=licence).to_json())
    return f"{folder}: {use}; {licence.summary}"


def _provenance(contents: Mapping[Path, Mapping[str, Any]], report: Sequence[str]) -> dict[str, Any]:
    """Plain values: the report, the SHA-256 of each file, and the numbers that the files state."""
    from mien.media.files import sha256_of

    stated = {key: _number(content[key]) for content in contents.values() for key in STATED if key in content}
    return {
        "stage": "converted from released files",
        "report": list(report),
        "files": {name: sha256_of(path) for name, path in _unique_names(contents).items()},
        **{key: value for key, value in stated.items() if value is not None},
    }


def _unique_names(paths: Iterable[Path]) -> dict[str, Path]:
    """{file name: path}, without folders, which are nobody else's business; a name that comes again is numbered."""
    named: dict[str, Path] = {}
    for path in paths:
        name, count = path.name, 1
        while name in named:
            count += 1
            name = f"{path.name} ({count})"
        named[name] = path
    return named


def _number(value: Any) -> float | None:
    """A finite number, out of a tensor too; None for anything else that a file may hold there."""
    if getattr(value, "shape", None) == ():
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return value


def _outputs_text(network: "System") -> str:
    named = primary(network.outputs).items()
    return "outputs " + "; ".join(
        f"{name} ({', '.join(o.names) if o.kind == 'classes' else o.kind})" for name, o in named
    )


def _card(network: "System", provenance: Mapping[str, Any]) -> str:
    """Markdown: outputs, source files with their hashes, and how their names matched."""
    files = "".join(f"| {name} | `{digest}` |\n" for name, digest in provenance["files"].items())
    report = "".join(f"- {line}\n" for line in provenance["report"])
    stated = "".join(f"- {key} {provenance[key]}, as the file states\n" for key in STATED if key in provenance)
    return f"""# {network.name}, converted from released files

{_outputs_text(network)}

| file | SHA-256 |
| --- | --- |
{files}
{report}{stated}
Terms: these weights carry the terms of the released files and of the data that they were trained on. mien has measured
nothing on them: `mien evaluate` does.
"""
