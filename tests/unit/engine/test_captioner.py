"""What the service and the command line are handed: options, limits, timelines and devices."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from engine.captioner import Captioner
from model.audio import DecodeLimits
from model.captioner import CaptionerModel
from model.errors import AudioTooLong, AudioTooShort, CheckpointError, OptionsError
from model.types import Difference, Encoded, GenerationOptions, Sequences, Waveform
from tests.support.audio import by_soundfile
from training.captions.tokenizer import train_tokenizer

MakeWaveform = Callable[..., Waveform]


@pytest.fixture(scope="session")
def captioner(model: CaptionerModel, make_captioner: Callable[..., Captioner]) -> Captioner:
    """Of the tiny masking model; not to be changed."""
    return make_captioner(model)


@pytest.fixture(scope="session")
def any_captioner(any_model: CaptionerModel, make_captioner: Callable[..., Captioner]) -> Captioner:
    """One per diff block; not to be changed."""
    return make_captioner(any_model)


def wav(samples: Tensor, rate: int) -> bytes:
    return by_soundfile(samples.numpy(), rate, subtype="FLOAT")


# -- prepare ----------------------------------------------------------------------------------


def test_prepare_decodes_at_the_checkpoints_rate(
    captioner: Captioner, make_waveform: MakeWaveform
) -> None:
    calls: list[tuple[object, ...]] = []
    clip = make_waveform(1600)

    def elsewhere(*arguments: object) -> Waveform:
        calls.append(arguments)
        return clip

    limits = DecodeLimits(max_seconds=3)
    assert captioner.prepare(b"bytes", limits, elsewhere) is clip
    assert captioner.prepare(b"bytes", decode=elsewhere) is clip
    assert calls == [(b"bytes", 8000, limits), (b"bytes", 8000, DecodeLimits())]


def test_prepare_reads_a_file(captioner: Captioner, sound: Callable[..., Tensor]) -> None:
    samples = sound(1600)
    clip = captioner.prepare(wav(samples, 8000))
    assert torch.equal(clip.samples, samples)
    assert captioner.prepare(wav(samples, 16_000)).samples.shape == (800,)
    assert (clip.sample_rate, clip.source.format) == (8000, "wav")


def test_shortest_clip_is_taken_and_a_shorter_one_is_not(
    captioner: Captioner, sound: Callable[..., Tensor]
) -> None:
    shortest = captioner.prepare(wav(sound(150), 8000))
    assert captioner.encode([shortest])[0].frames.shape == (1, 1, 16)
    assert captioner.caption([shortest])[0].best.text
    with pytest.raises(AudioTooShort, match=r"lasts 0\.019 s.*send at least 0\.02 s"):
        captioner.prepare(wav(sound(149), 8000))


def test_longest_clip_is_taken_and_a_longer_one_is_not(
    captioner: Captioner, sound: Callable[..., Tensor]
) -> None:
    longest = captioner.prepare(wav(sound(256 * 200 - 1), 8000))
    assert captioner.encode([longest])[0].frames.shape == (1, 256, 16)
    assert captioner.caption([longest])[0].best.text
    with pytest.raises(AudioTooLong, match=r"lasts 6\.4 s.*send less than"):
        captioner.prepare(wav(sound(256 * 200), 8000))


# -- batches ----------------------------------------------------------------------------------


def test_descriptions_do_not_depend_on_the_batch(
    any_captioner: Captioner, make_waveform: MakeWaveform
) -> None:
    lengths = (1650, 150, 777, 1600, 349)
    clips = [make_waveform(length, seed=1) for length in lengths]
    encoded = any_captioner.encode(clips)
    assert [clip.frames.shape[1] for clip in encoded] == [(1 + s // 50) // 4 for s in lengths]
    pairs = list(zip(encoded, [encoded[3], None, encoded[0], None, encoded[1]], strict=True))
    options = GenerationOptions(num_captions=2)
    together = any_captioner.describe(pairs, options)
    assert len({description.best.text for description in together}) > 2
    for pair, description in zip(pairs, together, strict=True):
        [alone] = any_captioner.describe([pair], options)
        assert [(c.text, c.tokens) for c in description.captions] == [
            (c.text, c.tokens) for c in alone.captions
        ]
        for one, other in zip(description.captions, alone.captions, strict=True):
            assert one.score == pytest.approx(other.score, abs=2e-4)


def test_caption_and_difference_are_encode_and_describe(
    any_captioner: Captioner, make_waveform: MakeWaveform
) -> None:
    one, two, three = (make_waveform(1600, seed) for seed in range(3))
    a, b, c = any_captioner.encode([one, two, three])
    assert any_captioner.caption([one, two]) == any_captioner.describe([(a, None), (b, None)])
    assert any_captioner.difference([(one, two), (three, one)]) == any_captioner.describe(
        [(a, b), (c, a)]
    )


def test_a_reference_changes_the_caption(
    any_captioner: Captioner, make_waveform: MakeWaveform
) -> None:
    clips = [make_waveform(1600, seed) for seed in range(8)]
    plain = any_captioner.caption(clips)
    compared = any_captioner.difference(list(zip(clips, reversed(clips), strict=True)))
    assert sum(a.captions != b.captions for a, b in zip(plain, compared, strict=True)) > 4


def test_tokens_and_score_are_the_decoders(
    captioner: Captioner, make_waveform: MakeWaveform, search: dict[str, Any]
) -> None:
    clip = make_waveform(1600)
    [description] = captioner.caption([clip])
    encoded = captioner.encode([clip])[0]
    found = captioner.model.decoder.generate(
        Difference(encoded.frames, encoded.mask, None),
        num_captions=1,
        max_new_tokens=search["max_length"] - 2,
        **{name: value for name, value in search.items() if name != "max_length"},
    )
    tokens = found.tokens[0, 0].tolist()
    assert description.best.tokens == tokens.index(2)
    assert description.best.score == pytest.approx(float(found.scores), abs=1e-4)
    words = captioner.tokenizer.convert_ids_to_tokens(tokens[1 : tokens.index(2)])
    assert description.best.text == " ".join(words[: search["max_length"] - 4])
    assert len(description.captions) == 1


# -- options ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"num_beams": 0}, "num_beams"),
        ({"num_beams": -1}, "num_beams"),
        ({"num_beams": 9}, "num_beams"),
        ({"num_captions": 0}, "num_captions"),
        ({"num_captions": 4}, "num_captions"),
        ({"num_beams": 2, "num_captions": 3}, "num_captions"),
        ({"max_new_tokens": 0}, "max_new_tokens"),
        ({"max_new_tokens": -1}, "max_new_tokens"),
        ({"max_new_tokens": 101}, "max_new_tokens"),
    ],
)
def test_options_out_of_range(
    captioner: Captioner, make_waveform: MakeWaveform, options: dict[str, int], word: str
) -> None:
    with pytest.raises(OptionsError, match=f"{word} must be 1 to"):
        captioner.caption([make_waveform(400)], GenerationOptions(**options))


@pytest.mark.parametrize(
    "options",
    [
        {"num_beams": 1},
        {"num_beams": 8, "num_captions": 8},
        {"num_captions": 3},
        {"max_new_tokens": 1},
        {"max_new_tokens": 60},
    ],
)
def test_options_in_range(
    captioner: Captioner, make_waveform: MakeWaveform, options: dict[str, int]
) -> None:
    [found] = captioner.caption([make_waveform(400)], GenerationOptions(**options))
    assert len(found.captions) == options.get("num_captions", 1)
    words = [len(c.text.split()) for c in found.captions]  # each of one token
    assert all(1 <= each <= options.get("max_new_tokens", 10) for each in words)
    assert all(c.score < 0 for c in found.captions)


# -- captions that are cut ---------------------------------------------------------------------


def test_a_caption_of_few_tokens_is_the_beginning_of_the_sentence_and_says_so(
    make_model: Callable[..., CaptionerModel],
    make_captioner: Callable[..., Captioner],
    make_waveform: MakeWaveform,
) -> None:
    model = make_model()
    model.decoder.bart.final_logits_bias[:, 2] = 5  # its sentences end
    captioner = make_captioner(model)
    clips = [make_waveform(1600, seed) for seed in range(8)]
    sentences = [each.best for each in captioner.caption(clips, GenerationOptions(1))]
    assert len({len(sentence.text.split()) for sentence in sentences}) > 2
    assert not any(sentence.truncated for sentence in sentences)
    for most in range(1, 11):
        found = captioner.caption(clips, GenerationOptions(1, max_new_tokens=most))
        for sentence, cut in zip(sentences, (each.best for each in found), strict=True):
            words = sentence.text.split()
            assert cut.text == " ".join(words[:most])
            assert cut.truncated == (most < len(words))
            assert cut.score == sentence.score


def test_a_sentence_that_does_not_end_is_cut_where_the_checkpoint_says(
    captioner: Captioner, make_waveform: MakeWaveform, search: dict[str, Any]
) -> None:
    [found] = captioner.caption([make_waveform(1600)])
    assert (len(found.best.text.split()), found.best.truncated) == (search["max_length"] - 4, True)


def test_the_default_options_are_those_that_hold_without_any(
    captioner: Captioner, make_waveform: MakeWaveform, search: dict[str, Any]
) -> None:
    own = captioner.defaults
    assert own == GenerationOptions(search["num_beams"], 1, search["max_length"] - 4)
    clips = [make_waveform(1600, seed) for seed in range(4)]
    assert captioner.caption(clips, own) == captioner.caption(clips)


@pytest.fixture
def saying(
    model: CaptionerModel, make_captioner: Callable[..., Captioner], monkeypatch: pytest.MonkeyPatch
) -> Callable[[str, bool], tuple[Captioner, int]]:
    """A captioner whose words are of several tokens each, and which says this; its tokens."""

    def make(sentence: str, unended: bool) -> tuple[Captioner, int]:
        captioner = make_captioner(model, train_tokenizer(["a dog"] * 2, 262))
        words = captioner.tokenizer(sentence)["input_ids"][:-1]
        ends = torch.tensor([[[*words, 2]]])

        def generate(*_: object, max_new_tokens: int, **__: object) -> Sequences:
            length = max_new_tokens if unended else len(words)
            return Sequences(ends[..., : length + 1], torch.tensor([[length]]), torch.zeros(1, 1))

        monkeypatch.setattr(captioner.model.decoder, "generate", generate)
        return captioner, len(words) - 1

    return make


def test_a_caption_ends_at_a_whole_word(
    saying: Callable[[str, bool], tuple[Captioner, int]], make_waveform: MakeWaveform
) -> None:
    sentence = "whistling kettles hiss"
    captioner, tokens = saying(sentence, False)
    assert tokens > 12, "several tokens a word"
    said = []
    for most in range(1, tokens + 2):
        [found] = captioner.caption([make_waveform(400)], GenerationOptions(max_new_tokens=most))
        assert found.best.truncated == (most < tokens)
        said.append(found.best.text)
    assert [*dict.fromkeys(said)] == ["whistling", "whistling kettles", sentence]
    assert said.count(sentence) == 2


def test_of_a_sentence_without_an_end_no_half_word_is_said(
    saying: Callable[[str, bool], tuple[Captioner, int]], make_waveform: MakeWaveform
) -> None:
    captioner, _ = saying("whistling kettles hiss and hiss", True)
    [found] = captioner.caption([make_waveform(400)])
    assert found.best.truncated
    assert found.best.text in ("whistling", "whistling kettles")


def test_something_is_said_even_if_the_decoder_would_end_at_once(
    make_model: Callable[..., CaptionerModel],
    make_captioner: Callable[..., Captioner],
    make_waveform: MakeWaveform,
) -> None:
    model = make_model()
    model.decoder.bart.final_logits_bias[:, 2] = 1000
    captioner = make_captioner(model)
    captioner.generation.min_length = 0
    [found] = captioner.caption([make_waveform(1600)])
    assert len(found.best.text.split()) == 1


# -- timeline ---------------------------------------------------------------------------------


@pytest.mark.parametrize("samples", [150, 777, 1599, 1600, 3000])
def test_timeline_covers_the_clip(
    captioner: Captioner, make_waveform: MakeWaveform, samples: int
) -> None:
    clip = make_waveform(samples)
    # A longer neighbour and a longer reference: neither shows in this clip's timeline.
    pairs = [(clip, make_waveform(2200, 1)), (make_waveform(3100, 2), clip)]
    timeline = captioner.difference(pairs)[0].timeline
    assert timeline is not None
    assert [segment.start_s for segment in timeline] == pytest.approx(
        [frame * 0.025 for frame in range(len(timeline))]
    )
    assert all(s.end_s - s.start_s == pytest.approx(0.025) for s in timeline)
    hop_s = 50 / 8000
    assert clip.duration_s - captioner.frame_s < timeline[-1].end_s <= clip.duration_s + hop_s
    kept = [segment.kept for segment in timeline]
    assert all(value is not None and 0 <= value <= 1 for value in kept)


def test_timeline_is_the_blocks_mask(captioner: Captioner, make_waveform: MakeWaveform) -> None:
    clip, reference = captioner.encode([make_waveform(1600, 1), make_waveform(900, 2)])
    [description] = captioner.describe([(clip, reference)])
    block: nn.Module = captioner.model.difference
    assert description.timeline is not None
    assert [segment.kept for segment in description.timeline] == pytest.approx(
        block(clip, reference).kept[0].tolist(), abs=1e-4
    )


def test_plain_captions_have_no_timeline(
    any_captioner: Captioner, make_waveform: MakeWaveform
) -> None:
    clips = any_captioner.encode([make_waveform(1600, 1), make_waveform(900, 2)])
    plain, compared = any_captioner.describe([(clips[0], None), (clips[1], clips[0])])
    assert plain.timeline is None
    assert compared.timeline is not None
    assert len(compared.timeline) == clips[1].frames.shape[1]


def test_subtraction_keeps_no_shares(
    make_model: Callable[..., CaptionerModel],
    make_captioner: Callable[..., Captioner],
    make_waveform: MakeWaveform,
) -> None:
    captioner = make_captioner(make_model("subtraction"))
    [description] = captioner.difference([(make_waveform(1600, 1), make_waveform(900, 2))])
    assert description.timeline is not None
    assert [segment.kept for segment in description.timeline] == [None] * 8


# -- from_dir ---------------------------------------------------------------------------------


def test_from_dir(model: CaptionerModel, save_checkpoint: Callable[..., Path]) -> None:
    path = save_checkpoint(model)
    (path / "README.md").write_text("---\nmodel_name: masking-test\nclasses: [dog]\n---\n")
    captioner = Captioner.from_dir(path, "cpu")
    assert captioner.name == "masking-test"
    assert len(captioner.revision) == 12
    assert (captioner.device, captioner.dtype) == (torch.device("cpu"), torch.float32)
    assert (captioner.sample_rate, captioner.frame_s) == (8000, 0.025)
    assert json.loads(json.dumps(captioner.card))["classes"] == ["dog"]
    captioner.warm_up()


@pytest.mark.parametrize(
    "options",
    [
        GenerationOptions(num_beams=9),
        GenerationOptions(num_beams=2, num_captions=3),
        GenerationOptions(max_new_tokens=101),
    ],
)
def test_check_refuses_what_describe_refuses(
    any_captioner: Captioner, make_waveform: MakeWaveform, options: GenerationOptions
) -> None:
    with pytest.raises(OptionsError) as checked:
        any_captioner.check(options)
    with pytest.raises(OptionsError, match=re.escape(str(checked.value))):
        any_captioner.caption([make_waveform(1600)], options)
    any_captioner.check(GenerationOptions(num_beams=8, num_captions=8, max_new_tokens=100))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision(
    model: CaptionerModel,
    save_checkpoint: Callable[..., Path],
    make_waveform: MakeWaveform,
    dtype: str,
) -> None:
    captioner = Captioner.from_dir(save_checkpoint(model), "cpu", dtype)
    assert captioner.dtype == getattr(torch, dtype)
    clips = [make_waveform(1600, 1), make_waveform(777, 2)]
    assert captioner.encode(clips)[0].frames.dtype == captioner.dtype
    [description] = captioner.difference([(clips[0], clips[1])])
    assert description.best.text
    assert math.isfinite(description.best.score)


@pytest.mark.parametrize("dtype", ["int8", "half-ish", "float64", "", "nn"])
def test_unknown_dtype(tmp_path: Path, dtype: str) -> None:
    with pytest.raises(CheckpointError, match="use float32, bfloat16 or float16"):
        Captioner.from_dir(tmp_path, "cpu", dtype)


@pytest.mark.parametrize("device", ["gpu", "", "mps", "meta", "cuda:999"])
def test_unusable_device(tmp_path: Path, device: str) -> None:
    with pytest.raises(CheckpointError, match=r"use (device )?cpu"):
        Captioner.from_dir(tmp_path, device)


def test_gpu_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(CheckpointError, match="no GPU"):
        Captioner.from_dir(tmp_path, "cuda")


def test_automatic_choice_without_a_gpu(
    model: CaptionerModel, save_checkpoint: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    captioner = Captioner.from_dir(save_checkpoint(model))
    assert (captioner.device.type, captioner.dtype) == ("cpu", torch.float32)


def test_silence_is_captioned(any_captioner: Captioner, make_waveform: MakeWaveform) -> None:
    clip = make_waveform(1600)
    silence = Waveform(torch.zeros(1600), clip.sample_rate, clip.source)
    encoded: list[Encoded] = any_captioner.encode([silence])
    assert torch.isfinite(encoded[0].frames).all()
    for description in any_captioner.difference([(silence, clip), (clip, silence)]):
        assert np.isfinite(description.best.score)


def test_threads_are_not_doubled(
    save_checkpoint: Callable[..., Path], model: CaptionerModel
) -> None:
    """OpenVINO has its own; in torch all that there are compute."""
    path = save_checkpoint(model)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        captioners = [Captioner.from_dir(path, "cpu", runtime=it) for it in ("torch", "openvino")]
        threads = []
        for captioner in captioners:
            captioner.warm_up()
            threads.append(torch.get_num_threads())
    finally:
        torch.set_num_threads(before)
    assert threads == [2, 1]
