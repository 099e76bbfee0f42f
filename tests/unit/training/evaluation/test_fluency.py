"""The detector's checkpoint in its published form, with a BERT small enough to make here."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import BertConfig, BertModel, BertTokenizer

from training.evaluation import fluency

WORDS = ["a", "dog", "barks", "while", "rain", "falls", "on", "the", "roof", "and"]
CAPTIONS = [" ".join(WORDS[i % 7 : i % 7 + 1 + i % 4]) for i in range(2 * fluency.BATCH_SIZE + 5)]


@pytest.fixture
def bert(tmp_path: Path) -> Path:
    """A folder as the Hugging Face cache has it: configuration and tokenizer."""
    vocabulary = {
        word: i for i, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS])
    }
    folder = tmp_path / "bert"
    BertTokenizer(vocab=vocabulary).save_pretrained(folder)
    BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        initializer_range=1.0,
    ).save_pretrained(folder)
    return folder


@pytest.fixture
def stored(bert: Path) -> dict[str, Any]:
    """What is in the checkpoint."""
    torch.manual_seed(0)
    encoder = BertModel(BertConfig.from_pretrained(bert)).state_dict()
    return {
        "model_type": str(bert),
        "num_classes": 6,
        "state_dict": {
            "encoder.embeddings.position_ids": torch.arange(512)[None],
            **{f"encoder.{name}": weight for name, weight in encoder.items()},
            "clf.weight": torch.randn(6, 16),
            "clf.bias": torch.randn(6),
        },
    }


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the checkpoint is looked for."""
    monkeypatch.setenv("FENSE_DATA", str(tmp_path))
    return tmp_path / "echecker_clotho_audiocaps_base.ckpt"


def save(stored: dict[str, Any], file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save(stored, file)
    monkeypatch.setattr(fluency, "SHA256", hashlib.sha256(file.read_bytes()).hexdigest())


def test_errors(
    stored: dict[str, Any], bert: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of captions of several lengths, over several batches: as of each alone."""
    save(stored, file, monkeypatch)
    encoder = BertModel(BertConfig.from_pretrained(bert)).eval()
    weights = {k.removeprefix("encoder."): v for k, v in stored["state_dict"].items()}
    encoder.load_state_dict(
        {k: v for k, v in weights.items() if k != "embeddings.position_ids" and "clf" not in k}
    )
    vocabulary = BertTokenizer.from_pretrained(bert).get_vocab()
    logits = []
    for caption in CAPTIONS:
        ids = [vocabulary[word] for word in ["[CLS]", *caption.split(), "[SEP]"]]
        with torch.no_grad():
            first = encoder(torch.tensor([ids])).last_hidden_state[0, 0]
        logits.append(weights["clf.weight"][-1] @ first + weights["clf.bias"][-1])
    probabilities = torch.stack(logits).sigmoid()
    ordered = probabilities.unique()
    middle = len(ordered) // 2
    monkeypatch.setattr(fluency, "THRESHOLD", float(ordered[middle - 1 : middle + 1].mean()))

    detector = fluency.load()
    assert detector is not None
    found = detector.errors(CAPTIONS)
    assert found == (probabilities > fluency.THRESHOLD).tolist()
    assert len(set(found)) == 2
    assert detector.errors([]) == []
    assert detector.errors(["dog " * 1000]) in ([False], [True])


def test_nothing_is_installed(file: Path) -> None:
    assert not file.exists()
    assert fluency.load() is None


def test_the_tokenizer_is_not_installed(
    stored: dict[str, Any], file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save({**stored, "model_type": "nobody/has-this"}, file, monkeypatch)
    assert fluency.load() is None


def test_another_file_is_refused(stored: dict[str, Any], file: Path) -> None:
    torch.save(stored, file)
    with pytest.raises(ValueError, match="is not the published echecker_clotho_audiocaps_base"):
        fluency.load()
