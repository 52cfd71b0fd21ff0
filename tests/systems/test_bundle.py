"""Bundles: what is saved comes back bit for bit, and everything that is not such a bundle is refused in one line."""

import json
import os
from pathlib import Path

import pytest
import torch

import mien
from mien.core.errors import MienError
from mien.systems.bundle import load, save_bundle
from mien.systems.poster_v2.network import PosterV2
from mien.systems.registry import create_model

SMALLEST = {"input_size": 32, "trunk_size": 32, "widths": (8, 16, 24), "depths": (1, 1, 1), "stem": 8, "head_dim": 8,
            "landmark_widths": (8, 16, 16), "landmark_features": 16, "landmark_depths": (1, 1, 1), "token_width": 16,
            "vit_heads": 2, "vit_depth": 1}  # fmt: skip


@pytest.fixture
def system():
    torch.manual_seed(0)
    system = create_model("poster_v2_small", labels="rafdb", **SMALLEST)
    for name, value in system.named_buffers():  # BatchNorm statistics are weights too
        if name in system.state_dict():
            value.add_(1)
    return system


@pytest.fixture
def bundle(system, tmp_path) -> Path:
    save_bundle(
        tmp_path / "b", system, temperatures={"expression": 1.5}, provenance={"stage": "expression"}, card="# A card\n"
    )
    return tmp_path / "b"


def named(classes: str) -> dict:
    """As `outputs` of system.json: classes called by these letters."""
    return {"expression": {"kind": "classes", "labels": {"name": "x", "classes": list(classes)}}}


def test_round_trip_bit_for_bit(system, bundle):
    loaded = mien.load(str(bundle))
    assert not loaded.training and not any(m.training for m in loaded.modules())
    assert loaded.config == system.config and (loaded.inputs, loaded.outputs) == (system.inputs, system.outputs)
    before, after = system.state_dict(), loaded.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[n], after[n]) and before[n].dtype == after[n].dtype for n in before)
    image = torch.randn(2, 3, 32, 32)
    assert torch.equal(system.eval()(image)["expression"], loaded(image)["expression"])
    assert loaded.info.temperature("expression") == 1.5 and loaded.info.provenance == {"stage": "expression"}


def test_the_folder_holds_three_readable_files_and_no_rest_beside_it(bundle):
    assert {p.name for p in bundle.iterdir()} == {"model.safetensors", "system.json", "README.md"}
    assert (bundle / "README.md").read_text() == "# A card\n"
    assert all(p.stat().st_mode & 0o044 for p in bundle.iterdir()) or os.name == "nt"
    assert [p.name for p in bundle.parent.iterdir()] == ["b"]


def test_the_same_weights_give_the_same_hash_whatever_their_memory_layout(system, bundle, tmp_path):
    other = save_bundle(tmp_path / "c", system.to(memory_format=torch.channels_last))
    assert other.weight_hash == load(bundle).info.weight_hash


def test_a_bundle_replaces_a_bundle_and_nothing_else(system, bundle, tmp_path):
    torch.nn.init.zeros_(system.vit.head.weight)
    save_bundle(bundle, system)
    assert not load(bundle).vit.head.weight.any()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(MienError, match="is there and is not a bundle"):
        save_bundle(tmp_path / "mine", system)
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


def test_a_write_that_fails_leaves_the_old_bundle(system, bundle, monkeypatch):
    before = (bundle / "model.safetensors").read_bytes()

    def full(self, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(MienError, match=r"No space left on device. What was written before is kept"):
        save_bundle(bundle, system)
    assert (bundle / "model.safetensors").read_bytes() == before
    assert [p.name for p in bundle.parent.iterdir()] == ["b"]


def change(bundle: Path, **values) -> None:
    path = bundle / "system.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_changed_weights_are_refused(bundle):
    path = bundle / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(MienError, match=r"is not the file that system.json names \(SHA-256"):
        load(bundle)


@pytest.mark.parametrize(("stated", "rule"), [({}, "not stated"), ({"model.safetensors": ""}, "must be a SHA-256")])
def test_a_hash_that_is_not_stated_is_not_a_match(bundle, stated, rule):
    change(bundle, files=stated)
    with pytest.raises(MienError, match=rule):
        load(bundle)


def test_weights_of_another_class_count_are_refused(bundle):
    info = load(bundle).info
    change(bundle, config=info.config | {"num_classes": 8}, outputs=named("abcdefgh"))
    with pytest.raises(MienError, match=r"vit.head.\w+ has shape \[7.*needs \[8.*The system gives expression \(8\)"):
        load(bundle)


def test_labels_and_config_that_disagree_are_refused(bundle):
    change(bundle, outputs=named("abc"))
    with pytest.raises(MienError, match="num_classes is 7 but x has 3 classes"):
        load(bundle)


def test_weights_of_another_depth_are_refused_by_name(bundle):
    change(bundle, config=load(bundle).info.config | {"vit_depth": 2})
    with pytest.raises(MienError, match=r"\d+ missing \(vit.blocks.1"):
        load(bundle)


def test_what_is_not_a_bundle(bundle, tmp_path):
    with pytest.raises(MienError, match=r"is not a bundle: it has no system.json. The folder does not exist"):
        load(tmp_path / "nowhere")
    bundle.rename((tmp_path / "run").mkdir() or tmp_path / "run" / "bundle")
    assert load(tmp_path / "run").name == load(tmp_path / "run" / "bundle").name
    bundle = tmp_path / "run" / "bundle"
    (tmp_path / "x.pth").write_bytes(b"weights")
    with pytest.raises(MienError, match="official checkpoints: `mien weights convert`"):
        load(tmp_path / "x.pth")
    (bundle / "model.safetensors").unlink()
    with pytest.raises(MienError, match=r"model.safetensors is missing"):
        load(bundle)
    (bundle / "system.json").write_text("{}")
    with pytest.raises(MienError, match="not a mien bundle"):
        load(bundle)


def test_text_named_safetensors_is_refused(bundle):
    from mien.media.files import sha256_of

    path = bundle / "model.safetensors"
    path.write_text("these are not weights")
    change(bundle, files={path.name: sha256_of(path)})
    with pytest.raises(MienError, match="not a safetensors file"):
        load(bundle)


def test_an_unknown_system_names_the_nearest(bundle):
    change(bundle, system="poster_v3")
    with pytest.raises(MienError, match=r"No system 'poster_v3'. Did you mean 'poster_v2'"):
        load(bundle)


def test_pretrained_is_the_same_bundle(system, bundle, tmp_path):
    loaded = PosterV2.from_pretrained(bundle)
    info = loaded.save_pretrained(tmp_path / "again", provenance={"note": "copied"})
    assert info.weight_hash == loaded.info.weight_hash and info.temperature("expression") == 1.5
    assert info.provenance == {"stage": "expression", "note": "copied"}
    with pytest.raises(MienError, match="is a poster_v2, not a poster_v2_landmarks"):
        from mien.systems.poster_v2.landmarks import PosterV2Landmarks

        PosterV2Landmarks.from_pretrained(bundle)
