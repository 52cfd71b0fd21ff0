"""A step of training: SAM over parts, what is frozen, averages, targets, each against numbers worked out apart."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mien.core.errors import MienError
from mien.core.labels import LabelSet
from mien.core.records import Batch
from mien.core.spec import Output, PictureInput
from mien.systems.mixing import Mixing, mixed
from mien.systems.optim import OptimOptions
from mien.systems.poster_v2.stages import Expression, Landmarks, wing
from mien.systems.registry import create_model
from mien.systems.stage import Stage, StepOptions, split, step_seed
from mien.systems.system import System
from shape_checks import unchecked

TINY = {"input_size": 32, "trunk_size": 32, "widths": (8, 16, 24), "depths": (1, 1, 1), "stem": 8, "head_dim": 8,
        "landmark_widths": (8, 16, 16), "landmark_features": 16, "landmark_depths": (1, 1, 1), "token_width": 16,
        "vit_heads": 2, "vit_depth": 1}  # fmt: skip


def poster(**options) -> System:
    torch.manual_seed(0)
    return create_model("poster_v2_small", labels=LabelSet("three", ("a", "b", "c")), **{**TINY, **options})


def landmark_net() -> System:
    torch.manual_seed(0)
    return create_model("poster_v2_landmarks_small", **TINY)


def ready(stage: Stage) -> Stage:
    """As the Trainer would have it: with an optimiser, in train mode, alone."""
    stage.steps_per_epoch = 10
    optimizer = stage.configure_optimizers()
    stage.optimizers = lambda use_pl_optimizer=True: optimizer
    stage._trainer = SimpleNamespace(world_size=1, global_rank=0)
    type(stage).global_rank = property(lambda self: 0)
    return stage.train()


def expression(system: System | None = None, *, options=None, optim=None, **step) -> Expression:
    optim = OptimOptions(**{"lr": 1e-2, "schedule": "constant", **(optim or {})})
    system = system or poster()
    stage = Expression(system, options=options or {}, optim=optim, step=StepOptions(**step), epochs=5)
    return ready(stage)


def faces(count: int = 8, *, seed: int = 0, **fields) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    image = torch.randn(count, 3, 32, 32, generator=generator)
    return Batch(image=image, index=torch.arange(count), **({"expression": torch.arange(count) % 3} | fields))


class Plain(System):
    """No BatchNorm, no dropout: parts of a batch must sum up exactly."""

    name, config_class = "plain", SimpleNamespace

    def __init__(self) -> None:
        labels = LabelSet("three", ("a", "b", "c"))
        super().__init__(None, inputs={"image": PictureInput(size=32)}, outputs={"expression": Output.classes(labels)})
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 8), nn.Tanh(), nn.Linear(8, 3))

    def forward(self, image):
        return {"expression": self.layers(image)}


def after_one_step(stage: Stage, batch: Batch) -> dict[str, torch.Tensor]:
    stage.training_step(batch, 0)
    return {name: value.clone() for name, value in stage.system.state_dict().items()}


def test_a_batch_in_parts_steps_as_the_whole_batch_with_sam():
    options = {"name": "sgd", "lr": 0.1, "sam_rho": 0.5}
    whole, parts = (after_one_step(expression(Plain(), optim=options, parts=p), faces(7)) for p in (1, 3))
    before = Plain().state_dict()
    for name, value in whole.items():
        assert not torch.equal(value, before[name])
        torch.testing.assert_close(parts[name], value, rtol=1e-5, atol=1e-6)


def test_a_step_is_sam_as_its_paper_writes_it():
    batch, rho, lr = faces(8), 0.5, 0.1
    stepped = after_one_step(
        expression(Plain(), optim={"name": "sgd", "lr": lr, "momentum": 0.0, "sam_rho": rho}), batch
    )
    plain = Plain()
    w = list(plain.parameters())
    g = torch.autograd.grad(F.cross_entropy(plain(batch.image)["expression"], batch.expression), w)
    norm = torch.sqrt(sum((x**2).sum() for x in g))
    with torch.no_grad():
        for p, x in zip(w, g, strict=True):
            p.add_(x, alpha=float(rho / norm))
    top = torch.autograd.grad(F.cross_entropy(plain(batch.image)["expression"], batch.expression), w)
    for (name, p), x, t in zip(plain.named_parameters(), g, top, strict=True):
        expected = p - rho / norm * x - lr * t
        torch.testing.assert_close(stepped[name], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("legacy", "updates"), [(False, 1), (True, 2)])
def test_batch_norm_counts_one_pass_of_sam_or_as_released_both(legacy, updates):
    stage = expression(poster(legacy=legacy), legacy=legacy, optim={"sam_rho": 0.05})
    stage.training_step(faces(), 0)
    counts = {n: int(v) for n, v in stage.system.state_dict().items() if n.endswith("num_batches_tracked")}
    assert {v for n, v in counts.items() if not n.startswith("landmark_net")} == {updates}
    assert {v for n, v in counts.items() if n.startswith("landmark_net")} == {2 if legacy else 0}


def test_frozen_weights_stay_and_every_other_moves():
    stage = expression(poster(drop_path=0.0))
    before = {name: value.clone() for name, value in stage.system.state_dict().items()}
    stage.training_step(faces(), 0)
    moved = {name for name, value in stage.system.state_dict().items() if not torch.equal(value, before[name])}
    assert moved == {name for name in before if not name.startswith("landmark_net.")}


def test_layers_near_the_input_learn_more_slowly_with_layer_decay():
    stage = expression(optim={"layer_decay": 0.5, "name": "sgd", "momentum": 0.0})
    scale = {p: group["lr_scale"] for group in stage.optimizers().param_groups for p in group["params"]}
    named = {name: p for name, p in stage.system.named_parameters() if p.requires_grad}
    assert set(scale) == set(named.values())  # each trained parameter is in one group
    halvings = {"vit.head.weight": 0, "vit.blocks.0.mlp.fc1.weight": 1, "embeds.1.weight": 2, "vit.cls_token": 2,
                "fusions.1.down.weight": 3, "trunk.stages.2.0.conv2.weight": 4,
                "trunk.stem_conv.weight": 6}  # fmt: skip
    assert {name: scale[named[name]] for name in halvings} == {name: 0.5**n for name, n in halvings.items()}
    before = stage.system.fusions[1].down.weight.detach().clone()
    stage.training_step(faces(), 0)
    after = stage.system.fusions[1].down.weight
    assert torch.allclose(before - after, 1e-2 * 0.5**3 * after.grad, atol=1e-7)
    with pytest.raises(MienError, match=r"plain declares no groups of layers; leave optim\.layer_decay out"):
        expression(Plain(), optim={"layer_decay": 0.5})


def test_frozen_batch_norm_keeps_its_statistics_and_normalises_with_them():
    stage, free = expression(freeze_batch_norm=True), expression()
    before = {name: value.clone() for name, value in stage.system.state_dict().items() if "running" in name}
    for each in (stage, free):
        each.training_step(faces(), 0)
    after = stage.system.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    own = free.system.state_dict()
    moved = [not torch.equal(own[name], before[name]) for name in before if "trunk" in name]
    assert all(moved)
    stage.eval()
    assert not stage.train().system.trunk.stem_norm.training


def test_it_learns_eight_faces_by_heart():
    stage = expression(poster(drop_path=0.0, dropout=0.0), optim={"name": "adamw", "lr": 3e-3, "sam_rho": 0.0})
    batch = faces(8)
    losses = []
    for _ in range(90):
        stage.losses.start_epoch()
        stage.training_step(batch, 0)
        losses.append(float(stage.losses.sums["cross_entropy"]))
    assert losses[0] == pytest.approx(np.log(3), abs=0.1) and losses[-1] < 0.05
    assert torch.equal(stage.system.train()(batch.image)["expression"].argmax(-1), batch.expression)


def test_valence_and_arousal_are_learned_beside_the_classes():
    affect = torch.linspace(-0.8, 0.8, 16).reshape(8, 2)
    affect[0] = float("nan")  # of this face it is not known
    options = {"affect": 2.0, "monitor": "ccc"}
    stage = expression(poster(affect=True, drop_path=0.0), options=options, optim={"name": "adamw", "lr": 3e-3})
    batch = faces(8, affect=affect)
    assert set(stage.loss_terms(batch)) == {"cross_entropy", "affect_mse", "affect_ccc"}
    for _ in range(40):
        stage.training_step(batch, 0)
    with torch.no_grad():
        predictions = stage.predict(stage.system.train(), batch)
    scores = stage.validate(predictions, [])
    assert scores["ccc/valence"] > 0.9 and scores["ccc"] == pytest.approx(
        (scores["ccc/valence"] + scores["ccc/arousal"]) / 2
    )
    assert stage.validate(stage.constant(predictions), [])["ccc"] == pytest.approx(0, abs=1e-6)
    with pytest.raises(MienError, match="monitor ccc needs a network with the output affect"):
        expression(options={"monitor": "ccc"}).validate({"logits": np.eye(3), "truth": np.arange(3)}, [])


def test_without_a_label_or_a_weight_valence_and_arousal_are_not_learned():
    assert set(expression(poster(affect=True)).loss_terms(faces())) == {"cross_entropy"}
    truth = torch.zeros(8, 2)
    unweighted = expression(poster(affect=True), options={"affect": 0.0})
    assert set(unweighted.loss_terms(faces(affect=truth))) == {"cross_entropy"}
    unknown = expression(poster(affect=True)).loss_terms(faces(affect=truth * float("nan")))
    assert unknown["affect_mse"] == unknown["affect_ccc"] == 0


def test_landmarks_are_learned_by_heart_from_the_middle_of_the_crop():
    torch.manual_seed(0)
    truth = 0.5 + 0.1 * torch.randn(8, 68, 2)
    system = landmark_net()
    optim = OptimOptions(name="adamw", lr=1e-2, schedule="constant", sam_rho=0.0)
    stage = ready(Landmarks(system, options={"loss": "l2"}, optim=optim, step=StepOptions(), epochs=5))
    batch = faces(8, landmarks=truth, expression=None)
    first = stage.loss_terms(batch)["l2"].item()
    for _ in range(80):
        stage.training_step(batch, 0)
    last = stage.loss_terms(batch)["l2"].item()
    assert 100 < first < 400  # squared hundredths of the crop: spread 0.1 of both around the same middle
    assert last < 0.1 * first


def test_a_step_depends_on_seed_and_number_not_on_what_was_drawn_before():
    states = []
    for drawn in (0, 1000):
        stage = expression(poster(drop_path=0.5), seed=3)
        stage.position.step = 17
        torch.rand(drawn)
        states.append(after_one_step(stage, faces()))
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert len({step_seed(seed, step, rank) for seed in (0, 1) for step in range(50) for rank in (0, 1)}) == 200


@pytest.mark.parametrize("step", [{}, {"mixing": Mixing(mixup=0.4, cutmix=1.0, probability=0.9), "parts": 2}])
def test_a_snapshot_goes_on_as_if_never_stopped(step):
    optim = {"ema": 0.9, "lr": 1e-2, "sam_rho": 0.05}
    stage = expression(poster(drop_path=0.5), optim=optim, **step)
    for i in range(3):
        stage.training_step(faces(seed=i), i)
    snapshot = stage.snapshot()
    snapshot = {k: {n: v.clone() for n, v in s.items()} if k in ("system", "ema") else s for k, s in snapshot.items()}
    import copy

    snapshot["optimizers"] = copy.deepcopy(snapshot["optimizers"])
    other = expression(poster(drop_path=0.5), optim=optim, **step)
    other.resume(snapshot)
    other.on_fit_start()
    for both in (stage, other):
        both.training_step(faces(seed=9), 3)
    assert other.position == stage.position and other.losses.state_dict() == stage.losses.state_dict()
    for part in ("system", "ema"):
        first, second = stage.snapshot()[part], other.snapshot()[part]
        assert all(torch.equal(first[name], second[name]) for name in first)


def test_the_average_is_the_average_worked_out_by_hand():
    stage = expression(Plain(), optim={"ema": 0.5, "sam_rho": 0.0})
    name = "layers.1.weight"
    values = []
    for i in range(4):
        stage.training_step(faces(seed=i), i)
        values.append(stage.system.state_dict()[name].clone())
    # The first step copies; after step k (from 0) the decay is min(0.5, (1 + k) / (10 + k)).
    expected = values[0]
    for k, value in enumerate(values[1:], start=1):
        decay = min(0.5, (1 + k) / (10 + k))
        expected = decay * expected + (1 - decay) * value
    torch.testing.assert_close(stage.evaluated.state_dict()[name], expected)
    assert stage.evaluated is not stage.system and not stage.evaluated.training


def test_the_average_keeps_batch_norms_statistics_too():
    stage = expression(optim={"ema": 0.9})
    for i in range(2):
        stage.training_step(faces(seed=i), i)
    own = stage.system.state_dict()
    for name, value in stage.evaluated.state_dict().items():
        if name.endswith("num_batches_tracked") and not name.startswith("landmark_net"):
            assert int(value) == 2
        if name.startswith("trunk") and name.endswith("running_var"):
            assert not torch.equal(value, own[name])


def test_soft_labels_smoothing_and_class_weights_by_hand():
    logits = torch.tensor([[2.0, 0.0, -1.0], [0.5, 0.5, 0.0]])
    log_p = logits.log_softmax(-1)
    batch = faces(2, expression=torch.tensor([0, 2]))

    def loss(batch, options, counts=()):
        stage = expression(options=options)
        stage.class_counts = counts
        stage.forward = lambda image: {"expression": logits}
        return stage.loss_terms(batch)["cross_entropy"]

    plain = -(log_p[0, 0] + log_p[1, 2]) / 2
    torch.testing.assert_close(loss(batch, {}), plain)
    smooth = -(0.9 * (log_p[0, 0] + log_p[1, 2]) + 0.1 * log_p.mean(-1).sum()) / 2
    torch.testing.assert_close(loss(batch, {"label_smoothing": 0.1}), smooth)
    votes = torch.tensor([[0.5, 0.5, 0.0], [0.1, 0.2, 0.7]])
    soft = faces(2, expression=torch.tensor([0, 2]), distribution=votes)
    torch.testing.assert_close(loss(soft, {}), -(votes * log_p).sum(-1).mean())
    # counts 6, 3, 3 of 12: weights 12 / (3 * count) = 2/3, 4/3, 4/3
    weighted = -(2 / 3 * log_p[0, 0] + 4 / 3 * log_p[1, 2]) / 2
    torch.testing.assert_close(loss(batch, {"class_weights": "balanced"}, (6, 3, 3)), weighted)


def test_a_step_on_mixed_faces_is_a_step_on_the_blended_loss() -> None:
    """Cross-entropy is linear in the target: weight * loss of the own class + the rest * loss of the other's."""
    mixing, batch = Mixing(mixup=0.8), faces(6)
    stage = expression(Plain(), optim={"name": "sgd", "momentum": 0.0, "lr": 0.1}, mixing=mixing)
    before, plain = [p.clone() for p in stage.system.parameters()], Plain()
    stage.training_step(batch, 0)
    stage.position.step = 0
    stage._seed()
    weight = float(torch.distributions.Beta(torch.tensor([0.8]), torch.tensor([0.8])).sample(()))
    logits = plain(weight * batch.image + (1 - weight) * batch.image.roll(1, 0))["expression"]
    losses = [F.cross_entropy(logits, truth) for truth in (batch.expression, batch.expression.roll(1, 0))]
    gradients = torch.autograd.grad(weight * losses[0] + (1 - weight) * losses[1], list(plain.parameters()))
    for after, value, gradient in zip(stage.system.parameters(), before, gradients, strict=True):
        torch.testing.assert_close(after, value - 0.1 * gradient, rtol=1e-5, atol=1e-6)


