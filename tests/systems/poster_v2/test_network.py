"""POSTER V2 as a network: what trains, what stays, what the switches change, and that it learns."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mien import create_model
from mien.core.errors import MienError
from mien.nn.mobilefacenet import MobileFaceNet
from mien.systems.poster_v2.network import reduce_to
from shape_checks import unchecked

TINY = {
    "input_size": 32, "trunk_size": 32, "stem": 8, "widths": (8, 16, 32), "depths": (1, 1, 1), "head_dim": 8,
    "landmark_widths": (8, 16, 16), "landmark_features": 32, "landmark_depths": (1, 1, 1), "token_width": 32,
    "vit_heads": 4,
}  # fmt: skip


def build(*, seed=0, scrambled=True, **options):
    torch.manual_seed(seed)
    net = create_model("poster_v2", **(TINY | options))
    if scrambled:  # norms and biases that matter; fresh ones would hide mistakes
        with torch.no_grad():
            for name, tensor in net.state_dict().items():
                if name.endswith("running_var"):
                    tensor.copy_(0.5 + torch.rand_like(tensor))
                elif tensor.is_floating_point():
                    tensor.add_(0.1 * torch.randn_like(tensor))
    return net


def picture(batch=2, size=32, seed=1):
    return torch.randn(batch, 3, size, size, generator=torch.Generator().manual_seed(seed))


def step(net, x, y, lr=0.1):
    optimizer = torch.optim.SGD([p for p in net.parameters() if p.requires_grad], lr=lr)
    F.cross_entropy(net(x)["expression"], y).backward()
    optimizer.step()


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("branch", [False, True])
def test_every_trainable_parameter_gets_a_gradient(legacy, branch):
    net = build(legacy=legacy, landmark_branch=branch, drop_path=0.0).train()
    net(picture(4))["expression"].square().sum().backward()
    without = [n for n, p in net.named_parameters() if p.requires_grad and (p.grad is None or not p.grad.any())]
    assert without == []


def test_valence_and_arousal_leave_the_classes_alone_and_are_averaged_with_the_mirror():
    with_affect, without, x = build(affect=True).eval(), build().eval(), picture()
    without.load_state_dict({k: v for k, v in with_affect.state_dict().items() if not k.startswith("affect_head.")})
    found = with_affect(x)
    assert found["affect"].shape == (2, 2) and found["affect"].abs().max() < 1
    torch.testing.assert_close(found["expression"], without(x)["expression"])
    averaged = build(affect=True, mirror_average=True).eval()
    averaged.load_state_dict(with_affect.state_dict())
    torch.testing.assert_close(averaged(x)["affect"], (found["affect"] + with_affect(x.flip(3))["affect"]) / 2)
    torch.testing.assert_close(with_affect.for_inference()(x)["affect"], found["affect"], atol=1e-5, rtol=1e-4)


def test_thawed_landmark_net_trains_too():
    net = build(freeze_landmarks=False, drop_path=0.0).train()
    assert net.landmark_net.training
    net(picture(4))["expression"].square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in net.landmark_net.parameters())


def test_the_frozen_landmark_net_does_not_move():
    net = build().train()
    before = {k: v.clone() for k, v in net.landmark_net.state_dict().items()}
    step(net, picture(4), torch.arange(4))
    assert all(torch.equal(v, before[k]) for k, v in net.landmark_net.state_dict().items())
    assert net.trunk.training and not net.landmark_net.training


def test_legacy_lets_its_statistics_drift_and_keeps_its_weights():
    net = build(legacy=True).train()
    before = {k: v.clone() for k, v in net.landmark_net.state_dict().items()}
    step(net, picture(4), torch.arange(4))
    moved = {k for k, v in net.landmark_net.state_dict().items() if not torch.equal(v, before[k])}
    assert moved == {k for k in before if k.endswith(("running_mean", "running_var", "num_batches_tracked"))}
    assert any(k.startswith("head.") for k in moved)


def test_the_landmark_stream_reaches_the_logits():
    net, x = build().eval(), picture()
    before = net(x)["expression"]
    with torch.no_grad():
        net.landmark_reduce.weight.add_(1.0)
    assert (net(x)["expression"] - before).abs().max() > 1e-4


def test_the_ablation_has_no_landmark_weights_and_other_outputs():
    torch.manual_seed(0)
    whole, ablated, x = build(), build(landmark_branch=False), picture()
    assert not any("landmark" in name for name in ablated.state_dict())
    shared = {k: v for k, v in whole.state_dict().items() if "landmark" not in k}
    ablated.load_state_dict(shared)
    assert (whole.eval()(x)["expression"] - ablated.eval()(x)["expression"]).abs().max() > 1e-4


def test_layer_scale_keeps_the_released_stream_nearly_off_and_ours_on():
    def effect(**options):
        net, x = build(scrambled=False, **options).eval(), picture()
        on = net(x)["expression"]
        for fusion in net.fusions:
            nn.init.zeros_(fusion.gamma1)
        return ((net(x)["expression"] - on).abs().max() / on.abs().max()).item()

    assert effect(legacy=True) < 1e-3 < effect()


@pytest.mark.parametrize("classes", [1, 2, 7, 8, 23])
def test_any_class_count(classes):
    assert build(num_classes=classes).eval()(picture())["expression"].shape == (2, classes)


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("size", [20, 32, 45, 64, 160, 300])
def test_any_input_size(size, legacy):
    assert build(legacy=legacy).eval()(picture(size=size))["expression"].isfinite().all()


def test_pictures_that_are_not_square_are_squashed():
    assert build().eval()(torch.randn(1, 3, 40, 50))["expression"].shape == (1, 7)


def test_samples_of_a_batch_do_not_see_each_other():
    net, x = build().eval(), picture(3)
    torch.testing.assert_close(net(x)["expression"][1:2], net(x[1:2])["expression"], rtol=1e-4, atol=1e-5)


def test_building_and_reading_are_deterministic():
    assert torch.equal(build(seed=3).eval()(picture())["expression"], build(seed=3).eval()(picture())["expression"])


def test_a_wide_head_trains_whole_and_reads_its_first_classes():
    net = build(num_classes=3, head_width=7)
    assert net.train()(picture())["expression"].shape == (2, 7)
    assert net.eval()(picture())["expression"].shape == (2, 3)


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("branch", [False, True])
def test_for_inference_gives_the_same_logits(legacy, branch):
    net = build(legacy=legacy, landmark_branch=branch).eval()
    lean, x = net.for_inference(), picture()
    with torch.no_grad():
        want = net(x)["expression"]
        assert (lean(x)["expression"] - want).abs().max() <= 1e-4 * want.abs().max()
    norms = [m for m in lean.modules() if isinstance(m, nn.BatchNorm2d)]
    assert len(norms) == sum(net.config.depths)  # only each unit's leading norm is left
    assert lean.landmark_net is None or lean.landmark_net.head is None


def test_for_inference_leaves_the_network_as_it_was():
    net = build().train()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    net.for_inference()
    assert net.training and all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
    assert any(p.requires_grad for p in net.parameters())


@unchecked()  # the checks would break the graph
def test_for_inference_compiles_without_a_break():
    explained = torch._dynamo.explain(build().for_inference())(picture())
    assert explained.graph_break_count == 0, explained.break_reasons


def test_reduce_averages_blocks_and_legacy_keeps_every_second_pixel():
    x = torch.arange(16.0).view(1, 1, 4, 4)
    assert reduce_to(x, 2).flatten().tolist() == [2.5, 4.5, 10.5, 12.5]
    assert reduce_to(x, 2, nearest=True).flatten().tolist() == [0, 2, 8, 10]
    assert reduce_to(x, 4) is x


def test_reduced_nearest_is_torch_nearest():
    x = picture(1, 45)
    torch.testing.assert_close(reduce_to(x, 32, nearest=True), F.interpolate(x, size=32))
    x = picture(1, 64)
    torch.testing.assert_close(reduce_to(x, 32, nearest=True), F.interpolate(x, size=32))


def test_stage_0_weights_load_without_their_head():
    net = build()
    alone = MobileFaceNet(size=32, widths=(8, 16, 16), features=32, depths=(1, 1, 1), points=68)
    net.load_landmark_net(alone.state_dict())
    assert torch.equal(net.landmark_net.conv1.conv.weight, alone.conv1.conv.weight)
    with pytest.raises(MienError, match="not weights of its landmark network"):
        net.load_landmark_net({k: v for k, v in alone.state_dict().items() if not k.startswith("conv1")})
    with pytest.raises(MienError, match="landmark_branch is False"):
        build(landmark_branch=False).load_landmark_net(alone.state_dict())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"trunk_size": 100}, "trunk_size must be a multiple of 16; got 100"),
        ({"landmark_widths": (4, 16, 16)}, "landmark_widths must be the same as widths"),
        ({"head_dim": 7}, "head_dim must be a divisor"),
        ({"vit_heads": 5}, "vit_heads must be a divisor of token_width"),
        ({"drop_path": 1.0}, "drop_path must be in 0..1"),
        ({"head_width": 3}, "head_width must be 0 or at least num_classes"),
        ({"landmark_brunch": True}, "Did you mean 'landmark_branch'"),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(MienError, match=message):
        build(**options)


def test_the_small_variant_is_small():
    from torch.utils.flop_counter import FlopCounterMode

    net = create_model("poster_v2_small", num_classes=8).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net(torch.zeros(1, 3, 48, 48))["expression"]
    assert counter.get_total_flops() / 2 < 0.1e9
    assert sum(p.numel() for p in net.parameters()) < 2e6
    assert len(net.fusions) == 3 and net.landmark_net is not None and len(net.vit.blocks) == 2
    assert net.picture.color == "grey" and net.picture.size == 48


def test_the_base_variant_has_the_published_size():
    with torch.device("meta"):
        net = create_model("poster_v2", num_classes=7, legacy=True)
    assert sum(p.numel() for p in net.parameters()) == 43_849_957  # of 58,316,594 released: the rest never runs


def test_the_small_variant_overfits_eight_samples():
    torch.manual_seed(0)
    net = create_model("poster_v2_small", num_classes=8).train()
    x, y = picture(8, 48), torch.arange(8)
    optimizer = torch.optim.AdamW([p for p in net.parameters() if p.requires_grad], lr=2e-3)
    first = F.cross_entropy(net(x)["expression"], y).item()
    for _ in range(40):
        optimizer.zero_grad()
        loss = F.cross_entropy(net(x)["expression"], y)
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.1 < first
    assert (net.eval()(x)["expression"].argmax(1) == y).float().mean() >= 0.75
