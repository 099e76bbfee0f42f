"""What a whole recording holds, in one sentence."""

from __future__ import annotations

from collections import defaultdict

NAMED = 4
"""Kinds of sound that are named."""


class Tally:
    """Entries by their likeliest sound: how often, and for how long."""

    def __init__(self) -> None:
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._times: defaultdict[str, int] = defaultdict(int)

    def add(self, start_s: float, end_s: float, label: str) -> None:
        """Count an entry."""
        self._seconds[label] += end_s - start_s
        self._times[label] += 1

    def sentence(self, duration_s: float) -> str:
        """What is heard for longest comes first."""
        whole = span(duration_s)
        kinds = sorted(self._seconds, key=lambda label: -self._seconds[label])
        if not kinds:
            return f"Nothing is heard in {whole}."
        named = [self._named(label) for label in kinds[:NAMED]]
        if (rest := len(kinds) - NAMED) > 0:
            named.append("one other kind" if rest == 1 else f"{rest} other kinds")
        *but_last, last = named
        listed = f"{', '.join(but_last)} and {last}" if but_last else last
        return f"Heard in {whole}: {listed}."

    def _named(self, label: str) -> str:
        times = self._times[label]
        how_often = f"{times} times, " if times > 1 else ""
        name = label.partition(" (")[0].lower()
        return f"{name} ({how_often}{span(self._seconds[label])})"


def span(seconds: float) -> str:
    """2 h 5 min, 1 min 10 s or 9 s."""
    whole = max(1, round(seconds))
    hours, minutes = whole // 3600, whole // 60 % 60
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {whole % 60} s" if minutes else f"{whole} s"
