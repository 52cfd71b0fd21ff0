"""The bundle of a training run: how its weights came about, and its writing."""

from collections.abc import Callable, Mapping
from typing import Any

from mien import __version__
from mien.core.licence import Licence, inherited
from mien.data.datamodule import FaceDataModule
from mien.engine.bundles.card import bundle_card
from mien.engine.evaluation.contamination import training_faces
from mien.engine.training.config import FitConfig
from mien.engine.training.run_folder import RunFolder
from mien.engine.training.setup import named_bundles
from mien.media.bundles import bundle_folder
from mien.systems.bundle import read_info, save_bundle
from mien.systems.stage import Stage

SaveBest = Callable[["Stage", dict[str, float]], tuple[str, dict[str, float]]]


def bundle_writer(
    run: RunFolder, config: FitConfig, stage: Stage, data: FaceDataModule, *, soup: Mapping[str, Any] | None = None
) -> tuple[SaveBest, dict[str, Any]]:
    """A function that writes an epoch's bundle and returns its hash and temperatures; the scores' protocol.

    soup: of a bundle whose weights are the mean of several runs', what it says of them.
    """
    inits = list(named_bundles(config.init).values())
    extra, about = training_faces(data.selection, data=config.data.name, leaks=config.data.leaks, inits=inits)
    known = provenance(config, stage, data) | about
    if soup is not None:
        known |= {
            "soup": dict(soup),
            "selection": f"mean weights of {soup['members']} runs, each its {known['selection']}",
        }
    common = {name: known[name] for name in ("leaks", "split_file") if name in known}
    protocol = {"protocol": known["selection"], "split": "val", "seed": config.trainer.seed} | common
    licence = inherited(read_info(bundle_folder(bundle)).licence for bundle in inits)
    return lambda stage, epoch: _save(run, stage, epoch, known, extra, licence=licence), protocol


def _save(
    run: RunFolder,
    stage: Stage,
    epoch: dict[str, float],
    known: dict[str, Any],
    extra: dict[str, bytes],
    *,
    licence: Licence | None,
) -> tuple[str, dict[str, float]]:
    temperatures = stage.temperatures(stage.predictions)
    scores = {name: value for name, value in epoch.items() if name.startswith("val/")}
    known = known | ({} if "soup" in known else {"epoch": stage.position.epoch}) | {"scores": scores}
    card = bundle_card(stage.evaluated, known)
    info = save_bundle(
        run.bundle, stage.evaluated, temperatures=temperatures,
        calibration=stage.calibration(stage.predictions, temperatures), provenance=known, card=card, extra=extra,
        licence=licence,
    )  # fmt: skip
    return info.weight_hash, temperatures


def provenance(config: FitConfig, stage: Stage, data: FaceDataModule) -> dict[str, Any]:
    """How the weights came about, as plain values without a path of this machine."""
    split = data.provenance()
    best, last = "highest" if stage.larger_is_better else "lowest", config.trainer.keep == "last"
    frozen = {name: network.sha256 for name, network in stage.frozen().items()}
    return {
        "stage": stage.name,
        "data": split["data"],
        "data_seed": split["seed"],
        "train": split["train"],
        "val": split["val"],
        **{name: split[name] for name in ("leaks", "split_file") if name in split},
        "seed": config.trainer.seed,
        "selection": "last epoch" if last else f"epoch with the {best} {stage.monitor} on {split['val']['split']}",
        "init": _initial_models(config),
        **({"frozen": frozen} if frozen else {}),
        "legacy": config.legacy,
        "mien": __version__,
    }


def _initial_models(config: FitConfig) -> str:
    """`system@weights` of what the run starts from, with the role where there are several; else random or none."""
    models = [
        f"{role} {read_info(bundle_folder(bundle)).model_id}".strip()
        for role, bundle in named_bundles(config.init).items()
    ]
    return ", ".join(models) or ("random" if config.init == "random" else "none")
