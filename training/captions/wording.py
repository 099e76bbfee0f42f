"""The words of ``sounds.json``, and where they stand in a sentence.

1. A caption is lower-cased, stripped of punctuation and split at spaces into tokens, and these into
   clauses, at punctuation and at words such as "and", "as", "while", "with".
2. Phrases are matched longest first, then left to right; each token is consumed once. A phrase's
   words may come in any order (a dripping tap, the tap drips), with fillers between them (the tap
   [is slowly] dripping), but no punctuation.
3. A plain word matches itself and its plural, ``word~`` the forms of a regular verb.
"""

from __future__ import annotations

import itertools
import json
import re
import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from training.captions.ontology import LABELS, expand

_PUNCTUATION = str.maketrans("", "", string.punctuation)
_PAUSES = ",;:."
_ANY_SOUND = "sound"  # the kin of all labels, but of no subject

# What a caption tells after one of these came later, or earlier, than what it told before.
LATER = frozenset({"then", "before", "followed", "until", "afterwards", "finally", "proceeded"})
EARLIER = frozenset({"after", "following"})
CLAUSE_STARTS = LATER | EARLIER
CLAUSE_STARTS |= {"and", "as", "but", "while", "whilst", "when", "with", "amid", "during"}
CLAUSE_STARTS |= {"alongside", "accompanied"}


