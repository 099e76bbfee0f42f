"""Which sounds a sentence names, as AudioSet's labels.

``sounds.json`` holds the words, ``wording`` finds them. A phrase is a sound ("siren"), a subject
that makes sounds but names none ("man"), an action ("growls") or neutral. What an action names
depends on who does it: a growling dog growls, a growling engine merely runs. The doer is looked for
right before the action, right behind it, before it and behind it in its clause, and where the
clause opens with the action, in the clauses before ("a man speaks and laughs").
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache

from training.captions.ontology import LABELS, expand
from training.captions.wording import (
    CLAUSE_STARTS,
    Entry,
    Match,
    Wording,
    load,
    read,
    take_apart,
)

_POSSESSIVES = frozenset({"its", "their", "his", "her"})
_LEADS = CLAUSE_STARTS | {"it", "they", "also", "by"}
# What stands behind one of these is not what makes the sound before them.
_APART = frozenset({"in", "into", "on", "onto", "over", "to", "at", "near", "through", "against"})
_APART |= {"toward", "towards", "across", "along", "around", "behind", "under", "like", "about"}
_DENIALS = frozenset({"no", "not", "without", "never", "nor", "neither"})
_REACH_OF_DENIAL = 3  # tokens: "no sound of birds", but not "not far from where birds sing"


@dataclass(frozen=True)
class Mention:
    """A label, and the tokens ``start`` to ``end`` (exclusive) of the caption that name it."""

    label: str
    start: int
    end: int


@dataclass(frozen=True)
class Parsed:
    """A caption, and what is made of it."""

    wording: Wording
    mentions: tuple[Mention, ...]
    known: frozenset[int]
    """The tokens that are understood."""
    neutral: frozenset[int]
    """Those of them that name nothing and bear on no sound."""


@dataclass(frozen=True, eq=False)
class _Doer:
    """Tokens that tell of somebody or something who may do something."""

    label: str
    """A label or a subject."""
    start: int
    end: int


def _esc50() -> dict[str, tuple[str, ...]]:
    return {kind: tuple(labels) for kind, labels in read()["esc50"].items()}


ESC50: dict[str, tuple[str, ...]] = _esc50()
"""ESC-50's categories -> the labels that name them, the closest first."""


def mentions(caption: str) -> list[Mention]:
    """The labels that ``caption`` names, in the order of its words; one may be named again.

    Token positions are those of ``normalize_caption(caption).split()``. A denied sound ("no birds")
    is not mentioned.
    """
    return list(parse(caption).mentions)


def names(caption: str, label: str) -> bool:
    """Whether ``caption`` names ``label``.

    It does where it mentions the label, a case of it (a car is a vehicle) or a near synonym listed
    under "near" of ``sounds.json`` (a rooster is as good as a hen). The parent of a label names it
    only where "also" says so: where the label is merely that thing's own sound (a dog barks).

    Raises:
        ValueError: if there is no such label.
    """
    if label not in LABELS:
        raise ValueError(f"unknown label {label!r}: see training/captions/audioset.json")
    wanted = as_good_as(label)
    return any(
        mention.label in wanted or label in expand(mention.label)
        for mention in parse(caption).mentions
    )


def understood(caption: str) -> float:
    """The share of the caption's words that are understood, of those that are not neutral.

    0 if there are none. Words that deny a sound or end it (no, without, stops) are not understood.
    """
    parsed = parse(caption)
    content = len(parsed.wording.tokens) - len(parsed.neutral)
    return len(parsed.known - parsed.neutral) / content if content else 0.0


def only_known_sounds(caption: str) -> bool:
    """Whether ``caption`` names a sound, and every word of it is understood."""
    parsed = parse(caption)
    return bool(parsed.mentions) and len(parsed.known) == len(parsed.wording.tokens)


