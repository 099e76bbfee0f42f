"""When the sounds that a sentence names are heard, as far as its words tell."""

from __future__ import annotations

from dataclasses import dataclass

from training.captions.ontology import expand
from training.captions.sounds import Parsed, as_good_as, parse
from training.captions.wording import EARLIER, LATER, Wording

# "After which", "after a while" and "after some time" lead on; they do not look back.
_LEADING_ON = frozenset({"which", "that", "this", "while", "awhile", "time", "seconds"})
_BEHIND = frozenset({"background", "backdrop", "distance"})


@dataclass(frozen=True)
class Layout:
    """When sounds are heard: those of a caption, as labels, or of a scene, as its kinds."""

    groups: tuple[tuple[str, ...], ...]
    """The sounds in order of time, those of a group together; each once."""
    background: tuple[str, ...]
    """Those of them that are in the background or in the distance."""


def layout(caption: str) -> Layout:
    """When the labels that ``caption`` names are heard.

    "X then Y", "X before Y" and "X followed by Y" put Y after X, and so do "Y after X" and "After
    X, Y"; all else (and, while, as, with) is simultaneous. A label named again counts where it is
    heard first.
    """
    parsed = parse(caption)
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


def _background(parsed: Parsed) -> set[str]:
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
