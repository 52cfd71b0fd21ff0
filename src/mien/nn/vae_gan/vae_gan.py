"""VaeGan: encoder, decoder and discriminator of one modality, faces or voices."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mien.nn.vae_gan.discriminator import FEATURE_LEVEL, HIDDEN, WIDTHS, FeatureDiscriminator
from mien.nn.vae_gan.gaussian import Gaussian
from mien.nn.vae_gan.principal import PrincipalPath
from mien.nn.vae_gan.residual import DECODER_WIDTHS, ENCODER_WIDTHS, ResidualDecoder, ResidualEncoder


class VaeGan(nn.Module):
    """[batch, channels, *shape] in 0..1 to a code and back. Decoder and discriminator are None where left out.

    shape: height and width, multiples of 32. width: factor of every published channel count, which is rounded to a
    multiple of 8. level: of the discriminator's features. principal: a PrincipalPath adds to both the mean of the code
    and the picture. Raises MienError for another shape or level.
    """

    def __init__(
        self, *, channels: int, shape: tuple[int, int], latent: int, width: float = 1.0, level: int = FEATURE_LEVEL,
        decoder: bool = True, discriminator: bool = True, principal: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()

        def scaled(published: Sequence[int]) -> list[int]:
            return [max(8, round(each * width / 8) * 8) for each in published]

        self.encoder = ResidualEncoder(channels=channels, shape=shape, latent=latent, widths=scaled(ENCODER_WIDTHS))
        self.decoder: ResidualDecoder | None = None
        self.discriminator: FeatureDiscriminator | None = None
        if decoder:
            self.decoder = ResidualDecoder(channels=channels, shape=shape, latent=latent, widths=scaled(DECODER_WIDTHS))
        if discriminator:
            self.discriminator = FeatureDiscriminator(
                channels=channels, shape=shape, widths=scaled(WIDTHS), hidden=scaled([HIDDEN])[0], level=level
            )
        self.principal = PrincipalPath(shape=shape, latent=latent) if principal else None

    def encode(self, x: Float[Tensor, "batch channels h w"]) -> Gaussian:
        code: Gaussian = self.encoder(x)
        return code if self.principal is None else code._replace(mean=code.mean + self.principal.encode(x))

    def decode(self, code: Float[Tensor, "batch latent"]) -> Float[Tensor, "batch channels h w"]:
        assert self.decoder is not None
        picture: Tensor = self.decoder(code)
        return picture if self.principal is None else picture + self.principal.decode(code)

    @torch.no_grad()
    def begin_at_principal(self, *, pixels: float, kl: float) -> None:
        """The convolutions add nothing any more: codes and pictures are those of the linear path, the variances those
        that are best for these weights of the loss. What the last layers have learned is lost."""
        assert self.principal is not None and self.decoder is not None
        for layer in (self.encoder.mean, self.encoder.log_variance, self.decoder.picture_conv):
            for values in layer.parameters():
                values.zero_()
        self.encoder.log_variance.bias.copy_(self.principal.log_variance(pixels=pixels, kl=kl))
