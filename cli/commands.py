"""What each command does; heavy modules are imported by those that need them."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli import options, terminal
from model.errors import AudiodiffError
from model.types import GenerationOptions
from service.settings import BUNDLED, Settings, misspelt

if TYPE_CHECKING:
    from cli.describe import Request
    from cli.local import LocalModel
    from cli.remote import RemoteService
    from engine.captioner import Captioner


PLACE = ("model", "device", "dtype", "runtime", "compile_cache")
LOCAL = (*PLACE, "max_audio_seconds")
LOCAL_PAIRS = (*LOCAL, "changes")
LOCAL_LONG = (*PLACE, "max_timeline_seconds")
"""Settings of a model that runs here: on clips, on two of them, on long recordings."""
SECRET = "AUDIODIFF_WEBHOOK_SECRET"


def serve(args: argparse.Namespace) -> int:
    """Serve until a signal."""
    settings = options.settings(args)
    captioner = _load(settings, settings.changes_dir)
    from service.app import serve

    return serve(settings, captioner)


def caption(args: argparse.Namespace) -> int:
    """Caption each file."""
    return _describe(args, [{"file": path} for path in _find(args.paths)])


def difference(args: argparse.Namespace) -> int:
    """Describe each file against a reference."""
    reference = args.reference
    pairs = [{"input": path, "reference": reference} for path in _find(args.inputs)]
    return _describe(args, pairs, reference)


def corpus(args: argparse.Namespace) -> int:
    """Caption many files, on workers."""
    settings = options.settings(args)
    for warning in misspelt():
        terminal.warn(warning)
    try:
        from cli import corpus

        files, remark = corpus.listing(args.inputs)
        if remark:
            terminal.warn(remark)
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
        terminal.warn(found.remark)
    return found.files


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
    local = LOCAL if reference is None else LOCAL_PAIRS
    model = _model(args, local, both=args.both, events=args.events)
    return asyncio.run(describe(requests, model, held, args.json))


def timeline(args: argparse.Namespace) -> int:
    """Say what is heard when."""
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


def listen(args: argparse.Namespace) -> int:
    """Tell a stream's news."""
    from cli.sources import source

    where = source(args.source, args.rate, args.channels, fast=args.fast)
    settings = options.settings(args)
    for warning in misspelt(also=[SECRET, "AUDIODIFF_API_KEY"]):
        terminal.warn(warning)
    from cli.listen import listen
    from cli.outbox import Outbox, Webhook
    from engine.engine import Engine
    from engine.listener import Listener
    from service.metrics import Metrics

    with ExitStack() as stack:
        webhook = None
        if args.post is not None:
            outbox = stack.enter_context(closing(Outbox(args.outbox)))
            webhook = Webhook(outbox, args.post, os.environ.get(SECRET) or None, terminal.warn)
        output = sys.stdout
        if args.output is not None:
            output = stack.enter_context(args.output.open("a", encoding="utf-8"))
        metrics = Metrics()
        if args.metrics_port is not None:
            metrics.serve(args.metrics_port)
        engine = Engine(replace(settings.engine, decode_workers=1), _load(settings), metrics)
        listener = Listener(engine, args.background, GenerationOptions())
        return asyncio.run(listen(where, listener, engine, metrics, output, webhook, terminal.warn))


def fetch(args: argparse.Namespace) -> int:
    """Get what a checkpoint lacks."""
    from cli.fetch import fetch

    print(fetch(args.output or BUNDLED.parent / args.name, args.source))
    return 0


def demo_clips(args: argparse.Namespace) -> int:
    """Write the recordings."""
    from cli.demo import write

    for path in write(args.dir):
        print(path)
    return 0


def _model(
    args: argparse.Namespace, local: Sequence[str], **flags: bool
) -> LocalModel | RemoteService:
    """The model here, or the service at a URL. Raises CheckpointError, OptionsError."""
    search = _given(args)
    if args.url is not None:
        if extra := [options.flag(name) for name in local if name in args]:
            args.parser.error(f"{', '.join(extra)}: with --url, the service decides")
        from cli.remote import RemoteService

        return RemoteService(args.url, args.api_key, search, **flags)
    settings = options.settings(args)
    for warning in misspelt(also=["AUDIODIFF_API_KEY"]):
        terminal.warn(warning)
    from cli.local import LocalModel

    changes = settings.changes_dir if search.get("style") == "changes" else None
    return LocalModel(
        _load(settings, changes), settings.engine, GenerationOptions(**search), **flags
    )


def _given(args: argparse.Namespace) -> dict[str, Any]:
    """The options of the search that are given."""
    names = [one.name for one in fields(GenerationOptions)]
    given = {name: getattr(args, name, None) for name in names}
    return {name: value for name, value in given.items() if value is not None}


def _load(settings: Settings, changes: Path | None = None) -> Captioner:
    """With the checkpoint that tells of ``changes``, if any. Raises CheckpointError."""
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
            changes,
        ).result()
