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
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import soundfile
from tqdm import tqdm

from training.captions import grammar
from training.captions.layout import Layout, layout
from training.captions.naming import says
from training.captions.sounds import ESC50, only_known_sounds
from training.datasets.clotho import read as clotho
from training.datasets.clotho.read import ClothoClip
from training.datasets.esc50 import read as esc50
from training.datasets.recording import CaptionedClip
from training.scenes.augment import level
from training.scenes.bank import SoundBank
from training.scenes.layouts import lay_out, random_layout
from training.scenes.scene import Scene

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


def build(esc50_root: Path, clotho_root: Path, output: Path) -> dict[str, int]:
    """Write FLAC files and ``{split}.jsonl`` into ``output``; how many clips each split has."""
    sizes = {}
    for name, split in SPLITS.items():
        recordings = esc50.load(esc50_root, split.folds, SAMPLE_RATE)
        bank = SoundBank(recordings, sample_rate=SAMPLE_RATE)
        clips = clotho.read_captions(clotho_root, split.clotho)
        human = [found for clip in clips if (found := renderable(clip))]
        (output / name).mkdir(parents=True, exist_ok=True)
        total = len(human) + split.grammar
        with (output / f"{name}.jsonl").open("w") as manifest:
            for number in tqdm(range(total), desc=name, leave=False):
                rng = np.random.default_rng((split.seed, number))
                length = int(rng.uniform(*SECONDS) * SAMPLE_RATE)
                if number < len(human):
                    subset = "human"
                    captions, plan = human[number]
                    scene = lay_out(bank, plan, rng, length)
                else:
                    subset = "grammar"
                    scene = lay_out(bank, random_layout(bank, rng), rng, length)
                    captions = tuple(grammar.captions(scene.events(SAMPLE_RATE), rng))
                path = f"{name}/{subset}-{number:04}.flac"
                clip = _write(output, path, subset, scene, captions, rng)
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


def renderable(clip: ClothoClip) -> tuple[tuple[str, ...], Layout] | None:
    """The captions of a Clotho clip that a scene can be made for, and the scene's layout.

    They are those that speak of ESC-50's sounds alone and name one and the same kind, at least
    ``AGREEING`` of the five; else None. The scene has the kinds that half of them name, laid out as
    the one of them says that names most of these.
    """
    plans = {text: plan for text in clip.captions if (plan := told(text))}
    kinds = {text: {*chain(*plan.groups)} for text, plan in plans.items()}
    counts = Counter(chain.from_iterable(map(sorted, kinds.values())))
    kind, most = max(counts.items(), key=lambda item: item[1], default=("", 0))
    if most < AGREEING:
        return None
    agreeing = tuple(text for text, named in kinds.items() if kind in named)
    kept = {k for k in counts if 2 * sum(k in kinds[text] for text in agreeing) >= len(agreeing)}
    best = max(agreeing, key=lambda text: len(kinds[text] & kept))
    return agreeing, _renamed(plans[best], {k: [k] for k in kept})


def told(caption: str) -> Layout | None:
    """When ESC-50's kinds are heard that ``caption`` names; None if it speaks of anything else.

    A label that ESC-50 has no kind for adds nothing where another one says it (water, where it
    drips). Of the kinds that share a label (rooster and hen a chicken's) another one must tell.
    """
    if not only_known_sounds(caption):
        return None
    heard = layout(caption)
    possible = {
        label: [kind for kind, labels in ESC50.items() if label in labels]
        for label in chain(*heard.groups)
    }
    sure = {several[0] for several in possible.values() if len(several) == 1}
    kinds = {label: [k for k in several if k in sure] for label, several in possible.items()}
    for label in kinds:
        if not kinds[label] and not any(kinds[other] and says(other, label) for other in kinds):
            return None
    return _renamed(heard, kinds)


def _renamed(plan: Layout, names: Mapping[str, Sequence[str]]) -> Layout:
    """The layout by other names, each where it comes first; what has none is left out."""
    groups: list[tuple[str, ...]] = []
    for group in plan.groups:
        named = dict.fromkeys(name for one in group for name in names.get(one, ()))
        groups.append(tuple(name for name in named if name not in chain(*groups)))
    behind = dict.fromkeys(name for one in plan.background for name in names.get(one, ()))
    return Layout(tuple(group for group in groups if group), tuple(behind))


def _write(
    root: Path,
    name: str,
    subset: str,
    scene: Scene,
    captions: tuple[str, ...],
    rng: np.random.Generator,
) -> CaptionedClip:
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
