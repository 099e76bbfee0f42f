"""The page in a browser: what a visitor does, and what a visitor gets."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, Route, expect

from tests.e2e.browsing import CHROMIUM, RATE, Hearing, chromium, file, hearing, sound, visit
from tests.support.client import WAIT_S, eventually

ROOT = Path(__file__).resolve().parents[2]
IMAGES = ROOT / "docs" / "images"
SCHEMES = ("light", "dark")
SETTLED = """(async () => {
    // A transition that is turned round, or whose element goes, is cancelled: that ends it as well.
    for (let moving; (moving = document.getAnimations()).length; ) {
        await Promise.allSettled(moving.map((one) => one.finished));
    }
})()"""

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=1000 * WAIT_S)
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def service() -> Iterator[tuple[Hearing, str]]:
    with hearing() as service:
        yield service


@pytest.fixture(scope="module")
def telling() -> Iterator[tuple[Hearing, str]]:
    """A service whose checkpoint tells of sounds."""
    with hearing(tells=True) as service:
        yield service


@pytest.fixture
def told(browser: Browser, telling: tuple[Hearing, str]) -> Iterator[Page]:
    """Its page."""
    with visit(browser, telling[1]) as page:
        yield page


@pytest.fixture
def page(browser: Browser, service: tuple[Hearing, str]) -> Iterator[Page]:
    with visit(browser, service[1]) as page:
        yield page


def track(page: Page, letter: str) -> Locator:
    return page.get_by_role("region", name=f"Clip {letter}", exact=True)


def choose(page: Page, letter: str, seconds: float, name: str = "tone.wav") -> None:
    page.get_by_label(f"Choose a file for clip {letter}").set_input_files(file(seconds, name))


def said(page: Page, *captions: str) -> None:
    expect(page.locator(".caption")).to_have_text([*captions])


def stretches(page: Page, letter: str) -> Locator:
    """The stretches of the sounds in a clip's lanes."""
    return track(page, letter).get_by_role("list", name="Sounds in clip").get_by_role("button")


def names(buttons: Locator) -> list[str]:
    return [button.get_attribute("aria-label") or "" for button in buttons.all()]


def lane(page: Page, letter: str) -> Locator:
    return page.get_by_role("slider", name=f"Position in clip {letter}")


def position(page: Page, letter: str) -> float:
    return float(lane(page, letter).get_attribute("aria-valuenow") or "nan")


def test_what_else_the_service_tells_of_two_clips_is_said_below(browser: Browser) -> None:
    with hearing(further=True) as (_, address), visit(browser, address) as page:
        choose(page, "A", 2)
        choose(page, "B", 1)
        said(page, "sound 2 without 1", "sound 1 without 2")
        expect(page.locator(".both")).to_have_text(
            [
                "What changed, from B to Aa dog is added",
                "What each is likeparagraph: A has 2, B has 1",
            ]
        )
        expect(page.get_by_role("status")).to_have_text(
            "In A and not in B: sound 2 without 1. In B and not in A: sound 1 without 2. What "
            "changed, from B to A: a dog is added. What each is like: paragraph: A has 2, B has 1."
        )


# -- what it is for ---------------------------------------------------------------------------


def test_a_clip_is_described(page: Page, service: tuple[Hearing, str]) -> None:
    pipeline, _ = service
    choose(page, "A", 2)
    said(page, "sound 2")
    assert pipeline.described[-1][1].num_captions == 3
    expect(page.locator(".others li")).to_have_text(
        ["sound 2, take 1−0.50", "sound 2, take 2−0.75"]
    )
    expect(page.locator(".confidence")).to_have_text("Score −0.25")
    expect(track(page, "A")).to_contain_text("2.0 s · 16.0 kHz · mono · wav")
    expect(page.get_by_role("status")).to_have_text("Heard in A: sound 2.")
    details = page.locator(".details")
    details.locator("summary").click()
    for stage in ("decode", "queue", "encode", "generate"):
        expect(details.locator(f"dl [data-stage={stage}]")).to_have_text(
            re.compile(rf"{stage}[\d.]+ ms")
        )
    expect(details).to_contain_text("0123abcd")


