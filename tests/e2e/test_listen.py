"""Streams and real processes: ``audiodiff listen`` with the bundled checkpoint, ``WS /listen``."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from cli.outbox import signature
from model.types import Encoded, Waveform
from tests.e2e.browsing import CHROMIUM, chromium
from tests.support.answering import answering
from tests.support.client import WAIT_S
from tests.support.file_server import serving as files
from tests.support.process import ROOT, serving
from tests.support.threaded import in_thread
from tests.support.tones import ToneCaptioner
from training.scenes.synthetic import synthesize

RATE = 16_000
ONSET_S = 25


def test_a_telephone_over_a_hum_is_told_and_posted(tmp_path: Path) -> None:
    times = np.arange(35 * RATE) / RATE
    sound = 0.02 * sum(np.sin(2 * np.pi * 50 * k * times) / k for k in (1, 2, 3, 4, 6))
    ring = synthesize("telephone_ring", np.random.default_rng(0), RATE, 4.0)
    sound[ONSET_S * RATE :][: len(ring)] += 0.5 * ring
    posted: list[tuple[dict[str, str], bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            posted.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    with answering(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as server:
        done = subprocess.run(
            [
                sys.executable, "-m", "cli", "listen", "-", "--rate", str(RATE), "--outbox",
                str(tmp_path / "outbox"), "--post", f"http://127.0.0.1:{server.server_port}/",
            ],
            cwd=ROOT,
            env={**os.environ, "AUDIODIFF_WEBHOOK_SECRET": "hush"},
            input=(sound.clip(-1, 1) * 32767).astype("<i2").tobytes(),
            capture_output=True,
            timeout=240,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    lines = done.stdout.splitlines()
    events = [json.loads(line) for line in lines]
    assert events, "nothing was told"
    assert events[0]["start_s"] >= ONSET_S - 1
    assert [body for _, body in posted] == lines
    headers, body = posted[0]
    assert headers["idempotency-key"] == events[0]["id"]
    expected = signature("hush", headers["x-audiodiff-timestamp"], body)
    assert headers["x-audiodiff-signature"] == f"sha256={expected}"


def test_an_open_stream_does_not_keep_a_service_that_is_told_to_end() -> None:
    with serving("Tones") as process:
        address = str(process.http.base_url).replace("http", "ws", 1)
        with connect(f"{address}/listen") as stream:
            stream.send(json.dumps({"sample_rate": 1000}))
            assert "ready" in json.loads(stream.recv(timeout=WAIT_S))
            process.child.send_signal(signal.SIGTERM)
            with pytest.raises(ConnectionClosed):
                stream.recv(timeout=WAIT_S)
            assert stream.close_code in (1012, 1013)
        assert process.child.wait(WAIT_S) == 0


class Kept(ToneCaptioner):
    """Keeps the windows that it hears."""

    def __init__(self) -> None:
        super().__init__()
        self.windows: list[Tensor] = []

    def encode(self, clips: Sequence[Waveform]) -> list[Encoded]:
        self.windows += [clip.samples for clip in clips]
        return super().encode(clips)


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_the_browser_example_of_the_docs_sends_what_its_microphone_hears() -> None:
    [example] = re.findall(r"```js\n(.*?)```", (ROOT / "docs" / "listening.md").read_text(), re.S)
    captioner = Kept()
    with (
        files() as pages,  # the service's own page forbids scripts of others
        in_thread(captioner, cors_origins=pages.url) as port,
        chromium() as browser,
    ):
        pages.files["/"] = b"<!doctype html>"
        page = browser.new_page()
        page.goto(pages.url)
        told: list[str] = []
        page.on("console", lambda message: told.append(message.text))
        here = example.replace("127.0.0.1:8000", f"127.0.0.1:{port}")
        page.evaluate(f"async () => {{ {here} }}")
        end = time.monotonic() + WAIT_S
        while len(captioner.windows) < 2 and time.monotonic() < end:
            page.wait_for_timeout(100)
    assert any(line.startswith('{"ready"') for line in told), told
    first, second = captioner.windows[:2]
    assert first.abs().max() > 0.01, "it beeps"
    kept = first[len(first) // 3 :]  # of a window of 4.8 s that begins anew after 1.6 s
    assert torch.equal(second[: len(kept)], kept)
