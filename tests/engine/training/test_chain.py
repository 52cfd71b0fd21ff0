"""A chain trains each step once, hands bundles over by role, and goes on where it was interrupted."""

import json
from pathlib import Path

import pytest

from mien.__main__ import main
from mien.core.errors import MienError
from mien.engine.training import run as training
from mien.engine.training.chain import command
from mien.engine.training.chain.command import chain
from mien.engine.training.chain.file import read_chain
from mien.engine.training.config import find_config, list_chains, list_configs, resolve
from mien.systems.bundle import load, read_info

TINY = {"size": 32, "width": 0.125, "latent": 8}
QUICK = {
    "data.name": "manifest", "data.batch_size": 16, "data.workers": 0, "data.leaks": "ignore", "trainer.epochs": 1,
    "trainer.device": "cpu", "trainer.precision": "fp32", "trainer.progress": False, "data.cache": "memory",
    **{f"system.options.{name}": value for name, value in TINY.items()},
}  # fmt: skip


@pytest.fixture
def options(talking_faces: Path, tmp_path: Path) -> dict:
    return {**QUICK, "data.root": str(talking_faces / "manifest.csv"), "output": str(tmp_path / "chain")}


def written(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


@pytest.mark.slow
def test_can_is_trained_by_one_command_and_goes_on(options, tmp_path, monkeypatch, capsys):
    output, begun = tmp_path / "chain", []
    fit = training.fit_config

    def interrupted(config):
        begun.append(Path(config.output).name)
        if len(begun) == 3:
            raise KeyboardInterrupt
        return fit(config)

    monkeypatch.setattr(training, "fit_config", interrupted)
    with pytest.raises(KeyboardInterrupt) as caught:
        chain("can/chain", **options)
    assert caught.value.__notes__ == ["The same command goes on with step classifier."]
    assert list(json.loads((output / "chain.json").read_text())) == ["face", "voice"]
    faces = read_info(output / "face" / "bundle").model_id
    assert "All 5 steps are trained" in chain("can/chain", **options)
    assert begun == ["face", "voice", "classifier", "classifier", "context", "product"]  # each that was not finished
    state = json.loads((output / "chain.json").read_text())
    assert list(state) == list(read_chain("can/chain").steps) and state["face"] == faces
    can, face = load(output / "context" / "bundle"), load(output / "face" / "bundle")
    assert can.info.provenance["init"].startswith(f"face {faces}, voice {state['voice']}, classifier ")
    own = can.face.encoder.state_dict()
    for name, value in face.face.encoder.state_dict().items():
        assert value.equal(own[name]), name
    with pytest.raises(MienError, match=r"step face: .* was begun with data.batch_size 16, not 8"):
        chain("can/chain", **(options | {"data.batch_size": 8}))
    shown = capsys.readouterr().out
    assert f"step face: finished, {faces}" in shown and "step voice: finished" in shown


def test_mistakes_are_found_before_anything_is_trained(options, tmp_path):
    cases = [
        ("a: {config: can/1a_face}\n  b: {config: can/3_context, init: {voice: a}}",
         "step b: the role voice takes a can_voice; step a trains a can_face"),
        ("a: {config: can/1a_face}\n  b: {config: can/2_face_expression, init: {voice: a}}",
         "step b: The stage face_expression has no --init.voice"),
        ("a: {config: can/1a_face, init: {network: b}}\n  b: {config: can/1a_face}", "b, which is no earlier step"),
        ("a: {config: can/1a_fase}", "step a: No config can/1a_fase.* Did you mean 'can/1a_face'"),
        ("a: {config: can/1a_face, options: {optim.lrr: 1}}", r"step a: .*optim\.lrr.*optim\.lr"),
        ("a: {confg: can/1a_face}", "steps.a has no key 'confg'. Did you mean 'config'"),
        ("a: {config: can/1a_face, options: {trainer.seeds: 2}}", "a chain trains each step once"),
    ]  # fmt: skip
    for text, message in cases:
        file = written(tmp_path / "c.yaml", f"steps:\n  {text}\n")
        with pytest.raises(MienError, match=message) as caught:
            chain(file, **options)
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "chain").exists()


def test_options_of_one_step_are_its_own(options, tmp_path, monkeypatch):
    found = {}

    def remembered(config):
        found[Path(config.output).name] = config
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "fit_config", remembered)
    monkeypatch.setattr(command, "_check_data", lambda runs: None)  # these faces are no clips
    with pytest.raises(KeyboardInterrupt):
        chain("can/chain", **options, **{"steps.face.trainer.epochs": 3, "steps.face.data.name": "clips"})
    assert (found["face"].trainer.epochs, found["face"].data.name, found["face"].data.val_split) == (3, "clips", "auto")
    with pytest.raises(
        MienError, match=r"The chain has no step .fase.\. It has: face, voice, classifier, context, product"
    ):
        chain("can/chain", **options, **{"steps.fase.trainer.epochs": 3})
    with pytest.raises(MienError, match=r"--steps\.face needs an option of the step"):
        chain("can/chain", **options, **{"steps.face": 3})
    with pytest.raises(MienError, match=r"steps\.face\.trainr"):
        chain("can/chain", **options, **{"steps.face.trainr.epochs": 3})


def test_what_a_later_step_lacks_is_found_first(options, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "fit_config", lambda config: pytest.fail("trained"))
    with pytest.raises(MienError, match=r"step context: .*nowhere\.csv"):
        chain("can/chain", **options, **{"steps.context.data.root": str(tmp_path / "nowhere.csv")})
    with pytest.raises(MienError, match="names a seed twice"):
        chain("can/chain", **options, **{"trainer.seeds": [1, 1]})
    (tmp_path / "chain").mkdir()
    (tmp_path / "chain" / "chain.json").write_text('{"photo": "ddamfn@1", "face": "can_face@2"}')
    with pytest.raises(MienError, match="holds another chain: it finished photo; this one has face, voice"):
        chain("can/chain", **options)


def test_each_chain_has_a_folder_of_its_own(tmp_path):
    assert [read_chain(name).name for name in list_chains()] == ["can", "can/small", "if3d", "if3d/small"]
    assert read_chain(written(tmp_path / "mine.yaml", "steps: {a: {config: can/1a_face}}")).name == "mine"


def test_a_step_that_was_interrupted_is_resumed(options, tmp_path, monkeypatch):
    resumed = []

    def interrupted(config):
        resumed.append(config.resume)
        checkpoint = Path(config.output) / "checkpoints" / "last.ckpt"
        checkpoint.parent.mkdir(parents=True, exist_ok=True)
        checkpoint.touch()
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "fit_config", interrupted)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            chain("can/chain", **options)
    assert resumed == [False, True]


def test_a_chain_is_no_config_and_a_config_no_chain(capsys):
    assert list_chains() == ["can/chain", "can/small/chain", "if3d/chain", "if3d/small/chain"]
    assert "can/chain" not in list_configs()
    with pytest.raises(MienError, match=r"can/chain is a chain of runs: mien chain can/chain"):
        resolve(["can/chain"], {})
    with pytest.raises(MienError, match=r"1a_face\.yaml is no chain: .*: can/chain, can/small/chain, if3d/chain"):
        read_chain("can/1a_face")
    assert find_config("can/chain").is_file()
    assert main(["chain", "--help"]) == 0
    assert "--steps" in (shown := capsys.readouterr().out) and "face → voice → classifier → context → product" in shown
    assert "photo, render, linear, attention, gate, spp" in shown
    assert main(["chain", "can/chain", "--trainer.epoch", "3"]) == 2
    assert "trainer.epochs" in capsys.readouterr().err