def test_two_clips_are_compared_in_both_directions(page: Page) -> None:
    choose(page, "A", 2)
    said(page, "sound 2")
    choose(page, "B", 1)
    said(page, "sound 2 without 1", "sound 1 without 2")
    expect(page.get_by_role("status")).to_have_text(
        "In A and not in B: sound 2 without 1. In B and not in A: sound 1 without 2."
    )
    expect(page.locator(".note:visible")).to_have_text(
        ["The mask keeps 25 % to 85 % of each moment: most at 0.5–1.0 s, least at 0.0–0.5 s."] * 2
    )
    page.get_by_role("button", name="Swap").click()
    said(page, "sound 1 without 2", "sound 2 without 1")
    page.get_by_role("button", name="Remove").first.click()
    said(page, "sound 2")
    expect(page.get_by_label("Choose a file for clip A")).to_be_focused()


def test_both_clips_lie_on_one_axis_and_the_mask_over_them(page: Page) -> None:
    choose(page, "A", 2)
    said(page, "sound 2")
    inked = """canvas => {
        const pen = canvas.getContext("2d");
        const column = (share) => {
            const x = Math.round(share * canvas.width);
            const { data } = pen.getImageData(x, 60, 1, 120);
            return new Set(new Uint32Array(data.buffer)).size;
        };
        return [0.1, 0.4, 0.6, 0.9].map(column);
    }"""
    a, b = (lane(page, letter).locator("canvas") for letter in "AB")
    assert min(a.evaluate(inked)) > 10
    before = a.evaluate("canvas => canvas.toDataURL()")
    choose(page, "B", 1)
    said(page, "sound 2 without 1", "sound 1 without 2")
    first, second, third, fourth = b.evaluate(inked)
    assert min(first, second) > 10
    assert third == fourth == 1  # nothing beyond its end, at the middle of the axis
    assert a.evaluate("canvas => canvas.toDataURL()") != before
    assert a.evaluate("canvas => canvas.width") == b.evaluate("canvas => canvas.width")
    for letter in "AB":
        expect(track(page, letter).locator(".axis span").last).to_have_text("2")


def test_what_is_seen_is_also_written(page: Page) -> None:
    choose(page, "A", 2)
    choose(page, "B", 2)
    said(page, "sound 2 without 2", "sound 2 without 2")
    words = track(page, "A").locator(".words")
    words.locator("summary").click()
    expect(words.locator("p")).to_contain_text("2.0 seconds of sound.")
    expect(words.locator("tbody tr")).to_have_count(2)
    expect(words.locator("tbody tr").first).to_have_text(re.compile("0.0–0.5 s4[0-9]0 Hz−6 dB25 %"))


def test_files_are_dropped(page: Page) -> None:
    drop = """async ([selector, sizes]) => {
        const transfer = new DataTransfer();
        for (const seconds of sizes) {
            const encoder = new OfflineAudioContext(1, 1, 16000);
            const bytes = new Uint8Array(44 + 32000 * seconds);
            const view = new DataView(bytes.buffer);
            const text = (at, value) =>
                [...value].forEach((c, i) => (bytes[at + i] = c.charCodeAt()));
            text(0, "RIFF"); view.setUint32(4, bytes.length - 8, true); text(8, "WAVEfmt ");
            [[16, 16], [24, 16000], [28, 32000], [40, bytes.length - 44]].forEach(
                ([at, value]) => view.setUint32(at, value, true));
            [[20, 1], [22, 1], [32, 2], [34, 16]].forEach(
                ([at, value]) => view.setUint16(at, value, true));
            text(36, "data");
            transfer.items.add(new File([bytes], `${seconds}.wav`));
        }
        document.querySelector(selector).dispatchEvent(
            new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true }));
    }"""
    page.evaluate(drop, ["h1", [1]])
    said(page, "sound 1")
    page.evaluate(drop, ["h1", [2]])
    said(page, "sound 1 without 2", "sound 2 without 1")
    page.evaluate(drop, ["[data-letter=B] h2", [3, 4]])
    said(page, "sound 4 without 3", "sound 3 without 4")


def test_a_clip_is_recorded(page: Page) -> None:
    page.get_by_role("button", name="Record clip A").click()
    expect(page.locator(".elapsed:visible")).to_contain_text(
        re.compile("[1-9]\\.[0-9] s of at most")
    )
    page.get_by_role("button", name="Stop").click()
    expect(page.locator(".caption")).to_have_text(re.compile("sound [1-9]"))
    expect(track(page, "A")).to_contain_text(
        re.compile("Recording A1.*[0-9] kHz · [a-z]+ · webm", re.DOTALL)
    )
    expect(page.get_by_role("button", name="Play clip A")).to_be_focused()


