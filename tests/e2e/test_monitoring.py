"""What Prometheus reads: checked by promtool, and run before services that come and go.

Skipped where a program is not installed. Prometheus runs with the deployment's own files, only its
port and its pauses are others; in a mount namespace of its own it asks a name server of ours.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import httpx
import pytest

from tests.e2e.deployment import (
    DEPLOY,
    free_port,
    name_server,
    own_address,
    program,
    with_mounts,
)
from tests.support.captioner import clip
from tests.support.client import WAIT_S, eventually, in_parallel
from tests.support.process import Process, serving

NAMES = ("audiodiff-1", "audiodiff-2")
BOTH = dict.fromkeys(NAMES, 1.0)
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

    def __init__(
        self, stack: ExitStack, names: dict[str, str], port: int, http: httpx.Client
    ) -> None:
        self._stack = stack
        self._port = port
        self._http = http
        self.names = names
        addresses = {name: own_address() for name in NAMES}
        with ThreadPoolExecutor(len(NAMES)) as pool:
            self.replicas = dict(zip(NAMES, pool.map(self.start, addresses.values()), strict=True))
        names.update(addresses)

    def start(self, address: str) -> Process:
        process = serving(host=address, port=self._port, max_queue=QUEUE, request_timeout_s=WAIT_S)
        return self._stack.enter_context(process)

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
    port, own, resolving = free_port(), f"{own_address()}:{free_port()}", own_address()
    path = tmp_path_factory.mktemp("prometheus")
    for name in ("prometheus.yml", "alerts.yml"):
        text = (DEPLOY / "prometheus" / name).read_text()
        text = re.sub(r"port: \d+$", f"port: {port}", text, flags=re.MULTILINE)
        # What is waited for; the ranges of the queries stay.
        text = re.sub(r": (10s|1m|2m)$", ": 1s", text, flags=re.MULTILINE)
        (path / name).write_text(text)
    resolver = path / "resolv.conf"
    resolver.write_text(f"nameserver {resolving}\n")
    inside = with_mounts({"/etc/resolv.conf": resolver})
    names: dict[str, str] = {}
    log = path / "log"
    with (
        ExitStack() as stack,
        name_server(resolving, names),
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
            watch = Watch(stack, names, port, http)
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
    eventually(lambda: watch.ask("audiodiff_model_ready") == BOTH)
    eventually(lambda: watch.ask("up") == BOTH)
    eventually(lambda: watch.firing() == {})


def test_a_replica_is_missed_until_it_is_back(watch: Watch) -> None:
    alarm = {"audiodiff-1 takes no requests": "AudiodiffNotReady"}
    watch.replicas["audiodiff-1"].child.kill()
    eventually(lambda: watch.firing() == alarm)
    del watch.names["audiodiff-1"]
    eventually(lambda: watch.ask("up") == {"audiodiff-2": 1})
    elsewhere = own_address()
    watch.replicas["audiodiff-1"] = watch.start(elsewhere)
    eventually(lambda: watch.firing() == alarm)  # the rules have run without the name, too
    watch.names["audiodiff-1"] = elsewhere
    eventually(lambda: watch.firing() == {})
    eventually(lambda: watch.ask("up") == BOTH)


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
    replica.difference(clip(1), clip(2))
    asked = query.replace("$__rate_interval", "1m").replace("$instance", ".*")
    eventually(lambda: bool(watch.ask(asked)))
