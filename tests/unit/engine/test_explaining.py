"""Style explain: a checkpoint whose answers have tiers, beside the one that it hears with."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from engine.captioner import Captioner
from model.captioner import CaptionerModel
from model.config import CaptionerConfig, Gpt2DecoderConfig, PrefixConfig, PromptsConfig
from model.decoders import Gpt2Decoder
from model.difference import Prefix
from model.errors import CheckpointError, OptionsError
from model.levels import Levels
from model.types import GenerationOptions, Waveform
from tests.support.audio import by_soundfile
from tests.support.client import Client, assert_problem, eventually
from tests.support.threaded import in_thread

RATE, VOCABULARY = 8000, 21
DETAILS = ("words", "sentence", "paragraph")

MakeModel = Callable[..., CaptionerModel]
Save = Callable[..., Path]
MakeWaveform = Callable[..., Waveform]


@pytest.fixture
def explaining(make_model: MakeModel) -> CaptionerModel:
    """Of the tiny model's encoder, and lively."""
    torch.manual_seed(5)
    base = make_model()
    model = CaptionerModel(
        CaptionerConfig(
            encoder=base.config.encoder,
            adapter=base.config.adapter,
            difference=PrefixConfig(
                memory=16, tokens=3, layers=1, heads=2, hears="frames", bands=3
            ),
            decoder=Gpt2DecoderConfig(
                vocab_size=VOCABULARY, width=16, layers=2, heads=2, max_positions=80, dropout=0.0,
                prompt_tokens=2, mapper_layers=1, mapper_heads=2, cross_layers=1, cross_heads=2,
                separator_token_id=2, pad_token_id=1, eos_token_id=2,
            ),
            prompts=PromptsConfig(words=(5, 6), sentence=(7, 8), paragraph=(9, 10), caption=(11,)),
        )
    ).eval()  # fmt: skip
    with torch.no_grad():
        for parameter in (*model.difference.parameters(), *model.decoder.parameters()):
            parameter.add_(0.5 * torch.randn_like(parameter))
        assert isinstance(model.decoder, Gpt2Decoder)
        model.decoder.gpt.transformer.wte.weight[[0, 1, 3]] = 0  # special, and said by none
        assert isinstance(model.difference, Prefix)
        for mapper in (model.difference.input, model.difference.reference):
            mapper.queries.mul_(0.1)
            mapper.expand.weight.mul_(30)
    for name in ("encoder", "adapter"):
        getattr(model, name).load_state_dict(getattr(base, name).state_dict())
    return model


@pytest.fixture
def both(make_model: MakeModel, explaining: CaptionerModel, save_checkpoint: Save) -> Captioner:
    base = save_checkpoint(make_model(), "base")
    return Captioner.from_dir(base, "cpu", others={"explain": save_checkpoint(explaining, "e")})


def asked(detail: Any = None, **options: Any) -> GenerationOptions:
    return GenerationOptions(**{"num_beams": 1, **options}, style="explain", detail=detail)


def test_each_tier_is_what_the_checkpoint_says_to_its_prompt(
    both: Captioner, explaining: CaptionerModel, make_waveform: MakeWaveform
) -> None:
    pair = (make_waveform(4000, 1), make_waveform(3000, 2))
    told = {detail: both.difference([pair], asked(detail))[0] for detail in DETAILS}
    for detail, description in told.items():
        with torch.inference_mode():
            clips = explaining.encode_clips([clip.samples for clip in pair])
            prompt = torch.tensor([getattr(explaining.config.prompts, detail)])
            found = explaining.decoder.generate(
                explaining.difference(*clips), prompt=prompt, **both._search(asked(detail))
            )
        [text] = both.tokenizer.batch_decode(found.tokens[0, :1], skip_special_tokens=True)
        assert text.startswith(description.best.text)
        assert len(description.best.text.split()) > 3
        assert description.changes is None
        assert description.timeline == both.difference([pair])[0].timeline
    assert both.difference([pair], asked())[0] == told["sentence"]
    assert len({one.best.text for one in told.values()}) > 1


def test_pairs_of_a_batch_do_not_mix(both: Captioner, make_waveform: MakeWaveform) -> None:
    pairs = [(make_waveform(4000, n), make_waveform(3000 + 500 * n, n + 9)) for n in range(4)]
    together = both.difference(pairs, asked("paragraph"))
    alone = [both.difference([pair], asked("paragraph"))[0] for pair in pairs]
    assert [one.best.text for one in together] == [one.best.text for one in alone]
    assert len({one.best.text for one in alone}) > 1


def test_readers_read_their_pair_in_whole_words(
    both: Captioner, make_waveform: MakeWaveform
) -> None:
    clips = both.encode([make_waveform(4000, n) for n in range(4)])
    pairs = [(clips[0], clips[1]), (clips[2], clips[3])]
    read: list[str] = []

    def reader(text: str) -> bool:
        read.append(text)
        return True

    described = both.describe(pairs, asked("paragraph"), [None, reader])
    whole = described[1].best.text.split()
    assert described == both.describe(pairs, asked("paragraph"))
    assert len(whole) > 3
    for text in read:
        assert text.split() == whole[: len(text.split())]
    assert len(whole) - len(read[-1].split()) <= 1


