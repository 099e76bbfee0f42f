"""What a trained row says of pairs of edits, and where its decoder looks.

Shapes: T frames, D features, L tokens, M frames of the decoder's memory.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from statistics import fmean
from typing import Any, cast

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from model.captioner import CaptionerModel
from model.changes import NOTHING, read
from model.decoders import BartDecoder
from model.decoders.bart_modules import Layer
from model.difference import Concentrated
from training.captions.edits import Edit, sentence
from training.captions.tokenizer import MAX_TOKENS, tokenize
from training.evaluation import coco
from training.samples.collate import collate
from training.samples.kept_pairs import STYLE, Kept

BEAMS = 4
TOGETHER = 32
LOOKED_AT = 60
"""Pairs of one sound added or removed."""
SHOWN = 3
EXAMPLES = 8


def test(
    model: CaptionerModel, tokenizer: PreTrainedTokenizerFast, pairs: Sequence[Kept]
) -> dict[str, Any]:
    """Metrics of the field, operations and sounds right by kind, attention, examples."""
    told = [*_told(model, tokenizer, pairs)]
    wanted = [sentence(pair.edits, STYLE) for pair in pairs]
    right = [operations_right(text, pair.edits) for text, pair in zip(told, pairs, strict=True)]
    named = [
        sounds_right(text, pair.edits)
        for text, pair, ok in zip(told, pairs, right, strict=True)
        if ok and len(pair.edits) == 1
    ]
    names = [str(number) for number in range(len(pairs))]
    scores = coco.score(
        dict(zip(names, told, strict=True)),
        {name: [text] for name, text in zip(names, wanted, strict=True)},
    )
    of: dict[str, list[bool]] = {}
    for pair, ok in zip(pairs, right, strict=True):
        of.setdefault(pair.name, []).append(ok)
    step = max(1, len(pairs) // EXAMPLES)
    return {
        "scores": scores.corpus,
        "operation": {"all": fmean(right), **{name: fmean(some) for name, some in of.items()}},
        "sound": fmean(named) if named else None,
        **_attention(model, tokenizer, pairs),
        "examples": [[*pair] for pair in zip(wanted[::step], told[::step], strict=True)],
    }


def operations_right(told: str, edits: Sequence[Edit]) -> bool:
    """Whether the sentence tells of just these kinds of change, or of none."""
    if told in NOTHING.values() or not edits:
        return told in NOTHING.values() and not edits
    return sorted(one.kind for one in read(told)) == sorted(one.kind for one in edits)


def sounds_right(told: str, edits: Sequence[Edit]) -> bool:
    """Whether it calls them as the grammar does, the kinds being right."""
    said = {(one.kind, one.sound) for one in read(told)}
    return said == {(one.kind, one.noun.known.removeprefix("the ")) for one in edits}


@torch.inference_mode()
def _told(
    model: CaptionerModel, tokenizer: PreTrainedTokenizerFast, pairs: Sequence[Kept]
) -> Iterator[str]:
    for start in range(0, len(pairs), TOGETHER):
        batch = collate(
            [
                {"input": pair.after.float(), "reference": pair.before.float()}
                for pair in pairs[start : start + TOGETHER]
            ]
        )
        after = model.encode(batch["inputs"], batch["lengths"])
        before = model.encode(batch["references"], batch["reference_lengths"])
        found = model.decoder.generate(
            model.difference(after, before),
            num_beams=BEAMS,
            num_captions=1,
            max_new_tokens=MAX_TOKENS,
            min_length=3,
            no_repeat_ngram_size=0,
            length_penalty=1.0,
            early_stopping=True,
        )
        for tokens in found.tokens[:, 0]:
            yield str(tokenizer.decode(tokens, skip_special_tokens=True)).strip()


def _attention(
    model: CaptionerModel, tokenizer: PreTrainedTokenizerFast, pairs: Sequence[Kept]
) -> dict[str, Any]:
    """``focus``: how many times as much attention a frame gets that the edit changes, of the clip
    that has the sound, as any of its frames does; and the attention over a few pairs.

    Empty for blocks whose memory is not of both clips.
    """
    if not isinstance(model.difference, Concentrated):
        return {}
    chosen = [pair for pair in pairs if pair.name == "add" and not pair.apart.all()][:LOOKED_AT]
    focus: list[float] = []
    shown: list[dict[str, Any]] = []
    for pair in chosen:
        looked = looks(model, tokenizer, pair)
        clips = looked[: len(pair.before)], looked[len(pair.before) :]
        has = clips[pair.edits[0].kind == "added"]
        # Both clips are as long but for what storage cut.
        where = pair.apart[: len(has)]
        has = has[: len(where)]
        focus.append(float(has[where].mean() / has.mean()))
        if len(shown) < SHOWN:
            before, after = (clip.tolist() for clip in clips)
            shown.append({"told": sentence(pair.edits, STYLE), "before": before,
                          "after": after, "apart": pair.apart.tolist()})  # fmt: skip
    return {"focus": fmean(focus), "attention": shown}


@torch.no_grad()
def looks(model: CaptionerModel, tokenizer: PreTrainedTokenizerFast, pair: Kept) -> Tensor:
    """[M]: the decoder's attention to its memory, averaged over layers, heads and tokens, for the
    right sentence; it sums to 1.
    """
    after, before = (
        model.encode(frames.float()[None], torch.tensor([len(frames)]))
        for frames in (pair.after, pair.before)
    )
    difference = model.difference(after, before)
    tokens = tokenize(tokenizer, sentence(pair.edits, STYLE))[None]
    assert isinstance(model.decoder, BartDecoder)
    bart, found = model.decoder.bart, []
    with ExitStack() as hooks:  # attention itself does not tell where it looks
        for layer in cast(Iterable[Layer], bart.model.decoder.layers):
            for projection in (layer.encoder_attn.q_proj, layer.encoder_attn.k_proj):
                hook = projection.register_forward_hook(lambda _, __, made: found.append(made))
                hooks.callback(hook.remove)
        model.decoder(difference, tokens)
    heads = [made[0].unflatten(1, (bart.heads, -1)).transpose(0, 1) for made in found]
    looked = [
        (query @ key.mT / math.sqrt(key.shape[2])).softmax(dim=2)
        for query, key in zip(heads[::2], heads[1::2], strict=True)
    ]
    return torch.stack(looked).mean(dim=(0, 1, 2))
