"""Greedy and beam search, batched; token for token what Transformers' ``generate`` finds.

Greedy search is beam search with one beam that stops at its first ending.

Shapes: B clips (those still searched for), N beams, C = 2 N candidates, L tokens, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from model.types import Sequences

_NEVER = -1e9
"""The rank of what is not there."""


@dataclass(frozen=True)
class Search:
    """What is searched for. Lengths count all tokens, the prompt's too."""

    num_beams: int
    num_captions: int
    max_length: int
    min_length: int
    no_repeat_ngram_size: int
    no_repeat_window: int
    """No token follows that is one of so many before it: no "barks and barks"."""
    length_penalty: float
    early_stopping: bool
    eos_token_id: int
    pad_token_id: int


class Watch(Protocol):
    """Who reads greedy answers while they are searched for."""

    def __call__(self, rows: Sequence[int], tokens: Tensor) -> Sequence[bool]:
        """The clips ``rows`` of the batch have ``tokens`` [B, L] now -> whom to go on with."""


class NextTokens(Protocol):
    """What says which token may follow: ``bart_steps.BartSteps``, ``gpt2_steps.Gpt2Steps``."""

    def prefill(self, tokens: Tensor) -> Tensor:
        """Begin every sentence with ``tokens`` [B, P] -> logits [B, 1, V]."""

    def step(self, tokens: Tensor, parents: Tensor) -> Tensor:
        """Add ``tokens`` [B, N] to those of the beams ``parents`` [B, N] -> logits [B, N, V]."""

    def take(self, rows: Tensor) -> None:
        """Go on with these clips alone."""


def search(
    decoder: NextTokens, prompt: Tensor, how: Search, watch: Watch | None = None
) -> Sequences:
    """Beam search from ``prompt`` [B, P], of which the first token is not returned.

    A sentence's rank is its log-probability over its length (the first prompt token left out) to
    the power of the length penalty; a clip is done when it has N sentences and, unless
    ``early_stopping``, none of its beams can become better than them. At ``max_length`` the end is
    forced, and counts as certain in the rank but not in the score. Between equal candidates the
    choice is ``torch.topk``'s, as in Transformers. With one beam, ``watch`` sees each token; with
    more there is none before the end that is certain.
    """
    clips, length = prompt.shape
    finished = _Finished(how, prompt)
    rows = torch.arange(clips, device=prompt.device)
    beams = _Beams.begin(prompt, how)
    logits = decoder.prefill(prompt)
    while True:
        candidates = _extend(beams, logits, length, how)
        before, beams = beams, _running(beams, candidates, length, how)
        done = finished.update(rows, before, candidates, beams.total, length, how)
        length += 1
        if watch is not None and how.num_beams == 1:
            seen = beams.tokens.where(~done[:, None, None], finished.tokens(rows))[:, 0, 1:length]
            go_on = watch(rows.tolist(), seen)
            done |= finished.give_up(rows, ~torch.tensor(go_on, device=done.device))
        over = int(done.sum())
        if length == how.max_length or over == len(done):
            return finished.sequences()
        # A finished clip is only ballast; but to leave it behind is to copy all the others.
        if 4 * over >= len(done):
            rest = (~done).nonzero().squeeze(1)
            rows, beams = rows[rest], beams.take(rest)
            decoder.take(rest)
        logits = decoder.step(beams.tokens[..., length - 1], beams.parents)


@dataclass(frozen=True)
class _Beams:
    """The sentences that go on."""

    tokens: Tensor
    """[B, N, max_length]"""
    total: Tensor
    """[B, N] what they are ranked by: log-probability."""
    score: Tensor
    """[B, N] log-probability of what was generated."""
    parents: Tensor
    """[B, N]: which beam before the last step each one continues."""

    @staticmethod
    def begin(prompt: Tensor, how: Search) -> _Beams:
        """N times the prompt; all but the first are improbable, lest all go the same way."""
        clips, length = prompt.shape
        tokens = prompt.new_full((clips, how.num_beams, how.max_length), how.pad_token_id)
        tokens[..., :length] = prompt.unsqueeze(1)
        nothing = torch.zeros(clips, how.num_beams, device=prompt.device)
        total = nothing.clone()
        total[:, 1:] = _NEVER
        return _Beams(tokens, total, nothing, nothing.long())

    def take(self, rows: Tensor) -> _Beams:
        return _Beams(self.tokens[rows], self.total[rows], self.score[rows], self.parents[rows])


@dataclass(frozen=True)
class _Candidates:
    """The most likely ways to go on by one token, best first. All are [B, C]."""

    token: Tensor
    total: Tensor
    """Log-probability, a forced end counted as certain."""
    score: Tensor
    """Log-probability of what was generated, a forced end counted as it is."""
    parents: Tensor
    ended: Tensor
    """bool"""


