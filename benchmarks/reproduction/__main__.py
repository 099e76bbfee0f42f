"""``python -m benchmarks.reproduction``: ``reproduce --real`` on a stand-in of Clotho, end to end.

Clotho's folder in its official layout, with a few clips of its real lengths made in code, and the
published baseline's file with random weights, which is imported as the real one is: weights and
sounds make no difference to time and memory. What it takes is extrapolated to all of Clotho. On a
CPU its seconds count, so that others on the machine do not.
"""

from __future__ import annotations

import argparse
import csv
import resource
import time
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import soundfile
import torch
from tokenizers import ByteLevelBPETokenizer
from transformers import PreTrainedTokenizerFast

from model.captioner import CaptionerModel
from model.published import dcase2023
from training.captions.tokenizer import SPECIAL
from training.datasets.clotho.read import CAPTIONS_PER_CLIP, SPLITS
from training.experiments.esc_scenes import Roots
from training.experiments.reproduce import Data, read, reproduce
from training.experiments.testing import COMPARED
from training.scenes.synthetic import SOUNDS, synthesize

RATE = 44_100
SECONDS = (15.0, 30.0)
FULL = {"development": 3839, "validation": 1045, "evaluation": 1045}
"""Clips of Clotho v2.1."""
EPOCHS, BATCH = 40, 32
"""The paper's."""
RETRIEVAL = 300
"""Outputs of the head that the published encoder has and captions do without."""


def main() -> None:
    """Print the report, as Markdown."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reproduction", description=__doc__)
    parser.add_argument("--clips", type=int, default=20, help="of each split (20)")
    parser.add_argument("--steps", type=int, default=3, help="of each row of table 1 (3)")
    parser.add_argument("--variants", type=int, default=1, help="mixtures of each clip (1)")
    parser.add_argument("--esc50", type=Path, default=Path("../shared/data/ESC-50"))
    arguments = parser.parse_args()
    with TemporaryDirectory() as name:
        folder = Path(name)
        clotho(folder / "clotho", arguments.clips)
        baseline(folder)
        roots = Roots(arguments.esc50, folder, folder / "clotho", folder)
        data = Data(roots, real=True, encoder=folder / "dcase2023")
        batch = min(BATCH, arguments.clips)
        given = {"epochs": -(-arguments.steps * batch // arguments.clips), "batch_size": batch}
        clock = time.perf_counter if torch.cuda.is_available() else time.process_time
        seconds = []
        for seeds in (0, 1):  # frames alone, then the rows
            began = clock()
            reproduce(
                ["table1"], data=data, output=folder / "study", variants=arguments.variants,
                seeds=seeds, given=given,
            )  # fmt: skip
            seconds.append(clock() - began)
        rows = [*read(folder / "study")]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    device = "a GPU" if torch.cuda.is_available() else f"{torch.get_num_threads()} threads"
    here = dict.fromkeys(FULL, arguments.clips)
    whole = encoded(FULL, arguments.variants) / encoded(here, arguments.variants)
    steps = sum(row["steps"] for row in rows)
    print(f"On {device}, {arguments.clips} clips of each split, {arguments.variants} mixtures:\n")
    print("| what | measured | all of Clotho, the paper's budget |\n|---|---|---|")
    print(f"| frames | {seconds[0]:.0f} s | {seconds[0] * whole / 3600:.1f} h |")
    full = EPOCHS * FULL["development"] // BATCH * len(rows)
    print(
        f"| {len(rows)} rows, one seed, learned and tested | {seconds[1]:.0f} s, {steps} steps of "
        f"{batch} | {seconds[1] / steps * full / 3600:.1f} h at most, {full:,} steps of {BATCH} |"
    )
    print(f"| peak memory | {peak:.1f} GiB | the same: frames are memory-mapped |")


def encoded(clips: Mapping[str, int], variants: int) -> int:
    """How many waveforms table 1 encodes: of the one condition that it trains, of all it tests.

    A mixture is encoded once for the three conditions, or two, that share it.
    """
    trained, tested = variants * (1 + 3 + 1), (1 + 3) + (1 + 2)  # trained: one joined clip, too
    return (
        clips["development"] * (1 + trained)
        + clips["validation"]
        + clips["evaluation"]
        + min(COMPARED, clips["evaluation"]) * tested
    )


def clotho(root: Path, clips: int) -> None:
    """``clips`` of each split in Clotho's layout: five captions, 15 to 30 s at 44.1 kHz."""
    rng = np.random.default_rng(0)
    names = [*SOUNDS]
    columns = ["file_name", *(f"caption_{n}" for n in range(1, CAPTIONS_PER_CLIP + 1))]
    for split in SPLITS:
        (root / split).mkdir(parents=True)
        with (root / f"clotho_captions_{split}.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(columns)
            for number in range(clips):
                kind = names[int(rng.integers(len(names)))]
                sound = synthesize(kind, rng, RATE, float(rng.uniform(*SECONDS)))
                soundfile.write(root / split / f"{split}{number}.wav", sound, RATE)
                said = f"The sound of a {kind.replace('_', ' ')} goes on for a while"
                captions = [f"{said}, take {n}." for n in range(CAPTIONS_PER_CLIP)]
                writer.writerow([f"{split}{number}.wav", *captions])


def baseline(folder: Path) -> None:
    """The published file with random weights and a tokenizer of its size, imported."""
    config = dcase2023.published()
    torch.manual_seed(0)
    ours = CaptionerModel(config).state_dict()
    theirs = {}
    for name, part in dcase2023.CAPTIONER.items():
        mine = {key: value for key, value in ours.items() if key.startswith(f"{part}.")}
        theirs |= {name + key.removeprefix(part): value for key, value in mine.items()}
    wide = config.encoder.widths[-1]
    head = {"fc.1.weight": (wide, wide), "fc.1.bias": (wide,),
            "fc2.weight": (RETRIEVAL, wide), "fc2.bias": (RETRIEVAL,)}  # fmt: skip
    theirs |= {f"audio_enc.{name}": torch.zeros(shape) for name, shape in head.items()}
    theirs |= {copy: theirs[source] for copy, source in dcase2023.CAPTIONER_TIED.items()}
    torch.save(theirs, folder / "published.bin")
    tokenizer(folder / "tokenizer", config.decoder.vocab_size)
    target = folder / "dcase2023"
    dcase2023.import_captioner(folder / "published.bin", target, folder / "tokenizer", config)


def tokenizer(folder: Path, size: int) -> None:
    """Of as many tokens as BART's, most of which never occur."""
    bytes_alone = ByteLevelBPETokenizer(add_prefix_space=True)
    bytes_alone.train_from_iterator([], vocab_size=len(SPECIAL) + 256, special_tokens=[*SPECIAL])
    vocabulary = bytes_alone.get_vocab()
    fillers = (f"filler{number}" for number in range(size))
    vocabulary |= {
        filler: len(vocabulary) + n
        for n, filler in enumerate(islice(fillers, size - len(vocabulary)))
    }
    PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=ByteLevelBPETokenizer(vocabulary, [], add_prefix_space=True)._tokenizer,
        bos_token="<s>", pad_token="<pad>", eos_token="</s>", unk_token="<unk>",
    ).save_pretrained(folder)  # fmt: skip


if __name__ == "__main__":
    main()
