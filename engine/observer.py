"""What happens in an engine, told to whoever counts it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol


class Observer(Protocol):
    """Is told from several threads, and must not keep them; ``service.metrics.Metrics`` is one."""

    def model(self, name: str, revision: str, device: str, dtype: str) -> None:
        """Which model it is that answers; once, at the start."""

    def watch(self, gauge: str, read: Callable[[], float]) -> None:
        """Something to be read at any time from now on, from any thread.

        ``queue_depth`` and ``queue_audio_seconds`` of what waits, ``model_ready`` (0 or 1),
        ``device_memory_bytes``, ``decoders_ready``, ``streams``.
        """

    def batch(self, lengths: Sequence[float], encoded: int) -> None:
        """A batch of clips of these ``lengths`` in seconds, of which ``encoded`` were new."""

    def generated(self, tokens: int) -> None:
        """So many tokens were generated."""

    def heard(self, labels: Iterable[str]) -> None:
        """Sounds of these labels, all of them the checkpoint's own, were told of."""

    def listened(self, lag_s: float, told: bool) -> None:
        """A window of a stream was heard ``lag_s`` after its end came, and told of or not."""


class Unobserved:
    """The observer where nobody counts."""

    def model(self, name: str, revision: str, device: str, dtype: str) -> None:
        """Forget it."""

    def watch(self, gauge: str, read: Callable[[], float]) -> None:
        """Forget it."""

    def batch(self, lengths: Sequence[float], encoded: int) -> None:
        """Forget it."""

    def generated(self, tokens: int) -> None:
        """Forget it."""

    def heard(self, labels: Iterable[str]) -> None:
        """Forget it."""

    def listened(self, lag_s: float, told: bool) -> None:
        """Forget it."""
