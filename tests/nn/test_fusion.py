"""What the fusions, the attention heads and the losses of affect promise beyond the published numbers."""

import torch
from torch.nn import functional as F

from mien.nn import fusion
from mien.nn.ddamfn import DualDirectionHeads, MixedDepthwise
from mien.nn.losses.affect import affect_loss, concordance, head_difference, head_diversity


def maps(seed=0):
    return (torch.randn(2, 16, 4, 4, generator=torch.Generator().manual_seed(seed + i)) for i in (0, 1))


def test_attention_over_tokens_trains_its_query_and_key_and_the_published_one_cannot():
    for legacy in (False, True):
        torch.manual_seed(0)
        block = fusion.TokenAttention(16, side=4, legacy=legacy)
        block(*maps()).square().sum().backward()
        norms = [layer.weight.grad.abs().max().item() for layer in (block.query, block.key)]
        assert all((norm == 0) if legacy else (norm > 1e-8) for norm in norms), norms


def test_a_place_of_the_render_reaches_every_place_of_the_photo():
    torch.manual_seed(0)
    block = fusion.TokenAttention(16, side=4).eval()
    photo, render = maps()
    changed = render.clone()
    changed[:, :, 0, 0] += 5
    moved = (block.attended(photo, changed) - block.attended(photo, render)).abs().amax(1)
    assert (moved > 1e-4).all()


def test_windows_are_those_of_adaptive_pooling():
    x = torch.randn(2, 3, 7, 7, generator=torch.Generator().manual_seed(0))
    for count in (1, 2, 3, 4, 7):
        assert torch.equal(fusion.largest_in_windows(x, count), F.adaptive_max_pool2d(x, count))


def test_every_fusion_uses_both_maps():
    for block in (
        fusion.Concatenation(16, side=4), fusion.TokenAttention(16, side=4), fusion.Gate(16, side=4),
        fusion.PyramidPooling(16, reduced=8),
    ):  # fmt: skip
        photo, render = (x.requires_grad_() for x in maps())
        found = block(photo, render)
        assert found.shape == (2, block.outputs)
        found.square().sum().backward()
        assert photo.grad.abs().sum() > 0 and render.grad.abs().sum() > 0


def test_minimising_diversity_pushes_heads_apart_and_minimising_difference_pulls_them_together():
    for loss, farther in ((head_diversity, True), (head_difference, False)):
        torch.manual_seed(0)
        heads = DualDirectionHeads(8, 3, side=4)
        x = torch.randn(4, 8, 4, 4)
        before = head_difference(heads(x)).item()
        optimizer = torch.optim.SGD(heads.parameters(), lr=0.1)
        for _ in range(5):
            optimizer.zero_grad()
            loss(heads(x)).backward()
            optimizer.step()
        assert (head_difference(heads(x)).item() > before) == farther


def test_unknown_values_do_not_count_and_one_known_face_has_no_correlation():
    predicted = torch.tensor([[0.5, 0.1], [-0.2, 0.3], [0.9, -0.4]], requires_grad=True)
    nan = float("nan")
    truth = torch.tensor([[0.4, nan], [-0.1, nan], [nan, -0.4]])
    terms = affect_loss(predicted, truth)
    expected = ((predicted[0, 0] - 0.4) ** 2 + (predicted[1, 0] + 0.1) ** 2) / 3
    assert torch.isclose(terms["affect_mse"], expected)
    assert torch.isclose(terms["affect_ccc"], 1 - concordance(predicted[:2, 0], truth[:2, 0]))
    sum(terms.values()).backward()
    assert predicted.grad[2, 0] == 0 and torch.isfinite(predicted.grad).all()
    none = affect_loss(predicted, torch.full_like(truth, nan))
    assert all(value == 0 for value in none.values())


def test_concordance_is_the_metric():
    from mien.metrics.affect import ccc

    p, t = (torch.randn(50, generator=torch.Generator().manual_seed(i)) for i in (1, 2))
    assert abs(concordance(p, p + t).item() - ccc(p.numpy(), (p + t).numpy())) < 1e-5
    assert torch.isfinite(torch.autograd.grad(concordance(x := torch.zeros(3, requires_grad=True), x), x)[0]).all()


def test_mixed_depthwise_splits_what_the_released_one_does():
    third = (1 / 3,) * 3
    assert MixedDepthwise(512, (3, 5, 7), third).counts == [172, 170, 170]
    assert MixedDepthwise(128, (3, 5), (0.75, 0.25)).counts == [96, 32]