def test_a_demo_at_one_click(page: Page) -> None:
    page.get_by_role("button", name="Rain", exact=True).click()
    said(page, "sound 5")
    for button in page.locator("#demo-two button").all():
        page.evaluate("document.querySelector('#answer').replaceChildren()")
        button.click()
        said(page, "sound 5 without 5", "sound 5 without 5")
    page.get_by_role("button", name="Church bells", exact=True).click()
    said(page, "sound 5")


def test_a_clip_is_played_from_any_point(page: Page) -> None:
    choose(page, "A", 30)
    choose(page, "B", 30)
    said(page, "sound 30 without 30", "sound 30 without 30")
    width = lane(page, "A").bounding_box()["width"]  # type: ignore[index]
    lane(page, "A").click(position={"x": width / 2, "y": 90})
    pause = page.get_by_role("button", name="Pause clip A")
    expect(pause).to_be_visible()
    lane(page, "B").click(position={"x": width / 4, "y": 90})
    expect(page.get_by_role("button", name="Pause clip B")).to_be_visible()
    expect(pause).to_be_hidden()  # one sound at a time
    assert 15 <= position(page, "A") < 30
    page.get_by_role("button", name="Pause clip B").click()
    assert 7.5 <= position(page, "B") < 30
    lane(page, "B").press("End")
    lane(page, "B").press("ArrowLeft")
    lane(page, "B").press("Enter")
    expect(page.get_by_role("button", name="Play clip B")).to_be_visible()
    expect(lane(page, "B")).to_have_attribute("aria-valuenow", "0.00")  # it came to its end


def test_with_the_keyboard_alone(page: Page) -> None:
    def tab_to(target: Locator) -> None:
        for _ in range(40):
            page.keyboard.press("Tab")
            if target.evaluate("element => element === document.activeElement"):
                outline = (
                    "element => getComputedStyle(element.closest('label') ?? element).outlineStyle"
                )
                assert target.evaluate(outline) == "solid"
                return
        pytest.fail(f"the tabulator never came to {target}")

    tab_to(page.get_by_role("link", name="API"))
    tab_to(page.get_by_label("Choose a file for clip A"))
    tab_to(page.get_by_role("button", name="Record clip B"))
    tab_to(page.get_by_role("button", name="A woman in the rain minus rain"))
    page.keyboard.press("Enter")
    said(page, "sound 5 without 5", "sound 5 without 5")
    tab_to(page.locator(".details summary"))
    tab_to(page.get_by_role("button", name="Play clip A"))
    page.keyboard.press("Space")
    expect(page.get_by_role("button", name="Pause clip A")).to_be_visible()
    page.keyboard.press("Space")
    expect(page.get_by_role("button", name="Play clip A")).to_be_visible()
    tab_to(lane(page, "A"))
    page.keyboard.press("Home")
    for key, time in (
        ("ArrowRight", "0.10"),
        ("PageUp", "1.10"),
        ("PageDown", "0.10"),
        ("End", "5.00"),
    ):
        page.keyboard.press(key)
        expect(lane(page, "A")).to_have_attribute("aria-valuenow", time)
    expect(lane(page, "A")).to_have_attribute("aria-valuetext", "5.0 of 5.0 seconds")
    tab_to(page.get_by_role("button", name="Swap"))
    page.keyboard.press("Enter")
    expect(track(page, "A").locator(".name")).to_have_text("rain.flac")


# -- the sounds -------------------------------------------------------------------------------

DOG = "Dog, 87 %, 0.0 to 0.5 s"
RAIN = ("Rain, 41 %, 0.0 to 0.3 s", "Rain, 41 %, 0.5 to 1.0 s")


