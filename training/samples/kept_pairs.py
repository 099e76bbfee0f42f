"""Pairs of edits as a frozen encoder heard them, kept in a file.

Shapes: T and R frames, D features, L tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset
from transformers import PreTrainedTokenizerFast

from training.captions.edits import Edit, Noun, sentence
from training.captions.tokenizer import tokenize
from training.samples.collate import Sample

STYLE = "imperative"
"""Of sentences: as the published ones are."""


@dataclass(frozen=True)
class Kept:
    """A pair as a frozen encoder hears it."""

    name: str
    """What was done: a key of ``TESTING``, or "train"."""
    before: Tensor
    """[R, D] float16, the levels behind the features."""
    after: Tensor
    """[T, D]."""
    edits: tuple[Edit, ...]
    apart: Tensor
    """[T] bool: where the edits change what is heard."""


class KeptPairs(Dataset[Sample]):
    """Every pair once an epoch, in an order of its own."""

    def __init__(
        self, pairs: Sequence[Kept], tokenizer: PreTrainedTokenizerFast, seed: int
    ) -> None:
        self.pairs, self.tokenizer, self.seed = pairs, tokenizer, seed

    def __getitem__(self, index: int) -> Sample:
        """``input`` [T, D], ``reference`` [R, D], ``tokens`` [L] and of the clips swapped."""
        epoch, place = divmod(index, len(self.pairs))
        order = np.random.default_rng((self.seed, epoch)).permutation(len(self.pairs))
        pair = self.pairs[int(order[place])]
        told, inverse = (
            tokenize(self.tokenizer, sentence(each, STYLE)) for each in both_ways(pair.edits)
        )
        return {
            "input": pair.after.float(),
            "reference": pair.before.float(),
            "tokens": told,
            "inverse_tokens": inverse,
        }


def both_ways(edits: Sequence[Edit]) -> tuple[Sequence[Edit], Sequence[Edit]]:
    """The edits, and those of the clips swapped."""
    return edits, [edit.inverse for edit in edits]


def save(pairs: Sequence[Kept], path: Path) -> None:
    """Write them, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_suffix(".half")
    torch.save([_packed(one) for one in pairs], half)
    half.replace(path)


def load(path: Path) -> list[Kept]:
    """Read them."""
    return [_unpacked(one) for one in torch.load(path)]


def _packed(one: Kept) -> dict[str, Any]:
    edits = [(e.kind, e.noun.label, e.noun.text, e.noun.plural) for e in one.edits]
    return {"name": one.name, "before": one.before, "after": one.after, "edits": edits,
            "apart": one.apart}  # fmt: skip


def _unpacked(one: Mapping[str, Any]) -> Kept:
    edits = tuple(Edit(kind, Noun(*noun)) for kind, *noun in one["edits"])
    return Kept(one["name"], one["before"], one["after"], edits, one["apart"])
