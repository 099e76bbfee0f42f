"""The command line: options, captions of files, exit statuses."""

from __future__ import annotations

import io
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import GenerationConfig

from cli import main as audiodiff
from cli.local import MAX_IN_FLIGHT
from cli.parser import parser
from engine.captioner import Captioner
from engine.reading import Reader
from model import checkpoint
from model.audio import Decode, DecodeLimits, decode
from model.captioner import CaptionerModel
from model.config import BartDecoderConfig, CaptionerConfig, Cnn14Config, LogMelConfig
from model.types import Description, Encoded, GenerationOptions, Waveform
from service.settings import BUNDLED, Settings
from tests.support.audio import by_soundfile
from tests.support.captioner import DOG_ADDED, HearingCaptioner
from training.captions.tokenizer import train_tokenizer

COMMANDS = ("serve", "caption", "difference", "timeline", "listen", "corpus", "fetch", "demo-clips")
Capture = pytest.CaptureFixture[str]
RATE = 16_000
POISON_S = 0.25
FACTS = {"sample_rate": RATE, "channels": 1, "format": "wav", "warnings": []}


class Watched(HearingCaptioner):
    """Counts what is decoded ahead, has a test act before each batch; fails on ``POISON_S``."""

    def __init__(self) -> None:
        super().__init__()
        self.most_ahead = 0
        """The most clips that were decoded and not yet described."""
        self.before_encode: Callable[[], None] = lambda: None
        self._ahead = 0
        self._changed = threading.Condition()

    def prepare(self, data: bytes, limits: DecodeLimits, decode: Decode = decode) -> Waveform:
        waveform = super().prepare(data, limits, decode)
        with self._changed:
            self._ahead += 1
            self.most_ahead = max(self.most_ahead, self._ahead)
            self._changed.notify_all()
        return waveform

    def wait_until_ahead(self, clips: int) -> None:
        """Until so many clips are decoded and not yet described."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._ahead >= clips, timeout=60)

    def encode(self, clips: Sequence[Waveform]) -> list[Encoded]:
        self.before_encode()
        encoded = super().encode(clips)
        if POISON_S in self.encoded[-1]:
            raise RuntimeError("poisoned")
        return encoded

    def describe(
        self,
        pairs: Sequence[tuple[Encoded, Encoded | None]],
        options: GenerationOptions,
        readers: Sequence[Reader | None] = (),
    ) -> list[Description]:
        with self._changed:
            self._ahead -= len(pairs)
        return super().describe(pairs, options, readers)


@pytest.fixture(autouse=True)
def _unset_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AUDIODIFF_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def _ctrl_c() -> Iterator[None]:
    """Ctrl-C is heard, even if whoever runs the tests in the background has it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def captioner() -> Watched:
    """What is loaded."""
    return Watched()


