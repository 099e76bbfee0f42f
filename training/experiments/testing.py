"""What a trained row says of the test split: captions, differences, masks.

Shapes: T frames, D features.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedTokenizerFast

from training.captions.lexicon import kinds_named
from training.evaluation import coco as metrics
from training.experiments.features import Features
from training.experiments.learning import FrameCaptioning, padded
from training.experiments.scenes import CaptionedClip

SEARCH: dict[str, Any] = {
    "num_beams": 4,
    "num_captions": 1,
    "max_new_tokens": 62,
    "min_length": 5,
    "no_repeat_ngram_size": 3,
    "length_penalty": 1.0,
    "early_stopping": True,
}
"""The baseline's decoding."""
BATCH = 32
EXAMPLES = 6


def test(
    task: FrameCaptioning,
    tokenizer: PreTrainedTokenizerFast,
    clips: Sequence[CaptionedClip],
    features: Features,
    compares: bool,
) -> dict[str, Any]:
    """Scores of plain captions, by kind of scene; with ``compares`` those of differences, too."""
    task.eval()
    said = _Say(task, tokenizer, features)
    plain = said([(number, None) for number in features.clips])
    subsets = sorted({clip.subset for clip in clips})
    scores = {subset: _scores(subset, clips, plain) for subset in subsets}
    found: dict[str, Any] = {"scores": scores}
    found["plain"] = _naming(clips, plain, features.mixed["same/same"])
    mixtures = {name: [drawn[0] for drawn in by] for name, by in features.mixed.items()}
    one = mixtures["same/same"]
    texts = {"in": plain, "in+": said([(mixed.input, None) for mixed in one])}
    found["in+"] = _naming(clips, texts["in+"], features.mixed["same/same"])
    if compares:
        found["differences"] = {}
        for name, mixed in mixtures.items():
            texts[name] = said([(each.input, each.reference) for each in mixed])
            found["differences"][name] = _naming(clips, texts[name], features.mixed[name])
            if said.kept:  # subtraction has no mask
                found.setdefault("auc", {})[name] = _separation(said.kept, mixed)
            if said.kept and name == "same/diff":
                found["timelines"] = [
                    {"kept": kept.tolist(), "active": each.active.tolist()}
                    for kept, each in zip(said.kept[:EXAMPLES], mixed, strict=False)
                ]
        texts["in+ - ref"] = texts["same/same"]
        texts["in+ - in"] = said(
            [(each.input, number) for each, number in zip(one, features.clips, strict=True)]
        )
        found["inverse"] = _inverse(clips, texts["in+ - in"], one)
    cases = [name for name in ("in", "in+", "in+ - ref", "in+ - in") if name in texts]
    found["examples"] = [
        {
            "clip": clips[n].name,
            "kinds": sorted(clips[n].kinds),
            "added": list(one[n].added),
            **{case: texts[case][n] for case in cases},
        }
        for n in _shown(clips)
    ]
    return found


def _shown(clips: Sequence[CaptionedClip]) -> list[int]:
    """The first few of each subset."""
    by_subset: dict[str, list[int]] = {}
    for number, clip in enumerate(clips):
        by_subset.setdefault(clip.subset, []).append(number)
    return [n for numbers in by_subset.values() for n in numbers[: EXAMPLES // 2]]


class _Say:
    """Captions of (frames, reference frames or None), by their numbers."""

    def __init__(
        self, task: FrameCaptioning, tokenizer: PreTrainedTokenizerFast, features: Features
    ) -> None:
        self._task = task
        self._tokenizer = tokenizer
        self._features = features
        self.kept: list[np.ndarray] = []
        """Of the last call: the mask's mean over the features, [T] each."""

    @torch.inference_mode()
    def __call__(self, pairs: Sequence[tuple[int, int | None]]) -> list[str]:
        self.kept = []
        return [text for start in range(0, len(pairs), BATCH)
                for text in self._batch(pairs[start : start + BATCH])]  # fmt: skip

    def _batch(self, pairs: Sequence[tuple[int, int | None]]) -> Iterator[str]:
        task, device = self._task, next(self._task.parameters()).device

        def heard(numbers: Sequence[int]) -> Any:
            frames = [torch.from_numpy(self._features.frames[n]).float() for n in numbers]
            clips = padded(frames)
            return task.adapt(clips.frames.to(device), clips.mask.to(device))

        clips = heard([number for number, _ in pairs])
        rows = [row for row, (_, reference) in enumerate(pairs) if reference is not None]
        references = [reference for _, reference in pairs if reference is not None]
        compared = task.compare(
            clips,
            heard(references) if rows else clips.take([]),
            torch.tensor(rows, dtype=torch.long, device=device),
        )
        if compared.kept is not None:
            for timeline, mask in zip(compared.kept.cpu(), compared.mask.cpu(), strict=True):
                self.kept.append(timeline[mask].numpy())
        found = task.decoder.generate(compared, **SEARCH)
        for tokens in found.tokens[:, 0]:
            yield str(self._tokenizer.decode(tokens, skip_special_tokens=True)).strip()


def _scores(
    subset: str, clips: Sequence[CaptionedClip], texts: Sequence[str]
) -> dict[str, float | None]:
    chosen = [
        (clip, text) for clip, text in zip(clips, texts, strict=True) if clip.subset == subset
    ]
    return metrics.score(
        {clip.name: text for clip, text in chosen},
        {clip.name: clip.captions for clip, _ in chosen},
    ).corpus


def _naming(
    clips: Sequence[CaptionedClip], texts: Sequence[str], mixed: Sequence[Any]
) -> dict[str, float]:
    """``recall``: share of the scene's kinds that are named; ``leak``: of captions that name a
    kind that was added; ``false``: kinds named that are neither, per caption."""
    recall: list[bool] = []
    leak: list[bool] = []
    false: list[int] = []
    for clip, text, drawn in zip(clips, texts, mixed, strict=True):
        named = {mention.kind for mention in kinds_named(text)}
        recall += [kind in named for kind in sorted(clip.kinds)]
        leak.append(bool(named & {*drawn[0].added}))
        false.append(len(named - clip.kinds - {*drawn[0].added}))
    rates = {"leak": float(np.mean(leak)), "false": float(np.mean(false))}
    return rates | ({"recall": float(np.mean(recall))} if recall else {})


def _inverse(
    clips: Sequence[CaptionedClip], texts: Sequence[str], mixed: Sequence[Any]
) -> dict[str, float]:
    """The mixture minus the original: ``recall`` of what was added, ``leak`` of the original."""
    named = [{mention.kind for mention in kinds_named(text)} for text in texts]
    return {
        "recall": float(np.mean([bool(n & {*m.added}) for n, m in zip(named, mixed, strict=True)])),
        "leak": float(np.mean([bool(n & c.kinds) for n, c in zip(named, clips, strict=True)])),
    }


def _separation(kept: Sequence[np.ndarray], mixed: Sequence[Any]) -> float:
    """The mean AUC of the mask for the frames in which the reference's sound is active.

    A clip's last frame may be a partial one, whose activity is not known: it does not count.
    """
    pairs = [(line, each.active) for line, each in zip(kept, mixed, strict=True)]
    partly = [(line[: len(on)], on[: len(line)]) for line, on in pairs]
    return float(np.mean([auc(-line, on) for line, on in partly if 0 < on.sum() < len(on)]))


def auc(scores: np.ndarray, positive: np.ndarray) -> float:
    """Area under the ROC curve: how often a positive frame scores above another one."""
    above = scores[positive][:, None] - scores[~positive][None, :]
    return float(((above > 0) + 0.5 * (above == 0)).mean())
