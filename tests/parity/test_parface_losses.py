"""Heat maps and losses of ParFace-Net in legacy mode give the numbers of the released implementation."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from mien.nn import heatmaps
from mien.nn.discriminators import PictureDiscriminator
from mien.nn.losses import reconstruction
from mien.nn.losses.adversarial import critic_loss, generator_loss, gradient_penalty
from mien.nn.losses.alignment import adaptive_wing, weight_map

sys.path.insert(0, str(Path(__file__).parent))
from case import Case

pytestmark = pytest.mark.usefixtures("device")


def test_heatmap_targets():
    case = Case("parface", "heatmap_targets")
    points = case.stored("in_points")[None]
    for sigma in (7, 9):
        maps = heatmaps.targets(points, size=128, sigma=sigma, legacy=True)[0]
        case.check(f"maps{sigma}", maps)
        if sigma == 7:
            seven = maps
        side = 5 * sigma
        middle = torch.full((1, 1, 2), 64.0)
        square = heatmaps.targets(middle, size=128, sigma=sigma, legacy=True)[0, 0]
        first = 64 - side // 2 - 1
        case.check(f"template{sigma}", square[first : first + side, first : first + side])
    case.check("first8_sum", seven[:8].sum((-2, -1)))
    case.check("peak", heatmaps._highest(seven[None])[0])
    case.check("blurred", heatmaps.blurred(seven[None]))
    case.check("points_blurred", 2 * heatmaps.decode(seven[None], legacy=True))
    case.check("points_raw", 2 * heatmaps.decode(seven[None], legacy=True, blur=False))
    case.check("confidence", heatmaps.peak_confidence(seven[None]))


def test_heatmap_decoding():
    case = Case("parface", "heatmap_decoding")
    coarse = case.input("coarse").repeat_interleave(16, -1).repeat_interleave(16, -2)
    maps = coarse + case.input("noise")
    case.check("blurred", heatmaps.blurred(maps))
    assert float(np.min(case.want["margin_blurred"])) > 1e-6
    case.check("points_blurred", 2 * heatmaps.decode(maps, legacy=True))
    case.check("points_raw", 2 * heatmaps.decode(maps, legacy=True, blur=False))
    case.check("confidence", heatmaps.peak_confidence(maps))


def test_adaptive_wing():
    case = Case("parface", "losses")
    target, difference = case.input("target"), case.input("difference")
    curve_target = torch.tensor([0.0, 0.5, 1.0])[:, None].expand(3, 7)
    curve_distance = torch.tensor([0.0, 0.1, 0.3, 0.4999, 0.5, 0.6, 1.0]).expand(3, 7)
    for name, legacy in (("published", True), ("paper", False)):
        predicted = (target + difference).requires_grad_()
        loss = adaptive_wing(predicted, target, legacy=legacy)
        loss.mean().backward()
        case.check(f"awing_{name}", loss.mean())
        case.check(f"awing_{name}_grad", predicted.grad)
        case.check(f"awing_{name}_curve", adaptive_wing(curve_target + curve_distance, curve_target, legacy=legacy))
    case.check("awing_paper_weighted", (loss * weight_map(target)).mean())


def test_picture_losses():
    case = Case("parface", "losses")
    image, other = case.input("image"), case.input("other")
    r = 0.6 * image + 0.4 * other
    case.check("l1_255", reconstruction.absolute(r, image))
    case.check("l2", reconstruction.squared(r, image))
    case.check("ssim_window_row", reconstruction.structure_window(image) * reconstruction.structure_window(image)[15])
    case.check("one_minus_cs_per_image", reconstruction.structure(r, image, legacy=True))
    constant = (0.03 * reconstruction._guessed_range(image[:1])) ** 2
    case.check("cs_map_first", reconstruction._contrast_structure(image[:1], r[:1], constant))
    bright = image[:1].add(0.5).clamp(0, 1)
    case.check("one_minus_cs_range01", reconstruction.structure(bright, bright.flip(-1)).mean())


def test_perceptual_loss():
    case = Case("parface", "losses")
    image, other = case.input("image"), case.input("other")
    r = (0.6 * image + 0.4 * other).requires_grad_()
    weights = {name.removeprefix("vgg19."): value for name, value in case.weights().items()}
    four = reconstruction.Perceptual(weights, layers=(3, 8, 15, 22), legacy=True)
    loss = four(r, image)
    case.check("perceptual_3_8_15_22", loss)
    (gradient,) = torch.autograd.grad(loss, r)
    case.check("perceptual_grad", gradient)
    with torch.no_grad():
        case.check("perceptual_8", reconstruction.Perceptual(weights, layers=(8,), legacy=True)(r, image))


def test_gradient_penalty():
    case = Case("parface", "gradient_penalty")
    weights = {name.removeprefix("D.").replace("main.", "layers."): value for name, value in case.weights().items()}
    critic = PictureDiscriminator()
    critic.load_state_dict(weights)
    image, fake, mixing = case.input("image"), case.input("fake"), case.input("mixing")
    case.check("penalty_eval", gradient_penalty(critic.eval(), image, fake, mixing=mixing))
    critic.train()
    real_score, fake_score = critic(image), critic(fake)
    penalty = gradient_penalty(critic, image, fake, mixing=mixing)
    case.check("loss_discriminator_train", critic_loss(real_score, fake_score, legacy=True) + penalty)
    case.check("loss_generator_train", generator_loss(critic(fake), legacy=True))
    case.check("real_mean_train", real_score.mean())
    case.check("running_var_after", critic.layers[12].running_var)
