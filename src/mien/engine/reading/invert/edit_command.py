"""`mien edit`: faces changed by their codes: mixed with another face's, or moved along directions.

Its help reads this module, which therefore imports nothing heavy at its top.
"""

from mien.core.errors import MienError


def edit(
    codes: list[str],
    *,
    bundle: str,
    output: str,
    mix: str | None = None,
    layers: str = "",
    share: float = 1.0,
    directions: str | None = None,
    direction: list[str] | None = None,
    strengths: str = "-3,-1.5,0,1.5,3",
    residual: bool = True,
) -> str:
    """Change faces by their codes: style mixing with another face, edits along directions, or one after the other.

    edited/NAME_mix.png and edited/NAME_DIRECTION_STRENGTH.png with their codes in codes/, a sheet of each face in
    sheets/NAME.png, and report.html with all of them. Needs torch.

    Args:
        codes: files of codes of mien invert, or folders with them.
        bundle: folder of the bundle of asit that inverted them.
        output: folder of the results.
        mix: file of the codes of another face, whose --layers replace the own ones.
        layers: which codes are replaced: coarse (0-2), middle (3-6), fine (7 and on), all, or such as 4-7; also the
            words structure and features for these parts.
        share: of the other face in what is replaced, 0..1; below 1 both are blended.
        directions: file of directions (mien directions).
        direction: one of them by name, such as happiness, or with its own strengths, such as happiness:1,2; may be
            given several times. Without it all are shown.
        strengths: how far along each direction; 0 is the face as it was.
        residual: use the residual of the generator's features, where the codes have one.
    """
    from pathlib import Path

    from mien.engine.reading.invert.codes import code_files
    from mien.engine.reading.invert.edit_run import EditRun, edits_of, mixture_of
    from mien.engine.reading.invert.inverter import inverting_bundle, require_torch
    from mien.media.files import writable_folder

    if mix is None and directions is None:
        raise MienError("Name what to change: --mix CODES --layers 4-7, or --directions FILE (mien directions).")
    folder, info = inverting_bundle(bundle)
    require_torch("Drawing faces from codes")
    files = code_files(codes)
    mixture = mixture_of(mix, layers, share, info)
    edits = edits_of(Path(directions).expanduser() if directions else None, direction or [], strengths, info)
    run = EditRun(folder, info, writable_folder(output), mixture=mixture, edits=edits, residual=residual)
    return run.through(files)
