"""What cameras and files do to a picture: exposure, colour cast, blur, low resolution, noise, JPEG, grey."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from mien.synthetic.picture.colour import to_srgb


@dataclass(frozen=True)
class Degradation:
    """What camera and file do to a picture; the default does nothing."""

    metered: float = 0.0
    """How far the middle of the picture is brought to a mean level, 0 not at all .. 1 wholly."""
    exposure: float = 1.0
    """Factor on light besides."""
    contrast: float = 1.0
    """Factor on sRGB about the subject's mean."""
    cast: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Factors on linear RGB."""
    blur: float = 0.0
    """Pixels of a 128-pixel picture."""
    motion: float = 0.0
    """Length of motion blur, pixels of a 128-pixel picture."""
    motion_rad: float = 0.0
    """Direction of motion blur."""
    sharpening: float = 0.0
    """Share of an unsharp mask that the camera adds."""
    resolution: float = 1.0
    """Share of the side that survives."""
    noise: float = 0.0
    """Standard deviation on sRGB in 0..1."""
    jpeg: int = 0
    """Quality; 0 for none."""
    grey: bool = False
    """No colour."""
    seed: int = 0
    """Of the noise."""

    @classmethod
    def sample(cls, rng: np.random.Generator) -> "Degradation":
        """From good photographs to poor ones; each fault comes by itself."""
        warmth, green = rng.normal(0, 0.07), rng.normal(0, 0.03)
        return cls(
            metered=float(rng.uniform(0.4, 1.0)),
            exposure=float(np.exp(rng.normal(0.1, 0.3))),
            contrast=float(np.exp(rng.normal(0.34, 0.22))),
            cast=(float(1 + warmth), float(1 + green), float(1 - warmth)),
            blur=float(rng.exponential(0.55)) if rng.random() < 0.4 else 0.0,
            motion=float(rng.uniform(1, 5)) if rng.random() < 0.05 else 0.0,
            motion_rad=float(rng.uniform(0, np.pi)),
            sharpening=float(rng.uniform(0.2, 1.2)) if rng.random() < 0.35 else 0.0,
            resolution=float(rng.uniform(0.3, 0.8)) if rng.random() < 0.25 else 1.0,
            noise=float(min(rng.exponential(0.011), 0.05)) if rng.random() < 0.6 else 0.0,
            jpeg=int(rng.integers(25, 96)) if rng.random() < 0.6 else 0,
            grey=bool(rng.random() < 0.2),
            seed=int(rng.integers(1 << 31)),
        )

    def expose(
        self, linear: Float[np.ndarray, "height width 3"], subject: Bool[np.ndarray, "height width"] | None = None
    ) -> Float[np.ndarray, "height width 3"]:
        """Linear light to sRGB in 0..1, with a shoulder: highlights bend before they are cut."""
        gain = self.exposure * _metered(linear, subject) ** self.metered
        light = linear * (np.float32(gain) * np.array(self.cast, np.float32))
        # Linear up to 0.6, then towards 1.
        over = np.maximum(light - 0.6, 0)
        light = np.minimum(light, 0.6) + np.float32(0.4) * (1 - np.exp(-over / np.float32(0.4)))
        srgb = to_srgb(light)
        if self.contrast != 1:
            grey = _grey(srgb)
            # Brightness takes it all, colour little of it, or skin turns orange; about the subject's own brightness, or
            # dark faces would drown.
            middle = np.float32(np.clip(grey.mean() if subject is None else grey[subject].mean(), 0.12, 0.55))
            steep = middle + (grey - middle) * np.float32(self.contrast)
            srgb = np.clip(steep + (srgb - grey) * np.float32(self.contrast**0.3), 0, 1)
        return srgb

    def apply(
        self, linear: Float[np.ndarray, "height width 3"], *, subject: Bool[np.ndarray, "height width"] | None = None
    ) -> UInt8[np.ndarray, "height width 3"]:
        """The finished picture, 8-bit sRGB. subject: what the camera meters on, besides the middle of the picture."""
        height, width = linear.shape[:2]
        linear = self._blurred(linear)
        srgb = self.expose(linear, subject if subject is not None and subject.any() else None)
        if self.sharpening > 0:
            soft = cv2.GaussianBlur(srgb, (0, 0), height / 128, borderType=cv2.BORDER_REPLICATE)
            srgb = np.clip(srgb + np.float32(self.sharpening) * (srgb - soft), 0, 1)
        if self.resolution < 1:
            small = (max(8, round(width * self.resolution)), max(8, round(height * self.resolution)))
            srgb = cv2.resize(
                cv2.resize(srgb, small, interpolation=cv2.INTER_AREA), (width, height), interpolation=cv2.INTER_LINEAR
            )
        if self.noise > 0:
            rng = np.random.Generator(np.random.PCG64([self.seed, 31]))
            grain = rng.standard_normal(srgb.shape, np.float32)
            grain = 0.6 * grain + 0.8 * grain.mean(-1, keepdims=True) * 3**0.5  # mostly of brightness
            srgb = srgb + np.float32(self.noise) * grain * (0.5 + np.sqrt(srgb))
        if self.grey:
            srgb = np.repeat(_grey(srgb), 3, -1)
        pixels = np.clip(np.round(srgb * 255), 0, 255).astype(np.uint8)
        return _through_jpeg(pixels, self.jpeg) if self.jpeg else pixels

    def _blurred(self, linear: np.ndarray) -> np.ndarray:
        """Blur happens to light, before the sensor."""
        unit = linear.shape[0] / 128
        if self.blur * unit > 0.2:
            linear = cv2.GaussianBlur(linear, (0, 0), self.blur * unit, borderType=cv2.BORDER_REPLICATE)
        length = self.motion * unit
        if length > 1:
            side = int(np.ceil(length)) | 1
            kernel = np.zeros((side, side), np.float32)
            reach = (side - 1) / 2 * np.array([np.cos(self.motion_rad), np.sin(self.motion_rad)])
            ends = np.round(np.array([-reach, reach]) + (side - 1) / 2).astype(int)
            cv2.line(kernel, tuple(ends[0].tolist()), tuple(ends[1].tolist()), 1.0, 1, cv2.LINE_AA)
            linear = cv2.filter2D(linear, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REPLICATE)
        return linear


def _grey(srgb: np.ndarray) -> np.ndarray:
    return (srgb @ np.array([0.299, 0.587, 0.114], np.float32))[..., None]


def _metered(linear: np.ndarray, subject: np.ndarray | None) -> float:
    """The gain, 0.25..6, that brings the picture's middle half and the subject to a mean of 0.3 of the light."""
    quarter = linear.shape[0] // 4
    middle = linear[quarter : -quarter or None, quarter : -quarter or None].mean(dtype=np.float64)
    if subject is not None:
        middle = 0.35 * middle + 0.65 * linear[subject].mean(dtype=np.float64)
    return float(np.clip(0.3 / max(middle, 1e-6), 0.25, 6.0))


def _through_jpeg(pixels: np.ndarray, quality: int) -> np.ndarray:
    ok, data = cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not ok:
        raise RuntimeError("OpenCV could not write a JPEG.")
    return np.ascontiguousarray(np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))[..., ::-1])
