"""The policy of a run: what is refused where bundles are opened, in one line with a way out."""

import json
import shutil
from pathlib import Path

import pytest

from mien.__main__ import COMMANDS, main, with_policy
from mien.core.bundle import BundleInfo
from mien.core.errors import MienError
from mien.core.licence import Licence, inherited
from mien.media.bundles import shipped_bundles, shipped_folder
from mien.media.files import read_info
from mien.media.policy import policy, require_allowed
from mien.runtime.runner import Runner

SHIPPED = [folder.name for folder, _ in shipped_bundles()]


@pytest.fixture(autouse=True)
def _no_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIEN_POLICY", "")


def test_every_shipped_bundle_states_its_licence_and_data() -> None:
    for folder, info in shipped_bundles():
        assert info.licence is not None and info.licence.data, folder
        card = (folder / "README.md").read_text(encoding="utf-8")
        for name in info.licence.data:  # a data set's own name, as its card has it
            assert name.split()[0].rstrip(",") in card.replace("FER+ votes", "FER+"), (folder, name)
        assert info.licence.use == "research" and ("Research only" in card or "commercial" in card)


@pytest.mark.parametrize("name", SHIPPED)
def test_commercial_refuses_what_is_research_only(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIEN_POLICY", "commercial")
    with pytest.raises(MienError, match=rf"^{name} is for research only: .* Name a bundle of your own"):
        Runner(shipped_folder() / name)


@pytest.mark.parametrize("command", [
    "analyze {photo}", "landmarks {photo} --output {out}", "asymmetry {photo} --output {out}",
    "analyze {photo} --bundle poster_v2_small_affect",
    "analyze {photo} --landmark-bundle poster_v2_landmarks_small_300w",
    "evaluate poster_v2_small_ferplus --runner onnx --data.name image_folder --data.root {faces} --output {out}",
])  # fmt: skip
def test_every_command_that_reads_with_a_bundle_refuses_it(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from PIL import Image

    places = {"photo": tmp_path / "photo.png", "out": tmp_path / "out", "faces": tmp_path / "faces"}
    Image.new("RGB", (32, 32)).save(places["photo"])
    for split, name in (("train", "happiness"), ("test", "happiness"), ("test", "sadness")):
        folder = places["faces"] / split / name
        folder.mkdir(parents=True)
        Image.effect_noise((32, 32), 50).convert("RGB").save(folder / "a.png")
    assert main([*command.format(**places).split(), "--policy", "commercial"]) == 2
    error = capsys.readouterr().err
    assert "is for research only" in error and error.count("\n") == 1 and "mien weights list" in error


def test_a_bundle_that_states_nothing_is_refused_until_its_owner_states_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "own"
    shutil.copytree(shipped_folder() / "voice_expression_ravdess", own)
    values = json.loads((own / "system.json").read_text())
    (own / "system.json").write_text(json.dumps({k: v for k, v in values.items() if k != "licence"}))
    assert read_info(own).licence is None  # bundles written before are read
    monkeypatch.setenv("MIEN_POLICY", "commercial")
    with pytest.raises(MienError, match=r"states no licence, .* mien weights licence .*own --use commercial"):
        Runner(own)
    assert main(["weights", "licence", str(own), "--use", "commercial", "--text", "ours", "--data", "own=ours"]) == 0
    assert read_info(own).licence == Licence("commercial", "ours", {"own": "ours"})
    Runner(own)
    capsys.readouterr()
    assert main(["weights", "licence", "voice_expression_ravdess", "--use", "commercial", "--text", "x"]) == 2
    assert "ships with mien" in capsys.readouterr().err


def test_licences_survive_and_are_checked() -> None:
    info = read_info(shipped_folder() / "poster_v2_small_ferplus")
    assert BundleInfo.from_json(info.to_json(), where="again") == info
    values = json.loads(info.to_json()) | {"licence": {"use": "free", "weights": "x"}}
    with pytest.raises(MienError, match=r"licence.use must be one of 'commercial', 'research'; got 'free'"):
        BundleInfo.from_json(json.dumps(values), where="x")


def test_training_from_research_weights_gives_research_weights() -> None:
    research = Licence("research", "w", {"300-W": "research only"})
    found = inherited([None, research, Licence("commercial", "y")])
    assert found is not None and found.use == "research" and found.data == research.data
    assert inherited([None, Licence("commercial", "y")]) is None


def test_the_option_stands_anywhere_and_sets_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    assert with_policy(["analyze", "--policy", "commercial", "a.jpg"]) == ["analyze", "a.jpg"]
    assert policy() == "commercial"
    assert with_policy(["analyze", "--policy=any", "--", "--policy", "x"])[1:] == ["--", "--policy", "x"]
    assert policy() == "any"
    monkeypatch.setenv("MIEN_POLICY", "comercial")
    with pytest.raises(MienError, match=r"--policy \(MIEN_POLICY\) is any or commercial.*Did you mean 'commercial'"):
        require_allowed("x", None)
    assert "--policy" not in " ".join(COMMANDS)
    with pytest.raises(MienError, match="got 'comercial'"):
        with_policy(["data", "list", "--policy", "comercial"])


def test_the_ledger_shows_licence_hash_and_scores(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["weights", "list"]) == 0
    shown = capsys.readouterr().out
    for folder, info in shipped_bundles():
        assert f"{folder.name}  research only" in shown
        assert all(digest in shown for name, digest in info.files.items() if name.startswith("model."))
    assert "300-W (HELEN, AFW, LFPW; points by iBUG): research only" in shown and "val/accuracy 0.866" in shown
    assert "yunet  MIT" in shown and "3D faces:\n  open  " in shown and "poster_v2" in shown
