"""``python -m benchmarks.explaining``: how long a paragraph takes, to its first words and whole.

Asks a service that runs, one question at a time, for explanations of clips of noises that it has
not heard, as server-sent events.
"""

from __future__ import annotations

import argparse
import io
import json
import time
from collections.abc import Iterator
from statistics import median

import httpx
import numpy as np
import soundfile

RATE, SECONDS = 16_000, 10


def main() -> None:
    """Print the table, as Markdown."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.explaining", description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:8000", help="the service")
    parser.add_argument("--pairs", type=int, default=20, help="questions (20)")
    arguments = parser.parse_args()
    rng = np.random.default_rng(time.time_ns())
    with httpx.Client(base_url=arguments.url, timeout=60) as client:
        found = [asked(client, clip(rng), clip(rng)) for _ in range(arguments.pairs)]
    columns = [median(column) for column in zip(*found, strict=True)]
    print("| first words, ms | whole, ms | of which the decoder's, ms | words |\n|---|---|---|---|")
    print(f"| {' | '.join(f'{value:.0f}' for value in columns)} |")


def asked(client: httpx.Client, one: bytes, other: bytes) -> tuple[float, float, float, int]:
    """Milliseconds to the first words and to the answer, of which generating; and words."""
    files = {"input": one, "reference": other}
    data = {"style": "explain", "detail": "paragraph", "num_beams": "1"}
    accept = {"accept": "text/event-stream"}
    began, first = time.perf_counter(), 0.0
    with client.stream("POST", "/difference", files=files, data=data, headers=accept) as response:
        for name, told in events(response):
            first = first or time.perf_counter() - began
            if name == "answer":
                whole = time.perf_counter() - began
                answer = json.loads(told)
                words = len(answer["caption"].split())
                return 1e3 * first, 1e3 * whole, answer["timing_ms"]["generate"], words
    raise SystemExit(f"{response.status_code}: no answer came")


def events(response: httpx.Response) -> Iterator[tuple[str, str]]:
    """Name and data of each server-sent event."""
    name = ""
    for line in response.iter_lines():
        field, _, value = line.partition(": ")
        if field == "event":
            name = value
        elif field == "data":
            yield name, value


def clip(rng: np.random.Generator) -> bytes:
    """A WAV file of bursts of noise."""
    noise = rng.normal(0, 0.05, RATE * SECONDS)
    noise *= np.repeat(rng.random(4 * SECONDS) > 0.5, RATE // 4)
    file = io.BytesIO()
    soundfile.write(file, noise, RATE, "PCM_16", format="WAV")
    return file.getvalue()


if __name__ == "__main__":
    main()
