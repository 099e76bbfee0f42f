"""The command line: ``audiodiff serve``, ``caption``, ``difference``, ``corpus`` and others.

Heavy modules are imported by the commands that need them, so that ``--help`` answers at once.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from cli import options, terminal
from model.errors import AudiodiffError, OptionsError
from model.types import MAX_BEAMS, MAX_NEW_TOKENS, GenerationOptions
from service.settings import BUNDLED, Settings, misspelt
from service.version import version

if TYPE_CHECKING:
    from cli.describe import Describer, Request
    from engine.captioner import Captioner

LOCAL = ("model", "device", "dtype", "runtime", "compile_cache", "max_audio_seconds")
"""Settings of a model that runs here."""
SEARCH = {
    "num_beams": f"Beam width, 1 to {MAX_BEAMS}; 1 is greedy. Default: the checkpoint's.",
    "num_captions": "Captions wanted, best first: 1 (the default) to the beam width.",
    "max_new_tokens": f"Most tokens of a caption, 1 to {MAX_NEW_TOKENS}; a longer sentence is "
    "cut at a whole word. Default: the checkpoint's.",
}
"""Fields of ``GenerationOptions``, and of the HTTP API."""
_PATHS = (
    "An audio file, a folder to search for audio files, a pattern such as 'clips/**/*.wav', or - "
    "for a file on standard input."
)
_STATUSES = (
    "Exit status: 0 if all was done, 1 if a file failed (standard error says which and why; the "
    "rest is done), 2 for wrong usage."
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit status.

    0, 1 if something failed, 2 for wrong usage; 130 after Ctrl-C and 141 after a broken pipe, as
    the shell has it for programs that such signals end.
    """
    terminal.tolerate_any_text()
    terminal.name_the_user()
    args = _parser().parse_args(argv)
    try:
        status: int = args.run(args)
        sys.stdout.flush()
    except ValidationError as error:
        args.parser.error(options.explain(error))
    except OptionsError as error:
        args.parser.error(str(error))
    except BrokenPipeError:
        # Else the interpreter would complain when it flushes what nobody reads.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except (AudiodiffError, OSError) as error:
        _warn(str(error))
        return 1
    except KeyboardInterrupt:
        return 130
    return status


# -- commands ---------------------------------------------------------------------------------


def _serve(args: argparse.Namespace) -> int:
    settings = options.settings(args)
    captioner = _load(settings)
    from service.app import serve

    return serve(settings, captioner)


def _caption(args: argparse.Namespace) -> int:
    return _describe(args, [{"file": path} for path in _find(args.paths)])


def _difference(args: argparse.Namespace) -> int:
    reference = args.reference
    pairs = [{"input": path, "reference": reference} for path in _find(args.inputs)]
    return _describe(args, pairs, reference)


def _corpus(args: argparse.Namespace) -> int:
    settings = options.settings(args)
    for warning in misspelt():
        _warn(warning)
    try:
        from cli import corpus

        files, remark = corpus.listing(args.inputs)
        if remark:
            _warn(remark)
        # What is wrong with the checkpoint or the options is said before a worker is started.
        here = {"device": "cpu", "dtype": "auto", "runtime": "torch"}
        captioner = _load(settings.model_copy(update=here))
        order = corpus.order(
            args.output, settings, captioner, GenerationOptions(**_given(args)), args.events
        )
        failed = corpus.caption(files, order, args.files_per_part, args.ray, args.workers)
    except ImportError as error:
        raise AudiodiffError(
            f"{error}: `pip install 'audiodiff[corpus]'` brings what a corpus needs"
        ) from error
    print(f"{args.output}: {len(files)} files, {failed} with an error")
    return 1 if failed else 0


def _find(arguments: Sequence[str]) -> list[str]:
    """The files that are meant; standard error tells of those in folders that are not."""
    from cli.files import find

    found = find(arguments)
    if found.remark:
        _warn(found.remark)
    return found.files


def _warn(message: str) -> None:
    print(f"audiodiff: {message}", file=sys.stderr)


def _describe(
    args: argparse.Namespace, requests: Sequence[Request], reference: str | None = None
) -> int:
    from cli.describe import describe, reason, show_failure
    from cli.files import STDIN, passing, read

    paths = [next(iter(request.values())) for request in requests]
    if [*paths, reference].count(STDIN) > 1:
        args.parser.error("the standard input is one file: give - once")
    # What can be read but once, and the reference, without which nothing can be done, come first.
    held = {}
    for path in filter(passing, paths):
        with suppress(OSError):  # it fails again in its turn
            held[path] = read(path)
    if reference is not None:
        try:
            held[reference] = read(reference)
        except (AudiodiffError, OSError) as error:
            show_failure(reference, reason(error), args.json)
            return 1
    return asyncio.run(describe(requests, _describer(args), held, args.json))


def _fetch(args: argparse.Namespace) -> int:
    from cli.fetch import fetch

    print(fetch(args.output or BUNDLED.parent / args.name, args.source))
    return 0


def _demo_clips(args: argparse.Namespace) -> int:
    from cli.demo import write

    for path in write(args.dir):
        print(path)
    return 0


# -- what commands share ----------------------------------------------------------------------