def test_sounds_are_told_of_with_their_scores_and_times(told: Page) -> None:
    height = "canvas => canvas.clientHeight"
    choose(told, "A", 2)
    said(told, "sound 2")
    expect(told.get_by_role("list", name="Heard in A: sounds").locator("li")).to_have_text(
        ["Dog87 %", "Rain41 %"]
    )
    assert names(stretches(told, "A")) == [DOG, *RAIN]
    canvas = lane(told, "A").locator("canvas").bounding_box()
    dog, _, rain = (button.bounding_box() for button in stretches(told, "A").all())
    assert canvas
    assert dog
    assert rain
    assert [dog["x"], dog["width"]] == pytest.approx([canvas["x"], canvas["width"] / 4], abs=1)
    assert rain["x"] == pytest.approx(canvas["x"] + canvas["width"] / 4, abs=1)
    assert canvas["y"] + canvas["height"] <= dog["y"] < dog["y"] + dog["height"] <= rain["y"]
    track(told, "A").locator("summary").click()
    rows = track(told, "A").locator("tbody tr")
    expect(rows.nth(0)).to_contain_text("Dog; Rain")
    expect(rows.nth(2)).to_have_text(re.compile("Dog; Rain$"))  # 0.4 to 0.6 s
    expect(rows.nth(9)).to_have_text(re.compile("–$"))
    before = lane(told, "A").locator("canvas").evaluate(height)
    choose(told, "B", 1)
    said(told, "sound 2 without 1", "sound 1 without 2")
    for letter, other in ("AB", "BA"):
        new = told.get_by_role("list", name=f"In {letter} and not in {other}: sounds")
        expect(new.locator("li")).to_have_text(["Dog87 %"])
        assert names(stretches(told, letter)) == [DOG]
        # There is no mask in the way, and the picture does not move for the lanes.
        assert lane(told, letter).locator("canvas").evaluate(height) == before
    expect(told.get_by_role("list", name="Both have: sounds").locator("li")).to_have_text(
        ["Rain41 %"]
    )
    expect(told.locator(".note:visible")).to_have_count(0)


def test_where_nothing_is_new_the_page_says_so(told: Page) -> None:
    choose(told, "A", 2)
    choose(told, "B", 2)
    said(told, "sound 2 without 2", "sound 2 without 2")
    expect(told.locator(".note:visible")).to_have_text(["No sound here is new."] * 2)
    expect(told.locator(".heard")).to_have_count(1)  # what both have
    expect(told.locator(".lanes:visible")).to_have_count(0)


def test_without_sounds_there_is_the_mask_alone(page: Page) -> None:
    choose(page, "A", 2)
    choose(page, "B", 1)
    said(page, "sound 2 without 1", "sound 1 without 2")
    expect(page.locator(".heard, .both, .lanes:visible")).to_have_count(0)
    expect(page.locator(".gutter", has_text="Mask")).to_have_count(2)


def test_a_sound_is_played_by_its_lane(told: Page) -> None:
    def began(letter: str) -> float:
        told.get_by_role("button", name=f"Pause clip {letter}").click()
        return position(told, letter)

    choose(told, "A", 30)
    said(told, "sound 30")
    box = stretches(told, "A").last.bounding_box()
    assert box
    stretches(told, "A").last.click(position={"x": box["width"] - 1, "y": box["height"] / 2})
    assert 0.9 <= began("A") < 30  # the end of 0.5 to 1.0 s, where it was clicked
    stretches(told, "A").first.focus()
    told.keyboard.press("ArrowDown")
    expect(told.get_by_role("button", name=RAIN[0])).to_be_focused()
    told.keyboard.press("ArrowRight")
    expect(told.get_by_role("button", name=RAIN[1])).to_be_focused()
    told.keyboard.press("Shift+Tab")  # all of them are one stop
    expect(lane(told, "A")).to_be_focused()
    told.keyboard.press("Tab")
    expect(told.get_by_role("button", name=RAIN[1])).to_be_focused()
    told.keyboard.press("Enter")
    assert 0.5 <= began("A") < 30  # its beginning


# -- when it goes wrong -----------------------------------------------------------------------


def test_not_audio(browser: Browser, service: tuple[Hearing, str]) -> None:
    with visit(browser, service[1], refused=[415]) as page:
        page.get_by_label("Choose a file for clip A").set_input_files(
            {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"not a sound " * 99}
        )
        alert = page.get_by_role("alert")
        expect(alert).to_contain_text("Not decodable as audio")
        expect(alert).to_contain_text("file: ")  # the service's own words
        expect(alert.get_by_role("button", name="Try again")).to_be_focused()
        expect(track(page, "A")).to_contain_text("No picture")
        page.get_by_role("button", name="Remove").click()
        expect(alert).to_be_empty()
        expect(page.get_by_role("heading", name="Hear what changed.")).to_be_visible()


