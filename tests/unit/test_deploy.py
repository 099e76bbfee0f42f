"""The files of the deployment against each other and against the service they deploy."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from service.metrics import Metrics
from service.middleware import Record
from service.problems import CLIENT_GONE
from service.settings import MIB, Settings

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
IMAGE = (ROOT / "Dockerfile").read_text()
NGINX = (DEPLOY / "nginx" / "nginx.conf").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
OURS = {name for name, service in SERVICES.items() if "build" in service}
PROMETHEUS = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
[JOB] = PROMETHEUS["scrape_configs"]
[TARGETS] = JOB["dns_sd_configs"]
ALERTS = [
    rule
    for group in yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text())["groups"]
    for rule in group["rules"]
]
DASHBOARD = json.loads((DEPLOY / "grafana" / "dashboards" / "audiodiff.json").read_text())
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()

DEFAULTS = Settings.model_construct()
VARIABLES = {f"AUDIODIFF_{name}".upper() for name in Settings.model_fields}
FIXED = {"AUDIODIFF_HOST", "AUDIODIFF_PORT"}
"""Those that the image sets, and the compose file leaves alone."""


def seconds(text: str) -> float:
    """A duration such as 40s."""
    assert text.endswith("s")
    return float(text[:-1])


# -- settings, limits, ports --------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["Dockerfile", "docker-compose.yml", "docs/operations.md", "docs/security.md"]
)
def test_every_variable_named_is_a_setting(path: str) -> None:
    named = set(re.findall(r"AUDIODIFF_[A-Z_]+", (ROOT / path).read_text()))
    assert named
    assert named <= VARIABLES


@pytest.mark.parametrize("name", sorted(OURS))
def test_every_setting_reaches_a_container(name: str) -> None:
    handed_on = {key for key in SERVICES[name]["environment"] if key.startswith("AUDIODIFF_")}
    assert handed_on == VARIABLES - FIXED


@pytest.mark.parametrize("name", sorted(OURS))
def test_a_container_has_time_to_drain(name: str) -> None:
    assert seconds(SERVICES[name]["stop_grace_period"]) > DEFAULTS.drain_timeout_s + 2


def test_the_balancer_lets_the_service_speak_first() -> None:
    def directive(name: str) -> str:
        return re.findall(rf"^\s*{name} (.*);", NGINX, re.MULTILINE)[0]

    assert float(directive("client_max_body_size").rstrip("m")) * MIB > DEFAULTS.max_upload_bytes
    assert seconds(directive("proxy_read_timeout")) > DEFAULTS.request_timeout_s
    assert seconds(directive("proxy_next_upstream_timeout")) == DEFAULTS.request_timeout_s
    [timeline] = re.findall(r"location = /timeline \{(.*?)\}", NGINX, re.DOTALL)
    [most] = re.findall(r"client_max_body_size (\d+)m;", timeline)
    assert int(most) > DEFAULTS.max_timeline_mb


def test_ports_agree() -> None:
    [port] = re.findall(r"AUDIODIFF_PORT=(\d+)", IMAGE)
    assert re.findall(r"^EXPOSE (\d+)", IMAGE, re.MULTILINE) == [port]
    assert {seen for _, seen in re.findall(r"server (\S+):(\d+) ", NGINX)} == {port}
    assert TARGETS["port"] == int(port)
    inside = {"balancer": re.findall(r"listen (\d+);", NGINX)[0], "prometheus": "9090"}
    outside = []
    for name, service in SERVICES.items():
        for published in service.get("ports", []):
            _, on_host, in_container = published.rsplit(":", 2)
            outside.append(on_host)
            assert in_container == (port if name in OURS else inside.get(name, "3000"))
    assert len(outside) == len(set(outside)) == 5


# -- names and paths ----------------------------------------------------------------------------


def test_the_replicas_are_the_same_everywhere() -> None:
    replicas = {name for name in OURS if SERVICES[name].get("profiles") == ["scale"]}
    assert len(replicas) == 3
    assert {name for name, _ in re.findall(r"server (\S+):(\d+) ", NGINX)} == replicas
    assert set(SERVICES["balancer"]["depends_on"]) == replicas
    assert set(TARGETS["names"]) == OURS


def test_the_compose_file_keeps_to_the_specification() -> None:
    schema = ["--builtin-schema", "vendor.compose-spec"]
    command = [sys.executable, "-m", "check_jsonschema", *schema, "docker-compose.yml"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_one_service_starts_without_a_profile() -> None:
    assert [name for name, service in SERVICES.items() if "profiles" not in service] == [
        "audiodiff"
    ]


def test_every_volume_is_there() -> None:
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            source = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", volume).split(":")[0]
            if source.startswith("."):
                assert (ROOT / source).exists()
            else:
                assert source in COMPOSE["volumes"]


def test_grafana_finds_its_source_and_its_dashboards() -> None:
    provisioning = DEPLOY / "grafana" / "provisioning"
    [source] = yaml.safe_load((provisioning / "datasources" / "prometheus.yml").read_text())[
        "datasources"
    ]
    assert source["url"] == "http://prometheus:9090"
    used = {found["datasource"]["uid"] for found in nodes(DASHBOARD) if "datasource" in found}
    assert used == {source["uid"]}
    [provider] = yaml.safe_load((provisioning / "dashboards" / "audiodiff.yml").read_text())[
        "providers"
    ]
    mounts = dict(volume.split(":")[:2] for volume in SERVICES["grafana"]["volumes"])
    assert mounts["./deploy/grafana/dashboards"] == provider["options"]["path"]


def nodes(tree: object) -> Iterator[dict[str, Any]]:
    """Every object in a document."""
    if isinstance(tree, dict):
        yield tree
    for child in (
        tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ()
    ):
        yield from nodes(child)


# -- the image ----------------------------------------------------------------------------------


def test_every_package_but_training_is_in_the_image_and_comes_through_dockerignore() -> None:
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    packages = [pattern.rstrip("*") for pattern in tools["packages"]["find"]["include"]]
    copied = {
        name
        for line in re.findall(r"^COPY (?!--)(.*) \S+$", IMAGE, re.MULTILINE)
        for name in line.split()
    }
    let_through = {
        line[1:]
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    assert copied == let_through
    assert copied & {*packages} == {*packages} - {"training"}


def test_what_the_image_installs_is_pinned() -> None:
    def name(requirement: str) -> str:
        return re.split(r"[^\w.-]", requirement)[0].lower().replace("_", "-")

    locked = (ROOT / "requirements.lock").read_text().splitlines()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert {name(line) for line in project["dependencies"]} <= {
        name(line) for line in locked if "==" in line
    }


# -- metrics ------------------------------------------------------------------------------------


def exposed() -> Mapping[str, set[str]]:
    """The name of each sample that the service exposes, and its labels."""
    metrics = Metrics()
    metrics.model("name", "revision", "cpu", "float32")
    metrics.batch([1.0], 1)
    metrics.heard(["Dog"])
    for problem in (None, "queue-full", CLIENT_GONE):
        record = Record("id", endpoint="/caption", status=200, problem=problem, audio_s=1.0)
        record.style = "rest"
        record.stages["read"] = 0.1
        metrics.request(record)
    return {
        sample.name: set(sample.labels)
        for family in text_string_to_metric_families(metrics.exposition().decode())
        for sample in family.samples
    }


QUERIES = [
    *(pytest.param(rule["expr"], id=rule["alert"]) for rule in ALERTS),
    *(
        pytest.param(target["expr"], id=f"{panel['title']} {target['refId']}")
        for panel in DASHBOARD["panels"]
        for target in panel["targets"]
    ),
    *(pytest.param(found["query"], id=found["name"]) for found in DASHBOARD["templating"]["list"]),
]


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_asks_for_what_there_is(query: str) -> None:
    there = {"up": set[str](), **exposed()}
    unquoted = re.sub(r'"[^"]*"', '""', query)
    asked = re.findall(r"\b(up|audiodiff_\w+|process_\w+)(?:\{([^}]*)\})?", unquoted)
    assert asked
    for name, matchers in asked:
        assert name in there
        labels = set(re.findall(r"(\w+)\s*[=!]", matchers))
        assert labels <= there[name] | {"job", "instance"}
    labels = set(
        itertools.chain(*(names.split(", ") for names in re.findall(r"by \(([^)]*)\)", unquoted)))
    )
    assert labels <= {"instance"}.union(*(there[name] for name, _ in asked))


def test_the_dashboard_shows_every_metric_that_moves() -> None:
    shown = " ".join(target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"])
    families = {re.sub("_(bucket|sum|count|created)$", "", name) for name in exposed()}
    still = {"audiodiff_model_info", "audiodiff_request_timeout_seconds"}
    ours = {name for name in families if name.startswith("audiodiff_")} - still
    assert not {name for name in ours if name not in shown}


@pytest.mark.parametrize("alert", [rule["alert"] for rule in ALERTS])
def test_an_alert_is_tested_and_explained(alert: str) -> None:
    tests = yaml.safe_load((DEPLOY / "prometheus" / "alerts_test.yml").read_text())["tests"]
    checks = [check for test in tests for check in test["alert_rule_test"]]
    assert {bool(check["exp_alerts"]) for check in checks if check["alertname"] == alert} == {
        True,
        False,
    }
    assert f"### {alert}\n" in OPERATIONS
