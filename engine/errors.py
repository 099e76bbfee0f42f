"""What can go wrong with a request whatever its clips hold.

The tree follows a request on its way::

    AudiodiffError
    └── EngineError             the engine does not answer this request now
        ├── NotReady            at the door: it warms up, drains or hangs
        ├── QueueFull           at the door: as much waits as may
        ├── Closed              it shut down before the request's turn came
        ├── DeadlinePassed      the model was not free in time
        ├── DeviceFailed        the device could not compute the batch
        └── WorkerDied          the model thread has ended, and nothing is computed any more
            └── FatalBatch      ... in the batch that this request was part of
"""

from model.errors import AudiodiffError


class EngineError(AudiodiffError):
    """The engine does not answer this request now."""


class NotReady(EngineError):
    """The model is warming up; try again in a few seconds."""

    retry_after_s = 5.0


class QueueFull(EngineError):
    """The queue is full; come back after ``retry_after_s`` seconds."""

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Closed(EngineError):
    """The service is shutting down and takes no more work."""


class DeadlinePassed(EngineError):
    """The deadline passed before the model began with the request."""


class DeviceFailed(EngineError):
    """The device could not compute this; try a shorter clip or later."""

    retry_after_s = 5.0


class WorkerDied(EngineError):
    """The model thread has ended and the process must be restarted."""


class FatalBatch(WorkerDied):
    """The device failed while it computed this; send it once more, each clip alone."""
