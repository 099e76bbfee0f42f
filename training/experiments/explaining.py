"""``python -m training reproduce adiff``: ADIFF's ablations in miniature.

A row is the recipe with some of its settings changed; each is trained on pairs of clips of the
training recordings and tested on pairs of clips of those that nobody trains on. What is done stays.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from statistics import fmean
from typing import Any, get_args

import numpy as np
import torch

from model.decoders import Gpt2Decoder
from model.levels import Levels
from model.types import Detail
from training.captions.explanations import explain
from training.captions.naming import apart
from training.datasets.sounds import read as sounds
from training.evaluation import coco, explaining
from training.evaluation.card import between
from training.evaluation.row import Answer, Case
from training.experiments import runs
from training.fit import fit
from training.losses import Explaining
from training.recipes.adiff import BANDS, Explanations, Sources, asked
from training.recipes.recipe import Data, Plan
from training.samples.collate import collate
from training.samples.explained import PROMPTS, Kept, keep, measured
from training.samples.frames import without_encoder
from training.scenes import store
from training.scenes.clips import Clips
from training.scenes.store import Source

BUDGET = {"clips": 6000, "language_steps": 300, "grounding_steps": 600, "tuning_steps": 300}
"""Of a row: minutes of one core."""
ROWS: dict[str, dict[str, Any]] = {
    "naive": {"cross_layers": 0, "separator": False, "position_share": 0.0, "tuning_steps": 0},
    "separator": {"cross_layers": 0, "position_share": 0.0, "tuning_steps": 0},
    "cross-projection": {"position_share": 0.0, "tuning_steps": 0},
    "position-captioning": {"tuning_steps": 0},
    "tuned": {},
    "deaf": {"deaf": True},
}
"""In the paper's order, each with what those before it have; the last is a control."""
TEST_FOLDS = (5,)
CLIPS, PAIRS, BATCH, EXAMPLES = 400, 200, 50, 5
OURS = {"sides": "named on its side", "swapped": "swapped", "true": "true", "turns": "turns"}
MARKS = ("<!-- adiff -->", "<!-- /adiff -->")
METRICS = ("BLEU4", "METEOR", "ROUGE-L", "CIDEr", "SPICE", "SPIDEr")
Pairs = Sequence[tuple[int, int]]


def reproduce(
    data: Data,
    output: Path,
    seeds: int,
    overrides: Mapping[str, Any],
    part: tuple[int, int] = (0, 1),
) -> None:
    """Train and test each row with every seed; ``part`` (n, m) does every m-th.

    ``overrides`` are settings that replace all rows' own. Raises as the recipe does.
    """
    recipe = replace(Explanations(), **{**BUDGET, **overrides})
    left = runs.left(output, ROWS, seeds, part)
    if not left:
        return
    sources = recipe.sources(data, output)
    heard = _kept_aside(data, output, sources)
    for name, seed in left:
        print(f"{name}, seed {seed}", flush=True)
        row = replace(recipe, **ROWS[name])
        found = _run(row, sources, heard, seed, runs.folder(output, name, seed))
        runs.keep(output, name, seed, {**asdict(row), "tiers": found})


def scores(plan: Plan, heard: Kept, detail: Detail, *, deaf: bool) -> dict[str, Any]:
    """The scores of a tier, on pairs of clips that have nothing in common."""
    pairs = _pairs(heard, PAIRS)
    there = _told(plan, heard, pairs, detail, deaf)
    back = _told(plan, heard, [(second, first) for first, second in pairs], detail, deaf)
    cases = [_case(heard, pair) for pair in pairs]
    answers: list[list[Answer]] = [
        [{"caption": text} for text in both] for both in zip(there, back, strict=True)
    ]
    judged = [*zip(cases, answers, strict=True)]
    sides = [explaining.sides(*each) for each in judged]
    turned = [share for each in judged if (share := explaining.turns(*each)) is not None]
    names = [str(number) for number in range(len(pairs))]
    wanted = [explain(heard.facts[one], heard.facts[two], detail) for one, two in pairs]
    references = {name: [text] for name, text in zip(names, wanted, strict=True)}
    return {
        "sides": explaining.recalled(sides).value,
        "swapped": explaining.swapped(sides).value,
        "true": fmean(explaining.truth(*each) for each in judged),
        "turns": fmean(turned) if turned else None,
        **coco.score(dict(zip(names, there, strict=True)), references).corpus,
        "examples": [*zip(there[:EXAMPLES], wanted[:EXAMPLES], strict=True)],
    }


