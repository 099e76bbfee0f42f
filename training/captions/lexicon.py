"""Which kinds of sound a sentence names, and in which order of time.

A kind is one of ``training.captions.kinds.KINDS``. ``lexicon.json`` holds the words that name it,
this module matches them:

1. A caption is lower-cased, stripped of punctuation and split at spaces into tokens.
2. Phrases are matched longest first, then left to right; each token is consumed once. A phrase's
   words may come in any order (a dripping tap, the tap drips), with fillers between them (the tap
   [is slowly] dripping), but no punctuation.
3. A plain word matches itself and its plural, ``word~`` the forms of a regular verb.
4. A word that names a kind on its own, but says what another kind does that its clause is about,
   names the latter: where crickets chirp, "chirp" is no bird's.
"""

from __future__ import annotations

import itertools
import json
import re
import string
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from training.captions.kinds import KINDS

_NEUTRAL = "neutral"
_PUNCTUATION = str.maketrans("", "", string.punctuation)
_PAUSES = ",;:."
_DETERMINERS = frozenset({"a", "an", "the"})
_POSSESSIVES = frozenset({"its", "their", "his", "her"})
_PRONOUNS = frozenset({"it", "they", "he", "she"})
# "Whistling comes from a person" has a subject of its own.
_COME = frozenset({"come", "comes", "coming"})

# What a caption tells after one of these came later, or earlier, than what it told before.
_LATER = frozenset({"then", "before", "followed", "until", "afterwards", "finally"})
_EARLIER = frozenset({"after", "following"})
# "After which", "after a while" and "after some time" lead on; they do not look back.
_LEADING_ON = frozenset({"which", "that", "this", "while", "awhile", "time", "seconds"})
_CLAUSE_STARTS = _LATER.union(
    _EARLIER, {"and", "as", "but", "while", "whilst", "when", "with", "amid", "during"}
)
_BEHIND = frozenset({"background", "backdrop", "distance"})


@dataclass(frozen=True)
class Mention:
    """A kind, and the tokens ``start`` to ``end`` (exclusive) of the caption that name it."""

    kind: str
    start: int
    end: int


@dataclass(frozen=True)
class Layout:
    """When a caption's sounds are heard."""

    groups: tuple[tuple[str, ...], ...]
    """The kinds in order of time, those of a group together; each kind once."""
    background: tuple[str, ...]
    """Those of them that are in the background or in the distance."""


@dataclass(frozen=True)
class _Lexicon:
    phrases: dict[tuple[str, ...], str]
    """Inflected phrase, its words sorted -> the kind, other sound or ``_NEUTRAL`` it names."""
    does: dict[str, frozenset[str]]
    """Kind or other sound -> the inflected words that say what it does."""
    fillers: frozenset[str]
    words: dict[int, frozenset[str]]
    """Number of words, most first -> the words that phrases of so many words are made of."""


@dataclass(frozen=True)
class _Parsed:
    tokens: list[str]
    pauses: set[int]
    """The tokens that follow punctuation."""
    clauses: list[int]
    """Per token the first token of its clause."""
    matches: list[Mention]
    """Of kinds, other sounds and neutral phrases, in the order of the tokens."""


def normalize_caption(caption: str) -> str:
    """Lower case, ASCII punctuation deleted (the DCASE 2023 task 6A baseline), single spaces."""
    return " ".join(caption.translate(_PUNCTUATION).lower().split())


def kinds_named(caption: str) -> list[Mention]:
    """The kinds that ``caption`` names, in the order of its words; a kind may be named again.

    Token positions are those of ``normalize_caption(caption).split()``.
    """
    return _kinds_named(_parse(caption))


def only_known_sounds(caption: str) -> bool:
    """Whether ``caption`` names a kind, and no word of it speaks of anything that is no kind.

    Every token must be part of a match, say what a named kind does, or be neutral. Words that deny
    a sound or end it (no, without, stops) are none of these.
    """
    parsed = _parse(caption)
    named = {match.kind for match in parsed.matches} - {_NEUTRAL}
    if not named or not named.issubset(KINDS):
        return False
    matched = {i for match in parsed.matches for i in range(match.start, match.end)}
    deeds = frozenset().union(*(_lexicon().does[kind] for kind in named))
    return all(i in matched or token in deeds for i, token in enumerate(parsed.tokens))


