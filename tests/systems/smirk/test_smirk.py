"""SMIRK: it begins at the mean face, its terms see what they should, released weights load by prefix."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")

import mien  # noqa: E402
from mien.core.errors import MienError  # noqa: E402
from mien.core.records import Batch  # noqa: E402
from mien.nn.face3d.masked_photo import hull_area, marked, masked_photo  # noqa: E402
from mien.nn.face3d.smirk import SmirkEncoder  # noqa: E402
from mien.synthetic.face.open_face import open_face, parameter_row  # noqa: E402
from mien.synthetic.people import portrait  # noqa: E402
from mien.systems.optim import OptimOptions  # noqa: E402
from mien.systems.registry import stage_class  # noqa: E402
from mien.systems.smirk import losses, official  # noqa: E402
from mien.systems.stage import StepOptions  # noqa: E402

FACE = open_face()


def stage_of(**options):
    torch.manual_seed(0)
    system = mien.create_model("smirk_small", input_size=32, **options)
    return stage_class("smirk_small", "pretrain")(
        system, options={}, optim=OptimOptions(), step=StepOptions(), epochs=1
    )


def rows(*numbers):
    truths = [portrait(3, number)[1] for number in numbers]
    return torch.from_numpy(np.stack([parameter_row(t.identity, t.action_units) for t in truths]))


def batch_of(truth):
    count = len(truth)
    points = 0.3 + 0.4 * torch.rand(count, 68, 2, generator=torch.Generator().manual_seed(1))
    return Batch(torch.rand(count, 3, 32, 32), torch.arange(count), landmarks=points, face3d=truth)


def test_it_begins_near_the_mean_face_in_the_middle_of_the_crop():
    system = mien.create_model("smirk_small").eval()
    with torch.no_grad():
        outputs = system(torch.rand(2, 3, 112, 112))
    assert outputs["shape"].abs().max() < 0.2 and outputs["camera"][:, 0].sub(7).abs().max() < 0.5
    middle = outputs["landmarks"].mean(1)
    assert ((middle > 0.4) & (middle < 0.75)).all()
    assert (outputs["depth"][:, 30] > outputs["depth"][:, 0] + 0.2).all()  # the nose is nearer than the ear
    assert system.outputs["expression"].names == FACE.expression_names


def test_the_vertex_term_is_the_squared_distance_of_the_vertices():
    truth = rows(0, 1)
    metric = torch.from_numpy(losses.vertex_metric(FACE, shapes=54, expressions=54))
    mean = torch.zeros_like(truth)
    found = losses.vertex_distance(mean, truth, metric).item()
    seen = np.unique(FACE.render_triangles)
    still = {"jaw": np.zeros((2, 3), np.float32)}
    posed = FACE.vertices(truth[:, :54].numpy(), truth[:, 54:108].numpy(), lids=truth[:, -2:].numpy(), **still)
    apart = 1000 * (posed - FACE.template)[:, seen]
    no_jaw = truth.clone()
    no_jaw[:, -5:-2] = 0
    assert losses.vertex_distance(mean, no_jaw, metric).item() == pytest.approx((apart**2).sum(-1).mean(), rel=1e-3)
    assert found != pytest.approx((apart**2).sum(-1).mean(), rel=1e-3) or not truth[:, -5:-2].any()


def test_faces_without_a_truth_count_in_the_prior_only():
    stage, truth = stage_of(), rows(0, 1)
    known = stage.loss_terms(batch_of(truth))
    assert {"landmarks", "vertices", "expression", "prior"} == set(known)
    assert known["prior"] == 0 and known["vertices"] > 0
    unknown = stage.loss_terms(batch_of(torch.full_like(truth, float("nan"))))
    assert unknown["vertices"] == unknown["expression"] == 0 and unknown["prior"] > 0
    assert all(value.isfinite() for value in unknown.values())


def test_bounded_lids_still_learn():
    system = mien.create_model("smirk_small", input_size=32)
    with torch.no_grad():
        system.encoder.layer.bias[-5:-3] = -3.0
    lids = system(torch.rand(2, 3, 32, 32))["lids"]
    assert (lids == 0).all()
    lids.sum().backward()
    assert (system.encoder.layer.bias.grad[-5:-3] != 0).all()


def test_validation_measures_millimetres_and_the_mean_face_is_worse_than_the_truth():
    stage, truth = stage_of(), rows(0, 1, 2, 3).numpy()
    points = np.random.default_rng(0).random((4, 68, 2)).astype(np.float32)
    exact = {"landmarks": points, "truth": points, "row": truth, "true_row": truth}
    scores = stage.validate(exact, [])
    assert scores["vertex_error_mm"] < 1e-3 and scores["nme_interocular"] == 0
    mean = stage.validate(stage.constant(exact), [])
    assert 1 < mean["vertex_error_mm"] < mean["vertex_error_unaligned_mm"] < 15
    with pytest.raises(MienError, match=r"selects its epoch by vertex_error_mm.*--stage\.options\.monitor"):
        stage.validate({"landmarks": points, "truth": points}, [])


def test_a_network_without_a_face_gives_parameters_alone_and_is_not_trained():
    with pytest.raises(MienError, match="with face none, which has no number of its own"):
        mien.create_model("smirk", face="none")
    system = mien.create_model("smirk_small", face="none", shapes=5, expressions=4, input_size=32)
    assert list(system.outputs) == ["pose", "camera", "shape", "expression", "lids", "jaw"]
    with pytest.raises(MienError, match=r"--system\.options\.face open"):
        stage_of(face="none", shapes=5, expressions=4)
    with pytest.raises(MienError, match="No 3D face 'opne'"):
        mien.create_model("smirk", face="opne")


def test_released_encoders_load_by_prefix_and_the_generator_is_left_out(tmp_path):
    torch.manual_seed(1)
    released = SmirkEncoder().eval()
    held = {f"smirk_encoder.{name}": value for name, value in released.state_dict().items()}
    held |= {"smirk_generator.conv.weight": torch.zeros(3, 32, 1, 1)}
    assert official.recognise(held) and not official.recognise({"conv.weight": torch.zeros(1)})
    path = tmp_path / "SMIRK_em1.pt"
    network, report = official.convert({path: held}, official.ConvertOptions())
    photo = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        found, wanted = network(photo), released(photo).tensors()
    assert found.keys() == wanted.keys() and all(torch.equal(found[name], wanted[name]) for name in found)
    assert "1 dropped knowingly" in report[0] and network.config.shapes == 300
    with pytest.raises(MienError, match="the weights do not fit"):
        official.convert({path: held | {"other.weight": torch.zeros(1)}}, official.ConvertOptions())


def synthesis_of(**options):
    torch.manual_seed(0)
    system = mien.create_model("smirk_small", input_size=32)
    small = {
        "perceptual": 0,
        "expression_network": "poster_v2_small_ferplus",
        "generator_width": 4,
        "generator_blocks": 1,
    }
    stage = stage_class("smirk_small", "synthesis")(
        system, options=small | options, optim=OptimOptions(lr=1e-3), step=StepOptions(), epochs=1
    )
    return stage.train()


def test_a_hull_without_a_search_is_that_of_opencv():
    points = 0.2 + 0.6 * np.random.default_rng(2).random((3, 68, 2)).astype(np.float32)
    found = hull_area(torch.from_numpy(points), size=96).numpy()
    at = (np.arange(96) + 0.5) / 96
    for area, shape in zip(found, points, strict=True):
        hull = cv2.convexHull(shape)
        depth = np.array([[cv2.pointPolygonTest(hull, (float(x), float(y)), True) for x in at] for y in at])
        assert area[depth > 0].all() and not area[depth < -0.012].any()
    grown_by = hull_area(torch.from_numpy(points), size=96, margin=0.05)
    assert (grown_by.numpy() | ~found).all() and grown_by.sum() > found.sum()


def test_the_photo_keeps_the_face_only_in_marks_which_move_with_the_mesh():
    stage = synthesis_of(pixels_left=0.05)
    batch = batch_of(rows(0, 1))
    found = stage.system.parameters_of_face(batch.image)
    projected, fragments, render = stage._rendered(found)
    assert render.shape == (2, 3, 32, 32) and 0.5 < render.max() <= 1 and fragments.covered.float().mean() > 0.2
    marks = marked(batch.image, fragments, share=0.05, weight=stage.weight_left)
    assert 20 < len(marks.sample) < 200
    removed = torch.ones(2, 32, 32, dtype=torch.bool)
    masked = masked_photo(batch.image, removed, marks, projected, stage.triangles)
    left = masked.abs().sum(1) > 0
    assert 0.5 * len(marks.sample) < left.sum() <= len(marks.sample)
    same = (masked - batch.image).abs().amax(1)[left]
    assert same.median() < 0.1  # the photo's own colours, but for some per cent of noise
    shifted = projected + torch.tensor([2 * 3 / 32, 0, 0])  # by three pixels
    moved = masked_photo(batch.image, removed, marks, shifted, stage.triangles).abs().sum(1) > 0
    assert (moved[:, :, 3:] == left[:, :, :-3]).float().mean() > 0.99


def test_encoder_and_generator_learn_the_cycle_in_turn():
    stage, batch = synthesis_of(), batch_of(rows(0, 1, 2, 3))
    shared = stage.shared(batch)
    names = [set(stage.encoder_terms(batch, shared)), set(stage.generator_terms(batch, shared))]
    stage.position.step = 1
    names += [set(stage.encoder_terms(batch, shared)), set(stage.generator_terms(batch, shared))]
    assert "cycle" in names[2] - names[0] and "generator_cycle" in names[1] - names[3]
    assert {"photo", "expression_features", "landmarks", "vertices", "expression"} <= names[0]
    terms = stage.encoder_terms(batch, shared)
    (gradient,) = torch.autograd.grad(terms["photo"] + terms["cycle"], [stage.system.encoder.layer.weight])
    assert gradient.abs().sum() > 0  # through generator and renderer
    other = stage.other_expressions(shared.found)
    assert (other.expression[3] == 0).all() and (other.expression[2] > 0).sum() == 1
    assert not other.expression.requires_grad and torch.equal(other.pose, shared.found.pose.detach())


def test_an_expression_network_sees_a_face_as_it_would_itself():
    """The framing of the encoder's crop is cut down to that of the expression network."""
    stage = synthesis_of()
    reframed = stage.expression.network
    own = reframed.network.picture
    wide = replace(own, size=448, color="rgb", box_scale=2 * own.box_scale, box_shift=(0.0, 0.1))
    picture = torch.rand(1, 3, 7, 7)
    picture = torch.nn.functional.interpolate(picture, size=(448, 448), mode="bicubic").clamp(0, 1)
    centre = 448 * (0.5 + (own.box_shift[1] - 0.1) / wide.box_scale)
    top = round(centre - 112)
    crop = picture[:, :, top : top + 224, 112:336]
    direct = type(reframed)(reframed.network, reframed.output, own)(crop)
    torch.testing.assert_close(
        type(reframed)(reframed.network, reframed.output, wide)(picture), direct, atol=0.15, rtol=0
    )


def test_stage_two_says_what_it_lacks():
    with pytest.raises(MienError, match="expression_network poster_v2_small_ferplus"):
        synthesis_of(expression_network="")
    with pytest.raises(MienError, match="gives no classes of a picture alone"):
        synthesis_of(expression_network="poster_v2_landmarks_small_300w")
    with pytest.raises(MienError, match="must be a multiple of 16; got 40"):
        system = mien.create_model("smirk_small", input_size=40)
        stage_class("smirk_small", "synthesis")(system, options={}, optim=OptimOptions(), step=StepOptions(), epochs=1)
