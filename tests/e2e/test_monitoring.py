"""What Prometheus reads: checked by promtool, and run before services that come and go.

Skipped where a program is not installed. Prometheus runs with the deployment's own files, only its
pauses are shorter; in a mount namespace of its own it asks a name server of ours.
"""

from __future__ import annotations

import json
import re
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import httpx
import pytest

from tests.e2e.deployment import (
    DEPLOY,
    NAMES_PORT,
    PORT,
    name_server,
    program,
    skip_if_taken,
    with_mounts,
)
from tests.support.captioner import clip
from tests.support.client import WAIT_S, eventually, in_parallel
from tests.support.process import Process, serving

NAME_SERVER = "127.0.0.53"
ADDRESSES = {"audiodiff-1": "127.0.0.2", "audiodiff-2": "127.0.0.3"}
ELSEWHERE = "127.0.0.4"
QUEUE = 10
DASHBOARD = json.loads((DEPLOY / "grafana" / "dashboards" / "audiodiff.json").read_text())


@pytest.mark.parametrize(
    "arguments",
    ["check config prometheus.yml", "check rules alerts.yml", "test rules alerts_test.yml"],
)
def test_promtool_accepts(arguments: str) -> None:
    command = [program("promtool"), *arguments.split()]
    done = subprocess.run(command, cwd=DEPLOY / "prometheus", capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


class Watch:
    """Prometheus, the replicas it watches, and the names by which it finds them."""

    def __init__(self, stack: ExitStack, names: dict[str, str], http: httpx.Client) -> None:
        self._stack = stack
        self._http = http
        self.names = names
        with ThreadPoolExecutor(len(ADDRESSES)) as pool:
            self.replicas = dict(
                zip(ADDRESSES, pool.map(self.start, ADDRESSES.values()), strict=True)
            )
        names.update(ADDRESSES)

    def start(self, address: str) -> Process:
        return self._stack.enter_context(serving(host=address, port=PORT, max_queue=QUEUE))

    def ask(self, query: str) -> dict[str, float]:
        """The value now, by the instance; of series without one, under the empty name."""
        answer = self._http.get("/api/v1/query", params={"query": query})
        return {
            series["metric"].get("instance", ""): float(series["value"][1])
            for series in answer.raise_for_status().json()["data"]["result"]
        }

    def firing(self) -> dict[str, str]:
        """Summary of each alert that fires -> its name."""
        alerts = self._http.get("/api/v1/alerts").raise_for_status().json()["data"]["alerts"]
        return {
            alert["annotations"]["summary"]: alert["labels"]["alertname"]
            for alert in alerts
            if alert["state"] == "firing"
        }


@pytest.fixture(scope="module")
def watch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watch]:
    prometheus = program("prometheus")
    path = tmp_path_factory.mktemp("prometheus")
    for name in ("prometheus.yml", "alerts.yml"):
        text = (DEPLOY / "prometheus" / name).read_text()
        # What is waited for; the ranges of the queries stay.
        (path / name).write_text(re.sub(r": (10s|1m|2m)$", ": 1s", text, flags=re.MULTILINE))
    resolver = path / "resolv.conf"
    resolver.write_text(f"nameserver {NAME_SERVER}\n")
    inside = with_mounts({"/etc/resolv.conf": resolver})
    skip_if_taken(NAME_SERVER, NAMES_PORT, socket.SOCK_DGRAM)
    for address in (*ADDRESSES.values(), ELSEWHERE):
        skip_if_taken(address, PORT)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        own = f"127.0.0.1:{probe.getsockname()[1]}"
    names: dict[str, str] = {}
    log = path / "log"
    with (
        ExitStack() as stack,
        name_server(NAME_SERVER, names),
        httpx.Client(base_url=f"http://{own}", timeout=WAIT_S) as http,
        log.open("w") as errors,
    ):
        child = subprocess.Popen(
            [
                *inside,
                prometheus,
                f"--config.file={path / 'prometheus.yml'}",
                f"--storage.tsdb.path={path / 'data'}",
                f"--web.listen-address={own}",
            ],
            stderr=errors,
        )
        try:
            watch = Watch(stack, names, http)
            eventually(lambda: child.poll() is not None or ready(http))
            assert child.poll() is None, log.read_text()
            yield watch
        finally:
            child.terminate()
            child.wait(WAIT_S)


def ready(http: httpx.Client) -> bool:
    try:
        return http.get("/-/ready").is_success
    except httpx.TransportError:
        return False


def test_each_replica_is_found_by_its_name_and_scraped(watch: Watch) -> None:
    eventually(lambda: watch.ask("audiodiff_model_ready") == dict.fromkeys(ADDRESSES, 1))
    assert watch.ask("up") == dict.fromkeys(ADDRESSES, 1)
    assert watch.firing() == {}


def test_a_replica_is_missed_until_it_is_back(watch: Watch) -> None:
    alarm = {"audiodiff-1 takes no requests": "AudiodiffNotReady"}
    watch.replicas["audiodiff-1"].child.kill()
    eventually(lambda: watch.firing() == alarm)
    del watch.names["audiodiff-1"]
    eventually(lambda: watch.ask("up") == {"audiodiff-2": 1})
    watch.replicas["audiodiff-1"] = watch.start(ELSEWHERE)
    assert watch.firing() == alarm  # the rules have run without the name, too
    watch.names["audiodiff-1"] = ELSEWHERE
    eventually(lambda: watch.firing() == {})
    assert watch.ask("up") == dict.fromkeys(ADDRESSES, 1)


def test_a_queue_that_fills_is_told_of_until_it_is_empty(watch: Watch) -> None:
    full = watch.replicas["audiodiff-2"]
    with ThreadPoolExecutor(1) as pool, full.occupied():
        calls = [lambda n=n: full.caption(clip(n)) for n in range(1, QUEUE)]
        answers = pool.submit(in_parallel, QUEUE, calls)
        eventually(
            lambda: (
                watch.firing() == {"audiodiff-2: the queue is 90% full": "AudiodiffQueueFilling"}
            )
        )
    assert {answer.status_code for answer in answers.result()} == {200}
    eventually(lambda: watch.firing() == {})


@pytest.mark.parametrize(
    "query",
    [
        pytest.param(target["expr"], id=f"{panel['title']} {target['refId']}")
        for panel in DASHBOARD["panels"]
        for target in panel["targets"]
    ],
)
def test_the_dashboard_has_something_to_show(watch: Watch, query: str) -> None:
    replica = watch.replicas["audiodiff-2"]
    replica.caption(clip(1))
    replica.caption(b"not a clip")
    asked = query.replace("$__rate_interval", "1m").replace("$instance", ".*")
    eventually(lambda: bool(watch.ask(asked)))