def test_what_could_not_be_heard_is_told_of_beside_its_clip(page: Page) -> None:
    whole = file(2)
    data = bytearray(whole["buffer"])
    at = data.index(b"data") + 4
    length = int.from_bytes(data[at : at + 4], "little")
    data[at : at + 4] = (length + 2 * RATE // 10).to_bytes(4, "little")
    page.get_by_label("Choose a file for clip A").set_input_files({**whole, "buffer": bytes(data)})
    said(page, "sound 2")
    warnings = track(page, "A").get_by_role("list", name="What of clip A could not be heard")
    expect(warnings.get_by_role("listitem")).to_have_text(
        ["0.10 s of the sound are damaged or missing."]
    )
    choose(page, "B", 1)
    said(page, "sound 2 without 1", "sound 1 without 2")
    expect(warnings).to_be_visible()
    expect(track(page, "B").locator(".warnings")).to_be_hidden()
    page.get_by_role("button", name="Swap").click()
    said(page, "sound 1 without 2", "sound 2 without 1")
    expect(warnings).to_be_hidden()
    expect(track(page, "B").locator(".warnings")).to_contain_text("0.10 s")


def test_a_sentence_that_was_cut_looks_like_one(page: Page) -> None:
    def cut(route: Route) -> None:
        answer = route.fetch()
        first, *others = answer.json()["alternatives"]
        alternatives = [first | {"truncated": True}, *others]
        route.fulfill(json=answer.json() | {"truncated": True, "alternatives": alternatives})

    page.route("**/caption", cut)
    choose(page, "A", 2)
    said(page, "sound 2 …")
    expect(page.locator(".others li")).to_have_text(
        ["sound 2, take 1 …−0.50", "sound 2, take 2−0.75"]
    )


def test_what_the_browser_cannot_decode_the_service_may(page: Page) -> None:
    choose(page, "A", 2, "tone.aiff")
    said(page, "sound 2")
    expect(track(page, "A")).to_contain_text("2.0 s · 16.0 kHz · mono · aiff")
    expect(track(page, "A")).to_contain_text("No picture")
    choose(page, "B", 1)
    said(page, "sound 2 without 1", "sound 1 without 2")


def test_the_queue_is_full_and_then_it_is_not(browser: Browser) -> None:
    with hearing(max_queue=1) as (pipeline, address):
        pipeline.gate.clear()
        with visit(browser, address) as other, visit(browser, address, refused=[429]) as page:
            choose(other, "A", 1)
            assert pipeline.entered.acquire(timeout=WAIT_S)
            choose(page, "A", 2)
            expect(page.get_by_role("alert")).to_contain_text("the queue is full; try again later")
            expect(page.get_by_role("alert")).to_contain_text(re.compile(r"asks to wait \d+ s"))
            pipeline.gate.set()
            said(other, "sound 1")
            page.get_by_role("button", name="Try again").click()
            said(page, "sound 2")


def test_a_key_is_asked_for_and_kept_for_the_session_only(browser: Browser) -> None:
    with (
        hearing(api_keys="open sesame") as (_, address),
        visit(browser, address, refused=[401]) as page,
    ):
        choose(page, "A", 1)
        field = page.get_by_label("API key", exact=True)
        expect(field).to_be_focused()
        field.fill("wrong")
        field.press("Enter")
        expect(field).to_have_value("")  # a new form: the wrong key was refused as well
        field.fill("open sesame")
        page.get_by_role("button", name="Use it").click()
        said(page, "sound 1")
        assert page.evaluate("localStorage.length + document.cookie.length") == 0
        page.reload()
        choose(page, "A", 2)
        said(page, "sound 2")
        page.get_by_role("button", name="Forget key").click()
        choose(page, "B", 1)
        expect(field).to_be_visible()


def test_a_request_is_cancelled(page: Page, service: tuple[Hearing, str]) -> None:
    pipeline, _ = service
    while pipeline.entered.acquire(blocking=False):
        pass
    pipeline.gate.clear()
    choose(page, "A", 2)
    assert pipeline.entered.acquire(timeout=WAIT_S)
    expect(page.get_by_role("status")).to_have_text("Listening…")
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("heading", name="Cancelled.")).to_be_visible()
    pipeline.gate.set()
    page.get_by_role("button", name="Run again").click()
    said(page, "sound 2")


