"""`mien evaluate`: every output of a bundle that the data can measure, in tables and one report.

Its help reads this module, which therefore imports nothing heavy at its top.
"""

from dataclasses import fields
from typing import TYPE_CHECKING

from mien.data.options import USED_BY_EVALUATION, DataOptions
from mien.engine.bundles.predictor import RunnerName
from mien.engine.evaluation.options import Bootstrap, CropChoice, OcularNorm

if TYPE_CHECKING:
    from mien.engine.evaluation.result import Evaluation

NOT_IN_HELP = tuple(f"data.{f.name}" for f in fields(DataOptions) if f.name not in USED_BY_EVALUATION)
"""Options of training: the parser knows them, so that a fit command's get a message that says why they are refused."""


def evaluate(
    bundle: str,
    *,
    data: DataOptions,
    split: str | None = None,
    output: str = "evaluation",
    runner: RunnerName = "auto",
    batch_size: int = 64,
    device: str = "auto",
    bootstrap: int = 2000,
    seed: int = 0,
    compare: str | None = None,
    show_faces: bool = False,
    crop: CropChoice = "data",
    ocular_norm: OcularNorm = "outer",
    benchmark: bool = False,
    eval_3d: bool = False,
) -> "dict[str, Evaluation]":
    """Measure a bundle on a labelled split: metrics with intervals, tables, and report.html.

    Measures every output that the data have a truth for: classes, points, values (valence, arousal), pictures. With
    several of them their tables lie in a folder for each. The last four options are for bundles that give points.

    Args:
        bundle: folder of a bundle or of a training run, or the name of a model that ships with mien.
        data: the data set, by the same words as in `mien fit`.
        split: the part of the data set to measure on; by default data.test_split.
        output: folder for the report and its tables; files of an earlier evaluation in it are replaced.
        runner: what computes the network; auto takes torch where the bundle has safetensors, else onnx.
        batch_size: pictures in one forward pass.
        device: of torch, such as cpu or cuda:1; auto takes a GPU where there is one.
        bootstrap: resamples for the intervals; 0 leaves them out.
        seed: of the resampling.
        compare: second bundle, measured on the same pictures and compared with the first.
        show_faces: show the most confident mistakes as pictures in the report, for your own eyes.
        crop: what cuts out the faces; landmarks is a box around the true points, detector a face detector's, reading
            that and a second look as mien analyze takes it; both is landmarks and detector, all those and reading.
        ocular_norm: what errors are divided by; outer and pupil are distances of eye corners, bb the points' box.
        benchmark: print the lines of the published evaluator too.
        eval_3d: refuse to go on without depth, and print the errors in 3D with the lines of --benchmark.
    """
    from mien.engine.evaluation.run import EvaluationOptions, run

    options = EvaluationOptions(
        bundles=[name for name in (bundle, compare) if name], data=data, split=split, runner=runner, device=device,
        batch_size=batch_size, bootstrap=Bootstrap(bootstrap, seed), show_faces=show_faces,
        of_tasks={"crop": crop, "ocular_norm": ocular_norm, "benchmark": benchmark, "eval_3d": eval_3d},
    )  # fmt: skip
    return run(options, output)
