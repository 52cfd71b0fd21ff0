"""`mien analyze`: a line for each face of photos, folders and videos, and for each voice; on request tables and
labelled pictures."""

import time
from contextlib import ExitStack
from typing import Any, Literal

from mien.core.errors import MienError
from mien.media.files import writable_folder

SUFFIXES = {"none": (), "obj": (".obj",), "glb": (".glb",), "both": (".obj", ".glb")}


def analyze(
    inputs: list[str],
    *,
    output: str | None = None,
    bundle: list[str] | None = None,
    detector: Literal["dlib", "yunet", "auto"] = "dlib",
    detector_weights: str | None = None,
    min_face: float | None = None,
    every: int = 1,
    fps: float | None = None,
    start: str | None = None,
    end: str | None = None,
    detect_every: int | None = None,
    max_faces: int | None = None,
    stdin_frames: str | None = None,
    with_: str = "",
    face3d_bundle: str | None = None,
    mesh: Literal["none", "obj", "glb", "both"] = "none",
    overlay: bool = True,
    overlay_video: bool = False,
    landmarks: Literal["auto", "yes", "no"] = "auto",
    landmark_bundle: str | None = None,
    points: bool = False,
    format_: list[str] | None = None,
    report: bool = False,
    smooth: bool = False,
    coverage: float | None = None,
    abstain: int | None = None,
    logit_adjust: float = 0.0,
    resume: bool = False,
    overwrite: bool = False,
    backend: Literal["auto", "onnxruntime", "openvino"] = "auto",
    precision: Literal["auto", "fp32", "bf16"] = "auto",
    threads: int | None = None,
    limit: int | None = None,
    ray: str | None = None,
) -> str:
    """Read faces in photos, folders and videos: prints a line for each face; --output writes a table and pictures.

    Recordings of a voice are read too, into voice.csv. Without --output nothing is written. With it the lines of the
    first faces are printed, and all are in the table.

    Args:
        inputs: files, folders, patterns such as 'photos/*.jpg', videos, sounds (those of folders with --with voice); 0
            is the first camera; - takes names from standard input, one a line, or a video (Matroska, MPEG-TS,
            YUV4MPEG2, JPEGs in a row, ...), known by its first bytes.
        output: folder for readings.csv, readings.parquet, readings.json, overlays/ and contact_sheet.jpg; by default
            nothing is written.
        bundle: folder of a bundle with model.onnx; repeat it to run several on the same faces. By default the model
            that ships with mien. One that takes a voice alone, such as voice_expression_ravdess, also reads the voices
            of videos, into voice.csv.
        detector: face detector; dlib needs no file; yunet also finds turned, small and dark faces, faster, and its
            file is fetched once (mien weights fetch yunet); auto is yunet where it was fetched.
        detector_weights: weight file of yunet, instead of the fetched one.
        min_face: side in pixels of the smallest face to detect; smaller is slower.
        every: of a video, read every N-th frame.
        fps: of a video, read at most so many frames a second, by their times.
        start: of a video, read from this time on: seconds, or minutes:seconds.
        end: of a video, read up to this time.
        detect_every: of a video, the detector looks at one frame in so many at least, and landmarks follow each face in
            between; 1 is every frame. By default 1 with yunet, and 10 with dlib, which is slower.
        max_faces: largest number of faces in a picture or frame, the largest ones; by default all.
        stdin_frames: what comes through standard input (-) is raw RGB frames, 8 bits a channel:
            WIDTHxHEIGHT@RATE, such as 640x360@25.
        with_: further readings, separated by commas: affect (valence and arousal; the model that ships was trained on a
            proxy), face3d (action units right and left, head pose, parameters in FLAME's arrangement), voice (the
            sound of videos, a row a window in voice.csv; the model that ships is not for commercial use).
        face3d_bundle: folder of a bundle that gives the parameters of a 3D face (smirk), or fit, which takes one from
            the landmarks; by default fit.
        mesh: also write the 3D face of each face, looking ahead, into meshes/: Wavefront OBJ, binary glTF, or both.
        overlay: draw labelled pictures; --no-overlay writes the table alone.
        overlay_video: also write each video with its faces labelled, with its sound, into overlays/.
        landmarks: also predict the 68 landmarks and the head pose of each face; auto is yes where a landmark model
            ships.
        landmark_bundle: folder of a bundle that gives landmarks; by default the first --bundle that does, else the one
            that ships with mien.
        points: also write the landmarks of each face as a .pts file, into points/.
        format_: also write the table for other tools, once it is complete: openface, fex (py-feat), jsonl, coco;
            several separated by commas. mien convert does it later.
        report: also write report.html, one page on the run, once it is complete. mien report does it later.
        coverage: also give the set of expressions that holds the label with this probability, such as 0.9 (column
            expression_set).
        abstain: give no expression where that set has more than N expressions, or the picture of the face has a quality
            flag; the column abstained says why. Needs --coverage.
        logit_adjust: divide the probabilities of expressions by the classes' shares in training, to this power, 0..2:
            rare expressions are found more often, common ones less; 1 is for faces among which all are equally
            frequent.
        smooth: of a video, smooth landmarks and 3D faces over time (one-euro filter).
        resume: continue an interrupted run in the same folder; what was read is not read again.
        overwrite: replace the readings and pictures of an earlier run in the same folder.
        backend: inference backend; auto takes openvino where it is installed.
        precision: bf16 is faster for large networks, on CPUs that support it.
        threads: CPU threads; by default one for each core.
        limit: largest number of pictures and videos to read.
        ray: read on the processes of a Ray cluster, with the same table: local (one process a core), local:N, auto,
            HOST:PORT or ray://HOST:PORT. Every machine sees the files at the same paths. Draws nothing: --no-overlay.
    """
    from mien.engine.reading.inputs import (
        bundles_of,
        extras_of,
        files_of,
        landmarks_for,
        live_sources,
        positive,
        seconds,
    )
    from mien.engine.reading.output_folder import OutputFolder
    from mien.engine.reading.page.report import write_report_of
    from mien.engine.reading.printed_run import PrintedRun
    from mien.engine.reading.run import AnalyzeRun
    from mien.engine.reading.sharing.readings import shared_readings
    from mien.engine.reading.tables.convert import write_formats_of
    from mien.engine.reading.videos import Videos, video_details
    from mien.engine.reading.voice.table import hearing_of, read_voices, read_voices_alone
    from mien.media.detect import available_detector, detector_version
    from mien.media.listing import is_sound, is_video, left_out
    from mien.media.video import FrameSelection
    from mien.runtime.analyzer import Analyzer
    from mien.runtime.formats import formats_of

    wanted = formats_of(format_ or [])
    needing = {"points": points, "resume": resume, "overwrite": overwrite, "mesh": mesh != "none",
               "overlay-video": overlay_video, "format": bool(wanted), "report": report}  # fmt: skip
    extras, finder = extras_of(with_), available_detector(detector, detector_weights)
    if not extras["face3d"] and (face3d_bundle or mesh != "none"):
        raise MienError(f"--{'face3d-bundle' if face3d_bundle else 'mesh'} is for 3D faces: --with face3d.")
    if output is None and (option := next((name for name, given in needing.items() if given), None)):
        raise MienError(f"--{option} needs --output FOLDER; without it mien analyze prints its readings only.")
    if ray is not None and output is not None and (overlay or overlay_video):
        raise MienError("--ray reads elsewhere and draws no pictures: add --no-overlay, without --overlay-video.")
    selection = FrameSelection(positive(every, "every") or 1, fps, seconds(start, "start") or 0.0, seconds(end, "end"))
    named, live = live_sources(inputs, stdin_frames)
    if live and resume:
        raise MienError(f"--resume reads the rest of files; {next(iter(live))} cannot be read again.")
    folder = None if output is None else writable_folder(output)
    with ExitStack() as stack:
        out = None
        if folder is not None:
            out = stack.enter_context(OutputFolder(folder, resume=resume, overwrite=overwrite))
        bundles, hearing = hearing_of(bundles_of(bundle), wanted=extras["voice"], threads=threads)
        named_files = files_of(named, folder, sounds=hearing is not None) if named or not live else []
        everything = [*live, *named_files][: positive(limit, "limit")]
        heard = [path for path in everything if path not in live and (is_sound(path) or is_video(path))]
        files = [path for path in everything if path in live or not is_sound(path)]
        if hearing is None and len(files) < len(everything):
            _, hearing = hearing_of(None, wanted=True, threads=threads)
        if hearing is not None and not files:
            return "\n".join(read_voices_alone(heard, hearing, out, refused=needing))
        options: dict[str, Any] = {
            "bundle": bundles, "detector": finder, "weights": detector_weights, "min_face": min_face,
            "backend": backend, "precision": precision, "threads": threads, "smooth": smooth,
            "affect": extras["affect"], "face3d": face3d_bundle or extras["face3d"],
            "landmarks": landmarks_for(bundles, landmarks, landmark_bundle),
            "detect_every": positive(detect_every, "detect-every"),
            "max_faces": positive(max_faces, "max-faces"), "coverage": coverage, "abstain": abstain,
            "logit_adjust": logit_adjust,
        }  # fmt: skip
        analyzer = Analyzer(**options)
        if points and analyzer.landmarks is None:
            raise MienError("--points needs landmarks. Leave out --landmarks no, or name a --landmark-bundle.")
        details = {
            "inputs": inputs, "detector": finder, "detector_version": detector_version(finder), "min_face": min_face,
            **video_details(analyzer, selection), "coverage": coverage, "abstain": abstain, "left_out": left_out(named),
            **({"logit_adjust": logit_adjust} if logit_adjust else {}),
        }  # fmt: skip
        videos = Videos(analyzer, selection, live)
        if ray is not None:
            shared = stack.enter_context(shared_readings(ray, videos, options))
            videos, details["ray"] = shared, shared.described
        drawn: dict[str, Any] = {
            "overlay": overlay,
            "overlay_video": overlay_video,
            "points": points,
            "meshes": SUFFIXES[mesh],
        }
        run = AnalyzeRun(videos, out, files, details, **drawn) if out else PrintedRun(videos, files, details)
        started = time.perf_counter()
        run.read()
        summary = run.summary(time.perf_counter() - started)
        made = [*write_formats_of(out, wanted), *([write_report_of(out)] if report else [])] if out else []
        voices = [] if hearing is None else read_voices(heard, hearing, folder)
        return "\n".join([summary, *voices, *made])
