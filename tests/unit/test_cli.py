"""The command line: options, demo clips, captions of files, exit statuses."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from transformers import GenerationConfig

import audiodiff
from model import checkpoint
from model.audio import DecodeLimits, decode
from model.captioner import CaptionerModel
from model.config import CaptionerConfig, DecoderConfig, EncoderConfig, FrontEndConfig
from model.pipeline import Captioner
from model.types import Caption, Description, GenerationOptions, Waveform
from service.settings import Settings
from training.tokenizer import train_tokenizer

COMMANDS = ("serve", "caption", "difference", "demo-clips")


class FakeCaptioner:
    """Says how long a clip is and how wide the search."""

    def prepare(self, data: bytes, limits: DecodeLimits) -> Waveform:
        return decode(data, 16_000, limits)

    def caption(self, clips: Sequence[Waveform], options: GenerationOptions) -> list[Description]:
        return [_say(f"{clip.duration_s:g} s, {options}") for clip in clips]

    def difference(
        self, pairs: Sequence[tuple[Waveform, Waveform]], options: GenerationOptions
    ) -> list[Description]:
        return [_say(f"{a.duration_s:g} s without {b.duration_s:g} s, {options}") for a, b in pairs]


def _say(text: str) -> Description:
    return Description((Caption(text, -0.5, 3),), None)


@pytest.fixture(autouse=True)
def _unset_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"AUDIODIFF_{name.upper()}", raising=False)


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, ...]]:
    """What the captioner was loaded with; it is a fake."""
    calls: list[tuple[object, ...]] = []

    def from_dir(*args: object) -> FakeCaptioner:
        calls.append(args)
        return FakeCaptioner()

    monkeypatch.setattr(Captioner, "from_dir", from_dir)
    return calls


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint with random weights."""
    path = tmp_path_factory.mktemp("tiny")
    tokenizer = train_tokenizer(["a dog barks", "a siren wails", "a dog wails"] * 2, 300)
    torch.manual_seed(0)
    model = CaptionerModel(
        CaptionerConfig(
            front_end=FrontEndConfig(sample_rate=16_000, window=640, hop=320, n_fft=1024),
            encoder=EncoderConfig(widths=(4, 8), pools=((4, 4), (4, 4))),
            decoder=DecoderConfig(
                vocab_size=len(tokenizer), width=16, layers=1, heads=2, ffn=32, max_positions=64
            ),
        )
    )
    generation = GenerationConfig(
        num_beams=2, max_length=12, early_stopping=True, length_penalty=1.0, min_length=0,
        no_repeat_ngram_size=3,
    )  # fmt: skip
    checkpoint.save(path, model, tokenizer, generation)
    return path


def _wav(path: Path, seconds: float) -> str:
    rng = np.random.default_rng(0)
    soundfile.write(path, 0.1 * rng.standard_normal(int(seconds * 16_000)), 16_000)
    return str(path)


# -- help -------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_explains_each_option(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        audiodiff.main([command, "--help"])
    assert stop.value.code == 0
    assert f"usage: audiodiff {command}" in capsys.readouterr().out
    parser = audiodiff._parser()._subparsers._group_actions[0].choices[command]
    assert all(action.help for action in parser._actions)


def test_help_of_serve_names_each_setting(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        audiodiff.main(["serve", "--help"])
    words = capsys.readouterr().out.split()
    for name in Settings.model_fields:
        assert "--" + name.replace("_", "-") in words


def test_help_loads_nothing_heavy() -> None:
    script = (
        "import sys, audiodiff\n"
        "try: audiodiff.main(['serve', '--help'])\n"
        "except SystemExit: print({'torch', 'transformers', 'fastapi'} & sys.modules.keys())"
    )
    run = subprocess.run(
        [sys.executable, "-c", script],
        cwd=Path(audiodiff.__file__).parent,
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.endswith("set()\n")


# -- serve ------------------------------------------------------------------------------------


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Settings, object]]:
    """What ``service.app.serve`` was called with; it answers 7 at once."""
    calls: list[tuple[Settings, object]] = []

    def serve(settings: Settings, pipeline: object) -> int:
        calls.append((settings, pipeline))
        return 7

    monkeypatch.setattr("service.app.serve", serve)
    return calls


