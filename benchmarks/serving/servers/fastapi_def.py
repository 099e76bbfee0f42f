"""What most people write first: FastAPI, a ``def`` handler, a lock around the model."""

from __future__ import annotations

import sys
import threading

import uvicorn
from fastapi import FastAPI, UploadFile

from benchmarks.serving.servers.shared import describe, load

app = FastAPI()
captioner = load()
lock = threading.Lock()


def answer(*uploads: UploadFile) -> dict[str, str]:
    """Decode in the handler's thread; one request at a time on the model."""
    clips = tuple(captioner.prepare(upload.file.read()) for upload in uploads)
    with lock:
        return {"caption": describe(captioner, [clips])[0]}


@app.post("/caption")
def caption(file: UploadFile) -> dict[str, str]:
    """One file."""
    return answer(file)


@app.post("/difference")
def difference(input: UploadFile, reference: UploadFile) -> dict[str, str]:  # noqa: A002
    """Two files."""
    return answer(input, reference)


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), log_level="warning")
