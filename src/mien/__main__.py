"""The command line: `mien COMMAND ...`. Printing the list of commands imports no parser and nothing heavy.

A command is a plain function; its parser is made from its signature and docstring (mien.cli) when it runs. A
user's mistake ends as one line and exit code 2; `MIEN_DEBUG=1` shows its traceback.
"""

import io
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module

from mien import __version__
from mien.cli.signals import Interruption
from mien.core.errors import MienError, nearest, printable
from mien.core.extras import imported, missing_text

COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("mien.engine.demo.demo:demo", "tour of a few minutes: draw faces, train on them, read pictures"),
    "fit": ("mien.engine.training.fit:fit", "train one stage of a system"),
    "chain": ("mien.engine.training.chain.command:chain", "train all stages of a system in order"),
    "evaluate": ("mien.engine.evaluation.evaluate:evaluate", "evaluate a bundle on a labelled split"),
    "compare": ("mien.engine.evaluation.compare:compare", "compare two evaluations of the same faces"),
    "compare-images": ("mien.engine.evaluation.images.command:compare_images", "measure rebuilt pictures"),
    "analyze": ("mien.engine.reading.analyze:analyze", "read faces in photos, folders and videos"),
    "report": ("mien.engine.reading.page.report:report", "write one page (HTML) on a run: courses, faces"),
    "convert": ("mien.engine.reading.tables.convert:convert", "write a run's table for OpenFace, py-feat, JSON, COCO"),
    "summarize": ("mien.engine.reading.tables.summarize:summarize", "summarize a run by person, condition, time"),
    "asymmetry": (
        "mien.engine.reading.asymmetry.command:asymmetry",
        "measure left-right asymmetry of faces",
    ),
    "landmarks": ("mien.engine.reading.landmarks:landmarks", "find the 68 landmarks of faces: overlay, .pts, 3D"),
    "reconstruct": ("mien.engine.reading.reconstruct:reconstruct", "show faces and their reconstruction"),
    "perceive": ("mien.engine.reading.perceive.command:perceive", "show how a voice changes the perceived face"),
    "invert": ("mien.engine.reading.invert.command:invert", "rebuild faces from latent codes, and keep the codes"),
    "edit": ("mien.engine.reading.invert.edit_command:edit", "change faces by their codes: mixing, directions"),
    "directions": ("mien.engine.reading.invert.directions_command:directions", "find directions in a code space"),
    "render": ("mien.engine.reading.render.command:render", "render the 3D face of each photo, with its parameters"),
    "explain": ("mien.engine.reading.explain.command:explain", "show which parts of a face move its expression"),
    "export": ("mien.engine.export.command:export", "export a bundle's network to ONNX"),
    "data list": ("mien.engine.datasets.list:list_data", "list supported data sets, layouts, class orders"),
    "data check": ("mien.engine.datasets.check:check", "check counts, unreadable and duplicate pictures"),
    "data stats": ("mien.engine.datasets.stats:stats", "sizes, brightness, class balance, subjects"),
    "data prepare": ("mien.engine.datasets.prepare:prepare", "detect, align and crop all faces once, for training"),
    "data synth": ("mien.engine.datasets.synth:synth", "generate synthetic people, or a replica of a data set"),
    "data split": ("mien.engine.datasets.split:split", "split by subject, clip and near-duplicate"),
    "data leaks": ("mien.engine.datasets.leaks:leaks", "find faces shared between splits, data sets, bundles"),
    "study make": ("mien.engine.study.make:make", "plan a study: which rater sees which face with which voice"),
    "study score": ("mien.engine.study.score:score", "score a study: agreement of raters, shift of ratings by voice"),
    "assets list": ("mien.engine.assets.registry:list_assets", "list the 3D faces, with licence and checksum"),
    "assets add": ("mien.engine.assets.registry:add_asset", "register a 3D face (FLAME, ICT-FaceKit) by path"),
    "models": ("mien.engine.bundles.models:models", "list systems and the bundles that ship"),
    "weights list": ("mien.engine.bundles.weights:list_weights", "list bundles with licence, hash, scores"),
    "weights convert": ("mien.engine.bundles.weights:convert", "convert released weight files to a bundle"),
    "weights fetch": ("mien.engine.bundles.fetch:fetch", "get a detector's file from its authors, once"),
    "weights licence": ("mien.engine.bundles.weights:state_licence", "state what a bundle of your own may be used for"),
    "weights verify": ("mien.engine.bundles.weights:verify", "check a bundle's files against their SHA-256"),
}
MISTAKE, INTERRUPTED, PIPE_CLOSED = 2, 130, 141  # from 128 on: 128 + the number of a signal
HELP = ("--help", "-h")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code.

    0: done. 2: a mistake that the user can correct. 130: Ctrl-C. 143: SIGTERM. 129: SIGHUP. 141: the reader of the
    output is gone.
    """
    open_missing_streams()
    if isinstance(sys.stdout, io.TextIOWrapper):  # a terminal that has no UTF-8
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        with Interruption(), quiet_libraries():
            text = run(list(sys.argv[1:] if arguments is None else arguments))
        if text:
            print(printable(text, keep="\n\t"))
        sys.stdout.flush()
        return 0
    except BrokenPipeError:
        return _pipe_closed()
    except KeyboardInterrupt as error:
        return print_error(
            " ".join(["stopped.", *getattr(error, "__notes__", ())]), getattr(error, "exit_code", INTERRUPTED)
        )
    except (MienError, OSError, ImportError, RuntimeError, MemoryError) as error:
        message = message_of(error)
        if not message or os.environ.get("MIEN_DEBUG"):
            raise
        return print_error(message, MISTAKE)


def open_missing_streams() -> None:
    """Opens the null device for each standard stream that the process was started without (`>&-`, pythonw).

    Else the next file that is opened would take its place, and what is printed would go into that file.
    """
    for descriptor, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            null = open(os.devnull, mode, encoding="utf-8")  # noqa: PTH123, SIM115 (open to the end)
            os.set_inheritable(null.fileno(), null.fileno() == descriptor)  # for processes that are started
            setattr(sys, name, null)


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Meanwhile only Python writes to standard error: what C libraries write to descriptor 2 goes to the null device.

    libtiff, libpng, FFmpeg and others complain there of damaged files, in words that files choose. `MIEN_DEBUG=1` lets
    them.
    """
    if os.environ.get("MIEN_DEBUG"):
        yield
        return
    before, python = os.dup(2), sys.stderr
    try:
        if isinstance(python, io.TextIOWrapper) and python is sys.__stderr__:
            python.flush()
            copy = os.dup(2)  # stays open: handlers of logs may keep it
            sys.stderr = open(copy, "w", encoding=python.encoding, errors=python.errors, buffering=1)  # noqa: PTH123, SIM115
        with open(os.devnull, "wb") as null:  # noqa: PTH123
            os.dup2(null.fileno(), 2)
        yield
    finally:
        os.dup2(before, 2)
        os.close(before)
        sys.stderr = python


