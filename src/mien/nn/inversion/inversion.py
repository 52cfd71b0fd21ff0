"""Encoder and generator together: a picture to codes and structure, and back to a picture."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mien.core.errors import MienError
from mien.nn.inversion.encoders import AsitEncoder, Encoded
from mien.nn.inversion.feature_residual import FeatureResidual
from mien.nn.stylegan2.generator import Generator, Synthesised


class Inversion(nn.Module):
    """ASIT: the encoder's codes are offsets from the generator's mean code (`latent_avg`), one for each layer.

    from_mean: False where the encoder was trained to give whole codes. residual: the F-space option. Raises MienError
    where the parts do not fit.
    """

    latent_avg: Tensor

    def __init__(
        self, encoder: AsitEncoder, generator: Generator, *, from_mean: bool = True,
        residual: FeatureResidual | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        styles = sum(encoder.styles.counts)
        if styles != generator.style_count:
            raise MienError(
                f"The encoder gives {styles} codes, for {2 ** (styles // 2 + 1)} pixels; the generator of "
                f"{generator.size} pixels takes {generator.style_count}. Take two of one size."
            )
        self.encoder, self.generator, self.from_mean, self.residual = encoder, generator, from_mean, residual
        given, wanted = encoder.structure_conv.out_channels, generator.constant.shape[1]
        # A structure code of fewer channels than the generator's constant is spread by a 1x1 convolution.
        self.spread = nn.Identity() if given == wanted else nn.Conv2d(given, wanted, 1)
        self.register_buffer("latent_avg", generator.latent_avg.repeat(styles, 1))

    def encode(self, image: Float[Tensor, "batch 3 side side"]) -> Encoded:
        """Codes as the generator takes them, structure and maps."""
        encoded: Encoded = self.encoder(image)
        return encoded._replace(codes=encoded.codes + self.latent_avg) if self.from_mean else encoded

    def feature_code(self, encoded: Encoded) -> Tensor | None:
        """[batch, channels, side, side]: what the F-space residual keeps of the picture; None without one."""
        return None if self.residual is None else self.residual.encode(encoded.maps)

    def decode(
        self, codes: Float[Tensor, "batch styles width"], structure: Tensor | None, *,
        noise: list[Tensor] | None = None, feature_code: Tensor | None = None,
    ) -> Synthesised:  # fmt: skip
        """structure: None for the generator's own constant. feature_code: None for no residual."""
        residuals = None
        if self.residual is not None and feature_code is not None:
            residuals = {self.residual.side: self.residual.decode(feature_code)}
        spread = None if structure is None else self.spread(structure)
        return self.generator(codes, structure=spread, noise=noise, residuals=residuals)

    def forward(
        self, image: Float[Tensor, "batch 3 side side"], *, use_structure: bool = True, use_residual: bool = True
    ) -> Tensor:
        """The reconstruction [batch, 3, size, size] with the stored noise, not clipped."""
        encoded = self.encode(image)
        structure = encoded.structure if use_structure else None
        feature_code = self.feature_code(encoded) if use_residual else None
        return self.decode(encoded.codes, structure, feature_code=feature_code).image


def tiled_latent_avg(mean: Tensor, styles: int) -> Float[Tensor, "styles width"]:
    """A mean code as files hold it, [width], [1, width] or [styles, width], for every layer.

    Raises MienError for another number of rows.
    """
    rows = torch.atleast_2d(mean)
    if rows.ndim != 2 or len(rows) not in (1, styles):
        raise MienError(
            f"latent_avg has shape {tuple(mean.shape)}; a generator of {styles} codes takes 1 row or {styles}."
        )
    return rows.expand(styles, -1).contiguous()
