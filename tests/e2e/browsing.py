"""A browser before the page, and behind the page a service that hears how long a clip is."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from playwright.sync_api import Browser, FilePayload, Page, expect, sync_playwright

from engine.reading import Reader
from model import audio
from model.types import Description, Encoded, GenerationOptions, Segment, Waveform
from tests.support.audio import by_soundfile
from tests.support.captioner import FakeCaptioner
from tests.support.client import WAIT_S
from tests.support.threaded import in_thread

CHROMIUM = shutil.which("chromium")
RATE = 16_000
KEPT = (0.25, 0.85)
"""What the mask keeps of the first second, in halves."""


class Hearing(FakeCaptioner):
    """Decodes for real; of a clip of two seconds it says "sound 2", and of kinds of sound nothing.

    Unless it ``tells`` of them, as checkpoints with an event head do.
    """

    sample_rate = RATE

    def __init__(self, tells: bool = False, further: bool = False) -> None:
        super().__init__()
        self._tells = tells
        if not further:
            self.styles = {"rest": (self.name, self.revision)}

    def prepare(
        self, data: bytes, limits: audio.DecodeLimits, decode: audio.Decode = audio.decode
    ) -> Waveform:
        clip = decode(data, RATE, limits)
        return replace(clip, samples=torch.full((2,), float(round(clip.duration_s))))

    def describe(
        self,
        pairs: Sequence[tuple[Encoded, Encoded | None]],
        options: GenerationOptions,
        readers: Sequence[Reader | None] = (),
    ) -> list[Description]:
        timeline = tuple(Segment(i / 2, (i + 1) / 2, kept) for i, kept in enumerate(KEPT))
        described = [
            replace(said, timeline=said.timeline and timeline)
            for said in super().describe(pairs, options, readers)
        ]
        if self._tells:
            return described
        return [replace(said, sounds=(), shared=said.shared and ()) for said in described]


@contextmanager
def hearing(
    tells: bool = False, further: bool = False, **settings: Any
) -> Iterator[tuple[Hearing, str]]:
    """A service in a thread: its pipeline, and its address."""
    pipeline = Hearing(tells, further)
    with in_thread(pipeline, **{"cache_mb": 0, **settings}) as port:
        yield pipeline, f"http://127.0.0.1:{port}"


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, with a microphone that beeps."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=[
                "--no-sandbox",
                "--use-fake-device-for-media-stream",
                "--use-fake-ui-for-media-stream",
            ],
        )
        yield browser
        browser.close()


@contextmanager
def visit(
    browser: Browser, address: str, refused: Sequence[int | str] = (), **context: Any
) -> Iterator[Page]:
    """The page at ``address``, which must report no error on the console and ask no other host.

    ``refused`` are the statuses and network errors that it may get; the browser reports them on the
    console itself.
    """
    complaints: list[str] = []
    asked: set[str] = set()
    with browser.new_context(**context) as own:
        own.set_default_timeout(1000 * WAIT_S)
        page = own.new_page()
        page.on(
            "console", lambda said: complaints.append(said.text) if said.type == "error" else None
        )
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: asked.add(request.url))
        page.goto(address)
        expect(page.locator("#model")).not_to_be_empty()
        yield page
    known = [one if isinstance(one, str) else f"with a status of {one} " for one in refused]
    unknown = [line for line in complaints if not any(part in line for part in known)]
    assert not unknown, unknown
    elsewhere = {url for url in asked if not url.startswith((address, "data:", "blob:"))}
    assert not elsewhere, elsewhere


def sound(seconds: float, hertz: float = 440) -> np.ndarray:
    """A tone: [S] at ``RATE`` hertz."""
    times = np.arange(round(seconds * RATE)) / RATE
    return (0.5 * np.sin(2 * np.pi * hertz * times)).astype(np.float32)


def file(seconds: float, name: str = "tone.wav") -> FilePayload:
    """A tone as a file; the name says which format."""
    data = by_soundfile(sound(seconds), RATE, name.rpartition(".")[2])
    return {"name": name, "mimeType": "audio/x-test", "buffer": data}
