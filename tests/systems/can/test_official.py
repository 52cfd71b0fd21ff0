"""All four released layouts load strictly and come out again; what the release forgot to rename is renamed."""

import pytest
import torch

import mien
from mien.__main__ import main
from mien.core.errors import MienError
from mien.systems.can.official_names import converted, layout_of, official_names, to_official

LAYOUTS = {"face": "can_face", "voice": "can_voice", "face_expression": "can_face_expression", "context": "can",
           "product": "can_product"}  # fmt: skip
NARROW = {"latent": 8, "size": 32}  # the released code has no other widths, but any length of a code


def system_of(name, **options):
    torch.manual_seed(0)
    return mien.create_model(name, **(NARROW | options))


@pytest.fixture(scope="module")
def released():
    """layout -> what its trainer saves, with weights of our own."""
    found = {}
    for layout, name in LAYOUTS.items():
        more = {} if layout in ("face", "voice") else {"whole": True}
        more |= {"alone": False} if layout in ("context", "product") else {}
        found[layout] = {"epoch": 3, "state_dict": to_official(system_of(name, **more))}
    return found


@pytest.mark.parametrize(("layout", "entries"), [
    ("face", 180), ("voice", 180), ("face_expression", 182), ("context", 374), ("product", 362)
])  # fmt: skip
def test_each_layout_loads_and_comes_out_again(layout, entries, released):
    weights = released[layout]["state_dict"]
    assert len(weights) == entries and layout_of(weights) == layout
    more = {} if layout in ("face", "voice") else {"whole": True}
    system, report = converted(released[layout], **more)
    assert system.name == LAYOUTS[layout].replace("_product", "") and not system.training
    assert len(report.matched) == entries and not report.dropped
    back = to_official(system)
    assert list(back) == list(weights) and all(torch.equal(back[name], weights[name]) for name in weights)


@pytest.mark.parametrize("layout", ["face_expression", "context", "product"])
def test_what_no_output_needs_is_dropped_and_may_be_missing(layout, released):
    weights = released[layout]["state_dict"]
    system, report = converted(released[layout])
    assert report.dropped and len(report.matched) + len(report.dropped) == len(weights)
    slim = {name: value for name, value in weights.items() if name not in report.dropped}
    again, _ = converted(slim)
    inputs = [torch.rand(2, *system.inputs[name].shape) for name in system.input_names]
    assert torch.equal(system(*inputs)["expression"], again(*inputs)["expression"])


def test_a_vae_gan_without_its_discriminator_loads(released):
    slim = {name: v for name, v in released["face"]["state_dict"].items() if ".discriminator." not in name}
    system, _ = converted(slim)
    assert system.vae_gan.discriminator is None


def test_a_name_too_few_too_many_or_of_another_shape_is_refused(released):
    whole = released["context"]["state_dict"]
    for changed, message in (
        ({name: v for name, v in whole.items() if name != "att_mu.query.bias"}, "missing: att_mean.query.bias"),
        (whole | {"model_imgs.encoder.main.extra": torch.zeros(1)}, "unexpected: model_imgs.encoder.main.extra"),
        (whole | {"att_mu.query.bias": torch.zeros(9)}, r"of another shape: att_mean.query.bias \(9,\)"),
    ):
        with pytest.raises(MienError, match=message):
            converted(changed)
    with pytest.raises(MienError, match=r"Not a released CAN file: it has a\.weight"):
        converted({"a.weight": torch.zeros(1)})


def test_released_names_are_those_of_step_3_whichever_step_wrote_the_file(released):
    """The released step 3 wants `model_imgs.` where its step 1 wrote `model.`."""
    face, _ = converted(released["face"])
    context = system_of("can", whole=True, alone=False)
    names = official_names(context)
    context.face.load_state_dict(face.face.state_dict())
    given, written = released["face"]["state_dict"], to_official(context)
    assert set(names.values()) == set(written)
    for name, value in given.items():
        assert torch.equal(written[name.replace("model.", "model_imgs.", 1)], value)


def test_the_command_converts_and_asks_for_what_is_not_in_the_file(released, tmp_path, capsys):
    for layout, contents in released.items():
        torch.save(contents, tmp_path / f"{layout}.ckpt")

    def convert(layout, *more):
        capsys.readouterr()
        output = str(tmp_path / "out" / layout)
        code = main(
            ["weights", "convert", str(tmp_path / f"{layout}.ckpt"), "--system", "can", "--output", output, *more]
        )
        return code, capsys.readouterr()

    code, printed = convert("context", "--labels", "can_ravdess")
    assert code == 0 and "dropped knowingly" in printed.out
    system = mien.load(tmp_path / "out" / "context")
    assert system.labels.name == "can_ravdess" and system.config.legacy and not system.config.alone
    code, printed = convert("product", "--fusion", "voice")
    assert code == 0 and "The class order is not in the file" in printed.out
    assert mien.load(tmp_path / "out" / "product").config.fusion == "voice"
    for layout, more, message in (
        ("context", ("--fusion", "face"), "--fusion is for an ia_mlp_class file"),
        ("face", ("--labels", "can_mead"), "is a VAE-GAN"),
    ):
        code, printed = convert(layout, *more)
        assert code == 2 and message in printed.err and printed.err.count("\n") == 1
    assert convert("voice")[0] == 0
