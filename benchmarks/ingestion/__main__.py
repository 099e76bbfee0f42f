"""``python -m benchmarks.ingestion``: from bytes to log-mel, by format and by stage.

What is compared takes turns within one run, with the allocator as decoders have it. The clips are
made in code.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import librosa
import soxr
import torch
import torchaudio

from benchmarks.ingestion.formats import FORMATS, Format, encode, sounds
from benchmarks.timing import by_turns
from engine.captioner import Captioner
from engine.decoders import ENVIRONMENT as DECODERS
from model.audio import decode
from model.audio.resampling import resample
from model.encoders.mobilenet import HOP, MELS, N_FFT, WINDOW, MagnitudeLogMel
from model.types import SourceInfo, Waveform

ROOT = Path(__file__).resolve().parents[2]
RATE = 16_000
SECONDS = 10.0
BATCH = 16


def main() -> None:
    """Print the report, as Markdown."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ingestion", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="runs of each, by turns (9)")
    parser.add_argument("--threads", type=int, default=1, help="of torch (1, as in a decode pool)")
    arguments = parser.parse_args()
    if not DECODERS.items() <= os.environ.items():  # an allocator reads them when it starts
        command = [sys.executable, "-m", "benchmarks.ingestion", *sys.argv[1:]]
        os.execve(sys.executable, command, os.environ | DECODERS)
    torch.set_num_threads(arguments.threads)
    print(
        f"torch {torch.__version__}, torchaudio {torchaudio.__version__}, "
        f"{platform.processor() or platform.machine()}, {arguments.threads} threads, "
        f"clips of {SECONDS:g} s, medians of {arguments.rounds} rounds"
    )
    with torch.inference_mode():
        for section in (by_format, by_rate, by_batch, by_threads):
            print()
            for line in section(arguments.rounds):
                print(line, flush=True)


def by_format(rounds: int) -> Iterator[str]:
    """Each stage of each format, on one clip of each source."""
    log_mel = MagnitudeLogMel()
    yield "| ms per second of audio | decode | resample | log-mel | all | times real time |"
    yield "|---|---|---|---|---|---|"
    for kind in FORMATS:
        stages = _stages(kind, log_mel)
        seconds = by_turns(stages, rounds)
        audio_s = SECONDS * len(sounds(RATE, 1))
        parts = " | ".join(f"{1000 * each / audio_s:.3f}" for each in seconds.values())
        yield f"| {kind.name} | {parts} | {audio_s / seconds['all']:.0f} |"


def _stages(kind: Format, log_mel: MagnitudeLogMel) -> dict[str, Callable[[], object]]:
    files = [encode(samples, kind) for samples in sounds(kind.rate, SECONDS)]
    decoded = [decode(file, kind.rate).samples.numpy() for file in files]
    resampled = [torch.from_numpy(resample(samples, kind.rate, RATE)) for samples in decoded]
    return {
        "decode": lambda: [decode(file, kind.rate) for file in files],
        "resample": lambda: [resample(samples, kind.rate, RATE) for samples in decoded],
        "log-mel": lambda: [log_mel(samples[None]) for samples in resampled],
        "all": lambda: [log_mel(decode(file, RATE).samples[None]) for file in files],
    }


def by_rate(rounds: int) -> Iterator[str]:
    """Our resampling, soxr at its highest quality, and torchaudio's windowed sinc."""
    yield f"| ms per second of audio, to {RATE} Hz | ours: soxr HQ | soxr VHQ | torchaudio |"
    yield "|---|---|---|---|"
    for rate in (8_000, 22_050, 44_100, 48_000):
        seconds = by_turns(_resamplers(rate), rounds)
        figures = " | ".join(f"{1000 * each / SECONDS:.3f}" for each in seconds.values())
        yield f"| {rate} Hz | {figures} |"


def _resamplers(rate: int) -> dict[str, Callable[[], object]]:
    clip = torch.from_numpy(sounds(rate, SECONDS)[0])
    samples = clip.numpy()
    sinc = torchaudio.transforms.Resample(
        rate,
        RATE,
        resampling_method="sinc_interp_kaiser",
        lowpass_filter_width=64,
        rolloff=0.9475937167399596,
        beta=14.769656459379492,
    )
    return {
        "ours": lambda: resample(samples, rate, RATE),
        "VHQ": lambda: soxr.resample(samples, rate, RATE, quality="VHQ"),
        "torchaudio": lambda: sinc(clip),
    }


def by_batch(rounds: int) -> Iterator[str]:
    """The log-mel of a batch in one call, against one call per clip."""
    log_mel = MagnitudeLogMel()
    clips = [torch.from_numpy(each) for each in sounds(RATE, SECONDS)]
    batch = torch.stack([clips[row % len(clips)] for row in range(BATCH)])

    def with_librosa() -> None:
        for row in batch.numpy():
            librosa.feature.melspectrogram(
                y=row,
                sr=RATE,
                n_fft=N_FFT,
                hop_length=HOP,
                win_length=WINDOW,
                center=False,
                n_mels=MELS,
            )

    yield f"| log-mel, ms per second of audio | {BATCH} calls | one call | ratio | librosa |"
    yield "|---|---|---|---|---|"
    for device in ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]:
        here = batch.to(device)
        seconds = by_turns(
            {
                # To read one value is to wait for the device.
                "single": lambda here=here: [log_mel(row[None]) for row in here][-1].sum().item(),
                "batch": lambda here=here: log_mel(here)[-1].sum().item(),
                "librosa": with_librosa,
            },
            rounds,
        )
        ms = {name: 1000 * each / (SECONDS * BATCH) for name, each in seconds.items()}
        yield (
            f"| {device} | {ms['single']:.3f} | {ms['batch']:.3f} "
            f"| {ms['single'] / ms['batch']:.2f} | {ms['librosa']:.3f} |"
        )


def by_threads(rounds: int) -> Iterator[str]:
    """What the model's two halves gain from a second thread, on the CPU."""
    captioner = Captioner.from_dir(ROOT / "checkpoints" / "default", "cpu")
    rate = captioner.sample_rate
    source = SourceInfo(SECONDS, rate, 1, "wav")
    clips = [Waveform(torch.from_numpy(each), rate, source) for each in sounds(rate, SECONDS)]
    most = len(os.sched_getaffinity(0))
    yield f"| bundled checkpoint, ms | 1 thread | {most} threads | ratio |"
    yield "|---|---|---|---|"
    for size in (1, BATCH):
        batch = [clips[row % len(clips)] for row in range(size)]
        pairs = [(clip, None) for clip in captioner.encode(batch)]
        for name, run in {
            "encode": lambda batch=batch: captioner.encode(batch),
            "generate": lambda pairs=pairs: captioner.describe(pairs),
        }.items():
            one, many = by_turns(
                {
                    "one": _with_threads(1, run),
                    "many": _with_threads(most, run),
                },
                rounds,
            ).values()
            yield (
                f"| {name}, batch {size} | {1000 * one:.1f} | {1000 * many:.1f} "
                f"| {one / many:.2f} |"
            )


def _with_threads(count: int, run: Callable[[], object]) -> Callable[[], object]:
    def runs() -> object:
        torch.set_num_threads(count)
        return run()

    return runs


if __name__ == "__main__":
    main()
