"""Runs an evaluation: which outputs the data can measure, their measurement, and what is written.

A bundle's outputs are measured by the tasks of their kinds; those that describe another output are measured with it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from mien.core.errors import MienError
from mien.core.records import Sample
from mien.core.spec import primary
from mien.data.inputs import checked_inputs
from mien.data.options import DataOptions
from mien.engine.bundles.predictor import Predictor, RunnerName, open_predictor
from mien.engine.evaluation.by_group import group_table, groups_of, write_groups
from mien.engine.evaluation.classes.rows import write_rows
from mien.engine.evaluation.contamination import check_contamination, provenance_warnings
from mien.engine.evaluation.data import EvaluationData, NotMeasurableError
from mien.engine.evaluation.options import Bootstrap
from mien.engine.evaluation.page import print_groups, write_report_of_outputs
from mien.engine.evaluation.result import Evaluation
from mien.engine.evaluation.shared_pass import SharedPass
from mien.engine.evaluation.tables import write_metrics
from mien.engine.evaluation.task import TASKS, Job, sections_of, task_of
from mien.media.files import writable_folder

METRICS, REPORT = "metrics.jsonl", "report.html"
_FOLDER_NAME = re.compile(r"\w[\w.-]*")


@dataclass(frozen=True)
class EvaluationOptions:
    """All that `mien evaluate` is asked for."""

    bundles: Sequence[str]
    """One, or two to be compared on the same faces."""
    data: DataOptions
    """The data set."""
    split: str | None = None
    """None is `data.test_split`."""
    runner: RunnerName = "auto"
    """What computes the network."""
    device: str = "auto"
    """Of torch."""
    batch_size: int = 64
    """Faces in one forward pass."""
    bootstrap: Bootstrap = field(default_factory=Bootstrap)
    """For the intervals."""
    show_faces: bool = False
    """Whether the report may show faces."""
    by: str = ""
    """Column that divides the faces into groups; empty for none."""
    groups: str = ""
    """Table with that column, by path; empty takes the data set's own columns."""
    of_tasks: Mapping[str, Any] = field(default_factory=dict)
    """Values of the options that only some kinds of output have, by the field's name in the task's `options_class`."""

    def __post_init__(self) -> None:
        least = {"batch_size": (self.batch_size, 1), "bootstrap": (self.bootstrap.resamples, 0)}
        for option, (value, minimum) in (least | {"seed": (self.bootstrap.seed, 0)}).items():
            if value < minimum:
                raise MienError(f"--{option} must be at least {minimum}; got {value}.")


@dataclass
class Plan:
    """What is measured of one bundle."""

    bundle: str
    """As the user named it."""
    predictor: Predictor
    """Its network."""
    jobs: dict[str, Job] = field(default_factory=dict)
    """Output → its job."""
    not_measurable: dict[str, str] = field(default_factory=dict)
    """Output → why these data cannot measure it."""

    @property
    def samples(self) -> list[Sample]:
        """Every face of any job, once."""
        return list({s.key: s for job in self.jobs.values() for s in job.target.samples}.values())


def run(options: EvaluationOptions, output: str) -> dict[str, Evaluation]:
    """By output of the first bundle. Raises MienError for what cannot be opened, measured, compared or written."""
    options.data.refuse_inside(output)
    folder = writable_folder(Path(output))
    plans = [Plan(name, open_predictor(name, runner=options.runner, device=options.device)) for name in options.bundles]
    for plan in plans:
        _refuse_unused(plan, options)
    data = EvaluationData(options.data, options.split)
    for plan in plans:
        _add_jobs(plan, data, options)
    groups = _groups(plans[0], options)
    pairs = _pairs(*plans) if len(plans) == 2 else {}
    _leave_out_training_faces(plans, data)
    for plan in plans:  # before hours are spent
        checked_inputs(plan.predictor.info.inputs, plan.samples)
    measured = [measure(plan, options.batch_size) for plan in plans]
    results = measured[0]
    for first, second in pairs.items():
        task = task_of(results[first].info.outputs[first].kind)
        bootstrap = options.bootstrap.for_comparison
        results[first] = task.compare(results[first], measured[1][second], bootstrap)
    results = {name: _by_group(result, groups, options) for name, result in results.items()}
    write(folder, results, show_faces=options.show_faces)
    write_rows([*results.values()], _first_classes(measured[1:]), folder)
    return results


