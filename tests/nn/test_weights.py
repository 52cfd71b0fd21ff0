"""Weight files from strangers: read without running them, refused with a reason, never loaded in part."""

import os
import pickle
import sys
import tarfile

import pytest
import torch
from torch import nn

from mien.core.errors import MienError
from mien.nn.weights import Inert, compare, load_weights, read_checkpoint, require_finite, weights_of


class Hostile:
    """Unpickling this the usual way creates the marker file."""

    def __init__(self, marker):
        self.marker = str(marker)

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


@pytest.fixture
def recorder():
    """An instance of a class that lives in the training script, as in the released checkpoints."""
    main = sys.modules["__main__"]
    main.RecorderMeter = type("RecorderMeter", (), {"__module__": "__main__"})
    instance = main.RecorderMeter()
    instance.epoch_losses = torch.zeros(3).numpy()
    yield instance
    if hasattr(main, "RecorderMeter"):
        del main.RecorderMeter


def linear():
    return nn.Linear(3, 2)


def test_plain_state_dict(tmp_path):
    net = linear()
    torch.save(net.state_dict(), tmp_path / "net.pth")
    assert torch.equal(read_checkpoint(tmp_path / "net.pth")["weight"], net.weight)


def test_safetensors(tmp_path):
    from safetensors.torch import save_file

    save_file({"a": torch.arange(3)}, tmp_path / "net.safetensors")
    assert read_checkpoint(tmp_path / "net.safetensors")["a"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("zipped", [True, False])
def test_released_checkpoint_with_pickled_recorders(tmp_path, recorder, zipped):
    net = linear()
    state = {f"module.{k}": v for k, v in net.state_dict().items()}
    content = {"epoch": 3, "best_acc": torch.tensor([92.2]), "state_dict": state, "recorder": recorder}
    path = tmp_path / "checkpoint.pth"
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    del sys.modules["__main__"].RecorderMeter
    read = read_checkpoint(path)
    assert read["epoch"] == 3 and isinstance(read["recorder"], Inert)
    assert type(read["recorder"]).__name__ == "RecorderMeter"
    assert torch.equal(weights_of(read)["weight"], net.weight)


@pytest.mark.parametrize("zipped", [True, False])
def test_hostile_pickle_does_not_run(tmp_path, zipped):
    marker, path = tmp_path / "ran", tmp_path / "evil.pth"
    torch.save(
        {"state_dict": linear().state_dict(), "extra": Hostile(marker)}, path, _use_new_zipfile_serialization=zipped
    )
    assert set(weights_of(read_checkpoint(path))) == {"weight", "bias"}
    assert not marker.exists()


def test_hostile_bare_pickle_is_refused_and_does_not_run(tmp_path):
    marker, path = tmp_path / "ran", tmp_path / "evil.pth"
    path.write_bytes(pickle.dumps(Hostile(marker)))
    with pytest.raises(MienError, match="damaged, or not a PyTorch weight file"):
        read_checkpoint(path)
    assert not marker.exists()
    pickle.loads(path.read_bytes())  # the payload is live: without the guard it would have run
    assert marker.exists()


def test_nested_load_is_inert(tmp_path):
    marker = tmp_path / "ran"
    inner = pickle.dumps(Hostile(marker))

    class Nested:
        def __reduce__(self):
            return torch.storage._load_from_bytes, (inner,)

    torch.save({"weight": torch.ones(2), "extra": Nested()}, tmp_path / "evil.pth")
    assert isinstance(read_checkpoint(tmp_path / "evil.pth")["extra"], Inert)
    assert not marker.exists()


def test_a_pickled_object_without_weights_is_refused(tmp_path):
    torch.save(torch.nn.Flatten(), tmp_path / "net.pth")
    with pytest.raises(MienError, match=r"pickled Flatten, not a dict of weights. Save its state_dict"):
        read_checkpoint(tmp_path / "net.pth")


def test_torchscript_is_refused(tmp_path):
    torch.jit.script(linear()).save(tmp_path / "net.pt")
    with pytest.raises(MienError, match="TorchScript"):
        read_checkpoint(tmp_path / "net.pt")


def test_tar_is_refused(tmp_path):
    (tmp_path / "a").write_text("a")
    with tarfile.open(tmp_path / "net.pth.tar", "w", format=tarfile.GNU_FORMAT, encoding="latin-1") as archive:
        archive.add(tmp_path / "a", arcname="\x80 a pickle at first sight")
    with pytest.raises(MienError, match="tar archive"):
        read_checkpoint(tmp_path / "net.pth.tar")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"<html>404 not found</html>", "not a weight file"),
        (b"PK\x03\x04 and then nothing", "ends too early"),
        (b"\x80\x02 nonsense", "damaged"),
        (b"\xff\x00\x00\x00\x00\x00\x00\x00{ not json", "safetensors"),
    ],
)
def test_files_that_are_not_weights(tmp_path, content, message):
    path = tmp_path / "net.pth"
    path.write_bytes(content)
    with pytest.raises(MienError, match=message) as caught:
        read_checkpoint(path)
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_truncated_files(tmp_path, zipped, share):
    torch.save({"weight": torch.randn(1000)}, tmp_path / "whole.pth", _use_new_zipfile_serialization=zipped)
    whole = (tmp_path / "whole.pth").read_bytes()
    (tmp_path / "cut.pth").write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(MienError, match=r"too early|damaged"):
        read_checkpoint(tmp_path / "cut.pth")