def run(arguments: list[str]) -> str:
    """Runs the command that the arguments name; returns what remains to be printed."""
    if not arguments or arguments[0] in (*HELP, "help"):
        return overview()
    if arguments[0] in ("--version", "-V"):
        return f"mien {__version__}"
    name, rest = command_of(with_policy(arguments))
    if name not in COMMANDS:
        return overview(name + " ")
    function = imported(COMMANDS[name][0])
    if any(argument in HELP for argument in rest[: rest.index("--") if "--" in rest else len(rest)]):
        others = [argument for argument in rest if argument not in HELP]
        return str(import_module("mien.cli.help").help_text(function, f"mien {name}", others))
    result = import_module("mien.cli.grammar").call(function, rest, command=f"mien {name}")
    return result if isinstance(result, str) else ""


def with_policy(arguments: Sequence[str]) -> list[str]:
    """The arguments without --policy NAME, which every command takes: it sets MIEN_POLICY for this process.

    Raises MienError for an unknown policy.
    """
    end = arguments.index("--") if "--" in arguments else len(arguments)
    kept, given = [], iter(arguments[:end])
    for argument in given:
        name, equals, value = argument.partition("=")
        if name == "--policy":
            os.environ["MIEN_POLICY"] = value if equals else next(given, "nothing")
            import_module("mien.media.policy").policy()  # a misspelt one would refuse nothing
        else:
            kept.append(argument)
    return [*kept, *arguments[end:]]


def command_of(arguments: Sequence[str]) -> tuple[str, list[str]]:
    """The command's name (one word or two) and what follows it; a lone first half, such as `data`, is a name too.

    Raises MienError for an unknown command, with the nearest one.
    """
    first, rest = arguments[0], list(arguments[1:])
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
        [
            f"usage: mien {prefix or 'COMMAND '}...", about, *rows, "",
            "mien COMMAND --help describes its options. Every command takes --policy commercial, which refuses bundles",
            "that may not be used commercially (mien weights list).",
        ]
    )  # fmt: skip


def message_of(error: BaseException) -> str:
    """The error in one line; empty for one that no user can correct."""
    if isinstance(error, ImportError):
        return missing_text(error)
    if isinstance(error, OSError) and error.strerror:
        return printable(f"{error.strerror}: {error.filename}" if error.filename else error.strerror)
    if isinstance(error, RuntimeError):
        if "Could not determine home directory" not in str(error):  # pathlib's message
            return ""
        return "~ stands in a path and this user has no home folder. Set HOME, or write the whole path."
    if isinstance(error, MemoryError):
        return "This takes more memory than this machine gives."
    return printable(" ".join(str(error).split()))


def print_error(message: str, code: int) -> int:
    """Prints `mien: message` to standard error and returns the exit code."""
    with suppress(OSError):  # its reader may be gone
        print(f"mien: {printable(message)}", file=sys.stderr, flush=True)
    return code


def _pipe_closed() -> int:
    """Sends what is still buffered to the null device, else Python complains when it closes the streams."""
    null = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
            continue
        with suppress(OSError, ValueError):
            os.dup2(null, stream.fileno())
    return PIPE_CLOSED


if __name__ == "__main__":
    sys.exit(main())
