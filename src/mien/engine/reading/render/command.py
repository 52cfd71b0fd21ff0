"""`mien render`: the 3D face of each photo, drawn beside its crop, with parameters and meshes."""

from typing import Literal

from mien.core.errors import MienError
from mien.media.files import home_expanded
from mien.media.parallel.limits import checked_count

LEAST_SIZE, MOST_SIZE = 32, 1024


def render(
    inputs: list[str],
    *,
    output: str,
    bundle: str | None = None,
    face: str | None = None,
    size: int = 224,
    labels: Literal["none", "folders"] = "none",
    faces: Literal["all", "largest"] = "all",
    mesh: Literal["none", "obj", "glb", "both"] = "none",
    detector: Literal["dlib", "yunet", "auto", "none"] = "dlib",
    detector_weights: str | None = None,
    min_face: float | None = None,
    workers: int | None = None,
) -> str:
    """Render the 3D face of each photo, registered to its crop; the output folder is a data set to train if3d on.

    photos/NAME.png, renders/NAME.png and parameters/NAME.json for each face, parameters.npz for all, manifest.csv, and
    failures.csv with every photo that gave no face. The same command continues an interrupted run.

    Args:
        inputs: photos, folders, patterns such as 'photos/*.jpg'.
        output: folder of the results.
        bundle: folder of a bundle that gives the parameters of a 3D face (smirk), or fit, which takes it from
            the points of the landmark model that ships; by default fit.
        face: 3D face to fit or to draw: open, or a name of `mien assets list`; by default open, or the bundle's own.
        size: side of crops and renders in pixels.
        labels: folders takes the name of a photo's folder as its expression, and of the folder above as its split where
            that is train, valid or test.
        faces: of a photo with several faces, all or the largest.
        mesh: also write each face, looking ahead, as Wavefront OBJ, as binary glTF, or as both.
        detector: face detector; none takes the whole photo as the face, for crops.
        detector_weights: weight file of yunet, instead of the fetched one.
        min_face: side in pixels of the smallest face to detect; smaller is slower.
        workers: processes; by default one for each core, and none for fewer than 16 photos.
    """
    from mien.engine.reading.inputs import bundle_of, files_of
    from mien.engine.reading.render.run import RenderRun
    from mien.engine.reading.render.task import RenderOptions
    from mien.media.detect import available_detector
    from mien.media.files import writable_folder
    from mien.runtime.face3d.regressor import FIT

    if not LEAST_SIZE <= size <= MOST_SIZE:
        raise MienError(f"--size must be in {LEAST_SIZE}..{MOST_SIZE}; got {size}.")
    if workers is not None:
        checked_count(workers, "--workers")
    folder = writable_folder(home_expanded(output))
    found = None if bundle in (None, FIT) else bundle_of(bundle)
    options = RenderOptions(
        str(folder), FIT if found is None else str(found.resolve()), face, size, faces == "largest",
        mesh in ("obj", "both"), mesh in ("glb", "both"), available_detector(detector, detector_weights),
        detector_weights, min_face,
    )  # fmt: skip
    run = RenderRun(files_of(inputs, folder, videos=False), folder, options, by_folder=labels == "folders")
    return run.through(workers)
