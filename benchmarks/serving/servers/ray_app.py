"""Ray Serve: a FastAPI ingress that decodes, and ``@serve.batch`` around the model.

Annotations are evaluated here: Ray's ingress needs them as types.
"""

import sys
import time
from typing import Any

from fastapi import FastAPI, UploadFile
from ray import serve

from benchmarks.serving.servers.shared import MAX_BATCH, describe, load

app = FastAPI()


@serve.deployment(max_ongoing_requests=1000)
@serve.ingress(app)
class Captions:
    """Both routes in one replica."""

    def __init__(self) -> None:
        self.captioner = load()

    @serve.batch(max_batch_size=MAX_BATCH, batch_wait_timeout_s=0.01)
    async def run(self, requests: list[Any]) -> list[str]:
        """Batched by Ray Serve."""
        return describe(self.captioner, requests)

    async def _answer(self, *uploads: UploadFile) -> dict[str, str]:
        clips = tuple([self.captioner.prepare(await upload.read()) for upload in uploads])
        return {"caption": await self.run(clips)}

    @app.post("/caption")
    async def caption(self, file: UploadFile) -> dict[str, str]:
        """One file."""
        return await self._answer(file)

    @app.post("/difference")
    async def difference(self, input: UploadFile, reference: UploadFile) -> dict[str, str]:  # noqa: A002
        """Two files."""
        return await self._answer(input, reference)


if __name__ == "__main__":
    serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1])})
    serve.run(Captions.bind())
    while True:
        time.sleep(60)
