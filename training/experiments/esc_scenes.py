"""ESC Scenes 2: captioned scenes of 10.24 s laid out from real recordings.

*Human* scenes are made for clips of Clotho and AudioCaps whose sounds the recordings hold: each is
laid out as one of the clip's captions says, and has all of the clip's captions. *Grammar* scenes
are random layouts of ESC-50's kinds with five sentences of our own, each true of its scene.
The sets' splits, ESC-50's folds and the recordings' origins are kept apart: nothing that is tested
on was trained on. Whoever has the files gets the same scenes, bit by bit.

Shapes: S samples.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain, islice
from pathlib import Path

import numpy as np
import soundfile
from tqdm import tqdm

from training.captions import grammar
from training.captions.layout import Layout, layout
from training.captions.ontology import expand
from training.captions.sentences import read_off
from training.captions.sounds import ESC50
from training.datasets.audiocaps import read as audiocaps
from training.datasets.clotho import read as clotho
from training.datasets.esc50 import read as esc50
from training.datasets.recording import CaptionedClip
from training.datasets.sounds import read as sounds
from training.scenes import store
from training.scenes.augment import level
from training.scenes.bank import SoundBank
from training.scenes.layouts import lay_out, random_layout
from training.scenes.scene import Scene
from training.scenes.store import SAMPLE_RATE, Source, Store, StoredSound

LENGTH = 327_680
"""Samples of a scene."""
RANK = 10
"""A recording's label is among as many first opinions of a tagger, or it is not laid out."""


@dataclass(frozen=True)
class Roots:
    """The data sets' folders."""

    esc50: Path
    sounds: Path
    clotho: Path
    audiocaps: Path


@dataclass(frozen=True)
class Split:
    """What a split of the benchmark is made of."""

    clotho: str
    audiocaps: str
    captioned: int
    """AudioCaps scenes at most."""
    folds: tuple[int, ...]
    grammar: int
    """Grammar scenes."""
    seed: int


SPLITS = {
    "train": Split("development", "train", 250, esc50.TRAIN_FOLDS, 250, 1),
    "validation": Split("validation", "val", 0, esc50.VALIDATION_FOLDS, 0, 2),
    "test": Split("evaluation", "test", 150, esc50.TEST_FOLDS, 100, 3),
}


@dataclass(frozen=True)
class Planned:
    """A clip's captions, and the scene that is laid out for it."""

    source: str
    """The clip, as its data set calls it."""
    captions: tuple[str, ...]
    layout: Layout
    """Of AudioSet's labels."""


def build(roots: Roots, output: Path) -> dict[str, dict[str, int]]:
    """Write WAV files and ``{split}.jsonl`` into ``output``; how many scenes of each subset.

    A split whose manifest is there is left as it is.
    """
    for name, split in SPLITS.items():
        manifest = output / f"{name}.jsonl"
        if not manifest.exists():
            (output / name).mkdir(parents=True, exist_ok=True)
            made = list(_scenes(name, split, roots, output))
            manifest.write_text("".join(json.dumps(scene) + "\n" for scene in made))
    return {name: dict(Counter(clip.subset for clip in read(output, name))) for name in SPLITS}


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


def plan(source: str, captions: Sequence[str], style: str, held: Collection[str]) -> Planned | None:
    """The scene of a clip; None if what most of its captions name is not at hand.

    A sound is in the scene if more than half of the captions name it or a case of it. They are laid
    out as the first caption says that names most of them; what it does not name begins the scene.
    As many captions must be understood (``captions.sentences``), and ``held`` has every sound.
    """
    most = len(captions) // 2 + 1
    plans = [layout(caption) for caption in captions]
    named = [{up for label in chain(*one.groups) for up in _with(label)} for one in plans]
    counts = Counter(chain.from_iterable(named))
    agreed = {label for label, count in counts.items() if count >= most}
    agreed -= {up for label in agreed for up in expand(label)}  # the most specific remain
    understood = len(read_off(captions, style))
    if not agreed or understood < most or not agreed <= set(held):
        return None
    best = max(range(len(plans)), key=lambda n: len(named[n] & agreed))
    names = {
        label: sorted(agreed.intersection(_with(label))) for label in chain(*plans[best].groups)
    }
    laid = _renamed(plans[best], names)
    missing = tuple(sorted(agreed.difference(*laid.groups)))
    groups = laid.groups or ((),)
    return Planned(
        source, tuple(captions), Layout(((*groups[0], *missing), *groups[1:]), laid.background)
    )


