"""``audiodiff fetch``: a published file becomes a checkpoint's weights, or why it does not."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from cli import main as audiodiff
from model.captioner import CaptionerModel
from model.checkpoint import read_fetched
from model.config import (
    BartDecoderConfig,
    CaptionerConfig,
    EfficientAtConfig,
    EventsConfig,
    FetchedConfig,
    NoAdapterConfig,
)
from model.encoders.efficientat import EfficientAtNetwork
from model.published.efficientat import FETCHED, convert, read
from tests.conftest import DATA, NEEDS_DATA
from tests.support.file_server import FileServer, serving

Capture = pytest.CaptureFixture[str]
PATH = "/mn04.pt"


@pytest.fixture(scope="module")
def network() -> EfficientAtNetwork:
    """A stand-in for the published one."""
    torch.manual_seed(0)
    return EfficientAtNetwork().eval()


@pytest.fixture(scope="module")
def published(network: EfficientAtNetwork) -> bytes:
    file = io.BytesIO()
    torch.save(network.state_dict(), file)
    return file.getvalue()


@pytest.fixture
def server() -> Iterator[FileServer]:
    with serving() as one:
        yield one


def lacking(directory: Path, data: bytes, url: str) -> Path:
    """A checkpoint's directory, as far as it matters here, that wants ``data`` from ``url``."""
    wanted = FETCHED.model_copy(
        update={"url": url, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    )
    directory.mkdir()
    (directory / "config.json").write_text(json.dumps({"fetched": wanted.model_dump()}))
    return directory


@pytest.fixture
def directory(tmp_path: Path, published: bytes, server: FileServer) -> Path:
    server.files[PATH] = published
    return lacking(tmp_path / "published", published, server.url + PATH)


def fetch(directory: Path, *more: str) -> int:
    return audiodiff.main(["fetch", "published", "--output", str(directory), *more])


def same(weights: dict[str, Tensor], network: EfficientAtNetwork) -> bool:
    state = network.state_dict()
    return all(torch.equal(weights[f"encoder.network.{key}"], state[key]) for key in state)


def test_it_is_downloaded(
    directory: Path, network: EfficientAtNetwork, server: FileServer, capsys: Capture
) -> None:
    server.redirects["/moved.pt"] = PATH
    assert fetch(directory) == 0
    file = directory / FETCHED.file
    assert capsys.readouterr().out == f"{file}\n"
    assert same(load_file(file), network)
    assert {path.name for path in directory.iterdir()} == {"config.json", FETCHED.file}


def test_a_local_file_will_do(
    directory: Path, tmp_path: Path, published: bytes, network: EfficientAtNetwork,
    server: FileServer,
) -> None:  # fmt: skip
    (tmp_path / "local.pt").write_bytes(published)
    assert fetch(directory, "--from", str(tmp_path / "local.pt")) == 0
    assert same(load_file(directory / FETCHED.file), network)
    assert server.asked == []


@pytest.mark.parametrize("trouble", ["short", "long", "other", "cut", "gone"])
def test_what_is_not_the_published_file_is_refused(
    directory: Path, published: bytes, server: FileServer, capsys: Capture, trouble: str
) -> None:
    server.files[PATH] = {
        "short": published[:-1],
        "long": published + b"!" * 9,
        "other": published[:-1] + b"!",
    }.get(trouble, published)
    if trouble == "cut":
        server.cuts = [1000]
    if trouble == "gone":
        server.statuses = [404]
    assert fetch(directory) == 1
    says = {
        "short": f"it has {len(published) - 1} bytes, not {len(published)}",
        "long": f"it has more than {len(published)} bytes",
        "other": "its SHA-256 is",
        "cut": "give it with --from",
        "gone": "404",
    }[trouble]
    assert says in capsys.readouterr().err
    assert [path.name for path in directory.iterdir()] == ["config.json"]


def test_a_file_of_the_right_digest_but_another_network_is_refused(
    tmp_path: Path, network: EfficientAtNetwork, capsys: Capture
) -> None:
    state = dict(network.state_dict())
    del state["classifier.5.bias"]
    file = io.BytesIO()
    torch.save(state, file)
    (tmp_path / "other.pt").write_bytes(file.getvalue())
    directory = lacking(tmp_path / "published", file.getvalue(), "http://127.0.0.1:1/")
    assert fetch(directory, "--from", str(tmp_path / "other.pt")) == 1
    assert "classifier.5.bias is missing" in capsys.readouterr().err
    assert [path.name for path in directory.iterdir()] == ["config.json"]


def test_a_whole_checkpoint_lacks_nothing(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "config.json").write_text("{}")
    assert fetch(tmp_path) == 1
    assert "nothing to fetch" in capsys.readouterr().err
    assert fetch(tmp_path / "nowhere") == 1
    assert "not a checkpoint" in capsys.readouterr().err


def test_the_names_are_those_of_a_model(
    network: EfficientAtNetwork,
) -> None:
    weights = convert(network.state_dict())
    model = CaptionerModel(
        CaptionerConfig(
            encoder=EfficientAtConfig(),
            adapter=NoAdapterConfig(),
            events=EventsConfig(labels=tuple(map(str, range(527)))),
            decoder=BartDecoderConfig(
                vocab_size=10, width=8, layers=1, heads=1, ffn=8, max_positions=8
            ),
            fetched=FETCHED,
        )
    )
    wanted = {key for key in model.state_dict() if FETCHED.holds(key)}
    assert wanted == weights.keys()
    assert model.events is not None
    report = model.load_state_dict(weights, strict=False)
    assert not report.unexpected_keys


def test_the_file_that_efficientat_publishes(tmp_path: Path) -> None:
    file = DATA / "models" / "mn04_as_mAP_432.pt"
    if not file.is_file():
        pytest.skip(f"EfficientAT's weights are not at hand {NEEDS_DATA}")
    (tmp_path / "config.json").write_text(json.dumps({"fetched": FETCHED.model_dump()}))
    assert read_fetched(tmp_path) == FETCHED
    assert isinstance(read_fetched(tmp_path), FetchedConfig)
    assert fetch(tmp_path, "--from", str(file)) == 0
    assert load_file(tmp_path / FETCHED.file).keys() == read(file).keys()