def write(study: Path, page: Path | None = None) -> Path:
    """Write ``explanations.md`` into the study's folder; its path.

    With ``page`` its text goes there, too, between the marks of it.
    """
    results = runs.read(study, ROWS)
    columns = {**OURS, **{metric: metric for metric in METRICS}}
    lines = []
    for detail in get_args(Detail):
        lines += [f"*{detail}*", "", f"| row | seeds | {' | '.join(columns.values())} |"]
        lines.append("|---" * (len(columns) + 2) + "|")
        for name, each in results.items():
            found = [one["tiers"][detail] for one in each]
            means = (_mean([one[key] for one in found]) for key in columns)
            lines.append(f"| {name} | {len(found)} | {' | '.join(means)} |")
        lines.append("")
    report = study / "explanations.md"
    report.write_text("\n".join(lines).rstrip() + "\n")
    if page is not None:
        between(page, *MARKS, report.read_text().rstrip())
    return report


def _run(
    row: Explanations, sources: Sources, heard: Kept, seed: int, folder: Path
) -> dict[str, Any]:
    """Learn, keep the last weights, test each tier."""
    plan = row.plan(sources, seed)
    for stage in plan.stages:
        fit(stage, folder)
    found = {detail: scores(plan, heard, detail, deaf=row.deaf) for detail in get_args(Detail)}
    shutil.rmtree(folder)
    return found


def _kept_aside(data: Data, output: Path, sources: Sources) -> Kept:
    """Clips of recordings that nobody trains on."""
    encoder = sources.base.model.encoder
    recordings = store.build(output / "test-recordings", [*_sources(data)], encoder.sample_rate)
    levels = Levels(bands=BANDS, sample_rate=encoder.sample_rate, frame_s=encoder.frame_s)
    clips = Clips(recordings, sample_rate=encoder.sample_rate, seed=1)
    return keep(output / "test-clips", clips, CLIPS, encoder, levels)


def _sources(data: Data) -> Iterator[Source]:
    if data.esc50:
        yield from store.esc50_sources(data.esc50, TEST_FOLDS)
    if data.sounds:
        for one in sounds.read(data.sounds, "validation"):
            yield Source(data.sounds / one.file, f"sounds/{one.file}", one.labels, one.group)


@torch.inference_mode()
def _told(plan: Plan, heard: Kept, pairs: Pairs, detail: Detail, deaf: bool) -> list[str]:
    loss, decoder = Explaining(without_encoder(plan.model.eval())), plan.model.decoder
    assert isinstance(decoder, Gpt2Decoder)
    prompt = asked(plan.tokenizer, PROMPTS[detail][0])
    texts: list[str] = []
    for start in range(0, len(pairs), BATCH):
        some = pairs[start : start + BATCH]
        clips = [
            [measured(heard.frames[number].float(), heard.facts[number]) for number in pair]
            for pair in some
        ]
        if deaf:
            clips = [[torch.zeros_like(frames) for frames in pair] for pair in clips]
        batch = collate([{"input": one, "reference": other} for one, other in clips])
        del batch["reference_of"]
        found = decoder.generate(
            loss.between(**batch),
            prompt=prompt.expand(len(some), -1),
            num_beams=1,
            num_captions=1,
            max_new_tokens=plan.generation.max_length,
            min_length=0,
            no_repeat_ngram_size=0,
            length_penalty=1.0,
            early_stopping=True,
        )
        texts += plan.tokenizer.batch_decode(found.tokens[:, 0], skip_special_tokens=True)
    return [text.strip() for text in texts]


def _pairs(heard: Kept, count: int) -> Pairs:
    labels = [tuple(part.noun.label for part in facts.sounds) for facts in heard.facts]
    rng = np.random.default_rng(0)
    drawn = rng.integers(len(labels), size=(20 * count, 2)).tolist()
    return [(one, two) for one, two in drawn if apart(labels[one], labels[two])][:count]


def _case(heard: Kept, pair: tuple[int, int]) -> Case:
    first, second = (heard.facts[number] for number in pair)
    wanted = [tuple(part.noun.label for part in facts.sounds) for facts in (first, second)]
    return Case("", list, (wanted[0], wanted[1]), facts=lambda: (first, second))


def _mean(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{fmean(known):.3f}" if known else ""
