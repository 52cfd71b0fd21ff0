"""Trains a large POSTER V2 on FER+ in minutes on one GPU, for its logits: a teacher for the small models.

    python benchmarks/teacher/pack.py FERPLUS 300W PACK.npz
    python benchmarks/gpu_teacher.py --minutes 8 --data PACK.npz --output DIR
    python benchmarks/gpu_teacher.py --output DIR --bundle BUNDLE       # afterwards: a bundle of what came back
    python benchmarks/gpu_teacher.py --data PACK.npz --network poster_v2_small --teacher DIR --output STUDENT

From random weights: stage 0 on 300-W for 12 % of the time, or the landmark stream of a bundle, then, with it frozen,
the classifier on the votes of FER+. All faces stay on the GPU. The learning rate ends at 0 when the time does. The
epoch is chosen on faces held out of FER2013Train; FER2013Valid is measured once, at the end. A run that was cut off
goes on from --checkpoint.
A student learns the mean of the votes and of its teacher's probabilities (Hinton et al., arXiv 1503.02531).

DIR: metrics.json, log.csv, logits_train.npz (float16, by name), weights_N.safetensors (half precision).
"""

import argparse
import json
import time
import traceback
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gpu_run import START, Budget, CheckpointWriter, device_of, machine, parsed, parser_of, run_program, say, scores_of
from mien import create_model
from mien.core.errors import MienError
from mien.core.labels import label_set
from mien.core.records import Batch
from mien.data.transforms import augmentation
from mien.media.files import writable_folder, write_csv, write_text
from mien.nn.files.torch_files import read_torch_file
from mien.systems.bundle import load, save_bundle
from mien.systems.optim import OptimOptions
from mien.systems.poster_v2.network import PosterV2
from mien.systems.registry import config_dict
from mien.systems.step import TorchBatch, step_seed
from teacher import results, stages
from teacher.faces import (
    HELD_OUT,
    TRAIN,
    Faces,
    Pack,
    erased,
    lit,
    mixed,
    normalised,
    random_warps,
    read_pack,
    warped,
    warped_points,
)

LANDMARK_SHARE = 0.12  # of the minutes
REPORT_S = 30.0  # kept for what comes after training
LOG_S, CHECKPOINT_S = 5.0, 60.0
MIX_UNTIL, MIX_PROBABILITY = 0.8, 0.5  # share of the run; then faces are as they are
OFTEN = 0.6  # share of the run from which every epoch is validated, and not every third one
TEACHER_SHARE = 0.5  # of a student's targets
RETRIES = 3  # of a run that diverged, each from its last checkpoint at half the learning rate
# The faces have 48 pixels, so that is what the network takes. Both streams see them at 64: enlarged to 112 they say no
# more, and a step costs three times as much. Tokens of 512 instead of 768: 31 M weights instead of 44 M, which come
# back in half precision within 64 MiB.
NETWORKS: dict[str, dict[str, Any]] = {
    "poster_v2": {"input_size": 48, "trunk_size": 64, "color": "grey", "token_width": 512, "dropout": 0.2},
    "poster_v2_small": {},
}
LANDMARK_OPTIM = OptimOptions(name="adamw", lr=2e-3, weight_decay=0.05, clip=50, ema=0.995)
# A short run decays little: 0.2 at 1e-3 takes as long to halve a weight as the run lasts.
OPTIM = OptimOptions(name="adamw", lr=1e-3, weight_decay=0.2, clip=5, ema=0.999)
LANDMARK_RECIPE = augmentation("strong", rotation_deg=25, scale=(0.8, 1.25), shift=0.12, erase_probability=0.3)
RECIPE = augmentation("strong", rotation_deg=20, scale=(0.82, 1.2), shear_deg=5)
COLUMNS = ("elapsed_s", "progress", "epoch", "step", "lr", "loss", "faces_per_s", "held_out_accuracy", "held_out_nll")