def test_progress_while_it_is_sent(page: Page) -> None:
    line = page.context.new_cdp_session(page)
    slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 100_000}
    line.send("Network.emulateNetworkConditions", slow)
    choose(page, "A", 30)  # 960 kB
    expect(page.get_by_role("progressbar")).to_have_attribute(
        "aria-valuenow", re.compile("^[1-9][0-9]?$")
    )
    expect(page.locator(".doing")).to_contain_text("Sending")
    line.send("Network.emulateNetworkConditions", slow | {"uploadThroughput": -1})
    said(page, "sound 30")


def test_a_service_that_is_gone(browser: Browser, service: tuple[Hearing, str]) -> None:
    with visit(browser, service[1], refused=[502, "net::ERR_FAILED"]) as page:
        alert = page.get_by_role("alert")
        page.route("**/caption", lambda route: route.fulfill(status=502, body="<h1>Bad</h1>"))
        choose(page, "A", 1)
        expect(alert).to_contain_text("Something between this page and the service answered 502.")
        page.unroute("**/caption")
        page.route("**/caption", lambda route: route.abort())
        alert.get_by_role("button", name="Try again").click()
        expect(alert).to_contain_text("The service could not be reached.")
        page.unroute("**/caption")
        alert.get_by_role("button", name="Try again").click()
        said(page, "sound 1")


def test_more_than_the_service_takes(browser: Browser) -> None:
    limits = {"max_upload_mb": 0.5, "max_timeline_mb": 0.5}
    with hearing(**limits) as (_, address), visit(browser, address) as page:
        choose(page, "A", 30)
        expect(page.get_by_role("alert")).to_contain_text(
            "These are 0.9 MiB; the service takes 0.5"
        )


# -- how it is made ---------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("which", ["service", "telling"])
def test_nothing_is_in_the_way_of_anybody(
    browser: Browser, request: pytest.FixtureRequest, which: str, scheme: str
) -> None:
    _, address = request.getfixturevalue(which)

    def check(page: Page) -> None:
        page.evaluate(SETTLED)
        results = Axe().run(page)
        assert results.violations_count == 0, results.generate_report()

    with visit(browser, address, refused=[415], color_scheme=scheme) as page:
        check(page)
        choose(page, "A", 2)
        choose(page, "B", 1)
        said(page, "sound 2 without 1", "sound 1 without 2")
        for summary in page.locator("summary").all():
            summary.click()
        check(page)
        page.get_by_role("button", name="Remove").first.click()
        said(page, "sound 1")
        page.get_by_role("button", name="Record clip A").click()
        expect(page.locator(".elapsed:visible")).to_contain_text("at most")
        check(page)
        page.get_by_role("button", name="Stop").click()
        page.get_by_label("Choose a file for clip A").set_input_files(
            {"name": "a.txt", "mimeType": "text/plain", "buffer": b"text"}
        )
        expect(page.get_by_role("alert")).not_to_be_empty()
        check(page)


def test_a_narrow_screen_shows_all_of_it(browser: Browser, telling: tuple[Hearing, str]) -> None:
    with visit(browser, telling[1], viewport={"width": 320, "height": 640}) as page:
        for _ in range(2):
            assert page.evaluate("document.documentElement.scrollWidth") == 320
            page.get_by_role("button", name="A woman and bells minus the woman").click()
            said(page, "sound 5 without 5", "sound 5 without 5")
            for summary in page.locator("summary").all():
                summary.click()


def test_motion_is_reduced_on_request(browser: Browser, service: tuple[Hearing, str]) -> None:
    with visit(browser, service[1], reduced_motion="reduce") as page:
        choose(page, "A", 1)
        said(page, "sound 1")
        names = "[...document.querySelectorAll('*')].map(e => getComputedStyle(e).animationName)"
        assert set(page.evaluate(names)) == {"none"}


def test_the_documentation_needs_no_other_host(
    browser: Browser, service: tuple[Hearing, str]
) -> None:
    with visit(browser, service[1]) as page:
        page.get_by_role("link", name="API").click()
        expect(page.locator(".swagger-ui .info .title")).to_contain_text("audiodiff")
        page.get_by_role("button", name="POST /difference Difference").click()
        expect(page.get_by_text("Say what is heard in")).to_be_visible()


