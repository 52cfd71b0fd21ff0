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
    by: str = "",
    groups: str = "",
    logit_adjust: float = 0.0,
    crop: CropChoice = "data",
    ocular_norm: OcularNorm = "outer",
    benchmark: bool = False,
    eval_3d: bool = False,
) -> "dict[str, Evaluation]":
    """Evaluate a bundle on a labelled split: metrics with confidence intervals, tables and report.html.

    Evaluates every output that the data set has labels for: classes, points, values (valence, arousal), pictures. Of
    several outputs each has its own folder of tables. The last four options are for bundles that give points.

    Args:
        bundle: folder of a bundle or of a training run, or the name of a model that ships with mien.
        data: the data set, by the options of `mien fit`; by default that of the training run.
        split: split to evaluate on; by default data.test_split. Several, such as valid,test, have a folder each.
        output: folder for the report and its tables; files of an earlier evaluation in it are replaced.
        runner: what runs the network; auto takes torch where the bundle has safetensors, else onnx.
        batch_size: pictures in a forward pass.
        device: device of torch, such as cpu or cuda:1; auto takes a GPU where there is one.
        bootstrap: bootstrap resamples for the confidence intervals; 0 omits them.
        seed: seed of the resampling.
        compare: second bundle, evaluated on the same pictures and compared with the first.
        show_faces: show the most confident errors as pictures in the report, which is then not for sharing.
        by: column that divides the faces into groups, each with its metrics: of the data set (subject, clip, affected,
            voice_expression) or of --groups.
        groups: CSV with that column, such as age or gender, and a column key, path or file that names the faces.
        logit_adjust: of classes: divide the probabilities by the classes' shares in training, to this power, 0..2
            (Menon et al., ICLR 2021): 1 is for faces among which all classes are equally frequent. Finds rare classes
            more often, common ones less.
        crop: box that faces are cropped by; data is the data set's own, landmarks encloses the true points, detector is
            a face detector's, reading is that followed by a second crop around the predicted points, as in mien
            analyze; both is landmarks and detector, all adds reading.
        ocular_norm: normalisation of errors: outer is the distance of the outer eye corners, pupil that of the pupils,
            bb the size of the points' bounding box, none is pixels.
        benchmark: also print the lines of the published evaluator.
        eval_3d: require depth, and print errors in 3D with the lines of --benchmark.
    """
    from mien.engine.evaluation.run import EvaluationOptions, run, run_splits
    from mien.engine.evaluation.run_data import with_data_of_run

    options = EvaluationOptions(
        data=with_data_of_run(bundle, data),
        bundles=[name for name in (bundle, compare) if name], split=split, runner=runner, device=device,
        batch_size=batch_size, bootstrap=Bootstrap(bootstrap, seed), show_faces=show_faces, by=by, groups=groups,
        of_tasks={
            "crop": crop, "ocular_norm": ocular_norm, "benchmark": benchmark, "eval_3d": eval_3d,
            "logit_adjust": logit_adjust,
        },
    )  # fmt: skip
    return run_splits(options, output) if "," in (split or "") else run(options, output)
