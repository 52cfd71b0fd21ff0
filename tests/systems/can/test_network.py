"""The context network by what it declares and by what must hold whatever its weights are."""

import pytest
import torch

import mien
from mien.core.errors import MienError
from mien.core.spec import PictureInput, SoundInput
from mien.systems.can.network import divergence_of

SMALL = {"size": 32, "width": 0.125, "latent": 16}


def network(name="can", **options):
    torch.manual_seed(0)
    return mien.create_model(name, **(SMALL | options)).eval()


def pair(batch=3):
    random = torch.Generator().manual_seed(1)
    return torch.rand(batch, 3, 32, 32, generator=random), torch.rand(batch, 1, 32, 32, generator=random)


def test_the_published_sizes():
    with torch.device("meta"):  # no memory
        whole = mien.create_model("can", whole=True, alone=False)
    counts = {name: sum(p.numel() for p in part.parameters()) for name, part in whole.face.named_children()}
    assert counts == {"encoder": 22_656_320, "decoder": 16_218_819, "discriminator": 36_119_681}
    assert sum(p.numel() for p in whole.parameters()) == 151_561_165
    assert sum(p.numel() for p in whole.voice.parameters()) == 74_986_818


def test_outputs_are_those_declared_and_of_one_answer():
    system, inputs = network(), pair()
    with torch.inference_mode():
        found, again = system(*inputs), system(*inputs)
    assert list(found) == list(system.outputs)
    assert all(torch.equal(found[name], again[name]) for name in found)
    assert found["picture"].shape == inputs[0].shape and found["expression_voice"].shape == (3, 7)
    assert system.inputs["voice"].shape == (1, 32, 32) and system.inputs["voice"].rate_hz == 22050
    published = mien.create_model("can", width=0.125).inputs["voice"]
    assert (published.samples, published.frames, published.mels) == (83185, 128, 128)
    assert "picture" not in network(picture=False).outputs and "shift" not in network("can_product").outputs


@torch.inference_mode()
def test_strength_goes_in_a_straight_line_from_the_face():
    system = network()
    none, half, whole = (system.perceive(*pair(), strength=t) for t in (0.0, 0.5, 1.0))
    assert torch.equal(none.fused.mean, none.face.mean)
    for place in range(2):
        torch.testing.assert_close(half.fused[place], (none.fused[place] + whole.fused[place]) / 2)
    assert divergence_of(none).abs().max() < 1e-5 < divergence_of(whole).min()
    torch.testing.assert_close(system(*pair())["shift"], whole.fused.mean - none.face.mean)


@torch.inference_mode()
def test_controls_set_the_strength_of_each_sample_and_draw_from_the_codes():
    system, (image, voice) = network(), pair()
    plain, whole = (system(image, voice, torch.full((3, 1), t)) for t in (0.0, 1.0))
    assert torch.equal(plain["picture"], plain["reconstruction"])
    assert torch.equal(whole["picture"], system(image, voice)["picture"])
    mixed = system(image, voice, torch.tensor([[0.0], [1.0], [0.0]]))["latent"]
    torch.testing.assert_close(mixed, torch.stack([plain["latent"][0], whole["latent"][1], plain["latent"][2]]))
    noise, codes = torch.randn(3, 16), system.perceive(image, voice)
    drawn = system(image, voice, None, noise)
    torch.testing.assert_close(drawn["latent"], codes.fused.sample(noise))
    torch.testing.assert_close(drawn["expression_face"], system.face_classifier(codes.face.sample(noise)))
    assert list(network("can_product").controls) == ["noise"]


@torch.inference_mode()
def test_the_voice_matters_where_it_should():
    image, voice = pair()
    other = voice.flip(-1)
    for fusion, follows in (("attention", True), ("product", True), ("voice", True), ("face", False)):
        system = network(fusion=fusion)
        one, two = system(image, voice), system(image, other)
        assert torch.equal(one["expression"], two["expression"]) is not follows, fusion
        assert torch.equal(one["expression_face"], two["expression_face"])
        assert not torch.equal(one["expression_voice"], two["expression_voice"])


@torch.inference_mode()
@pytest.mark.parametrize("name", ["can", "can_product", "can_face", "can_face_expression"])
def test_the_lean_network_gives_the_same(name):
    system = network(name, **({"whole": True} if name in ("can", "can_product", "can_face_expression") else {}))
    inputs = pair()[: len(system.input_names)]
    system.train()(*inputs)  # statistics that are not 0 and 1
    expected, lean = system.eval()(*inputs), system.for_inference()
    found = lean(*inputs)
    for output, values in expected.items():
        torch.testing.assert_close(found[output], values, atol=1e-4, rtol=1e-3)
    assert not any("discriminator" in name for name, _ in lean.named_parameters())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 100}, "size must be a multiple of 32; got 100"),
        ({"fusion": "sum"}, "attention"),
        ({"num_classes": 1}, "num_classes must be at least 2"),
        ({"width": 0}, "width must be above 0"),
        ({"inputs": {"image": PictureInput(size=64)}}, r"input 'image' must be \[3, 32, 32\]; got \[3, 64, 64\]"),
        ({"inputs": {"voice": SoundInput()}}, r"input 'voice' must be \[1, 32, 32\]; got \[1, 128, 128\]"),
    ],
)
def test_refusals(options, message):
    with pytest.raises(MienError, match=message):
        network(**options)
