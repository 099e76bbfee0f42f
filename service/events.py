"""An answer as server-sent events: its words as they come, at last the whole, or a problem."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Coroutine

from fastapi import Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from engine.reading import Reader
from service import problems, schemas

Work = Coroutine[None, None, schemas.DifferenceResponse | schemas.LongDifferenceResponse]


class Words:
    """What a reader reads on the model thread, for the event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._texts: asyncio.Queue[str | None] = asyncio.Queue()
        self._over = False

    def read(self, text: str) -> bool:
        """All of the text so far; False once nobody wants more. Safe in any thread."""
        if not self._over:
            self._loop.call_soon_threadsafe(self._texts.put_nowait, text)
        return not self._over

    def close(self) -> None:
        """Nothing more is wanted, or comes."""
        self._over = True
        self._texts.put_nowait(None)

    async def next(self) -> str | None:
        """The next that was read; None at the end."""
        return await self._texts.get()


class Events(StreamingResponse):
    """``words`` with the next of the caption, and ``answer``; or ``problem``."""

    media_type = "text/event-stream"

    def __init__(
        self,
        request: Request,
        task: asyncio.Task[schemas.DifferenceResponse | schemas.LongDifferenceResponse],
        words: Words,
        first: str | None,
    ) -> None:
        """``task`` makes the answer, and notices if the client leaves."""
        self._request = request
        self._task = task
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(self._events(words, first), headers=headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Send them."""
        try:
            await self.stream_response(send)
        finally:
            self._task.cancel()

    async def _events(self, words: Words, text: str | None) -> AsyncGenerator[str]:
        said = ""
        while text is not None:
            if text != said:
                yield _event("words", {"text": text[len(said) :]})
                said = text
            text = await words.next()
        try:
            answer = await self._task
        except ClientDisconnect as error:
            problems.described(error, self._request.state.record)
        except Exception as error:
            _, problem = problems.described(error, self._request.state.record)
            yield _event("problem", problem)
        else:
            if isinstance(answer, schemas.DifferenceResponse) and answer.caption != said:
                yield _event("words", {"text": answer.caption[len(said) :]})
            yield _event("answer", answer)


async def streamed(request: Request, work: Callable[[Reader], Work]) -> Events:
    """The answer that ``work`` makes while it is read; what fails before the first word is raised.

    ``work`` ends with ClientDisconnect if the client leaves; then nothing more is read.
    """
    words = Words()

    async def run() -> schemas.DifferenceResponse | schemas.LongDifferenceResponse:
        try:
            return await work(words.read)
        finally:
            words.close()

    task = asyncio.create_task(run())
    try:
        first = await words.next()
        if first is None:
            await task
    except BaseException:
        task.cancel()
        raise
    return Events(request, task, words, first)


def _event(name: str, data: BaseModel | dict[str, str]) -> str:
    told = data.model_dump(exclude_unset=True) if isinstance(data, BaseModel) else data
    return f"event: {name}\ndata: {json.dumps(told)}\n\n"
