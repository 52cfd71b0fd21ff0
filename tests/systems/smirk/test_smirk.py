"""SMIRK: it begins at the mean face, its terms see what they should, released weights load by prefix."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")

import mien  # noqa: E402
from mien.core.errors import MienError  # noqa: E402
from mien.core.records import Batch  # noqa: E402
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
