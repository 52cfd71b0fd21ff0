"""The command line: `mien COMMAND ...`. Printing the list of commands imports no parser and nothing heavy.

A command is a plain function; its parser is made from its signature and docstring (cli/grammar.py) when it is asked
for. What a user can mend ends as one line and exit code 2; `MIEN_DEBUG=1` shows where it came from.
"""

import io
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from mien import __version__
from mien.core.errors import MienError, nearest

COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("mien.engine.demo.tour:demo", "two-minute tour: draws faces, trains on them, reads pictures"),
    "fit": ("mien.engine.training.fit:fit_command", "train one stage of a system"),
    "evaluate": ("mien.engine.evaluation.evaluate:evaluate", "measure a bundle on a labelled split, with a report"),
    "compare": ("mien.engine.evaluation.compare:compare", "compare two evaluations of the same faces"),
    "analyze": ("mien.engine.reading.analyze:analyze", "read the faces in photos, folders and videos"),
    "asymmetry": ("mien.engine.reading.asymmetry:asymmetry", "measure left against right in photos and videos"),
    "landmarks": ("mien.engine.reading.landmarks:landmarks", "the 68 points of faces in photos: drawn, .pts, 3D"),
    "reconstruct": ("mien.engine.reading.reconstruct:reconstruct", "faces beside what an autoencoder makes of them"),
    "export": ("mien.engine.bundles.export:export", "write a bundle's network as ONNX, checked against the original"),
    "data list": ("mien.engine.datasets.list:list_data", "data sets that can be read, their layouts and classes"),
    "data check": ("mien.engine.datasets.check:check", "is a data set whole? counts, broken and doubled pictures"),
    "data stats": ("mien.engine.datasets.stats:stats", "what a data set is like: sizes, light, balance, people"),
    "data prepare": ("mien.engine.datasets.prepare:prepare", "find, align and cut out every face once, to train on"),
    "data synth": ("mien.engine.datasets.synth:synth", "make synthetic people, or a replica of a data set"),
    "data split": ("mien.engine.datasets.split:split", "divide a data set: no person, clip or photograph twice"),
    "data leaks": ("mien.engine.datasets.leaks:leaks", "find faces that stand in two splits, sets or bundles"),
    "models": ("mien.engine.bundles.models:models", "systems that can be built, bundles that ship"),
    "weights list": ("mien.engine.bundles.weights:list_weights", "released weight files that can be read"),
    "weights convert": ("mien.engine.bundles.weights:convert", "released weight files to a bundle"),
    "weights verify": ("mien.engine.bundles.weights:verify", "check a bundle's files against their SHA-256"),
}
# fit takes every key of its configs as an option, so it reads its words itself: a module with `help_text`.
OWN_WORDS = {"fit": "mien.engine.training.config"}
EXTRAS = {
    "train": ("torch", "torchvision", "timm", "lightning", "torchmetrics", "safetensors", "scipy", "skimage",
              "tensorboard", "matplotlib", "pandas", "pyarrow", "onnx", "onnxscript"),
    "video": ("av",),
    "audio": ("soundfile", "soxr"),
    "fast": ("openvino",),
}  # fmt: skip
MISTAKE, INTERRUPTED, PIPE_CLOSED = 2, 130, 141


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code: 0, 2 for a mistake that the user can mend, 130 when interrupted.

    128 + N when a command ends by signal N.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):  # a file name that is not UTF-8 is printed as \udcff
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        text = run(list(sys.argv[1:] if arguments is None else arguments))
        if text:
            print(text)
        sys.stdout.flush()
        return 0
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python complains while it closes it
        return PIPE_CLOSED
    except KeyboardInterrupt as error:
        return _say("stopped.", getattr(error, "exit_code", INTERRUPTED))  # 143 for SIGTERM: mien.cli.signals
    except (MienError, OSError, ImportError) as error:
        message = said(error)
        if not message or os.environ.get("MIEN_DEBUG"):
            raise
        return _say(message, MISTAKE)


def run(words: list[str]) -> str:
    """Does what the words say; returns what remains to be printed."""
    if not words or words[0] in ("--help", "-h", "help"):
        return overview()
    if words[0] in ("--version", "-V"):
        return f"mien {__version__}"
    name, rest = command_of(words)
    if name not in COMMANDS:
        return overview(name + " ")
    wants_help = any(word in ("--help", "-h") for word in rest)
    if name in OWN_WORDS and wants_help:
        return str(import_module(OWN_WORDS[name]).help_text()).rstrip()
    function = imported(COMMANDS[name][0])
    if name in OWN_WORDS:
        function(rest)
        return ""
    grammar = import_module("mien.cli.grammar")
    if wants_help:
        return str(grammar.help_text(function, f"mien {name}"))
    result = grammar.call(function, rest, command=f"mien {name}")
    return result if isinstance(result, str) else ""


def command_of(words: Sequence[str]) -> tuple[str, list[str]]:
    """The command's name (one word or two) and the words after it; a lone first half, such as `data`, is a name too.

    Raises MienError for an unknown command, with the nearest one.
    """
    first, rest = words[0], list(words[1:])
    if first in COMMANDS:
        return first, rest
    second = sorted(name.split()[1] for name in COMMANDS if name.startswith(first + " "))
    if second and (not rest or rest[0].startswith("-")):
        return first, rest
    if second and rest[0] in second:
        return f"{first} {rest[0]}", rest[1:]
    if second:
        raise MienError(f"No command 'mien {first} {rest[0]}'.{nearest(rest[0], second)}")
    raise MienError(f"No command {first!r}.{nearest(first, dict.fromkeys(name.split()[0] for name in COMMANDS))}")


def overview(prefix: str = "") -> str:
    """What `mien --help` prints; with a prefix only the commands that begin so."""
    rows = [f"  {name:<16} {line}" for name, (_, line) in COMMANDS.items() if name.startswith(prefix)]
    about = "" if prefix else "\nmien reads faces: what they express, where their points are.\n"
    return "\n".join(
        [f"usage: mien {prefix or 'COMMAND '}...", about, *rows, "", "mien COMMAND --help says more of each."]
    )


def imported(target: str) -> Callable[..., Any]:
    """The function behind `module:function`."""
    module, attribute = target.split(":")
    found: Callable[..., Any] = getattr(import_module(module), attribute)
    return found


def said(error: BaseException) -> str:
    """The error in one line; empty for one that no user can mend."""
    if isinstance(error, ImportError):
        missing = (error.name or "").split(".")[0]
        extra = next((extra for extra, packages in EXTRAS.items() if missing in packages), "")
        return f"This needs {missing}, which is not installed: pip install 'mien[{extra}]'." if extra else ""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return " ".join(str(error).split())


def _say(message: str, code: int) -> int:
    print(f"mien: {message}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
