"""``python -m benchmarks.encoders``: what each encoder takes for clips of one length, side by side.

Weights do not matter for time: they are random.
"""

from __future__ import annotations

import argparse
from functools import partial

import torch

from benchmarks.timing import add_clock, by_turns, print_over_first, set_threads
from model.config import EfficientAtConfig, EncoderConfig, MobileNetConfig, compact
from model.contracts import Compilable, Encoder
from model.encoders import ENCODERS
from model.runtimes import compiler

CONFIGS: dict[str, EncoderConfig] = {
    "cnn14, a quarter of its widths": compact(100).encoder,
    "mobilenet": MobileNetConfig(),
    "efficientat": EfficientAtConfig(),
}


def main() -> None:
    """Print the table, as Markdown."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.encoders", description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each clip (10)")
    parser.add_argument("--batch", type=int, default=1, help="clips at once (1)")
    parser.add_argument("--rounds", type=int, default=15, help="turns of each encoder (15)")
    parser.add_argument("--runtime", nargs="+", help="of torch, openvino, graphs (all that fit)")
    parser.add_argument("--device", default="cpu", help="cpu, or cuda: in float16 (cpu)")
    add_clock(parser)
    arguments = parser.parse_args()
    set_threads(arguments)
    device = torch.device(arguments.device)
    compiled = "openvino" if device.type == "cpu" else "graphs"
    runtimes = arguments.runtime or ["torch", compiled]
    torch.manual_seed(0)
    with torch.inference_mode():
        took = by_turns(
            {
                f"{name} | {runtime}": partial(
                    encode, built(config, runtime, device), clips(config, arguments, device)
                )
                for name, config in CONFIGS.items()
                for runtime in runtimes
                if runtime == "torch" or issubclass(ENCODERS[config.name], Compilable)
            },
            arguments.rounds,
            arguments.clock,
        )
    print(f"{arguments.batch} x {arguments.seconds:g} s, {torch.get_num_threads()} threads\n")
    print_over_first("encoder | runtime", took, digits=1)


def built(config: EncoderConfig, runtime: str, device: torch.device) -> Encoder:
    """An encoder with random weights, as it is served there."""
    encoder = ENCODERS[config.name](**config.keywords())
    encoder.eval()
    dtype = torch.float32 if device.type == "cpu" else torch.float16
    if dtype == torch.float32:
        encoder.fold_norms()
    encoder.to(device).to(dtype)
    compile_with = compiler(runtime, device, dtype)
    if compile_with is not None and isinstance(encoder, Compilable):
        encoder.compile_with(compile_with)
    return encoder


def encode(encoder: Encoder, clips: list[torch.Tensor]) -> None:
    """And wait until it is done."""
    encoder.encode(clips)[-1][-1, -1].item()


def clips(
    config: EncoderConfig, arguments: argparse.Namespace, device: torch.device
) -> list[torch.Tensor]:
    """Noise of so many seconds, at the encoder's rate."""
    size = round(arguments.seconds * ENCODERS[config.name](**config.keywords()).sample_rate)
    return [0.1 * torch.randn(size, device=device) for _ in range(arguments.batch)]


if __name__ == "__main__":
    main()