def layout(caption: str) -> Layout:
    """When the kinds that ``caption`` names are heard, as far as its words tell.

    "X then Y", "X before Y" and "X followed by Y" put Y after X, and so do "Y after X" and "After
    X, Y"; all else (and, while, as, with) is simultaneous. A kind named again counts where it is
    heard first.
    """
    parsed = _parse(caption)
    mentions = _kinds_named(parsed)
    kind_at = {mention.start: mention.kind for mention in mentions}
    groups: list[list[str]] = [[]]
    current = 0
    opening: str | None = None  # "after" or "before" at the head of the caption
    for i, token in enumerate(parsed.tokens):
        if i in kind_at:
            if opening and _opening_ended(parsed, kind_at, i):
                current = _open_group(groups, current, later=opening != "before")
                opening = None
            groups[current].append(kind_at[i])
        elif token in _LATER | _EARLIER and parsed.tokens[max(i - 2, 0) : i] != ["now", "and"]:
            if any(groups):
                leads_on = not _LEADING_ON.isdisjoint(parsed.tokens[i + 1 : i + 3])
                current = _open_group(groups, current, later=token in _LATER or leads_on)
            elif token in {"before", *_EARLIER}:
                opening = token
    heard: dict[str, int] = {}
    for position, group in enumerate(groups):
        for kind in group:
            heard.setdefault(kind, position)
    ordered = (tuple(k for k in heard if heard[k] == position) for position in range(len(groups)))
    behind = _background(parsed, mentions)
    return Layout(
        groups=tuple(group for group in ordered if group),
        background=tuple(kind for kind in heard if kind in behind),
    )


def forms(word: str) -> tuple[str, ...]:
    """The forms that a word of the lexicon matches: "fly" -> fly, flies; "hum~" -> hum, hums, ...

    Regular English only: -s or -es, y to ies, and for verbs -ed and -ing with a final e dropped
    and a final consonant doubled after a single vowel.
    """
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
def _lexicon() -> _Lexicon:
    data = json.loads(Path(__file__).with_name("lexicon.json").read_text(encoding="utf-8"))
    entries = data["kinds"] | data["others"]
    listed = {label: entry["names"] for label, entry in entries.items()}
    phrases: dict[tuple[str, ...], str] = {}
    for label, names_ in (listed | {_NEUTRAL: data["neutral"]}).items():
        for name in names_:
            for words in itertools.product(*(forms(word) for word in name.split())):
                if phrases.setdefault(tuple(sorted(words)), label) != label:
                    raise ValueError(f"lexicon.json: {' '.join(words)!r} names two kinds")
    lengths = sorted({len(words) for words in phrases}, reverse=True)
    return _Lexicon(
        phrases=phrases,
        does={
            label: frozenset(form for word in entry["does"] for form in forms(word))
            for label, entry in entries.items()
        },
        fillers=frozenset(data["fillers"]),
        words={
            length: frozenset(word for words in phrases if len(words) == length for word in words)
            for length in lengths
        },
    )


def _parse(caption: str) -> _Parsed:
    tokens: list[str] = []
    pauses: set[int] = set()
    clauses: list[int] = []
    for word in caption.split():
        if token := normalize_caption(word):
            starts = token in _CLAUSE_STARTS and tokens and tokens[-1] not in _CLAUSE_STARTS
            new_clause = not tokens or starts or len(tokens) in pauses
            clauses.append(len(tokens) if new_clause else clauses[-1])
            tokens.append(token)
        if word[-1] in _PAUSES:
            pauses.add(len(tokens))
    return _Parsed(tokens, pauses, clauses, _matches(tokens, pauses))


