"""The command line: ``audiodiff serve``, ``caption``, ``difference``, ``listen`` and others.

Heavy modules are imported by the commands that need them, so that ``--help`` answers at once.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from cli import options, terminal
from engine.settings import BACKGROUND_S
from model.errors import AudiodiffError, OptionsError
from model.types import MAX_BEAMS, MAX_NEW_TOKENS, GenerationOptions
from service.settings import BUNDLED, Settings, misspelt
from service.version import version

if TYPE_CHECKING:
    from cli.describe import Request
    from cli.local import LocalModel
    from cli.remote import RemoteService
    from engine.captioner import Captioner

_PLACE = ("model", "device", "dtype", "runtime", "compile_cache")
LOCAL = (*_PLACE, "max_audio_seconds")
LOCAL_LONG = (*_PLACE, "max_timeline_seconds")
"""Settings of a model that runs here: on clips, on long recordings."""
SECRET = "AUDIODIFF_WEBHOOK_SECRET"
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
    model = _model(args, LOCAL, both=args.both, events=args.events)
    return asyncio.run(describe(requests, model, held, args.json))


def _timeline(args: argparse.Namespace) -> int:
    from cli.files import STDIN
    from cli.timeline import Form, timelines

    paths = _find(args.paths)
    if paths.count(STDIN) > 1:
        args.parser.error("the standard input is one file: give - once")
    if args.format in ("vtt", "srt") and len(paths) > 1 and args.output is None:
        args.parser.error(f"--format {args.format}: one file is one timeline: give --output too")
    if args.format == "text" and args.output is not None:
        args.parser.error("--output: choose --format json, vtt or srt")
    form = Form(args.format, args.output, args.sentence_case)
    return asyncio.run(timelines(paths, _model(args, LOCAL_LONG), form))


def _listen(args: argparse.Namespace) -> int:
    from cli.sources import source

    where = source(args.source, args.rate, args.channels, fast=args.fast)
    settings = options.settings(args)
    for warning in misspelt(also=[SECRET, "AUDIODIFF_API_KEY"]):
        _warn(warning)
    from cli.listen import listen
    from cli.outbox import Outbox, Webhook
    from engine.engine import Engine
    from engine.listener import Listener
    from service.metrics import Metrics

    with ExitStack() as stack:
        webhook = None
        if args.post is not None:
            outbox = stack.enter_context(closing(Outbox(args.outbox)))
            webhook = Webhook(outbox, args.post, os.environ.get(SECRET) or None, _warn)
        output = sys.stdout
        if args.output is not None:
            output = stack.enter_context(args.output.open("a", encoding="utf-8"))
        metrics = Metrics()
        if args.metrics_port is not None:
            metrics.serve(args.metrics_port)
        engine = Engine(replace(settings.engine, decode_workers=1), _load(settings), metrics)
        listener = Listener(engine, args.background, GenerationOptions())
        return asyncio.run(listen(where, listener, engine, metrics, output, webhook, _warn))


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


def _model(
    args: argparse.Namespace, local: Sequence[str], **flags: bool
) -> LocalModel | RemoteService:
    """The model here, or the service at a URL. Raises CheckpointError, OptionsError."""
    given = {name: getattr(args, name, None) for name in SEARCH}
    search = {name: value for name, value in given.items() if value is not None}
    if args.url is not None:
        if extra := [options.flag(name) for name in local if name in args]:
            args.parser.error(f"{', '.join(extra)}: with --url, the service decides")
        from cli.remote import RemoteService

        return RemoteService(args.url, args.api_key, search, **flags)
    settings = options.settings(args)
    for warning in misspelt(also=["AUDIODIFF_API_KEY"]):
        _warn(warning)
    from cli.local import LocalModel

    return LocalModel(_load(settings), settings.engine, GenerationOptions(**search), **flags)


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

    timeline = command(
        "timeline",
        _timeline,
        "Say what is heard when in recordings of up to hours, as it is heard.",
        _STATUSES,
    )
    timeline.add_argument("paths", nargs="+", metavar="PATH", help=_PATHS)
    timeline.add_argument(
        "--format",
        choices=("text", "json", "vtt", "srt"),
        default="text",
        help="Lines 'PATH: START-END caption', one JSON object per file with the fields of the "
        "HTTP API, or subtitles, [dog barking]. Default: %(default)s.",
    )
    timeline.add_argument(
        "--sentence-case", action="store_true", help="Of subtitles: [Dog barking]."
    )
    timeline.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        help="Folder to write each file's timeline to, under the file's name; made if it is not "
        "there. Default: the standard output.",
    )
    _add_model(timeline, ("num_beams", "max_new_tokens"), LOCAL_LONG)
    listen = command(
        "listen",
        _listen,
        "Say what is heard that the last minutes' background had not, in lines of JSON.",
        "Each line has: id, time, start_s (seconds of sound before it), caption, score, novelty "
        "(0 to 1), sounds, source. Exit status: 0 when the source ended, 1 if it cannot be read or "
        "if events are left to be sent, 2 for wrong usage.",
    )
    _add_listen(listen)

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


def _add_listen(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "source",
        nargs="?",
        default="mic",
        metavar="SOURCE",
        help="mic (the default), a file, which is played in real time, - for a pipe, a URL that "
        "FFmpeg opens (rtsp, http, ...), or a device, as alsa:hw:1. URLs and devices are opened "
        "again when they end or break.",
    )
    parser.add_argument(
        "--background",
        type=float,
        default=BACKGROUND_S,
        metavar="SECONDS",
        help="What was heard so long ago or less is no news. Default: %(default)g.",
    )
    parser.add_argument(
        "--rate",
        type=int,
        metavar="HERTZ",
        help="Standard input is raw samples of 16 bits, little-endian, at this rate; else it is a "
        "file of any format, as WAV.",
    )
    parser.add_argument(
        "--channels",
        type=int,
        default=1,
        metavar="N",
        help="Channels of raw samples, interleaved. Default: %(default)d.",
    )
    parser.add_argument(
        "--fast", action="store_true", help="Take a file as fast as the model does."
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="Append the lines to this file instead of printing them.",
    )
    parser.add_argument(
        "--post",
        metavar="URL",
        help="POST each event there too, until it is taken; signed if " + SECRET + " is set.",
    )
    parser.add_argument(
        "--outbox",
        type=Path,
        default=Path("audiodiff-outbox.sqlite"),
        metavar="FILE",
        help="Where events wait that are to be posted. Default: %(default)s.",
    )
    parser.add_argument(
        "--metrics-port",
        type=int,
        metavar="PORT",
        help="Answer Prometheus on this port of 127.0.0.1.",
    )
    options.add(parser, _PLACE)


def _add_inference(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--json",
        action="store_true",
        help="Print one JSON object per line: path and fields of the HTTP API, or path and error.",
    )
    parser.add_argument(
        "--events", action="store_true", help="With --json: say when each sound is heard."
    )
    _add_model(parser, SEARCH, LOCAL)


def _add_model(
    parser: argparse.ArgumentParser, search: Iterable[str], local: Sequence[str]
) -> None:
    for name in search:
        parser.add_argument(options.flag(name), type=int, metavar="N", help=SEARCH[name])
    options.add(parser, local)
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


if __name__ == "__main__":
    sys.exit(main())
