"""The mel front end of CAN in NumPy and OpenCV against the published transform in torch, on one core, for one clip.

    python benchmarks/mel.py

The published transform is torchaudio's MelSpectrogram and AmplitudeToDB, written with torch.stft as they call it; the
released code makes them anew for every clip, filter bank and window included.
"""

import time
from collections.abc import Callable

import numpy as np
import torch

from mien.core.spec import SoundInput
from mien.media.sound.audio import Sound
from mien.media.sound.mel import MelStream, filter_bank, log_mel

GIVEN, REPEATS = SoundInput(), 40


def published_bank() -> torch.Tensor:
    """torchaudio.functional.melscale_fbanks with the HTK scale and without normalisation."""
    frequencies = torch.linspace(0, GIVEN.rate_hz // 2, GIVEN.fft // 2 + 1)
    low, high = (2595 * np.log10(1 + hz / 700) for hz in (GIVEN.low_hz, GIVEN.high_hz))
    edges = 700 * (10 ** (torch.linspace(low, high, GIVEN.mels + 2) / 2595) - 1)
    steps, apart = edges[1:] - edges[:-1], edges[None] - frequencies[:, None]
    return torch.clamp(torch.minimum(-apart[:, :-2] / steps[:-1], apart[:, 2:] / steps[1:]), min=0)


def published(samples: torch.Tensor, bank: torch.Tensor, window: torch.Tensor) -> torch.Tensor:
    spectrum = torch.stft(
        samples, GIVEN.fft, GIVEN.hop, GIVEN.fft, window, center=True, pad_mode="reflect", return_complex=True
    )  # fmt: skip
    mel = torch.matmul(spectrum.abs().pow(2).transpose(-1, -2), bank).transpose(-1, -2)
    level = 10 * torch.log10(torch.clamp(mel, min=1e-10))
    level = torch.maximum(level, level.max() - 100)
    return (level - level.min()) / (level.max() - level.min())


def milliseconds(function: Callable[[], object]) -> float:
    """The least processor time of a call."""
    function()
    found = []
    for _ in range(REPEATS):
        started = time.process_time()
        function()
        found.append(time.process_time() - started)
    return 1000 * min(found)


def main() -> None:
    torch.set_num_threads(1)
    samples = np.random.default_rng(0).normal(0, 0.1, GIVEN.samples).astype(np.float32)
    given, bank, window = torch.from_numpy(samples)[None], published_bank(), torch.hann_window(GIVEN.fft)
    ours = milliseconds(lambda: log_mel(Sound(samples, GIVEN.rate_hz), GIVEN))
    kept = milliseconds(lambda: published(given, bank, window))
    anew = milliseconds(lambda: published(given, published_bank(), torch.hann_window(GIVEN.fft)))
    apart = np.abs(published(given, bank, window).numpy() - log_mel(Sound(samples, GIVEN.rate_hz), GIVEN)).max()
    print(f"ours {ours:.2f} ms; published {anew:.2f} ms ({anew / ours:.1f}x), with bank and window kept {kept:.2f} ms")
    print(f"largest difference {apart:.1e} of 1; filter banks {np.abs(filter_bank(GIVEN) - bank.numpy()).max():.1e}")
    stream, block = MelStream(GIVEN), samples[: GIVEN.rate_hz]
    seconds = milliseconds(lambda: stream.push(block)) / 1000
    print(f"streaming: {1 / seconds:.0f} times real time")


if __name__ == "__main__":
    main()
