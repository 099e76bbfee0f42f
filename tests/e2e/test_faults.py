"""What the service does when clips are poisoned, clients vanish or dawdle, and too much comes.

Every test meets a server process over real sockets; its captioner is ``Faulty``.
"""

from __future__ import annotations

import itertools
import select
import signal
import socket
import struct
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial

import httpx
import numpy as np
import pytest

from tests.support.audio import by_soundfile
from tests.support.captioner import POISON, clip
from tests.support.client import WAIT_S, assert_problem, eventually, in_parallel, multipart
from tests.support.process import Process, serving

BATCH = 16


@pytest.fixture(scope="module")
def shared() -> Iterator[Process]:
    """A process for tests that leave it as it was."""
    patience = {"request_timeout_s": 10 * WAIT_S}
    with serving(max_batch_size=BATCH, max_queue=512, **patience) as process:
        yield process


def queued(process: Process, calls: Sequence[Callable[[], httpx.Response]]) -> list[httpx.Response]:
    """The answers to calls that all wait in the queue before the model begins with any."""
    with ThreadPoolExecutor(len(calls)) as pool:
        with process.occupied():
            futures = [pool.submit(call) for call in calls]
            eventually(lambda: process.metric("queue_depth") == len(calls))
        return [future.result() for future in futures]


def said(response: httpx.Response) -> str:
    """The caption of an answer, which must be 200."""
    assert response.status_code == 200, response.text
    caption: str = response.json()["caption"]
    return caption


def status(connection: socket.socket) -> int:
    """The status of the answer that comes on a connection."""
    line = b""
    while len(line) < 12:
        more = connection.recv(4096)
        assert more, f"the connection closed after {line!r}"
        line += more
    return int(line[9:12])


# -- faults of the model ----------------------------------------------------------------------


def test_a_poisoned_clip_alone_gets_an_error(shared: Process) -> None:
    before = len(shared.tell()["encoded"])
    numbers = [*range(100, 108), POISON, *range(108, 115)]
    answers = queued(shared, [partial(shared.caption, clip(number)) for number in numbers])
    batch = shared.tell()["encoded"][before + 1]
    assert sorted(batch) == sorted(numbers), "they were one batch of 16"
    for number, answer in zip(numbers, answers, strict=True):
        if number == POISON:
            assert "secret" not in assert_problem(answer, 500)["detail"]
        else:
            assert said(answer) == f"sound {number}"
    assert said(shared.caption(clip(115))) == "sound 115"


@pytest.mark.parametrize("stage", ["encode", "describe"])
def test_a_fault_that_passes_is_noticed_by_nobody(shared: Process, stage: str) -> None:
    first = {"encode": 1000, "describe": 2000}[stage]
    before = shared.tell(f"fail {stage}")["failures"]
    numbers = range(first, first + 200)
    answers = queued(shared, [partial(shared.caption, clip(number)) for number in numbers])
    report = shared.tell("fail nothing")
    assert report["failures"] - before >= 4, "every third batch failed, a dozen being the least"
    assert [said(answer) for answer in answers] == [f"sound {number}" for number in numbers]
    if stage == "describe":  # what was encoded when describing failed is not encoded again
        times = Counter(itertools.chain(*report["encoded"]))
        assert {times[number] for number in numbers} == {1}


# -- clients that leave or dawdle -------------------------------------------------------------


