"""Inversion networks out of released files, and what is refused in one line."""

import pytest
import torch

from mien.core.errors import MienError
from mien.nn.inversion import checkpoints
from mien.nn.inversion.checkpoints import classifier_of, encoder_kind, inversion_of, psp_encoder_of
from mien.nn.inversion.encoders import AsitEncoder, FeatureModulation, PspEncoder
from mien.nn.inversion.inversion import Inversion, tiled_latent_avg
from mien.nn.inversion.names import asit_names, classifier_names, psp_names
from mien.nn.stylegan2.generator import Generator
from mien.nn.stylegan2.names import generator_to_official

SMALL = {"width": 8, "depths": (1, 2, 1, 1), "heads": (1, 2, 2, 4), "head_width": 32, "outputs": 12,
         "structure_channels": 20}  # fmt: skip


def renamed(network, names, prefix):
    return {prefix + names[name]: value for name, value in network.state_dict().items()}


@pytest.fixture
def small_encoders(monkeypatch):
    """Released encoders have one size; what reads them is tried with a small one of the same names."""
    build = checkpoints.AsitEncoder
    monkeypatch.setattr(
        checkpoints, "AsitEncoder", lambda **o: build(**SMALL | {"styles": o["styles"]}, legacy=o["legacy"])
    )


@pytest.fixture
def parts():
    torch.manual_seed(0)
    encoder = AsitEncoder(**SMALL, styles=10, legacy=True).eval()
    generator = Generator(size=64, style=12, mapping_layers=2, most_channels=20).eval()
    generator.latent_avg.normal_()
    return encoder, generator


@torch.no_grad()
def test_asit_and_ifer(small_encoders, parts):
    encoder, generator = parts
    encoder_weights = renamed(encoder, asit_names(encoder), "encoder.")
    never_run = {
        "encoder.head.weight": torch.zeros(3, 64),
        "encoder.levels.0.blocks.0.attn.relative_position_index": torch.zeros(2),
    }
    decoder = {f"decoder.{k}": v for k, v in generator_to_official(generator).items()}
    mean = torch.randn(10, 12)
    contents = {
        "state_dict": encoder_weights | never_run | decoder,
        "latent_avg": mean,
        "opts": {"start_from_latent_avg": True},
    }
    network, lines = inversion_of(contents, where="best_model.pt")
    assert len(lines) == 1 and "the decoder of an inversion network, 64 pixels" in lines[0]
    image = torch.randn(1, 3, 256, 256)
    want = encoder(image)
    torch.testing.assert_close(network.encode(image).codes, want.codes + mean)
    torch.testing.assert_close(network(image), generator(want.codes + mean, structure=want.structure).image)
    torch.testing.assert_close(network(image, use_structure=False), generator(want.codes + mean).image)
    del contents["latent_avg"], contents["opts"]
    assert not inversion_of(contents, where="f")[0].from_mean

    head = FeatureModulation(classes=5, structure_channels=512, width=512)
    whole = renamed(encoder, asit_names(encoder), "feature_model.") | renamed(head, classifier_names(head), "")
    loaded, found = classifier_of({"state_dict": whole}, where="model_best.pth.tar")
    torch.testing.assert_close(loaded(image).structure, want.structure)
    assert torch.equal(found.style_conv.affine.weight, head.style_conv.affine.weight)
    del whole["style_conv.modulation.bias"]
    with pytest.raises(MienError, match=r"1 missing.*style_conv.affine.bias"):
        classifier_of({"state_dict": whole}, where="f")


@torch.no_grad()
def test_psp_and_its_relatives():
    encoder = PspEncoder(styles=8).eval()
    weights = renamed(encoder, psp_names(encoder), "encoder.")
    contents = {"state_dict": weights, "opts": {"encoder_type": "GradualStyleEncoder"}}
    found = psp_encoder_of(contents, where="psp_ffhq_encode.pt")
    assert torch.equal(found.styles.heads[7].linear.weight, encoder.styles.heads[7].linear.weight)
    contents["opts"]["encoder_type"] = "Encoder4Editing"
    with pytest.raises(MienError, match=r"the encoder is Encoder4Editing's, .* its generator alone can be read"):
        psp_encoder_of(contents, where="e4e.pt")
    with pytest.raises(MienError, match="a psp file where an ASIT one is asked for"):
        inversion_of({"state_dict": weights}, where="psp.pt")
    with pytest.raises(MienError, match="no encoder of ASIT, IFER or pSp in it"):
        encoder_kind({"state_dict": {"a.b": torch.zeros(1)}}, where="x.pt")


def test_encoder_and_generator_must_fit(parts):
    encoder, _ = parts
    with pytest.raises(MienError, match=r"10 codes, for 64 pixels; the generator of 1024 pixels takes 18"):
        Inversion(encoder, Generator(size=1024, style=12, mapping_layers=1, most_channels=4))
    assert torch.equal(tiled_latent_avg(torch.arange(3.0), 2), torch.arange(3.0).repeat(2, 1))
    with pytest.raises(MienError, match=r"latent_avg has shape \(18, 3\); a generator of 14 codes takes 1 row or 14"):
        tiled_latent_avg(torch.zeros(18, 3), 14)
