"""From bytes to sentences with a checkpoint: what the service and the command line are handed.

Shapes: S samples, T encoder frames.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import torch
from torch import Tensor

from engine.changes import changes as said
from engine.changes import evidence, likely
from engine.explaining import Heard, checked, measured, reading
from engine.options import defaults, settings, tokens
from engine.reading import Reader, Watching
from engine.sounds import shared, sounds
from engine.told import captions, timeline
from model import checkpoint
from model.audio import Decode, DecodeLimits, decode
from model.captioner import CaptionerModel
from model.checkpoint import Checkpoint
from model.contracts import Compilable, Compile
from model.errors import AudioTooLong, AudioTooShort, CheckpointError, OptionsError
from model.runtimes import compiler
from model.types import (
    Change,
    Description,
    Detail,
    Difference,
    Encoded,
    GenerationOptions,
    Sequences,
    Sound,
    SourceInfo,
    Style,
    Waveform,
)

DEFAULTS = GenerationOptions()
_SETTINGS: dict[Style, str] = {
    "rest": "AUDIODIFF_MODEL",
    "changes": "AUDIODIFF_CHANGES",
    "explain": "AUDIODIFF_EXPLAIN",
}
"""What sets the checkpoint for a style."""


class Captioner:
    """One model on one device. ``prepare`` may be called from any thread, the rest from one."""

    def __init__(
        self,
        loaded: Checkpoint,
        device: torch.device,
        compile: Compile | None = None,  # noqa: A002
        others: Mapping[Style, Checkpoint] = MappingProxyType({}),
    ) -> None:
        """Take the checkpoint's model over: it is moved to ``device`` and can't be trained then.

        ``compile`` makes it faster there (``model.runtimes``). ``others`` are further checkpoints,
        which hear as this one does, so that a clip is heard once for all, and tell differences in
        the style of their name. Raises CheckpointError if one does not, or if they are for
        something else. One for explanations may be served alone: then it captions, too.
        """
        self._loaded = loaded
        self._explains = _style(loaded) == "explain" and not others
        first: Style = "explain" if self._explains else "rest"
        self._speakers: dict[Style, Checkpoint] = {first: loaded, **others}
        for style, speaker in self._speakers.items():
            if (own := _style(speaker)) != style:
                raise CheckpointError(
                    f"{speaker.name} is for style {own}: set it as {_SETTINGS[own]}, and not as "
                    f"{_SETTINGS[style]}"
                )
        for other in others.values():
            other.model.hear_as(loaded.model)
            other.model.to(device)
        self.styles: Mapping[Style, tuple[str, str]] = {
            style: (it.name, it.revision) for style, it in self._speakers.items()
        }
        self.name = loaded.name
        self.revision = loaded.revision
        self.card = loaded.card
        self.model: CaptionerModel = loaded.model.to(device)
        if loaded.model.dtype == torch.float32:  # elsewhere norms are to stay more precise
            self.model.encoder.fold_norms()
        # Where others compute, threads of torch's would spin while they do: a tenth of a processor.
        self._threads = torch.get_num_threads()
        if compile is not None:
            self.model.compile_with(compile)
            for other in others.values():
                if isinstance(other.model.decoder, Compilable):
                    other.model.decoder.compile_with(compile)
            self._threads = 1 if compile.own_threads else self._threads
        self.tokenizer = loaded.tokenizer
        self.generation = loaded.generation
        self.defaults = defaults(self.generation)
        self.device = device
        self.dtype: torch.dtype = loaded.model.dtype
        self.sample_rate = loaded.model.encoder.sample_rate
        self.frame_s = loaded.model.encoder.frame_s
        events = loaded.model.config.events
        self.labels: tuple[str, ...] = () if events is None else events.labels

    @classmethod
    def from_dir(
        cls,
        path: Path,
        device: str = "auto",
        dtype: str = "auto",
        runtime: str = "auto",
        compile_cache: Path | None = None,
        others: Mapping[Style, Path] = MappingProxyType({}),
    ) -> Captioner:
        """Load a checkpoint directory, and those of ``others`` by the style they tell.

        ``device`` auto is the GPU if there is one; ``dtype`` auto is float16 there and float32
        on the CPU; ``runtime`` auto is OpenVINO on the CPU, where it is installed, else torch.
        ``compile_cache`` is a directory for what OpenVINO compiled.

        Raises:
            CheckpointError: a directory, the device, the dtype or the runtime cannot be used.
        """
        gpu = torch.cuda.is_available()
        try:
            place = torch.device(("cuda" if gpu else "cpu") if device == "auto" else device)
        except RuntimeError as error:
            raise CheckpointError(f"there is no device {device!r}: use cpu or cuda") from error
        if place.type not in ("cpu", "cuda"):
            raise CheckpointError(f"device {device!r} is not supported: use cpu or cuda")
        if place.type == "cuda" and not 0 <= (place.index or 0) < torch.cuda.device_count():
            raise CheckpointError(f"no GPU {device!r} is at hand: use device cpu or auto")
        if dtype == "auto":
            dtype = "float16" if place.type == "cuda" else "float32"
        number = getattr(torch, dtype, None)
        if number not in (torch.float32, torch.bfloat16, torch.float16):
            raise CheckpointError(f"dtype {dtype!r} is unknown: use float32, bfloat16 or float16")
        compile_with = compiler(runtime, place, number, compile_cache)
        loaded = {style: checkpoint.load(other, number) for style, other in others.items()}
        return cls(checkpoint.load(path, number), place, compile_with, loaded)

    def prepare(
        self, data: bytes, limits: DecodeLimits | None = None, decode: Decode = decode
    ) -> Waveform:
        """Decode one file to a mono waveform at the checkpoint's rate.

        ``decode`` says where: in this process, unless the engine has others for it.

        Raises:
            AudioError: see ``model.errors``; AudioTooShort if it fills no encoder frame,
                AudioTooLong if it fills more than the decoder has positions for.
        """
        waveform = decode(data, self.sample_rate, limits or DecodeLimits())
        shortest = self.model.encoder.min_samples
        if waveform.samples.shape[-1] < shortest:
            raise AudioTooShort(
                f"the clip lasts {waveform.duration_s:.3f} s, shorter than one encoder frame: "
                f"send at least {shortest / self.sample_rate:.2f} s"
            )
        longest_s = self.model.decoder.max_positions * self.frame_s
        if waveform.duration_s >= longest_s:
            raise AudioTooLong(
                f"the clip lasts {waveform.duration_s:.1f} s, longer than this model can hear: "
                f"send less than {longest_s:.0f} s"
            )
        return waveform

    @torch.inference_mode()
    def encode(self, clips: Sequence[Waveform]) -> list[Encoded]:
        """Encode clips; a clip's frames do not depend on the others."""
        return self.model.encode_clips([clip.samples.to(self.device) for clip in clips])

    @torch.inference_mode()
    def describe(
        self,
        pairs: Sequence[tuple[Encoded, Encoded | None]],
        options: GenerationOptions = DEFAULTS,
        readers: Sequence[Reader | None] = (),
    ) -> list[Description]:
        """Say what is heard in each clip, and not in its reference where there is one.

        Or what they are like to each other: then each has one. One generation batch. ``readers``,
        one a pair if there are any, read a greedy explanation while it is made. Raises OptionsError
        if the options cannot be met.
        """
        how = self._search(options)
        speaker = self._speaker(options.style)
        most = tokens(speaker.generation, options)
        if self._explains and options.style == "rest":
            left = told = _alone(self.name, speaker.model, pairs)
            how["prompt"] = _prompts(speaker.model, "caption", told)
        else:
            left = _between(self.model, pairs) if self._explains else self._compare(pairs)
            told = left if speaker is self._loaded else _between(speaker.model, pairs)
        heard = [ref if ref is None else self._heard(clip, ref) for clip, ref in pairs]
        known = self._known(speaker, options.style, pairs, heard)
        if options.style == "explain":
            how["prompt"] = _prompts(speaker.model, options.detail or "sentence", told)
            if any(readers):
                checking = [reading(*each) for each in zip(readers, known, strict=True)]
                how["watch"] = Watching(checking, speaker.tokenizer, most)
        found = speaker.model.decoder.generate(told, **how)
        described = []
        for row, (clip, reference) in enumerate(pairs):
            line = both = changes = None
            if reference is not None:
                kept = None if left.kept is None else left.kept[row]
                line = timeline(kept, int(clip.mask.sum()), self.frame_s)
                both = self._shared(heard[row])
                changes = self._said(found, row, heard[row]) if options.style == "changes" else None
            sentences = captions(found, row, most, how["max_new_tokens"], speaker.tokenizer)
            if (of_both := known[row]) is not None:
                sentences = tuple(replace(it, text=checked(it.text, *of_both)) for it in sentences)
            events = self._sounds(left.events, row, clip)
            described.append(Description(sentences, line, events, both, changes))
        return described

    @torch.inference_mode()
    def left(self, pairs: Sequence[tuple[Encoded, Encoded]]) -> list[tuple[Sound, ...]]:
        """The sounds that each clip has and its reference has not, without a sentence."""
        left = self._compare(pairs)
        return [self._sounds(left.events, row, clip) for row, (clip, _) in enumerate(pairs)]

    def check(self, options: GenerationOptions, seconds: float = 0.0) -> None:
        """Raise OptionsError if the options cannot be met.

        ``seconds`` is how long the clips of a difference last together.
        """
        self._search(options)
        if options.style != "changes":
            return
        longest_s = self._speakers["changes"].model.decoder.max_positions * self.frame_s
        if seconds >= longest_s:
            raise OptionsError(
                f"the clips last {seconds:.1f} s together, longer than the model for style changes "
                f"can hear: send less than {longest_s:.0f} s, or leave style out"
            )

    def caption(
        self, clips: Sequence[Waveform], options: GenerationOptions = DEFAULTS
    ) -> list[Description]:
        """Say what is heard in each clip."""
        return self.describe([(clip, None) for clip in self.encode(clips)], options)

    def difference(
        self,
        pairs: Sequence[tuple[Waveform, Waveform]],
        options: GenerationOptions = DEFAULTS,
    ) -> list[Description]:
        """Say what is heard in the first clip of each pair and not in the second."""
        encoded = self.encode([clip for pair in pairs for clip in pair])
        return self.describe(list(zip(encoded[::2], encoded[1::2], strict=True)), options)

    @torch.inference_mode()
    def events(self, clip: Encoded) -> Tensor:
        """[T, K] on the CPU: the probability of each of ``labels`` in each frame."""
        head = self.model.events
        assert head is not None, "the checkpoint knows no kinds of sound"
        return head.probabilities(clip.frames)[0].float().cpu()

    def warm_up(self) -> None:
        """Run one clip and one difference, so that the first request finds everything loaded.

        Sets the threads of torch in the calling thread, where the model is to run.
        """
        torch.set_num_threads(self._threads)
        clip = self._silence(5)
        self.caption([clip])
        for style in self._speakers:
            clip = self._silence(5 if style == "rest" else 2)  # both count
            self.difference([(clip, clip)], GenerationOptions(style=style))

    def _compare(self, pairs: Sequence[tuple[Encoded, Encoded | None]]) -> Difference:
        clips = Encoded.join([clip for clip, _ in pairs])
        references = [reference for _, reference in pairs if reference is not None]
        rows = [row for row, (_, reference) in enumerate(pairs) if reference is not None]
        return self.model.compare(
            clips,
            Encoded.join(references) if references else clips.take([]),
            torch.tensor(rows, dtype=torch.long, device=self.device),
        )

    def _silence(self, seconds: int) -> Waveform:
        source = SourceInfo(float(seconds), self.sample_rate, 1, "wav")
        return Waveform(torch.zeros(seconds * self.sample_rate), self.sample_rate, source)

    def _search(self, options: GenerationOptions) -> dict[str, Any]:
        """The decoder's settings: the checkpoint's own, changed by the options.

        A sentence is searched for to its end, however few of its tokens are wanted.
        """
        if options.style not in (*self._speakers, "rest"):
            raise OptionsError(
                f"style {options.style} needs a checkpoint of its own, and none is loaded: leave "
                f"style out, or have the service started with {_SETTINGS[options.style]}, its "
                "directory"
            )
        if options.detail is not None and options.style != "explain":
            raise OptionsError(
                f"detail is for style explain: style {options.style} has no tiers; leave detail "
                "out, or send style=explain"
            )
        return settings(self._speaker(options.style).generation, options)

    def _speaker(self, style: Style) -> Checkpoint:
        """Who tells in this style, of those that are there; in ``rest``, captions too."""
        return self._loaded if style == "rest" else self._speakers[style]

    def _sounds(self, events: Tensor | None, row: int, clip: Encoded) -> tuple[Sound, ...]:
        """What is left of the clip, padding left out."""
        if events is None:
            return ()
        return sounds(events[row, : int(clip.mask.sum())].float(), self.labels, self.frame_s)

    def _heard(self, clip: Encoded, reference: Encoded) -> tuple[Tensor, Tensor] | None:
        """The events of both; None where the checkpoint knows none."""
        if self.model.events is None:
            return None
        return self.events(clip), self.events(reference)

    def _shared(self, heard: tuple[Tensor, Tensor] | None) -> tuple[Sound, ...]:
        """What both have."""
        return () if heard is None else sounds(shared(*heard), self.labels, self.frame_s)

    def _known(
        self,
        speaker: Checkpoint,
        style: Style,
        pairs: Sequence[tuple[Encoded, Encoded | None]],
        heard: Sequence[tuple[Tensor, Tensor] | None],
    ) -> list[tuple[Heard, Heard] | None]:
        """What explanations are held against, where their checkpoint says what it calls sounds."""
        nouns = speaker.model.config.nouns
        if style != "explain" or nouns is None:
            return [None] * len(pairs)
        return [
            None
            if reference is None or events is None
            else (
                Heard(events[0], measured(clip), self.labels, nouns, self.frame_s),
                Heard(events[1], measured(reference), self.labels, nouns, self.frame_s),
            )
            for (clip, reference), events in zip(pairs, heard, strict=True)
        ]

    def _said(
        self, found: Sequences, row: int, heard: tuple[Tensor, Tensor] | None
    ) -> tuple[Change, ...]:
        """What all of the best sentence says has changed, however short the caption is cut."""
        speaker = self._speakers["changes"]
        [sentence] = speaker.tokenizer.batch_decode(found.tokens[row, :1], skip_special_tokens=True)
        after, before = ({}, {}) if heard is None else (likely(e, self.labels) for e in heard)
        known = evidence(after, before, speaker.model.config.nouns or {})
        return said(sentence, found.scores[row, 0].item(), known)


def _style(loaded: Checkpoint) -> Style:
    """What a checkpoint tells of two clips."""
    if loaded.model.config.prompts is not None:
        return "explain"
    return "changes" if loaded.model.difference.makes_memory else "rest"


def _between(model: CaptionerModel, pairs: Sequence[tuple[Encoded, Encoded | None]]) -> Difference:
    """What a diff block makes of pairs that are all of two clips."""
    inputs, references = zip(*pairs, strict=True)
    return model.difference(Encoded.join(inputs), Encoded.join(references))


def _alone(
    name: str, model: CaptionerModel, pairs: Sequence[tuple[Encoded, Encoded | None]]
) -> Difference:
    """What a diff block of two clips makes of single ones: each against itself."""
    if any(reference is not None for _, reference in pairs):
        raise OptionsError(f"{name} explains what two clips are like: send style=explain")
    return _between(model, [(clip, clip) for clip, _ in pairs])


def _prompts(model: CaptionerModel, asked: Detail | Literal["caption"], told: Difference) -> Tensor:
    """[B, L]: what is asked of each pair."""
    ids = getattr(model.config.prompts, asked)
    return torch.tensor(ids, device=told.memory.device).expand(len(told.memory), -1)