def test_clients_that_leave_the_queue_are_not_computed(shared: Process) -> None:
    in_parallel(32, [partial(shared.caption, clip(3000 + i)) for i in range(64)])  # all threads
    start = shared.tell("weigh")
    cancelled = shared.metric("cancelled_total")

    with shared.occupied(), ExitStack() as stack:
        connections = [
            stack.enter_context(shared.send(multipart(file=clip(4000 + i)))) for i in range(400)
        ]
        eventually(lambda: shared.metric("queue_depth") == 400)
        for i, connection in enumerate(connections):
            if i % 2:  # half of them go with a reset
                linger = struct.pack("ii", 1, 0)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            connection.close()
        eventually(lambda: shared.metric("cancelled_total") == cancelled + 400)
        assert shared.metric("queue_depth") == shared.metric("queue_audio_seconds") == 0

    assert said(shared.caption(clip(5000))) == "sound 5000"
    end = shared.tell()
    assert end["encoded"][len(start["encoded"]) :] == [[0], [5000]]
    assert shared.metric("requests_total", status="499") == cancelled + 400
    for kind in ("fds", "tasks", "threads"):
        # Up to eight connections of the test itself are kept open.
        eventually(lambda kind=kind: shared.tell("weigh")[kind] <= start[kind] + 16)  # type: ignore[misc]


def test_slow_senders_hold_up_nobody(shared: Process) -> None:
    bodies = [multipart(file=clip(number)) for number in range(5100, 5132)]
    answered = shared.metric("requests_total", endpoint="/caption")
    with ExitStack() as stack:
        slow = [stack.enter_context(shared.send(body[:-20], len(body))) for body in bodies]
        assert shared.metric("requests_total", endpoint="/caption") == answered
        for i in range(20):
            for body, connection in zip(bodies, slow, strict=True):
                connection.sendall(body[i - 20 :][:1])
            assert said(shared.caption(clip(5200 + i))) == f"sound {5200 + i}"
        assert [status(connection) for connection in slow] == [200] * 32


def test_who_never_sends_the_rest_is_answered_at_the_deadline() -> None:
    body = multipart(file=clip(1))
    with serving(request_timeout_s=1) as process, ExitStack() as stack:
        length = len(body) + 10_000_000
        dawdling = [stack.enter_context(process.send(body, length)) for _ in range(32)]
        while not select.select(dawdling, [], [], 0.02)[0]:  # until one of them is answered
            for connection in dawdling:
                connection.sendall(b"-")
        assert [status(connection) for connection in dawdling] == [504] * 32
        eventually(lambda: process.metric("requests_total", status="504") == 32)
        assert process.metric("rejections_total", reason="deadline-passed") == 32
        assert process.metric("cancelled_total") == 0
        assert process.tell()["encoded"] == []


# -- files that hang or crash their decoder ---------------------------------------------------


def test_files_that_hang_or_crash_their_decoder_harm_nobody_and_do_not_stop_the_end() -> None:
    sounds = [by_soundfile(np.full(16_000 * seconds, 0.1), 16_000) for seconds in (1, 2, 3)]
    # So long a limit that the hanging file is not given up before the end.
    with serving("Isolated", max_audio_seconds=60_000, drain_timeout_s=1) as process:
        eventually(lambda: process.metric("decoders_ready") == 2)
        with ExitStack() as stack:
            stack.enter_context(process.send(multipart(file=b"sleep")))
            for seconds, sound in enumerate(sounds, start=1):
                answer = assert_problem(process.caption(b"crash"), 422)
                assert answer["detail"].startswith("file: The file cannot be decoded")
                assert said(process.caption(sound)) == f"sound {seconds}"
            assert process.http.get("/readyz").status_code == 200
            process.child.send_signal(signal.SIGTERM)
            assert process.child.wait(WAIT_S) == 1  # for the one that is not answered


# -- too much, and the end --------------------------------------------------------------------


def test_sigterm_at_a_full_queue() -> None:
    body = multipart(file=clip(31))
    with serving(max_queue=32, request_timeout_s=WAIT_S, drain_timeout_s=WAIT_S) as process:
        with ThreadPoolExecutor(30) as pool, ExitStack() as stack:
            with process.occupied():
                accepted = [pool.submit(process.caption, clip(number)) for number in range(1, 31)]
                eventually(lambda: process.metric("queue_depth") == 30)
                late = stack.enter_context(process.send(body[:50], len(body)))  # accepted as well
                eventually(lambda: process.caption(clip(99)).status_code == 429)
                process.child.send_signal(signal.SIGTERM)
                eventually(lambda: process.http.get("/readyz").status_code == 503)
                assert_problem(process.http.get("/readyz"), 503)
                for _ in range(8):
                    assert_problem(process.caption(clip(98)), 503)
                late.sendall(body[50:])
                eventually(lambda: process.metric("queue_depth") == 31)
                assert process.child.poll() is None
            assert [said(future.result()) for future in accepted] == [
                f"sound {number}" for number in range(1, 31)
            ]
            assert status(late) == 200
        assert process.child.wait(WAIT_S) == 0


