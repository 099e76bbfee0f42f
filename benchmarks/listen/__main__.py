"""``python -m benchmarks.listen hour|day|outage|cost``: a stream against its own background.

``hour``: in an hour of a constant hum, or of a street, 30 recordings, each of another kind: how
many are told, how many tells are false, how late. ``day``: 24 hours of stream, by a model that
costs nothing: what the process holds. ``outage``: a webhook that is down for ten minutes, and a
sender that ends meanwhile: what arrives. ``cost``: what a window costs the model.
"""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from benchmarks.listen import cost, day, hour, outage
from service.settings import BUNDLED


def main() -> None:
    """Print one report, as Markdown."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.listen", description=__doc__)
    parts = parser.add_subparsers(dest="part", required=True)
    one = parts.add_parser("hour")
    one.add_argument("--esc50", type=Path, help="ESC-50's folder; else sounds made in code")
    one.add_argument("--folds", type=int, nargs="+", default=[5], help="of ESC-50 (5)")
    one.add_argument("--above", type=float, nargs="+", default=[20, 10, 0], help="dB (20 10 0)")
    one.add_argument("--seed", type=int, default=0)
    one.add_argument("--model", type=Path, default=BUNDLED)
    one.add_argument("--street", action="store_true", help="of ESC-50's recordings; else a hum")
    one.add_argument("--each", action="store_true", help="say what became of each recording")
    two = parts.add_parser("day")
    two.add_argument("--hours", type=int, default=24)
    three = parts.add_parser("outage")
    three.add_argument("--seconds", type=float, default=600, help="that the webhook is down (600)")
    four = parts.add_parser("cost")
    four.add_argument("--model", type=Path, default=BUNDLED)
    arguments = parser.parse_args()
    if arguments.part == "hour":
        if arguments.street and not arguments.esc50:
            parser.error("--street needs --esc50")
        lines = hour.report(
            arguments.model,
            arguments.esc50,
            arguments.folds,
            arguments.above,
            arguments.seed,
            in_street=arguments.street,
            each=arguments.each,
        )
    elif arguments.part == "day":
        lines = day.report(arguments.hours)
    elif arguments.part == "outage":
        lines = outage.report(arguments.seconds)
    else:
        lines = cost.report(arguments.model)

    async def show() -> None:
        async for line in lines:
            print(line, flush=True)

    asyncio.run(show())


if __name__ == "__main__":
    main()
