"""nginx with the deployment's own configuration, before three replicas.

Skipped where it is not installed. It runs in a mount namespace of its own, in which the replicas'
names are addresses of the loopback; only its ports and its pauses are others.
"""

from __future__ import annotations

import itertools
import json
import re
import signal
import socket
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from threading import Event

import httpx
import pytest

from tests.e2e.deployment import DEPLOY, free_port, own_address, program, with_mounts
from tests.support.audio import by_soundfile
from tests.support.captioner import FATAL, clip
from tests.support.client import (
    WAIT_S,
    assert_problem,
    eventually,
    fresh_connections,
    multipart,
)
from tests.support.process import Process, serving
from tests.support.threaded import in_thread
from tests.support.tones import RATE, ToneCaptioner, recording

NAMES = ("audiodiff-1", "audiodiff-2", "audiodiff-3")
UPLOAD_MB = 1
CLIENTS = 6
PADDING = b" " * 200_000
"""Of each clip: a replica that refuses it has not read all of it."""

LONG = by_soundfile(recording(900.0, ("Dog", 3.0, 5.0)), RATE)
"""More than nginx takes of clips."""
WINDOWS = 4
"""After which what it heard is to be seen."""


class Balancer:
    """nginx, and where its replicas are to be; neither need run."""

    def __init__(self, path: Path) -> None:
        self.address, self.port = own_address(), free_port()
        self.replicas = {name: own_address() for name in NAMES}
        self.replica_port = free_port()
        text = (DEPLOY / "nginx" / "nginx.conf").read_text()
        for pattern, ours in (
            (r"listen \d+", f"listen {self.address}:{self.port}"),
            (r"(server audiodiff-\d):\d+", rf"\1:{self.replica_port}"),
            (r"fail_timeout=\d+s", "fail_timeout=1s"),
        ):
            text = re.sub(pattern, ours, text)
        (path / "nginx.conf").write_text(text)
        hosts = path / "hosts"
        hosts.write_text("".join(f"{where} {name}\n" for name, where in self.replicas.items()))
        # In there, where /tmp is another folder, a checkout below /tmp would not be found.
        inside = with_mounts({"/etc/hosts": hosts, "/tmp": path})
        self.command = [*inside, program("nginx"), "-c", "/tmp/nginx.conf"]
        """Up to further options."""

    @contextmanager
    def running(self) -> Iterator[httpx.Client]:
        """A client of it."""
        # In the namespace there is no other user.
        child = subprocess.Popen([*self.command, "-g", "user root; daemon off;"])
        try:
            eventually(lambda: child.poll() is not None or self._listens())
            assert child.poll() is None
            with fresh_connections(f"http://{self.address}:{self.port}") as client:
                yield client
        finally:
            child.terminate()
            child.wait(WAIT_S)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex((self.address, self.port)) == 0


class Fleet:
    """Three replicas, and the balancer before them."""

    def __init__(self, stack: ExitStack, nginx: Balancer) -> None:
        self._stack = stack
        self._nginx = nginx
        self._numbers = itertools.count(1000)
        self.replicas: dict[str, Process] = {}
        self.balancer = stack.enter_context(nginx.running())

    def complete(self) -> None:
        """Start what does not run, and wait until the balancer gives requests to all of them."""
        gone = [name for name in NAMES if self.replicas.get(name) not in self.running]
        with ThreadPoolExecutor(len(NAMES)) as pool:
            self.replicas.update(zip(gone, pool.map(self._started, gone), strict=True))
        for replica in self.replicas.values():
            eventually(partial(self._reaches, replica))

    @property
    def running(self) -> list[Process]:
        """Those whose process has not ended."""
        return [one for one in self.replicas.values() if one.child.poll() is None]

    def new_number(self) -> int:
        """The number of a clip that was not sent yet."""
        return next(self._numbers)

    def caption(self, number: int, **headers: str) -> httpx.Response:
        """The balancer's answer to a clip."""
        files = {"file": ("a", clip(number) + PADDING)}
        return self.balancer.post("/caption", files=files, headers=headers)

    def _started(self, name: str) -> Process:
        process = serving(
            host=self._nginx.replicas[name],
            port=self._nginx.replica_port,
            max_upload_mb=UPLOAD_MB,
            request_timeout_s=WAIT_S,
            drain_timeout_s=WAIT_S,
        )
        return self._stack.enter_context(process)

    def _reaches(self, replica: Process) -> bool:
        number = self.new_number()
        self.caption(number)
        return number in prepared(replica)