def test_an_overflow_loses_nothing_that_was_accepted() -> None:
    with serving(max_queue=BATCH, request_timeout_s=WAIT_S) as process:
        with ThreadPoolExecutor(200) as pool:
            with process.occupied():
                futures = [pool.submit(process.caption, clip(number)) for number in range(1, 201)]
                # One place of the sixteen is the one that occupies the model.
                eventually(lambda: sum(future.done() for future in futures) == 200 - (BATCH - 1))
                assert process.metric("queue_depth") == BATCH - 1
            gated = [future.result() for future in futures]
        stormed = in_parallel(64, [partial(process.caption, clip(n)) for n in range(201, 601)])
        accepted = 0
        for number, answer in enumerate([*gated, *stormed], start=1):
            if answer.status_code == 200:
                accepted += 1
                assert answer.json()["caption"] == f"sound {number}"
            else:
                assert assert_problem(answer, 429)["title"] == "Queue full"
        assert sum(answer.status_code == 200 for answer in gated) == BATCH - 1
        metric = process.metrics()
        assert metric("requests_total", endpoint="/caption", status="200") == accepted + 1
        assert metric("rejections_total", reason="queue-full") == 600 - accepted
        assert metric("requests_total", endpoint="/caption") == 601
        described = {number for batch in process.tell()["encoded"] for number in batch}
        assert len(described) == accepted + 1, "nothing that was refused was computed"


# -- what is counted --------------------------------------------------------------------------


def test_a_reference_heard_before_is_not_encoded_again(shared: Process) -> None:
    before, metric = shared.tell(), shared.metrics()
    reference = clip(6000)
    calls = [partial(shared.difference, clip(6001 + i), reference) for i in range(100)]
    answers = queued(shared, calls)
    assert [said(answer) for answer in answers] == [
        f"sound {6001 + i} without 6000" for i in range(100)
    ]
    after, then = shared.tell(), shared.metrics()
    encoded = [*itertools.chain(*after["encoded"][len(before["encoded"]) :])]
    assert sorted(encoded) == [0, *range(6000, 6101)], "the clip that occupies, and 101 others"
    assert then("cache_misses_total") - metric("cache_misses_total") == 1 + 101
    assert then("cache_hits_total") - metric("cache_hits_total") == 99
    # Once it is known, it is not even decoded.
    assert said(shared.difference(clip(6200), reference)) == "sound 6200 without 6000"
    end = shared.tell()
    assert end["prepared"][len(after["prepared"]) :] == [6200]
    assert end["encoded"][len(after["encoded"]) :] == [[6200]]