def main() -> None:
    run_program(arguments(), train, write_bundle)


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    parser = parser_of(__doc__, pack="benchmarks/teacher/pack.py", batch=256, batch_text="faces in a step")
    parser.add_argument("--landmark-steps", type=int, default=0, help="steps of stage 0, instead of 12 %% of the time")
    parser.add_argument("--landmarks", help="bundle of the network's stage 0, instead of training it")
    parser.add_argument("--network", choices=NETWORKS, default="poster_v2")
    parser.add_argument("--teacher", type=Path, help="output of the run whose probabilities are learned too")
    parser.add_argument("--sam-rho", type=float, default=0.0, help="length of SAM's climb (0: no SAM)")
    return parsed(parser, given)


@dataclass
class Run:
    """What a run knows beside its stage."""

    scores: dict[str, Any] = field(default_factory=dict)
    """Of the stages and of the machine, for metrics.json."""
    rows: list[list[Any]] = field(default_factory=list)
    """Of log.csv."""
    best: dict[str, Any] = field(default_factory=dict)
    """Weights of the best epoch, its scores and its step."""


def train(options: argparse.Namespace) -> bool:
    """The whole run. False where training stopped early and what was reached by then was reported."""
    output, device = writable_folder(options.output), device_of()
    pack = read_pack(options.data, device)
    if options.teacher:
        pack.train.distribution.lerp_(results.teacher_probabilities(options.teacher, pack), TEACHER_SHARE)
    run = Run(scores=machine(device) | {"options": {k: str(v) for k, v in vars(options).items()}})
    say(f"{len(pack.train):,} faces, {len(pack.landmarks):,} with points, on {run.scores['device']}")
    state = read_torch_file(options.checkpoint) if options.checkpoint.is_file() else None
    stage, budget = begin(options, pack, run, state)
    complete = True
    try:
        fit(stage, pack.train, budget, run, options)
    except Exception:  # what was reached is worth reporting
        traceback.print_exc()
        run.scores["stopped"], complete = traceback.format_exc().splitlines()[-1], False
    if not run.best:
        raise MienError(f"No epoch was finished: {run.scores.get('stopped', 'the time was too short')}.")
    report(output, stage, pack, run, options)
    if complete:
        options.checkpoint.unlink(missing_ok=True)
    return complete