def _extend(beams: _Beams, logits: Tensor, length: int, how: Search) -> _Candidates:
    log_p = logits.float().log_softmax(-1)
    if log_p.shape[1] < how.num_beams:
        log_p = log_p.repeat(1, how.num_beams, 1)
    vocabulary = log_p.shape[-1]
    forced = length == how.max_length - 1
    if forced:
        end = log_p[..., how.eos_token_id].clone()
        log_p.fill_(-torch.inf)[..., how.eos_token_id] = 0.0
    else:
        if length < how.min_length:
            log_p[..., how.eos_token_id] = -torch.inf
        if how.no_repeat_ngram_size:
            _ban_repeats(log_p, beams.tokens[..., :length], how.no_repeat_ngram_size)
        if how.no_repeat_window:
            latest = beams.tokens[..., max(0, length - how.no_repeat_window) : length]
            log_p.scatter_(-1, latest, -torch.inf)
    total, index = (log_p + beams.total[..., None]).flatten(1).topk(2 * how.num_beams)
    parents = index // vocabulary
    token = index % vocabulary
    last = end.gather(1, parents) if forced else log_p.flatten(1).gather(1, index)
    return _Candidates(
        token,
        total,
        beams.score.gather(1, parents) + last,
        parents,
        torch.ones_like(token, dtype=torch.bool) if forced else token == how.eos_token_id,
    )


def _append(beams: _Beams, parents: Tensor, token: Tensor, length: int) -> Tensor:
    """[B, X, max_length]: the tokens of the beams ``parents`` [B, X], and now ``token`` [B, X]."""
    tokens = _gather(beams.tokens, parents)
    tokens[..., length] = token
    return tokens


def _ban_repeats(log_p: Tensor, tokens: Tensor, size: int) -> None:
    """Rule out, in ``log_p`` [B, N, V], what would repeat an n-gram of ``tokens`` [B, N, L]."""
    if tokens.shape[-1] < size:
        return
    grams = tokens.unfold(-1, size, 1)
    latest = tokens[..., tokens.shape[-1] - size + 1 :]
    same = (grams[..., :-1] == latest.unsqueeze(-2)).all(-1)
    log_p.scatter_add_(-1, grams[..., -1], torch.where(same, -torch.inf, 0.0))


def _running(beams: _Beams, candidates: _Candidates, length: int, how: Search) -> _Beams:
    """The N best candidates that have not ended."""
    total, order = candidates.total.masked_fill(candidates.ended, _NEVER).topk(how.num_beams)
    parents, token, score = (
        each.gather(1, order) for each in (candidates.parents, candidates.token, candidates.score)
    )
    return _Beams(_append(beams, parents, token, length), total, score, parents)


class _Finished:
    """The N best finished sentences of each clip, and what becomes of them."""

    def __init__(self, how: Search, prompt: Tensor) -> None:
        clips, length = prompt.shape
        shape = (clips, how.num_beams)
        self._forced = length - 1
        self._end = how.eos_token_id
        self._captions = how.num_captions
        self._pad = how.pad_token_id
        self._tokens = prompt.new_full((*shape, how.max_length), how.pad_token_id)
        self._rank = torch.full(shape, _NEVER, device=prompt.device)
        self._mean = torch.full(shape, _NEVER, device=prompt.device)
        self._finished = torch.zeros(shape, dtype=torch.bool, device=prompt.device)
        self._done = torch.zeros(clips, dtype=torch.bool, device=prompt.device)

    def update(
        self,
        rows: Tensor,
        beams: _Beams,
        candidates: _Candidates,
        running: Tensor,
        length: int,
        how: Search,
    ) -> Tensor:
        """Take in what has ended among ``candidates``.

        They extend ``beams``, those of the clips ``rows``; ``running`` [B, N] is the
        log-probability of the beams that are left. Returns [B] bool: whose search is over.
        """
        size = how.num_beams
        best = candidates.ended[:, :size] & ~self._done[rows, None]
        if bool(best.any()):
            best_ones = (candidates.parents[:, :size], candidates.token[:, :size])
            rank = candidates.total[:, :size] / length**how.length_penalty
            rank = torch.cat([self._rank[rows], rank.masked_fill(~best, _NEVER)], dim=1)
            self._rank[rows], order = rank.topk(size)
            for kept, new in (
                (self._tokens, _append(beams, *best_ones, length)),
                # Neither the start nor a forced first token was generated.
                (self._mean, candidates.score[:, :size] / (length - self._forced)),
                (self._finished, best),
            ):
                kept[rows] = _gather(torch.cat([kept[rows], new], dim=1), order)
        done = self._finished[rows].all(dim=1)
        if not how.early_stopping:
            reachable = running[:, 0] / length**how.length_penalty
            done &= reachable <= self._rank[rows].amin(dim=1)
        self._done[rows] |= done
        return self._done[rows]

    def tokens(self, rows: Tensor) -> Tensor:
        """[B, N, max_length], of the clips ``rows``."""
        return self._tokens[rows]

    def give_up(self, rows: Tensor, left: Tensor) -> Tensor:
        """Of the clips ``rows`` those that are ``left`` [B] bool end at once, with nothing said."""
        given_up = rows[left & ~self._done[rows]]
        self._tokens[given_up, :, self._forced + 1] = self._end
        self._done[given_up] = True
        return self._done[rows]

    def sequences(self) -> Sequences:
        """Of each clip as many as are wanted, cut to the longest."""
        tokens = self._tokens[:, : self._captions, 1:]
        real = tokens != self._pad
        longest = int(real.any(dim=1).any(dim=0).nonzero().max()) + 1
        return Sequences(
            tokens[..., :longest],
            real.sum(dim=-1) - self._forced,
            self._mean[:, : self._captions],
            self._forced,
        )


def _gather(values: Tensor, index: Tensor) -> Tensor:
    """[B, X, ...] at ``index`` [B, Y] of the second axis -> [B, Y, ...]."""
    if values.ndim == 3:
        index = index.unsqueeze(-1).expand(-1, -1, values.shape[-1])
    return values.gather(1, index)