def test_counters_equal_what_was_sent() -> None:
    with serving(max_queue=BATCH, max_upload_mb=1, api_keys="key") as process:
        process.http.headers["x-api-key"] = "key"
        post = process.http.post
        numbers = itertools.count(1)

        def caption(seconds: float, **options: int) -> Callable[[], httpx.Response]:
            return partial(process.caption, clip(next(numbers), seconds), **options)

        def difference(**options: bool) -> Callable[[], httpx.Response]:
            pair = clip(next(numbers), 2.25), clip(next(numbers), 0.5)
            return partial(process.difference, *pair, **options)

        stranger = {"x-api-key": "?"}
        empty = {"file": ("a", b"")}
        boundary = {"content-type": "multipart/form-data; boundary=xx"}
        # What is sent how often -> the status, and the reason of a rejection.
        mix: list[tuple[int, Callable[[], Callable[[], httpx.Response]], int, str | None]] = [
            (60, lambda: caption(1.5), 200, None),
            (30, lambda: caption(0.75, num_beams=3, num_captions=2), 200, None),
            (40, difference, 200, None),
            (20, lambda: difference(both=True), 200, None),
            (25, lambda: partial(process.caption, b"noise"), 415, "unsupported-format"),
            (15, lambda: partial(process.difference, clip(1), b"?"), 415, "unsupported-format"),
            (20, lambda: caption(1, num_beams=9), 422, "invalid-field"),
            (10, lambda: caption(1, num_captions=8), 422, "invalid-options"),
            (10, lambda: caption(61), 422, "audio-too-long"),
            (15, lambda: partial(post, "/caption", files=empty), 400, "empty-audio"),
            (15, lambda: partial(post, "/caption", headers=boundary), 400, "malformed-body"),
            (10, lambda: partial(process.caption, bytes(1 << 20)), 413, "body-too-large"),
            (
                15,
                lambda: partial(post, "/caption", headers=stranger),
                401,
                "unauthorized",
            ),
            (20, lambda: partial(process.http.get, "/nowhere"), 404, None),
            (10, lambda: partial(process.http.get, "/caption"), 405, "method-not-allowed"),
        ]
        calls = [(make(), status) for count, make, status, _ in mix for _ in range(count)]
        calls = calls[::2] + calls[1::2]  # the kinds come mingled
        answers = in_parallel(8, [call for call, _ in calls])
        assert [answer.status_code for answer in answers] == [status for _, status in calls]

        refused = 100 - (BATCH - 1)
        with ThreadPoolExecutor(100) as pool, process.occupied():
            futures = [pool.submit(call) for call in [caption(1.0) for _ in range(100)]]
            eventually(lambda: sum(future.done() for future in futures) == refused)
        assert Counter(future.result().status_code for future in futures) == {
            200: BATCH - 1,
            429: refused,
        }

        captions, differences = 60 + 30 + 1 + BATCH - 1, 40 + 20
        expected = {
            ("/caption", 200): captions,
            ("/caption", 400): 30,
            ("/caption", 401): 15,
            ("/caption", 405): 10,
            ("/caption", 413): 10,
            ("/caption", 415): 25,
            ("/caption", 422): 40,
            ("/caption", 429): refused,
            ("/difference", 200): differences,
            ("/difference", 415): 15,
        }
        metric = process.metrics()
        for (endpoint, code), count in expected.items():
            labels = {"endpoint": endpoint, "status": str(code)}
            assert metric("requests_total", **labels) == count, labels
        assert metric("requests_total", status="404") == 20
        for endpoint in ("/caption", "/difference"):
            count = sum(n for (where, _), n in expected.items() if where == endpoint)
            assert metric("request_seconds_count", endpoint=endpoint) == count

        reasons = Counter({"queue-full": refused})
        for count, _, _, reason in mix:
            if reason:
                reasons[reason] += count
        for reason, count in reasons.items():
            assert metric("rejections_total", reason=reason) == count, reason
        assert metric("rejections_total") == reasons.total()

        seconds = 60 * 1.5 + 30 * 0.75 + 1 + (BATCH - 1) * 1.0
        assert metric("audio_seconds_total", endpoint="/caption") == seconds
        assert metric("audio_seconds_total", endpoint="/difference") == differences * 2.75
        # A body was read if it was well-formed; what could not be decoded went no further.
        read = captions + differences + 25 + 15 + 10 + 10 + 15
        assert metric("stage_seconds_count", stage="read") == read
        for stage in ("decode", "queue", "encode", "generate"):
            assert metric("stage_seconds_count", stage=stage) == captions + differences
        clips = captions + 2 * differences
        assert metric("batch_size_sum") == clips
        assert metric("cache_misses_total") + metric("cache_hits_total") == clips
        assert metric("cache_hits_total") == 0, "no two of them were alike"
        assert metric("generated_tokens_total") == 3 * (captions + 30 + differences + 20)
        assert metric("cancelled_total") == metric("queue_depth") == 0
