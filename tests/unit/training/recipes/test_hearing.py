"""The recipe ``hearing`` on a handful of recordings: every stage, and what each of them teaches."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from engine.captioner import Captioner
from model import checkpoint
from model.audio import decode
from model.captioner import CaptionerModel
from model.checkpoint import read_fetched
from model.config import CaptionerConfig, hearing
from model.encoders import MobileNet
from model.events import Events
from model.published.efficientat import FETCHED
from model.types import GenerationOptions
from tests.support.networks import tagger
from tests.support.recordings import write
from training.captions.ontology import EVENTS
from training.captions.tokenizer import train_tokenizer
from training.datasets.errors import DataError
from training.evaluation.files import wav
from training.recipes.hearing import tell_by_name
from training.recipes.recipe import Data
from training.train import FINAL, export, train

STAGES = ("head", "hearing", "sentences", "differences", "captions", "claims")
ESC50 = ("dog", "rain", "siren", "cat", "coughing", "church_bells")
CAPTIONS = (
    "A dog barks",
    "Rain falls as a dog barks",
    "A siren wails, then a cat meows",
    "A man coughs while church bells ring",
    "It rains",
)


def rows(path: Path, table: list[list[str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(table)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Data:
    """What may not be read for training is not audio, or no captions."""
    root = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)

    def noise() -> np.ndarray[tuple[int], np.dtype[np.float32]]:
        return rng.uniform(-0.2, 0.2, 20_000).astype(np.float32)

    esc50 = [["filename", "fold", "category", "esc10"]]
    for number, kind in enumerate(ESC50):
        esc50 += [[f"{number}.wav", str(1 + number % 3), kind, "True"],
                  [f"{number}-test.wav", "45"[number % 2], kind, "True"]]  # fmt: skip
        write(root / "ESC-50" / "audio" / f"{number}.wav", noise(), 16_000)
    rows(root / "ESC-50" / "meta" / "esc50.csv", esc50)
    write(root / "sounds" / "audio" / "a.wav", noise())
    rows(root / "sounds" / "sounds.csv", [
        ["file", "labels", "source", "original_path", "licence", "credit", "split"],
        ["audio/a.wav", "Engine;Vehicle", "here", "a.wav", "CC0", "", "train"],
        ["audio/b.wav", "Engine;Vehicle", "here", "b.wav", "CC0", "", "validation"],
    ])  # fmt: skip
    header = ["audiocap_id", "youtube_id", "start_time", "caption"]
    told = [[str(n), "x", "0", text] for n, text in enumerate(CAPTIONS * 3)]
    rows(root / "audiocaps" / "train.csv", [header, *told])
    columns = ["file_name", *(f"caption_{i}" for i in range(1, 6))]
    rows(root / "clotho" / "clotho_captions_development.csv", [columns, ["c.wav", *CAPTIONS]])
    for forbidden in ("audiocaps/val", "audiocaps/test", "clotho/clotho_captions_evaluation"):
        (root / f"{forbidden}.csv").write_bytes(b"\xff")
    torch.save(tagger(bias=-0.6).state_dict(), root / "teacher.pt")
    torch.manual_seed(1)
    checkpoint.save_encoder(root / "start", MobileNet(), CaptionerConfig())
    return Data(
        esc50=root / "ESC-50",
        clotho=root / "clotho",
        sounds=root / "sounds",
        audiocaps=root / "audiocaps",
        teacher=root / "teacher.pt",
        start=root / "start",
    )


@pytest.fixture(scope="module")
def run_dir(data: Data, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished smoke run."""
    output = tmp_path_factory.mktemp("run")
    train(recipe="hearing", data=data, output=output, scale="smoke")
    return output


def weights(run_dir: Path, stage: str) -> dict[str, Tensor]:
    return load_file(run_dir / stage / "checkpoint-2" / "model.safetensors")


def same(one: Mapping[str, Tensor], two: Mapping[str, Tensor], prefix: str) -> bool:
    """Whether all weights below ``prefix`` are; there are some."""
    names = [name for name in one if name.startswith(prefix)]
    assert names
    return all(torch.equal(one[name], two[name]) for name in names)


def slots(run_dir: Path, stage: str) -> dict[str, Tensor]:
    """A stage's weights by their names in the captioner."""
    heads = {"head.": "events.head."} if stage in ("head", "hearing") else {}
    found = {}
    for name, value in weights(run_dir, stage).items():
        plain = name.removeprefix("captioner.")
        for theirs, ours in heads.items():
            plain = ours + plain.removeprefix(theirs) if plain.startswith(theirs) else plain
        found[plain] = value
    return found


def captions(checkpoint: Path) -> None:
    """What was trained says something of a clip and of a pair, with the events of each."""
    captioner = Captioner.from_dir(checkpoint, device="cpu")
    rng = np.random.default_rng(1)
    clips = [
        decode(wav(rng.uniform(-0.5, 0.5, 24_000).astype(np.float32)), captioner.sample_rate)
        for _ in range(2)
    ]
    brief = GenerationOptions(max_new_tokens=6)
    (plain,) = captioner.caption(clips[:1], brief)
    assert plain.best.tokens > 0
    (difference,) = captioner.difference([(clips[0], clips[1])], brief)
    assert difference.timeline is not None


