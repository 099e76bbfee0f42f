"""The paper's experiments in miniature: scenes, frames, samples, and a whole tiny study."""

from __future__ import annotations

import csv
import hashlib
import json
import math
import shutil
from copy import deepcopy
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import GenerationConfig, PreTrainedTokenizerFast

from model import checkpoint
from model.captioner import CaptionerModel
from model.types import Encoded
from training import __main__ as command
from training.datasets.clotho.read import ClothoClip
from training.datasets.esc50.read import Clip
from training.evaluation.evaluate import wav
from training.experiments import features, report, rows, scenes
from training.experiments.features import Features
from training.experiments.learning import FrameCaptioning, StudySamples, collate
from training.experiments.reproduce import shift_mask
from training.experiments.rows import TABLES, read_row
from training.experiments.scenes import CaptionedClip, samples_of, tell
from training.experiments.testing import auc
from training.losses import Captioning
from training.scenes.algorithm1 import CONDITIONS
from training.scenes.scene import SoundBank

KINDS = ("dog", "rain", "church_bells", "sneezing")
TOLD = ["A dog barks.", "A dog is barking.", "Rain falls while a dog barks."]
OTHER = ["Music plays as a dog barks.", "Somebody plays the flute."]


# -- scenes -----------------------------------------------------------------------------------


def test_a_clip_is_told_by_the_captions_that_agree_and_speak_of_nothing_else() -> None:
    told = tell(ClothoClip("a.wav", (*TOLD, *OTHER), None))
    assert told is not None
    captions, layout = told
    assert captions == tuple(TOLD)
    assert layout.groups == (("dog",),)  # only one of the three hears rain


def test_a_kind_that_half_of_them_hear_is_in_the_scene() -> None:
    told = tell(ClothoClip("a.wav", (*TOLD, "It rains and a dog barks.", OTHER[0]), None))
    assert told is not None
    assert {kind for group in told[1].groups for kind in group} == {"dog", "rain"}


def test_a_clip_of_which_two_alone_speak_of_known_sounds_is_left_out() -> None:
    assert (
        tell(ClothoClip("a.wav", (*TOLD[:2], *OTHER, "Wind and a dog, and music."), None)) is None
    )