def test_the_spectrogram_is_that_of_numpy(page: Page) -> None:
    top, window = 8000, 2048
    noise = np.random.default_rng(0).standard_normal(RATE // 2).astype(np.float32)
    clip = sound(0.5, 1000) + sound(0.5, 5000) / 10 + noise / 1000
    found = page.evaluate(
        """async ([samples, rate, top]) => {
            const { logMel, BANDS } = await import("./web/mel.js");
            const { values, columns, hop } = logMel(Float32Array.from(samples), rate, top);
            return { values: [...values], columns, hop, bands: BANDS };
        }""",
        [clip.tolist(), RATE, top],
    )
    hop, bands, columns = found["hop"], found["bands"], found["columns"]
    padded = np.pad(clip, window)
    starts = (np.arange(columns) + 0.5) * hop + window / 2
    frames = np.stack([padded[round(start) :][:window] for start in starts])
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    power = np.abs(np.fft.rfft(frames * hann)) ** 2 / (window / 4) ** 2
    mel = np.linspace(0, 2595 * np.log10(1 + top / 700), bands + 2)
    low, centre, high = (700 * (10 ** (mel[i : bands + i] / 2595) - 1) for i in range(3))
    hertz = np.arange(window // 2 + 1)[:, None] * RATE / window
    weights = np.minimum((hertz - low) / (centre - low), (high - hertz) / (high - centre)).clip(0)
    expected = 10 * np.log10(np.maximum(power @ weights, 1e-12))
    values = np.reshape(found["values"], (columns, bands))
    assert expected.min() > -90  # below, single precision ends
    assert np.abs(values - expected).max() < 0.1


@pytest.mark.parametrize("scheme", SCHEMES)
def test_equal_steps_of_level_look_equal(page: Page, scheme: str) -> None:
    rgb = np.reshape(
        page.evaluate(
            "async (name) => [...(await import('./web/colours.js')).colourMap(name)]", scheme
        ),
        (256, 4),
    )[:, :3]
    linear = np.where(rgb <= 10, rgb / 255 / 12.92, ((rgb / 255 + 0.055) / 1.055) ** 2.4)
    cones = linear @ np.array(
        [
            [0.4122214708, 0.2119034982, 0.0883024619],
            [0.5363325363, 0.6806995451, 0.2817188376],
            [0.0514459929, 0.1073969566, 0.6299787005],
        ]
    )
    lab = np.cbrt(cones) @ np.array(
        [
            [0.2104542553, 1.9779984951, 0.0259040371],
            [0.7936177850, -2.4285922050, 0.7827717662],
            [-0.0040720468, 0.4505937099, -0.8086757660],
        ]
    )
    strides = np.linalg.norm(np.diff(lab[::15], axis=0), axis=1)
    assert strides.max() < 1.25 * strides.min()
    lightness = np.diff(lab[::15, 0])
    assert (lightness < 0).all() if scheme == "light" else (lightness > 0).all()


# -- with the bundled checkpoint --------------------------------------------------------------


@pytest.fixture(scope="module")
def bundled() -> Iterator[str]:
    """The address of ``audiodiff serve``, which is ready."""
    command = [sys.executable, "-m", "cli", "serve", "--port", "0", "--log-format", "console"]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        found = None
        for line in process.stderr:
            if found := re.search(r"http://127\.0\.0\.1:\d+", line):
                break
        assert found, "the server ended before it listened"
        eventually(lambda: httpx.get(f"{found[0]}/readyz", timeout=WAIT_S).is_success)
        yield found[0]
        process.send_signal(signal.SIGTERM)
        process.communicate()


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize(("name", "width", "height"), [("page", 1280, 800), ("phone", 390, 844)])
def test_what_changed(
    browser: Browser, bundled: str, name: str, width: int, height: int, scheme: str
) -> None:
    size = {"width": width, "height": height}
    with visit(browser, bundled, viewport=size, color_scheme=scheme) as page:
        page.get_by_role("button", name="A woman in the rain minus rain").click()
        expect(page.locator(".caption").first).to_contain_text("speaking")
        expect(page.locator(".caption").first).not_to_contain_text("rain")
        if os.environ.get("AUDIODIFF_SCREENSHOTS") == "1":
            page.evaluate(f"scrollTo(0, 0); {SETTLED}")
            shot = Image.open(io.BytesIO(page.screenshot(full_page=name == "page")))
            # A palette takes a third of the room, and nobody sees the difference.
            palette = shot.convert("RGB").quantize(256, dither=Image.Dither.NONE)
            palette.save(IMAGES / f"{name}-{scheme}.png", optimize=True)
