"""`mien directions`: directions in a bundle's code space, along which `mien edit` changes faces.

Its help reads this module, which therefore imports nothing heavy at its top.
"""

from mien.core.errors import MienError


def directions(
    bundle: str,
    *,
    output: str,
    number: int = 8,
    layers: str = "all",
    codes: list[str] | None = None,
    labels: str | None = None,
    column: str = "expression",
) -> str:
    """Find directions in the code space: those that change a generator's pictures most, or those of labelled faces.

    Without --codes: closed-form factorisation (SeFa) of the generator, which needs neither pictures nor labels (needs
    torch). With --codes and --labels: a linear model for each class, such as happiness against the rest.

    Args:
        bundle: folder of a bundle of asit or stylegan2.
        output: file of the directions (.npz).
        number: how many directions of the factorisation.
        layers: codes that the directions change: all, coarse (0-2), middle (3-6), fine (7 and on), or such as 0-3,5.
        codes: files of codes of mien invert, or folders with them.
        labels: table (CSV) of the labels, with a column name (or file, path, photo, picture, source) for the file.
        column: column of the label.
    """
    from pathlib import Path

    from mien.engine.reading.invert.codes import code_files
    from mien.engine.reading.invert.directions import factorised_directions, labelled_directions

    path = Path(output).expanduser()
    if path.suffix != ".npz":
        raise MienError(f"--output is a file of the directions with the ending .npz; got {output}.")
    if (codes is None) != (labels is None):
        raise MienError("--codes and --labels go together: codes of faces, and the table of their labels.")
    if codes is not None and labels is not None:
        table = Path(labels).expanduser()
        found, lines = labelled_directions(bundle, code_files(codes), table, column=column, layers=layers)
    else:
        found, lines = factorised_directions(bundle, number=number, layers=layers)
    found.write(path)
    count = f"{len(found.names)} direction{'s' if len(found.names) > 1 else ''}"
    return "\n".join(
        [*lines, f"{count} of {found.bundle} in {path}; see them with mien edit CODES --directions {path}"]
    )