def test_class_weights_weight_both_classes_of_a_mixed_face() -> None:
    stage = expression(options={"class_weights": "balanced"})
    stage.class_counts = (6, 3, 3)  # weights 2/3, 4/3, 4/3
    logits = torch.tensor([[2.0, 0.0, -1.0], [0.5, 0.5, 0.0]])
    batch = mixed(faces(2), 0.75, classes=3)
    log_p = logits.log_softmax(-1)
    own = 0.75 * 2 / 3 * log_p[0, 0] + 0.25 * 4 / 3 * log_p[0, 1]
    other = 0.25 * 2 / 3 * log_p[1, 0] + 0.75 * 4 / 3 * log_p[1, 1]
    torch.testing.assert_close(stage.cross_entropy(logits, batch), -(own + other) / 2)


def test_a_wider_published_head_is_trained_on_the_first_classes():
    stage = expression(poster(head_width=7, legacy=True), legacy=True)
    votes = torch.eye(3)[torch.arange(8) % 3]
    a, b = stage.loss_terms(faces()), stage.loss_terms(faces(distribution=votes))
    assert a["cross_entropy"].item() == pytest.approx(np.log(7), abs=0.2)
    assert b["cross_entropy"].item() == pytest.approx(np.log(7), abs=0.2)


def test_the_gradient_is_clipped():
    stage = expression(Plain(), optim={"name": "sgd", "momentum": 0.0, "lr": 1.0, "sam_rho": 0.0, "clip": 0.01})
    before = [p.clone() for p in stage.system.parameters()]
    stage.training_step(faces(), 0)
    moved = torch.sqrt(sum(((p - q) ** 2).sum() for p, q in zip(stage.system.parameters(), before, strict=True)))
    assert float(moved.detach()) == pytest.approx(0.01, rel=1e-3)


