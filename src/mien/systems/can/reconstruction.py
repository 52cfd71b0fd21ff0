"""Stage 1 of CAN, for faces and for voices: a VAE-GAN, its three parts each with an optimiser of its own.

Blume et al., GCPR 2024; Larsen et al., Autoencoding beyond pixels using a learned similarity metric, ICML 2016. The
released code can train the VAE-GAN of faces only.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mien.core.errors import MienError
from mien.core.options import at_least, check_rules
from mien.core.records import Sample
from mien.nn.losses import reconstruction
from mien.nn.losses.adversarial import fooling_loss
from mien.nn.vae_gan.discriminator import Discriminated, FeatureDiscriminator
from mien.nn.vae_gan.gaussian import Gaussian, divergence_from_prior
from mien.systems.can.autoencoders import FaceVaeGan, VoiceVaeGan
from mien.systems.frozen import FrozenNetwork
from mien.systems.optim import OptimOptions
from mien.systems.stage import Objective, ParameterGroup, Predictions, Stage, TorchBatch
from mien.systems.system import System

SMOOTHING = 0.1  # of the classes' targets
_WEIGHTS = ("kl", "kl_warmup", "features", "pixels", "structure", "classes", "equilibrium", "margin")
GATE_TERMS = ("bce_real", "bce_reconstruction")


@dataclass(frozen=True)
class VoiceOptions:
    """Loss terms and gates of a VAE-GAN; a weight of 0 turns a term off."""

    kl: float = 0.00033
    """Weight of the divergence of the codes from a standard normal distribution."""
    kl_warmup: float = 0.0
    """Epochs over which that weight rises from 0."""
    features: float = 1.0
    """Weight of the difference in the discriminator's features, for encoder and decoder. With 0 and a feature_share of
    1 there is no discriminator: a plain variational autoencoder, whose step takes 0.6 of the time."""
    feature_share: float = 0.95
    """Share of the feature loss in the decoder's loss, in 0..1; the rest is adversarial. Released: 1, which leaves the
    decoder without any adversarial gradient."""
    pixels: float = 1.0
    """Weight of the mean squared difference of pixels, for encoder and decoder (released: 0)."""
    structure: float = 0.0
    """Weight of 1 minus the contrast and structure of SSIM, for encoder and decoder (released: 0)."""
    classes: float = 0.0
    """Weight of the cross-entropy of a linear layer on the means of the codes, so that they tell the classes of the
    data apart; of batches whose samples all have a class. The layer is not kept (released: 0). The epoch is then
    chosen by it."""
    equilibrium: float = 0.68
    """Cross-entropy of the discriminator that the gates hold it about."""
    margin: float = 0.35
    """The discriminator steps while its cross-entropies of real pictures and of reconstructions are both at least
    equilibrium - margin, the decoder while both are at most equilibrium + margin; both step where neither would."""

    def __post_init__(self) -> None:
        rules = at_least(self, 0, *_WEIGHTS)
        rules["feature_share"] = (0 <= self.feature_share <= 1, "in 0..1")
        check_rules(self, "stage.options.", rules)

    @property
    def adversarial(self) -> bool:
        """Whether any term needs the discriminator."""
        return self.features > 0 or self.feature_share < 1


@dataclass(frozen=True)
class FaceOptions(VoiceOptions):
    """The same for pictures, which VGG-19 can compare too."""

    perceptual: float = 0.0
    """Weight of the perceptual loss on VGG-19 features, for encoder and decoder, which needs VGG-19's ImageNet
    weights."""
    vgg: str = ""
    """VGG-19 weight file; by default that in torchvision's cache."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_rules(self, "stage.options.", at_least(self, 0, "perceptual"))


class Passes(NamedTuple):
    """All that the objectives need of a batch. The last three are of the decoder's own passes, as released, and None by
    default: each is then the same as what stands before it."""

    real: Tensor
    """The pictures."""
    code: Gaussian
    """Of each."""
    picture: Tensor
    """Decoded from a draw of its code."""
    discriminated: tuple[Discriminated, Discriminated, Discriminated] | None = None
    """The discriminator on the pictures, on `picture`, and on pictures decoded from the prior; None without one."""
    features: tuple[Tensor, Tensor] | None = None
    """Of the pictures and of `picture`; None without a discriminator."""
    decoder_features: tuple[Tensor, Tensor] | None = None
    decoder_discriminated: tuple[Discriminated, Discriminated, Discriminated] | None = None
    decoder_picture: Tensor | None = None


