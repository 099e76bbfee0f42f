"""``python -m benchmarks.precision``: captions in half precision against float32, clip by clip.

The checkpoint is loaded once per format, and each half of the model is also exchanged alone.
Nothing is said of how good the captions are, only of whether they are the same.
"""

from __future__ import annotations

import argparse
import itertools
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from engine.captioner import Captioner
from model.types import Encoded, SourceInfo, Waveform
from training.datasets.esc50 import read as esc50
from training.datasets.recording import Samples
from training.scenes.synthetic import SOUNDS, synthesize

ROOT = Path(__file__).resolve().parents[2]
BATCH = 16
WANTED = 0.99
HALVES = ("bfloat16", "float16")


@dataclass
class Run:
    """What came of one way to run the model."""

    captions: list[str] = field(default_factory=list)
    encode_s: float = 0.0
    generate_s: float = 0.0


def main() -> None:
    """Print the report, as Markdown."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.precision", description=__doc__)
    parser.add_argument(
        "--esc50",
        type=Path,
        default=ROOT.parent / "shared" / "data" / "ESC-50",
        help="folder with meta/ and audio/; without it, sounds made in code",
    )
    parser.add_argument("--folds", type=int, nargs="+", default=[5], help="of ESC-50 (5)")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (cpu)")
    parser.add_argument("--threads", type=int, help="of torch (its own choice)")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    captioners = {
        name: Captioner.from_dir(ROOT / "checkpoints" / "default", arguments.device, name)
        for name in ("float32", *HALVES)
    }
    one = captioners["float32"]
    if arguments.esc50.is_dir():
        sounds = [
            clip.samples for clip in esc50.load(arguments.esc50, arguments.folds, one.sample_rate)
        ]
        origin = f"fold {', '.join(map(str, arguments.folds))} of ESC-50"
    else:
        sounds, origin = made_in_code(one.sample_rate), "sounds made in code"
    runs = compare(captioners, [waveform(each, one.sample_rate) for each in sounds])
    print(
        f"{len(sounds)} clips, {origin}; {one.name} ({one.revision}), "
        f"{one.generation.num_beams} beams, batches of {BATCH}; torch {torch.__version__}, "
        f"{torch.get_num_threads()} threads, {processor(one.device)}\n"
    )
    print("\n".join(table(runs)))


def made_in_code(rate: int, each: int = 8) -> list[Samples]:
    """So many sounds of each source, of 5 s."""
    return [
        synthesize(name, np.random.default_rng(seed), rate, 5.0)
        for name in sorted(SOUNDS)
        for seed in range(each)
    ]


def waveform(samples: Samples, rate: int) -> Waveform:
    """A clip [S] as the pipeline takes it."""
    source = SourceInfo(len(samples) / rate, rate, 1, "wav")
    return Waveform(torch.from_numpy(samples), rate, source)


def compare(
    captioners: dict[str, Captioner], clips: Sequence[Waveform]
) -> dict[tuple[str, str], Run]:
    """Caption the clips with the encoder and the decoder in each format: (encoder's, decoder's).

    They take turns, batch by batch.
    """
    for captioner in captioners.values():
        captioner.warm_up()
    pairs = itertools.product(captioners, repeat=2)
    runs = {pair: Run() for pair in pairs if "float32" in pair or pair[0] == pair[1]}
    for start in range(0, len(clips), BATCH):
        for encoder in captioners:
            began = time.perf_counter()
            encoded = captioners[encoder].encode(clips[start : start + BATCH])
            encode_s = time.perf_counter() - began
            for decoder in captioners:
                if run := runs.get((encoder, decoder)):
                    run.encode_s += encode_s
                    describe(captioners[decoder], encoded, run)
    return runs


def describe(decoder: Captioner, encoded: Sequence[Encoded], run: Run) -> None:
    """Add the captions of one batch, and the time they took, to ``run``."""
    heard = [Encoded(each.frames.to(decoder.dtype), each.mask) for each in encoded]
    began = time.perf_counter()
    described = decoder.describe([(each, None) for each in heard])
    run.generate_s += time.perf_counter() - began
    run.captions += [each.best.text for each in described]


def table(runs: dict[tuple[str, str], Run]) -> list[str]:
    """The report's lines; ratios are float32's time over the other's."""
    plain = runs["float32", "float32"]
    lines = [
        "| encoder | decoder | same captions | share | encode ms per clip | ratio "
        "| generate ms per clip | ratio |",
        "|---|---|---|---|---|---|---|---|",
    ]
    count = len(plain.captions)
    for (encoder, decoder), run in runs.items():
        same = agreeing(plain.captions, run.captions)
        lines.append(
            f"| {encoder} | {decoder} | {same} of {count} | {same / count:.2%} "
            f"| {1000 * run.encode_s / count:.2f} | {plain.encode_s / run.encode_s:.2f} "
            f"| {1000 * run.generate_s / count:.2f} | {plain.generate_s / run.generate_s:.2f} |"
        )
    lines.append("")
    for half in HALVES:
        share = agreeing(plain.captions, runs[half, half].captions) / count
        verdict = "reached" if share >= WANTED else "MISSED"
        lines.append(f"Wanted of {half} in both: at least {WANTED:.0%}, {verdict}.")
    return lines


def agreeing(captions: Sequence[str], others: Sequence[str]) -> int:
    """How many clips have the same caption in both."""
    return sum(one == other for one, other in zip(captions, others, strict=True))


def processor(device: torch.device) -> str:
    """What runs the model, and whether it can multiply bfloat16 by itself."""
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)}, native bfloat16"
    path = Path("/proc/cpuinfo")
    native = native_bfloat16(path.read_text()) if path.is_file() else None
    said = {None: "bfloat16 unknown", "": "no native bfloat16"}.get(native, f"native {native}")
    return f"{platform.processor() or platform.machine()}, {said}"


def native_bfloat16(cpuinfo: str) -> str:
    """The instruction sets with bfloat16 among the flags of ``/proc/cpuinfo``; empty if none."""
    flags = {
        flag
        for line in cpuinfo.splitlines()
        if line.startswith(("flags", "Features"))
        for flag in line.partition(":")[2].split()
    }
    return ", ".join(sorted(flags & {"avx512_bf16", "amx_bf16", "bf16"}))


if __name__ == "__main__":
    main()
