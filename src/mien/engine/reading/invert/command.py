"""`mien invert`: faces of photographs to latent codes, and rebuilt from them.

Its help reads this module, which therefore imports nothing heavy at its top.
"""

from typing import TYPE_CHECKING, Literal

from mien.core.errors import MienError

if TYPE_CHECKING:
    from mien.engine.reading.invert.inverter import Refinement


def invert(
    inputs: list[str],
    *,
    bundle: str,
    output: str,
    couple: bool = False,
    structure: bool = True,
    residual: bool = True,
    refine: int = 0,
    lpips_network: Literal["alex", "vgg"] = "alex",
    lpips_backbone: str = "",
    lpips_heads: str = "",
    align: Literal["auto", "ffhq", "box", "none"] = "auto",
    faces: Literal["all", "largest"] = "all",
    detector: Literal["dlib", "yunet", "auto"] = "dlib",
    detector_weights: str | None = None,
    min_face: float | None = None,
) -> str:
    """Rebuild each face from its latent codes, and write the codes.

    reconstructions/NAME.png, codes/NAME.npz (codes [styles, width], structure [channels, 4, 4], features, the aligned
    face and where it lies in the photo) and with --couple coupled/NAME.png for each face, faces.csv with their errors,
    and report.html with all of them. `mien edit` changes codes.

    Args:
        inputs: photos, folders, patterns such as 'photos/*.jpg'.
        bundle: folder of a bundle that inverts faces (asit); an exported one needs no torch.
        output: folder of the results.
        couple: also write each face beside its reconstruction.
        structure: use the structure code; without it the generator's learned constant takes its place (needs torch).
        residual: use the residual of the generator's features, where the bundle has one (without it: needs torch).
        refine: steps for which codes and structure are optimised from the encoder's estimate on, to come nearer to the
            face (needs torch); it stops earlier when nothing is gained any more. 0 takes the estimate.
        lpips_network: backbone of LPIPS, which refinement minimises beside the pixels' difference where it has files.
        lpips_backbone: file of its ImageNet weights, as torchvision has them.
        lpips_heads: file of its linear heads, as the authors of LPIPS released them.
        align: how a face is cut out. ffhq turns and scales it by its points, as FFHQ's pictures are; box cuts out the
            detector's box as the bundle was trained with; none takes the whole photo as the face; auto is box where the
            bundle was trained on a detector's boxes, else ffhq.
        faces: of a photo with several faces, all or the largest.
        detector: face detector; dlib needs no file; yunet also finds turned, small and dark faces, and its file is
            fetched once (mien weights fetch yunet); auto is yunet where it was fetched.
        detector_weights: weight file of yunet, instead of the fetched one.
        min_face: side in pixels of the smallest face to detect; smaller is slower.
    """
    from mien.engine.reading.inputs import files_of
    from mien.engine.reading.invert.inverter import inverting_bundle, open_inverter
    from mien.engine.reading.invert.run import InvertRun, aligner
    from mien.media.files import writable_folder

    inverting_bundle(bundle)
    refinement = refinement_of(refine, lpips_network, lpips_backbone, lpips_heads)
    inverter = open_inverter(bundle, structure=structure, residual=residual, refinement=refinement)
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


def refinement_of(steps: int, network: Literal["alex", "vgg"], backbone: str, heads: str) -> "Refinement | None":
    """None for 0 steps. Raises MienError for LPIPS files without refinement, for one without the other, and where torch
    is not installed."""
    from mien.engine.reading.invert.inverter import Refinement, require_torch

    if steps < 0:
        raise MienError(f"--refine is a number of steps, 0 or more; got {steps}.")
    if not steps:
        if backbone or heads:
            raise MienError("--lpips-backbone and --lpips-heads are for --refine STEPS, which is missing.")
        return None
    require_torch("--refine", "Leave it out for the encoder's estimate.")
    from mien.media.files import required_file
    from mien.nn.losses.auxiliary import lpips_of
    from mien.nn.weights import read_checkpoint
    from mien.systems.ifer.refinement import RefinementOptions

    if not backbone and not heads:
        return Refinement(RefinementOptions(steps=steps))
    files = [
        required_file(path, what="LPIPS", option=option)
        for path, option in ((backbone, "--lpips-backbone"), (heads, "--lpips-heads"))
    ]
    return Refinement(RefinementOptions(steps=steps), lpips_of(*map(read_checkpoint, files), which=network))
