"""`mien explain`: which parts of a photo move the expression that is read, by hiding them; needs no PyTorch."""

from typing import Literal

from mien.core.errors import MienError
from mien.media.files import writable_folder


def explain(
    inputs: list[str],
    *,
    output: str,
    bundle: str | None = None,
    expression: str = "",
    part: float = 0.2,
    fill: Literal["blur", "mean"] = "blur",
    detector: Literal["dlib", "yunet", "auto"] = "dlib",
    detector_weights: str | None = None,
    min_face: float | None = None,
    backend: Literal["auto", "onnxruntime", "openvino"] = "auto",
    threads: int | None = None,
    overwrite: bool = False,
) -> str:
    """Show which parts of each face move its expression: parts are hidden, and the drop of the probability is drawn.

    Writes a picture for each face (the face as the network gets it, and where hiding lowers the probability) and
    explanations.csv with the drop for brows, eyes, nose and mouth. It explains the network, not the person, and depends
    on what fills the hidden parts.

    Args:
        inputs: photos, folders, patterns such as 'photos/*.jpg'.
        output: folder for PHOTO_explained.png (further faces PHOTO_1_explained.png, ...) and explanations.csv.
        bundle: folder of a bundle with model.onnx that gives classes; by default the model that ships with mien.
        expression: class that is explained; by default the most probable one of each face.
        part: side of a hidden part, as a share of the face crop's.
        fill: what stands in a hidden part: the blurred face, or the mean colour of the crop.
        detector: face detector; dlib needs no file; yunet also finds turned, small and dark faces, faster, and its
            file is fetched once (mien weights fetch yunet); auto is yunet where it was fetched.
        detector_weights: weight file of yunet, instead of the fetched one.
        min_face: side in pixels of the smallest face to detect; smaller is slower.
        backend: inference backend; auto takes openvino where it is installed.
        threads: CPU threads; by default one for each core.
        overwrite: replace the files of an earlier run in the same folder.
    """
    from mien.engine.reading.explain.run import NAMES, ExplainRun
    from mien.engine.reading.inputs import bundle_of, files_of
    from mien.engine.reading.output_folder import earlier_results, one_run
    from mien.media.detect import available_detector
    from mien.runtime.analyzer import Analyzer

    if not 0.02 <= part <= 0.9:
        raise MienError(f"--part is 0.02 to 0.9 of the crop's side; got {part:g}.")
    folder = writable_folder(output)
    files = files_of(inputs, folder, videos=False)
    finder = available_detector(detector, detector_weights)
    analyzer = Analyzer(
        bundle_of(bundle),
        detector=finder,
        weights=detector_weights,
        min_face=min_face,
        backend=backend,
        threads=threads,
    )
    run = ExplainRun(analyzer, expression, part, fill)
    with one_run(folder):
        for path in earlier_results(folder, NAMES, overwrite=overwrite):
            path.unlink()
        return run.read(files, folder)
