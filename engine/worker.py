"""What the model thread does with a batch: encode each clip once, then generate."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from engine.cache import CachedClip, EncoderCache
from engine.errors import DeviceFailed
from engine.observer import Observer
from engine.stream import HeardWindow
from model.audio import Decode, DecodeLimits
from model.types import Description, Encoded, GenerationOptions, Sound, SourceInfo, Style, Waveform

T = TypeVar("T")


class AnyCaptioner(Protocol):
    """What the engine needs of a captioner; ``engine.captioner.Captioner`` is one."""

    name: str
    revision: str
    device: torch.device
    dtype: torch.dtype
    sample_rate: int
    frame_s: float
    card: dict[str, object]
    labels: tuple[str, ...]
    """The kinds of sound that it knows apart; none without an event head."""
    defaults: GenerationOptions
    """What holds where a request says nothing; none of it None."""
    styles: Mapping[Style, tuple[str, str]]
    """In which a difference can be told, and by what: a checkpoint's name and revision."""

    def check(self, options: GenerationOptions, seconds: float = 0.0) -> None:
        """Raise OptionsError if the options cannot be met; thread-safe.

        ``seconds`` is how long the clips of a difference last together.
        """

    def prepare(self, data: bytes, limits: DecodeLimits, decode: Decode) -> Waveform:
        """Decode one file by ``decode``; thread-safe; raises AudioError."""

    def encode(self, clips: Sequence[Waveform]) -> list[Encoded]:
        """Encode clips of any lengths together; model thread only."""

    def describe(
        self, pairs: Sequence[tuple[Encoded, Encoded | None]], options: GenerationOptions
    ) -> list[Description]:
        """Generate one batch; None asks for a plain caption."""

    def events(self, clip: Encoded) -> Tensor:
        """[T, K] on the CPU: the probability of each label in each frame; model thread only."""

    def left(self, pairs: Sequence[tuple[Encoded, Encoded]]) -> list[tuple[Sound, ...]]:
        """The sounds that each clip has and its reference has not; model thread only."""

    def warm_up(self) -> None:
        """Pay first-call costs, and take its threads; model thread only."""


@dataclass(frozen=True)
class Prepared:
    """A decoded file, or one whose encoder outputs were known already."""

    key: bytes
    source: SourceInfo
    content: Waveform | Encoded
    passing: bool = False
    """Whether it will not come again: it is not kept."""


@dataclass(frozen=True)
class Job:
    """One request: a clip to caption, or an input and a reference; or clips to be heard only."""

    clips: tuple[Prepared, ...]
    options: GenerationOptions | None
    """None: what the clips are is ``Work.heard``, and nothing is described."""
    both: bool
    queued_at: float

    def pairs(self, encoded: Sequence[Encoded]) -> list[tuple[Encoded, Encoded | None]]:
        """What is to be described: one direction, or two."""
        if len(encoded) == 1:
            return [(encoded[0], None)]
        first, second = encoded
        return [(first, second), (second, first)] if self.both else [(first, second)]


@dataclass(frozen=True)
class Heard:
    """The frames of a clip, and what is heard in them."""

    encoded: Encoded
    events: Tensor
    """[T, K] on the CPU."""


@dataclass(frozen=True)
class StreamWindow:
    """A stretch of a stream, and the frames of what was heard before it, if anything was."""

    clip: Waveform
    background: Encoded | None


@dataclass(frozen=True)
class Work:
    """What the model thread made of a job; seconds."""

    descriptions: list[Description]
    queue_s: float
    encode_s: float
    generate_s: float
    batch_size: int
    heard: tuple[Heard, ...] = ()
    """The clips of a job without options."""


