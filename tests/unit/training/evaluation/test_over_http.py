"""What is asked of a service, what counts as right, and the figures made of it."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread

import httpx
import numpy as np
import pytest
import soundfile

from training.datasets.recording import Recording, Samples
from training.evaluation import over_http
from training.evaluation.over_http import FIGURES, Case, Judged, by_kind, cases, summarize

RATE = over_http.SAMPLE_RATE
ROUNDING = 2 / 32768


def recording(kind: str, take: int) -> Recording:
    """Soft noise of its own: a mixture of two does not clip."""
    samples = np.random.default_rng((len(kind), take)).uniform(-0.1, 0.1, RATE)
    return Recording(
        f"5-{kind}-{take}.wav", (kind,), samples.astype(np.float32), "5", "CC BY-NC 3.0"
    )


@pytest.fixture
def audio(tmp_path: Path, recordings: list[Recording]) -> Path:
    for one in recordings:
        soundfile.write(tmp_path / one.name, one.samples, RATE, subtype="PCM_16")
    return tmp_path


@pytest.fixture
def recordings() -> list[Recording]:
    return [recording(kind, take) for kind in ("dog", "cat", "siren") for take in range(2)]


def read(data: bytes) -> Samples:
    samples, rate = soundfile.read(io.BytesIO(data), dtype="float32")
    assert rate == RATE
    found: Samples = samples
    return found


def close(one: Samples, two: Samples) -> bool:
    return one.shape == two.shape and bool(np.abs(one - two).max() <= ROUNDING)


# Cases -------------------------------------------------------------------------------------------


def test_every_clip_is_the_original_of_every_figure(
    recordings: list[Recording], audio: Path
) -> None:
    made = cases(recordings, audio, seed=0)
    by_clip = {
        one.name: [c for c in made if c.name.split(" + ")[0] == one.name] for one in recordings
    }
    for one in recordings:
        single = "single, ESC-10" if one.kind == "dog" else "single"
        assert sorted(c.figure for c in by_clip[one.name]) == sorted(
            [single, "equal", "aligned", "shifted", "other clip", "inverse"]
        )
    assert {c.figure for c in made} == FIGURES.keys()


def test_what_is_wanted_and_what_is_not(recordings: list[Recording], audio: Path) -> None:
    kind = {one.name: one.kind for one in recordings}
    for case in cases(recordings, audio, seed=0):
        original, _, added = case.name.partition(" + ")
        own, other = kind[original], kind.get(added)
        assert own != other
        expected = {
            "single": (own, None),
            "single, ESC-10": (own, None),
            "equal": (None, None),
            "inverse": (other, own),
        }.get(case.figure, (own, other))
        assert (case.wanted, case.unwanted) == expected


def test_single_and_equal_send_the_stored_file(recordings: list[Recording], audio: Path) -> None:
    for case in cases(recordings, audio, seed=0):
        stored = {"file": (audio / case.name.split(" + ")[0]).read_bytes()}
        if case.figure.startswith("single"):
            assert case.make() == stored
        elif case.figure == "equal":
            assert case.make() == {"input": stored["file"], "reference": stored["file"]}


def test_the_mixtures_and_their_references(recordings: list[Recording], audio: Path) -> None:
    """One mixture for all four references."""
    named = {one.name: one for one in recordings}
    starts = []
    for name in {c.name for c in cases(recordings, audio, seed=3) if " + " in c.name}:
        sent = {c.figure: c.make() for c in cases(recordings, audio, seed=3) if c.name == name}
        original, added = (named[part] for part in name.split(" + "))
        assert len({files["input"] for files in sent.values()}) == 1
        mixture = read(sent["aligned"]["input"])
        reference = {figure: read(files["reference"]) for figure, files in sent.items()}

        assert close(reference["inverse"], original.samples)
        assert np.abs(mixture - original.samples - reference["aligned"]).max() <= 2 * ROUNDING
        start = int(np.flatnonzero(reference["aligned"])[0])
        starts.append(start)
        gain = np.sqrt(np.mean(original.samples**2) / np.mean(added.samples**2))
        assert close(reference["aligned"][start:], gain * added.samples[: RATE - start])
        assert close(reference["shifted"], gain * added.samples)
        (other,) = (c for c in recordings if c.kind == added.kind and c.name != added.name)
        assert close(reference["other clip"], gain * other.samples)
    assert len(starts) == len(recordings)
    assert len(set(starts)) > 1
    assert max(starts) <= over_http.LATEST * RATE + 1


def test_cases_are_decided_by_the_seed(recordings: list[Recording], audio: Path) -> None:
    one, two, other = (
        [(c.figure, c.name, c.make()) for c in cases(recordings, audio, seed)] for seed in (1, 1, 2)
    )
    assert one == two
    assert [name for _, name, _ in one] != [name for _, name, _ in other]


def test_wav_is_softer_where_it_would_clip() -> None:
    loud = np.array([0.5, -2.0, 1.0], np.float32)
    assert np.allclose(read(over_http.wav(loud)), loud / 2, atol=ROUNDING)
    soft = np.array([0.5, -0.25, 0.0], np.float32)
    assert np.allclose(read(over_http.wav(soft)), soft, atol=ROUNDING)
    assert len(read(over_http.wav(np.zeros(5, np.float32)))) == 5


# Asking ------------------------------------------------------------------------------------------

Reply = tuple[int, dict[str, str], dict[str, object]]


@contextmanager
def served(reply: Callable[[str, bytes], Reply]) -> Iterator[str]:
    """A service that answers as ``reply(path, body)`` says: (status, headers, JSON)."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.answer(*reply(self.path, body))

        def do_GET(self) -> None:
            self.answer(*reply(self.path, b""))

        def answer(self, status: int, headers: dict[str, str], content: object) -> None:
            payload = json.dumps(content).encode()
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(payload))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(payload)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def case(figure: str, files: dict[str, bytes], wanted: str | None = "dog") -> Case:
    return Case(figure, "a", lambda: files, wanted, "rain")