def test_missing_file(tmp_path):
    with pytest.raises(MienError, match="No weight file"):
        read_checkpoint(tmp_path / "none.pth")


def test_best_file_is_explained():
    with pytest.raises(MienError, match=r"only an optimiser's state.*rescue_best"):
        weights_of({"state": {}, "param_groups": []})


def test_a_dict_of_other_things_is_refused():
    with pytest.raises(MienError, match="not a dict of weights: no tensor under epoch"):
        weights_of({"epoch": 3})


def test_partial_loads_are_refused_before_anything_is_copied():
    net, weights = linear(), {"weight": torch.zeros(2, 3)}
    with pytest.raises(MienError, match=r"1 matched, 1 missing.*missing: bias"):
        load_weights(net, weights, where="test")
    assert net.weight.abs().sum() > 0
    load_weights(net, weights, where="test", allow_missing={"bias"})
    assert net.weight.abs().sum() == 0


def test_allowed_gaps_are_exact():
    report = compare(linear().state_dict(), {})
    with pytest.raises(MienError, match="2 missing"):
        report.require("test", allow_missing={"bias"})


def test_other_shapes_and_names_are_named():
    given = {"weight": torch.zeros(4, 3), "bias": torch.zeros(2), "extra": torch.zeros(1)}
    report = compare(linear().state_dict(), given)
    assert report.unexpected == ("extra",) and report.mismatched == ("weight (4, 3) for (2, 3)",)
    with pytest.raises(MienError, match=r"unexpected: extra; of another shape: weight \(4, 3\) for \(2, 3\)"):
        report.require("test")


def test_every_wrapper_of_several_processes_is_taken_off():
    assert set(weights_of({"state_dict": {"module.module.weight": torch.zeros(1)}})) == {"weight"}


def test_weights_that_are_no_numbers_are_refused():
    net = nn.Sequential(linear(), nn.BatchNorm1d(2))
    require_finite(net, "a.pth")
    net[1].running_var[1] = float("nan")  # type: ignore[index]
    with pytest.raises(MienError, match=r"a\.pth: 1\.running_var holds numbers that are not finite"):
        require_finite(net, "a.pth")


def test_complex_weights_and_folders_are_refused(tmp_path):
    with pytest.raises(MienError, match=r"complex or quantised\): b"):
        weights_of({"a": torch.zeros(2), "b": torch.zeros(2, dtype=torch.complex64)})
    with pytest.raises(MienError, match="is a folder, not a weight file"):
        read_checkpoint(tmp_path)
