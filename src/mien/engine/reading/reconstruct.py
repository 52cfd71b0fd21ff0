"""`mien reconstruct`: faces of photographs beside what an autoencoder makes of them, and where the two differ."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mien.core.errors import MienError
from mien.core.extras import install_hint
from mien.media.files import writable_folder

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from mien.systems.system import System

GAP, CAPTION = 16, 34  # pixels between and below the panels
LEAST_SIDE = 256  # of a panel; smaller crops are shown enlarged
GAIN = 3  # times which a difference is shown


def reconstruct(
    inputs: list[str],
    *,
    bundle: str,
    output: str,
    detector: Literal["dlib", "yunet", "auto"] = "dlib",
    detector_weights: str | None = None,
    min_face: float | None = None,
) -> str:
    """Show faces, their reconstruction by an autoencoder, and the difference.

    Args:
        inputs: photos, folders, patterns such as 'photos/*.jpg'.
        bundle: folder of a bundle that reconstructs the picture of a face (a stage of ParFace-Net, or any with an
            output of kind picture); needs torch.
        output: folder for PHOTO.png, of further faces PHOTO_1.png, ...
        detector: face detector; dlib needs no file; yunet also finds turned, small and dark faces, faster, and its
            file is fetched once (mien weights fetch yunet); auto is yunet where it was fetched.
        detector_weights: weight file of yunet, instead of the fetched one.
        min_face: side in pixels of the smallest face to detect; smaller is slower.
    """
    from mien.engine.reading.inputs import files_of
    from mien.engine.reading.output_names import OutputNames
    from mien.media.detect import create_detector
    from mien.media.image import load_image

    system = _autoencoder(bundle)
    folder = writable_folder(output)
    files = files_of(inputs, folder, videos=False)
    find = create_detector(detector, weights=detector_weights, min_face=min_face)
    names, lines, errors = OutputNames(files), [], []
    for path in files:
        try:
            pixels = load_image(path).pixels
        except MienError as error:
            errors.append(str(error))
            lines.append(f"not read: {error}")
            continue
        faces = sorted(find(pixels), key=lambda face: -face.side)
        off = [
            _write(system, pixels, face.box, folder / f"{names.face(path, number)}.png")
            for number, face in enumerate(faces)
        ]
        shares = "; ".join(f"{100 * each:.1f} %" for each in off)
        lines.append(f"{path}: off by {shares} of full scale on average" if off else f"{path}: no face found")
    if len(errors) == len(files):
        raise MienError(f"Nothing could be read. {errors[0]}")
    assert system.info is not None
    return "\n".join([*lines, f"reconstructed by {system.info.model_id}, in {folder}"])


def _autoencoder(bundle: str) -> "System":
    from importlib.util import find_spec

    from mien.media.bundles import bundle_folder

    folder = bundle_folder(bundle)
    if find_spec("torch") is None:
        raise MienError(f"Reconstructing needs torch, which is not installed: {install_hint('train')}.")
    from mien.systems.bundle import load

    system = load(folder)
    if not hasattr(system, "reconstruct") and (_picture_output(system) is None or len(system.inputs) > 1):
        raise MienError(
            f"{bundle} is a {system.name}, which does not reconstruct pictures: it takes {' and '.join(system.inputs)} "
            f"and gives {', '.join(system.outputs)}. Name a bundle that gives a picture from the picture alone."
        )
    return system


def _picture_output(system: "System") -> str | None:
    return next((name for name, output in system.outputs.items() if output.kind == "picture"), None)


def _reconstructed(system: "System", image: "Tensor") -> "Tensor":
    """By the system's method `reconstruct`, else its output that is a picture."""
    if hasattr(system, "reconstruct"):
        return system.reconstruct(image)  # type: ignore[operator, no-any-return]
    name = _picture_output(system)
    assert name is not None
    found: Tensor = system(image)[name]
    return found


def _write(system: "System", pixels: "np.ndarray", box: Any, path: Path) -> float:
    """Draws one face's panels; the mean absolute difference, of 1."""
    import numpy as np
    import torch

    from mien.core.geometry import crop_of_box
    from mien.media.crop import normalise, prepare

    spec = system.picture
    crop = prepare(pixels, crop_of_box(box, spec), spec)
    with torch.inference_mode():
        output = _reconstructed(system, torch.from_numpy(normalise(crop[None], spec)))[0]
    shares = output.numpy().transpose(1, 2, 0) * np.array(spec.std) + np.array(spec.mean)
    reconstruction = np.round(255 * shares.clip(0, 1)).astype(np.uint8)
    apart = np.abs(reconstruction.astype(int) - crop)
    mean = float(apart.mean()) / 255
    shown = np.clip(GAIN * apart, 0, 255).astype(np.uint8)
    captions = ("picture", "reconstruction", f"difference x {GAIN}, mean {100 * mean:.1f} %")
    _save_panels([crop, reconstruction, shown], captions, path)
    return mean


def _save_panels(panels: "list[np.ndarray]", captions: tuple[str, ...], path: Path) -> None:
    from PIL import Image, ImageDraw, ImageFont

    from mien.media.image import save_png

    side = max(LEAST_SIDE, panels[0].shape[0])
    image = Image.new("RGB", (GAP + len(panels) * (side + GAP), GAP + side + CAPTION), "white")
    canvas, font = ImageDraw.Draw(image), ImageFont.load_default(15)
    for number, (panel, caption) in enumerate(zip(panels, captions, strict=True)):
        left = GAP + number * (side + GAP)
        image.paste(Image.fromarray(panel).resize((side, side), Image.Resampling.BICUBIC), (left, GAP))
        canvas.text((left, GAP + side + 8), caption, fill="#1b1f24", font=font)
    save_png(path, image)
