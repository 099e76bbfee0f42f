"""What the README says, and other pages with commands, against what there is."""

from __future__ import annotations

import argparse
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from fastapi import FastAPI

from cli.parser import parser
from model.types import GenerationOptions
from service.page import add_page
from service.routes import add_routes
from service.settings import BUNDLED, Settings
from training import arguments

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
PAGES = ("README.md", "CONTRIBUTING.md", "checkpoints/default/README.md", *map(
    str, sorted(path.relative_to(ROOT) for path in (ROOT / "docs").glob("*.md"))
))  # fmt: skip
PARSERS = {
    (".venv/bin/audiodiff",): parser(),
    (".venv/bin/python", "-m", "training"): arguments.parser(),
}
TARGETS = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
SERVICES: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]


def table(heading: str) -> list[list[str]]:
    """The cells of the first table under a heading, without its head."""
    _, _, under = README.partition(f"\n## {heading}\n")
    lines = re.findall(r"(?:^\|.*\n)+", under, re.MULTILINE)[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def commands() -> list[tuple[str, list[str]]]:
    """Each command of each page: where it stands, and its words."""
    found = []
    for page in PAGES:
        for block in re.findall(r"^```sh\n(.*?)^```", (ROOT / page).read_text(), re.M | re.S):
            for line in block.replace("\\\n", " ").splitlines():
                for part in re.split(r" \| | > .*| &$", line):
                    if words := shlex.split(part, comments=True):
                        found.append((page, words))
    return found


COMMANDS = [pytest.param(words, id=f"{page}: {' '.join(words)}") for page, words in commands()]


def test_every_setting_stands_there_with_its_default() -> None:
    def shown(name: str) -> str:
        field = Settings.model_fields[name]
        if field.default_factory:
            return "cores"
        if field.default == BUNDLED:
            return f"`{BUNDLED.relative_to(ROOT)}`"
        default = field.default
        return f"`{default:g}`" if isinstance(default, int | float) else f"`{default}`"

    stand = {variable: default for variable, default, _ in table("Settings")}
    assert stand == {
        f"`AUDIODIFF_{name.upper()}`": "empty" if field.default in ((), "", None) else shown(name)
        for name, field in Settings.model_fields.items()
    }


def test_every_route_stands_there() -> None:
    app = FastAPI(docs_url=None, redoc_url=None)
    add_routes(app, Settings(), GenerationOptions())
    add_page(app)
    stand = {path for cells in table("API") for path in re.findall(r"(/[\w.]*)`", cells[0])}
    served = set(app.openapi()["paths"])
    assert served <= stand
    assert stand - served == {"/", "/docs", "/openapi.json", "/listen"}


@pytest.mark.parametrize("words", COMMANDS)
def test_a_command_is_one(words: list[str]) -> None:
    for start, known in PARSERS.items():
        if tuple(words[: len(start)]) == start:
            assert isinstance(known.parse_args(words[len(start) :]), argparse.Namespace)
    if words[0] == "make":
        assert {word for word in words[1:] if "=" not in word} <= TARGETS
    if words[:2] == ["docker", "compose"]:
        profiles = {words[i + 1] for i, word in enumerate(words) if word == "--profile"}
        assert profiles <= {one for it in SERVICES.values() for one in it.get("profiles", [])}
        assert set(words[words.index("up") + 1 :]) - {"-d", "--no-deps"} <= set(SERVICES)


@pytest.mark.parametrize("page", PAGES)
def test_a_link_leads_somewhere(page: str) -> None:
    text = (ROOT / page).read_text()
    for link in re.findall(r"\]\(([^)\s]+)\)|\bsrc(?:set)?=\"([^\"]+)\"", text):
        path, _, anchor = "".join(link).partition("#")
        if path.startswith("http"):
            continue
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.exists()
        if anchor:
            headings = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE)
            assert anchor in {heading.lower().replace(" ", "-") for heading in headings}
