"""HTSAT and ADIFF as imported, against reconstructions in the layout of the released files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from torch import Tensor
from transformers import GPT2Config, PreTrainedTokenizerFast

from engine.captioner import Captioner
from model import checkpoint
from model.captioner import CaptionerModel
from model.config import (
    CaptionerConfig,
    Gpt2DecoderConfig,
    HtsatConfig,
    PrefixConfig,
    ProjectionAdapterConfig,
    PromptsConfig,
)
from model.encoders import Htsat
from model.errors import CheckpointError, OptionsError
from model.published import adiff, htsat
from model.published.state_dict import fill
from model.types import GenerationOptions, SourceInfo, Waveform
from tests.parity.published_adiff import (
    FULL,
    RATE,
    SECONDS,
    PublishedAdiff,
    PublishedHtsat,
    randomize,
)

SMALL: dict[str, Any] = {"width": 8, "depths": (2, 2, 2, 2), "heads": (1, 2, 2, 4)}
VOCABULARY, FEATURES, WIDTH, LENGTH = 30, 12, 16, 3
EOS, PAD = 7, 29


@pytest.fixture(autouse=True)
def _no_gradients() -> Any:
    with torch.no_grad():
        yield


@pytest.fixture(scope="module")
def clips() -> list[Tensor]:
    """Noise whose level and colour change: of ten seconds, of fewer, and of more."""
    rng = np.random.default_rng(0)
    made = []
    for seconds in (10.0, 2.3, 23.0):
        noise = rng.standard_normal(int(seconds * RATE))
        shape = np.abs(np.sin(np.arange(len(noise)) / RATE * rng.uniform(1, 4))) ** 3
        made.append(torch.from_numpy(np.cumsum(noise) * 1e-3 + 0.3 * noise * shape).float())
    return made


@pytest.fixture(scope="module")
def published() -> PublishedAdiff:
    gpt = GPT2Config(
        vocab_size=VOCABULARY, n_embd=WIDTH, n_layer=2, n_head=2, n_positions=64, pad_token_id=PAD,
        bos_token_id=PAD, eos_token_id=EOS,
    )  # fmt: skip
    whole = PublishedAdiff(PublishedHtsat(**SMALL), FEATURES, gpt, LENGTH, (2, 2), (2, 1), PAD)
    randomize(whole)
    return whole.eval()


@pytest.fixture(scope="module")
def config() -> CaptionerConfig:
    prompts = {name: (n, n + 1, 0) for n, name in enumerate(adiff.PROMPTS, 5)}
    return CaptionerConfig(
        encoder=HtsatConfig(**SMALL),
        adapter=ProjectionAdapterConfig(features=FEATURES),
        difference=PrefixConfig(memory=WIDTH, tokens=LENGTH, layers=2, heads=2),
        decoder=Gpt2DecoderConfig(
            vocab_size=VOCABULARY, width=WIDTH, layers=2, heads=2, max_positions=64,
            prompt_tokens=LENGTH, mapper_layers=2, mapper_heads=2, cross_layers=1, cross_heads=2,
            separator_token_id=PAD, pad_token_id=PAD, eos_token_id=EOS,
        ),
        prompts=PromptsConfig(**prompts),
    )  # fmt: skip


@pytest.fixture(scope="module")
def words() -> PreTrainedTokenizerFast:
    vocabulary = {f"w{n}": n for n in range(VOCABULARY - 2)} | {"<u>": 28, "<p>": PAD}
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(WordLevel(vocabulary, "<u>")), pad_token="<p>", unk_token="<u>"
    )


def released(published: PublishedAdiff, path: Path, **changed: Tensor) -> Path:
    """As in the released file: its state dict, with the buffers of its Transformers."""
    state = dict(published.state_dict())
    for n in range(2):
        attention = f"caption_decoder.gpt.transformer.h.{n}.attn"
        state[f"{attention}.bias"] = torch.ones(1, 1, 64, 64).bool()
        state[f"{attention}.masked_bias"] = torch.tensor(-1e4)
    torch.save({f"module.{key}": value for key, value in (state | changed).items()}, path)
    return path


@pytest.fixture(scope="module")
def imported(
    published: PublishedAdiff, config: CaptionerConfig, words: PreTrainedTokenizerFast,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:  # fmt: skip
    folder = tmp_path_factory.mktemp("adiff")
    adiff.convert(released(published, folder / "adiff_base.ckpt"), folder / "made", words, config)
    return folder / "made"


def tiled(clip: Tensor) -> Tensor:
    return clip.repeat(-(-SECONDS * RATE // len(clip)))[: SECONDS * RATE]


def test_htsat_hears_as_published(clips: list[Tensor], published: PublishedAdiff) -> None:
    theirs = published.audio_encoder.base.htsat
    for pooled in (False, True):
        ours = Htsat(**SMALL, pooled=pooled).eval()
        state = theirs.state_dict()
        fill(ours, state, htsat.layout(HtsatConfig(**SMALL)), [*htsat.dropped(state)])
        ten, short, long = ours.encode(clips)
        frames, vector = theirs(torch.stack([clips[0], tiled(clips[1])]))
        if pooled:
            torch.testing.assert_close(ten[0], vector[0], rtol=1e-3, atol=1e-3)
            torch.testing.assert_close(short[0], vector[1], rtol=1e-3, atol=1e-3)
            assert [len(each) for each in (ten, short, long)] == [1, 1, 1]
            continue
        assert frames.std() > 0.1
        torch.testing.assert_close(ten, frames[0], rtol=1e-3, atol=1e-3)
        torch.testing.assert_close(short, frames[1, : len(short)], rtol=1e-3, atol=1e-3)
        assert [len(each) for each in (ten, short, long)] == [32, 8, 74]
        whole = clips[2][: 20 * RATE].view(2, -1)
        torch.testing.assert_close(long[:64], theirs(whole)[0].flatten(0, 1), rtol=1e-3, atol=1e-3)


def test_padding_and_neighbours_change_nothing(clips: list[Tensor]) -> None:
    torch.manual_seed(1)
    ours = Htsat(**SMALL, pooled=False).eval()
    lengths = torch.tensor([len(clip) for clip in clips])
    padded = torch.nn.utils.rnn.pad_sequence(clips, batch_first=True)
    found = ours(padded, lengths)
    for clip, frames, mask in zip(clips, found.frames, found.mask, strict=True):
        alone = ours.encode([clip])[0]
        assert int(mask.sum()) == len(alone)
        torch.testing.assert_close(frames[: len(alone)], alone, rtol=1e-3, atol=1e-4)


def test_logits_and_answers_are_the_published(
    published: PublishedAdiff, imported: Path, clips: list[Tensor]
) -> None:
    model = checkpoint.load(imported, torch.float32).model
    one, other = (model.encode_clips([clip])[0] for clip in clips[:2])
    prompt = torch.tensor([[5, 6, 0]])
    expected = published.prefix(clips[0][None], tiled(clips[1])[None], prompt)
    found = model.difference(one, other)
    prefix = model.decoder.prefix(found.memory, prompt)
    assert expected.std() > 0.1
    torch.testing.assert_close(prefix, expected, rtol=1e-3, atol=1e-3)
    gpt = published.caption_decoder.gpt
    answer = gpt.generate(
        inputs_embeds=expected, attention_mask=torch.ones(expected.shape[:2]), do_sample=False,
        max_new_tokens=12, forced_eos_token_id=EOS,
    )  # fmt: skip
    ours = model.decoder.generate(
        found, prompt=prompt, num_beams=1, num_captions=1, max_new_tokens=12, min_length=0,
        no_repeat_ngram_size=0, length_penalty=1.0, early_stopping=True,
    )  # fmt: skip
    assert ours.tokens[0, 0].tolist() == answer[0].tolist()


def test_it_is_served_alone(imported: Path, clips: list[Tensor]) -> None:
    captioner = Captioner.from_dir(imported, "cpu")
    captioner.warm_up()
    assert [*captioner.styles] == ["explain"]
    source = SourceInfo(1.0, RATE, 1, "wav")
    waveforms = [Waveform(clip, RATE, source) for clip in clips]
    captions = captioner.caption(waveforms[:2])
    assert all(one.best.text and one.timeline is None for one in captions)
    pair = [(waveforms[0], waveforms[1])]
    told = captioner.difference(pair, GenerationOptions(style="explain", detail="paragraph"))[0]
    assert told.best.text
    assert told.sounds == ()
    with pytest.raises(OptionsError, match="send style=explain"):
        captioner.difference(pair)


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ("caption_decoder.cross_project.layers.7.norm1.weight", "is unknown"),
        ("audio_encoder.base.htsat.layers.0.blocks.9.norm1.weight", "is unknown"),
        ("caption_decoder.gpt.lm_head.weight", "differs from the weight"),
    ],
)
def test_every_key_is_accounted_for(
    published: PublishedAdiff, config: CaptionerConfig, words: PreTrainedTokenizerFast,
    tmp_path: Path, key: str, says: str,
) -> None:  # fmt: skip
    shape = (VOCABULARY, WIDTH) if "lm_head" in key else (8,)
    file = released(published, tmp_path / "file.ckpt", **{key: torch.ones(shape)})
    with pytest.raises(CheckpointError, match=says):
        adiff.convert(file, tmp_path / "made", words, config)


def test_the_released_sizes_fit() -> None:
    """Of the whole, without its weights."""
    with torch.device("meta"):
        gpt = GPT2Config()
        theirs = PublishedAdiff(PublishedHtsat(**FULL), 1024, gpt, 40, (8, 4), (4, 4), 50_256)
        ours = CaptionerModel(adiff.published()).state_dict()
    state = {key: value.shape for key, value in theirs.state_dict().items()}
    layout = adiff.layout(adiff.published())
    for name, shape in {key: value.shape for key, value in ours.items()}.items():
        their = next(
            f"{their}{name.removeprefix(our)}"
            for their, our in layout.items()
            if name == our or name.startswith(f"{our}.")
        )
        assert state.pop(their) == shape, name
    dropped = {*htsat.dropped(state, "audio_encoder.base.htsat.")}
    assert state.keys() - dropped == {"caption_decoder.gpt.lm_head.weight"}
    assert ours["difference.input.expand.weight"].shape == (30_720, 1024)
    assert ours["difference.input.layers.3.key_value.weight"].shape == (1536, 768)
