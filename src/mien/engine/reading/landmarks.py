"""`mien landmarks`: the 68 points of faces in photographs, drawn, as .pts, and in three dimensions."""

from typing import Literal

from mien.core.errors import MienError
from mien.media.files import writable_folder


def landmarks(
    inputs: list[str],
    *,
    output: str,
    bundle: str | None = None,
    detector: Literal["dlib", "yunet", "auto"] = "dlib",
    detector_weights: str | None = None,
    min_face: float | None = None,
    backend: Literal["auto", "onnxruntime", "openvino"] = "auto",
    threads: int | None = None,
    overwrite: bool = False,
) -> str:
    """Find the 68 landmarks of each face: drawn on the photo, as .pts, and as a 3D view where the model gives depth.

    Args:
        inputs: photos, folders, patterns such as 'photos/*.jpg'.
        output: folder for PHOTO.png, PHOTO.pts (further faces PHOTO_1.pts, ...), and in 3D PHOTO.obj and PHOTO.html.
        bundle: folder of a bundle that gives landmarks; by default the one that ships with mien.
        detector: face detector; dlib needs no file; yunet also finds turned, small and dark faces, faster, and its
            file is fetched once (mien weights fetch yunet); auto is yunet where it was fetched.
        detector_weights: weight file of yunet, instead of the fetched one.
        min_face: side in pixels of the smallest face to detect; smaller is slower.
        backend: inference backend; auto takes openvino where it is installed.
        threads: CPU threads; by default one for each core.
        overwrite: replace the drawings and points of an earlier run in the same folder.
    """
    from mien.engine.reading.inputs import bundle_of, files_of
    from mien.engine.reading.output_folder import LANDMARK_FILES, OutputFolder
    from mien.engine.reading.output_names import OutputNames
    from mien.engine.reading.photo_points import PhotoPoints
    from mien.media.detect import create_detector
    from mien.runtime.landmarks import Landmarker

    folder = writable_folder(output)
    files = files_of(inputs, folder, videos=False)
    landmarker = Landmarker(bundle_of(bundle), backend=backend, threads=threads)
    if landmarker.scheme.points != 68:
        raise MienError(f"{bundle} reads {landmarker.scheme.points} points; this command draws 68.")
    find = create_detector(detector, weights=detector_weights, min_face=min_face)
    names, lines, unreadable = OutputNames(files), list[str](), 0
    with OutputFolder(folder, overwrite=overwrite, suffixes=LANDMARK_FILES) as out:
        out.begin()
        for path in files:
            try:
                faces = PhotoPoints(path, out, names, landmarker, find)
                read = faces.read()
            except MienError as error:
                unreadable += 1
                lines.append(f"not read: {error}")
                continue
            lines += faces.written(*read)
    if unreadable == len(files):
        raise MienError(f"Nothing could be read. {lines[0].removeprefix('not read: ')}")
    if "depth" not in landmarker.outputs:
        lines.append(f"No 3D: {landmarker.info.model_id} has no depth. A bundle that has gives .obj and .html as well.")
    return "\n".join([*lines, f"points by {landmarker.info.model_id} on {landmarker.engine}, in {folder}"])
