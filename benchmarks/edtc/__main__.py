"""``python -m benchmarks.edtc``: what each part of EDTC takes for one clip, at the paper's size.

Weights do not matter for time: they are random.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from functools import partial

import torch
from torch import nn

from benchmarks.timing import add_clock, by_turns, set_threads
from model.adapters.fuser import Fuser
from model.adapters.translator import Translator
from model.config import BartDecoderConfig, EdtcAdapterConfig, EnsembleConfig
from model.decoders import BartDecoder
from model.encoders import ENCODERS
from model.types import Difference

BEAMS, WORDS = 4, 20
"""The paper's beams, and tokens of a caption."""


def main() -> None:
    """Print the table, as Markdown."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.edtc", description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0, help="of the clip (10)")
    parser.add_argument("--rounds", type=int, default=7, help="turns of each part (7)")
    add_clock(parser)
    arguments = parser.parse_args()
    set_threads(arguments)
    torch.manual_seed(0)
    runs, sizes = parts(arguments.seconds)
    with torch.inference_mode():
        took = by_turns(runs, arguments.rounds, arguments.clock)
    whole = sum(took.values())
    print(f"one clip of {arguments.seconds:g} s, {torch.get_num_threads()} threads\n")
    print("| part | parameters | ms | share |\n|---|---|---|---|")
    for name, seconds in took.items():
        share = seconds / whole
        print(f"| {name} | {sizes[name] / 1e6:.1f}M | {1e3 * seconds:.0f} | {share:.0%} |")
    print(f"| all | {sum(sizes.values()) / 1e6:.1f}M | {1e3 * whole:.0f} | |")


def parts(seconds: float) -> tuple[dict[str, Callable[[], object]], dict[str, int]]:
    """What runs each part, and how many parameters it has."""
    modules: dict[str, nn.Module] = {}
    runs: dict[str, Callable[[], object]] = {}
    for config in EnsembleConfig().parts:
        encoder = ENCODERS[config.name](**config.keywords())
        encoder.eval()
        encoder.fold_norms()
        clip = 0.1 * torch.randn(round(seconds * encoder.sample_rate))
        modules[config.name] = encoder
        runs[config.name] = partial(encoder.encode, [clip])
    adapter, bart = EdtcAdapterConfig(), BartDecoderConfig(encoder_layers=6)
    width, heads, window = bart.width, adapter.heads, adapter.window
    assert adapter.fuser_layers is not None
    assert adapter.translator is not None
    frames = torch.randn(math.ceil(seconds / 10), window, width)
    fuser = Fuser(streams=3, width=width, layers=adapter.fuser_layers, heads=heads, frames=window)
    modules["FUSER"] = fuser.eval()
    runs["FUSER"] = partial(fuser, [frames] * 3)
    translator = Translator(width=width, heads=heads, **adapter.translator.keywords())
    modules["TRANSLATOR"] = translator.eval()
    runs["TRANSLATOR"] = partial(translator, frames)
    decoder = BartDecoder(**bart.keywords()).eval()
    heard = frames.reshape(1, -1, width)
    modules["BART"] = decoder
    runs["BART"] = partial(
        decoder.generate,
        Difference(heard, torch.ones(heard.shape[:2], dtype=torch.bool), None),
        num_beams=BEAMS,
        num_captions=1,
        max_new_tokens=WORDS,
        min_length=WORDS,
        no_repeat_ngram_size=0,
        length_penalty=1.0,
        early_stopping=True,
    )
    return runs, {
        name: sum(each.numel() for each in module.parameters()) for name, module in modules.items()
    }


if __name__ == "__main__":
    main()
