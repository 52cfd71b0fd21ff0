"""Trains a StyleGAN2 of 64 pixels and an ASIT inverter on it in minutes on one GPU.

    python benchmarks/inverter/pack.py --london LONDON --lfw LFW --w300 300W --people 6000 --cache DIR PACK.npz
    python benchmarks/gpu_inverter.py --minutes 8 --data PACK.npz --output DIR
    python benchmarks/gpu_inverter.py --output DIR --bundle BUNDLES     # afterwards: bundles of what came back

The systems are `stylegan2_small` and `asit_small`, the stages those of `mien.systems.ifer`. All faces stay on the GPU.
The generator has 55 % of the time, the inverter the rest; each learning rate ends at 0 when its time does. The
generator goes on learning with the inverter, and stage 0's discriminator goes on as its critic. A run that was cut off
goes on from --checkpoint, which is written every minute, as are weights and pictures.

DIR: metrics.json, log.csv, generator/ and inverter/ (weights_N.safetensors, half precision), samples.png, faces.png
(rows: source, rebuilt, rebuilt from the codes alone, principal components of as many numbers as those).
"""

import argparse
import json
import time
import traceback
from pathlib import Path
from typing import Any

import torch

from gpu_run import START, Budget, CheckpointWriter, device_of, machine, parsed, parser_of, run_program, say, scores_of
from inverter import results, stages
from inverter.faces import REAL, Faces, normalised, read_pack
from mien import create_model
from mien.core.errors import MienError
from mien.media.files import writable_folder, write_csv, write_text
from mien.nn.files.torch_files import read_torch_file
from mien.systems.bundle import save_bundle
from mien.systems.ifer.generation import numbered_z
from mien.systems.registry import config_dict
from teacher.results import read_weights, write_weights

GENERATOR_SHARE = 0.55  # of the time
REPORT_S = 35.0  # kept for what comes after training
LOG_S, SAVE_S = 5.0, 60.0
RETRIES = 3  # of a run that diverged, each from its last checkpoint at half the learning rate
SAMPLES, SHOWN = 128, 48  # pictures of a grid
PHASES = ("generator", "inverter")
COLUMNS = ("phase", "elapsed_s", "progress", "step", "lr", "pictures_per_s", "losses")


def main() -> None:
    run_program(arguments(), train, write_bundles)


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    text = "pictures in a step of the generator"
    parser = parser_of(__doc__, pack="benchmarks/inverter/pack.py", batch=64, batch_text=text)
    parser.add_argument("--inverter-batch", type=int, default=128, help="of the inverter (128)")
    parser.add_argument("--generator", type=Path, help="output of a run whose generator is taken; only the inverter")
    parser.add_argument("--config", default="{}", help="options of both systems as JSON, such as a smaller width")
    parser.add_argument("--encoder", default="{}", help="options of the inverter's encoder as JSON")
    return parsed(parser, given)


