"""`mien invert`: faces of photographs to latent codes, and rebuilt from them.

Its help reads this module, which therefore imports nothing heavy at its top.
"""

from typing import Literal

from mien.core.errors import MienError


def invert(
    inputs: list[str],
    *,
    bundle: str,
    output: str,
    couple: bool = False,
    structure: bool = True,
    residual: bool = True,
    align: Literal["auto", "ffhq", "box", "none"] = "auto",
    faces: Literal["all", "largest"] = "all",
    detector: Literal["dlib", "yunet"] = "dlib",
    detector_weights: str | None = None,
    min_face: float | None = None,
) -> str:
    """Rebuild each face from its latent codes, and write the codes.

    reconstructions/NAME.png, codes/NAME.npz (codes [styles, width], structure [channels, 4, 4], features, crop) and
    with --couple coupled/NAME.png for each face, faces.csv with their errors, and report.html with all of them.

    Args:
        inputs: photos, folders, patterns such as 'photos/*.jpg'.
        bundle: folder of a bundle that inverts faces (asit); an exported one needs no torch.
        output: folder of the results.
        couple: also write each face beside its reconstruction.
        structure: use the structure code; without it the generator's learned constant takes its place (needs torch).
        residual: use the residual of the generator's features, where the bundle has one (without it: needs torch).
        align: how a face is cut out. ffhq turns and scales it by its points, as FFHQ's pictures are; box cuts out the
            detector's box as the bundle was trained with; none takes the whole photo as the face; auto is box where the
            bundle was trained on a detector's boxes, else ffhq.
        faces: of a photo with several faces, all or the largest.
        detector: face detector; dlib needs no weight file, yunet also finds turned faces and needs OpenCV's.
        detector_weights: weight file of yunet.
        min_face: side in pixels of the smallest face to detect; smaller is slower.
    """
    from mien.engine.reading.inputs import files_of
    from mien.engine.reading.invert.inverter import open_inverter
    from mien.engine.reading.invert.run import InvertRun, aligner
    from mien.media.files import writable_folder

    inverter = open_inverter(bundle, structure=structure, residual=residual)
    folder = writable_folder(output)
    files = files_of(inputs, folder, videos=False)
    cut = aligner(
        align, inverter.info.picture, detector=detector, weights=detector_weights, min_face=min_face,
        largest=faces == "largest",
    )  # fmt: skip
    run = InvertRun(inverter, cut, folder, couple=couple)
    run.read(files)
    if not run.faces:
        why = run.errors[0] if run.errors else "No face was found. --align none takes each photo as a face."
        raise MienError(f"Nothing was inverted: {why}")
    return run.finish()