@pytest.fixture(scope="module")
def nginx(tmp_path_factory: pytest.TempPathFactory) -> Balancer:
    return Balancer(tmp_path_factory.mktemp("nginx"))


@pytest.fixture(scope="module")
def _fleet(nginx: Balancer) -> Iterator[Fleet]:
    with ExitStack() as stack:
        yield Fleet(stack, nginx)


@pytest.fixture
def fleet(_fleet: Fleet) -> Fleet:
    """All three run, whatever another test did to them."""
    _fleet.complete()
    return _fleet


@contextmanager
def load(fleet: Fleet, number_of_clients: int = CLIENTS) -> Iterator[dict[int, httpx.Response]]:
    """Clients who ask for captions of new clips; at the end all are answered."""
    answers: dict[int, httpx.Response] = {}
    over = Event()

    def ask() -> None:
        while not over.is_set():
            number = fleet.new_number()
            answer = fleet.caption(number)
            # A copy: the response itself keeps the request, and thereby the clip.
            answers[number] = httpx.Response(
                answer.status_code, headers=answer.headers, content=answer.content
            )

    with ThreadPoolExecutor(number_of_clients) as pool:
        clients: list[Future[None]] = [pool.submit(ask) for _ in range(number_of_clients)]
        try:
            yield answers
        finally:
            over.set()
    for one in clients:
        one.result()


def assert_captions(answers: Mapping[int, httpx.Response]) -> None:
    """Every request got its own caption."""
    assert {answer.status_code for answer in answers.values()} == {200}
    assert all(answer.json()["caption"] == f"sound {n}" for n, answer in answers.items())


def prepared(*replicas: Process) -> Counter[int]:
    """How often replicas were given each clip."""
    return Counter(itertools.chain(*(replica.tell()["prepared"] for replica in replicas)))