class Worker:
    """Runs batches of jobs on a captioner; everything here is the model thread's."""

    def __init__(self, captioner: AnyCaptioner, cache: EncoderCache, observer: Observer) -> None:
        self._captioner = captioner
        self._cache = cache
        self._observer = observer

    def run(self, batch: Sequence[Job | StreamWindow]) -> list[Work | HeardWindow]:
        """One batch, in order: Work of each Job, HeardWindow of each StreamWindow.

        Raises DeviceFailed when out of memory, and what the captioner raises.
        """
        jobs = [one for one in batch if isinstance(one, Job)]
        windows = [one for one in batch if isinstance(one, StreamWindow)]
        try:
            heard = iter(self._hear(windows) if windows else [])
            works = iter(self._run(jobs) if jobs else [])
        except torch.OutOfMemoryError as error:
            raise DeviceFailed(
                "the device ran out of memory; send a shorter clip or ask for fewer beams"
            ) from error
        return [next(works) if isinstance(one, Job) else next(heard) for one in batch]

    def _hear(self, windows: Sequence[StreamWindow]) -> list[HeardWindow]:
        encoded = self._captioner.encode([window.clip for window in windows])
        pairs = {
            index: (frames, window.background)
            for index, (frames, window) in enumerate(zip(encoded, windows, strict=True))
            if window.background is not None
        }
        left = self._captioner.left([*pairs.values()]) if pairs else []
        new = dict(zip(pairs, left, strict=True))
        return [HeardWindow(frames, new.get(index, ())) for index, frames in enumerate(encoded)]

    def _run(self, jobs: Sequence[Job]) -> list[Work]:
        began = time.monotonic()
        clips = [clip for job in jobs for clip in job.clips]
        encoded = _deal(self._encode(clips), [len(job.clips) for job in jobs])
        pairs = [job.pairs(own) for job, own in zip(jobs, encoded, strict=True)]
        encode_s = time.monotonic() - began

        groups: dict[GenerationOptions, list[int]] = {}
        results: dict[int, Work] = {}
        for index, job in enumerate(jobs):
            if job.options is not None:
                groups.setdefault(job.options, []).append(index)
                continue
            heard = tuple(Heard(clip, self._captioner.events(clip)) for clip in encoded[index])
            queue_s = began - job.queued_at
            results[index] = Work([], queue_s, encode_s, 0.0, len(clips), heard)
        for options, members in groups.items():
            flat = self._captioner.describe([p for i in members for p in pairs[i]], options)
            generate_s = time.monotonic() - began - encode_s
            self._observer.generated(sum(c.tokens for d in flat for c in d.captions))
            self._observer.heard(sound.label for d in flat for sound in d.sounds)
            described = _deal(flat, [len(pairs[i]) for i in members])
            for i, descriptions in zip(members, described, strict=True):
                queue_s = began - jobs[i].queued_at
                results[i] = Work(descriptions, queue_s, encode_s, generate_s, len(clips))
        return [results[index] for index in range(len(jobs))]

    def _encode(self, clips: Sequence[Prepared]) -> list[Encoded]:
        """Each clip's frames; what is known by its content, or twice in the batch, runs once."""
        known: dict[bytes, Encoded] = {}
        new: dict[bytes, Prepared] = {}
        for clip in clips:
            if isinstance(clip.content, Encoded):
                known[clip.key] = clip.content
            elif (cached := self._cache.get(clip.key)) is not None:
                known[clip.key] = cached.encoded
            else:
                new[clip.key] = clip
        waiting = [clip for key, clip in new.items() if key not in known]
        # Apart from clips, which would be padded to the length of a window.
        for passing in (False, True):
            group = [clip for clip in waiting if clip.passing == passing]
            waveforms = [clip.content for clip in group if isinstance(clip.content, Waveform)]
            encoded = self._captioner.encode(waveforms) if waveforms else []
            for clip, frames in zip(group, encoded, strict=True):
                known[clip.key] = frames
                if not passing:
                    self._cache.put(clip.key, CachedClip(clip.source, frames))
        self._observer.batch([clip.source.duration_s for clip in clips], len(waiting))
        return [known[clip.key] for clip in clips]


def _deal(values: Sequence[T], sizes: Sequence[int]) -> list[list[T]]:
    """Cut a flat list into runs of the given sizes."""
    if len(values) != sum(sizes):
        raise RuntimeError(f"the captioner gave {len(values)} results for {sum(sizes)} inputs")
    rest = iter(values)
    return [list(islice(rest, size)) for size in sizes]
