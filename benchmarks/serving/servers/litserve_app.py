"""LitServe with its dynamic batching; one endpoint takes both kinds of request.

Annotations are evaluated here: LitServe looks for ``Request`` among them.
"""

import sys
from typing import Any

import litserve
from fastapi import Request
from starlette.formparsers import MultiPartParser

from benchmarks.serving.servers.shared import MAX_BATCH, describe, load
from model.types import Waveform

# LitServe pickles the form on its way to the worker: files must not be on the disk.
MultiPartParser.spool_max_size = 1 << 30


class Api(litserve.LitAPI):  # type: ignore[misc]
    """Decodes and captions in LitServe's worker process."""

    def setup(self, device: str) -> None:  # noqa: ARG002, D102
        self.captioner = load()

    def decode_request(self, request: Request) -> tuple[Waveform, ...]:  # noqa: D102
        form: Any = request
        names = ("file",) if "file" in form else ("input", "reference")
        return tuple(self.captioner.prepare(form[name].file.read()) for name in names)

    def batch(self, inputs: list[tuple[Waveform, ...]]) -> list[tuple[Waveform, ...]]:  # noqa: D102
        return inputs

    def predict(self, x: list[tuple[Waveform, ...]]) -> list[str]:  # noqa: D102
        return describe(self.captioner, x)

    def unbatch(self, output: list[str]) -> list[str]:  # noqa: D102
        return output

    def encode_response(self, output: str) -> dict[str, str]:  # noqa: D102
        return {"caption": output}


if __name__ == "__main__":
    api = Api(max_batch_size=MAX_BATCH, batch_timeout=0.01, api_path="/caption")
    server = litserve.LitServer(api, accelerator="cpu", timeout=120)
    server.run(port=int(sys.argv[1]), generate_client_file=False, log_level="warning")