def test_nginx_accepts_its_configuration(nginx: Balancer) -> None:
    command = [*nginx.command, "-t", "-g", "user root;"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "warn" not in done.stderr


@pytest.mark.parametrize("path", ["/caption", "/timeline"])
def test_without_a_replica_it_says_so(nginx: Balancer, path: str) -> None:
    with nginx.running() as client:
        for _ in range(2):  # first it tries all of them, then it knows
            answer = client.post(path, content=b"clip", headers={"X-Request-ID": "mine"})
            problem = assert_problem(answer, 503)
            assert problem["type"] == "urn:audiodiff:problem:not-ready"
            assert problem["request_id"] == "mine"


def test_a_long_recording_goes_through_and_so_do_its_lines(nginx: Balancer) -> None:
    captioner, seen = ToneCaptioner(), Event()
    captioner.before_encode = lambda done: done < WINDOWS or seen.wait(WAIT_S)
    # Two replicas are not there: the one that is gets it, whichever is tried first.
    with (
        in_thread(captioner, host=nginx.replicas[NAMES[1]], port=nginx.replica_port),
        nginx.running() as client,
        client.stream(
            "POST",
            "/timeline",
            files={"file": ("a", LONG)},
            headers={"Accept": "application/x-ndjson"},
        ) as answer,
    ):
        assert answer.status_code == 200
        lines = map(json.loads, answer.iter_lines())
        assert "a dog is heard" in [next(lines).get("caption") for _ in range(WINDOWS)]
        seen.set()
        assert "summary" in [*lines][-1]


def test_a_long_recording_whose_replica_is_killed_is_lost(nginx: Balancer) -> None:
    place = {"host": nginx.replicas[NAMES[1]], "port": nginx.replica_port}
    with serving("Tones", **place) as replica, nginx.running() as client:
        replica.tell("shut")
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(client.post, "/timeline", files={"file": ("a", LONG)})
            eventually(lambda: bool(replica.tell()["encoded"]))
            replica.child.kill()
            problem = assert_problem(answer.result(), 502)
    assert problem["type"] == "urn:audiodiff:problem:replica-lost"


def test_what_a_killed_replica_had_is_lost_and_nothing_else(fleet: Fleet) -> None:
    killed = fleet.replicas[NAMES[0]]
    killed.tell("shut")  # what it gets it holds until it is killed
    with load(fleet) as answers:
        eventually(lambda: killed.metric("queue_depth") >= 1)
        killed.child.kill()
        killed.child.wait(WAIT_S)
        fleet.complete()  # while another one starts, the balancer tries in vain whether it is back
    lost = {number for number, answer in answers.items() if answer.status_code != 200}
    assert 2 <= len(lost) <= CLIENTS
    for number in lost:
        problem = assert_problem(answers.pop(number), 502)
        assert problem["type"] == "urn:audiodiff:problem:replica-lost"
    assert_captions(answers)
    given = prepared(*fleet.running)
    assert not lost & given.keys()
    assert {given[number] for number in answers} == {1}


def test_no_request_is_lost_with_a_replica_that_is_told_to_end(fleet: Fleet) -> None:
    ending = fleet.replicas[NAMES[1]]
    before = prepared(ending)
    ending.tell("shut")
    with load(fleet, 2) as early:
        eventually(lambda: prepared(ending) != before)
        ending.child.send_signal(signal.SIGTERM)
        # It holds one request, the others hold more: whenever it may be asked again it is.
        with load(fleet) as late:
            eventually(lambda: ending.metric("rejections_total", reason="not-ready") >= 3)
            held = prepared(ending)
            ending.tell("open")
            assert ending.child.wait(WAIT_S) == 0
            enough = len(late) + 50
            eventually(lambda: len(late) >= enough)
    answers = early | late
    assert_captions(answers)
    # What it held it answered itself; what it refused another one was asked.
    given = prepared(*fleet.running)
    assert held.keys() & early.keys()
    assert {held[number] + given[number] for number in answers} == {1}


def test_the_balancer_keeps_to_the_contract(fleet: Fleet) -> None:
    assert fleet.caption(1, **{"X-Request-ID": "mine"}).headers["x-request-id"] == "mine"
    assert len(fleet.caption(1, **{"X-Request-ID": 'not "sane"'}).headers["x-request-id"]) == 32

    # The service's own limit speaks first, the balancer's far above it in the same form.
    form = {"Content-Type": "multipart/form-data; boundary=xx"}
    for size in (UPLOAD_MB + 1, 27):
        body = multipart(file=bytes(size * 2**20))
        answer = fleet.balancer.post("/caption", content=body, headers=form)
        assert assert_problem(answer, 413)["type"] == "urn:audiodiff:problem:body-too-large"

    assert fleet.balancer.get("/metrics").status_code == 404
    assert fleet.balancer.get("/readyz").json() == {"status": "ok"}


def test_a_clip_that_kills_is_given_to_one_replica(fleet: Fleet) -> None:
    problem = assert_problem(fleet.caption(FATAL), 500)
    assert problem["type"] == "urn:audiodiff:problem:device-died"
    eventually(lambda: len(fleet.running) < len(NAMES))
    assert_captions({n: fleet.caption(n) for n in (fleet.new_number() for _ in range(20))})
    assert len(fleet.running) == 2
    assert FATAL not in prepared(*fleet.running)
