"""ESC Scenes: captioned scenes of 10 to 15 s laid out from ESC-50's recordings.

Half of them are *human*: Clotho clips whose sounds ESC-50 has, with the sentences people wrote
about them; the others are *grammar*: random layouts with five sentences of our own. Clotho's splits
and ESC-50's folds are kept apart: nothing that is tested on was trained on. Whoever has ESC-50 and
Clotho's CSV files gets the same scenes, bit by bit.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import soundfile
from tqdm import tqdm

from model.audio import decode
from training.captions import grammar
from training.captions.kinds import ESC50
from training.captions.lexicon import Layout, kinds_named, layout, only_known_sounds
from training.datasets.clotho import read as clotho
from training.datasets.clotho.read import ClothoClip
from training.datasets.esc50 import read as esc50
from training.samples.tagging import level
from training.scenes.augment import Samples
from training.scenes.layouts import lay_out, random_layout
from training.scenes.scene import Scene, SoundBank

SAMPLE_RATE = 16_000
SECONDS = (10.0, 15.0)
AGREEING = 3
"""Captions of a clip, of five, that must name one and the same kind."""


@dataclass(frozen=True)
class Split:
    """What a split of the benchmark is made of."""

    clotho: str
    folds: tuple[int, ...]
    grammar: int
    """Grammar scenes."""
    seed: int


SPLITS = {
    "train": Split("development", esc50.TRAIN_FOLDS, 700, 1),
    "validation": Split("validation", esc50.VALIDATION_FOLDS, 150, 2),
    "test": Split("evaluation", esc50.TEST_FOLDS, 150, 3),
}


@dataclass(frozen=True)
class CaptionedClip:
    """A clip of the benchmark."""

    name: str
    """Its file, relative to the data's folder."""
    subset: str
    """Scored together: "human", "grammar", or "clotho" for Clotho's own recordings."""
    captions: tuple[str, ...]
    events: tuple[tuple[str, float, float], ...]
    """Kind, start and end in seconds; none where they are not known."""
    sha256: str = ""
    """Of the samples, 16-bit little-endian, where they were laid out here."""

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds of sound in it."""
        return frozenset(kind for kind, _, _ in self.events)


def build(esc50_root: Path, clotho_root: Path, output: Path) -> dict[str, int]:
    """Write FLAC files and ``{split}.jsonl`` into ``output``; how many clips each split has."""
    sizes = {}
    for name, split in SPLITS.items():
        bank = SoundBank(
            esc50.load(esc50_root, split.folds, SAMPLE_RATE),
            sample_rate=SAMPLE_RATE,
            synthetic_share=0.0,
        )
        told = [t for clip in clotho.read_captions(clotho_root, split.clotho) if (t := tell(clip))]
        (output / name).mkdir(parents=True, exist_ok=True)
        total = len(told) + split.grammar
        with (output / f"{name}.jsonl").open("w") as manifest:
            for number in tqdm(range(total), desc=name, leave=False):
                rng = np.random.default_rng((split.seed, number))
                length = int(rng.uniform(*SECONDS) * SAMPLE_RATE)
                if number < len(told):
                    captions, plan = told[number]
                    scene = lay_out(bank, plan, rng, length)
                else:
                    scene = lay_out(bank, random_layout(bank, rng), rng, length)
                    captions = tuple(grammar.captions(scene.events(SAMPLE_RATE), rng))
                subset = "human" if number < len(told) else "grammar"
                stem = f"{name}/{subset}-{number:04}"
                clip = _write(output, stem, subset, scene, captions, rng)
                manifest.write(json.dumps(asdict(clip)) + "\n")
        sizes[name] = total
    return sizes


def read(root: Path, split: str) -> list[CaptionedClip]:
    """The clips of a split of ESC Scenes, or of Clotho with its recordings.

    Raises FileNotFoundError if there is neither.
    """
    if (root / "clotho_captions_development.csv").exists():
        return _clotho(root, SPLITS[split].clotho)
    return [
        CaptionedClip(
            clip["name"],
            clip["subset"],
            tuple(clip["captions"]),
            tuple((str(kind), start, end) for kind, start, end in clip["events"]),
            clip["sha256"],
        )
        for clip in map(json.loads, (root / f"{split}.jsonl").read_text().splitlines())
    ]


def tell(clip: ClothoClip) -> tuple[tuple[str, ...], Layout] | None:
    """The captions of a Clotho clip that a scene can be made for, and the scene's layout.

    They are those that speak of ESC-50's sounds alone and name one and the same kind, at least
    ``AGREEING`` of the five; else None. The scene has the kinds that half of them name, laid out as
    the one of them says that names most of these.
    """
    named = {
        text: kinds
        for text in clip.captions
        if only_known_sounds(text)
        and (kinds := {mention.kind for mention in kinds_named(text)}) <= {*ESC50}
    }
    counts = Counter(chain.from_iterable(map(sorted, named.values())))
    kind, most = max(counts.items(), key=lambda item: item[1], default=("", 0))
    if most < AGREEING:
        return None
    told = tuple(text for text, kinds in named.items() if kind in kinds)
    heard = {k for k in counts if 2 * sum(k in named[text] for text in told) >= len(told)}
    plan = layout(max(told, key=lambda text: len(named[text] & heard)))
    groups = (tuple(k for k in group if k in heard) for group in plan.groups)
    return told, Layout(
        tuple(group for group in groups if group),
        tuple(k for k in plan.background if k in heard),
    )


def _write(
    root: Path,
    stem: str,
    subset: str,
    scene: Scene,
    captions: tuple[str, ...],
    rng: np.random.Generator,
) -> CaptionedClip:
    name = f"{stem}.flac"
    samples = level(scene.mix(), rng)
    pcm = np.clip(np.round(samples * 32767), -32768, 32767).astype("<i2")
    soundfile.write(root / name, pcm, SAMPLE_RATE, subtype="PCM_16")
    events = tuple((e.kind, e.start_s, e.end_s) for e in scene.events(SAMPLE_RATE))
    return CaptionedClip(name, subset, captions, events, hashlib.sha256(pcm.tobytes()).hexdigest())


def _clotho(root: Path, split: str) -> list[CaptionedClip]:
    clips = []
    for clip in clotho.read_captions(root, split):
        if clip.audio is None:
            raise FileNotFoundError(f"{root / split / clip.file_name} is missing")
        name = str(clip.audio.relative_to(root))
        clips.append(CaptionedClip(name, "clotho", clip.captions, ()))
    return clips


def samples_of(root: Path, clip: CaptionedClip, sample_rate: int) -> Samples:
    """[S] mono at ``sample_rate`` hertz."""
    samples: Samples = decode((root / clip.name).read_bytes(), sample_rate).samples.numpy()
    return samples
