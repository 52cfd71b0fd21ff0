"""Stages 2 and 3 of CAN: the classifier on the code of the face, then the context that shifts that code.

Blume et al., GCPR 2024. The product-of-experts baseline is stage 3 of a network without attention.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from mien.core.errors import MienError
from mien.core.options import at_least, check_rules
from mien.core.records import Sample
from mien.nn.vae_gan.gaussian import Gaussian
from mien.nn.vae_gan.vae_gan import VaeGan
from mien.systems.can.autoencoders import FaceVaeGan, VoiceVaeGan
from mien.systems.can.network import Can, Codes, FaceExpression, divergence_of
from mien.systems.class_stage import ClassOptions, ClassStage
from mien.systems.optim import OptimOptions
from mien.systems.stage import Objective, ParameterGroup, Predictions, TorchBatch
from mien.systems.system import System

SAME = ("size", "latent", "width")  # without which an encoder's weights do not fit


@dataclass(frozen=True)
class ClassifierOptions(ClassOptions):
    """Options of the classifier's stage."""

    classifier_decay: float = 0.1
    """Weight decay of the linear heads, biases included, as released."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_rules(self, "stage.options.", at_least(self, 0, "classifier_decay"))


@dataclass(frozen=True)
class ContextOptions(ClassifierOptions):
    """Options of the context's stage."""

    kl: float = 1e-5
    """Weight of the divergence between the face's code and the shifted one."""
    shift: float = 0.0
    """Weight of half the squared length of the shift, in standard deviations of the codes' prior (published: 0). The
    divergence counts each number by the face's own certainty of it, so that it is cheapest where nothing is seen of
    it."""
    fixed_classifier: bool = False
    """The head of stage 2, which `init.classifier` brings, stays as it is, for both and for the face alone: then the
    voice can only be heard by moving the code to where a face of that expression lies (published: false)."""
    aligned: bool = True
    """The values of the attention on the mean begin as its keys. Drawn apart, as published, the two do not vary
    together, and the query, which alone knows the voice, has nearly no gradient. legacy: apart."""
    attention_decay: float = 0.0
    """Weight decay of the attention modules."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_rules(self, "stage.options.", at_least(self, 0, "kl", "shift", "attention_decay"))


class Recognition(ClassStage):
    """What both stages share. Autoencoders are frozen, and so is their BatchNorm.

    Draws of the codes are classified in training, their means in validation. legacy: BatchNorm of the frozen encoders
    is in train mode, so that their codes depend on the batch and drift, and draws are classified in validation too.
    """

    def __init__(self, system: System, **rest: Any) -> None:
        super().__init__(system, **rest)
        system.requires_grad_(False)
        for module in self.trained():
            module.requires_grad_(True)

    def trained(self) -> Sequence[nn.Module]:
        """The modules that learn."""
        raise AssertionError(f"{type(self).__name__} does not name what it trains")

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        if not self.step_options.legacy:
            for module in self.system.modules():
                if isinstance(module, VaeGan):
                    module.eval()
        return self

    def noise(self, like: Tensor) -> Tensor:
        """Standard normal, for a draw of a code."""
        return torch.randn_like(like)

    def collected(self, logits: Mapping[str, Tensor], batch: TorchBatch) -> Predictions:
        assert batch.expression is not None
        found = {name: value.float().cpu().numpy() for name, value in logits.items()}
        return found | {"truth": batch.expression.cpu().numpy()}

    def validate(self, predictions: Predictions, samples: Sequence[Sample]) -> dict[str, float]:
        """Of every output of classes; the main one without its name."""
        scores: dict[str, float] = {}
        for name in self._classes(predictions):
            found = super().validate({"logits": predictions[name], "truth": predictions["truth"]}, samples)
            scores |= {score + name.removeprefix("expression"): value for score, value in found.items()}
        return scores

    def constant(self, predictions: Predictions) -> Predictions:
        """Of every output of classes; what else was predicted stays."""
        truth, of = predictions["truth"], super().constant
        return predictions | {
            name: of({"logits": predictions[name], "truth": truth})["logits"] for name in self._classes(predictions)
        }

    def _classes(self, predictions: Predictions) -> list[str]:
        return [name for name, about in self.system.outputs.items() if about.kind == "classes" and name in predictions]

    def temperatures(self, predictions: Predictions) -> dict[str, float]:
        truth, fit = predictions["truth"], super().temperatures
        return {
            name: fit({"logits": predictions[name], "truth": truth})["expression"]
            for name in self._classes(predictions)
        }

    def needs_init(self, role: str) -> str:
        option = "--init" if len(self.starts_from) == 1 else f"--init.{role}"
        if role == "classifier":
            return ""
        return (
            f"The {role}'s encoder is frozen and must come trained: {option} BUNDLE of stage 1 (or random to insist)."
        )

    def check_same(self, role: str, other: System) -> None:
        """Raises MienError where the codes of the two networks are not of one kind."""
        names = SAME if isinstance(other, VoiceVaeGan) else (*SAME, "principal")
        for name in names:
            theirs, ours = getattr(other.config, name), getattr(self.system.config, name)
            if theirs != ours:
                raise MienError(
                    f"The {role}'s bundle has {name} {theirs!r}, this network {ours!r}. "
                    f"Set --system.options.{name} {theirs}."
                )


class FaceClassifier(Recognition):
    """Stage 2: one linear layer on the code of the face."""

    name = "face_expression"
    options_class = ClassifierOptions
    options: ClassifierOptions
    system: FaceExpression
    starts_from: ClassVar[Mapping[str, tuple[type[System], ...]]] = {"face": (FaceVaeGan,)}
    default_optim = OptimOptions(name="adam", lr=3e-4, schedule="multistep", milestones=(35, 70), gamma=0.1)

    @classmethod
    def system_name(cls, name: str) -> str:
        return FaceExpression.name

    def trained(self) -> Sequence[nn.Module]:
        return [self.system.classifier]

    def objectives(self) -> list[Objective]:
        group = ParameterGroup([*self.system.classifier.parameters()], weight_decay=self.options.classifier_decay)
        return [Objective("loss", self.loss_terms, [group])]

    def loss_terms(self, batch: TorchBatch, shared: Any = None) -> dict[str, Tensor]:
        with torch.no_grad():
            code = self.system.encode(batch.image)
            drawn = code.sample(self.noise(code.mean))
        return {"cross_entropy": self.cross_entropy(self.system.classifier(drawn), batch)}

    def predict(self, system: nn.Module, batch: TorchBatch) -> Predictions:
        assert isinstance(system, FaceExpression)
        code = system.encode(batch.image)
        legacy = self.step_options.legacy
        given = code.sample(self.noise(code.mean)) if legacy else code.mean
        return self.collected({"expression": system.classifier(given)}, batch)

    def start_from(self, role: str, other: System) -> None:
        assert isinstance(other, FaceVaeGan)
        self.check_same(role, other)
        copy_parts(self.system.face, other.face)


class Context(Recognition):
    """Stage 3: the attention by which the voice shifts the face's code, and the classifier of the shifted code.

    By default one pass serves all parameters, with an optimiser whose groups differ in weight decay. legacy: three
    passes with noise of their own, each followed by the step of one optimiser: of the attention on the mean, of that on
    the log-variance, of the classifier. Heads of one modality learn beside the classifier, from the means that
    `mien evaluate` compares them on.
    """

    name = "context"
    options_class = ContextOptions
    options: ContextOptions
    system: Can
    starts_from: ClassVar[Mapping[str, tuple[type[System], ...]]] = {
        "face": (FaceVaeGan,), "voice": (VoiceVaeGan,), "classifier": (FaceExpression,)
    }  # fmt: skip
    default_optim = OptimOptions(name="adam", lr=3e-4, schedule="constant")

    @classmethod
    def system_name(cls, name: str) -> str:
        return name if name in ("can", "can_product") else Can.name

    def __init__(self, system: System, **rest: Any) -> None:
        super().__init__(system, **rest)
        if self.options.aligned and not self.step_options.legacy and self.system.att_mean is not None:
            self.system.att_mean.value.load_state_dict(self.system.att_mean.key.state_dict())

    def needs_init(self, role: str) -> str:
        if role == "classifier" and self.options.fixed_classifier:
            return "The classifier stays as it is and must come trained: --init.classifier BUNDLE of stage 2."
        return super().needs_init(role)

    def trained(self) -> Sequence[nn.Module]:
        return [*self._attention(), *self._heads()]

    def _attention(self) -> list[nn.Module]:
        return [part for part in (self.system.att_mean, self.system.att_log_variance) if part is not None]

    def _heads(self) -> list[nn.Module]:
        system = self.system
        of_face = () if self.options.fixed_classifier else (system.classifier, system.face_classifier)
        found = (*of_face, system.voice_classifier)
        return [head for head in found if head is not None]

    def objectives(self) -> list[Objective]:
        options = self.options
        attention = [_group([part], options.attention_decay) for part in self._attention()]
        heads = _group(self._heads(), options.classifier_decay)
        if not self.step_options.legacy:
            return [Objective("context", self.loss_terms, [*attention, heads])]
        names = ("att_mean", "att_log_variance")[: len(attention)]
        found = [Objective(n, self.released_terms, [group]) for n, group in zip(names, attention, strict=True)]
        return [*found, Objective("classifier", self.loss_terms, [heads])]

    def loss_terms(self, batch: TorchBatch, shared: Any = None) -> dict[str, Tensor]:
        """Cross-entropy of every head, and the divergence."""
        codes, drawn = self._drawn(batch)
        logits = self.system.logits(codes.face.mean, codes.voice.mean, drawn)
        terms = {
            f"cross_entropy{name.removeprefix('expression')}": self.cross_entropy(values, batch)
            for name, values in logits.items()
        }
        return terms | self._divergence(codes)

    def released_terms(self, batch: TorchBatch, shared: Any = None) -> dict[str, Tensor]:
        """Those of the head for both alone."""
        codes, drawn = self._drawn(batch)
        return {"cross_entropy": self.cross_entropy(self.system.classifier(drawn), batch)} | self._divergence(codes)

    def _drawn(self, batch: TorchBatch) -> tuple[Codes, Tensor]:
        """The codes and a draw of the one for both, float32."""
        image, voice = batch.take(("image", "voice"))
        with torch.no_grad():
            face, heard = (Gaussian(*(v.float() for v in code)) for code in self.system.encode(image, voice))
        codes = self.system.fuse(face, heard)
        if self.step_options.legacy:  # a draw of each, of which the first two are not used
            self.noise(face.mean), self.noise(heard.mean)
        return codes, codes.fused.sample(self.noise(codes.fused.mean))

    def _divergence(self, codes: Codes) -> dict[str, Tensor]:
        if not self._attention():
            return {}
        terms = {"kl": self.options.kl * divergence_of(codes).mean()} if self.options.kl else {}
        if self.options.shift:
            moved = (codes.fused.mean - codes.face.mean).square().sum(1)
            terms["shift"] = self.options.shift * moved.mean() / 2
        return terms

    def predict(self, system: nn.Module, batch: TorchBatch) -> Predictions:
        assert isinstance(system, Can)
        codes = system.perceive(*batch.take(("image", "voice")))
        legacy = self.step_options.legacy and self._attention()
        fused = codes.fused.sample(self.noise(codes.fused.mean)) if legacy else codes.fused.mean
        found = self.collected(system.logits(codes.face.mean, codes.voice.mean, fused), batch)
        return found | {"divergence": divergence_of(codes).float().cpu().numpy()}

    def validate(self, predictions: Predictions, samples: Sequence[Sample]) -> dict[str, float]:
        found = super().validate(predictions, samples)
        return found | ({"divergence": float(predictions["divergence"].mean())} if self._attention() else {})

    def start_from(self, role: str, other: System) -> None:
        """face: encoder and decoder; voice: the encoder; classifier: the head, for both and for the face alone."""
        self.check_same(role, other)
        if isinstance(other, FaceExpression):
            mine, theirs = self.system.outputs["expression"].names, other.outputs["expression"].names
            if mine != theirs:
                raise MienError(
                    f"--init.classifier tells {', '.join(theirs)} apart, this network {', '.join(mine)}. Leave "
                    "--init.classifier out, or train it on the same classes."
                )
            for head in (self.system.classifier, self.system.face_classifier):
                if head is not None:
                    head.load_state_dict(other.classifier.state_dict())
        else:
            assert isinstance(other, FaceVaeGan | VoiceVaeGan)
            copy_parts(self.system.face if role == "face" else self.system.voice, other.vae_gan)


def copy_parts(own: VaeGan, other: VaeGan) -> None:
    """The weights of every part that both have."""
    given = dict(other.named_children())
    for name, part in own.named_children():
        if name in given:
            part.load_state_dict(given[name].state_dict())


def _group(modules: Sequence[nn.Module], decay: float) -> ParameterGroup:
    return ParameterGroup([p for module in modules for p in module.parameters()], weight_decay=decay)
