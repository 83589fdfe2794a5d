"""Claim: the residual net of width 16, depth 2 trains at 0.9 or more of the rate of the convnet of width 32.

`python -m benchmarks.encoders`.

Forward and backward pass of a batch of 144 images, random weights, on one CPU thread; grey images of 32×32 pixels in
bfloat16 (float32 where the CPU does not compute in it) and rgb ones of 64×64. All networks take turns, so that a busy
machine slows each alike; the figure is the median over the rounds of the ratio to the convnet of the same round.
Torchvision's resnet18 is the peer.
"""

import statistics
import time

import torch

from siamese_core.config import EncoderConfig
from siamese_core.devices import computes_in_bfloat16
from siamese_core.network.encoders import Encoder, make_encoder

_BATCH = 144
_ROUNDS = 7
NETWORKS = {
    "convnet w32": EncoderConfig("convnet", width=32),
    "convnet w48": EncoderConfig("convnet", width=48),
    "residual w16 d1": EncoderConfig("residual", width=16, depth=1),
    "residual w16 d2": EncoderConfig("residual", width=16, depth=2),
    "residual w24 d1": EncoderConfig("residual", width=24, depth=1),
    "residual w32 d1": EncoderConfig("residual", width=32, depth=1),
    "residual w32 d2": EncoderConfig("residual", width=32, depth=2),
    "residual w48 d1": EncoderConfig("residual", width=48, depth=1),
    "resnet18": EncoderConfig("resnet18"),
}


def train_pass(encoder: Encoder, images: torch.Tensor, bfloat16: bool) -> float:
    """Seconds of a forward and a backward pass."""
    start = time.perf_counter()
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        embeddings = encoder(images)
    embeddings.var(dim=0).sum().backward()
    encoder.zero_grad(set_to_none=True)
    return time.perf_counter() - start


def measure(channels: int, size: int, bfloat16: bool) -> None:
    """Prints a row for each network."""
    print(f"{size}×{size}, {channels} channel(s), {'bfloat16' if bfloat16 else 'float32'}, batch {_BATCH}, 1 thread")
    encoders = {name: make_encoder(config, channels, seed=0) for name, config in NETWORKS.items()}
    images = torch.randint(0, 256, (_BATCH, channels, size, size), dtype=torch.uint8)
    rounds = [
        {name: train_pass(encoder, images, bfloat16) for name, encoder in encoders.items()} for _ in range(1 + _ROUNDS)
    ][1:]  # the first warms up
    for name, encoder in encoders.items():
        ratio = statistics.median(seconds["convnet w32"] / seconds[name] for seconds in rounds)
        rate = _BATCH / min(seconds[name] for seconds in rounds)
        parameters = sum(value.numel() for value in encoder.parameters())
        print(f"  {name:16s} {parameters:>11,} parameters {rate:>7,.0f} images/s  ratio {ratio:.2f}")


def main() -> None:
    """Measures grey characters and rgb faces."""
    torch.set_num_threads(1)
    bfloat16 = computes_in_bfloat16(torch.device("cpu"))
    measure(1, 32, bfloat16)
    measure(3, 64, bfloat16)


if __name__ == "__main__":
    main()
