"""Released files: every layout read, every gap named, the broken "best" file rescued."""

import pytest
import torch

from mien import create_model
from mien.core.errors import MienError
from mien.nn.iresnet import IResNet
from mien.nn.mobilefacenet import MobileFaceNet
from mien.nn.weights import read_checkpoint, weights_of
from mien.systems.poster_v2 import official_names, rescue
from mien.systems.poster_v2.official_names import (
    convert,
    from_official,
    load_backbone,
    network_from_official,
    to_official,
)


@pytest.fixture(scope="module")
def network():
    """The released arrangement with weights and statistics that are all different from a fresh one's."""
    torch.manual_seed(0)
    net = create_model("poster_v2", num_classes=7, legacy=True, drop_path=0.0)
    with torch.no_grad():
        for name, tensor in net.state_dict().items():
            if name.endswith("running_var"):
                tensor.uniform_(0.5, 1.5)
            elif tensor.is_floating_point() and tensor.ndim < 2:
                tensor.add_(0.1 * torch.randn_like(tensor))
    return net.eval()


@pytest.fixture(scope="module")
def released(network):
    """A released classifier's state dict, made of those weights."""
    return to_official(network)


def flat(weights):
    """V1's key layout: all units in one `body`, and the fourth stage that POSTER never uses."""
    starts = {"body1": 0, "body2": 3, "body3": 7}
    renamed = {}
    for name, value in weights.items():
        stage, _, rest = name.partition(".")
        if stage in starts:
            unit, _, rest = rest.partition(".")
            renamed[f"body.{int(unit) + starts[stage]}.{rest}"] = value
        else:
            renamed[name] = value
    return renamed | {"body.21.res_layer.1.weight": torch.zeros(512, 256, 3, 3)}


def picture(batch=2, size=112):
    return torch.randn(batch, 3, size, size, generator=torch.Generator().manual_seed(1))


def test_released_names_are_747(released):
    assert len(released) == 747 and next(iter(released)) == "face_landback.conv1.conv.weight"
    assert sum(v.numel() for k, v in released.items() if "index" in k) == 655_473


def test_whole_checkpoint_file_with_module_prefix(tmp_path, network, released):
    content = {"epoch": 1, "state_dict": {f"module.{k}": v for k, v in released.items()}}
    torch.save(content, tmp_path / "checkpoint.pth")
    read = network_from_official(read_checkpoint(tmp_path / "checkpoint.pth"))
    assert read.config.legacy and not read.training
    found = read.state_dict()
    assert all(torch.equal(v, found[k]) for k, v in network.state_dict().items())


def test_what_is_dropped_is_named(released):
    dropped = convert(released)[1].dropped
    assert len(dropped) == 24 + 3  # what never runs, and the position indices
    assert {k.rpartition(".")[0] for k in dropped if "index" not in k} == set(official_names.DEAD)


def test_slim_files_without_what_never_runs_are_fine(released):
    dropped = convert(released)[1].dropped
    slim = {k: v for k, v in released.items() if k not in dropped}
    assert len(slim) == 720
    assert from_official(slim).keys() == from_official(released).keys()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.pop("attn1.qkv.weight"), "missing: fusions.0.attention.kv.weight"),
        (lambda w: w.update(surprise=torch.zeros(1)), "unexpected: surprise"),
        (lambda w: w.update({"ir_back.output_layer.0.surprise": torch.zeros(1)}), "unexpected: ir_back.output_layer"),
        (
            lambda w: w.update({"conv1.bias": torch.zeros(3)}),
            r"of another shape: fusions.0.down.bias \(3,\) for \(64,\)",
        ),
        (lambda w: w.update({"attn3.relative_position_index": torch.zeros(49, 49).long()}), "position index"),
    ],
)
def test_anything_else_is_refused(released, change, message):
    weights = dict(released)
    change(weights)
    with pytest.raises(MienError, match=message):
        from_official(weights)


def test_class_count_is_inferred_and_a_wide_head_is_read_for_three(released):
    with pytest.raises(MienError, match=r"tells 7 classes apart; num_classes 8 is more"):
        network_from_official(released, num_classes=8)
    three = network_from_official(released, num_classes=3)
    assert three(picture())["expression"].shape == (2, 3)
    whole = network_from_official(released)(picture())["expression"]
    torch.testing.assert_close(three(picture())["expression"], whole[:, :3])
    labelled = network_from_official(released, labels="rafdb")
    assert labelled.labels.name == "rafdb" and labelled.config.num_classes == 7


def test_our_behaviour_on_released_weights(network, released):
    ours = network_from_official(released, legacy=False)
    assert ours.landmark_net.head is None and not ours.train().landmark_net.training
    released_logits = network(picture())["expression"]  # at 112 nothing has to be reduced
    torch.testing.assert_close(ours.eval()(picture())["expression"], released_logits)
    assert to_official(ours).keys() == released.keys()


