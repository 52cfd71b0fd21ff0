"""Every config that ships is started on a replica of its data set, its network made small, and its loss falls.

Losses, optimiser, schedule, batches and augmentation are the config's own.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")
from mien.data.datamodule import FaceDataModule  # noqa: E402
from mien.engine.training.config import list_configs, parse_fit, resolve, stage_defaults  # noqa: E402
from mien.engine.training.setup import build  # noqa: E402
from mien.systems.stage import Stage, TorchBatch  # noqa: E402
from small_systems import ASIT, CAN, IF3D, PARFACE, POSTER, SMIRK, STYLEGAN2  # noqa: E402

# By how the system is called.
SMALL = {"poster": POSTER, "parface": PARFACE, "ddamfn": IF3D, "if3d": IF3D, "can": CAN, "smirk": SMIRK,
         "stylegan2": STYLEGAN2, "asit": ASIT, "ifer": ASIT}  # fmt: skip

STEPS = 4
THREE = {"happiness": "positive", "neutral": "neutral", "sadness": "negative"}


@pytest.fixture(scope="module")
def replica(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a small replica of a data set, by its reader."""
    from mien.data.replicas import LAYOUTS, write_drawn
    from mien.data.replicas.people import Plan, write_people
    from mien.synthetic.people import PeopleOptions

    written: dict[str, Path] = {}

    def folder(name: str) -> Path:
        if name not in written:
            written[name] = tmp_path_factory.mktemp("replica") / name.replace(" ", "_")
            if name == "manifest":
                with pytest.MonkeyPatch.context() as patch:
                    patch.syspath_prepend(str(Path(__file__).parent / "engine"))
                    from toy.talking_faces import write_talking_faces

                    write_talking_faces(written[name])
            elif name == "people":
                plan = Plan(faces=12, pictures=1, seed=0, shares=(0.6, 0.2, 0.2))
                write_people(written[name], plan, options=PeopleOptions(size=64), workers=1)
            else:
                count = 3 * len(LAYOUTS[name.split(maxsplit=1)[0]].classes)
                write_drawn(written[name], faces=count, size=64, layout=name.split(maxsplit=1)[0], test_share=0.34)
                if name.endswith("three"):
                    keep_three(written[name])
        return written[name]

    return folder


def keep_three(folder: Path) -> None:
    """Of class folders the three that the reproduction has, under its names."""
    for label in sorted(folder.glob("*/*")):
        if label.name in THREE:
            label.rename(label.with_name(THREE[label.name]))
        else:
            shutil.rmtree(label)


def words(name: str, root: Callable[[str], Path]) -> list[str]:
    """The arguments of `mien fit` for the config, small."""
    config = resolve([name], {"data.root": "."}, defaults=stage_defaults)
    small = next(options for start, options in SMALL.items() if config.system.name.startswith(start))
    data = "people" if config.data.name == "joined" else config.data.name
    layout = "affectnet_folders" if small is IF3D else data  # which has renders
    stated: dict[str, Any] = {
        "system.options": json.dumps(config.system.options | small), "data.name": data,
        "data.root": root(f"{data} three" if "3class" in name else layout),
        "data.batch_size": 8, "data.workers": 0, "data.leaks": "ignore",
        "data.val_split": "valid" if data == "people" else "cut",
        "data.val_fraction": 0.3, "init": "random", "trainer.precision": "fp32", "output": "unused",
        "data.divide": "",
    }  # fmt: skip
    if "perceptual" in config.stage.options:
        stated["stage.options.perceptual"] = 0  # VGG-19's weights are a download
    if "generator_width" in config.stage.options:
        stated["stage.options.generator_width"] = 4
    if config.system.name.startswith("asit"):
        stated |= {"stage.options.lpips": 0, "stage.options.identity": 0}  # their networks' files are downloads
    if data == "vggface2":
        stated["data.reader.min_height"] = 0
    return [name, *(f"--{key}={value}" for key, value in stated.items())]


def ready(stage: Stage, data: FaceDataModule, patch: pytest.MonkeyPatch) -> TorchBatch:
    """The stage as the Trainer would have it, past the warm-up, and the first batch of its first epoch."""
    loader = data.train_dataloader()
    stage.steps_per_epoch = 2
    stage.position.step = int(stage.steps_per_epoch * stage.optim_options.warmup_epochs)
    built = stage.configure_optimizers()
    patch.setattr(stage, "optimizers", lambda use_pl_optimizer=True: built, raising=False)
    stage._trainer = SimpleNamespace(world_size=1, global_rank=0)  # type: ignore[assignment]
    patch.setattr(type(stage), "global_rank", property(lambda self: 0), raising=False)
    stage.train()
    return next(iter(loader))


def loss(stage: Stage, batch: TorchBatch) -> float:
    """What the encoder minimises, else the first objective, with the same dropout each time. (A discriminator that
    sees better and better pictures need not get better itself.)"""
    torch.manual_seed(0)
    found = stage.objectives()
    objective = next((each for each in found if each.name == "encoder"), found[0])
    terms = objective.terms(batch, stage.shared(batch))
    return float(sum(value.detach() for value in terms.values()))


@pytest.mark.slow
@pytest.mark.parametrize("name", list_configs())
def test_it_starts_and_its_loss_falls(
    name: str, replica: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = parse_fit(words(name, replica), defaults=stage_defaults)
    stage, data = build(config)
    batch = ready(stage, data, monkeypatch)
    before = loss(stage, batch)
    for number in range(STEPS):
        stage.training_step(batch, number)
    assert loss(stage, batch) < before
    assert stage.learning_rate(stage.optim_options) > 0
