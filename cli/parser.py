"""Which commands there are, and what each takes."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import get_args

from cli import commands, options
from cli.commands import LOCAL, LOCAL_LONG, LOCAL_PAIRS, PLACE, SECRET
from engine.settings import BACKGROUND_S
from model.types import MAX_BEAMS, MAX_NEW_TOKENS, Style
from service.settings import Settings
from service.version import version

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


def parser() -> argparse.ArgumentParser:
    """Of the whole command line; ``run`` is what a command does."""
    parser = argparse.ArgumentParser(
        prog="audiodiff",
        description="Says what is heard in a recording, and what is heard in it and not in "
        "another.",
    )
    parser.add_argument(
        "--version", action="version", version=f"%(prog)s {version()}", help="Say the version."
    )
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def command(name: str, run: object, summary: str, epilog: str = "") -> argparse.ArgumentParser:
        new = subparsers.add_parser(name, help=summary, description=summary, epilog=epilog)
        new.set_defaults(run=run, parser=new)
        return new

    serve = command(
        "serve",
        commands.serve,
        "Serve the HTTP API until SIGTERM or SIGINT.",
        "Each option can be set by an environment variable too, as AUDIODIFF_MAX_QUEUE for "
        "--max-queue; the option wins.",
    )
    options.add(serve, Settings.model_fields)

    caption = command(
        "caption",
        commands.caption,
        "Say what is heard in each file, in lines 'PATH: caption'.",
        _STATUSES,
    )
    caption.add_argument("paths", nargs="+", metavar="PATH", help=_PATHS)
    caption.set_defaults(both=False)
    _add_inference(caption)

    difference = command(
        "difference",
        commands.difference,
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
    difference.add_argument(
        "--style",
        choices=get_args(Style),
        help="rest: what is heard in the input and not in the reference. changes: what has changed "
        "from the reference to the input: added, removed, louder, quieter, different, earlier, "
        "later. Default: rest.",
    )
    _add_inference(difference, LOCAL_PAIRS)

    timeline = command(
        "timeline",
        commands.timeline,
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
        commands.listen,
        "Say what is heard that the last minutes' background had not, in lines of JSON.",
        "Each line has: id, time, start_s (seconds of sound before it), caption, score, novelty "
        "(0 to 1), sounds, source. Exit status: 0 when the source ended, 1 if it cannot be read or "
        "if events are left to be sent, 2 for wrong usage.",
    )
    _add_listen(listen)

    corpus = command(
        "corpus",
        commands.corpus,
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
    _add_search(corpus, SEARCH, LOCAL)

    fetch = command(
        "fetch",
        commands.fetch,
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

    demo = command("demo-clips", commands.demo_clips, "Write a few recordings to try, as WAV.")
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
    options.add(parser, PLACE)


def _add_inference(parser: argparse.ArgumentParser, local: Sequence[str] = LOCAL) -> None:
    parser.add_argument(
        "--json",
        action="store_true",
        help="Print one JSON object per line: path and fields of the HTTP API, or path and error.",
    )
    parser.add_argument(
        "--events", action="store_true", help="With --json: say when each sound is heard."
    )
    _add_model(parser, SEARCH, local)


def _add_search(
    parser: argparse.ArgumentParser, search: Iterable[str], local: Sequence[str]
) -> None:
    for name in search:
        parser.add_argument(options.flag(name), type=int, metavar="N", help=SEARCH[name])
    options.add(parser, local)


def _add_model(
    parser: argparse.ArgumentParser, search: Iterable[str], local: Sequence[str]
) -> None:
    _add_search(parser, search, local)
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


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, not {number}")
    return number