def _matches(tokens: list[str], pauses: set[int]) -> list[Mention]:
    taken: set[int] = set()
    found = []
    for length in _lexicon().words:
        for start in range(len(tokens)):
            match = _match(tokens, pauses, start, length)
            if match and taken.isdisjoint(range(match.start, match.end)):
                found.append(match)
                taken.update(range(match.start, match.end))
    return sorted(found, key=lambda match: match.start)


def _match(tokens: list[str], pauses: set[int], start: int, length: int) -> Mention | None:
    """The phrase of ``length`` words that begins at ``start``, if one does."""
    lexicon = _lexicon()
    words: list[str] = []
    for position in range(start, len(tokens)):
        if words and position in pauses:
            return None
        if tokens[position] in lexicon.words[length]:
            words.append(tokens[position])
        elif not words or tokens[position] not in lexicon.fillers:
            return None
        if len(words) == length:
            label = lexicon.phrases.get(tuple(sorted(words)))
            return Mention(label, start, position + 1) if label else None
    return None


def _kinds_named(parsed: _Parsed) -> list[Mention]:
    sounds: list[Mention] = []
    for match in parsed.matches:
        if match.kind != _NEUTRAL:
            previous = sounds[-1] if sounds else None
            sounds.append(replace(match, kind=_doer(parsed, match, previous)))
    return [sound for sound in sounds if sound.kind in KINDS]


def _doer(parsed: _Parsed, match: Mention, previous: Mention | None) -> str:
    """What ``match`` names: another sound, of which its clause speaks, or else its own."""
    if match.end - match.start > 1:
        return match.kind
    clause = parsed.clauses[match.start]
    doers = [other.kind for other in parsed.matches if parsed.clauses[other.start] == clause]
    does = _lexicon().does
    has_source = not _COME.isdisjoint(parsed.tokens[match.end : match.end + 2])
    if previous and not has_source:
        # "A train passes and blows its horn": the previous sound is still the subject.
        owned = parsed.tokens[match.start - 1] in _POSSESSIVES
        if owned or _head(parsed, clause) in does[previous.kind]:
            doers.append(previous.kind)
    word = parsed.tokens[match.start]
    return next((d for d in doers if d != match.kind and word in does.get(d, ())), match.kind)


def _head(parsed: _Parsed, clause: int) -> str:
    """The first word of a clause that says something; a determiner, unless "with" leads it."""
    skipped = _CLAUSE_STARTS | _PRONOUNS | _lexicon().fillers
    if parsed.tokens[clause] != "with":
        skipped -= _DETERMINERS | _POSSESSIVES
    return next((token for token in parsed.tokens[clause:] if token not in skipped), "")


def _open_group(groups: list[list[str]], current: int, later: bool) -> int:
    """Insert an empty group after all others or just before the current one; its index."""
    position = len(groups) if later else current
    groups.insert(position, [])
    return position


def _opening_ended(parsed: _Parsed, kind_at: dict[int, str], position: int) -> bool:
    """Whether the clause that opens the caption ended before the mention at ``position``.

    It ends at the first pause after its first mention or, where the mentions have no pause between
    them, at the first mention of another kind.
    """
    first = min(kind_at)
    pause = min((p for p in parsed.pauses if first < p <= max(kind_at)), default=None)
    return kind_at[position] != kind_at[first] if pause is None else pause <= position


def _background(parsed: _Parsed, mentions: list[Mention]) -> set[str]:
    """The kinds nearest to "in the background", "in the distance" or "distant"."""
    behind: set[str] = set()
    for i, token in enumerate(parsed.tokens):
        if token not in _BEHIND and token != "distant":
            continue
        before = [mention for mention in reversed(mentions) if mention.end <= i]
        after = [mention for mention in mentions if mention.start > i]
        if token == "distant" or parsed.tokens[i + 1 : i + 2] == ["of"]:
            nearest = [*after, *before]
        else:
            clause = [m for m in (*before, *after) if parsed.clauses[m.start] == parsed.clauses[i]]
            nearest = [*clause, *before, *after]
        behind.update(mention.kind for mention in nearest[:1])
    return behind
