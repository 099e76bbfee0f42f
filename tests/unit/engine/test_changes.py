"""Style changes: a second checkpoint, which hears as the first does, and tells what has changed."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import pytest
import torch
from torch import Tensor

from engine.captioner import Captioner
from engine.changes import changes, confidence, evidence, likely
from model.captioner import CaptionerModel
from model.errors import CheckpointError, OptionsError
from model.types import Change, GenerationOptions, Waveform
from tests.support.audio import by_soundfile
from tests.support.client import Client, assert_problem, eventually
from tests.support.threaded import in_thread

CHANGES = GenerationOptions(style="changes")


def heard(*_: object) -> float:
    """Half."""
    return 0.5


def unheard(*_: object) -> float:
    """As where there is no event head."""
    return 0.0


RATE = 8000

MakeModel = Callable[..., CaptionerModel]
Save = Callable[..., Path]


@pytest.fixture
def both(make_model: MakeModel, save_checkpoint: Save) -> Captioner:
    """Two tiny checkpoints of one encoder."""
    base = save_checkpoint(make_model(), "base")
    changes = save_checkpoint(make_model("concentrated"), "c")
    return Captioner.from_dir(base, "cpu", others={"changes": changes})


def test_what_a_sentence_says() -> None:
    sure = confidence(-0.1, 0.5)
    told = changes("the rain is louder and a dog is added", -0.1, heard)
    assert told == (Change("louder", "rain", sure), Change("add", "dog", sure))
    assert changes("make everything quieter", -0.1, heard) == (
        Change("quieter", "everything", sure),
    )
    assert changes("the birds are different", -0.1, heard)[0].operation == "change"
    assert changes("nothing has changed", -0.1, heard) == ()
    assert changes(" the rain is louder", -0.1, heard)[0].sound == "rain", "as decoded"


def test_what_is_told_and_heard_for_sure_is_sure() -> None:
    assert 0.8 < confidence(0.0, 1.0) < 1
    assert confidence(-0.3, 1.0) < confidence(-0.1, 1.0)
    assert confidence(-0.1, 0.0) < confidence(-0.1, 0.1) < confidence(-0.1, 0.9)


def test_a_sound_is_heard_in_the_clip_that_has_it() -> None:
    after, before = {"Bark": 0.8, "Dog": 0.7, "Rain": 0.1}, {"Bark": 0.1, "Dog": 0.2, "Rain": 0.6}
    found = evidence(after, before, {"dog": ("Bark", "Dog"), "rain": ("Rain",)})
    assert found("added", "dog") == 0.8
    assert found("removed", "dog") == 0.2
    assert found("louder", "rain") == 0.6
    assert found("quieter", "everything") == 0.8
    assert found("added", "siren") == 0.0


def test_what_is_likely_is_so_in_a_few_frames() -> None:
    events = torch.tensor([[0.9, 0.9], [0.6, 0.0], [0.3, 0.0], [0.0, 0.0]])
    assert likely(events, ["Dog", "Rain"]) == pytest.approx({"Dog": 0.6, "Rain": 0.3})
    assert likely(events[:1], ["Dog", "Silence"]) == pytest.approx({"Dog": 0.9})


def test_the_rest_is_told_as_by_the_first_alone(
    both: Captioner,
    make_model: MakeModel,
    save_checkpoint: Save,
    make_waveform: Callable[..., Waveform],
) -> None:
    alone = Captioner.from_dir(save_checkpoint(make_model(), "alone"), "cpu")
    pairs = [(make_waveform(4000, 1), make_waveform(3000, 2))]
    assert both.difference(pairs) == alone.difference(pairs)
    assert both.caption([pairs[0][0]]) == alone.caption([pairs[0][0]])


def test_changes_are_told_by_the_second_as_it_hears_by_itself(
    both: Captioner, make_model: MakeModel, make_waveform: Callable[..., Waveform]
) -> None:
    pairs = [(make_waveform(4000, n), make_waveform(3000 + 500 * n, n + 9)) for n in range(3)]
    told = both.difference(pairs, CHANGES)
    model = make_model("concentrated")
    for (clip, reference), description in zip(pairs, told, strict=True):
        with torch.inference_mode():
            before, after = model.encode_clips([reference.samples, clip.samples])
            found = model.decoder.generate(model.difference(after, before), **both._search(CHANGES))
        sentence = both.tokenizer.batch_decode(found.tokens[0, :1], skip_special_tokens=True)[0]
        assert description.best.text == sentence
        told_of = changes(sentence, description.best.score, unheard)
        assert description.changes is not None
        for one, other in zip(description.changes, told_of, strict=True):
            assert (one.operation, one.sound) == (other.operation, other.sound)
            assert one.confidence == pytest.approx(other.confidence, abs=1e-3)
        rest = both.difference([(clip, reference)])[0]
        assert rest.changes is None
        assert (description.sounds, description.timeline) == (rest.sounds, rest.timeline)
    assert len({description.best.text for description in told}) > 1


def test_a_checkpoint_that_hears_otherwise_is_refused(
    make_model: MakeModel, save_checkpoint: Save
) -> None:
    other = deepcopy(make_model("concentrated"))
    with torch.no_grad():
        next(other.encoder.parameters()).add_(1)
    paths = save_checkpoint(make_model(), "base"), save_checkpoint(other, "other")
    with pytest.raises(CheckpointError, match="encoder of both"):
        Captioner.from_dir(paths[0], "cpu", others={"changes": paths[1]})


def test_each_checkpoint_has_its_place(make_model: MakeModel, save_checkpoint: Save) -> None:
    rest = save_checkpoint(make_model(), "rest")
    changes = save_checkpoint(make_model("concentrated"), "changes")
    with pytest.raises(CheckpointError, match="set it as AUDIODIFF_CHANGES"):
        Captioner.from_dir(changes, "cpu")
    with pytest.raises(CheckpointError, match="set it as AUDIODIFF_MODEL"):
        Captioner.from_dir(rest, "cpu", others={"changes": rest})


def test_without_a_checkpoint_for_it_the_style_is_refused_with_advice(
    make_captioner: Callable[..., Captioner], model: CaptionerModel
) -> None:
    captioner = make_captioner(model)
    assert [*captioner.styles] == ["rest"]
    with pytest.raises(OptionsError, match="AUDIODIFF_CHANGES"):
        captioner.check(CHANGES)


def test_both_clips_count(both: Captioner) -> None:
    longest = both.model.decoder.max_positions * both.frame_s
    both.check(CHANGES, longest - 0.1)
    both.check(GenerationOptions(), 2 * longest)
    with pytest.raises(OptionsError, match="together"):
        both.check(CHANGES, longest)


# -- over HTTP --------------------------------------------------------------------------------


def test_one_service_tells_both_and_hears_a_clip_once(
    both: Captioner, sound: Callable[..., Tensor]
) -> None:
    one, other = (by_soundfile(sound(4000, seed).numpy(), RATE) for seed in (1, 2))
    with in_thread(both) as port:
        service = Client(f"http://127.0.0.1:{port}")
        with service.http:
            eventually(lambda: service.http.get("/readyz").status_code == 200)
            rest = service.difference(one, other).raise_for_status().json()
            told = service.difference(one, other, style="changes").raise_for_status().json()
            assert service.metric("cache_misses_total") == 2
            assert service.metric("cache_hits_total") == 2
            assert service.metric("differences_total", style="changes") == 1
            styles = service.http.get("/info").json()["styles"]
    assert "changes" not in rest
    read = [vars(one) for one in changes(told["caption"], told["score"], unheard)]
    assert told["changes"] == [
        {**one, "confidence": pytest.approx(one["confidence"], abs=1e-3)} for one in read
    ]
    assert (rest["sounds"], rest["timeline"]) == (told["sounds"], told["timeline"])
    assert styles == {"rest": rest["model"], "changes": told["model"]}
    assert rest["model"] != told["model"]


def test_a_service_without_it_says_what_to_do(
    make_captioner: Callable[..., Captioner], model: CaptionerModel, sound: Callable[..., Tensor]
) -> None:
    clip = by_soundfile(sound(4000).numpy(), RATE)
    with in_thread(make_captioner(model)) as port:
        service = Client(f"http://127.0.0.1:{port}")
        with service.http:
            eventually(lambda: service.http.get("/readyz").status_code == 200)
            response = service.difference(clip, clip, style="changes")
            assert_problem(response, 422, says="AUDIODIFF_CHANGES")