def _scenes(name: str, split: Split, roots: Roots, output: Path) -> Iterator[dict[str, object]]:
    """The split's scenes, written; what its manifest says of each."""
    heard = store.build(output / "recordings" / name, _sources(name, split, roots))
    labelled = _bank(
        heard, [[up for label in one.labels for up in _with(label)] for one in heard.recordings]
    )
    kinds = _bank(heard, [[kind] for kind in _esc50_kinds(split, roots)])
    planned = _planned(split, roots, labelled.by_kind.keys())
    bar = tqdm(total=len(planned) + split.grammar, desc=name, leave=False)
    for number in range(len(planned) + split.grammar):
        rng = np.random.default_rng((split.seed, number))
        if number < len(planned):
            subset, one = "human", planned[number]
            scene = lay_out(labelled, one.layout, rng, LENGTH)
            source, captions = one.source, one.captions
        else:
            subset, source = "grammar", ""
            scene = lay_out(kinds, random_layout(kinds, rng), rng, LENGTH)
            captions = tuple(grammar.captions(scene.events(SAMPLE_RATE), rng))
        path = f"{name}/{subset}-{number:05}.wav"
        yield {**asdict(_write(output, path, subset, scene, captions, rng)), "source": source}
        bar.update()
    bar.close()


def _bank(heard: Store, kinds: Sequence[Sequence[str]]) -> SoundBank:
    """The first recordings of a store, of these kinds each."""
    found = [
        StoredSound(heard, number, tuple(dict.fromkeys(own))) for number, own in enumerate(kinds)
    ]
    return SoundBank(found, sample_rate=SAMPLE_RATE)


def _planned(split: Split, roots: Roots, held: Collection[str]) -> list[Planned]:
    """The plan of every Clotho clip that can be laid out, and of some of AudioCaps'."""
    clips = clotho.read_captions(roots.clotho, split.clotho)
    found = (plan(clip.file_name, clip.captions, "clotho", held) for clip in clips)
    planned = [one for one in found if one]
    if split.captioned:
        told: dict[str, list[str]] = {}
        for one in audiocaps.read_captions(roots.audiocaps, split.audiocaps):
            told.setdefault(one.clip, []).append(one.caption)
        more = (plan(clip, captions, "audiocaps", held) for clip, captions in told.items())
        planned += islice(filter(None, more), split.captioned)
    return planned


def _sources(name: str, split: Split, roots: Roots) -> list[Source]:
    """The recordings of a split: ESC-50's first, in the order of ``_esc50_kinds``."""
    return [
        *store.esc50_sources(roots.esc50, split.folds),
        *(
            Source(roots.sounds / one.file, f"sounds/{one.file}", one.labels, one.group)
            for one in sounds.read(roots.sounds)
            if _split_of(one) == name and (one.rank is None or one.rank <= RANK)
        ),
    ]


def _esc50_kinds(split: Split, roots: Roots) -> list[str]:
    rows = esc50.read_meta(roots.esc50)
    return [row["category"] for row in rows if int(row["fold"]) in split.folds]


def _split_of(one: sounds.SoundFile) -> str:
    if one.split == "validation":
        return "test"
    return "validation" if one.chooses else "train"


def _with(label: str) -> tuple[str, ...]:
    """A label and all that holds where it does."""
    return (label, *expand(label))


def _renamed(heard: Layout, names: Mapping[str, Sequence[str]]) -> Layout:
    """The layout by other names, each where it comes first; what has none is left out."""
    groups: list[tuple[str, ...]] = []
    for group in heard.groups:
        named = dict.fromkeys(name for one in group for name in names.get(one, ()))
        groups.append(tuple(name for name in named if name not in chain(*groups)))
    behind = dict.fromkeys(name for one in heard.background for name in names.get(one, ()))
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
    events = tuple(
        (ESC50[e.kind][0] if subset == "grammar" else e.kind, e.start_s, e.end_s)
        for e in scene.events(SAMPLE_RATE)
    )
    return CaptionedClip(name, subset, captions, events, hashlib.sha256(pcm.tobytes()).hexdigest())


def _clotho(root: Path, split: str) -> list[CaptionedClip]:
    clips = []
    for clip in clotho.read_captions(root, split):
        if clip.audio is None:
            raise FileNotFoundError(f"{root / split / clip.file_name} is missing")
        name = str(clip.audio.relative_to(root))
        clips.append(CaptionedClip(name, "human", clip.captions, ()))
    return clips