def _groups(plan: Plan, options: EvaluationOptions) -> dict[str, str]:
    """Key of each face to its group, before hours are spent; {} where none are asked for."""
    if options.groups and not options.by:
        raise MienError("--groups FILE names a table of groups; name its column too: --by COLUMN.")
    return groups_of(plan.samples, options.by, options.groups) if options.by else {}


def _by_group(result: Evaluation, groups: Mapping[str, str], options: EvaluationOptions) -> Evaluation:
    """With the metrics of each group, where groups were asked for and the kind of output has such metrics."""
    statistics = task_of(result.info.outputs[result.output].kind).statistics(result) if options.by else {}
    if not statistics:
        return result
    table = group_table(options.by, groups, statistics, options.bootstrap)
    return replace(result, groups=table, scores=[*result.scores, *table.scores])


def run_splits(options: EvaluationOptions, output: str) -> dict[str, Evaluation]:
    """`run` of each split that `options.split` lists, in a folder of its name; by SPLIT/OUTPUT.

    Raises MienError for a split that the data do not have, before anything is measured.
    """
    names = [name.strip() for name in (options.split or "").split(",")]
    reader = options.data.open(evaluation=True)
    splits = [reader.resolve(name) for name in names]
    found: dict[str, Evaluation] = {}
    for split in dict.fromkeys(splits):
        results = run(replace(options, split=split), str(Path(output) / split))
        found |= {f"{split}/{name}": result for name, result in results.items()}
    return found


def _first_classes(others: Sequence[Mapping[str, Evaluation]]) -> list[Evaluation]:
    """The main output of classes of each further model."""
    found = [[e for e in results.values() if e.info.outputs[e.output].kind == "classes"] for results in others]
    return [evaluations[0] for evaluations in found if evaluations]


def measurable_kinds(plan: Plan) -> dict[str, str]:
    """Output → kind, of the outputs that stand for themselves and have a task.

    Raises MienError where there is none, and for a name that cannot be that of a folder.
    """
    info = plan.predictor.info
    found = {name: output.kind for name, output in primary(info.outputs).items() if output.kind in TASKS}
    if not found:
        raise MienError(f"{plan.bundle} gives {info.gives}: nothing that could be measured ({', '.join(TASKS)}).")
    if bad := [name for name in found if not _FOLDER_NAME.fullmatch(name)]:
        raise MienError(f"{plan.bundle} has an output named {bad[0]!r}; a name has letters, digits, '_', '.' and '-'.")
    return dict(found)


def _refuse_unused(plan: Plan, options: EvaluationOptions) -> None:
    """Raises MienError for an option that no output of the bundle takes and that differs from its default."""
    used = {f.name for kind in measurable_kinds(plan).values() for f in fields(task_of(kind).options_class)}
    for kind in TASKS:
        for option in fields(task_of(kind).options_class):
            given = options.of_tasks.get(option.name, option.default)
            if option.name not in used and given != option.default:
                raise MienError(
                    f"--{option.name.replace('_', '-')} is for bundles that give {kind}; {plan.bundle} gives "
                    f"{plan.predictor.info.gives}."
                )


def _add_jobs(plan: Plan, data: EvaluationData, options: EvaluationOptions) -> None:
    """A job for each output that these data can measure. Raises MienError where there is none."""
    info = plan.predictor.info
    for output, kind in measurable_kinds(plan).items():
        task = task_of(kind)
        own = {f.name: options.of_tasks[f.name] for f in fields(task.options_class) if f.name in options.of_tasks}
        chosen = task.options_class(**own)
        try:
            target = task.target(data, info, output, chosen)
        except NotMeasurableError as error:
            plan.not_measurable[output] = str(error)
            continue
        plan.jobs[output] = Job(
            bundle=plan.bundle, info=info, output=output, data=data, target=target, options=chosen,
            bootstrap=options.bootstrap,
        )  # fmt: skip
    if not plan.jobs:
        raise MienError(" ".join(plan.not_measurable.values()))
    notes = data.notes + [f"Not measured: {output}. {why}" for output, why in plan.not_measurable.items()]
    plan.jobs = {output: replace(job, notes=notes) for output, job in plan.jobs.items()}