def begin(options: argparse.Namespace, pack: Pack, run: Run, state: dict[str, Any] | None) -> tuple[Any, Budget]:
    """The expression stage and its time, at the start or where the checkpoint left them."""
    device = pack.train.pixels.device
    torch.manual_seed(options.seed)
    labels = label_set("ferplus")
    if pack.classes != labels.classes:
        raise MienError(f"The pack has the classes {', '.join(pack.classes)}; expected {', '.join(labels.classes)}.")
    named = create_model(options.network, labels=labels, **NETWORKS[options.network])
    network = stages.SupervisedPosterV2(named.config, inputs=named.inputs, outputs=named.outputs)
    common = {"seed": options.seed, "bf16": device.type == "cuda"}
    optim = replace(OPTIM, sam_rho=options.sam_rho)
    stage = stages.build(stages.ExpressionTeacher, network, device, optim, **common)
    stage.steps_per_epoch = max(1, len(pack.train.of(TRAIN)) // options.batch)
    if state is None:
        stage.start_from("network", landmark_network(options, pack, run))
    else:
        stage.resume(state["stage"])
        stage.lr_factor = state["lr_factor"]
        run.best, run.rows = state["best"], state["rows"]
        run.scores |= {"landmarks": state["landmarks"]}
        say(f"goes on from step {stage.position.step} of {options.checkpoint}")
    stage.begin()
    run.scores["weights"] = sum(p.numel() for p in network.parameters())
    left = 60 * options.minutes - REPORT_S - (time.monotonic() - START)
    budget = Budget(max(left, 1.0), options.steps)
    if state is not None:
        budget = Budget(state["seconds"], options.steps, state["spent"])
    return stage, budget


def landmark_network(options: argparse.Namespace, pack: Pack, run: Run) -> Any:
    """Stage 0: the averaged network after its share of the time."""
    device, faces = pack.train.pixels.device, pack.landmarks
    if options.landmarks:
        run.scores["landmarks"] = {"bundle": options.landmarks}
        return load(options.landmarks).to(device)
    name = options.network.replace("poster_v2", "poster_v2_landmarks")
    network = create_model(name, **NETWORKS[options.network])
    # Not in bf16, whose steps near the lower right corner are 0.4 % of the crop.
    stage = stages.build(stages.LandmarkTeacher, network, device, LANDMARK_OPTIM, seed=options.seed, bf16=False)
    train, held = faces.of(TRAIN), faces.of(HELD_OUT)
    batch, size = min(64, len(train)), network.config.trunk_size
    stage.steps_per_epoch = max(1, len(train) // batch)
    stage.begin()
    budget = Budget(LANDMARK_SHARE * 60 * options.minutes, options.landmark_steps)
    logged = time.monotonic()
    while (progress := budget.progress(stage.position.step)) < 1:
        stage.progress = progress
        generator = torch.Generator(device).manual_seed(step_seed(options.seed, stage.position.step, 1))
        chosen = train.take(torch.randint(len(train), (batch,), generator=generator, device=device))
        warps = random_warps(LANDMARK_RECIPE, batch, generator)
        image = normalised(lit(warped(chosen.pixels, warps, size), LANDMARK_RECIPE, generator))
        image = erased(image, LANDMARK_RECIPE, generator)
        points = warped_points(chosen.points, warps)
        stage.train()
        stage.training_step(Batch(image=image, index=torch.arange(batch), landmarks=points), 0)
        if time.monotonic() - logged > LOG_S:
            logged = time.monotonic()
            say(f"stage 0: {progress:.0%}, step {stage.position.step}, wing {stage.losses.latest_values()['wing']:.3f}")
    stage.check_finite()
    stage.evaluated.eval()
    whole = normalised(warped(held.pixels, results.fixed(device)(len(held)), size))
    found = stage.predict(stage.evaluated, Batch(image=whole, index=torch.arange(len(held)), landmarks=held.points))
    scores = {name: float(value) for name, value in stage.validate(found, []).items()}
    run.scores["landmarks"] = scores | {"steps": stage.position.step, "seconds": budget.elapsed, "faces": len(train)}
    say(f"stage 0: {run.scores['landmarks']}")
    return stage.evaluated


@lru_cache(maxsize=1)
def order_of(count: int, seed: int, device: torch.device) -> Tensor:
    """An epoch's order. Made on the CPU, so that it is the same on every device; copied once."""
    return torch.randperm(count, generator=torch.Generator().manual_seed(seed)).to(device)


def batch_of(faces: Faces, stage: Any, options: argparse.Namespace, *, recipe: Any) -> TorchBatch:
    """The batch of the stage's next step: which faces and how they are altered follow from seed and step alone."""
    device, position, size = faces.pixels.device, stage.position, stage.system.config.trunk_size
    places = order_of(len(faces), step_seed(options.seed, position.epoch, 2), device)
    places = places[position.batch * options.batch :][: options.batch]
    generator = torch.Generator(device).manual_seed(step_seed(options.seed, position.step, 1))
    chosen = faces.take(places)
    image = lit(warped(chosen.pixels, random_warps(recipe, len(chosen), generator), size), recipe, generator)
    image = erased(normalised(image), recipe, generator)
    probability = MIX_PROBABILITY if stage.progress < MIX_UNTIL else 0.0
    image, distribution = mixed(image, chosen.distribution, generator, probability=probability)
    image = image.contiguous(memory_format=torch.channels_last)
    return Batch(image=image, index=places, distribution=distribution)


def fit(stage: Any, faces: Faces, budget: Budget, run: Run, options: argparse.Namespace) -> None:
    """Trains until the budget is spent, from the last checkpoint again where it diverges."""
    counts = [int((faces.part == part).sum()) for part in (TRAIN, HELD_OUT)]
    say(f"trains on {counts[0]:,} faces, {counts[1]:,} held out, {stage.steps_per_epoch} steps an epoch")
    writer = CheckpointWriter(options.checkpoint)
    writer.write(checkpoint(stage, budget, run))
    for retry in range(RETRIES + 1):
        try:
            fit_once(stage, faces, budget, run, options, writer=writer)
            break
        except MienError as error:
            say(f"diverged: {error}")
            if retry == RETRIES:
                raise
            writer.wait()
            state = read_torch_file(options.checkpoint)
            stage.resume(state["stage"])
            stage.begin()
            stage.lr_factor /= 2
    writer.wait()


def fit_once(
    stage: Any, faces: Faces, budget: Budget, run: Run, options: argparse.Namespace, *, writer: CheckpointWriter
) -> None:
    train, held = faces.of(TRAIN), faces.of(HELD_OUT)
    logged = saved = time.monotonic()
    counted, step_logged = 0.0, stage.position.step
    while (progress := budget.progress(stage.position.step)) < 1:
        stage.progress = progress
        stage.train()
        stage.training_step(batch_of(train, stage, options, recipe=RECIPE), 0)
        ended = stage.position.batch >= stage.steps_per_epoch
        if (now := time.monotonic()) - logged > LOG_S:
            counted = (stage.position.step - step_logged) * min(options.batch, len(train)) / (now - logged)
            logged, step_logged = now, stage.position.step
            losses = ", ".join(f"{name} {value:.3f}" for name, value in stage.losses.latest_values().items())
            say(f"{progress:5.1%}, epoch {stage.position.epoch}, step {step_logged}: {losses}, {counted:,.0f} faces/s")
        if ended:
            stage.check_finite()
            if progress > OFTEN or stage.position.epoch % 3 == 0:
                validate(stage, held, budget, run, counted)
            stage.begin_next_epoch()
            if time.monotonic() - saved > CHECKPOINT_S:
                saved = time.monotonic()
                writer.write(checkpoint(stage, budget, run))
    stage.check_finite()
    if not run.rows or run.rows[-1][COLUMNS.index("step")] < stage.position.step:
        validate(stage, held, budget, run, counted)


def validate(stage: Any, held: Faces, budget: Budget, run: Run, faces_per_s: float) -> None:
    """Scores of the averaged network on the held-out faces, and its weights where none were better."""
    pixels, size = held.pixels, stage.system.config.trunk_size
    logits = results.logits_of(
        stage.evaluated, pixels, results.fixed(pixels.device), size=size, bf16=stage.step_options.bf16
    )
    scores = stage.validate({"logits": logits.cpu().numpy(), "truth": held.expression.cpu().numpy()}, [])
    losses = stage.losses.means() or stage.losses.latest_values()
    row = {
        "elapsed_s": round(budget.elapsed, 1), "progress": round(stage.progress, 4), "epoch": stage.position.epoch,
        "step": stage.position.step, "lr": stage.learning_rate(stage.optim_options),
        "loss": losses["cross_entropy"], "faces_per_s": round(faces_per_s),
        "held_out_accuracy": scores["accuracy"], "held_out_nll": scores["nll"],
    }  # fmt: skip
    run.rows.append([row[name] for name in COLUMNS])
    held_out = f"accuracy {scores['accuracy']:.4f}, nll {scores['nll']:.4f}"
    say(f"epoch {row['epoch']}: train loss {row['loss']:.3f}, held out: {held_out}")
    if scores["accuracy"] > run.best.get("accuracy", -1):
        weights = {name: value.clone() for name, value in stage.evaluated.state_dict().items()}
        run.best = scores | {"epoch": row["epoch"], "step": row["step"], "weights": weights}


def checkpoint(stage: Any, budget: Budget, run: Run) -> dict[str, Any]:
    return {
        "stage": stage.snapshot(), "lr_factor": stage.lr_factor, "best": run.best, "rows": run.rows,
        "landmarks": run.scores["landmarks"], "seconds": budget.seconds, "spent": budget.elapsed,
    }  # fmt: skip


def report(output: Path, stage: Any, pack: Pack, run: Run, options: argparse.Namespace) -> None:
    """Writes what the best epoch gives. The logits first: they are what the run is for."""
    network = stages.SupervisedPosterV2(stage.system.config, inputs=stage.system.inputs, outputs=stage.system.outputs)
    network.load_state_dict(run.best.pop("weights"))
    device, size = pack.train.pixels.device, network.config.trunk_size
    plain = network.published().to(device, memory_format=torch.channels_last)
    arrays = {
        "names": np.array(pack.names), "classes": np.array(pack.classes), "part": pack.train.part.cpu().numpy()
    } | results.training_logits(plain, pack.train.pixels, size=size, seed=options.seed)  # fmt: skip
    results.write_arrays(output / "logits_train.npz", arrays)
    say(f"logits of {len(pack.train):,} faces")
    run.scores |= {"system": options.network, "config": config_dict(plain), "chosen": run.best}
    write_csv(output / "log.csv", COLUMNS, run.rows)
    results.write_weights(output, plain)
    logits, run.scores["temperature"] = {}, 1.0
    for name, faces in (("held_out", pack.train.of(HELD_OUT)), ("valid", pack.valid)):
        truth = faces.expression.cpu().numpy()
        logits = {k: v.cpu().numpy() for k, v in results.predictions(plain, faces.pixels, size=size).items()}
        run.scores[name] = {k: stage.validate({"logits": v, "truth": truth}, []) for k, v in logits.items()}
        run.scores[name]["faces"] = len(faces)
        if name == "held_out":
            fitted = stage.temperatures({"logits": logits["single"], "truth": truth})
            run.scores["temperature"] = fitted["expression"]
        say(f"{name}: {run.scores[name]}")
    arrays |= {f"valid_{name}": value.astype(np.float16) for name, value in logits.items()}
    results.write_arrays(output / "logits_train.npz", arrays | {"valid_names": np.array(pack.valid_names)})
    run.scores["valid_as_bundle"] = accuracy_as_bundle(output, plain, pack.valid)
    run.scores["seconds"] = time.monotonic() - START
    write_text(output / "metrics.json", json.dumps(run.scores, indent=1))
    say(f"{output}: {', '.join(sorted(path.name for path in output.iterdir()))}")


def accuracy_as_bundle(output: Path, network: PosterV2, faces: Faces) -> float:
    """Of the weights as written, on faces as `PictureInput` gives them: 48 pixels, one by one, not enlarged here."""
    network = results.read_weights(output, network)
    with torch.no_grad():
        images = (normalised(part[:, None].float() / 255) for part in results.batches(faces.pixels))
        answers = torch.cat([network(image)["expression"].argmax(1) for image in images])[: len(faces)]
    return float((answers == faces.expression).float().mean())


def write_bundle(folder: Path, bundle: Path) -> None:
    """The bundle of what a run wrote into `folder`."""
    scores = scores_of(folder)
    network = create_model(scores["system"], labels="ferplus", **scores["config"])
    network = results.read_weights(folder, network)
    provenance = {name: scores[name] for name in ("device", "torch", "chosen", "held_out", "valid")}
    save_bundle(bundle, network, temperatures={"expression": scores["temperature"]}, provenance=provenance)
    print(f"{bundle}: {scores['system']}, FER2013Valid {scores['valid_as_bundle']:.4f}")


if __name__ == "__main__":
    main()