def test_who_has_enough_ends_its_own_pair_alone(
    both: Captioner, make_waveform: MakeWaveform
) -> None:
    clips = both.encode([make_waveform(4000, n) for n in range(4)])
    pairs = [(clips[0], clips[1]), (clips[2], clips[3])]
    expected = both.describe(pairs, asked("paragraph"))
    calls: list[str] = []

    def impatient(text: str) -> bool:
        calls.append(text)
        return len(calls) < 3

    cut = both.describe(pairs, asked("paragraph"), [impatient, None])
    assert len(calls) == 3
    assert cut[1] == expected[1]
    both.describe(pairs[:1], asked("paragraph"), [lambda _: False])


def test_each_checkpoint_has_its_place(
    make_model: MakeModel, explaining: CaptionerModel, save_checkpoint: Save
) -> None:
    explain, rest = save_checkpoint(explaining, "explain"), save_checkpoint(make_model(), "rest")
    with pytest.raises(CheckpointError, match="set it as AUDIODIFF_EXPLAIN, and not as AUDIODIFF_"):
        Captioner.from_dir(rest, "cpu", others={"changes": explain})


def test_alone_it_captions_and_explains_and_tells_no_rest(
    explaining: CaptionerModel, save_checkpoint: Save, make_waveform: MakeWaveform
) -> None:
    captioner = Captioner.from_dir(save_checkpoint(explaining, "explain"), "cpu")
    captioner.warm_up()
    assert [*captioner.styles] == ["explain"]
    clips = [make_waveform(4000, n) for n in range(3)]
    together = captioner.caption(clips)
    assert [one.best.text for one in together] == [
        captioner.caption([clip])[0].best.text for clip in clips
    ]
    assert all(one.timeline is None for one in together)
    assert captioner.difference([(clips[0], clips[1])], asked("words"))[0].best.text
    with pytest.raises(OptionsError, match="send style=explain"):
        captioner.difference([(clips[0], clips[1])])


def test_levels_must_be_heard_alike(
    make_model: MakeModel, explaining: CaptionerModel, save_checkpoint: Save
) -> None:
    """Both others hear levels beside the first one's frames: in as many bands."""
    changes, rest = make_model("concentrated"), make_model()
    paths = {
        "changes": save_checkpoint(changes, "changes"),
        "explain": save_checkpoint(explaining, "explain"),
    }
    Captioner.from_dir(save_checkpoint(rest, "rest"), "cpu", others=paths)
    how = {"bands": 3, "sample_rate": RATE, "frame_s": rest.encoder.frame_s}
    for one, other in ((changes, explaining), (explaining, changes)):  # whoever comes first
        hearing = make_model()
        one.levels, other.levels = (
            Levels(**how, whole=one is explaining),
            Levels(**how, whole=other is explaining),
        )
        for each in (one, other):
            each.hear_as(hearing)
        assert hearing.levels is explaining.levels
    explaining.levels = Levels(bands=4, sample_rate=RATE, frame_s=rest.encoder.frame_s)
    changes.hear_as(rest)
    with pytest.raises(CheckpointError, match="bands"):
        explaining.hear_as(rest)


def test_what_cannot_be_is_refused_with_advice(
    both: Captioner, make_captioner: Callable[..., Captioner], model: CaptionerModel
) -> None:
    with pytest.raises(OptionsError, match="send style=explain"):
        both.check(GenerationOptions(detail="words"))
    with pytest.raises(OptionsError, match="AUDIODIFF_EXPLAIN"):
        make_captioner(model).check(asked("words"))
    both.check(asked("words"), 1000.0)


# -- over HTTP --------------------------------------------------------------------------------


def test_a_service_explains_and_streams(both: Captioner, sound: Callable[..., Tensor]) -> None:
    one, other = (by_soundfile(sound(4000, seed).numpy(), RATE) for seed in (1, 2))
    how = {"style": "explain", "num_beams": "1"}
    with in_thread(both) as port:
        service = Client(f"http://127.0.0.1:{port}")
        with service.http:
            eventually(lambda: service.http.get("/readyz").status_code == 200)
            told = {
                detail: service.difference(one, other, detail=detail, **how).json()
                for detail in DETAILS
            }
            assert service.metric("cache_misses_total") == 2, "heard once for all"
            files = {"input": ("a", one), "reference": ("b", other)}
            data = {"detail": "paragraph", **how}
            accept = {"accept": "text/event-stream"}
            streamed = service.http.post("/difference", files=files, data=data, headers=accept)
            assert_problem(service.difference(one, other, detail="words"), 422, says="explain")
            wrong = service.difference(one, other, style="explain", detail="all")
            assert_problem(wrong, 422, says="detail")
            styles = service.http.get("/info").json()["styles"]
    assert streamed.headers["content-type"].startswith("text/event-stream")
    *words, last = (event.split("\ndata: ") for event in streamed.text.strip().split("\n\n"))
    assert {name for name, _ in words} == {"event: words"}
    assert last[0] == "event: answer"
    answer = json.loads(last[1])
    assert "".join(json.loads(text)["text"] for _, text in words) == answer["caption"]
    assert len(words) > 3
    for body in (answer, told["paragraph"]):
        del body["id"], body["timing_ms"]
    assert answer == told["paragraph"]
    assert styles["explain"] == answer["model"]