@lru_cache(maxsize=4096)
def parse(caption: str) -> Parsed:
    """Take ``caption`` apart and tell who does what in it."""
    wording = take_apart(caption)
    matches = wording.matches
    doers = [_Doer(m.entry.label, m.start, m.end) for m in matches if m.entry.label]
    found = [Mention(m.entry.label, m.start, m.end) for m in matches if m.entry.role == "sound"]
    known = {i for match in matches for i in range(match.start, match.end)}
    idle = [doer for doer in doers if doer.label in read()["subjects"]]
    for match in matches:
        if match.entry.role != "action":
            continue
        doer = _doer(wording, doers, match)
        labels = _done(match.entry, doer.label) if doer else match.entry.otherwise
        if labels is None:
            known.difference_update(range(match.start, match.end))
            continue
        found += [Mention(label, match.start, match.end) for label in labels]
        # "A horn is honked": what an action names may do the next one.
        doers += [_Doer(label, match.start, match.end) for label in labels]
        if doer in idle:
            for fellow in _fellows(wording, idle, doer, behind=match.end <= doer.start):
                theirs = _done(match.entry, fellow.label) or ()
                found += [Mention(label, fellow.start, fellow.end) for label in theirs]
                idle.remove(fellow)
            idle.remove(doer)
    return Parsed(
        wording=wording,
        mentions=tuple(
            mention
            for mention in sorted(found, key=lambda mention: mention.start)
            if not _denied(wording, mention)
        ),
        known=frozenset(known),
        neutral=frozenset(
            i for match in matches if match.entry.role == "neutral" for i in _span(match)
        ),
    )


def _doer(wording: Wording, doers: list[_Doer], action: Match) -> _Doer | None:
    """Who of ``doers`` does ``action``: the most likely of those that are known to do it."""
    for doer in _candidates(wording, doers, action):
        if _done(action.entry, doer.label) is not None:
            return doer
    return None


def _candidates(wording: Wording, doers: list[_Doer], action: Match) -> Iterator[_Doer]:
    clause = wording.clauses[action.start]
    before = [doer for doer in doers if doer.end <= action.start]
    before.sort(key=lambda doer: -doer.start)
    here = [doer for doer in before if wording.clauses[doer.start] == clause]
    after = [
        doer for doer in doers if doer.start >= action.end and wording.clauses[doer.start] == clause
    ]
    # "A man talks over a running engine": the engine runs, not the man.
    yield from (doer for doer in here[:1] if _beside(wording, doer.end, action.start))
    yield from (doer for doer in after[:1] if _beside(wording, action.end, doer.start))
    yield from here
    # "The voice of a very old man", but not "voices speak as a man snores".
    yield from (doer for doer in after[:1] if _attached(wording, action.end, doer.start))
    owned = wording.tokens[action.start - 1] in _POSSESSIVES
    if owned or _leads(wording, clause, action.start):
        yield from before


def _done(action: Entry, doer: str) -> tuple[str, ...] | None:
    """What ``action`` names where ``doer`` does it; None if it is not known to."""
    return next((action.by[kin] for kin in load().kin[doer] if kin in action.by), None)


def _beside(wording: Wording, end: int, start: int) -> bool:
    fillers = load().fillers
    return all(token in fillers for token in wording.tokens[end:start])


def _attached(wording: Wording, end: int, start: int) -> bool:
    between = [m for m in wording.matches if end <= m.start < start]
    joined = not _APART.intersection(wording.tokens[end:start])
    return joined and all(match.entry.role in {"neutral", "subject"} for match in between)


def _leads(wording: Wording, clause: int, position: int) -> bool:
    """Whether the clause opens with the word at ``position``, and so has no subject of its own."""
    passed = _LEADS | load().fillers
    if wording.tokens[clause] != "with":
        passed -= {"a", "an", "the"}
    return all(token in passed for token in wording.tokens[clause:position])


def _fellows(wording: Wording, idle: list[_Doer], doer: _Doer, behind: bool) -> list[_Doer]:
    """Those who do what ``doer`` does: "a man and [a woman] speak", "voices of [men] and women".

    They are in the clauses that lead up to its own, or follow it, and tell of nothing else.
    """
    clauses = sorted(set(wording.clauses))
    at = clauses.index(wording.clauses[doer.start])
    quiet = {i for m in wording.matches if m.entry.role in {"subject", "neutral"} for i in _span(m)}
    fellows: list[_Doer] = []
    for clause in clauses[at + 1 :] if behind else reversed(clauses[:at]):
        tokens = {i for i, start in enumerate(wording.clauses) if start == clause}
        there = [other for other in idle if other.start in tokens]
        if not there or not tokens <= quiet:
            break
        fellows += there
    return fellows


def _denied(wording: Wording, mention: Mention) -> bool:
    first = max(wording.clauses[mention.start], mention.start - _REACH_OF_DENIAL)
    return not _DENIALS.isdisjoint(wording.tokens[first : mention.start])


def _span(match: Match) -> range:
    return range(match.start, match.end)


@cache
def as_good_as(label: str) -> frozenset[str]:
    """The labels that name ``label`` as well: itself, those near it, and its own cases."""
    groups = [group for group in read()["near"] if label in group]
    return frozenset({label, *read()["also"].get(label, ())}.union(*groups))
