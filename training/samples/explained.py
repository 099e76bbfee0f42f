"""Pairs of kept clips, and what is said of them when one is asked: tiers and position captions.

What a clip sounds like to a frozen encoder is kept once; of N clips there are N x N pairs.

Shapes: T frames, D features, L tokens, Q those of a prompt.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset
from tqdm import tqdm

from model.contracts import Encoder, LevelMeter
from model.measures import MIDDLE_DB, SILENT_DB, STEP_DB
from training.captions.edits import Noun
from training.captions.explanations import Facts, Part, Tier, caption, explain
from training.samples.collate import Sample
from training.scenes.clips import Clips

FRAMES, TABLE = "frames.float16", "clips.json"
Kind = Literal[Tier, "first", "second", "both"]
"""What is asked for: a tier, or a caption of one clip or of each (position captioning)."""
SHARED = 0.25
"""Of the pairs, those that are drawn to have a sound in common."""
TOGETHER = 16
"""Samples in a row of one kind, lest a batch be padded to its one paragraph."""
GAIN_DB = 8.0
"""A clip is played louder or softer by up to so much."""
PROMPTS: dict[Kind, tuple[str, ...]] = {
    "words": (
        "explain the difference in few words",
        "name the difference in a few words",
        "how do they differ in short",
    ),
    "sentence": (
        "explain the difference in a sentence",
        "tell the difference in one sentence",
        "how do they differ in a sentence",
    ),
    "paragraph": (
        "explain the difference in detail",
        "tell the difference in full",
        "how do they differ in detail",
    ),
    "first": ("caption the first audio", "what is heard in the first"),
    "second": ("caption the second audio", "what is heard in the second"),
    "both": ("caption both audios", "what is heard in each"),
}
"""Kind -> the prompts for it; the first is the one that is served."""


@dataclass(frozen=True)
class Kept:
    """Clips as an encoder hears them, and their facts."""

    frames: Sequence[Tensor]
    """[T, D] float16 each, with the levels in the last features."""
    facts: Sequence[Facts]


def keep(folder: Path, clips: Clips, count: int, encoder: Encoder, levels: LevelMeter) -> Kept:
    """The first ``count`` clips, heard and written into ``folder``, unless they are there."""
    if not (folder / TABLE).is_file():
        folder.mkdir(parents=True, exist_ok=True)
        rows = []
        with (folder / FRAMES).open("wb") as file:
            for number in tqdm(range(count), desc="clips"):
                samples, facts = clips.clip(number)
                frames = heard(torch.from_numpy(samples), encoder, levels).half()
                file.write(frames.numpy().tobytes())
                rows.append({"size": len(frames), "width": frames.shape[1], **asdict(facts)})
        (folder / TABLE).write_text(json.dumps(rows))
    rows = json.loads((folder / TABLE).read_text())
    data = np.memmap(folder / FRAMES, np.float16, "r").reshape(-1, rows[0]["width"])
    ends = np.cumsum([row.pop("size") for row in rows])
    for row in rows:
        del row["width"]
    pieces = np.split(data, ends[:-1])
    return Kept([_tensor(piece) for piece in pieces], [_facts(row) for row in rows])


@torch.no_grad()
def heard(samples: Tensor, encoder: Encoder, levels: LevelMeter) -> Tensor:
    """[S] -> [T, D + bands]: the encoder's frames, and their levels behind them."""
    frames = encoder.encode([samples])[0]
    loud = levels(samples[None], torch.tensor([len(samples)]), len(frames))[0]
    return torch.cat([frames, loud], dim=1)


class Explained(Dataset[Sample]):
    """Pairs of clips, a prompt, and the answer. A sample is a function of seed and index alone."""

    def __init__(
        self,
        kept: Kept,
        encode: Callable[[str], Tensor],
        ask: Callable[[str], Tensor],
        *,
        bands: int,
        shares: dict[Kind, float],
        seed: int,
        deaf: bool = False,
    ) -> None:
        """``encode``: answer -> tokens [L]; ``ask``: prompt -> tokens [Q].

        ``shares`` of the kinds; ``deaf``, nothing of the clips is heard but how long they are.
        """
        self.kept = kept
        self.encode = encode
        self.ask = ask
        self.bands = bands
        self.kinds = [kind for kind in PROMPTS if shares.get(kind)]
        weights = np.array([shares[kind] for kind in self.kinds])
        self.shares = weights / weights.sum()
        self.seed = seed
        self.deaf = deaf
        self.having: dict[str, list[int]] = {}
        for number, facts in enumerate(kept.facts):
            for part in facts.sounds:
                self.having.setdefault(part.noun.text, []).append(number)

    def __getitem__(self, index: int) -> Sample:
        """``input`` and ``reference`` [T, D], ``tokens`` [L], ``prompt`` [Q]."""
        rng = np.random.default_rng((self.seed, 71, index))
        first, second = (self._played(number, rng) for number in self._drawn(rng))
        drawn = np.random.default_rng((self.seed, 72, index // TOGETHER))
        kind = self.kinds[drawn.choice(len(self.kinds), p=self.shares)]
        prompts = PROMPTS[kind]
        return {
            "input": first[0],
            "reference": second[0],
            "tokens": self.encode(answer(first[1], second[1], kind)),
            "prompt": self.ask(prompts[rng.integers(len(prompts))]),
        }

    def _drawn(self, rng: np.random.Generator) -> tuple[int, int]:
        first, second = (int(n) for n in rng.integers(len(self.kept.facts), size=2))
        sounds = self.kept.facts[first].sounds
        if sounds and rng.random() < SHARED:
            having = self.having[sounds[rng.integers(len(sounds))].noun.text]
            second = having[rng.integers(len(having))]
        return first, second

    def _played(self, number: int, rng: np.random.Generator) -> tuple[Tensor, Facts]:
        frames, facts = self.kept.frames[number].float(), self.kept.facts[number]
        gain = float(rng.uniform(-GAIN_DB, GAIN_DB))
        frames[:, -self.bands :] += gain / STEP_DB
        frames[:, -self.bands :].clamp_(min=(SILENT_DB - MIDDLE_DB) / STEP_DB)
        facts = replace(facts, level_db=facts.level_db + gain)
        frames = measured(frames, facts)
        if self.deaf:
            frames.zero_()
        return frames, facts


def measured(frames: Tensor, facts: Facts) -> Tensor:
    """[T, D + bands], and behind the levels of each frame what is measured of the whole clip."""
    told = torch.tensor(facts.measures.scaled)
    return torch.cat([frames, told.expand(len(frames), -1)], dim=1)


def answer(first: Facts, second: Facts, kind: Kind) -> str:
    """What is said of the clips when ``kind`` is asked for."""
    if kind == "first":
        return caption(first, "first")
    if kind == "second":
        return caption(second, "second")
    if kind == "both":
        return f"{caption(first, 'first')}, {caption(second, 'second')}"
    return explain(first, second, kind)


def _tensor(piece: np.ndarray[tuple[int, ...], np.dtype[np.float16]]) -> Tensor:
    return torch.from_numpy(np.array(piece))


def _facts(row: dict[str, object]) -> Facts:
    sounds = row.pop("sounds")
    assert isinstance(sounds, list)
    parts = (Part(Noun(**one.pop("noun")), **one) for one in sounds)
    return Facts(sounds=tuple(parts), **row)  # type: ignore[arg-type]
