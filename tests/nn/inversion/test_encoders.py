"""Encoders: a picture's code is its own whatever stands beside it, windows by hand, options, gradients."""

import numpy as np
import pytest
import torch

from mien.core.errors import MienError
from mien.nn.inversion.encoders import SMALL_ENCODER, AsitEncoder, CodePooling, FeatureModulation
from mien.nn.inversion.gcvit import Level, from_windows, sine_positions, windows_of
from mien.nn.inversion.style_heads import codes_by_scale
from shape_checks import unchecked

TINY = {"width": 8, "depths": (2, 2, 2, 2), "heads": (1, 2, 2, 4), "head_width": 16, "outputs": 12,
        "structure_channels": 20, "styles": 10, "size": 64, "drop_path": 0.0}  # fmt: skip


def tiny(**options):
    """An encoder in which every block matters: fresh layer scales of 1e-5 would hide them."""
    torch.manual_seed(0)
    encoder = AsitEncoder(**TINY | options).eval()
    with torch.no_grad():
        for name, p in encoder.named_parameters():
            if "gamma" in name or name.endswith("alpha"):
                p.fill_(0.5)
            elif p.ndim > 1 and "bias_table" not in name:
                p.mul_(2)
    return encoder


def test_windows_by_hand():
    x = torch.arange(16.0).view(1, 4, 4, 1)
    windows = windows_of(x, 2)[..., 0]
    assert windows.tolist() == [[0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 12, 13], [10, 11, 14, 15]]
    batch = torch.randn(3, 8, 8, 5)
    assert torch.equal(from_windows(windows_of(batch, 4), side=4, whole=8), batch)


def test_positions_by_hand():
    table = sine_positions(2, 3, 8)
    rates = torch.tensor([1.0, 1e-4])
    torch.testing.assert_close(table[1, 2, :4], torch.cat(((3 * rates).sin(), (3 * rates).cos())))
    torch.testing.assert_close(table[1, 2, 4:], torch.cat(((2 * rates).sin(), (2 * rates).cos())))


@torch.no_grad()
def test_queries_stay_with_their_picture():
    """By default each picture's windows get its own queries, channels split into heads; published, they mix."""
    torch.manual_seed(0)
    options = {"side": 16, "window": 8, "depth": 2, "heads": 2, "mlp_ratio": 2.0, "drop_path": (0.0, 0.0)}
    x = torch.randn(2, 16, 16, 6)
    level = Level(6, **options, legacy=False)
    queries = level.queries(x).unflatten(0, (2, 4))
    small = level.query(x.permute(0, 3, 1, 2))
    for picture in range(2):
        for window in range(4):
            want = small[picture].flatten(1).T.view(64, 2, 3).transpose(0, 1)
            torch.testing.assert_close(queries[picture, window], want)
    legacy = Level(6, **options, legacy=True)
    assert not torch.allclose(legacy.queries(x)[:4], legacy.queries(x[:1]))


@torch.no_grad()
@pytest.mark.parametrize("shared", [False, True])
def test_a_code_does_not_depend_on_the_batch(shared):
    encoder, pictures = tiny(shared_heads=shared), torch.randn(3, 3, 64, 64)
    together, alone = encoder(pictures), [encoder(p[None]) for p in pictures]
    for name in ("codes", "structure"):
        got, want = getattr(together, name), torch.cat([getattr(one, name) for one in alone])
        assert (got - want).abs().max() <= 1e-5 * want.abs().max(), name
        assert (want[0] - want[1]).abs().max() > 1e-2 * want.abs().max(), name
    legacy = tiny(legacy=True)
    mixed = legacy(pictures).codes[:1] - legacy(pictures[:1]).codes
    assert mixed.abs().max() > 1e-4 * legacy(pictures).codes.abs().max()


