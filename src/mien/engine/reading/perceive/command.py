"""`mien perceive`: a face as it is perceived with a voice, by a context network (CAN): pictures, tables, a video."""

from typing import Literal

from mien.core.errors import MienError
from mien.media.files import home_expanded, writable_folder


def perceive(
    *,
    face: str,
    voice: str | None = None,
    bundle: str | None = None,
    output: str,
    voice_bundle: str | None = None,
    hop_s: float | None = None,
    strength: float = 1.0,
    samples: int = 0,
    every: int = 1,
    detector: Literal["dlib", "yunet", "auto", "none"] = "dlib",
    detector_weights: str | None = None,
    min_face: float | None = None,
    threads: int | None = None,
) -> str:
    """Show how a voice changes the expression that a face seems to have; writes a folder with a page to look at.

    report.html (one self-contained page), perceived.png (face, reconstruction without and with the voice, what
    changed), strengths.png (the shift at 0 to 1), windows.csv (a row for each window of the voice). Of a video also
    perceived.mp4 with the sound, in mono, and frames.csv (a row for each frame, joined to its window by time). The same
    inputs give the same result: codes are represented by their means.

    Args:
        face: photo or video with a face; of several faces the largest.
        voice: sound or video with a voice; by default the video's own.
        bundle: folder of a bundle of a context network (can) with model.onnx; by default the one that ships.
        output: folder of the results.
        voice_bundle: folder of a bundle that reads the voice alone, in place of the network's own output for it.
        hop_s: seconds between two windows of the voice; by default a quarter of the network's window.
        strength: of the shift that the voice causes; 0 is none, 1 is as trained.
        samples: also draw so many times from the codes, and state how far probabilities spread.
        every: of a video, every N-th frame.
        detector: face detector; none takes the whole picture as the face, for crops.
        detector_weights: weight file of yunet, instead of the fetched one.
        min_face: side in pixels of the smallest face to detect; smaller is slower.
        threads: CPU threads; by default one for each core.
    """
    from mien.engine.reading.perceive.faces import LargestFace
    from mien.engine.reading.perceive.source import PerceiveOptions, opened_networks
    from mien.engine.reading.perceive.still import perceive_still
    from mien.engine.reading.perceive.video import perceive_video
    from mien.media.listing import is_video

    if not 0 <= strength <= 2:
        raise MienError(f"--strength must be in 0..2; got {strength:g}.")
    if hop_s is not None and not 0.05 <= hop_s <= 60:
        raise MienError(f"--hop-s must be in 0.05..60 seconds; got {hop_s:g}.")
    if not 0 <= samples <= 1000:
        raise MienError(f"--samples must be in 0..1000; got {samples}.")
    if every < 1:
        raise MienError(f"--every must be at least 1; got {every}.")
    face_path, video = home_expanded(face), is_video(home_expanded(face))
    if voice is None and not video:
        raise MienError(f"{face} is a picture, which has no voice: --voice SOUND.")
    voice_path = face_path if voice is None else home_expanded(voice)
    networks = opened_networks(bundle, voice_bundle, threads=threads)
    options = PerceiveOptions(face_path, voice_path, hop_s, strength, samples, every)
    finder = LargestFace(networks.perceiver.picture, detector, weights=detector_weights, min_face=min_face)
    folder = writable_folder(home_expanded(output))
    run = perceive_video if video else perceive_still
    return run(options, networks, finder, folder)
