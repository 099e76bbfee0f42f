"""What a search found, as a request is told it: captions of the length it wants, a timeline.

Shapes: T encoder frames.
"""

from __future__ import annotations

from torch import Tensor
from transformers import PreTrainedTokenizerFast

from engine.reading import whole_words
from model.types import Caption, Segment, Sequences


def captions(
    found: Sequences, row: int, most: int, longest: int, tokenizer: PreTrainedTokenizerFast
) -> tuple[Caption, ...]:
    """Of each sentence the first ``most`` tokens; one of ``longest`` tokens goes on unseen."""
    tokens, lengths = found.tokens[row], found.lengths[row].tolist()
    kept = [min(most, length - 1 - (length == longest)) for length in lengths]
    heads = [each[: found.forced + n] for each, n in zip(tokens, kept, strict=True)]
    texts, begun = (
        tokenizer.batch_decode(each, skip_special_tokens=True) for each in (tokens, heads)
    )
    return tuple(
        Caption(whole_words(head, text), round(score, 4), length, n < length - 1)
        for text, head, score, length, n in zip(
            texts, begun, found.scores[row].tolist(), lengths, kept, strict=True
        )
    )


def timeline(kept: Tensor | None, frames: int, frame_s: float) -> tuple[Segment, ...]:
    """A segment per encoder frame, with how much of it is ``kept`` [T or more], if told."""
    values = [None] * frames if kept is None else kept[:frames].float().tolist()
    return tuple(
        Segment(
            round(t * frame_s, 4),
            round((t + 1) * frame_s, 4),
            None if value is None else round(value, 4),
        )
        for t, value in enumerate(values)
    )
