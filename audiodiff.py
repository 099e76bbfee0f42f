"""The command line: ``audiodiff serve``, ``caption``, ``difference`` and ``demo-clips``.

Heavy modules are imported by the commands that need them, so that ``--help`` answers at once.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError
from tqdm import tqdm

from model.errors import AudiodiffError, AudioError, OptionsError
from service.settings import BUNDLED, Settings

if TYPE_CHECKING:
    from model.audio import DecodeLimits
    from model.pipeline import Captioner
    from model.types import GenerationOptions, Waveform
    from training.data.augment import Samples

DEMO_RATE = 16_000
DEMO_SECONDS = 5.0
DEMO_SOUNDS = {
    "siren": ("siren", 1),
    "telephone": ("telephone_ring", 1),
    "bouncing-ball": ("bouncing_ball", 1),
    "knocks": ("knocks", 1),
}
"""Clip -> (a source of ``training.data.synthetic.SOUNDS``, seed)."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit status: 0, 1 if something failed, 2 for wrong usage."""
    args = _parser().parse_args(argv)
    try:
        status: int = args.run(args)
    except ValidationError as error:
        args.parser.error(_explain(error))
    except OptionsError as error:
        args.parser.error(str(error))
    except (AudiodiffError, OSError) as error:
        _complain(str(error))
        return 1
    except KeyboardInterrupt:
        return 130
    return status


# -- commands ---------------------------------------------------------------------------------


def _serve(args: argparse.Namespace) -> int:
    settings = _settings(args)
    captioner = _load(settings)
    from service.app import serve

    return serve(settings, captioner)


def _caption(args: argparse.Namespace) -> int:
    captioner, limits, options = _prepare(args)
    status = 0
    for path in tqdm(args.files, unit="file", disable=None, leave=False):
        clip = _read(captioner, path, limits)
        if clip is None:
            status = 1
            continue
        [description] = captioner.caption([clip], options)
        tqdm.write(f"{path}: {description.best.text}")
    return status


def _difference(args: argparse.Namespace) -> int:
    captioner, limits, options = _prepare(args)
    clip, reference = (_read(captioner, path, limits) for path in (args.input, args.reference))
    if clip is None or reference is None:
        return 1
    [description] = captioner.difference([(clip, reference)], options)
    print(description.best.text)
    return 0


def _demo_clips(args: argparse.Namespace) -> int:
    import soundfile

    args.dir.mkdir(parents=True, exist_ok=True)
    for name, samples in demo_sounds().items():
        path = args.dir / f"{name}.wav"
        soundfile.write(path, samples, DEMO_RATE, subtype="PCM_16")
        print(path)
    return 0


def demo_sounds() -> dict[str, Samples]:
    """Clips made in code, by name, each [S] at ``DEMO_RATE`` hertz; the same ones every time.

    ``siren-and-knocks`` is the sum of ``siren`` and ``knocks``, which have the same power.
    """
    import numpy as np

    from training.data.synthetic import synthesize
    from training.mixing.algorithm1 import matching_gain

    sounds = {
        name: synthesize(source, np.random.default_rng(seed), DEMO_RATE, DEMO_SECONDS)
        for name, (source, seed) in DEMO_SOUNDS.items()
    }
    sounds["knocks"] *= matching_gain(sounds["knocks"], sounds["siren"])
    sounds["siren-and-knocks"] = sounds["siren"] + sounds["knocks"]
    scene = ("siren", "knocks", "siren-and-knocks")
    peak = max(float(np.abs(sounds[name]).max()) for name in scene)
    for name in scene:
        sounds[name] *= np.float32(0.9 / peak)
    return sounds


# -- what commands share ----------------------------------------------------------------------


def _settings(args: argparse.Namespace) -> Settings:
    """Options, else the environment, else the defaults. Raises ValidationError."""
    given = {name: value for name, value in vars(args).items() if name in Settings.model_fields}
    return Settings(**given)


def _load(settings: Settings) -> Captioner:
    """Raises CheckpointError."""
    from transformers.utils.logging import disable_progress_bar

    from model.pipeline import Captioner

    # Loading takes a moment, and its bar would stand among the logs.
    disable_progress_bar()  # type: ignore[no-untyped-call]
    return Captioner.from_dir(settings.model, settings.device, settings.dtype)