@pytest.mark.parametrize("arrange", [dict, flat], ids=["split", "flat"])
def test_ir50_in_both_layouts(arrange):
    torch.manual_seed(0)
    trunk = IResNet().eval()
    theirs = arrange(to_official(trunk))
    assert ("body.20.res_layer.0.weight" in theirs) == (arrange is flat)
    read, report = network_from_official(theirs), convert(theirs)[1]
    found = read.state_dict()
    assert all(torch.equal(v, found[k]) for k, v in trunk.state_dict().items())
    assert len(report.matched) == len(trunk.state_dict()) and not report.missing
    assert all(k.startswith(("output_layer.", "body.21.")) for k in report.dropped)


def test_half_an_ir50_is_refused():
    theirs = {k: v for k, v in to_official(IResNet()).items() if not k.startswith("body3.13.")}
    with pytest.raises(MienError, match=r"missing: stages.2.13"):
        from_official(theirs)


def test_backbones_load_into_a_fresh_network(tmp_path):
    torch.manual_seed(0)
    net, trunk, landmarks = create_model("poster_v2", num_classes=3), IResNet(), MobileFaceNet()
    torch.save(to_official(trunk), tmp_path / "ir50.pth")
    torch.save({"state_dict": to_official(landmarks)}, tmp_path / "mobilefacenet_model_best.pth.tar")
    report = load_backbone(net, read_checkpoint(tmp_path / "ir50.pth"))
    assert len(report.matched) == 292 and len(report.dropped) == 12
    load_backbone(net, read_checkpoint(tmp_path / "mobilefacenet_model_best.pth.tar"))
    assert torch.equal(net.trunk.stages[2][13].conv2.weight, trunk.stages[2][13].conv2.weight)
    assert torch.equal(net.landmark_net.features.conv.weight, landmarks.features.conv.weight)


def test_files_that_are_none_of_these():
    with pytest.raises(MienError, match=r"Not a released file that poster_v2 knows.*it has fc.weight"):
        from_official({"fc.weight": torch.zeros(1)})


def test_other_arrangements_have_no_released_names():
    with pytest.raises(MienError, match="released arrangement"):
        to_official(create_model("poster_v2_small", num_classes=7))


def best_file(network, released):
    """What the released trainer saves as its best: the optimiser state after a SAM step, every `old_p` in it."""
    names = official_names.parameter_names()
    frozen = {k for k in names if k.startswith("face_landback.")}
    dead = set(convert(released)[1].dropped)
    state = {i: {"old_p": released[k].clone()} for i, k in enumerate(names) if k not in frozen | dead}
    return {"state": state, "param_groups": [{"rho": 0.05, "lr": 3.5e-5, "params": list(range(len(names)))}]}


def test_a_best_file_is_explained_and_rescued(tmp_path, network, released):
    torch.save(best_file(network, released), tmp_path / "best.pth")
    content = read_checkpoint(tmp_path / "best.pth")
    with pytest.raises(MienError, match="rescue_best"):
        weights_of(content)
    torch.manual_seed(5)
    rescued = create_model("poster_v2", num_classes=7, legacy=True, drop_path=0.0)
    landmarks = {k: v for k, v in network.state_dict().items() if k.startswith("landmark_net.")}
    rescued.load_landmark_net({k.removeprefix("landmark_net."): v for k, v in landmarks.items()})
    images = [picture(4), picture(4) * 0.5]
    report = rescue.rescue_best(content, rescued, images)
    assert not rescued.training and len(report.matched) == 252
    found = dict(rescued.named_parameters())
    for name, value in network.named_parameters():
        assert torch.equal(found[name], value), name
    stem = torch.cat([rescued.trunk.stem_conv(batch) for batch in images])  # all of them weigh the same
    torch.testing.assert_close(rescued.trunk.stem_norm.running_mean, stem.mean((0, 2, 3)), rtol=1e-3, atol=1e-5)


def test_rescue_refuses_what_does_not_fit(network, released):
    best = best_file(network, released)
    with pytest.raises(MienError, match="takes the optimiser state"):
        rescue.rescue_best({"state_dict": {}}, network, [])
    gap = {"state": {k: v for k, v in best["state"].items() if k != 200}, "param_groups": best["param_groups"]}
    with pytest.raises(MienError, match=r"251 matched, 1 missing"):
        rescue.rescue_best(gap, network, [])
    other = {"state": {}, "param_groups": [{"params": [0, 1]}]}
    with pytest.raises(MienError, match="numbers 2 parameters"):
        rescue.rescue_best(other, network, [])
    with pytest.raises(MienError, match="at least one batch"):
        rescue.rescue_best(best, network, [])