def _pairs(first: Plan, second: Plan) -> dict[str, str]:
    """Outputs to compare: those of one kind with the same name, else the only ones of that kind.

    Raises MienError where there are none. Outputs of the second bundle without a counterpart are not measured.
    """
    kinds = [{output: job.declared.kind for output, job in plan.jobs.items()} for plan in (first, second)]
    pairs = {}
    for output, kind in kinds[0].items():
        alike = [name for name, other in kinds[1].items() if other == kind]
        if output in alike:
            pairs[output] = output
        elif len(alike) == 1 and list(kinds[0].values()).count(kind) == 1:
            pairs[output] = alike[0]
    if not pairs:
        given = [", ".join(dict.fromkeys(found.values())) for found in kinds]
        raise MienError(
            f"Two models compare on one task; {first.bundle} gives {given[0]}, {second.bundle} gives {given[1]}."
        )
    second.jobs = {name: second.jobs[name] for name in pairs.values()}
    for output in first.jobs.keys() - pairs.keys():
        note = f"Not compared: {output}. {second.bundle} has no such output of these data."
        first.jobs[output] = replace(first.jobs[output], notes=[*first.jobs[output].notes, note])
    return pairs


def _leave_out_training_faces(plans: Sequence[Plan], data: EvaluationData) -> None:
    """Obeys `data.leaks`. Raises MienError for faces that are to be refused, and where none is left."""
    infos = [plan.predictor.info for plan in plans]
    found = check_contamination(data, [plan.samples for plan in plans], [plan.bundle for plan in plans], infos)
    for plan, warnings in zip(plans, found.warnings, strict=True):
        for output, job in plan.jobs.items():
            kept = job.without(found.dropped)
            if not kept.target.samples:
                raise MienError(f"data.leaks: drop leaves no face of {data.described}: all were trained on.")
            lines = [*warnings, *provenance_warnings(job.info, kept.target)]
            plan.jobs[output] = replace(kept, contamination=lines, leaks=found.about)


def measure(plan: Plan, batch_size: int) -> dict[str, Evaluation]:
    """Predictions and scores of every job; outputs of the prepared inputs share one pass."""
    tasks = {output: task_of(job.declared.kind) for output, job in plan.jobs.items()}
    collected = {output: task.collect(plan.jobs[output]) for output, task in tasks.items()}
    requests = {output: (plan.jobs[output].target.samples, collect) for output, collect in collected.items() if collect}
    network = SharedPass(plan.predictor, requests, batch_size=batch_size)
    return {output: task.measure(plan.jobs[output], network) for output, task in tasks.items()}


def write(folder: Path, results: Mapping[str, Evaluation], *, show_faces: bool) -> None:
    """Tables, metrics.jsonl, report.html, and a summary on standard output.

    The tables of one output lie in the folder itself, those of several in a folder for each.
    """
    tasks = {output: task_of(result.info.outputs[output].kind) for output, result in results.items()}
    several = len(results) > 1
    for output, task in tasks.items():
        task.write_tables(folder / output if several else folder, results[output])
        if (groups := results[output].groups) is not None:
            write_groups(folder / output if several else folder, groups)
    write_metrics(folder / METRICS, results)
    if several:
        sections = {output: sections_of(t, results[output], show_faces=show_faces) for output, t in tasks.items()}
        write_report_of_outputs(folder / REPORT, results, sections)
    for output, task in tasks.items():
        if not several:
            task.write_report(folder / REPORT, results[output], show_faces=show_faces)
        task.print_summary(results[output], folder)
        print_groups(results[output])