def esc50_root(folder: Path, clips: list[Clip]) -> Path:
    """Two recordings of each kind in each fold, in the official layout."""
    (folder / "audio").mkdir(parents=True)
    (folder / "meta").mkdir()
    with (folder / "meta" / "esc50.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["filename", "fold", "target", "category", "esc10", "src_file", "take"])
        for fold in range(1, 6):
            for number, clip in enumerate(clips):
                name = f"{fold}-{number}.wav"
                moved = np.roll(clip.samples, 100 * fold)
                (folder / "audio" / name).write_bytes(wav(moved))
                writer.writerow([name, fold, 0, clip.kind, clip.esc10, number, "A"])
    return folder


def clotho_root(folder: Path) -> Path:
    """A clip or two in every split."""
    folder.mkdir()
    for split, count in (("development", 3), ("validation", 1), ("evaluation", 2)):
        with (folder / f"clotho_captions_{split}.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["file_name", *(f"caption_{n}" for n in range(1, 6))])
            for number in range(count):
                writer.writerow([f"{split}{number}.wav", *TOLD, *OTHER])
            writer.writerow(["other.wav", *(OTHER[0],) * 5])
    return folder


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory, clips: list[Clip]) -> tuple[Path, Path]:
    """Folders in the layouts of ESC-50 and of Clotho's captions."""
    folder = tmp_path_factory.mktemp("sources")
    return esc50_root(folder / "esc50", clips), clotho_root(folder / "clotho")


@pytest.fixture
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    small = {name: replace(split, grammar=6) for name, split in scenes.SPLITS.items()}
    monkeypatch.setattr(scenes, "SPLITS", small)


@pytest.mark.usefixtures("_few")
def test_scenes_are_the_same_bit_by_bit_wherever_they_are_built(
    sources: tuple[Path, Path], tmp_path: Path
) -> None:
    for folder in ("one", "two"):
        sizes = scenes.build(*sources, tmp_path / folder)
        assert sizes == {"train": 9, "validation": 7, "test": 8}
    for split in scenes.SPLITS:
        one, two = (scenes.read(tmp_path / folder, split) for folder in ("one", "two"))
        assert one == two
        for clip in one:
            samples = samples_of(tmp_path / "one", clip, scenes.SAMPLE_RATE)
            pcm = np.round(samples * 32768).astype("<i2")
            assert hashlib.sha256(pcm.tobytes()).hexdigest() == clip.sha256
            assert 10 <= len(samples) / scenes.SAMPLE_RATE <= 15
            assert len(clip.captions) == (3 if clip.subset == "human" else 5)
    hashes = {
        clip.sha256 for split in scenes.SPLITS for clip in scenes.read(tmp_path / "one", split)
    }
    assert len(hashes) == 24


# -- frames -------------------------------------------------------------------------------------


@pytest.fixture
def rendered(
    tmp_path: Path, bank: SoundBank, captioner: CaptionerModel, clips: list[Clip]
) -> tuple[list[CaptionedClip], Features]:
    """Four clips and what the tiny encoder hears of them and their mixtures."""
    captioned = []
    for number, clip in enumerate(clips[::2]):
        (tmp_path / f"{number}.wav").write_bytes(wav(clip.samples))
        told = (f"a {clip.kind} is heard", f"the sound of a {clip.kind}")
        captioned.append(CaptionedClip(f"{number}.wav", "human", told, ((clip.kind, 0.0, 1.0),)))
    found = features.render(
        tmp_path, captioned, bank, captioner.encoder, variants=2, seed=7, join=True
    )
    return captioned, found


def test_conditions_share_the_input_and_differ_in_the_reference(
    rendered: tuple[list[CaptionedClip], Features],
) -> None:
    captioned, found = rendered
    assert [*found.mixed] == [*CONDITIONS]
    mixtures, references = set(), []
    for clip in range(len(captioned)):
        for variant in range(2):
            drawn = {name: by[clip][variant] for name, by in found.mixed.items()}
            single, multi = (
                {drawn[name].input for name in CONDITIONS if CONDITIONS[name].multi == several}
                for several in (False, True)
            )
            assert len(single) == len(multi) == 1
            mixtures |= single | multi
            references.append(len({one.reference for one in drawn.values()}))
            for one in drawn.values():
                assert not {*one.added} & captioned[clip].kinds
    # A recording that is added late is cut before it sounds, once in a while.
    assert len(mixtures) >= 12
    assert references.count(5) >= 6


def test_frames_are_those_of_a_clip_alone(
    rendered: tuple[list[CaptionedClip], Features], captioner: CaptionerModel, tmp_path: Path
) -> None:
    captioned, found = rendered
    for clip, number in zip(captioned, found.clips, strict=True):
        samples = torch.from_numpy(samples_of(tmp_path, clip, 8000))[None]
        with torch.inference_mode():
            alone = captioner.encoder(samples, torch.tensor([samples.shape[1]])).frames[0]
        np.testing.assert_allclose(found.frames[number], alone.numpy(), atol=2e-3)


def test_features_come_back_as_they_were_saved(
    rendered: tuple[list[CaptionedClip], Features], tmp_path: Path
) -> None:
    _, found = rendered
    features.save(found, tmp_path / "deep" / "train.npz")
    back = features.load(tmp_path / "deep" / "train.npz")
    assert back.clips == found.clips
    assert back.joined == found.joined
    assert all(map(np.array_equal, back.frames, found.frames))
    for name, by_clip in found.mixed.items():
        for drawn, drawn_back in zip(by_clip, back.mixed[name], strict=True):
            for one, other in zip(drawn, drawn_back, strict=True):
                assert (one.input, one.reference, one.added) == (
                    other.input, other.reference, other.added
                )  # fmt: skip
                assert np.array_equal(one.active, other.active)


# -- samples ------------------------------------------------------------------------------------


def test_every_row_is_in_a_table_and_the_paper_has_figures_for_it() -> None:
    names = {name for table in TABLES.values() for name in table}
    papers = {name for table in ("table1", "table2", "table3") for name in TABLES[table]}
    assert papers == {*report.PAPER}
    files = Path(rows.__file__).parent.glob("*.yaml")
    assert names == {path.stem for path in files}
    for name in names:
        row = read_row(name)
        assert (row.epochs, row.batch_size) == (40, 32)  # the paper's
        assert row.condition in (None, *CONDITIONS)
        assert (row.condition is None) == (row.reference_share == 0)
        assert name.startswith(row.difference) or row.condition is None


def test_an_open_mask_keeps_nearly_everything_at_the_start(captioner: CaptionerModel) -> None:
    shifted = deepcopy(captioner)
    shift_mask(shifted, read_row("masking-open").mask_bias)
    clip = Encoded(torch.randn(1, 5, 16), torch.ones(1, 5, dtype=torch.bool))
    assert shifted.difference.keep(clip.frames, clip).min() > 0.9
    assert captioner.difference.keep(clip.frames, clip).max() < 0.9


def test_an_epoch_has_every_clip_once_in_an_order_of_its_own(
    rendered: tuple[list[CaptionedClip], Features], tokenizer: PreTrainedTokenizerFast
) -> None:
    captioned, found = rendered
    row = replace(read_row("baseline"), epochs=3)
    samples = StudySamples(captioned, found, tokenizer, row, seed=0)
    epochs = [
        [samples[index]["frames"].numpy().tobytes() for index in range(start, start + 4)]
        for start in range(0, len(samples), 4)
    ]
    whole = {found.frames[number].astype(np.float32).tobytes() for number in found.clips}
    assert all({*epoch} == whole for epoch in epochs)
    assert any(one != other for one, other in pairwise(epochs))
    assert all(samples[index]["reference"] is None for index in range(len(samples)))


@pytest.mark.parametrize(
    ("name", "share"), [("masking-same-diff", 0.5), ("masking-same-diff", 1.0), ("al-mixgen", 0.5)]
)
def test_shares_of_a_row(
    rendered: tuple[list[CaptionedClip], Features],
    tokenizer: PreTrainedTokenizerFast,
    name: str,
    share: float,
) -> None:
    captioned, found = rendered
    row = replace(read_row(name), epochs=100)
    if row.condition:
        row = replace(row, reference_share=share)
    samples = StudySamples(captioned, found, tokenizer, row, seed=0)
    items = [samples[index] for index in range(len(samples))]
    if row.condition:
        hits = [item["reference"] is not None for item in items]
    else:
        texts = [tokenizer.decode(item["tokens"], skip_special_tokens=True) for item in items]
        hits = [" and " in str(text) for text in texts]
    assert np.mean(hits) == pytest.approx(share, abs=0.08)


def test_the_loss_on_frames_is_the_loss_on_samples(
    captioner: CaptionerModel, clips: list[Clip]
) -> None:
    """The study trains on kept frames what the product trains on waveforms."""
    waveforms = [torch.from_numpy(clip.samples) for clip in clips[:4]]
    tokens = [torch.tensor([0, 5 + number, 7, 2]) for number in range(2)]
    captioning = Captioning(captioner).eval()
    with torch.inference_mode():
        lengths = torch.tensor([len(one) for one in waveforms])
        whole = captioning(
            torch.stack(waveforms[:2]), lengths[:2], torch.stack(tokens),
            waveforms[2][None], lengths[2:3], torch.tensor([1]),
        )  # fmt: skip
        heard = [
            one.frames[0] for one in captioner.encoder(torch.stack(waveforms), lengths).split()
        ]
        batch = collate(
            [
                {"frames": heard[0], "reference": None, "tokens": tokens[0]},
                {"frames": heard[1], "reference": heard[2], "tokens": tokens[1]},
            ]
        )
        kept = FrameCaptioning(captioner).eval()(**batch)
    torch.testing.assert_close(kept["loss"], whole["loss"], rtol=1e-5, atol=1e-6)


# -- figures ------------------------------------------------------------------------------------


def test_auc_by_hand() -> None:
    scores = np.array([0.9, 0.4, 0.4, 0.1])
    assert auc(scores, np.array([True, True, False, False])) == 3.5 / 4
    assert auc(-scores, np.array([True, True, False, False])) == 0.5 / 4


def test_the_interval_is_students() -> None:
    mean, half = report.interval([1.0, 2.0, 3.0])
    assert (mean, half) == (2.0, pytest.approx(4.30 / math.sqrt(3)))
    assert math.isnan(report.interval([1.0])[1])


# -- the whole ----------------------------------------------------------------------------------


@pytest.mark.skipif(shutil.which("java") is None, reason="METEOR needs Java")
@pytest.mark.usefixtures("_few")
def test_a_study_from_data_to_report(
    sources: tuple[Path, Path],
    tmp_path: Path,
    captioner: CaptionerModel,
    tokenizer: PreTrainedTokenizerFast,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Three rows with two seeds; a second run does only what is missing."""
    generation = GenerationConfig(  # type: ignore[no-untyped-call]
        num_beams=2, min_length=5, max_length=20, no_repeat_ngram_size=3, length_penalty=1.0,
        early_stopping=True,
    )  # fmt: skip
    checkpoint.save(tmp_path / "encoder", captioner, tokenizer, generation)
    esc50, clotho = sources
    study = tmp_path / "study"
    options = [
        *("--esc50", str(esc50), "--clotho", str(clotho), "--encoder", str(tmp_path / "encoder")),
        *("--output", str(study), "--epochs", "8", "--learning-rate", "1e-3", "--variants", "1"),
    ]

    def run(table: str, seeds: str = "2") -> str:
        monkeypatch.setattr(
            "sys.argv", ["training", "reproduce", table, *options, "--seeds", seeds]
        )
        command.main()
        return capsys.readouterr().out

    run("table3")
    results = sorted(path.stem for path in (study / "results").iterdir())
    assert results == [f"{row}-{seed}" for row in TABLES["table3"] for seed in range(2)]
    times = {path: path.stat().st_mtime_ns for path in (study / "results").iterdir()}
    (study / "results" / "baseline-0.json").unlink()
    first = json.loads((study / "results" / "masking-same-same-0.json").read_text())

    out = run("table3")
    assert "baseline, seed 0" in out
    assert "baseline, seed 1" not in out
    assert {p for p in times if p.stat().st_mtime_ns == times[p]} == {*times} - {
        study / "results" / "baseline-0.json"
    }
    text = (study / "report.md").read_text()
    assert "| masking-same-same | 2 |" in text
    assert "0.606" in text  # the paper's
    assert all((study / name).stat().st_size > 1000 for name in ("learning.png", "conditions.png"))

    assert first["steps"] == 8 * 9 // 32
    assert {*first["scores"]} == {"human", "grammar"}
    assert {*first["differences"]} == {*first["auc"]} == {*CONDITIONS}
    assert {"in", "in+", "in+ - ref", "in+ - in"} < {*first["examples"][0]}

    monkeypatch.setitem(TABLES, "table1", ("subtraction-same-same",))
    run("table1", seeds="1")
    subtraction = json.loads((study / "results" / "subtraction-same-same-0.json").read_text())
    assert {*subtraction["differences"]} == {*CONDITIONS}
    assert not {"auc", "timelines"} & {*subtraction}  # it has no mask
