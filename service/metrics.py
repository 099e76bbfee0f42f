"""Every metric of the service, in one place; a registry per app, no global state."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
    start_http_server,
)

from service.middleware import Record
from service.problems import CLIENT_GONE

# 1 ms to 60 s.
_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60)
_CLIPS = (1, 2, 4, 8, 16, 32, 64, 128)
_RATIOS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
INFERENCE = ("/caption", "/difference", "/timeline")


class Metrics:
    """What is counted, of requests and (as its observer) of the engine; named by the contract."""

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        prefix = "audiodiff"
        self._requests = Counter(
            "requests", "Requests answered.", ["endpoint", "status"], prefix, registry=registry
        )
        self._request_seconds = Histogram(
            "request_seconds",
            "From a request's arrival to the end of its answer.",
            ["endpoint"],
            prefix,
            registry=registry,
            buckets=_SECONDS,
        )
        self._stage_seconds = Histogram(
            "stage_seconds",
            "What a request spent in each stage.",
            ["stage"],
            prefix,
            registry=registry,
            buckets=_SECONDS,
        )
        self._batch_size = Histogram(
            "batch_size", "Clips in a batch.", (), prefix, registry=registry, buckets=_CLIPS
        )
        self._padding = Histogram(
            "batch_padding_ratio",
            "Share of a batch that is padding while captions are searched for.",
            (),
            prefix,
            registry=registry,
            buckets=_RATIOS,
        )
        self._audio_seconds = Counter(
            "audio_seconds", "Seconds of audio described.", ["endpoint"], prefix, registry=registry
        )
        self._differences = Counter(
            "differences", "Differences told.", ["style"], prefix, registry=registry
        )
        self._tokens = Counter(
            "generated_tokens", "Tokens generated.", (), prefix, registry=registry
        )
        self._sounds = Counter(
            "sounds",
            "Sounds told of: heard in a clip, or new in it.",
            ["label"],
            prefix,
            registry=registry,
        )
        self._rejections = Counter(
            "rejections",
            "Requests for a caption or a difference, and streams, that got a problem instead.",
            ["reason"],
            prefix,
            registry=registry,
        )
        self._cancelled = Counter(
            "cancelled", "Requests whose client went away.", (), prefix, registry=registry
        )
        self._cache_hits = Counter(
            "cache_hits", "Clips whose frames were at hand.", (), prefix, registry=registry
        )
        self._cache_misses = Counter(
            "cache_misses", "Clips that were encoded.", (), prefix, registry=registry
        )
        self._model_info = Gauge(
            "model_info",
            "Always 1; the labels say what is served.",
            ["name", "revision", "device", "dtype"],
            prefix,
            registry=registry,
        )
        self._windows = Counter(
            "stream_windows", "Windows of streams that were heard.", (), prefix, registry=registry
        )
        self._events = Counter(
            "stream_events", "Events told of streams.", (), prefix, registry=registry
        )
        self._lag = Histogram(
            "stream_lag_seconds",
            "From when the last sound of a window came to when it was known whether it is news.",
            (),
            prefix,
            registry=registry,
            buckets=_SECONDS,
        )
        self._reconnections = Counter(
            "stream_reconnections",
            "Times that a source that had broken was heard again.",
            (),
            prefix,
            registry=registry,
        )
        self._gauges = {
            name: Gauge(name, help_text, (), prefix, registry=registry)
            for name, help_text in (
                ("queue_depth", "Requests that wait for the model."),
                ("queue_limit", "Most requests accepted and not yet answered."),
                ("request_timeout_seconds", "A request's deadline."),
                ("queue_audio_seconds", "Seconds of audio that wait for the model."),
                ("model_ready", "1 when requests are taken."),
                ("device_memory_bytes", "Memory held on the model's device; 0 on a CPU."),
                ("decoders_ready", "Processes that decode, are up and not stuck."),
                ("streams", "Streams that are listened to over WS /listen."),
            )
        }
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)

    def watch(self, gauge: str, read: Callable[[], float]) -> None:
        """Have a gauge read at each scrape."""
        self._gauges[gauge].set_function(read)

    def model(self, name: str, revision: str, device: str, dtype: str) -> None:
        """Say what is served."""
        self._model_info.labels(name, revision, device, dtype).set(1)

    def batch(self, lengths: Sequence[float], encoded: int) -> None:
        """Count a batch of clips of these ``lengths`` in seconds.

        Of which ``encoded`` were encoded; all others were known already.
        """
        self._batch_size.observe(len(lengths))
        self._cache_misses.inc(encoded)
        self._cache_hits.inc(len(lengths) - encoded)
        self._padding.observe(1 - sum(lengths) / (max(lengths) * len(lengths)))

    def generated(self, tokens: int) -> None:
        """Count generated tokens."""
        self._tokens.inc(tokens)

    def heard(self, labels: Iterable[str]) -> None:
        """Count sounds by their label, of which there are as many as the checkpoint knows."""
        for label in labels:
            self._sounds.labels(label).inc()

    def listened(self, lag_s: float, told: bool) -> None:
        """Count a window of a stream."""
        self._windows.inc()
        self._lag.observe(lag_s)
        self._events.inc(told)

    def refused(self, reason: str) -> None:
        """Count a stream that got a problem."""
        self._rejections.labels(reason).inc()

    def reconnected(self) -> None:
        """Count a source that was opened again."""
        self._reconnections.inc()

    def serve(self, port: int) -> None:
        """Answer scrapes on this port of the machine itself, where there is no service to do so.

        Raises OSError if the port cannot be had.
        """
        start_http_server(port, "127.0.0.1", self._registry)

    def request(self, record: Record) -> None:
        """Count a request at its end."""
        self._requests.labels(record.endpoint, record.status).inc()
        self._request_seconds.labels(record.endpoint).observe(record.seconds)
        for stage, seconds in record.stages.items():
            self._stage_seconds.labels(stage).observe(seconds)
        if record.problem == CLIENT_GONE:
            self._cancelled.inc()
        elif record.problem and record.endpoint in INFERENCE:
            self._rejections.labels(record.problem).inc()
        elif record.audio_s:
            if record.style is not None:
                self._differences.labels(record.style).inc()
            self._audio_seconds.labels(record.endpoint).inc(record.audio_s)

    def exposition(self) -> bytes:
        """The Prometheus text format."""
        return generate_latest(self._registry)
