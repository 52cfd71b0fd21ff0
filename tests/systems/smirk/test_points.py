"""The encoder that looks for points first: what it reads parameters from, what its points learn, its exported form."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")

import mien  # noqa: E402
from mien.core.errors import MienError  # noqa: E402
from mien.core.records import Batch  # noqa: E402
from mien.nn.face3d.point_encoder import PointEncoder, apart_from  # noqa: E402
from mien.synthetic.face.open_face import open_face  # noqa: E402
from mien.systems.optim import OptimOptions  # noqa: E402
from mien.systems.registry import stage_class  # noqa: E402
from mien.systems.smirk import losses  # noqa: E402
from mien.systems.stage import StepOptions  # noqa: E402


def stage_of(name="smirk_points", **options):
    torch.manual_seed(0)
    system = mien.create_model(name, input_size=32)
    return stage_class(name, "pretrain")(system, options=options, optim=OptimOptions(), step=StepOptions(), epochs=1)


def batch_of(faces=3):
    random = torch.Generator().manual_seed(1)
    points = 0.3 + 0.4 * torch.rand(faces, 68, 2, generator=random)
    return Batch(torch.rand(faces, 3, 32, 32, generator=random), torch.arange(faces), landmarks=points)


def test_a_similarity_of_the_mean_face_is_told_apart_from_what_the_face_is():
    mean = torch.rand(68, 2, generator=torch.Generator().manual_seed(0))
    own = mean - mean.mean(0)
    turn, place = torch.tensor([[0.8, -0.6], [0.6, 0.8]]), torch.tensor([0.4, 0.7])
    change = torch.zeros(68, 2)
    change[8, 1] = 0.05
    change = change - change.mean(0)
    seen = torch.stack([1.3 * own @ turn.T, 1.3 * (own + change) @ turn.T]) + place
    rest, similarity = apart_from(mean, seen)
    assert rest[0].abs().max() < 1e-6
    assert torch.allclose(similarity[0], torch.tensor([1.3 * 0.8, 1.3 * 0.6, *place]))
    assert rest[1, 8, 1] == pytest.approx(change[8, 1].item(), rel=0.05) and rest[1].abs().argmax() == 2 * 8 + 1


def test_a_point_is_the_place_where_its_map_is_bright_also_in_bf16():
    torch.manual_seed(0)
    network = PointEncoder(5, mean_points=torch.rand(4, 2)).eval()
    wanted = torch.zeros(1, 4, 8, 8)
    for point, (x, y) in enumerate([(1, 2), (7, 0), (4, 4), (0, 7)]):
        wanted[0, point, y, x] = 60.0
    network.maps.register_forward_hook(lambda *_: wanted)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        numbers, points = network(torch.rand(1, 3, 32, 32))
    places = torch.tensor([[1.5, 2.5], [7.5, 0.5], [4.5, 4.5], [0.5, 7.5]]) / 8
    assert points.dtype == torch.float32 and torch.allclose(points[0], places, atol=1e-6)
    assert numbers.shape == (1, 5) and numbers.dtype == torch.float32


def test_its_own_points_are_trained_beside_those_of_the_face():
    terms = stage_of().loss_terms(batch_of())
    assert terms["points"] > 0 and "points" not in stage_of("smirk_small").loss_terms(batch_of())
    assert "points" not in stage_of(points=0).loss_terms(batch_of())
    stage, batch = stage_of(landmarks=0, prior=0), batch_of()
    sum(stage.loss_terms(batch).values()).backward()
    maps, head = stage.system.encoder.encoder.maps.weight.grad, stage.system.encoder.encoder.linear.weight.grad
    assert maps.abs().sum() > 0 and head is None  # the points alone, not what is read from them


def test_what_a_similarity_would_take_away_counts_as_little_as_is_stated():
    face, random = open_face(), np.random.default_rng(0)
    seen = np.unique(face.render_triangles)
    row = np.zeros((1, 113), np.float32)
    row[0, :54] = random.normal(0, 0.5, 54)
    mean = 1000 * face.vertices(np.zeros((1, 0), np.float32), np.zeros((1, 0), np.float32))[0, seen]
    moved = 1000 * face.vertices(row[:, :54], row[:, 54:108])[0, seen] - mean
    centred = mean - mean.mean(0)
    fields = [np.tile(axis, (len(seen), 1)) for axis in np.eye(3)] + [np.cross(axis, centred) for axis in np.eye(3)]
    basis = np.stack([field.ravel() for field in [*fields, centred]], 1)
    left = moved.ravel() - basis @ np.linalg.lstsq(basis, moved.ravel(), rcond=None)[0]
    plain, aligned = (moved**2).sum() / len(seen), (left**2).sum() / len(seen)
    assert aligned < 0.7 * plain
    for share in (0.0, 0.1, 1.0):
        metric = losses.vertex_metric(face, shapes=54, expressions=54, similarity=share)
        wanted = aligned + share * (plain - aligned)
        assert float((row @ metric @ row.T)[0, 0]) == pytest.approx(wanted, rel=1e-3)
    with pytest.raises(MienError, match=r"similarity.*in 0\.\.1"):
        stage_of(similarity=2)


def test_sides_and_faces_that_it_cannot_take():
    with pytest.raises(MienError, match="multiple of 16; got 40"):
        mien.create_model("smirk_points", input_size=40)
    with pytest.raises(MienError, match="'three' or 'shared' with face none"):
        mien.create_model("smirk_points", face="none", shapes=5, expressions=4)


def test_the_exported_network_gives_the_same_face(tmp_path):
    pytest.importorskip("onnx")
    from mien.engine.export.command import export
    from mien.runtime.runner import Runner
    from mien.systems.bundle import save_bundle

    system = stage_of().system.eval()
    with torch.no_grad():
        for parameter in system.encoder.encoder.bent.parameters():
            parameter.mul_(3)
        system(torch.rand(2, 3, 32, 32))
    save_bundle(tmp_path / "bundle", system)
    export(str(tmp_path / "bundle"))
    pictures = np.random.default_rng(0).random((2, 3, 32, 32)).astype(np.float32)
    found = Runner(tmp_path / "bundle", backend="onnxruntime").outputs(pictures)
    with torch.no_grad():
        wanted = system(torch.from_numpy(pictures))
    for name, value in wanted.items():
        assert np.allclose(found[name], value.numpy(), atol=2e-5), name