class Reconstruction(Stage):
    """Encoder, decoder and discriminator, which step one after the other and of which two wait at a gate.

    By default one pass of each network over each of its inputs serves all three objectives, and the decoder learns by
    the non-saturating loss. legacy: the released order of passes (two decodings of each code, ten passes of the
    discriminator), which changes the statistics of BatchNorm and nothing else, and the decoder's term is minus the
    discriminator's.
    """

    needs_labels = False
    larger_is_better = False
    monitor = "squared_error"
    options: VoiceOptions
    default_optim = OptimOptions(
        name="rmsprop", lr=3e-4, alpha=0.9, momentum=0.0, schedule="multistep", milestones=(200, 350), gamma=0.1
    )
    input_name: ClassVar[str]
    of: ClassVar[type[System]]

    @classmethod
    def system_name(cls, name: str) -> str:
        return cls.of.name

    def __init__(self, system: System, **rest: Any) -> None:
        super().__init__(system, **rest)
        assert isinstance(system, FaceVaeGan | VoiceVaeGan)
        if self.options.adversarial and system.vae_gan.discriminator is None:
            raise MienError(
                f"The stage {self.name} trains a discriminator, which this network has not: "
                "--system.options.discriminator true."
            )
        self.head: nn.Linear | None = None  # of the classes
        if self.options.classes:
            self.monitor = "cross_entropy"
        if self.optim_options.sam_rho:
            raise MienError(f"The stage {self.name} plays two networks against each other: --optim.sam_rho 0.")

    @property
    def network(self) -> Any:
        return self.system.vae_gan

    @property
    def discriminator(self) -> FeatureDiscriminator:
        found: FeatureDiscriminator = self.network.discriminator
        return found

    def start_from(self, role: str, other: System) -> None:
        self.load_weights(other.state_dict())

    def companions(self) -> Mapping[str, nn.Module]:
        head = self._head()
        return {} if head is None else {"head": head}

    def _head(self) -> nn.Linear | None:
        """Of the classes, which are known when the data are; it begins at 0. Raises MienError without classes."""
        if self.options.classes and self.head is None:
            if not self.class_names:
                raise MienError(
                    f"stage.options.classes is the weight of the data's classes; {self.name} got data without any. "
                    "Leave it out."
                )
            self.head = nn.Linear(self.system.config.latent, len(self.class_names)).to(self.device)
            nn.init.zeros_(self.head.weight)
            nn.init.zeros_(self.head.bias)
        return self.head

    # The passes

    def noise(self, like: Tensor) -> Tensor:
        """Standard normal: for the codes, then for the prior."""
        return torch.randn_like(like)

    def shared(self, batch: TorchBatch) -> Passes:
        real, net = batch.take((self.input_name,))[0], self.network
        code = Gaussian(*(value.float() for value in net.encode(real)))
        drawn, prior = code.sample(self.noise(code.mean)), self.noise(code.mean)
        if not self.options.adversarial:
            return Passes(real, code, net.decode(drawn).float())
        if self.step_options.legacy:
            return self._released_passes(real, code, drawn, prior)
        picture, discriminate = net.decode(drawn).float(), self.discriminator
        discriminated = discriminate(real), discriminate(picture), discriminate(net.decode(prior))
        return Passes(real, code, picture, discriminated, (discriminated[0].features, discriminated[1].features))

    def _released_passes(self, real: Tensor, code: Gaussian, drawn: Tensor, prior: Tensor) -> Passes:
        net, discriminate = self.network, self.discriminator
        picture, again, imagined = net.decode(drawn), net.decode(drawn.detach()), net.decode(prior)
        features = discriminate.features(real), discriminate.features(picture)
        decoder_features = discriminate.features(real), discriminate.features(again)
        discriminated = discriminate(real), discriminate(picture.detach()), discriminate(imagined.detach())
        decoder_discriminated = discriminate(real), discriminate(again), discriminate(imagined)
        return Passes(real, code, picture, discriminated, features, decoder_features, decoder_discriminated, again)

    def monitored(self, shared: Passes) -> dict[str, Tensor]:
        found = {"divergence": divergence_from_prior(shared.code).mean()}
        found["squared_error"] = _squared(shared.picture, shared.real)
        if shared.discriminated is None:
            return found
        real, fake, _ = (each.logits.float() for each in shared.discriminated)
        return {"bce_real": F.softplus(-real).mean(), "bce_reconstruction": F.softplus(fake).mean(), **found}

    # What is minimised

    def objectives(self) -> list[Objective]:
        net = self.network
        groups = {name: [ParameterGroup([*getattr(net, name).parameters()])] for name in ("encoder", "decoder")}
        if (head := self._head()) is not None:
            groups["encoder"].append(ParameterGroup([*head.parameters()]))
        if not self.options.adversarial:
            return [Objective("autoencoder", self.encoder_terms, [*groups["encoder"], *groups["decoder"]])]
        own = [ParameterGroup([*self.discriminator.parameters()])]
        return [
            Objective("encoder", self.encoder_terms, groups["encoder"]),
            Objective("decoder", self.decoder_terms, groups["decoder"], when=self.decoder_steps),
            Objective("discriminator", self.discriminator_terms, own, when=self.discriminator_steps),
        ]

    def encoder_terms(self, batch: TorchBatch, shared: Passes) -> dict[str, Tensor]:
        options = self.options
        terms = self._compared("", shared.picture, shared.real)
        if shared.features is not None:
            terms = {"features": options.features * _squared(*shared.features[::-1]), **terms}
        if options.kl:
            terms["kl"] = self._kl_weight() * divergence_from_prior(shared.code).mean()
        if (head := self._head()) is not None and batch.expression is not None:
            logits = head(shared.code.mean)
            smooth = F.cross_entropy(logits, batch.expression, label_smoothing=SMOOTHING)
            terms["classes"] = self.options.classes * smooth
        return terms

    def _kl_weight(self) -> float:
        if not self.options.kl_warmup:
            return self.options.kl
        done = self.position.step / max(1, self.steps_per_epoch) / self.options.kl_warmup
        return self.options.kl * min(1.0, done)

    def decoder_terms(self, batch: TorchBatch, shared: Passes) -> dict[str, Tensor]:
        share = self.options.feature_share
        features = shared.decoder_features or shared.features
        assert features is not None
        picture = shared.picture if shared.decoder_picture is None else shared.decoder_picture
        weight = share * self.options.features
        terms = {"decoder_features": weight * _squared(*features[::-1])}
        terms |= self._compared("decoder_", picture, shared.real)
        if share < 1:
            terms["adversarial"] = (1 - share) * self._adversarial(shared)
        return terms

    def _adversarial(self, shared: Passes) -> Tensor:
        """Of reconstructions and of pictures from the prior."""
        discriminated = shared.decoder_discriminated
        if discriminated is not None:
            return -sum(_entropies(discriminated).values(), start=torch.zeros(()).to(shared.real))
        assert shared.discriminated is not None
        _, again, imagined = shared.discriminated
        return fooling_loss(again.logits.float()) + fooling_loss(imagined.logits.float())

    def _compared(self, prefix: str, picture: Tensor, real: Tensor) -> dict[str, Tensor]:
        """The terms beside the published ones."""
        options = self.options
        terms = {f"{prefix}pixels": options.pixels * _squared(picture, real)} if options.pixels else {}
        if options.structure:
            terms[f"{prefix}structure"] = options.structure * reconstruction.structure(picture, real).mean()
        return terms

    def discriminator_terms(self, batch: TorchBatch, shared: Passes) -> dict[str, Tensor]:
        assert shared.discriminated is not None
        return _entropies(shared.discriminated)

    # The gates

    def decoder_steps(self, step: int, losses: Mapping[str, float]) -> bool:
        return self._gates(losses)[0]

    def discriminator_steps(self, step: int, losses: Mapping[str, float]) -> bool:
        return self._gates(losses)[1]

    def _gates(self, losses: Mapping[str, float]) -> tuple[bool, bool]:
        """Whether the decoder steps and whether the discriminator does."""
        middle, margin = self.options.equilibrium, self.options.margin
        entropies = [losses[name] for name in GATE_TERMS]
        decoder = all(value <= middle + margin for value in entropies)
        discriminator = all(value >= middle - margin for value in entropies)
        return (True, True) if not (decoder or discriminator) else (decoder, discriminator)

    # How it is measured

    def predict(self, system: nn.Module, batch: TorchBatch) -> Predictions:
        """Of each sample, decoded from the mean of its code."""
        assert isinstance(system, FaceVaeGan | VoiceVaeGan)
        real, net = batch.take((self.input_name,))[0], system.vae_gan
        code = net.encode(real)
        picture = net.decode(code.mean).float().clamp(0, 1)
        found = self.scores_of(picture, real) | {"divergence": divergence_from_prior(code)}
        if (head := self._head()) is not None and batch.expression is not None:
            logits = head(code.mean.float())
            found["cross_entropy"] = F.cross_entropy(logits, batch.expression, reduction="none")
            found["accuracy"] = logits.argmax(1) == batch.expression
        return {name: value.float().cpu().numpy() for name, value in found.items()}

    def scores_of(self, picture: Tensor, real: Tensor) -> dict[str, Tensor]:
        """[batch] each."""
        difference = (picture - real).flatten(1)
        return {"squared_error": difference.square().mean(1), "abs_error": 255 * difference.abs().mean(1)}

    def validate(self, predictions: Predictions, samples: Sequence[Sample]) -> dict[str, float]:
        if self.options.classes and self.monitor not in predictions:
            raise MienError("stage.options.classes chooses the epoch by samples with a class; the validation has none.")
        return {name: float(values.mean()) for name, values in predictions.items()}


