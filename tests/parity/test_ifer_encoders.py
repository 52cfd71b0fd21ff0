"""ASIT's and pSp's encoders, IFER's classifier and IR-SE50 give the released implementation's numbers."""

import sys
from pathlib import Path

import pytest
import torch

from mien.nn.inversion.encoders import AsitEncoder, FeatureModulation, PspEncoder
from mien.nn.inversion.names import asit_names, classifier_names, load_named, psp_names, recogniser_names
from mien.nn.iresnet import FaceRecogniser
from mien.nn.stylegan2.generator import Generator
from mien.nn.stylegan2.names import load_generator

sys.path.insert(0, str(Path(__file__).parent))
from case import Case

pytestmark = [pytest.mark.usefixtures("device"), pytest.mark.slow]


def keep(outputs, module, name, pick=None):
    module.register_forward_hook(lambda _, __, out: outputs.__setitem__(name, (pick(out) if pick else out).clone()))


def asit_encoder(weights, prefix):
    encoder = AsitEncoder(depths=(2, 2, 2, 2), legacy=True).eval()
    load_named(encoder, asit_names(encoder), weights, where="ASIT", prefix=prefix)
    return encoder


@torch.no_grad()
def test_asit():
    case, outputs = Case("ifer", "asit"), {}
    weights = case.weights()
    encoder, image = asit_encoder(weights, "encoder."), case.input("image")
    trunk = encoder.trunk
    keep(outputs, trunk.stem_reduce, "patch_embed")
    keep(outputs, trunk.levels[0].query, "q_global0")
    for i in range(2):
        keep(outputs, trunk.levels[0].blocks[i], f"block{i}")
    for i in range(3):
        keep(outputs, trunk.reductions[i], f"level{i}")
    keep(outputs, trunk.levels[3], "level3")
    for i in (0, 3, 7):
        keep(outputs, encoder.styles.heads[i], f"style{i}")
    encoded = encoder(image)
    together = dict(outputs)
    outputs |= {"codes": encoded.codes, "structure": encoded.structure}
    for side, features in zip((64, 32, 16), encoder.features(encoded.maps), strict=True):
        outputs[f"features{side}"] = features
    for name, got in (outputs | together).items():
        case.check(name, got)
    alone = encoder(image[:1])
    case.check("codes_alone", alone.codes)
    case.check("structure_alone", alone.structure)
    assert (alone.codes - encoded.codes[:1]).abs().max() > 1e-3 * encoded.codes.abs().max(), "legacy mixes a batch"

    net = Generator(size=256).eval()
    load_generator(net, {k.removeprefix("decoder."): v for k, v in weights.items() if k.startswith("decoder.")})
    codes = encoded.codes + case.input("latent_avg")
    case.check("latent", codes)
    case.check("image_structure", net(codes, structure=encoded.structure).image)
    case.check("image_plain", net(codes).image)
    for side, features in zip((64, 32, 16), net(net.codes(case.input("z"))).features, strict=True):
        case.check(f"decoder_features{side}", features)


@torch.no_grad()
def test_ifer_classifier():
    case = Case("ifer", "ifer_classifier")
    weights, image = case.weights(), case.input("image")
    encoder = asit_encoder(weights, "feature_model.")
    head = FeatureModulation(classes=7).eval()
    own = {name: value for name, value in weights.items() if not name.startswith("feature_model.")}
    load_named(head, classifier_names(head), own, where="IFER")

    def logits(picture):
        encoded = encoder(picture)
        return head(encoded.codes, encoded.structure)

    case.check("logits", logits(image))
    case.check("logits_alone", logits(image[:1]))


@torch.no_grad()
def test_irse50():
    case, outputs = Case("ifer", "irse50"), {}
    net = FaceRecogniser().eval()
    load_named(net, recogniser_names(net), case.weights(), where="IR-SE50")
    keep(outputs, net.trunk.stem_act, "input_layer")
    keep(outputs, net.trunk.stages[0][0], "body0")
    for i, place in ((1, 6), (2, 20), (3, 23)):
        keep(outputs, net.trunk.stages[i], f"body{place}")
    outputs["embedding"] = net(case.input("face"))
    for name, got in outputs.items():
        case.check(name, got)


@torch.no_grad()
def test_psp_encoder():
    case, outputs = Case("ifer", "psp_encoder"), {}
    net = PspEncoder(styles=8).eval()
    load_named(net, psp_names(net), case.weights(), where="pSp")
    for i, place in ((1, 6), (2, 20), (3, 23)):
        keep(outputs, net.trunk.stages[i], f"body{place}")
    for i in (0, 3, 7):
        keep(outputs, net.styles.heads[i], f"style{i}")
    outputs["codes"] = net(case.input("image"))
    for name, got in outputs.items():
        case.check(name, got)
