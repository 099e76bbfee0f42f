"""Sounds-F: how far a caption names the sounds that its references name, and no others.

What SPICE asks of objects, attributes and relations that a parser finds, this asks of sounds that
the lexicon (``captions.sounds``) finds. It needs no download; its values are not SPICE's.
"""

from __future__ import annotations

from collections.abc import Sequence

from training.captions.naming import named, says


def sounds_f(candidate: str, references: Sequence[str]) -> float:
    """F1 of the candidate's sounds against those of all references together, in [0, 1].

    A sound is found if a label says it or a case of it, as ``captions.naming.says`` has it. With no
    sound on either side it is 1, with none on one side 0.
    """
    own = named(candidate)
    theirs = tuple(dict.fromkeys(label for text in references for label in named(text)))
    if not own or not theirs:
        return float(own == theirs)
    precision = sum(any(_same(one, other) for other in theirs) for one in own) / len(own)
    recall = sum(any(_same(one, other) for one in own) for other in theirs) / len(theirs)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _same(one: str, other: str) -> bool:
    return says(one, other) or says(other, one)