def test_ask_posts_the_files_and_reads_what_is_named() -> None:
    asked = []

    def reply(path: str, body: bytes) -> Reply:
        asked.append((path, body))
        text = "a dog barks while rain falls" if path == "/difference" else "a cat meows"
        return 200, {}, {"caption": text}

    todo = [case("single", {"file": b"ONE"}), case("aligned", {"input": b"2", "reference": b"3"})]
    with served(reply) as url:
        (_, single), (_, aligned) = over_http.ask(url, todo, clients=1)
    assert [path for path, _ in asked] == ["/caption", "/difference"]
    assert b'name="file"' in asked[0][1]
    assert b"ONE" in asked[0][1]
    assert asked[1][1].index(b'name="input"') < asked[1][1].index(b"\r\n2\r\n")
    assert asked[1][1].index(b'name="reference"') < asked[1][1].index(b"\r\n3\r\n")
    assert (single.caption, set(single.named)) == ("a cat meows", {"cat"})
    assert not single.right
    assert not single.leaks
    assert set(aligned.named) == {"dog", "rain"}
    assert aligned.right
    assert aligned.leaks


@pytest.mark.parametrize("status", [429, 503])
def test_ask_tries_again_where_the_service_is_full(status: int) -> None:
    asked: list[bytes] = []
    lock = Lock()

    def reply(_path: str, body: bytes) -> Reply:
        with lock:
            asked.append(body)
            first = len(asked) == 1
        if first:
            return status, {"Retry-After": "0"}, {"title": "full"}
        return 200, {}, {"caption": "a dog barks"}

    todo = [case("single", {"file": str(i).encode() * 9}) for i in range(5)]
    with served(reply) as url:
        namings = [naming for _, naming in over_http.ask(url, todo, clients=3)]
    assert len(asked) == 6
    assert [naming.right for naming in namings] == [True] * 5
    for i in range(5):
        assert sum(str(i).encode() * 9 in body for body in asked) in (1, 2)


def test_ask_gives_up_where_the_service_refuses() -> None:
    with (
        served(lambda _path, _body: (422, {}, {"title": "no sound"})) as url,
        pytest.raises(httpx.HTTPStatusError, match="422"),
    ):
        list(over_http.ask(url, [case("single", {"file": b"1"})]))


def test_evaluate_writes_its_results(
    recordings: list[Recording], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "audio").mkdir()
    for one in recordings:
        soundfile.write(tmp_path / "audio" / one.name, one.samples, RATE, subtype="PCM_16")
    monkeypatch.setattr(over_http.esc50, "load", lambda *_: recordings)

    def reply(path: str, _body: bytes) -> Reply:
        if path == "/info":
            return 200, {}, {"model": {"name": "m", "revision": "abc"}, "version": "1"}
        return 200, {}, {"caption": "a dog barks"}

    output = tmp_path / "runs" / "results.json"
    with served(reply) as url:
        over_http.evaluate(url, tmp_path, (5,), 0, output)
    results = json.loads(output.read_text())
    assert results["model"]["revision"] == "abc"
    assert results["folds"] == [5]
    assert len(results["answers"]) == 6 * len(recordings)
    assert results["answers"][0] == {
        "figure": "single, ESC-10",
        "name": "5-dog-0.wav",
        "wanted": "dog",
        "unwanted": None,
        "caption": "a dog barks",
        "named": ["dog", "dog"],
    }
    assert results["figures"]["single"]["right"] == pytest.approx(1 / 3)
    assert results["figures"]["single, ESC-10"]["right"] == 1
    assert results["figures"]["equal"]["right"] == 0
    assert results["kinds"]["dog"]["single"] == 1
    assert results["kinds"]["cat"]["single"] == 0


# Figures -----------------------------------------------------------------------------------------


def judged(figure: str, wanted: str | None, caption: str, unwanted: str | None = None) -> Judged:
    one = Case(figure, "a", dict, wanted, unwanted)
    return one, one.judge(caption)


def test_summarize_counts_the_esc10_clips_among_the_single_ones_too() -> None:
    figures = summarize(
        [
            judged("single", "cat", "a cat meows"),
            judged("single", "cat", "a dog barks"),
            judged("single", "cow", "something"),
            judged("single, ESC-10", "dog", "a dog barks"),
            judged("aligned", "dog", "a dog barks and a cat meows", "cat"),
            judged("aligned", "dog", "a dog barks", "cat"),
        ]
    )
    assert figures.keys() == {"single", "single, ESC-10", "aligned"}
    assert figures["single"]["right"] == 0.5
    assert figures["single"]["cases"] == 4
    assert figures["single, ESC-10"] == {
        "right": 1.0,
        "low": pytest.approx(0.2065, abs=1e-4),
        "high": pytest.approx(1.0),
        "leak": 0.0,
        "cases": 1,
    }
    assert figures["aligned"]["leak"] == 0.5


def test_by_kind_groups_by_what_was_wanted() -> None:
    table = by_kind(
        [
            judged("single", "dog", "a dog barks"),
            judged("single, ESC-10", "dog", "something"),
            judged("inverse", "cat", "a cat meows"),
            judged("equal", None, "something"),
        ]
    )
    assert table == {"cat": {"inverse": 1.0}, "dog": {"single": 0.5}}
    assert list(table) == ["cat", "dog"]
