"""`mien data prepare`: the faces of a data set found, aligned and cut out once, into a folder or shards to train on."""

from typing import Any, Literal

from mien.media.files import home_expanded
from mien.media.parallel.limits import checked_count


def prepare(
    name: str,
    *,
    root: str = "",
    output: str,
    reader: dict[str, Any] | None = None,
    size: int = 224,
    format: Literal["folder", "shards"] = "folder",
    detector: Literal["dlib", "yunet", "none"] = "dlib",
    detector_weights: str | None = None,
    align: Literal["box", "five_points", "ffhq"] = "box",
    own_boxes: bool = True,
    box_scale: float = 1.18,
    box_shift_y: float = -0.075,
    fit: Literal["squash", "pad"] = "squash",
    min_face: float = 24.0,
    encoding: Literal["jpeg", "png"] = "jpeg",
    quality: int = 95,
    workers: int | None = None,
) -> str:
    """Detect, align and crop every face of a data set once; the output folder is a data set to train on.

    Train on it with --data.name manifest --data.root OUTPUT. The same command continues an interrupted run.

    Args:
        name: reader of the data set (`mien data list` prints all), or its folder, where its layout is recognised or has
            one folder for each class, or its table.
        root: folder of the data set, where `name` is a reader; for manifest, the table.
        output: new folder, outside of the data set.
        reader: options of the reader, such as --reader.majority strict.
        size: side of a crop in pixels.
        format: one file for each picture, or tar files of some hundred pictures each, for large sets and slow disks.
        detector: face detector; none keeps the whole picture, for sets that are crops already.
        detector_weights: weight file of yunet, instead of the fetched one.
        align: box keeps the picture upright; five_points aligns eyes, nose and mouth to ArcFace's template; ffhq turns
            and scales faces as FFHQ's pictures are, which ASIT and StyleGAN2 are trained on. The last two need points:
            of the data set (5, 68, 84 or 98) or of yunet.
        own_boxes: crop by the boxes or landmarks of the data set where it has them, instead of detecting.
        box_scale: side of the crop in sides of the box (as in a bundle's input).
        box_shift_y: downward shift of the crop's centre from the box's, in sides of the box.
        fit: how a whole picture that is not square becomes one.
        min_face: side in pixels of the smallest face; smaller ones are listed as failures.
        encoding: jpeg without chroma subsampling, or png, which is lossless and three times as large.
        quality: quality of jpeg, up to 100.
        workers: processes; by default one for each core, and none for fewer than 100 pictures.
    """
    from mien.data.preparation.face_crop import Preparation
    from mien.data.readers import open_reader
    from mien.data.readers.recognise import named_set
    from mien.engine.datasets.prepare_run import PrepareRun

    how = Preparation(
        size, detector, detector_weights, align, own_boxes, box_scale, box_shift_y, fit, min_face, encoding, quality
    )
    if workers is not None:
        checked_count(workers, "--workers")
    name, root = named_set(name, root)
    opened = open_reader(name, root, **(reader or {}))
    run = PrepareRun(opened, home_expanded(output), how, shards=format == "shards", options=reader or {})
    return run.through(workers)