@pytest.fixture
def loaded(captioner: Watched, monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, ...]]:
    """What the captioner, which is a fake, was loaded with."""
    calls: list[tuple[object, ...]] = []

    def from_dir(*args: object) -> Watched:
        calls.append(args)
        return captioner

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
            encoder=Cnn14Config(
                front_end=LogMelConfig(sample_rate=16_000, window=640, hop=320, n_fft=1024),
                widths=(4, 8),
                pools=((4, 4), (4, 4)),
            ),
            decoder=BartDecoderConfig(
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
    path.parent.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    path.write_bytes(by_soundfile(0.1 * rng.standard_normal(round(seconds * RATE)), RATE))
    return str(path)


def _many(count: int, folder: Path) -> list[str]:
    """Short clips, no two alike: the encoder would hear only one of those that are."""
    return [_wav(folder / f"{n:03}.wav", 0.5 + n / RATE) for n in range(count)]


# -- help -------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_explains_each_option(command: str, capsys: Capture) -> None:
    with pytest.raises(SystemExit) as stop:
        audiodiff.main([command, "--help"])
    assert stop.value.code == 0
    assert f"usage: audiodiff {command}" in capsys.readouterr().out
    found = parser()._subparsers._group_actions[0].choices[command]
    assert all(action.help for action in found._actions)


def test_help_of_serve_names_each_setting(capsys: Capture) -> None:
    with pytest.raises(SystemExit):
        audiodiff.main(["serve", "--help"])
    words = capsys.readouterr().out.split()
    for name in Settings.model_fields:
        assert "--" + name.replace("_", "-") in words


@pytest.mark.parametrize(
    "arguments", ["serve --help", f"caption {__file__} --url http://127.0.0.1:1"]
)
def test_nothing_heavy_is_loaded_for_help_or_with_a_service(arguments: str) -> None:
    script = (
        "import sys\n"
        f"from cli import main as audiodiff\ntry: audiodiff.main({arguments.split()})\n"
        "except SystemExit: pass\n"
        "print({'torch', 'transformers', 'fastapi'} & sys.modules.keys())"
    )
    run = subprocess.run(
        [sys.executable, "-c", script],
        cwd=Path(audiodiff.__file__).parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.endswith("set()\n")


def test_a_model_here_needs_no_http() -> None:
    script = (
        "import sys, cli.local, engine.captioner\n"
        "print({'fastapi', 'prometheus_client', 'starlette', 'training'} & sys.modules.keys())"
    )
    root = Path(audiodiff.__file__).parents[1]
    run = subprocess.run(
        [sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=True
    )
    assert run.stdout == "set()\n"


def test_version(capsys: Capture) -> None:
    with pytest.raises(SystemExit) as stop:
        audiodiff.main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out.startswith("audiodiff ")


# -- serve ------------------------------------------------------------------------------------


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Settings, object]]:
    """What ``service.app.serve`` was called with; it answers 7 at once."""
    calls: list[tuple[Settings, object]] = []

    def serve(settings: Settings, captioner: object) -> int:
        calls.append((settings, captioner))
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
    [(settings, captioner)] = served
    assert isinstance(captioner, Watched)
    assert (settings.port, settings.max_queue, settings.max_batch_size) == (4321, 5, 32)
    assert [key.get_secret_value() for key in settings.api_keys] == ["one", "two"]
    others = {style: BUNDLED.with_name(style) for style in ("changes", "explain")}
    assert loaded == [(BUNDLED, "cpu", "auto", "auto", None, others)]


def test_the_model_may_come_from_the_environment(
    loaded: list[tuple[object, ...]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AUDIODIFF_MODEL", "mine")
    assert audiodiff.main(["caption", _wav(tmp_path / "clip.wav", 1)]) == 0
    assert loaded == [(Path("mine"), "auto", "auto", "auto", None, {})]


def test_a_wrong_setting_is_named_before_anything_is_loaded(
    loaded: list[tuple[object, ...]],
    capsys: Capture,
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


def test_changes_are_loaded_where_they_are_asked_for(
    captioner: Watched, loaded: list[tuple[object, ...]], capsys: Capture, tmp_path: Path
) -> None:
    files = [_wav(tmp_path / f"{seconds}.wav", seconds) for seconds in (2, 1)]
    assert audiodiff.main(["difference", *files]) == 0
    assert audiodiff.main(["difference", *files, "--style", "changes"]) == 0
    assert audiodiff.main(["difference", *files, "--style", "changes", "--model", "mine"]) == 0
    mine = ["--style", "changes", "--model", "mine", "--changes", "other", "--json"]
    assert audiodiff.main(["difference", *files, *mine]) == 0
    changes = [call[-1] for call in loaded]
    beside = {"changes": BUNDLED.with_name("changes")}
    assert changes == [{}, beside, {}, {"changes": Path("other")}]
    *lines, as_json = capsys.readouterr().out.splitlines()
    assert lines == [f"{files[0]}: sound 2 without 1", *[f"{files[0]}: {DOG_ADDED}"] * 2]
    [change] = json.loads(as_json)["changes"]
    assert (change["operation"], change["sound"]) == ("add", "dog")
    assert captioner.described[-1][1] == GenerationOptions(style="changes")


# -- caption ----------------------------------------------------------------------------------


def test_caption_prints_a_line_per_file_in_order(
    captioner: Watched, loaded: list[tuple[object, ...]], capsys: Capture, tmp_path: Path
) -> None:
    files = [_wav(tmp_path / f"{seconds}.wav", seconds) for seconds in (2, 1, 3)]
    options = ["--num-beams", "3", "--max-new-tokens", "9", "--device", "cpu", "--model", "mine"]
    assert audiodiff.main(["caption", *files, *options]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        f"{file}: sound {seconds}" for file, seconds in zip(files, (2, 1, 3), strict=True)
    ]
    assert err == ""
    assert {options for _, options in captioner.described} == {
        GenerationOptions(num_beams=3, max_new_tokens=9)
    }
    assert loaded == [(Path("mine"), "cpu", "auto", "auto", None, {})]


@pytest.mark.usefixtures("loaded")
def test_a_folder_of_many_files_streams_in_order_through_batches(
    captioner: Watched, capsys: Capture, tmp_path: Path
) -> None:
    lengths = [0.5 + 0.01 * (37 * n % 300) for n in range(300)]  # in disorder
    files = [_wav(tmp_path / f"{n:03}.wav", length) for n, length in enumerate(lengths)]
    # As if the model took longer than the decoding of some clips.
    captioner.before_encode = lambda: captioner.wait_until_ahead(
        min(32, len(files) - sum(map(len, captioner.encoded)))
    )
    assert audiodiff.main(["caption", str(tmp_path)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{file}: sound {length:g}" for file, length in zip(files, lengths, strict=True)
    ]
    assert captioner.most_ahead <= MAX_IN_FLIGHT
    assert len(captioner.encoded) < 60
    assert all(len(batch) <= 32 for batch in captioner.encoded)


@pytest.mark.usefixtures("loaded")
def test_the_first_answers_are_printed_before_the_last_files_are_read(
    captioner: Watched, capsys: Capture, tmp_path: Path
) -> None:
    _many(400, tmp_path)
    printed: list[int] = []
    captioner.before_encode = lambda: printed.append(len(capsys.readouterr().out.splitlines()))
    assert audiodiff.main(["caption", str(tmp_path)]) == 0
    assert sum(printed) > 0


@pytest.mark.usefixtures("loaded")
def test_long_clips_are_not_all_decoded_ahead(
    captioner: Watched, capsys: Capture, tmp_path: Path
) -> None:
    _many(20, tmp_path)
    assert audiodiff.main(["caption", str(tmp_path), "--max-audio-seconds", "2000"]) == 0
    assert captioner.most_ahead <= 3  # of 2000 s each they would take 7200 s, or less
    assert len(capsys.readouterr().out.splitlines()) == 20


@pytest.mark.usefixtures("loaded")
def test_what_is_missing_of_a_file_is_told_of(capsys: Capture, tmp_path: Path) -> None:
    whole, cut = _wav(tmp_path / "whole.wav", 1), tmp_path / "cut.wav"
    cut.write_bytes(Path(whole).read_bytes()[:-1600])
    warning = "0.05 s of the sound are damaged or missing."
    assert audiodiff.main(["difference", whole, str(cut)]) == 0
    assert capsys.readouterr() == (f"{whole}: sound 1 without 0.95\n", f"{cut}: {warning}\n")
    assert audiodiff.main(["caption", str(cut), "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["audio"]["warnings"] == [warning]
    assert err == ""


@pytest.mark.usefixtures("loaded")
def test_a_bad_file_is_reported_and_the_rest_is_done(capsys: Capture, tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("not a sound")
    empty, folder = tmp_path / "empty.wav", tmp_path / "folder"
    empty.touch()
    folder.mkdir()
    absent, long = tmp_path / "absent.wav", _wav(tmp_path / "long.wav", 5)
    bad = {
        str(absent): "No such file",
        str(tmp_path / "no[ne]*.wav"): "No such file",
        str(text): "This is not an audio file",
        str(empty): "the file is empty",
        long: "The clip is longer than 4 s",
        str(folder): "there is no audio file in this folder",
    }
    good = _wav(tmp_path / "good.wav", 1)
    assert audiodiff.main(["caption", *bad, good, "--max-audio-seconds", "4"]) == 1
    out, err = capsys.readouterr()
    assert [line.split(": ")[0] for line in out.splitlines()] == [good]
    assert len(err.splitlines()) == len(bad)
    for line, (path, message) in zip(err.splitlines(), bad.items(), strict=True):
        assert line.startswith(f"{path}: {message}")


@pytest.mark.usefixtures("loaded")
def test_a_clip_that_the_model_fails_on_fails_alone(capsys: Capture, tmp_path: Path) -> None:
    lengths = [1.0, 2.0, POISON_S, 3.0]
    files = [_wav(tmp_path / f"{length}.wav", length) for length in lengths]
    assert audiodiff.main(["caption", *files]) == 1
    out, err = capsys.readouterr()
    assert [line.split(": ")[0] for line in out.splitlines()] == [*files[:2], files[3]]
    assert f"{files[2]}: poisoned\n" in err


@pytest.mark.usefixtures("loaded")
def test_a_dead_model_thread_ends_the_run(
    captioner: Watched, capsys: Capture, tmp_path: Path
) -> None:
    def die() -> None:
        raise torch.AcceleratorError("gone")

    captioner.before_encode = die
    files = [_wav(tmp_path / f"{n}.wav", 1) for n in range(3)]
    assert audiodiff.main(["caption", *files]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.endswith("audiodiff: the model thread died; see above\n")


@pytest.mark.usefixtures("loaded")
def test_the_file_on_standard_input(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = _wav(tmp_path / "a.wav", 1)
    sent = io.BytesIO(Path(_wav(tmp_path / "b.wav", 2)).read_bytes())
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(sent))
    assert audiodiff.main(["caption", file, "-"]) == 0
    assert capsys.readouterr().out.splitlines() == [f"{file}: sound 1", "-: sound 2"]


@pytest.mark.usefixtures("loaded")
def test_alternatives_are_lines_too(capsys: Capture, tmp_path: Path) -> None:
    file = _wav(tmp_path / "a.wav", 1)
    assert audiodiff.main(["caption", file, "--num-captions", "2"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{file}: sound 1",
        f"{file}: sound 1, take 1",
    ]


@pytest.mark.usefixtures("loaded")
def test_json_has_a_line_per_file_and_one_for_an_error(capsys: Capture, tmp_path: Path) -> None:
    file, absent = _wav(tmp_path / "a.wav", 1), str(tmp_path / "absent.wav")
    assert audiodiff.main(["caption", absent, file, "--json", "--num-captions", "2"]) == 1
    out, err = capsys.readouterr()
    failure, answer = map(json.loads, out.splitlines())
    assert failure == {"path": absent, "error": "No such file or directory"}
    assert answer == {
        "path": file,
        "caption": "sound 1",
        "score": -0.25,
        "truncated": False,
        "alternatives": [{"caption": "sound 1, take 1", "score": -0.5, "truncated": False}],
        "sounds": [{"label": "Dog", "score": 0.87}, {"label": "Rain", "score": 0.41}],
        "audio": {"duration_s": 1.0, **FACTS},
        "model": {"name": "fake", "revision": "0123abcd"},
    }
    assert err == f"{absent}: No such file or directory\n"


@pytest.mark.usefixtures("loaded")
def test_a_name_that_is_not_utf_8_is_printed_as_it_is(
    capfdbinary: pytest.CaptureFixture[bytes], tmp_path: Path
) -> None:
    name = os.fsencode(tmp_path) + b"/caf\xe9.wav"
    Path(os.fsdecode(name)).write_bytes(Path(_wav(tmp_path / "a.wav", 1)).read_bytes())
    assert audiodiff.main(["caption", os.fsdecode(name)]) == 0
    assert capfdbinary.readouterr().out.startswith(name + b": sound 1")


@pytest.mark.usefixtures("loaded")
@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1"])
def test_a_name_that_the_terminal_lacks_letters_for_stops_nothing(
    encoding: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, seconds in (("\u96e8.wav", 1), ("z.wav", 2)):
        _wav(Path(name), seconds)
    out, err = io.BytesIO(), io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(out, encoding))
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(err, encoding, errors="strict"))
    assert audiodiff.main(["caption", "\u96ea.wav", "\u96e8.wav", "z.wav"]) == 1
    sys.stderr.flush()
    assert out.getvalue().decode(encoding).splitlines() == ["?.wav: sound 1", "z.wav: sound 2"]
    assert err.getvalue().decode(encoding) == "?.wav: No such file or directory\n"


@pytest.mark.usefixtures("loaded")
def test_what_is_passed_over_or_misspelt_is_told_of(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = _wav(tmp_path / "a.wav", 1)
    (tmp_path / "notes.txt").touch()
    monkeypatch.setenv("AUDIODIFF_DEVISE", "cuda")
    monkeypatch.setenv("AUDIODIFF_API_KEY", "of another service")
    assert audiodiff.main(["caption", str(tmp_path)]) == 0
    out, err = capsys.readouterr()
    assert out == f"{file}: sound 1\n"
    passed_over, misspelt = err.splitlines()
    assert f"{tmp_path}/notes.txt" in passed_over
    assert misspelt.endswith("did you mean AUDIODIFF_DEVICE?")


@pytest.mark.usefixtures("loaded")
@pytest.mark.parametrize("terminal", [True, False])
def test_the_progress_bar_is_for_terminals(
    terminal: bool, capsys: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    file = _wav(tmp_path / "a.wav", 1)
    assert audiodiff.main(["caption", file]) == 0
    out, err = capsys.readouterr()
    assert out == f"{file}: sound 1\n"
    assert ("0/1" in err) == terminal


# -- difference -------------------------------------------------------------------------------


@pytest.mark.usefixtures("loaded")
def test_each_input_is_held_against_the_reference(capsys: Capture, tmp_path: Path) -> None:
    inputs = [_wav(tmp_path / "in" / f"{seconds}.wav", seconds) for seconds in (1, 2, 3)]
    reference = _wav(tmp_path / "reference.wav", 4)
    expected = [f"{file}: sound {seconds} without 4" for seconds, file in enumerate(inputs, 1)]
    for given in (inputs, [str(tmp_path / "in")], [str(tmp_path / "*" / "[0-9].wav")]):
        assert audiodiff.main(["difference", *given, reference]) == 0
        assert capsys.readouterr().out.splitlines() == expected


@pytest.mark.usefixtures("loaded")
def test_both_directions(capsys: Capture, tmp_path: Path) -> None:
    first, second = _wav(tmp_path / "a.wav", 2), _wav(tmp_path / "b.wav", 1)
    assert audiodiff.main(["difference", first, second, "--both"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{first}: sound 2 without 1",
        f"{second}: sound 1 without 2",
    ]
    assert audiodiff.main(["difference", first, second, "--both", "--json", "--events"]) == 0
    [line] = capsys.readouterr().out.splitlines()
    timeline = [
        {"start_s": 0.0, "end_s": 0.5, "kept": 0.75},
        {"start_s": 0.5, "end_s": 1.0, "kept": None},
    ]
    dog = {"label": "Dog", "score": 0.87, "events": [{"start_s": 0.0, "end_s": 0.5}]}
    said = {"score": -0.25, "truncated": False, "alternatives": [], "sounds": [dog]}
    said["timeline"] = timeline
    twice = [{"start_s": 0.0, "end_s": 0.25}, {"start_s": 0.5, "end_s": 1.0}]
    assert json.loads(line) == {
        "path": first,
        "reference_path": second,
        "caption": "sound 2 without 1",
        **said,
        "shared": [{"label": "Rain", "score": 0.41, "events": twice}],
        "input": {"duration_s": 2.0, **FACTS},
        "reference": {"duration_s": 1.0, **FACTS},
        "model": {"name": "fake", "revision": "0123abcd"},
        "reverse": {"caption": "sound 1 without 2", **said},
    }


@pytest.mark.usefixtures("loaded")
@pytest.mark.parametrize("order", ["{a} -", "- {a}"])
def test_one_of_a_pair_may_come_on_standard_input(
    order: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pair = order.format(a=_wav(tmp_path / "a.wav", 1)).split()
    sent = io.BytesIO(Path(_wav(tmp_path / "b.wav", 2)).read_bytes())
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(sent))
    assert audiodiff.main(["difference", *pair]) == 0
    seconds = [2 if path == "-" else 1 for path in pair]
    assert capsys.readouterr().out == f"{pair[0]}: sound {seconds[0]} without {seconds[1]}\n"


@pytest.mark.usefixtures("loaded")
def test_the_reference_may_be_a_pipe_though_it_is_needed_again_and_again(
    capsys: Capture, tmp_path: Path
) -> None:
    inputs = [_wav(tmp_path / f"{seconds}.wav", seconds) for seconds in (1, 2)]
    data = Path(_wav(tmp_path / "reference.wav", 0.5)).read_bytes()
    read, write = os.pipe()
    assert os.write(write, data) == len(data), "it fits into the pipe"
    os.close(write)
    assert audiodiff.main(["difference", *inputs, f"/dev/fd/{read}"]) == 0
    os.close(read)
    assert capsys.readouterr().out.splitlines() == [
        f"{file}: sound {seconds} without 0.5" for seconds, file in enumerate(inputs, 1)
    ]


@pytest.mark.usefixtures("loaded")
@pytest.mark.parametrize("bad", [0, 1])
def test_difference_needs_both_files(bad: int, capsys: Capture, tmp_path: Path) -> None:
    files = [_wav(tmp_path / "good.wav", 1)] * 2
    files[bad] = str(tmp_path / "absent.wav")
    assert audiodiff.main(["difference", *files]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err == f"{files[bad]}: No such file or directory\n"


@pytest.mark.usefixtures("loaded")
def test_a_reference_that_does_not_decode_is_named(capsys: Capture, tmp_path: Path) -> None:
    file, text = _wav(tmp_path / "good.wav", 1), tmp_path / "notes.txt"
    text.write_text("not a sound")
    assert audiodiff.main(["difference", file, str(text)]) == 1
    assert capsys.readouterr().err.startswith(f"{file}: reference: This is not an audio file")


# -- how it ends ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["caption"],
        ["difference", "one"],
        ["sing"],
        ["caption", "-", "-"],
        ["difference", "-", "-"],
        ["caption", "one", "--num-beams", "many"],
        ["caption", "one", "--url", "localhost:8000"],
        ["caption", "one", "--url", "http://localhost:port"],
        ["caption", "one", "--url", "http://localhost:8000", "--device", "cpu"],
    ],
)
def test_wrong_usage_exits_with_2(
    arguments: list[str], capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO()))
    with pytest.raises(SystemExit) as stop:
        audiodiff.main(arguments)
    assert stop.value.code == 2
    assert "usage: audiodiff" in capsys.readouterr().err


@pytest.mark.usefixtures("loaded", "_ctrl_c")
def test_ctrl_c_ends_with_130(captioner: Watched, capsys: Capture, tmp_path: Path) -> None:
    _many(200, tmp_path)
    calls = itertools.count(1)

    def interrupt() -> None:
        if next(calls) == 2:
            os.kill(os.getpid(), signal.SIGINT)

    captioner.before_encode = interrupt
    assert audiodiff.main(["caption", str(tmp_path)]) == 130
    out, err = capsys.readouterr()
    assert len(out.splitlines()) < 200
    assert err == ""


@pytest.mark.usefixtures("loaded")
def test_a_broken_pipe_ends_quietly(
    captioner: Watched, capfd: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _many(200, tmp_path)
    read, write = os.pipe()
    os.close(read)
    with open(write, "w") as stdout:  # noqa: PTH123 - a descriptor is no path
        monkeypatch.setattr(sys, "stdout", stdout)
        assert audiodiff.main(["caption", str(tmp_path)]) == 141
        stdout.flush()
    assert capfd.readouterr().err == ""
    assert sum(map(len, captioner.encoded)) < 200


# -- with a real checkpoint -------------------------------------------------------------------


def test_the_command_line_says_what_the_captioner_says(
    tiny: Path, capsys: Capture, tmp_path: Path
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
        f"{files[0]}: {difference.best.text}",
    ]


def test_options_that_the_model_refuses_are_wrong_usage(
    tiny: Path, capsys: Capture, tmp_path: Path
) -> None:
    file = _wav(tmp_path / "a.wav", 1)
    with pytest.raises(SystemExit) as stop:
        audiodiff.main(["caption", file, "--model", str(tiny), "--device", "cpu", "--num-beams=9"])
    assert stop.value.code == 2
    assert "num_beams must be 1 to 8, not 9" in capsys.readouterr().err


def test_a_checkpoint_that_is_not_there(capsys: Capture, tmp_path: Path) -> None:
    file = _wav(tmp_path / "a.wav", 1)
    assert audiodiff.main(["caption", file, "--model", str(tmp_path / "none")]) == 1
    assert "is not a checkpoint" in capsys.readouterr().err
