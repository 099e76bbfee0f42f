"""What a trained row says of the test split: captions, differences, masks.

Shapes: T frames, D features.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from statistics import fmean
from typing import Any

import numpy as np
import torch
from sklearn.metrics import roc_auc_score

from training.captions.naming import Labels, Naming, apart, named, rates
from training.captions.sounds import ESC50
from training.evaluation import coco
from training.evaluation.sounds_f import sounds_f
from training.recipes.adl import KeptSources
from training.recipes.recipe import Plan
from training.samples.collate import collate
from training.samples.features import Features, Mixed

BATCH = 32
COMPARED = 200
"""Scenes, the first ones, that differences are made of."""
TIMELINES = 4
PER_CLIP = ("METEOR", "ROUGE-L", "CIDEr")
"""What intervals over scenes are made of."""

Sounds = tuple[Labels, ...]


def test(plan: Plan, sources: KeptSources, *, compares: bool) -> dict[str, Any]:
    """Scores of plain captions, by kind of scene; with ``compares`` those of differences, too.

    ``captions`` has the sentences themselves, in the order of the clips.
    """
    clips, features = sources.clips, sources.features
    captions = _Captions(plan, features)
    some = range(min(COMPARED, len(clips)))
    kinds = [tuple((kind,) for kind in sorted(clip.kinds)) for clip in clips]
    mixtures = {name: [by_clip[n][0] for n in some] for name, by_clip in features.mixed.items()}
    one = mixtures["same/same"]
    texts = {
        "in": captions.of([(number, None) for number in features.clips]),
        "in+": captions.of([(mixed.input, None) for mixed in one]),
    }
    found: dict[str, Any] = {
        **scores(sources, texts["in"]),
        "plain": _rates(texts["in"], kinds),
        "in": _rates(texts["in"][: len(some)], kinds[: len(some)], _added(one)),
        "in+": _rates(texts["in+"], kinds[: len(some)], _added(one)),
    }
    if compares:
        found["differences"] = {}
        for name, mixed in mixtures.items():
            texts[name] = captions.of([(each.input, each.reference) for each in mixed])
            found["differences"][name] = _rates(texts[name], kinds[: len(some)], _added(mixed))
            if captions.kept:  # subtraction has no mask
                found.setdefault("auc", {})[name] = separation(captions.kept, mixed)
            if captions.kept and name == "same/diff":
                found["timelines"] = [
                    {"kept": kept.tolist(), "active": each.active.tolist()}
                    for kept, each in zip(captions.kept[:TIMELINES], mixed, strict=False)
                ]
        texts["in+ - in"] = captions.of(
            [(each.input, features.clips[n]) for each, n in zip(one, some, strict=True)]
        )
        found["inverse"] = _rates(texts["in+ - in"], _added(one), kinds[: len(some)])
        strange = others(kinds, one)
        texts["in+ - other"] = captions.of(
            [(one[n].input, one[other].reference) for n, other in strange]
        )
        if strange:
            chosen = [n for n, _ in strange]
            heard, added = [kinds[n] for n in chosen], _added([one[n] for n in chosen])
            found["other"] = _rates(texts["in+ - other"], heard, added)
    scenes = [
        {"kinds": sorted(clips[n].kinds), "added": list(each.added)}
        for n, each in zip(some, one, strict=True)
    ]
    return {**found, "scenes": scenes, "captions": texts}


def plain(plan: Plan, sources: KeptSources) -> dict[str, Any]:
    """Scores of plain captions alone."""
    numbers = sources.features.clips
    return scores(sources, _Captions(plan, sources.features).of([(n, None) for n in numbers]))


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
        references = self._model.encode_references(
            batch["references"], batch["reference_lengths"], clips
        )
        compared = self._model.compare(clips, references, batch["reference_of"])
        if compared.kept is not None:
            for timeline, mask in zip(compared.kept.cpu(), compared.mask.cpu(), strict=True):
                self.kept.append(timeline[mask].numpy())
        found = self._model.decoder.generate(compared, **self._search)
        for tokens in found.tokens[:, 0]:
            yield str(self._tokenizer.decode(tokens, skip_special_tokens=True)).strip()


def scores(sources: KeptSources, texts: Sequence[str]) -> dict[str, Any]:
    """``scores`` of each kind of scene, and ``per_clip`` those that clips have of their own."""
    found: dict[str, Any] = {"scores": {}, "per_clip": {}}
    for subset in sorted({clip.subset for clip in sources.clips}):
        chosen = [
            (clip, text)
            for clip, text in zip(sources.clips, texts, strict=True)
            if clip.subset == subset
        ]
        scored = coco.score(
            {clip.name: text for clip, text in chosen},
            {clip.name: clip.captions for clip, _ in chosen},
        )
        sounds = [sounds_f(text, clip.captions) for clip, text in chosen]
        found["scores"][subset] = scored.corpus | {"Sounds-F": fmean(sounds)}
        found["per_clip"][subset] = {
            **{metric: _rounded(scored.per_clip[metric].values()) for metric in PER_CLIP},
            "Sounds-F": _rounded(sounds),
        }
    return found


def _rounded(values: Iterable[float]) -> list[float]:
    return [round(value, 4) for value in values]


def _rates(
    texts: Sequence[str], wanted: Sequence[Sounds], unwanted: Sequence[Sounds] | None = None
) -> dict[str, float]:
    """``rates`` of captions against sounds that are there, and that were added."""
    others = unwanted if unwanted is not None else [()] * len(texts)
    return rates(
        [Naming(named(text), *sounds) for text, *sounds in zip(texts, wanted, others, strict=True)]
    )


def others(kinds: Sequence[Sounds], mixed: Sequence[Mixed]) -> list[tuple[int, int]]:
    """Mixtures, and of each the next one whose reference is of nothing that is heard in it.

    ``kinds`` are those of the clips that were mixed. A mixture that has none is left out.
    """
    added = _added(mixed)
    found = []
    for number in range(len(mixed)):
        heard = tuple(label for sound in (*kinds[number], *added[number]) for label in sound)
        for other in (*range(number + 1, len(mixed)), *range(number)):
            if all(apart(sound, heard) for sound in added[other]):
                found.append((number, other))
                break
    return found


def _added(mixed: Sequence[Mixed]) -> list[Sounds]:
    return [tuple(ESC50[kind] for kind in each.added) for each in mixed]


def separation(kept: Sequence[np.ndarray], mixed: Sequence[Mixed]) -> float:
    """The mean AUC of the mask for the frames in which the reference's sound is active.

    A clip's last frame may be a partial one, whose activity is not known: it does not count.
    """
    pairs = [(line, each.active) for line, each in zip(kept, mixed, strict=True)]
    known = [(line[: len(on)], on[: len(line)]) for line, on in pairs]
    return float(
        np.mean([roc_auc_score(on, -line) for line, on in known if 0 < on.sum() < len(on)])
    )
