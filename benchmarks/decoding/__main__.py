"""``python -m benchmarks.decoding``: our search against Transformers' ``generate``, as ratios.

``generate`` runs in torch, ours in the runtime asked for, on the same weights and
memories, by turns within one run; a ratio is that of the medians. The second table says what ours
cannot do without, in torch, and how long that alone takes on this machine.
"""

from __future__ import annotations

import argparse
import copy
import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from benchmarks.decoding import floor
from benchmarks.decoding.reference import generate, transformers_bart
from benchmarks.timing import add_clock, by_turns, set_threads
from model import checkpoint
from model.captioner import CaptionerModel
from model.config import CaptionerConfig
from model.contracts import Compilable, Decoder
from model.decoders import BartDecoder
from model.runtimes import compiler
from model.types import Difference
from training.scenes.synthetic import SOUNDS, synthesize

ROOT = Path(__file__).resolve().parents[2]
SEARCH = {
    "no_repeat_ngram_size": 2, "no_repeat_window": 2, "length_penalty": 1.0, "early_stopping": True,
}  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One comparison and the ratio that is wanted."""

    name: str
    model: CaptionerModel
    """In torch."""
    ours: Decoder
    memory: Difference
    beams: int
    max_new_tokens: int
    min_length: int
    wanted: float


def rows(runtime: str, device: str) -> Iterator[Row]:
    """What is compared on this machine."""

    def compiled(model: CaptionerModel) -> Decoder:
        decoder = copy.deepcopy(model.decoder)
        compile_with = compiler(runtime, model.device, model.dtype)
        if compile_with is not None and isinstance(decoder, Compilable):
            decoder.compile_with(compile_with)
        return decoder

    place = torch.device(device)
    dtype = torch.float32 if place.type == "cpu" else torch.float16
    where = "CPU" if place.type == "cpu" else "GPU, float16"
    bundled = checkpoint.load(ROOT / "checkpoints" / "default", dtype).model.to(place)  # type: ignore[arg-type]
    ours = compiled(bundled)
    for beams, batch, wanted in [(1, 1, 5.0), (1, 16, 4.0), (4, 1, 5.0), (4, 16, 4.0)]:
        name = f"bundled, {where}, {'greedy' if beams == 1 else f'{beams} beams'}, batch {batch}"
        yield Row(name, bundled, ours, heard(bundled, batch), beams, 62, 5, wanted)
    torch.manual_seed(0)
    full = CaptionerModel(CaptionerConfig()).eval().to(place, dtype)  # type: ignore[arg-type]
    # Its weights are random, so the length is set: that of a caption.
    for batch, wanted in [(8, 2.0)] if place.type == "cpu" else [(1, 5.0), (64, 3.0)]:
        name = f"full size, {where}, 4 beams, batch {batch}"
        yield Row(name, full, compiled(full), noise(full, batch), 4, 16, 99, wanted)


@torch.inference_mode()
def heard(model: CaptionerModel, batch: int) -> Difference:
    """The memories of so many sounds made in code, 3 to 10 s long."""
    rate = model.encoder.sample_rate
    names = sorted(SOUNDS)
    clips = []
    for number in range(batch):
        rng = np.random.default_rng(number)
        sound = torch.from_numpy(synthesize(names[number % len(names)], rng, rate))
        clips.append(sound.repeat(10)[: rate * (3 + number % 8)])
    lengths = torch.tensor([len(clip) for clip in clips], device=model.device)
    samples = torch.nn.utils.rnn.pad_sequence(clips, batch_first=True).to(model.device)
    encoded = model.encode(samples, lengths)
    return model.compare(encoded, encoded.take([]), lengths[:0])


def noise(model: CaptionerModel, batch: int) -> Difference:
    """Random memories of 10 s: 31 frames of the full-size encoder."""
    width = model.config.decoder.width
    frames = torch.randn(batch, 31, width).to(model.device, model.dtype)
    return Difference(frames, torch.ones(batch, 31, dtype=torch.bool, device=model.device), None)


def searches(row: Row) -> dict[str, Callable[[], torch.Tensor]]:
    """``generate`` and ours."""
    options: dict[str, Any] = {
        "num_beams": row.beams,
        "num_captions": row.beams,
        "max_new_tokens": row.max_new_tokens,
        "min_length": row.min_length,
        **SEARCH,
    }
    reference = cast(BartDecoder, row.model.decoder)
    theirs = transformers_bart(reference)
    # Tokens on the CPU are tokens that have been found.
    return {
        "theirs": lambda: generate(theirs, row.memory, **options).cpu(),
        "ours": lambda: row.ours.generate(row.memory, **options).tokens.cpu(),
        "ours in torch": lambda: reference.generate(row.memory, **options).tokens.cpu(),
    }


def measure(row: Row, rounds: int, clock: Callable[[], float]) -> tuple[float, float, bool]:
    """Median seconds of ``generate`` and of ours, and whether they found the same."""
    contestants = {name: run for name, run in searches(row).items() if name != "ours in torch"}
    found = {name: run() for name, run in contestants.items()}
    width = min(tokens.shape[-1] for tokens in found.values())
    same = torch.equal(found["theirs"][..., :width], found["ours"][..., :width])
    seconds = by_turns(contestants, rounds, clock)
    return seconds["theirs"], seconds["ours"], same


def main() -> None:
    """Print the report, as Markdown."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.decoding", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="runs of each, by turns (15)")
    parser.add_argument("--runtime", default="auto", help="auto, torch, openvino or graphs (auto)")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (cpu)")
    add_clock(parser)
    arguments = parser.parse_args()
    set_threads(arguments)
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    print(
        f"torch {torch.__version__}, transformers {metadata.version('transformers')}, "
        f"{torch.get_num_threads()} threads, {platform.processor() or platform.machine()}, "
        f"{device}, runtime {arguments.runtime}, {arguments.rounds} rounds\n"
    )
    print("| decoding | `generate` ms | ours ms | ratio | at least | same tokens |")
    print("|---|---|---|---|---|---|")
    least: list[str] = []
    for row in rows(arguments.runtime, arguments.device):
        theirs, ours, same = measure(row, arguments.rounds, arguments.clock)
        print(
            f"| {row.name} | {theirs * 1000:.1f} | {ours * 1000:.1f} | {theirs / ours:.2f} "
            f"| {row.wanted:g} | {'yes' if same else 'NO'} |",
            flush=True,
        )
        if row.model.device.type == "cpu":
            least.append(bound(row, ours))
    print(
        "\n| decoding | steps | tokens of a caption | operations a step | MB a step | GFLOP "
        "| least ms | of ours |"
    )
    print("|---|---|---|---|---|---|---|---|")
    print("\n".join(least))


def bound(row: Row, ours: float) -> str:
    """A line of the second table."""
    decoder = row.model.decoder
    search = searches(row)["ours in torch"]
    best = search()[:, 0]
    tokens = (best != decoder.pad_token_id).sum(dim=1).float().mean()
    found = floor.count(decoder.bart, search)
    lines = len(row.memory.memory) * row.beams
    seconds = found.seconds(
        floor.bandwidth(found.megabytes), floor.rate(lines, row.model.config.decoder.width)
    )
    return (
        f"| {row.name} | {found.steps} | {tokens:.1f} | {found.operations:.0f} "
        f"| {found.megabytes:.1f} "
        f"| {found.gigaflop:.2f} | {seconds * 1000:.1f} | {seconds / ours:.0%} |"
    )


if __name__ == "__main__":
    main()
