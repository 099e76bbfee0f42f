"""The robustness benchmark's own parts: what it sends, and how it judges what comes back."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from benchmarks.ingestion.formats import Format, encode, sounds
from benchmarks.robustness import __main__ as benchmark
from benchmarks.robustness.hostile import EXPECTED
from benchmarks.robustness.mutations import BYTES, PARTS, mutant
from benchmarks.robustness.report import lines
from benchmarks.robustness.requests import TOLERANCE_S, Client, Outcome
from benchmarks.robustness.seeds import Seed, seeds
from benchmarks.robustness.trees import OGG, walk
from model.audio import decode
from tests.support.captioner import HearingCaptioner
from tests.support.threaded import in_thread

MUTANTS = len(seeds()) * len(BYTES + PARTS)
"""Every mutation of every format once."""
FORMATS = pytest.mark.parametrize("seed", seeds(), ids=lambda seed: seed.format)


# -- the mutants ------------------------------------------------------------------------------


def test_a_mutant_can_be_made_again_and_is_never_intact() -> None:
    made = [mutant(number) for number in range(MUTANTS)]
    intact = seeds()
    seeds.cache_clear()
    assert seeds() == intact
    assert made[::5] == [mutant(number) for number in range(0, MUTANTS, 5)]
    assert mutant(7, seed=1).data != made[7].data
    assert not {one.data for one in made} & {seed.data for seed in intact}
    times = Counter(one.mutation for one in made)
    assert times.keys() == {mutation.__name__ for mutation in BYTES + PARTS}
    assert max(len(one.data) for one in made) < 16 << 20


@FORMATS
def test_what_is_put_together_unchanged_sounds_the_same(seed: Seed) -> None:
    if seed.dialect is None:
        return
    tree = seed.tree()
    assert any(seed.dialect.sound(nodes[place]) for nodes, place in walk(tree))
    written = decode(seed.dialect.write(tree), 8000)
    assert written.duration_s == decode(seed.data, 8000).duration_s
    assert written.source.warnings == ()


def test_checksums_of_ogg_are_those_that_ffmpeg_writes() -> None:
    written = encode(sounds(48_000, 0.5)[0], Format("", "ogg", "libopus", 48_000))
    pages = OGG.parse(written)
    assert OGG.write(pages) == written
    pages[2].body = b"\x01\x01\x00"
    assert OGG.write(pages)[: len(written) // 2] != written[: len(written) // 2]


@FORMATS
def test_tags_take_nothing_of_the_sound_away(seed: Seed) -> None:
    whole = decode(seed.data, 8000).duration_s
    tagged = [
        made
        for number in range(seeds().index(seed), 3 * MUTANTS, len(seeds()))
        if (made := mutant(number)).mutation == "tag"
    ]
    assert tagged or seed.format in ("amr", "wma")
    for made in tagged:
        assert made.known
        assert decode(made.data, 8000).duration_s >= whole - TOLERANCE_S


def test_a_case_is_written_to_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--case", "20", "--seed", "3", "--output", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["_", *arguments])
    assert benchmark.main() == 0
    assert Path(capsys.readouterr().out.strip()).read_bytes() == mutant(20, 3).data


# -- the requests -----------------------------------------------------------------------------


def judged(answer: Callable[[int], httpx.Response], kind: str, number: int) -> Outcome:
    """What becomes of a request; ``answer`` is told how many came before."""
    came = 0

    def respond(request: httpx.Request) -> httpx.Response:
        nonlocal came
        if request.url.path == "/info":
            return httpx.Response(200, json={"limits": {"request_timeout_s": 30}})
        came += 1
        return answer(came - 1)

    async def run() -> Outcome:
        client = Client("http://there", 0, httpx.MockTransport(respond))
        await client.start()
        outcome: Outcome = await getattr(client, kind)(number)
        await client.close()
        return outcome

    return asyncio.run(run())


def heard(caption: str = "a dog", seconds: float = 1.5, *warnings: str) -> httpx.Response:
    audio = {"duration_s": seconds, "warnings": warnings}
    body: dict[str, Any] = {"caption": caption, "audio": audio, "input": audio, "reference": audio}
    return httpx.Response(200, json=body)


def then(last: httpx.Response | Exception) -> Callable[[int], httpx.Response]:
    """Every intact file is heard at the start; after that comes ``last``."""

    def answer(before: int) -> httpx.Response:
        if before < len(seeds()):
            return heard()
        if isinstance(last, Exception):
            raise last
        return last

    return answer


@pytest.mark.parametrize(
    ("last", "fault"),
    [
        (heard(), ""),
        (heard("a cat"), "described as 'a cat', formerly 'a dog'"),
        (httpx.Response(429, json={}), ""),
        (httpx.Response(422, json={}), "answered 422"),
        (httpx.Response(504, json={}), "hang"),
        (httpx.ReadError("reset"), "the connection broke"),
    ],
)
def test_an_intact_file_is_described_as_at_the_start(
    last: httpx.Response | Exception, fault: str
) -> None:
    assert judged(then(last), "good", 5).fault == fault


@pytest.mark.parametrize(
    ("last", "fault"),
    [
        (heard("a cat"), ""),
        (httpx.Response(422, json={"detail": "file: its decoder crashed, or"}), ""),
        (httpx.Response(503, json={}), ""),
        (httpx.Response(500, json={}), "answered 500"),
        (httpx.Response(504, json={}), "hang"),
    ],
)
def test_a_mutant_is_heard_or_refused(last: httpx.Response, fault: str) -> None:
    for number in (0, 7, 15):  # a caption, and both sides of a difference
        outcome = judged(then(last), "bad", number)
        assert outcome.fault == fault
        assert outcome.crashed == (last.status_code == 422)


def test_sound_is_lost_where_it_must_be_there_and_nothing_is_said() -> None:
    known, unknown = (
        next(n for n in range(MUTANTS) if mutant(n).known is known) for known in (True, False)
    )
    assert judged(then(heard(seconds=1.0)), "bad", known).lost_s == pytest.approx(0.45)
    assert judged(then(heard("", 1.0, "0.5 s are missing.")), "bad", known).lost_s == 0
    assert judged(then(heard(seconds=1.47)), "bad", known).lost_s == 0
    assert judged(then(heard(seconds=1.0)), "bad", unknown).lost_s == 0


# -- the whole --------------------------------------------------------------------------------


def test_hostile_clients_get_what_the_service_answers_them() -> None:
    async def run(port: int) -> list[Outcome]:
        client = Client(f"http://127.0.0.1:{port}", 0)
        await client.start()
        outcomes = [await client.hostile(number) for number in range(len(EXPECTED))]
        assert await client.ready()
        await client.close()
        return outcomes

    with in_thread(HearingCaptioner(), request_timeout_s=5) as port:
        outcomes = asyncio.run(run(port))
    assert [one.name for one in outcomes] == [client.__name__ for client in EXPECTED]
    assert {one.name: one.fault for one in outcomes if one.fault} == {}


def test_a_run_reports_and_keeps_what_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--minutes", "0.02", "--mix", "good=1,bad=3", "--output", str(tmp_path)]
    with in_thread(HearingCaptioner()) as port:
        monkeypatch.setattr(sys, "argv", ["_", *arguments, "--url", f"http://127.0.0.1:{port}"])
        assert benchmark.main() == 0
    shown = capsys.readouterr().out
    assert "| bad | " in shown
    assert "Faults: none." in shown
    assert "Ready at the end: yes." in shown
    assert not [*tmp_path.iterdir()]

    async def failing(_: Client, number: int) -> Outcome:
        return Outcome("bad", number, "wav", "flip", 500, 0.1, fault="answered 500")

    monkeypatch.setattr(Client, "bad", failing)
    with in_thread(HearingCaptioner()) as port:
        monkeypatch.setattr(sys, "argv", ["_", *arguments, "--url", f"http://127.0.0.1:{port}"])
        assert benchmark.main() == 1
    kept = [json.loads(line) for line in (tmp_path / "faults.jsonl").read_text().splitlines()]
    assert kept[0]["fault"] == "answered 500"
    (first,) = tmp_path.glob("0-0-*")
    assert first.read_bytes() == mutant(0).data


def test_the_report_counts_by_kind_format_and_mutation() -> None:
    outcomes = [
        *[Outcome("good", n, "wav", "", 200, 0.1) for n in range(3)],
        Outcome("bad", 0, "wav", "tag", 200, 0.2, lost_s=0.5),
        Outcome("bad", 1, "flac", "flip", 422, 0.3, crashed=True),
        Outcome("bad", 2, "flac", "flip", -1, 40.0, fault="hang"),
    ]
    memory = [(0, 100.0), (500, 110.0), (550, 112.0), (9000, 111.0)]
    shown = [*lines(outcomes, memory, 60)]
    assert "| kind | requests | 422 | 200 | hangs | warned | median s | slowest s |" in shown
    assert "| flac | 2 | 1 | 0 | 1 | 0 | 20.15 | 40.00 |" in shown
    assert "| tag | 1 | 0 | 1 | 0 | 0 | 0.20 | 0.20 |" in shown
    assert "Sound lost without a warning: 0.50 s, in 1 files." in shown
    assert "Decoders that a file ended: 1." in shown
    text = "Memory: 100 MiB at the start, 111 after 500 requests, 110 at the end, 112 at most."
    assert text in shown
    assert "Faults: 1 x hang." in shown
