"""A training step of CAN's face VAE-GAN against the published one, as ratios of one run.

    python benchmarks/can_step.py [--batch 16] [--width 1] [--size 128] [--threads 1] [--repeats 3] [--cpu-time]

The published step is rebuilt from its description: three decodings and ten passes of the discriminator, three backward
passes that reach every weight, three RMSprop. Ours takes the same batch by `Stage.training_step`, by default with the
adversarial term that the published configuration leaves out (its share is 1); the row "share 1" leaves it out too.
Variants take turns, and the shortest time of each counts. On a machine that others use too, `--cpu-time --threads 1`
counts this process's own time.
"""

import argparse
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

import poster_v2_torch as torch_benchmark
from gpu_sections import Bench, own_step
from mien import create_model
from mien.nn.vae_gan.gaussian import divergence_from_prior

KL = 0.00033


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--cpu-time", action="store_true", help="process time in place of wall time")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.cpu_time:
        torch_benchmark.clock = time.process_time
    options = {"size": args.size, "width": args.width}
    runs: dict[str, Callable[[], object]] = {"published, fp32": published_step(args.batch, **options)}
    bench = Bench("cpu", dry=False)
    for name, more in (("ours", {}), ("ours, share 1", {"feature_share": 1.0})):
        for half in (False, True):
            runs[f"{name}, {'bf16' if half else 'fp32'}"] = own_step(
                bench, "can_face", "face_reconstruction", step_options={"bf16": half}, batch=args.batch,
                system_options=options, **more,
            )  # fmt: skip
    for run in runs.values():
        run()
    title = f"batch {args.batch}, {args.size} pixels, width {args.width:g}, {args.threads} threads"
    torch_benchmark.report(title, torch_benchmark.timed(runs, args.repeats))


def published_step(batch: int, *, size: int, width: float) -> Callable[[], None]:
    torch.manual_seed(0)
    net = create_model("can_face", size=size, width=width).vae_gan.train()
    parts = (net.encoder, net.decoder, net.discriminator)
    encoder, decoder, discriminator = (torch.optim.RMSprop(part.parameters(), lr=3e-4, alpha=0.9) for part in parts)
    x = torch.rand(batch, 3, size, size)
    ones, zeros = torch.ones(batch), torch.zeros(batch)

    def entropy(logits: Tensor, wanted: Tensor) -> Tensor:
        return F.binary_cross_entropy(logits.sigmoid(), wanted)

    def run() -> None:
        look = net.discriminator
        code = net.encode(x)
        z = code.sample(torch.randn_like(code.mean))
        picture, again, imagined = net.decode(z), net.decode(z.detach()), net.decode(torch.randn_like(z))
        encoder_features = F.mse_loss(look.features(picture), look.features(x))
        decoder_features = F.mse_loss(look.features(again), look.features(x))
        scored = [look(each).logits for each in (x, picture.detach(), imagined.detach())]
        opposed = [look(each).logits for each in (x, again, imagined)]  # for the gates
        encoder_loss = KL * divergence_from_prior(code).mean() + encoder_features
        own = [entropy(logits, wanted) for logits, wanted in zip(scored, (ones, zeros, zeros), strict=True)]
        gates = [entropy(logits, wanted) for logits, wanted in zip(opposed, (ones, zeros, zeros), strict=True)]
        everything = (encoder, decoder, discriminator)
        for optimizer in everything:
            optimizer.zero_grad()
        encoder_loss.backward(retain_graph=True)
        encoder.step()
        for optimizer in everything:
            optimizer.zero_grad()
        # Times 0 as released, so that the backward pass goes through the discriminator all the same.
        (decoder_features - 0.0 * sum(gates)).backward(retain_graph=True)
        decoder.step()
        discriminator.zero_grad()
        sum(own).backward()
        discriminator.step()
        discriminator.zero_grad()

    return run


if __name__ == "__main__":
    main()