def test_bf16_steps_nearly_where_fp32_does():
    options = {"name": "sgd", "lr": 0.1, "sam_rho": 0.0}
    full, half = (after_one_step(expression(Plain(), optim=options, bf16=b), faces()) for b in (False, True))
    assert not all(torch.equal(full[n], half[n]) for n in full)
    assert all(torch.allclose(full[n], half[n], atol=2e-2) and half[n].dtype == torch.float32 for n in full)


def test_split_keeps_every_sample_and_its_share():
    pieces = list(split(faces(7, distribution=torch.ones(7, 3)), 3))
    assert [len(p.image) for p, _ in pieces] == [3, 2, 2]
    assert sum(share for _, share in pieces) == pytest.approx(1)
    assert torch.cat([p.index for p, _ in pieces]).tolist() == list(range(7))
    assert all(p.landmarks is None and p.distribution.shape[1] == 3 for p, _ in pieces)


def test_no_part_has_a_single_face_unless_all_have():
    sizes = [
        [len(p) for p, _ in split(faces(count), parts)] for count, parts in ((3, 2), (4, 4), (2, 4), (5, 3), (8, 2))
    ]
    assert sizes == [[3], [1, 1, 1, 1], [1, 1], [3, 2], [4, 4]]


def test_wing_is_continuous_and_matches_its_paper():
    e = torch.tensor([0.0, 2.0, -2.0, 9.999999, 10.0, 30.0])
    #  10 ln(1 + 2/2) = 6.931; beyond 10: |e| - (10 - 10 ln 6)
    torch.testing.assert_close(
        wing(e), torch.tensor([0.0, 6.9315, 6.9315, 17.9176, 17.9176, 37.9176]), atol=1e-3, rtol=0
    )


