"""DDAMFN, If3D's fusions and their losses give the numbers of the released implementation."""

import sys
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from mien.nn.losses import affect
from mien.systems.if3d import official_names
from mien.systems.if3d.network import alignment

sys.path.insert(0, str(Path(__file__).parent))
from case import Case

pytestmark = pytest.mark.usefixtures("device")
FUSIONS = ("linear", "attention", "gate", "spp")


@torch.no_grad()
def test_mixed_feature_net():
    case = Case("if3d", "mixed_feature_net")
    net, _ = official_names.recogniser_from_official(case.weights())
    net.to(case.device)
    x = net.conv1(case.input("photo"))
    case.check("conv1", x)
    x = net.conv2(x)
    case.check("conv2_dw", x)
    names = (("conv_23", "conv_3"), ("conv_34", "conv_4"), ("conv_45", "conv_5"))
    for stage, (down, keep) in zip(net.stages, names, strict=True):
        if down == "conv_23":
            depthwise = stage[0].depthwise(stage[0].expand(x))
            case.check("conv_23_conv_dw", depthwise)
            case.check("conv_23_CA", stage[0].attention(depthwise))
        case.check(down, first := stage[0](x))
        x = stage[1:](first)
        case.check(keep, x)
    x = net.features(x)
    case.check("conv_6_sep", x)
    case.check("conv_6_dw", net.head.pool(x))
    case.check("embedding", net.head(x))


@torch.no_grad()
def test_one_stream():
    case = Case("if3d", "ddam")
    net, report = official_names.converted(case.weights())
    found = net.to(case.device).streams(case.input("photo"))
    case.check("logits", found.outputs["expression"])
    case.check("features", found.maps["image"])
    for head in range(2):
        case.check(f"head{head}", found.attention["image"][head])
    assert {name.split(".")[0] for name in report.dropped} >= {"bn", "cat_head0"} and len(found.outputs) == 1


@torch.no_grad()
@pytest.mark.parametrize("fusion", FUSIONS)
def test_fusion(fusion):
    case = Case("if3d", f"fusion_{fusion}")
    net, _ = official_names.converted(case.weights())
    assert net.config.fusion == fusion
    inside = {}

    def keep(module, name):
        module.register_forward_hook(lambda _, __, out: inside.__setitem__(name, out))

    for place, layer in enumerate(net.classifier.layers):
        keep(layer[0], f"after_fc{place + 1}")
        keep(layer[1], f"after_bn{place + 1}")
    keep(net.classifier.output, "after_output")
    if fusion == "gate":
        keep(net.fusion.pool, "after_gate_fusion")
    found = net.to(case.device).streams(case.input("photo"), case.input("render"))
    inside |= {"after_orig_features": found.maps["image"], "after_smirk_features": found.maps["render"]}
    inside["after_features"] = found.maps["image"]
    if fusion == "attention":
        maps = (net.heads.attend(x, found.attention[name]) for name, x in found.maps.items())
        inside["after_attention_fusion"] = net.fusion.attended(*map(net.fusion.local, maps))
    inside |= {f"{name}_head{i}": heads[i] for name, heads in (
        ("photo", found.attention["image"]), ("render", found.attention["render"])) for i in range(4)}  # fmt: skip
    valence, arousal = found.outputs["affect"].unbind(1)
    inside |= {"logits": found.outputs["expression"], "column8": valence, "column9": arousal}
    inside["align"] = alignment(found)
    for name in case.meta["outputs"]:
        case.check(name, inside[name])


def test_losses():
    case = Case("if3d", "losses")
    heads = torch.stack([case.input(f"head{i}") for i in range(4)])
    for name, loss in (("apart", affect.head_diversity), ("together", affect.head_difference)):
        maps = heads.clone().requires_grad_()
        value = loss(maps)
        case.check(f"heads_{name}", value)
        case.check(f"heads_{name}_grad0", torch.autograd.grad(value, maps)[0][0])
        case.check(f"heads_{name}_two", loss(heads[:2]))
    truth = torch.stack([case.input("valence_true"), case.input("arousal_true")], dim=1)
    labels = torch.arange(16, device=truth.device) % 8
    weights = {
        "equal": (1.0, 1.0, 1.0), "alpha": (1.0, 0.0, 0.0), "beta": (0.0, 1.0, 0.0), "gamma": (0.0, 0.0, 1.0),
        "mixed": (0.2, 0.9, 0.5),
    }  # fmt: skip
    for name, mix in weights.items():
        predicted = torch.stack([case.input("valence_pred"), case.input("arousal_pred")], dim=1).requires_grad_()
        logits = case.input("logits").requires_grad_()
        classes = F.cross_entropy(logits, labels)
        value = classes + affect.published_affect_loss(predicted, truth, mix)
        case.check(f"va_{name}", value)
        of_values, of_logits = torch.autograd.grad(value, [predicted, logits])
        case.check(f"va_{name}_grad", torch.cat([of_values.T.flatten(), of_logits.flatten()]))
    case.check("cross_entropy", classes)


def test_training_step_of_one_stream():
    case = Case("if3d", "ddam_train_step")
    weights = case.weights()
    net, report = official_names.converted(weights)
    net.to(case.device).train()
    target = (torch.arange(4, device=case.device) * 3 + 1) % 8
    found = net.streams(case.input("photo"))
    classes = F.cross_entropy(found.outputs["expression"], target)
    diversity = affect.head_diversity(found.attention["image"])
    loss = classes + 0.1 * diversity
    loss.backward()
    case.check("loss", loss)
    case.check("cross_entropy", classes)
    case.check("diversity", diversity)
    parameters = dict(net.named_parameters())
    ours = {name: our for name in case.meta["grad_names"] for our in official_names.renamed(
        official_names.network_table(net), {name: weights[name]})[0]}  # fmt: skip
    norms = {name: parameters[our].grad.norm() for name, our in ours.items()}
    case.check("grad_norm", torch.stack([norms[name] for name in case.meta["grad_names"]]))
    case.check("grad_norm_heads", torch.stack([norms[name] for name in case.meta["head_names"]]))
    assert set(case.meta["without_grad"]) <= set(report.dropped)
    state = weights | {
        name: value for name, value in official_names.to_official(net).items() if name not in report.dropped
    }
    case.check("buffers_sum", torch.stack([state[name].double().sum() for name in case.meta["buffers"]]))


@pytest.mark.parametrize("case", ["ddam", *(f"fusion_{fusion}" for fusion in FUSIONS)])
def test_released_names_in_their_order_and_back(case):
    case = Case("if3d", case)
    weights = case.weights()
    net, report = official_names.converted(weights)
    back = official_names.to_official(net)
    assert list(back) == list(weights)
    for name, value in back.items():
        assert value.shape == weights[name].shape, name
        assert name in report.dropped or torch.equal(value, weights[name]), name
