"""What the recipes need: bytes and FLOPs against layers worked by hand, and a row in the docs for every recipe."""

import re
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("torch")
pytest.importorskip("lightning")
sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import torch

from mien.engine.training.config import resolve, stage_defaults
from mien.systems.optim import OptimOptions
from shape_checks import unchecked
from small_systems import POSTER

recipes = pytest.importorskip("recipes")
FACES, FLOAT = 3, 4
ROOT = Path(__file__).parents[2]


def test_two_linear_layers_by_hand():
    net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
    x = torch.rand(FACES, 4)
    kept, flops = recipes.counted(lambda: net(x).sum().backward(), apart=net.parameters())
    assert kept == FLOAT * FACES * (4 + 8)  # the input, and what ReLU gives, which the second layer saves too
    forward = 2 * FACES * (4 * 8 + 8 * 2)
    assert flops == 2 * forward + 2 * FACES * 8 * 2  # as much for the weights; the input of the second layer


def test_a_convolution_by_hand_and_what_is_let_go():
    convolution = torch.nn.Conv2d(3, 5, 3, padding=1, bias=False)
    x = torch.rand(FACES, 3, 8, 8)
    once, flops = recipes.counted(lambda: convolution(x).square().mean().backward(), apart=convolution.parameters())
    assert once == FLOAT * FACES * 64 * (3 + 5) and flops == 2 * (2 * FACES * 64 * 5 * 3 * 9)

    def twice():
        for _ in range(2):
            convolution(x).square().mean().backward()

    assert recipes.counted(twice, apart=convolution.parameters()) == (once, 2 * flops)


def test_a_depthwise_and_a_transposed_convolution_by_hand():
    x = torch.rand(FACES, 6, 8, 8, requires_grad=True)
    depthwise = torch.nn.Conv2d(6, 6, 3, padding=1, groups=6)
    assert recipes.counted(lambda: depthwise(x).sum().backward())[1] == 3 * (2 * FACES * 64 * 6 * 9)
    transposed = torch.nn.ConvTranspose2d(6, 4, 2, stride=2)
    assert recipes.counted(lambda: transposed(x).sum().backward())[1] == 3 * (2 * FACES * 64 * 6 * 4 * 4)


def test_attention_counts_alike_on_the_cpu():
    q = torch.rand(2, 4, 16, 8, requires_grad=True)
    _, flops = recipes.counted(lambda: torch.nn.functional.scaled_dot_product_attention(q, q, q))
    assert flops == 2 * (2 * 2 * 4 * 16 * 16 * 8)


def small(config, options, **more):
    stated = {f"system.options.{name}": value for name, value in options.items()}
    return resolve([config], stated | more, defaults=stage_defaults)


@unchecked()
def test_both_passes_of_sam_count_and_one_is_kept(tmp_path):
    with_sam = small("poster_v2/rafdb", POSTER)
    costs = [
        recipes.cost_of(recipes.stage_of(config, tmp_path))
        for config in (with_sam, replace(with_sam, optim=replace(with_sam.optim, sam_rho=0.0)))
    ]
    assert costs[0].flops == 2 * costs[1].flops > 0
    assert costs[0].kept == costs[1].kept > costs[0].kept_bf16 > 0.4 * costs[0].kept
    trained = costs[0].fixed - costs[1].fixed  # SAM's copy of the weights
    assert (
        costs[0].fixed - 4 * trained > trained
    )  # gradients, two moments, the copy; beside them weights and frozen ones


@unchecked()
def test_numbers_or_none_the_counts_are_the_same(tmp_path, monkeypatch):
    config = small("poster_v2/0_landmarks_300w", POSTER)
    real = recipes.cost_of(recipes.stage_of(config, tmp_path))
    monkeypatch.setattr(recipes, "IMITATED", {config.stage.name})
    assert recipes.cost_of(recipes.stage_of(config, tmp_path)) == real


def test_lazy_terms_count_at_their_share():
    options = SimpleNamespace(r1_every=16, path_every=4, r1=1.0)
    found = recipes.kinds_of_steps(SimpleNamespace(options=options, name="generator"))
    assert found == {0: 1 / 16, 1: 12 / 16, 4: 3 / 16}


@pytest.mark.parametrize(("name", "tensors"), [("adam", 2), ("sgd", 1), ("rmsprop", 1), ("ranger", 3)])
def test_state_of_the_optimisers(name, tensors):
    assert recipes.states_of(OptimOptions(name=name, momentum=0.0 if name == "rmsprop" else 0.9)) == tensors


def test_faces_to_train_on():
    faces = {name: recipes.train_faces(small(name, {}).data) for name in recipes.recipes()}
    assert faces["poster_v2/rafdb"] == round(0.9 * 12_271) and faces["can/1a_face"] == 162_770
    assert faces["poster_v2/affectnet7"] == round(0.98 * 283_901) < faces["poster_v2/affectnet8"]
    assert faces["smirk/1_pretrain"] is None


def test_the_docs_have_a_row_for_every_recipe_and_its_batch():
    rows = dict(re.findall(r"^\| `(\w+/\w+)` \| (\d+) \|", (ROOT / "docs" / "gpu.md").read_text("utf-8"), re.M))
    assert rows == {name: str(small(name, {}).data.batch_size) for name in recipes.recipes()}