def test_serve_takes_options_over_variables_over_defaults(
    served: list[tuple[Settings, object]],
    loaded: list[tuple[object, ...]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AUDIODIFF_PORT", "1234")
    monkeypatch.setenv("AUDIODIFF_MAX_QUEUE", "5")
    options = ["--port", "4321", "--api-keys", "one,two", "--device", "cpu"]
    assert audiodiff.main(["serve", *options]) == 7
    [(settings, pipeline)] = served
    assert isinstance(pipeline, FakeCaptioner)
    assert (settings.port, settings.max_queue, settings.max_batch_size) == (4321, 5, 32)
    assert [key.get_secret_value() for key in settings.api_keys] == ["one", "two"]
    assert loaded == [(audiodiff.BUNDLED, "cpu", "auto")]


def test_the_model_may_come_from_the_environment(
    loaded: list[tuple[object, ...]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AUDIODIFF_MODEL", "mine")
    assert audiodiff.main(["caption", _wav(tmp_path / "clip.wav", 1)]) == 0
    assert loaded == [(Path("mine"), "auto", "auto")]


def test_a_wrong_setting_is_named_before_anything_is_loaded(
    loaded: list[tuple[object, ...]],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AUDIODIFF_MAX_QUEUE", "0")
    with pytest.raises(SystemExit) as stop:
        audiodiff.main(["serve", "--port", "http"])
    assert stop.value.code == 2
    message = capsys.readouterr().err
    assert "--port (or AUDIODIFF_PORT)" in message
    assert "--max-queue (or AUDIODIFF_MAX_QUEUE)" in message
    assert loaded == []


# -- caption and difference -------------------------------------------------------------------


def test_caption_prints_a_line_per_file_in_order(
    loaded: list[tuple[object, ...]], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    files = [_wav(tmp_path / f"{seconds}.wav", seconds) for seconds in (2, 1, 3)]
    options = ["--num-beams", "3", "--max-new-tokens", "9", "--device", "cpu", "--model", "mine"]
    assert audiodiff.main(["caption", *files, *options]) == 0
    said = GenerationOptions(num_beams=3, max_new_tokens=9)
    assert capsys.readouterr().out.splitlines() == [
        f"{file}: {seconds} s, {said}" for file, seconds in zip(files, (2, 1, 3), strict=True)
    ]
    assert loaded == [(Path("mine"), "cpu", "auto")]


@pytest.mark.usefixtures("loaded")
def test_a_bad_file_is_reported_and_the_rest_is_done(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("not a sound")
    long = _wav(tmp_path / "long.wav", 5)
    good = _wav(tmp_path / "good.wav", 1)
    files = [str(tmp_path / "absent.wav"), str(text), long, str(tmp_path), good]
    assert audiodiff.main(["caption", *files, "--max-audio-seconds", "4"]) == 1
    out, err = capsys.readouterr()
    assert [line.split(": ")[0] for line in out.splitlines()] == [good]
    assert [line.split(": ")[:2] for line in err.splitlines()] == [
        ["audiodiff", file] for file in files[:-1]
    ]


@pytest.mark.usefixtures("loaded")
def test_difference_keeps_the_order_of_its_files(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    first, second = _wav(tmp_path / "a.wav", 2), _wav(tmp_path / "b.wav", 1)
    assert audiodiff.main(["difference", first, second]) == 0
    assert capsys.readouterr().out == f"2 s without 1 s, {GenerationOptions()}\n"


@pytest.mark.usefixtures("loaded")
@pytest.mark.parametrize("bad", [0, 1])
def test_difference_needs_both_files(
    bad: int, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    files = [_wav(tmp_path / "good.wav", 1)] * 2
    files[bad] = str(tmp_path / "absent.wav")
    assert audiodiff.main(["difference", *files]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"audiodiff: {files[bad]}: ")


@pytest.mark.parametrize("arguments", [[], ["caption"], ["difference", "one"], ["sing"]])
def test_wrong_usage_exits_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        audiodiff.main(arguments)
    assert stop.value.code == 2
    assert "usage: audiodiff" in capsys.readouterr().err


# -- with a real checkpoint -------------------------------------------------------------------


def test_the_command_line_says_what_the_pipeline_says(
    tiny: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    files = [_wav(tmp_path / "a.wav", 2), _wav(tmp_path / "b.wav", 1)]
    options = ["--model", str(tiny), "--device", "cpu", "--max-new-tokens", "6"]
    assert audiodiff.main(["caption", *files, *options]) == 0
    assert audiodiff.main(["difference", *files, *options]) == 0
    captioner = Captioner.from_dir(tiny, "cpu")
    clips = [captioner.prepare(Path(file).read_bytes()) for file in files]
    short = GenerationOptions(max_new_tokens=6)
    alone = [description.best.text for description in captioner.caption(clips, short)]
    [difference] = captioner.difference([(clips[0], clips[1])], short)
    assert capsys.readouterr().out.splitlines() == [
        f"{files[0]}: {alone[0]}",
        f"{files[1]}: {alone[1]}",
        difference.best.text,
    ]


def test_options_that_the_model_refuses_are_wrong_usage(
    tiny: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = _wav(tmp_path / "a.wav", 1)
    with pytest.raises(SystemExit) as stop:
        audiodiff.main(["caption", file, "--model", str(tiny), "--device", "cpu", "--num-beams=9"])
    assert stop.value.code == 2
    assert "num_beams must be 1 to 8, not 9" in capsys.readouterr().err


def test_a_checkpoint_that_is_not_there(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = _wav(tmp_path / "a.wav", 1)
    assert audiodiff.main(["caption", file, "--model", str(tmp_path / "none")]) == 1
    assert "is not a checkpoint" in capsys.readouterr().err


# -- demo clips -------------------------------------------------------------------------------


def test_demo_clips_are_the_same_every_time_and_decode(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert audiodiff.main(["demo-clips", str(tmp_path / "new" / "one")]) == 0
    written = [Path(line) for line in capsys.readouterr().out.splitlines()]
    assert audiodiff.main(["demo-clips", str(tmp_path / "two")]) == 0
    assert {path.stem for path in written} == {*audiodiff.DEMO_SOUNDS, "siren-and-knocks"}
    for path in written:
        data = path.read_bytes()
        assert data == (tmp_path / "two" / path.name).read_bytes()
        clip = decode(data, audiodiff.DEMO_RATE)
        source = clip.source
        assert (source.format, source.sample_rate, source.channels) == ("wav", 16_000, 1)
        assert clip.duration_s == audiodiff.DEMO_SECONDS
        assert soundfile.info(path).subtype == "PCM_16"
        assert 0.1 < clip.samples.abs().max() < 0.96


def test_the_mixed_demo_clip_is_the_sum_of_the_two_at_matched_power(tmp_path: Path) -> None:
    audiodiff.main(["demo-clips", str(tmp_path)])
    siren, knocks, both = (
        soundfile.read(tmp_path / f"{name}.wav", dtype="int16")[0].astype(float)
        for name in ("siren", "knocks", "siren-and-knocks")
    )
    assert np.abs(both - siren - knocks).max() <= 2  # each is rounded once
    assert abs(10 * np.log10(np.square(siren).mean() / np.square(knocks).mean())) < 0.1


def test_demo_clips_where_a_file_is_in_the_way(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "taken").write_text("")
    assert audiodiff.main(["demo-clips", str(tmp_path / "taken")]) == 1
    assert "taken" in capsys.readouterr().err