class FaceReconstruction(Reconstruction):
    """Stage 1a: faces."""

    name = "face_reconstruction"
    options_class: ClassVar[type] = FaceOptions
    options: FaceOptions
    input_name = "image"
    of = FaceVaeGan
    starts_from: ClassVar[Mapping[str, tuple[type[System], ...]]] = {"network": (FaceVaeGan,)}

    def __init__(self, system: System, **rest: Any) -> None:
        super().__init__(system, **rest)
        self._started = False  # from another run's network
        self.vgg: FrozenNetwork | None = None
        if self.options.perceptual:
            file, spec = reconstruction.vgg19_file(self.options.vgg), system.picture
            weights = reconstruction.vgg19_weights(file)
            self.vgg = FrozenNetwork(reconstruction.Perceptual(weights, mean=spec.mean, std=spec.std), file)

    def start_from(self, role: str, other: System) -> None:
        super().start_from(role, other)
        self._started = True

    def begin(self, batches: Callable[[], Iterable[TorchBatch]]) -> None:
        """Fits the linear path, where there is one, and lets the convolutions begin at nothing beside it; what came
        from another run stays as it is."""
        if self.network.principal is None or self._started:
            return
        self.network.principal.fit(batch.image for batch in batches())
        self.network.begin_at_principal(pixels=self.options.pixels, kl=self.options.kl)

    def frozen(self) -> Mapping[str, FrozenNetwork]:
        return {} if self.vgg is None else {"vgg": self.vgg}

    def _compared(self, prefix: str, picture: Tensor, real: Tensor) -> dict[str, Tensor]:
        terms = super()._compared(prefix, picture, real)
        if self.vgg is not None:
            terms[f"{prefix}perceptual"] = self.options.perceptual * self.vgg(picture.float(), real)
        return terms

    def scores_of(self, picture: Tensor, real: Tensor) -> dict[str, Tensor]:
        found = super().scores_of(picture, real)
        psnr = -10 * torch.log10(found["squared_error"].clamp(min=1e-10))
        return found | {"psnr": psnr, "ssim": reconstruction.ssim(picture, real)}


class VoiceReconstruction(Reconstruction):
    """Stage 1b: voices, which the released code has no way to train."""

    name = "voice_reconstruction"
    options_class: ClassVar[type] = VoiceOptions
    input_name = "voice"
    of = VoiceVaeGan
    starts_from: ClassVar[Mapping[str, tuple[type[System], ...]]] = {"network": (VoiceVaeGan,)}


def _squared(one: Tensor, other: Tensor) -> Tensor:
    return F.mse_loss(one.float(), other.float())


def _entropies(discriminated: tuple[Discriminated, Discriminated, Discriminated]) -> dict[str, Tensor]:
    """Binary cross-entropy of real pictures, of reconstructions and of pictures from the prior."""
    real, fake, imagined = (each.logits.float() for each in discriminated)
    return {
        "real": F.softplus(-real).mean(), "reconstructed": F.softplus(fake).mean(), "prior": F.softplus(imagined).mean()
    }  # fmt: skip
