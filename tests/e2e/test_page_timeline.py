"""The page with recordings longer than clips: their timelines in a browser."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import webvtt
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, FilePayload, Page, expect

from tests.e2e.browsing import CHROMIUM, chromium, visit
from tests.support.audio import by_soundfile
from tests.support.client import WAIT_S
from tests.support.threaded import in_thread
from tests.support.tones import RATE, Placed, ToneCaptioner, recording

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")

DOG: Placed = ("Dog", 1.28, 5.12)
RAIN: Placed = ("Rain", 64.0, 72.96)
ENTRIES = ["0:01–0:05a dog is heardDog", "1:04–1:12a rain is heardRain"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=1000 * WAIT_S)
    with chromium() as browser:
        yield browser


@pytest.fixture
def captioner() -> ToneCaptioner:
    return ToneCaptioner()


@pytest.fixture
def page(browser: Browser, captioner: ToneCaptioner) -> Iterator[Page]:
    with (
        in_thread(captioner) as port,
        visit(browser, f"http://127.0.0.1:{port}", refused=[415]) as page,
    ):
        yield page


def choose(page: Page, letter: str, *placed: Placed) -> None:
    data = by_soundfile(recording(80.0, *placed), RATE)
    file: FilePayload = {"name": "night.wav", "mimeType": "audio/x-test", "buffer": data}
    page.get_by_label(f"Choose a file for clip {letter}").set_input_files(file)


def test_a_long_recording_is_told_by_entries(page: Page) -> None:
    choose(page, "A", DOG, RAIN)
    entries = page.get_by_role("list", name="What is heard when in clip A").get_by_role("button")
    expect(entries).to_have_text(ENTRIES)
    expect(page.locator(".statement .lead")).to_have_text(
        "Heard in 1 min 20 s: rain (9 s) and dog (4 s)."
    )
    position = page.get_by_role("slider", name="Position in clip A")
    entries.nth(1).click()
    page.get_by_role("button", name="Pause clip A").click()
    assert 63.9 < float(position.get_attribute("aria-valuenow") or "nan") < 70
    with page.expect_download() as download:
        page.get_by_role("link", name="Download as WebVTT").click()
    assert download.value.suggested_filename == "night.vtt"
    cues = webvtt.read(download.value.path())
    assert [(one.start, one.text) for one in cues] == [
        ("00:00:01.280", "[dog heard]"),
        ("00:01:04.000", "[rain heard]"),
    ]
    results = Axe().run(page)
    assert results.violations_count == 0, results.generate_report()
    page.get_by_role("button", name="Remove").click()
    expect(entries).to_have_count(0)


def test_entries_come_while_it_listens(page: Page, captioner: ToneCaptioner) -> None:
    seen = threading.Event()
    # The first three windows hold the dog, and the four after them not yet the rain.
    captioner.before_encode = lambda windows: windows < 3 or seen.wait(WAIT_S)
    choose(page, "A", DOG, RAIN)
    entries = page.get_by_role("list", name="What is heard when in clip A").get_by_role("button")
    expect(entries).to_have_text(ENTRIES[:1])
    expect(page.locator(".doing")).to_contain_text("are heard")
    seen.set()
    expect(entries).to_have_text(ENTRIES)


def test_two_long_recordings(page: Page) -> None:
    choose(page, "A", DOG, RAIN)
    choose(page, "B", RAIN)
    lists = [
        page.get_by_role("list", name=f"What is heard when in clip {letter}") for letter in "AB"
    ]
    expect(lists[0].get_by_role("button")).to_have_text(ENTRIES[:1])
    expect(lists[1].get_by_role("button")).to_have_count(0)
    expect(page.locator(".statement .kicker")).to_contain_text(
        ["When in A and never in B: 1", "When in B and never in A: 0"]
    )
    expect(page.get_by_text("Nothing here is not in A as well.")).to_be_visible()


def test_a_problem_on_the_way(page: Page, tmp_path: Path) -> None:
    (tmp_path / "night.wav").write_bytes(b"no sound" * (4 << 20))
    page.get_by_label("Choose a file for clip A").set_input_files(tmp_path / "night.wav")
    expect(page.get_by_role("alert")).to_contain_text("This is not an audio file")
