"""nginx with the deployment's own configuration, before three replicas.

Skipped where it is not installed. It runs in a mount namespace of its own, in which the replicas'
names are addresses of the loopback.
"""

from __future__ import annotations

import itertools
import shutil
import signal
import socket
import subprocess
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from threading import Event

import httpx
import pytest

from tests.e2e.deployment import DEPLOY, PORT, program, skip_if_taken, with_mounts
from tests.support.captioner import FATAL, clip
from tests.support.client import WAIT_S, assert_problem, eventually, multipart
from tests.support.process import Process, serving

HOSTS = {"audiodiff-1": "127.0.0.2", "audiodiff-2": "127.0.0.3", "audiodiff-3": "127.0.0.4"}
BALANCER_PORT = 8080
UPLOAD_MB = 1
CLIENTS = 12


@pytest.fixture(scope="module")
def nginx(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The command that runs nginx with the deployment's configuration, up to its options."""
    path = tmp_path_factory.mktemp("nginx")
    hosts = path / "hosts"
    hosts.write_text("".join(f"{address} {name}\n" for name, address in HOSTS.items()))
    inside = with_mounts({"/etc/hosts": hosts, "/tmp": path})
    for address in HOSTS.values():
        skip_if_taken(address, PORT)
    skip_if_taken("0.0.0.0", BALANCER_PORT)
    # In there, where /tmp is another folder, a checkout below /tmp would not be found.
    shutil.copy(DEPLOY / "nginx" / "nginx.conf", path)
    return [*inside, program("nginx"), "-c", "/tmp/nginx.conf"]


class Fleet:
    """Three replicas, and the balancer before them."""

    def __init__(self, stack: ExitStack, balancer: httpx.Client) -> None:
        self._stack = stack
        self.balancer = balancer
        with ThreadPoolExecutor(len(HOSTS)) as pool:
            self.replicas = dict(zip(HOSTS, pool.map(self._started, HOSTS), strict=True))

    def restart(self, name: str) -> Process:
        """A new process in the place of one that is gone."""
        self.replicas[name] = replica = self._started(name)
        return replica

    def caption(self, number: int, **headers: str) -> httpx.Response:
        """The balancer's answer to a clip."""
        return self.balancer.post("/caption", files={"file": ("a", clip(number))}, headers=headers)

    def _started(self, name: str) -> Process:
        process = serving(host=HOSTS[name], port=PORT, max_upload_mb=UPLOAD_MB)
        return self._stack.enter_context(process)


@pytest.fixture(scope="module")
def fleet(nginx: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=CLIENTS)
    address = f"http://127.0.0.1:{BALANCER_PORT}"
    log = tmp_path_factory.mktemp("log") / "error.log"
    with (
        ExitStack() as stack,
        httpx.Client(base_url=address, timeout=WAIT_S, limits=limits) as client,
    ):
        fleet = Fleet(stack, client)
        with log.open("w") as errors:
            # In the namespace there is no other user.
            child = subprocess.Popen([*nginx, "-g", "user root; daemon off;"], stderr=errors)
        try:
            eventually(lambda: child.poll() is not None or listening())
            assert child.poll() is None, log.read_text()
            yield fleet
        finally:
            child.terminate()
            child.wait(WAIT_S)


def listening() -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", BALANCER_PORT)) == 0


@contextmanager
def load(fleet: Fleet, first: int) -> Iterator[dict[int, httpx.Response]]:
    """Clients who ask for captions of clips ``first`` and on; at the end all are answered."""
    numbers = itertools.count(first)
    answers: dict[int, httpx.Response] = {}
    over = Event()

    def ask() -> None:
        while not over.is_set():
            number = next(numbers)
            answers[number] = fleet.caption(number)

    with ThreadPoolExecutor(CLIENTS) as pool:
        clients: list[Future[None]] = [pool.submit(ask) for _ in range(CLIENTS)]
        try:
            yield answers
        finally:
            over.set()
    for one in clients:
        one.result()


def assert_captions(answers: dict[int, httpx.Response]) -> None:
    """Every request got its own caption."""
    assert {answer.status_code for answer in answers.values()} == {200}
    assert all(answer.json()["caption"] == f"sound {n}" for n, answer in answers.items())


def prepared(*replicas: Process, since: int = 0) -> Counter[int]:
    """How often replicas were given each clip of those numbered ``since`` and on."""
    told = itertools.chain(*(replica.tell()["prepared"] for replica in replicas))
    return Counter(number for number in told if number >= since)


def test_nginx_accepts_its_configuration(nginx: list[str]) -> None:
    done = subprocess.run([*nginx, "-t", "-g", "user root;"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "warn" not in done.stderr


def test_no_request_is_lost_with_a_killed_replica(fleet: Fleet) -> None:
    killed, *others = fleet.replicas.values()
    killed.tell("shut")  # what it gets it holds until it is killed
    with load(fleet, first=0) as answers:
        eventually(lambda: killed.metric("queue_depth") >= 2)
        held = prepared(killed)
        killed.child.kill()
        enough = len(answers) + 300
        eventually(lambda: len(answers) >= enough)
    assert_captions(answers)
    # What it held was asked for again, once and elsewhere, and nothing else was.
    assert len(held) >= 3
    assert prepared(*others) == dict.fromkeys(answers, 1)

    back = fleet.restart("audiodiff-1")
    with load(fleet, first=100_000) as answers:
        eventually(lambda: bool(prepared(back)))
    assert_captions(answers)


def test_no_request_is_lost_with_a_replica_that_is_told_to_end(fleet: Fleet) -> None:
    first = 200_000
    ending = fleet.replicas.pop("audiodiff-2")
    ending.tell("shut")
    with load(fleet, first) as answers:
        eventually(lambda: ending.metric("queue_depth") >= 2)
        ending.child.send_signal(signal.SIGTERM)
        eventually(lambda: ending.http.get("/readyz").status_code == 503)
        enough = len(answers) + 300
        eventually(lambda: len(answers) >= enough)
        held = prepared(ending, since=first)
        ending.tell("open")
        assert ending.child.wait(WAIT_S) == 0
    assert_captions(answers)
    # What it held it answered itself; what it refused another one was asked.
    assert len(held) >= 3
    assert prepared(*fleet.replicas.values(), since=first) + held == dict.fromkeys(answers, 1)
    fleet.restart("audiodiff-2")


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


def test_a_clip_that_kills_leaves_a_replica(fleet: Fleet) -> None:
    assert_problem(fleet.caption(FATAL), 503)
    children = [replica.child for replica in fleet.replicas.values()]
    eventually(lambda: [child.poll() for child in children].count(1) == 2)
    [left] = [replica for replica in fleet.replicas.values() if replica.child.poll() is None]
    assert fleet.caption(2).json()["caption"] == "sound 2"

    left.child.kill()
    left.child.wait(WAIT_S)
    problem = assert_problem(fleet.caption(3, **{"X-Request-ID": "mine"}), 503)
    assert problem["request_id"] == "mine"
    for name in HOSTS:
        fleet.restart(name)
    eventually(lambda: fleet.caption(3).status_code == 200)
