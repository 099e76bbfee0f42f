"""``python -m benchmarks.fused``: a caption of the bundled checkpoint, and one with more encoders.

Those that ``reproduce edtc`` joins with the bundled one, on the runtime that serves it. Weights do
not matter for time: theirs are random. What joins their frames, a linear map, is left out.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Callable
from pathlib import Path

import soundfile
import torch

from benchmarks.timing import add_clock, by_turns, print_over_first, set_threads
from engine.captioner import Captioner
from model.encoders import mobilenet
from model.encoders.efficientat import EfficientAtNetwork
from model.runtimes import compiler
from model.types import Waveform
from service.settings import BUNDLED
from training.experiments.encoders import WholeClips, Yamnet

CLIP = Path(__file__).parents[2] / "service/web/demo/woman-in-rain.flac"
JOINED = {"YAMNet": ["YAMNet"], "EfficientAT": ["EfficientAT"], "both": ["YAMNet", "EfficientAT"]}


def main() -> None:
    """Print the table, as Markdown."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fused", description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0, help="of the clip (10)")
    parser.add_argument("--clip", type=Path, default=CLIP, help="a file, heard over and over")
    parser.add_argument("--rounds", type=int, default=15, help="turns of each (15)")
    add_clock(parser)
    arguments = parser.parse_args()
    set_threads(arguments)
    torch.manual_seed(0)
    captioner = Captioner.from_dir(BUNDLED, "cpu")
    clip = lasting(captioner, arguments.clip, arguments.seconds)
    others = {
        "YAMNet": compiled(Yamnet(mobilenet.Trunk().state_dict())),
        "EfficientAT": compiled(WholeClips(EfficientAtNetwork())),
    }
    heard = {
        name: 0.1 * torch.randn(round(arguments.seconds * encoder.sample_rate))
        for name, encoder in others.items()
    }

    def with_more(names: list[str]) -> Callable[[], object]:
        def run() -> object:
            for name in names:
                others[name].encode([heard[name]])
            return captioner.caption([clip])

        return run

    with torch.inference_mode():
        took = by_turns(
            {
                "its caption": with_more([]),
                "its encoder alone": lambda: captioner.encode([clip]),
                **{f"its caption, and the frames of {it}": with_more(JOINED[it]) for it in JOINED},
            },
            arguments.rounds,
            arguments.clock,
        )
    print(f"one clip of {arguments.seconds:g} s, {torch.get_num_threads()} threads\n")
    print_over_first("the bundled checkpoint", took, digits=0)


def compiled(encoder: WholeClips | Yamnet) -> WholeClips | Yamnet:
    """As the bundled checkpoint's is."""
    encoder.eval()
    compile_with = compiler("auto", torch.device("cpu"), torch.float32)
    if compile_with is not None:
        encoder.compile_with(compile_with)
    return encoder


def lasting(captioner: Captioner, path: Path, seconds: float) -> Waveform:
    """A file over and over, for so long."""
    samples, rate = soundfile.read(path, dtype="float32")
    whole = torch.from_numpy(samples).repeat(round(seconds * rate) // len(samples) + 1)
    file = io.BytesIO()
    soundfile.write(file, whole[: round(seconds * rate)].numpy(), rate, format="wav")
    return captioner.prepare(file.getvalue())


if __name__ == "__main__":
    main()
