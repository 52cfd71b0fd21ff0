"""`mien explain`: which parts of a photo the expression rests on: by hiding them, by Grad-CAM, by attention."""

from typing import Literal

from mien.core.errors import MienError
from mien.media.files import writable_folder

PART = 0.2


def explain(
    inputs: list[str],
    *,
    output: str,
    bundle: str | None = None,
    expression: str = "",
    method: Literal["occlusion", "gradcam", "attention"] = "occlusion",
    layer: str | None = None,
    part: float = PART,
    fill: Literal["blur", "mean"] = "blur",
    detector: Literal["dlib", "yunet", "auto"] = "dlib",
    detector_weights: str | None = None,
    min_face: float | None = None,
    backend: Literal["auto", "onnxruntime", "openvino"] = "auto",
    threads: int | None = None,
    overwrite: bool = False,
) -> str:
    """Show which parts of each face its expression rests on.

    Writes a picture for each face (the face as the network gets it, and maps over it) and explanations.csv with numbers
    for brows, eyes, nose and mouth. It explains the network, not the person.

    Args:
        inputs: photos, folders, patterns such as 'photos/*.jpg'.
        output: folder for PHOTO_explained.png (further faces PHOTO_1_explained.png, ...) and explanations.csv.
        bundle: folder of a bundle with model.onnx that gives classes; by default the model that ships with mien.
        expression: class that is explained; by default the most probable one of each face.
        method: occlusion hides parts and draws the drop of the probability, with the exported network alone; gradcam
            weights a layer's map by the class's gradient; attention draws where the network reads from, whatever the
            class. The last two need PyTorch and a bundle with its weights (model.safetensors).
        layer: for gradcam the module whose map is drawn, such as trunk.stages.2; for attention the name of the map; by
            default the system's own first choice.
        part: of occlusion: side of a hidden part, as a share of the face crop's.
        fill: what stands in a hidden part: the blurred face, or the mean colour of the crop.
        detector: face detector; dlib needs no file; yunet also finds turned, small and dark faces, faster, and its
            file is fetched once (mien weights fetch yunet); auto is yunet where it was fetched.
        detector_weights: weight file of yunet, instead of the fetched one.
        min_face: side in pixels of the smallest face to detect; smaller is slower.
        backend: inference backend; auto takes openvino where it is installed.
        threads: CPU threads; by default one for each core.
        overwrite: replace the files of an earlier run in the same folder.
    """
    from mien.engine.reading.explain.hiding import Hiding
    from mien.engine.reading.explain.looking import looking
    from mien.engine.reading.explain.run import NAMES, ExplainRun
    from mien.engine.reading.inputs import bundle_of, files_of
    from mien.engine.reading.output_folder import earlier_results, one_run
    from mien.media.detect import available_detector
    from mien.runtime.analyzer import Analyzer

    _check(method, layer, part)
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
    network = analyzer.networks[0]
    chosen = Hiding(part, fill) if method == "occlusion" else looking(method, network, layer=layer or "", fill=fill)
    run = ExplainRun(analyzer, expression, chosen)
    with one_run(folder):
        for path in earlier_results(folder, NAMES, overwrite=overwrite):
            path.unlink()
        return run.read(files, folder)


def _check(method: str, layer: str | None, part: float) -> None:
    """Raises MienError for options that the method does not have."""
    if not 0.02 <= part <= 0.9:
        raise MienError(f"--part is 0.02 to 0.9 of the crop's side; got {part:g}.")
    if method == "occlusion" and layer is not None:
        raise MienError("--layer is for --method gradcam and attention; occlusion looks at no layer.")
    if method != "occlusion" and part != PART:
        raise MienError(f"--part is for --method occlusion; {method} hides a fifth of the crop.")
