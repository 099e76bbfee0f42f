"""Streams and real processes: ``audiodiff listen`` with the bundled checkpoint, ``WS /listen``."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from cli.outbox import signature
from tests.support.client import WAIT_S
from tests.support.process import ROOT, serving
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

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
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
        server.shutdown()
        thread.join()
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