def _describer(args: argparse.Namespace) -> Describer:
    """The model here, or the service at a URL. Raises CheckpointError, OptionsError."""
    if args.url is not None:
        if extra := [options.flag(name) for name in LOCAL if name in args]:
            args.parser.error(f"{', '.join(extra)}: with --url, the service decides")
        from cli.remote import RemoteService

        return RemoteService(
            args.url, args.api_key, _given(args), both=args.both, events=args.events
        )
    settings = options.settings(args)
    for warning in misspelt(also=["AUDIODIFF_API_KEY"]):
        _warn(warning)
    from cli.local import LocalModel

    return LocalModel(
        _load(settings),
        settings.engine,
        GenerationOptions(**_given(args)),
        both=args.both,
        events=args.events,
    )


def _given(args: argparse.Namespace) -> dict[str, int]:
    """The options of the search that are given."""
    options = {name: getattr(args, name) for name in SEARCH}
    return {name: value for name, value in options.items() if value is not None}


def _load(settings: Settings) -> Captioner:
    """Raises CheckpointError."""
    from transformers.utils.logging import disable_progress_bar

    from engine.captioner import Captioner

    # Loading takes a moment, and its bar would stand among the logs.
    disable_progress_bar()  # type: ignore[no-untyped-call]
    # On a thread that ends, and with it its OpenMP team, which would share the model's cores.
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(
            Captioner.from_dir,
            settings.model,
            settings.device,
            settings.dtype,
            settings.runtime,
            settings.compile_cache,
        ).result()


# -- the parser -------------------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="audiodiff",
        description="Says what is heard in a recording, and what is heard in it and not in "
        "another.",
    )
    parser.add_argument(
        "--version", action="version", version=f"%(prog)s {version()}", help="Say the version."
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
    options.add(serve, Settings.model_fields)

    caption = command(
        "caption",
        _caption,
        "Say what is heard in each file, in lines 'PATH: caption'.",
        _STATUSES,
    )
    caption.add_argument("paths", nargs="+", metavar="PATH", help=_PATHS)
    caption.set_defaults(both=False)
    _add_inference(caption)

    difference = command(
        "difference",
        _difference,
        "Say what is heard in each file and not in a reference, in lines 'INPUT: caption'.",
        _STATUSES,
    )
    difference.add_argument("inputs", nargs="+", metavar="INPUT", help=_PATHS)
    difference.add_argument(
        "reference", metavar="REFERENCE", help="The file whose sounds are left out, or -."
    )
    difference.add_argument(
        "--both",
        action="store_true",
        help="Say what is heard in the reference alone, too, in lines 'REFERENCE: caption'.",
    )
    _add_inference(difference)

    corpus = command(
        "corpus",
        _corpus,
        "Caption many files to Parquet, in parts, by workers that Ray Data schedules.",
        "Killed, it goes on where it was when it is run again as before; a file that fails is a "
        "row with its error. Needs `pip install 'audiodiff[corpus]'`. " + _STATUSES,
    )
    corpus.add_argument(
        "inputs",
        nargs="+",
        metavar="INPUT",
        help="An audio file, a folder to search, a pattern, or a manifest: .csv or .parquet with a "
        "column path and, for differences, a column reference. Local, s3:// or, a file, https://.",
    )
    corpus.add_argument(
        "--output",
        required=True,
        metavar="DIR",
        help="Folder for the parts, local or s3://; the workers must reach it.",
    )
    corpus.add_argument(
        "--workers",
        type=_positive,
        metavar="N",
        help="Captioners, a core or a GPU each. Default: as many as Ray has.",
    )
    corpus.add_argument(
        "--ray",
        metavar="ADDRESS",
        help="Ray's cluster there, as HOST:6379 or auto, instead of this machine alone.",
    )
    corpus.add_argument(
        "--files-per-part",
        type=_positive,
        default=512,
        metavar="N",
        help="What is lost at most, of each worker, if it is killed. Default: %(default)s.",
    )
    corpus.add_argument("--events", action="store_true", help="Say when each sound is heard.")
    _add_model(corpus)

    fetch = command(
        "fetch",
        _fetch,
        "Get the weights that a checkpoint lacks from where they are published.",
        "They are checked by size and SHA-256; where from and under which licence stands in the "
        "checkpoint's config.json. Then serve it: audiodiff serve --model checkpoints/published.",
    )
    fetch.add_argument("name", metavar="NAME", help="The checkpoint, as published.")
    fetch.add_argument(
        "--from",
        dest="source",
        type=Path,
        metavar="FILE",
        help="The published file, if it is here already, instead of downloading it.",
    )
    fetch.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        help="The checkpoint's directory. Default: checkpoints/NAME.",
    )

    demo = command("demo-clips", _demo_clips, "Write a few recordings to try, as WAV.")
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
    parser.add_argument(
        "--json",
        action="store_true",
        help="Print one JSON object per line: path and fields of the HTTP API, or path and error.",
    )
    parser.add_argument(
        "--events", action="store_true", help="With --json: say when each sound is heard."
    )
    _add_model(parser)
    parser.add_argument(
        "--url",
        help="Ask the service there, as http://127.0.0.1:8000, instead of loading a model. While "
        "it is busy, it is asked again, a few times.",
    )
    parser.add_argument(
        "--api-key",
        metavar="KEY",
        default=os.environ.get("AUDIODIFF_API_KEY"),
        help="One of that service's keys. Better set as AUDIODIFF_API_KEY, which others on the "
        "machine cannot see.",
    )


def _add_model(parser: argparse.ArgumentParser) -> None:
    for name, help_text in SEARCH.items():
        parser.add_argument(options.flag(name), type=int, metavar="N", help=help_text)
    options.add(parser, LOCAL)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, not {number}")
    return number


if __name__ == "__main__":
    sys.exit(main())