@torch.no_grad()
@pytest.mark.parametrize("size", [64, 128, 256])
def test_sizes_and_shapes(size):
    encoder = tiny(size=size, styles=14)
    encoded = encoder(torch.randn(1, 3, size, size))
    assert encoded.codes.shape == (1, 14, 12) and encoded.structure.shape == (1, 20, 4, 4)
    assert [tuple(m.shape[1:]) for m in encoded.maps] == [(8, 64, 64), (16, 32, 32), (32, 16, 16)]
    assert [f.shape[1] for f in encoder.features(encoded.maps)] == [20, 20, 20]
    with pytest.raises(MienError, match=f"reads {size} x {size} pixels; got 32 x 32"):
        encoder(torch.zeros(1, 3, 32, 32))


def test_codes_of_each_scale():
    assert codes_by_scale(10) == (3, 4, 3) and codes_by_scale(18) == (3, 4, 11)
    with pytest.raises(MienError, match="8 codes or more"):
        codes_by_scale(6)
    with pytest.raises(MienError, match="64, 128 or 256 pixels; got 512"):
        AsitEncoder(size=512)


def count(**options):
    with torch.device("meta"):
        return sum(p.numel() for p in AsitEncoder(**options).parameters())


def test_parameter_counts():
    """The published count less the parts that never run; shared heads cut most of it; the laptop's is small."""
    never_run = 2 * 1024 + 1024 * 1000 + 1000
    assert count() == 265_832_456 - never_run
    assert count(shared_heads=True) < 0.5 * count()
    assert count(**SMALL_ENCODER, styles=10, size=64) < 6_000_000


@pytest.mark.parametrize("shared", [False, True])
def test_every_parameter_learns(shared):
    encoder = tiny(shared_heads=shared).train()
    head = FeatureModulation(classes=3, structure_channels=20, width=12, pooling="attention")
    encoded = encoder(torch.randn(2, 3, 64, 64))
    loss = head(encoded.codes, encoded.structure).square().sum()
    (loss + sum(f.sum() for f in encoder.features(encoded.maps))).backward()
    for module in (encoder, head):
        lacking = [n for n, p in module.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
        assert lacking == []


def test_attention_pooling_starts_as_the_mean():
    codes, pool = torch.randn(2, 10, 8), CodePooling(8, pooling="attention")
    torch.testing.assert_close(pool(codes), codes.mean(1))
    with torch.no_grad():
        pool.query.copy_(1e4 * codes[0, 3])
    torch.testing.assert_close(pool(codes)[0], codes[0, (codes[0] @ codes[0, 3]).argmax()])


@torch.no_grad()
def test_frozen_biases_give_the_same():
    encoder, pictures = tiny(shared_heads=True), torch.randn(2, 3, 64, 64)
    want = encoder(pictures).codes
    encoder.trunk.freeze_biases()
    torch.testing.assert_close(encoder(pictures).codes, want)


@torch.no_grad()
@pytest.mark.filterwarnings("ignore:# The axis name")  # both inputs have the same batch
def test_the_head_gives_the_same_as_onnx(tmp_path):
    """IFER is ASIT's encoder and this head; tests/engine/reading/test_invert.py exports the encoder."""
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    torch.manual_seed(0)
    head = FeatureModulation(classes=3, structure_channels=4, width=6, pooling="attention").eval()
    head.pool.query.normal_()
    given, batch = (torch.randn(3, 10, 6), torch.randn(3, 4, 4, 4)), {0: torch.export.Dim("batch", min=1)}
    with unchecked():
        torch.onnx.export(
            head, given, tmp_path / "head.onnx", dynamo=True, verbose=False, dynamic_shapes=(batch, batch),
            input_names=["codes", "structure"], external_data=False,
        )  # fmt: skip
    session = runtime.InferenceSession(tmp_path / "head.onnx", providers=["CPUExecutionProvider"])
    for some in (1, 3):
        codes, structure = (each[:some] for each in given)
        (got,) = session.run(None, {"codes": codes.numpy(), "structure": structure.numpy()})
        np.testing.assert_allclose(got, head(codes, structure).numpy(), rtol=1e-4, atol=1e-5)
