"""From samples to tables: what each system did at each load."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.serving.load import Sample

REFUSALS = (429, 503, 504)
OURS, IN_TORCH = "audiodiff", "audiodiff in torch"
GENERATE, FULL = " + generate", "litserve, full size"
"""How systems are called that are more than one server with the bundled checkpoint."""


@dataclass(frozen=True)
class Point:
    """One system at one load."""

    per_s: float
    """Requests answered with a caption, per second of load."""
    p50_ms: float
    p95_ms: float
    p99_ms: float
    refused: int
    refused_p95_ms: float
    failed: int
    resident_mb: float


def summarize(samples: Sequence[Sample], resident_mb: float) -> Point:
    """Latencies are of answered requests; nan where there are none."""
    answered = [sample for sample in samples if sample.status == 200]
    refused = [sample for sample in samples if sample.status in REFUSALS]
    span = max((sample.due + sample.latency for sample in samples), default=0.0)
    p50, p95, p99 = _percentiles(answered, 50, 95, 99)
    return Point(
        len(answered) / span if span else 0.0,
        p50,
        p95,
        p99,
        len(refused),
        _percentiles(refused, 95)[0],
        len(samples) - len(answered) - len(refused),
        resident_mb,
    )


def _percentiles(samples: Sequence[Sample], *ranks: float) -> list[float]:
    """In milliseconds."""
    if not samples:
        return [float("nan")] * len(ranks)
    return [float(np.percentile([s.latency * 1000 for s in samples], rank)) for rank in ranks]


Results = Mapping[str, Mapping[str, Point]]
"""Load -> system -> point."""


def tables(results: Results) -> list[str]:
    """One table per load."""
    lines = []
    for load, points in results.items():
        lines += [
            f"## {load}",
            "",
            "| system | req/s | p50 ms | p95 ms | p99 ms | refused | refused p95 ms | failed "
            "| MiB |",
            "|---|---|---|---|---|---|---|---|---|",
        ]
        lines += [
            f"| {name} | {p.per_s:.2f} | {p.p50_ms:.0f} | {p.p95_ms:.0f} | {p.p99_ms:.0f} "
            f"| {p.refused} | {p.refused_p95_ms:.0f} | {p.failed} | {p.resident_mb:.0f} |"
            for name, p in points.items()
        ]
        lines.append("")
    return lines


def targets(results: Results, ceiling_per_s: float, deadline_s: float) -> list[str]:
    """The figures that are wanted, beside those measured."""
    one, many = results["1 client"], results["32 clients"]
    p80, p120 = results["80% of the ceiling"], results["120% of the ceiling"]
    p300 = results["300% of the ceiling"][OURS]
    served = [name for name in p80 if name not in (OURS, IN_TORCH)]
    searching = [name for name in many if name.endswith(GENERATE)]
    rows: list[tuple[str, float, str, bool]] = []

    def at_least(name: str, value: float, wanted: float) -> None:
        rows.append((name, value, f"at least {wanted:g}", value >= wanted))

    def at_most(name: str, value: float, wanted: float) -> None:
        rows.append((name, value, f"at most {wanted:g}", value <= wanted))

    for whom, names, wanted in (
        ("the best rival with our search", served, 2),
        ("the best rival with `generate`", searching, 3),
        ("the full-size network", [FULL] if FULL in many else [], 20),
        ("the ceiling", [], 0.85),
    ):
        others = [many[name].per_s for name in names] or [ceiling_per_s]
        if names or whom == "the ceiling":
            at_least(f"throughput, 32 clients, over {whom}", many[OURS].per_s / max(others), wanted)
    if IN_TORCH in one:
        at_most(
            "p50, 1 client, over the same in torch", one[OURS].p50_ms / one[IN_TORCH].p50_ms, 0.6
        )
    if served:
        quickest = min(p80[name].p95_ms for name in served)
        at_most("p95 at 80% of the ceiling, over the best rival", p80[OURS].p95_ms / quickest, 0.6)
    for load, point in (("120%", p120[OURS]), ("300%", p300)):
        at_most(f"at {load}: p95 of accepted, seconds", point.p95_ms / 1000, deadline_s)
        if point.refused:
            at_most(f"at {load}: p95 of refusals, ms", point.refused_p95_ms, 50)
    return [
        "## Wanted",
        "",
        "| figure | measured | wanted | met |",
        "|---|---|---|---|",
        *(
            f"| {name} | {value:.2f} | {wanted} | {'yes' if met else 'NO'} |"
            for name, value, wanted, met in rows
        ),
        "",
    ]