class Run:
    """What a run knows beside its stage."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options, self.device = options, device_of()
        self.output = writable_folder(options.output)
        self.train, self.held = read_pack(options.data, self.device)
        self.shares = self.train.shares(stages.SHARES)
        self.scores: dict[str, Any] = machine(self.device)
        self.scores["options"] = {name: str(value) for name, value in vars(options).items()}
        self.rows: list[list[Any]] = []
        self.writer = CheckpointWriter(options.checkpoint)
        left = 60 * options.minutes - REPORT_S - (time.monotonic() - START)
        self.seconds = max(left, 2.0)
        self.spent = 0.0  # in finished phases and in earlier processes

    def stage(self, phase: str) -> Any:
        """Freshly initialised and on the device, not begun."""
        config, encoder = json.loads(self.options.config), json.loads(self.options.encoder)
        if phase == PHASES[0]:
            return stages.generator_stage(self.device, seed=self.options.seed, **config)
        return stages.inverter_stage(self.device, seed=self.options.seed, **config, **encoder)


def train(options: argparse.Namespace) -> bool:
    """The whole run. False where a phase stopped early and what was reached by then was reported."""
    run = Run(options)
    say(f"{len(run.train):,} faces, {len(run.held):,} held out, on {run.scores['device']}")
    state = read_torch_file(options.checkpoint) if options.checkpoint.is_file() else None
    complete, former = True, None
    first = PHASES.index(state["phase"]) if state else (1 if options.generator else 0)
    if state:
        run.rows, run.seconds = state["rows"], state["seconds"]
    for phase in PHASES[first:]:
        stage = run.stage(phase)
        if state is not None:
            stage.resume(state["stage"])
            stage.lr_factor = state["lr_factor"]
            say(f"goes on from step {stage.position.step} of {options.checkpoint}")
        elif phase == PHASES[1]:
            take_over(stage, former, options)
        stage.begin()
        share = GENERATOR_SHARE if phase == PHASES[0] else 1 - GENERATOR_SHARE if first == 0 else 1.0
        budget = Budget(share * run.seconds, options.steps, state["spent"] if state else 0.0)
        try:
            fit(run, stage, phase, budget)
        except Exception:  # what was reached is worth reporting
            traceback.print_exc()
            run.scores[f"{phase}_stopped"], complete = traceback.format_exc().splitlines()[-1], False
        run.writer.wait()
        finish(run, stage, phase)
        former, state = stage, None
    if complete:
        options.checkpoint.unlink(missing_ok=True)
    return complete


def take_over(stage: Any, former: Any, options: argparse.Namespace) -> None:
    """The averaged generator and its discriminator, of the phase before or of another run."""
    if former is None:
        generator = create_model("stylegan2_small", **json.loads(options.config)).to(stage.device)
        read_weights(options.generator / PHASES[0], generator)  # type: ignore[arg-type]
        stage.initialize("generator", generator)
        return
    stage.initialize("generator", former.evaluated)
    stage.critic.load_state_dict(former.discriminator.state_dict())


def fit(run: Run, stage: Any, phase: str, budget: Budget) -> None:
    """Trains until the budget is spent, from the last checkpoint again where it diverges."""
    run.writer.write(checkpoint(run, stage, phase, budget))
    for retry in range(RETRIES + 1):
        try:
            fit_once(run, stage, phase, budget)
            return
        except MienError as error:
            say(f"diverged: {error}")
            if retry == RETRIES:
                raise
            run.writer.wait()
            stage.resume(read_torch_file(run.options.checkpoint)["stage"])
            stage.begin()
            stage.lr_factor /= 2


def fit_once(run: Run, stage: Any, phase: str, budget: Budget) -> None:
    inverts = phase == PHASES[1]
    size = run.options.inverter_batch if inverts else run.options.batch
    logged = saved = time.monotonic()
    step_logged = stage.position.step
    while (progress := budget.progress(stage.position.step)) < 1:
        stage.progress = progress
        stage.train()
        stage.training_step(stages.batch_of(run.train, stage, run.shares, size=size, altered=inverts), 0)
        if (now := time.monotonic()) - logged > LOG_S:
            rate = (stage.position.step - step_logged) * size / (now - logged)
            logged, step_logged = now, stage.position.step
            log(run, stage, phase, budget, rate)
        if time.monotonic() - saved > SAVE_S:
            saved = time.monotonic()
            stage.check_finite()
            run.writer.write(checkpoint(run, stage, phase, budget))
            show(run, stage, phase)
            write_weights(writable_folder(run.output / phase), stage.evaluated)
            write_csv(run.output / "log.csv", COLUMNS, run.rows)
            stage.losses.start_epoch()
    stage.check_finite()
    log(run, stage, phase, budget, 0.0)


def log(run: Run, stage: Any, phase: str, budget: Budget, rate: float) -> None:
    losses = ", ".join(f"{name} {value:.4f}" for name, value in stage.losses.latest_values().items())
    rate_of = stage.learning_rate(stage.optim_options)
    step = stage.position.step
    run.rows.append([phase, round(budget.elapsed, 1), round(stage.progress, 4), step, rate_of, round(rate), losses])
    say(f"{phase} {stage.progress:5.1%}, step {step}: {losses}, {rate:,.0f} pictures/s")


def checkpoint(run: Run, stage: Any, phase: str, budget: Budget) -> dict[str, Any]:
    return {
        "phase": phase, "stage": stage.snapshot(), "lr_factor": stage.lr_factor, "rows": run.rows,
        "seconds": run.seconds, "spent": budget.elapsed,
    }  # fmt: skip


@torch.no_grad()
def show(run: Run, stage: Any, phase: str) -> None:
    """A picture to look at, by the averaged network."""
    stage.evaluated.eval()
    if phase == PHASES[0]:
        z = numbered_z(torch.arange(SAMPLES), stage.system.config.style).to(run.device)
        drawn = stage.evaluated(z)["picture"].float()
        results.grid(run.output / "samples.png", [drawn])
    else:
        image = normalised(shown_faces(run.held).pixels)
        rows = [image] + [
            results.inverter_of(stage.evaluated, residual=residual)(image).float() for residual in (True, False)
        ]
        results.grid(run.output / "faces.png", rows)


def shown_faces(held: Faces) -> Faces:
    """Some of every source."""
    parts = [held.of(name) for name in (*REAL, "people")]
    parts = [part for part in parts if len(part)]
    each = max(1, SHOWN // len(parts))
    places = [torch.linspace(0, len(part) - 1, min(each, len(part))).long() for part in parts]
    pixels = [part.pixels[place.to(part.pixels.device)] for part, place in zip(parts, places, strict=True)]
    return Faces(torch.cat(pixels), torch.zeros(len(torch.cat(pixels))))


@torch.no_grad()
def finish(run: Run, stage: Any, phase: str) -> None:
    """Writes weights, pictures and scores of a phase; of the inverter beside the baselines."""
    network = stage.evaluated.eval()
    write_weights(writable_folder(run.output / phase), network)
    show(run, stage, phase)
    run.scores[phase] = {
        "config": config_dict(network), "steps": stage.position.step,
        "weights": sum(p.numel() for p in network.parameters()),
        "losses": stage.losses.means() or stage.losses.latest_values(),
    }  # fmt: skip
    if phase == PHASES[0]:
        run.scores[phase]["swd"] = distance(run, stage)
    else:
        run.scores["numbers"] = network.config.numbers
        methods, image = compared(run, network), normalised(shown_faces(run.held).pixels)
        run.scores["errors"] = results.errors(methods, run.held)
        results.grid(run.output / "faces.png", [image, *(rebuild(image).float() for rebuild in methods.values())])
        for method, values in run.scores["errors"]["real"].items():
            say(f"real faces, {method}: " + ", ".join(f"{name} {value:.4f}" for name, value in values.items()))
    run.scores["seconds"] = time.monotonic() - START
    write_csv(run.output / "log.csv", COLUMNS, run.rows)
    write_text(run.output / "metrics.json", json.dumps(run.scores, indent=1))
    say(f"{phase}: {stage.position.step} steps, written to {run.output}")


def distance(run: Run, stage: Any) -> dict[str, float]:
    """Of as many drawn pictures to the held-out ones, mixed as the batches are."""
    held = run.held
    generator = torch.Generator(run.device).manual_seed(0)
    places = torch.multinomial(held.shares(stages.SHARES), min(len(held), 1000), True, generator=generator)
    parts = [
        stage.predict(stage.evaluated, stages.Batch(image=normalised(held.pixels[some]), index=number))
        for some, number in zip(places.split(250), torch.arange(len(places)).split(250), strict=True)
    ]
    import numpy as np

    found = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    scores: dict[str, float] = stage.validate(found, [])
    mirrored = stage.validate({"generated": found["real"][::-1][:, :, ::-1], "real": found["real"]}, [])
    say(f"sliced Wasserstein distance {scores['swd']:.1f}; of the real pictures to their mirror images "
        f"{mirrored['swd']:.1f}")  # fmt: skip
    return scores | {"mirrored_real": mirrored["swd"]}


def compared(run: Run, network: Any) -> dict[str, results.Rebuild]:
    """The inverter with its residual and without, principal components of as many numbers as each, the mean face."""
    numbers = network.config.numbers
    codes, whole = sum(numbers.values()) - numbers.get("features", 0), sum(numbers.values())
    components = results.components_of(run.train, run.shares)

    def principal(count: int) -> results.Rebuild:
        return lambda image: components.rebuild(image, count)

    counts = sorted({numbers["codes"], codes, whole})
    return {
        f"inverter, {whole} numbers": results.inverter_of(network, residual=True),
        f"inverter, codes alone, {codes} numbers": results.inverter_of(network, residual=False),
        **{f"principal components, {count} numbers": principal(count) for count in counts},
        "mean face": principal(0),
    }


def write_bundles(folder: Path, bundles: Path) -> None:
    """The bundles of what a run wrote into `folder`."""
    scores = scores_of(folder)
    for phase, system in zip(PHASES, ("stylegan2_small", "asit_small"), strict=True):
        if phase not in scores:
            continue
        network = read_weights(folder / phase, create_model(system, **scores[phase]["config"]))  # type: ignore[arg-type]
        provenance = {name: scores[name] for name in ("device", "torch", "errors") if name in scores}
        save_bundle(bundles / system, network, provenance=provenance)
        print(bundles / system)


if __name__ == "__main__":
    main()
