"""The recipe ``edtc`` on a handful of recordings, to a checkpoint that is served."""

from __future__ import annotations

from pathlib import Path

import httpx
import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import PreTrainedTokenizerFast

from engine.captioner import Captioner
from model import checkpoint
from model.audio import decode
from model.captioner import CaptionerModel
from model.checkpoint import WEIGHTS, baseline_search
from tests.support.client import WAIT_S, eventually
from tests.support.networks import tagger
from tests.support.process import listening
from training.datasets.errors import DataError
from training.evaluation.files import wav
from training.recipes.recipe import Data
from training.train import FINAL, export, train

CAPTIONS = ("A dog barks", "Rain falls as a dog barks", "A siren wails", "It rains", "A cat meows")


@pytest.fixture
def data(tmp_path: Path, captioner: CaptionerModel, tokenizer: PreTrainedTokenizerFast) -> Data:
    root, rng = tmp_path / "ESC-50", np.random.default_rng(0)
    (root / "audio").mkdir(parents=True)
    (root / "meta").mkdir()
    lines = ["filename,fold,category,esc10"]
    for number, kind in enumerate(("dog", "rain", "siren", "cat")):
        samples = rng.uniform(-0.3, 0.3, 20_000).astype(np.float32)
        (root / "audio" / f"{number}.wav").write_bytes(wav(samples, 16_000))
        lines.append(f"{number}.wav,1,{kind},False")
    (root / "meta" / "esc50.csv").write_text("\n".join(lines))
    clotho = tmp_path / "clotho"
    clotho.mkdir()
    columns = ",".join(["file_name", *(f"caption_{n}" for n in range(1, 6))])
    told = "\n".join(",".join([f"{n}.wav", *CAPTIONS]) for n in range(3))
    (clotho / "clotho_captions_development.csv").write_text(f"{columns}\n{told}\n")
    torch.save(tagger(bias=-0.6).state_dict(), tmp_path / "teacher.pt")
    start = tmp_path / "base"
    checkpoint.save(start, captioner, tokenizer, baseline_search(max_length=30))
    return Data(root, clotho, None, None, tmp_path / "teacher.pt", start=start)


def test_a_run_teaches_all_but_the_encoders_and_is_served(data: Data, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(recipe="edtc", data=data, output=run, scale="smoke")
    assert data.start is not None
    own, found = load_file(data.start / WEIGHTS), load_file(run / FINAL / WEIGHTS)
    for name, value in own.items():
        if name.startswith("encoder."):
            assert torch.equal(found[name.replace("encoder.", "encoder.parts.0.")], value)
    assert not [name for name in found if "twin" in name or "text" in name]
    assert any(name.startswith("adapter.translator.decoder.0.source.") for name in found)
    assert any(name.startswith("decoder.bart.model.encoder.layers.0.") for name in found)

    exported = tmp_path / "exported"
    export(run, exported, "float32")
    captioner = Captioner.from_dir(exported, "cpu")
    rng = np.random.default_rng(1)
    sounds = [0.1 * rng.standard_normal(length).astype(np.float32) for length in (16_000, 32_000)]
    clips = [captioner.prepare(wav(sound, 16_000), decode=decode) for sound in sounds]
    single = [captioner.caption([clip])[0] for clip in clips]
    assert [each.best.text for each in captioner.caption(clips)] == [
        each.best.text for each in single
    ]
    [rest] = captioner.difference([(clips[1], clips[0])])
    assert rest.timeline is not None

    files = [wav(sound, 16_000) for sound in sounds]
    with (
        listening(["cli", "serve", "--model", str(exported)]) as (_, address, _log),
        httpx.Client(base_url=address, timeout=WAIT_S) as service,
    ):
        eventually(lambda: service.get("/readyz").status_code == 200)
        told = service.post("/caption", files={"file": files[0]}).raise_for_status().json()
        assert told["caption"] == single[0].best.text
        both = {"input": files[1], "reference": files[0]}
        left = service.post("/difference", files=both).raise_for_status().json()
        assert left["caption"] == rest.best.text
        assert len(left["timeline"]) == len(rest.timeline)


def test_without_captions_of_clips_it_does_not_begin(data: Data, tmp_path: Path) -> None:
    nothing = Data(data.esc50, None, None, None, data.teacher, start=data.start)
    with pytest.raises(DataError, match="Clotho"):
        train(recipe="edtc", data=nothing, output=tmp_path / "run", scale="smoke")