def test_scores_are_those_of_the_metrics():
    stage = expression()
    logits = np.array([[3.0, 0, 0], [0, 3, 0], [3, 0, 0], [3, 0, 0]])
    scores = stage.validate({"logits": logits, "truth": np.array([0, 1, 2, 0])}, [])
    assert scores["accuracy"] == 0.75 and scores["balanced_accuracy"] == pytest.approx(2 / 3)
    face = np.random.default_rng(0).uniform(0.2, 0.8, (1, 68, 2))
    face[0, 36], face[0, 45] = (0.3, 0.4), (0.7, 0.4)
    found = face + np.array([0.03, 0.04])
    landmarks = ready(Landmarks(landmark_net(), options={}, optim=OptimOptions(), step=StepOptions(), epochs=1))
    assert landmarks.validate({"landmarks": found, "truth": face}, [])["nme_interocular"] == pytest.approx(0.05 / 0.4)


def test_validation_counts_each_sample_once_in_the_datas_order():
    stage = expression()
    stage._validated = [
        (torch.tensor([2, 0]), {"truth": np.array([20, 0])}),
        (torch.tensor([1, 2]), {"truth": np.array([10, 20])}),
    ]
    index, predictions = stage.gathered()
    assert index == [0, 1, 2] and predictions["truth"].tolist() == [0, 10, 20]


