"""CAN's first stage begins at principal components of its training faces, once, and a resumed run does not again."""

import pytest
import torch
from safetensors.torch import load_file

from mien.engine.training.fit import fit_command
from mien.systems.bundle import load
from mien.systems.can.reconstruction import FaceReconstruction

FACE = ["can/1a_face", "--data.name=manifest", "--data.val_split=cut", "--data.batch_size=14", "--data.workers=0",
        "--data.leaks=ignore", "--trainer.device=cpu", "--trainer.precision=fp32", "--trainer.progress=false",
        "--system.options.size=32", "--system.options.width=0.125", "--system.options.latent=8",
        "--system.options.principal=true", "--system.options.discriminator=false", "--stage.options.features=0",
        "--stage.options.feature_share=1", "--optim.ema=0.9"]  # fmt: skip


def test_a_resumed_run_is_the_same_bit_for_bit(talking_faces, tmp_path, monkeypatch, one_thread):
    begun, begin = [], FaceReconstruction.begin

    def counted(stage, batches):
        begun.append(sum(len(batch.image) for batch in batches()))
        begin(stage, batches)

    monkeypatch.setattr(FaceReconstruction, "begin", counted)
    args = [*FACE, f"--data.root={talking_faces}"]
    (whole,) = fit_command([*args, "--trainer.epochs=2", f"--output={tmp_path / 'whole'}"])
    (part,) = fit_command([*args, "--trainer.epochs=1", f"--output={tmp_path / 'part'}"])
    (part,) = fit_command([f"--output={tmp_path / 'part'}", "--resume", "--trainer.epochs=2"])
    assert len(begun) == 2 and begun[0] == begun[1] > 30  # every training face once, and none where the run goes on
    one, other = (
        torch.load(run.folder / "checkpoints" / "last.ckpt", weights_only=True)["system"] for run in (whole, part)
    )
    assert all(torch.equal(value, other[name]) for name, value in one.items())
    components = load_file(whole.bundle / "model.safetensors")["face.principal.components"]
    assert components.abs().sum(1).min() > 0
    system = load(whole.bundle)
    assert system.config.principal and system.face.principal.components.equal(components)


def test_classes_of_voices_come_from_the_data(talking_faces, tmp_path):
    args = [word for word in FACE[1:] if "principal" not in word]
    (result,) = fit_command([
        "can/1b_voice", *args, f"--data.root={talking_faces}", "--stage.options.classes=1", "--trainer.epochs=1",
        f"--output={tmp_path / 'voice'}",
    ])  # fmt: skip
    assert "val/cross_entropy" in result.scores and result.scores["val/accuracy"] <= 1
    state = torch.load(result.folder / "checkpoints" / "last.ckpt", weights_only=True)
    assert state["companions"]["head"]["weight"].shape == (7, 8)
    with pytest.raises(KeyError):
        _ = load_file(result.bundle / "model.safetensors")["head.weight"]
