"""Which sounds a sentence names, as AudioSet's labels, and in which order of time.

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
    EARLIER,
    LATER,
    Entry,
    Match,
    Wording,
    load,
    read,
    take_apart,
)

_POSSESSIVES = frozenset({"its", "their", "his", "her"})
_LEADS = CLAUSE_STARTS | {"it", "they", "also", "by"}
# "After which", "after a while" and "after some time" lead on; they do not look back.
_LEADING_ON = frozenset({"which", "that", "this", "while", "awhile", "time", "seconds"})
# What stands behind one of these is not what makes the sound before them.
_APART = frozenset({"in", "into", "on", "onto", "over", "to", "at", "near", "through", "against"})
_APART |= {"toward", "towards", "across", "along", "around", "behind", "under", "like", "about"}
_BEHIND = frozenset({"background", "backdrop", "distance"})
_DENIALS = frozenset({"no", "not", "without", "never", "nor", "neither"})
_REACH_OF_DENIAL = 3  # tokens: "no sound of birds", but not "not far from where birds sing"


@dataclass(frozen=True)
class Mention:
    """A label, and the tokens ``start`` to ``end`` (exclusive) of the caption that name it."""

    label: str
    start: int
    end: int


@dataclass(frozen=True)
class Layout:
    """When a caption's sounds are heard."""

    groups: tuple[tuple[str, ...], ...]
    """The labels in order of time, those of a group together; each label once."""
    background: tuple[str, ...]
    """Those of them that are in the background or in the distance."""


@dataclass(frozen=True)
class _Parsed:
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
    return list(_parse(caption).mentions)


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
        for mention in _parse(caption).mentions
    )


def understood(caption: str) -> float:
    """The share of the caption's words that are understood, of those that are not neutral.

    0 if there are none. Words that deny a sound or end it (no, without, stops) are not understood.
    """
    parsed = _parse(caption)
    content = len(parsed.wording.tokens) - len(parsed.neutral)
    return len(parsed.known - parsed.neutral) / content if content else 0.0


def only_known_sounds(caption: str) -> bool:
    """Whether ``caption`` names a sound, and every word of it is understood."""
    parsed = _parse(caption)
    return bool(parsed.mentions) and len(parsed.known) == len(parsed.wording.tokens)


def layout(caption: str) -> Layout:
    """When the sounds that ``caption`` names are heard, as far as its words tell.

    "X then Y", "X before Y" and "X followed by Y" put Y after X, and so do "Y after X" and "After
    X, Y"; all else (and, while, as, with) is simultaneous. A label named again counts where it is
    heard first.
    """
    parsed = _parse(caption)
    tokens = parsed.wording.tokens
    named_at: dict[int, list[str]] = {}
    for mention in parsed.mentions:
        named_at.setdefault(mention.start, []).append(mention.label)
    groups: list[list[str]] = [[]]
    current = 0
    opening: str | None = None  # "after" or "before" at the head of the caption
    for i, token in enumerate(tokens):
        if i in named_at:
            if opening and _opening_ended(parsed.wording, named_at, i):
                current = _open_group(groups, current, later=opening != "before")
                opening = None
            groups[current].extend(named_at[i])
        elif token in LATER | EARLIER and tokens[max(i - 2, 0) : i] != ["now", "and"]:
            if any(groups):
                leads_on = not _LEADING_ON.isdisjoint(tokens[i + 1 : i + 3])
                current = _open_group(groups, current, later=token in LATER or leads_on)
            elif token in {"before", *EARLIER}:
                opening = token
    heard: dict[str, int] = {}
    for position, group in enumerate(groups):
        for label in group:
            heard.setdefault(label, position)
    ordered = (tuple(k for k in heard if heard[k] == position) for position in range(len(groups)))
    behind = _background(parsed)
    return Layout(
        groups=tuple(group for group in ordered if group),
        background=tuple(label for label in heard if label in behind),
    )


@lru_cache(maxsize=4096)
def _parse(caption: str) -> _Parsed:
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
    return _Parsed(
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


def _open_group(groups: list[list[str]], current: int, later: bool) -> int:
    """Insert an empty group after all others or just before the current one; its index."""
    position = len(groups) if later else current
    groups.insert(position, [])
    return position


def _opening_ended(wording: Wording, named_at: dict[int, list[str]], position: int) -> bool:
    """Whether the clause that opens the caption ended before the mention at ``position``.

    It ends at the first pause after its first mention or, where the mentions have no pause between
    them, at the first mention of another sound.
    """
    first = min(named_at)
    pause = min((p for p in wording.pauses if first < p <= max(named_at)), default=None)
    if pause is not None:
        return pause <= position
    return not any(_of_one_thing(named_at[first][0], label) for label in named_at[position])


def _background(parsed: _Parsed) -> set[str]:
    """The labels nearest to "in the background", "in the distance" or "distant"."""
    tokens, clauses = parsed.wording.tokens, parsed.wording.clauses
    behind: set[str] = set()
    for i, token in enumerate(tokens):
        if token not in _BEHIND and token != "distant":
            continue
        before = [mention for mention in reversed(parsed.mentions) if mention.end <= i]
        after = [mention for mention in parsed.mentions if mention.start > i]
        if token == "distant" or tokens[i + 1 : i + 2] == ["of"]:
            nearest = [*after, *before]
        else:
            clause = [m for m in (*before, *after) if clauses[m.start] == clauses[i]]
            nearest = [*clause, *before, *after]
        for one in nearest[:1]:
            behind.add(one.label)
            behind.update(
                other.label
                for other in parsed.mentions
                if clauses[other.start] == clauses[one.start]
                and _of_one_thing(other.label, one.label)
            )
    return behind


def _of_one_thing(one: str, other: str) -> bool:
    """Whether labels told in one breath tell of the same: "birds chirp", "an engine idles"."""
    near = one in as_good_as(other) or other in as_good_as(one)
    return near or one in expand(other) or other in expand(one)