def _prepare(args: argparse.Namespace) -> tuple[Captioner, DecodeLimits, GenerationOptions]:
    settings = _settings(args)
    from model.audio import DecodeLimits
    from model.types import GenerationOptions

    return (
        _load(settings),
        DecodeLimits(max_seconds=settings.max_audio_seconds),
        GenerationOptions(num_beams=args.num_beams, max_new_tokens=args.max_new_tokens),
    )


def _read(captioner: Captioner, path: Path, limits: DecodeLimits) -> Waveform | None:
    """A clip; None, with a word on standard error, if the file is not one."""
    try:
        return captioner.prepare(path.read_bytes(), limits)
    except AudioError as error:
        _complain(f"{path}: {error}")
    except OSError as error:
        _complain(f"{path}: {error.strerror}")
    return None


def _complain(message: str) -> None:
    tqdm.write(f"audiodiff: {message}", file=sys.stderr)


def _explain(error: ValidationError) -> str:
    """Which settings are wrong, by their option and their variable."""
    return "; ".join(
        f"{_option(name)} (or AUDIODIFF_{name.upper()}): {detail['msg']}"
        for detail in error.errors()
        for name in [str(detail["loc"][0])]
    )


# -- the parser -------------------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="audiodiff",
        description="Says what is heard in a recording, and what is heard in it and not in "
        "another.",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def command(name: str, run: object, summary: str, epilog: str = "") -> argparse.ArgumentParser:
        new = commands.add_parser(name, help=summary, description=summary, epilog=epilog)
        new.set_defaults(run=run, parser=new)
        return new

    serve = command(
        "serve",
        _serve,
        "Serve the HTTP API until SIGTERM or SIGINT.",
        "Each option can be set by an environment variable too, as AUDIODIFF_MAX_QUEUE for "
        "--max-queue; the option wins.",
    )
    _add_settings(serve, Settings.model_fields)

    caption = command(
        "caption", _caption, "Say what is heard in each file, as one line 'FILE: caption'."
    )
    caption.add_argument("files", nargs="+", type=Path, metavar="FILE", help="An audio file.")
    _add_inference(caption)

    difference = command(
        "difference", _difference, "Say what is heard in one file and not in another."
    )
    difference.add_argument("input", type=Path, metavar="INPUT", help="The file to describe.")
    difference.add_argument(
        "reference", type=Path, metavar="REFERENCE", help="The file whose sounds are left out."
    )
    _add_inference(difference)

    demo = command("demo-clips", _demo_clips, "Write a few clips to try, made in code, as WAV.")
    demo.add_argument(
        "dir",
        nargs="?",
        type=Path,
        default=Path("demo-clips"),
        metavar="DIR",
        help="Folder to write to; made if it is not there. Default: %(default)s.",
    )
    return parser


def _add_inference(parser: argparse.ArgumentParser) -> None:
    _add_settings(parser, ("model", "device", "dtype", "max_audio_seconds"))
    parser.add_argument(
        "--num-beams",
        type=int,
        metavar="N",
        help="Beam width, 1 to 8; 1 is greedy. Default: the checkpoint's.",
    )
    parser.add_argument(
        "--max-new-tokens",
        type=int,
        metavar="N",
        help="Length cap of a caption, 1 to 100. Default: the checkpoint's.",
    )


def _add_settings(parser: argparse.ArgumentParser, names: Iterable[str]) -> None:
    """Settings as options. Values stay text: ``Settings`` reads them as it reads variables."""
    for name in names:
        field = Settings.model_fields[name]
        default = "the bundled checkpoint" if field.default == BUNDLED else field.default
        shown = f" Default: {default}." if field.default_factory is None and default != () else ""
        parser.add_argument(
            _option(name),
            default=argparse.SUPPRESS,
            metavar=name.rpartition("_")[2].upper(),
            help=f"{field.description}{shown}".replace("%", "%%"),
        )


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


if __name__ == "__main__":
    sys.exit(main())