@dataclass(frozen=True, eq=False)
class Entry:
    """What a phrase means."""

    role: str
    """ "sound", "subject", "action" or "neutral"."""
    label: str = ""
    """Of a sound or a subject."""
    by: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Of an action: who does it -> the labels that it names then, besides the doer."""
    otherwise: tuple[str, ...] | None = None
    """Of an action: the labels that it names if none of these does it; None if it tells nothing."""


@dataclass(frozen=True)
class Match:
    """A phrase, and the tokens ``start`` to ``end`` (exclusive) that it was found in."""

    entry: Entry
    start: int
    end: int


@dataclass(frozen=True)
class Wording:
    """A caption taken apart."""

    tokens: list[str]
    pauses: set[int]
    """The tokens that follow punctuation."""
    clauses: list[int]
    """Per token the first token of its clause."""
    matches: list[Match]
    """In the order of the tokens."""


@dataclass(frozen=True)
class Lexicon:
    """``sounds.json``, compiled."""

    phrases: dict[tuple[str, ...], Entry]
    """Inflected phrase, its words sorted -> its meaning."""
    kin: dict[str, tuple[str, ...]]
    """Label or subject -> itself, the groups that it is of and its ancestors, nearest first."""
    fillers: frozenset[str]
    longest: dict[str, int]
    """Word -> the number of words of the longest phrase that holds it."""


def normalize_caption(caption: str) -> str:
    """Lower case, ASCII punctuation deleted (the DCASE 2023 task 6A baseline), single spaces."""
    return " ".join(caption.translate(_PUNCTUATION).lower().split())


def take_apart(caption: str) -> Wording:
    """The tokens of ``caption``, its clauses and the phrases of the lexicon in it."""
    tokens: list[str] = []
    pauses: set[int] = set()
    clauses: list[int] = []
    for word in caption.split():
        if token := normalize_caption(word):
            starts = token in CLAUSE_STARTS and tokens and tokens[-1] not in CLAUSE_STARTS
            new_clause = not tokens or starts or len(tokens) in pauses
            clauses.append(len(tokens) if new_clause else clauses[-1])
            tokens.append(token)
        if word[-1] in _PAUSES:
            pauses.add(len(tokens))
    return Wording(tokens, pauses, clauses, _matches(tokens, pauses))


def _matches(tokens: list[str], pauses: set[int]) -> list[Match]:
    found = [match for start in range(len(tokens)) for match in _phrases_at(tokens, pauses, start)]
    found.sort(key=lambda item: (-item[0], item[1].start))
    taken: set[int] = set()
    kept = []
    for _, match in found:
        span = range(match.start, match.end)
        if taken.isdisjoint(span):
            taken.update(span)
            kept.append(match)
    return sorted(kept, key=lambda match: match.start)


def _phrases_at(tokens: list[str], pauses: set[int], start: int) -> list[tuple[int, Match]]:
    """The phrases that begin at ``start``, with their numbers of words."""
    lexicon = load()
    found = []
    words: tuple[str, ...] = ()
    limit = 1
    for position in range(start, len(tokens)):
        token = tokens[position]
        longest = lexicon.longest.get(token, 0)
        if words and (position in pauses or len(words) >= limit):
            break
        if longest > len(words):
            limit = min(limit, longest) if words else longest
            words = tuple(sorted((*words, token)))
            if entry := lexicon.phrases.get(words):
                found.append((len(words), Match(entry, start, position + 1)))
        elif not words or token not in lexicon.fillers:
            break
    return found


def forms(word: str) -> tuple[str, ...]:
    """The forms that a word of the lexicon matches: "fly" -> fly, flies; "hum~" -> hum, hums, ...

    Regular English only: -s or -es, y to ies, and for verbs -ed and -ing with a final e dropped
    and a final consonant doubled after a single vowel. ``word!`` matches itself alone.
    """
    if word.endswith("!"):
        return (word[:-1],)
    base = word.removesuffix("~")
    if re.search(r"[^aeiou]y$", base):
        third, past = base[:-1] + "ies", base[:-1] + "ied"
    else:
        third = base + ("es" if re.search(r"(s|x|z|ch|sh)$", base) else "s")
        past = base + ("d" if base.endswith("e") else "ed")
    if base == word:
        return base, third
    if re.fullmatch(r"[^aeiou]*[aeiou][^aeiouwxy]", base):
        return base, third, base + base[-1] + "ed", base + base[-1] + "ing"
    return base, third, past, re.sub(r"([^e])e$", r"\1", base) + "ing"


@cache
def load() -> Lexicon:
    """``sounds.json``, read once.

    Raises:
        ValueError: if a phrase has two meanings, or a label or group does not exist.
    """
    data = read()
    groups = data["groups"]
    known = {*LABELS, *data["subjects"], *groups, _ANY_SOUND}
    listed: list[tuple[str, Entry]] = []
    for theme in data["sounds"].values():
        for label, phrases in theme.items():
            listed += [(phrase, Entry("sound", label)) for phrase in phrases]
    for label, phrases in data["subjects"].items():
        listed += [(phrase, Entry("subject", label)) for phrase in phrases]
    for theme in data["actions"].values():
        for action in theme:
            listed += [(phrase, _action(action, data["tables"])) for phrase in action["words"]]
    for phrases in data["neutral"].values():
        listed += [(phrase, Entry("neutral")) for phrase in phrases]

    compiled: dict[tuple[str, ...], Entry] = {}
    longest: dict[str, int] = {}
    for phrase, entry in listed:
        named = {entry.label, *itertools.chain(*entry.by.values(), entry.otherwise or ())} - {""}
        if unknown := (named | entry.by.keys()) - known:
            raise ValueError(f"sounds.json: {phrase!r} speaks of {sorted(unknown)}, unknown")
        readings = itertools.product(*(forms(word) for word in phrase.split()))
        for words in dict.fromkeys(tuple(sorted(reading)) for reading in readings):
            if words in compiled:
                raise ValueError(f"sounds.json: {' '.join(words)!r} has two meanings")
            compiled[words] = entry
            for word in words:
                longest[word] = max(longest.get(word, 0), len(words))
    return Lexicon(
        phrases=compiled,
        kin={label: _kin(label, groups) for label in known},
        fillers=frozenset(data["fillers"]),
        longest=longest,
    )


@cache
def read() -> Any:
    """``sounds.json`` as it stands."""
    return json.loads(Path(__file__).with_name("sounds.json").read_text(encoding="utf-8"))


def _action(action: dict[str, Any], tables: dict[str, dict[str, str | list[str]]]) -> Entry:
    by = tables[action["table"]] if "table" in action else {}
    by = by | dict.fromkeys(action.get("plain", ()), "") | action.get("by", {})
    otherwise = action.get("else")
    return Entry(
        role="action",
        by={doer: _labels(labels) for doer, labels in by.items()},
        otherwise=None if otherwise is None else _labels(otherwise),
    )


def _labels(labels: str | list[str]) -> tuple[str, ...]:
    return tuple(labels) if isinstance(labels, list) else (labels,) if labels else ()


def _kin(label: str, groups: dict[str, list[str]]) -> tuple[str, ...]:
    """``label`` and what it is a case of, the nearest first."""
    line = [label]
    for member in line:
        above = [group for group, members in groups.items() if member in members]
        if member in LABELS:
            above += expand(member)
        line += [group for group in above if group not in line]
    return (*line, _ANY_SOUND) if label in LABELS else tuple(line)
