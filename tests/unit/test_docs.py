"""What the documents name is there: files, and the classes and functions in them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = (
    "docs/data-flow.md",
    "docs/decisions.md",
    "docs/security.md",
    "CONTRIBUTING.md",
    "README.md",
)
CODE = re.compile(r"`((?:cli|engine|model|service|training|tests|benchmarks|deploy)/[\w./-]+)`")


@pytest.mark.parametrize("name", DOCUMENTS)
def test_files_are_where_a_document_says(name: str) -> None:
    named = CODE.findall((ROOT / name).read_text(encoding="utf-8"))
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_each_step_of_the_road_names_what_its_file_holds() -> None:
    steps = re.findall(r"^\| \d+ \|.*\| (.*) \|$", (ROOT / "docs/data-flow.md").read_text(), re.M)
    assert len(steps) == 18 + 7  # of a request, and of a long recording
    sources = "\n".join(
        path.read_text(encoding="utf-8")
        for folder in ("engine", "model", "service")
        for path in (ROOT / folder).rglob("*.py")
    )
    for step in steps:
        for name in re.findall(r"`([A-Za-z_]\w*(?:\.\w+)?)`", step):
            last = name.rpartition(".")[2]
            assert re.search(rf"(def|class) {last}\b", sources), name