def test_a_run_keeps_every_stage_and_what_was_heard(run_dir: Path) -> None:
    names = {path.name for path in run_dir.iterdir() if not path.name.startswith(".")}
    assert names == {*STAGES, FINAL, "recordings"}
    assert {path.name for path in (run_dir / "recordings").iterdir()} == {
        "recordings.json", "samples.int16", "sources.sha256", "tracks.npz"
    }  # fmt: skip
    assert all([*(run_dir / stage).rglob("events.out.tfevents.*")] for stage in STAGES)


def test_a_finished_run_is_not_trained_again(data: Data, run_dir: Path) -> None:
    def written() -> dict[Path, int]:
        kept = [*run_dir.rglob("checkpoint-2/*"), *(run_dir / "recordings").iterdir()]
        return {path: path.stat().st_mtime_ns for path in kept}

    before, final = written(), (run_dir / FINAL / "model.safetensors").read_bytes()
    assert len(before) > 10
    train(recipe="hearing", data=data, output=run_dir, scale="smoke")
    assert written() == before
    assert (run_dir / FINAL / "model.safetensors").read_bytes() == final


def test_an_exported_checkpoint_captions_and_is_half_the_size(
    run_dir: Path, tmp_path: Path
) -> None:
    target = tmp_path / "exported"
    target.mkdir()
    (target / "README.md").write_text("---\nmodel_name: smoke\n---\nThe card stays.\n")
    export(run_dir, target, "float16")
    full, half = ((p / "model.safetensors").stat().st_size for p in (run_dir / FINAL, target))
    assert half == pytest.approx(full / 2, rel=0.02)
    assert Captioner.from_dir(target, device="cpu").name == "smoke"
    captions(target)


def test_every_stage_teaches_its_parts(data: Data, run_dir: Path) -> None:
    start = load_file(data.start / "model.safetensors") if data.start else {}
    head, hearing, sentences, differences, told, last = (slots(run_dir, one) for one in STAGES)
    assert same(head, start, "encoder.trunk.")
    assert not same(head, start, "encoder.project.")
    assert not same(hearing, head, "encoder.trunk.")
    assert not same(hearing, head, "events.head.")
    assert same(sentences, hearing, "events.head.")
    assert same(differences, hearing, "events.head.")
    assert not any(name.startswith("encoder.") for name in differences)
    assert same(told, hearing, "events.head.")
    assert same(told, differences, "difference.")
    assert not same(told, sentences, "decoder.")
    assert same(last, hearing, "events.head.")
    assert not same(last, told, "decoder.")
    final = load_file(run_dir / FINAL / "model.safetensors")
    assert all(torch.equal(final[name], last[name]) for name in final if name in last)
    assert same(final, differences, "difference.")
    assert same(final, hearing, "encoder.")
    captions(run_dir / FINAL)


def test_with_the_teachers_own_network_the_head_alone_learns_to_hear(
    data: Data, tmp_path: Path
) -> None:
    train(recipe="published", data=data, output=tmp_path, scale="smoke")
    names = {path.name for path in tmp_path.iterdir() if not path.name.startswith(".")}
    assert names == {"head", *STAGES[2:], FINAL, "recordings"}
    final = load_file(tmp_path / FINAL / "model.safetensors")
    published = tagger(bias=-0.6)
    for name, value in published.state_dict().items():
        assert torch.equal(final[f"encoder.network.{name}"], value)
    learned = load_file(sorted((tmp_path / "head").glob("checkpoint-*"))[-1] / "model.safetensors")
    assert {name.partition(".")[0] for name in learned} == {"head", "project"}
    assert torch.equal(final["events.head.fc1.weight"], learned["head.fc1.weight"])
    assert same(slots(tmp_path, "captions"), slots(tmp_path, "differences"), "difference.")
    captions(tmp_path / FINAL)
    export(tmp_path, tmp_path / "exported", "float16")
    own = load_file(tmp_path / "exported" / "model.safetensors")
    assert own.keys() == {key for key in final if not FETCHED.holds(key)}
    assert read_fetched(tmp_path / "exported") == FETCHED


def test_without_recordings_nothing_is_trained(data: Data, tmp_path: Path) -> None:
    nothing = replace(data, esc50=None, sounds=None)
    with pytest.raises(DataError, match="there are no recordings"):
        train(recipe="hearing", data=nothing, output=tmp_path, scale="smoke")


def test_an_events_part_of_the_memory_starts_as_the_words_of_its_name() -> None:
    tokenizer = train_tokenizer(["rain falls as a chainsaw runs and a dog barks"] * 3, 400)
    captioner = CaptionerModel(hearing(len(tokenizer), EVENTS))
    tell_by_name(captioner, tokenizer)
    assert isinstance(captioner.events, Events)
    told = captioner.events.embed.weight
    torch.testing.assert_close(told.norm(dim=0), torch.ones(len(EVENTS)))
    words = captioner.get_parameter("decoder.bart.model.shared.weight")
    for label in ("Rain", "Chainsaw"):
        (token,) = tokenizer(label.lower(), add_special_tokens=False)["input_ids"]
        near = torch.cosine_similarity(words, told[:, EVENTS.index(label)][None])
        assert int(near.argmax()) == token