def test_a_bundle_of_landmarks_or_of_other_classes_gives_what_fits():
    net = landmark_net()
    stage = expression()
    stage.initialize("network", net)
    assert torch.equal(stage.system.landmark_net.conv1.conv.weight, net.landmark_net.conv1.conv.weight)
    torch.manual_seed(5)
    other = create_model("poster_v2_small", labels="rafdb", **TINY)
    head = stage.system.vit.head.weight.clone()
    stage.initialize("network", other)
    assert torch.equal(stage.system.vit.head.weight, head)
    state, given = stage.system.state_dict(), other.state_dict()
    assert all(torch.equal(state[name], given[name]) for name in state if not name.startswith("vit.head."))
    named_alike = create_model("poster_v2_small", labels=LabelSet("other", ("d", "c", "a")), **TINY)
    stage.initialize("network", named_alike)  # the rows of c and a come along, b keeps its own
    rows, theirs = stage.system.vit.head.weight, named_alike.vit.head.weight
    assert torch.equal(rows[0], theirs[2]) and torch.equal(rows[2], theirs[1]) and torch.equal(rows[1], head[1])
    with_affect = expression(poster(affect=True))
    own = with_affect.system.affect_head.weight.clone()
    with_affect.initialize("network", stage.system)  # which has none
    assert torch.equal(with_affect.system.affect_head.weight, own)
    assert torch.equal(with_affect.system.vit.head.weight, stage.system.vit.head.weight)
    stage.initialize("network", with_affect.system)
    with pytest.raises(MienError, match="takes a poster_v2_landmarks or poster_v2 bundle as --init; got plain"):
        stage.initialize("network", Plain())
    with pytest.raises(MienError, match="not the weights of this poster_v2"):
        stage.initialize("network", create_model("poster_v2_small", labels="rafdb", **{**TINY, "vit_depth": 2}))


@unchecked()
def test_wrong_options_and_missing_targets_are_reported():
    with pytest.raises(
        MienError, match=r"stage expression has no option 'label_smothing'. Did you mean 'label_smoothing'"
    ):
        expression(options={"label_smothing": 0.1})
    with pytest.raises(MienError, match=r"stage expression.monitor must be one of 'accuracy', .*; got 'acuracy'"):
        expression(options={"monitor": "acuracy"})
    with pytest.raises(MienError, match="needs a label for each picture"):
        expression().loss_terms(faces(expression=None))
    frozen = poster()
    frozen.requires_grad_(False)
    with pytest.raises(MienError, match="every parameter of the system is frozen"):
        expression(frozen)
