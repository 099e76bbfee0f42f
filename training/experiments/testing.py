"""What a trained row says of the test split: captions, differences, masks.

Shapes: T frames, D features.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from sklearn.metrics import roc_auc_score

from training.captions.naming import Naming, named, rates
from training.captions.sounds import ESC50
from training.evaluation import coco
from training.recipes.adl import KeptSources
from training.recipes.recipe import Plan
from training.samples.collate import collate
from training.samples.features import Features, Mixed

BATCH = 32
EXAMPLES = 6


def test(plan: Plan, sources: KeptSources, compares: bool) -> dict[str, Any]:
    """Scores of plain captions, by kind of scene; with ``compares`` those of differences, too."""
    clips, features = sources.clips, sources.features
    captions = _Captions(plan, features)
    kinds = [clip.kinds for clip in clips]
    mixtures = {name: [drawn[0] for drawn in by_clip] for name, by_clip in features.mixed.items()}
    one = mixtures["same/same"]
    texts = {
        "in": captions.of([(number, None) for number in features.clips]),
        "in+": captions.of([(mixed.input, None) for mixed in one]),
    }
    found: dict[str, Any] = {
        "scores": {
            subset: _scores(sources, texts["in"], subset)
            for subset in sorted({clip.subset for clip in clips})
        },
        "plain": _rates(texts["in"], kinds, _added(one)),
        "in+": _rates(texts["in+"], kinds, _added(one)),
    }
    if compares:
        found["differences"] = {}
        for name, mixed in mixtures.items():
            texts[name] = captions.of([(each.input, each.reference) for each in mixed])
            found["differences"][name] = _rates(texts[name], kinds, _added(mixed))
            if captions.kept:  # subtraction has no mask
                found.setdefault("auc", {})[name] = separation(captions.kept, mixed)
            if captions.kept and name == "same/diff":
                found["timelines"] = [
                    {"kept": kept.tolist(), "active": each.active.tolist()}
                    for kept, each in zip(captions.kept[:EXAMPLES], mixed, strict=False)
                ]
        texts["in+ - ref"] = texts["same/same"]
        texts["in+ - in"] = captions.of(
            [(each.input, number) for each, number in zip(one, features.clips, strict=True)]
        )
        inverse = _rates(texts["in+ - in"], _added(one), kinds)
        found["inverse"] = {key: inverse[key] for key in ("recall", "leak")}
    cases = [name for name in ("in", "in+", "in+ - ref", "in+ - in") if name in texts]
    found["examples"] = [
        {
            "clip": clips[n].name,
            "kinds": sorted(clips[n].kinds),
            "added": list(one[n].added),
            **{case: texts[case][n] for case in cases},
        }
        for n in _shown([clip.subset for clip in clips])
    ]
    return found


def _shown(subsets: Sequence[str]) -> list[int]:
    """The first few of each subset."""
    by_subset: dict[str, list[int]] = {}
    for number, subset in enumerate(subsets):
        by_subset.setdefault(subset, []).append(number)
    return [n for numbers in by_subset.values() for n in numbers[: EXAMPLES // 2]]


class _Captions:
    """Searched for (frames, reference frames or None), by their numbers."""

    def __init__(self, plan: Plan, features: Features) -> None:
        own = plan.generation
        self._model = plan.model
        self._model.train(False)
        self._tokenizer = plan.tokenizer
        self._features = features
        self._search: dict[str, Any] = {
            "num_beams": own.num_beams,
            "num_captions": 1,
            "max_new_tokens": own.max_length - 2,
            "min_length": own.min_length,
            "no_repeat_ngram_size": own.no_repeat_ngram_size,
            "length_penalty": own.length_penalty,
            "early_stopping": own.early_stopping,
        }
        self.kept: list[np.ndarray] = []
        """Of the last call: the mask's mean over the features, [T] each."""

    @torch.inference_mode()
    def of(self, pairs: Sequence[tuple[int, int | None]]) -> list[str]:
        self.kept = []
        return [text for start in range(0, len(pairs), BATCH)
                for text in self._batch(pairs[start : start + BATCH])]  # fmt: skip

    def _batch(self, pairs: Sequence[tuple[int, int | None]]) -> Iterator[str]:
        samples = [
            {
                "input": self._features.tensor(number),
                "reference": None if reference is None else self._features.tensor(reference),
            }
            for number, reference in pairs
        ]
        batch = {name: each.to(self._model.device) for name, each in collate(samples).items()}
        clips = self._model.encode(batch["inputs"], batch["lengths"])
        references = self._model.encode(batch["references"], batch["reference_lengths"])
        compared = self._model.compare(clips, references, batch["reference_of"])
        if compared.kept is not None:
            for timeline, mask in zip(compared.kept.cpu(), compared.mask.cpu(), strict=True):
                self.kept.append(timeline[mask].numpy())
        found = self._model.decoder.generate(compared, **self._search)
        for tokens in found.tokens[:, 0]:
            yield str(self._tokenizer.decode(tokens, skip_special_tokens=True)).strip()


def _scores(sources: KeptSources, texts: Sequence[str], subset: str) -> dict[str, float | None]:
    chosen = [
        (clip, text)
        for clip, text in zip(sources.clips, texts, strict=True)
        if clip.subset == subset
    ]
    return coco.score(
        {clip.name: text for clip, text in chosen},
        {clip.name: clip.captions for clip, _ in chosen},
    ).corpus


def _rates(
    texts: Sequence[str], wanted: Sequence[frozenset[str]], unwanted: Sequence[frozenset[str]]
) -> dict[str, float]:
    """``rates`` of captions against ESC-50's kinds."""
    return rates(
        [
            Naming(named(text), _labels(some), _labels(others))
            for text, some, others in zip(texts, wanted, unwanted, strict=True)
        ]
    )


def _labels(kinds: frozenset[str]) -> tuple[tuple[str, ...], ...]:
    return tuple(ESC50[kind] for kind in sorted(kinds))


def _added(mixed: Sequence[Mixed]) -> list[frozenset[str]]:
    return [frozenset(each.added) for each in mixed]


def separation(kept: Sequence[np.ndarray], mixed: Sequence[Mixed]) -> float:
    """The mean AUC of the mask for the frames in which the reference's sound is active.

    A clip's last frame may be a partial one, whose activity is not known: it does not count.
    """
    pairs = [(line, each.active) for line, each in zip(kept, mixed, strict=True)]
    known = [(line[: len(on)], on[: len(line)]) for line, on in pairs]
    return float(
        np.mean([roc_auc_score(on, -line) for line, on in known if 0 < on.sum() < len(on)])
    )
