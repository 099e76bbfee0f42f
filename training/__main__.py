"""``python -m training``: train a recipe, export its checkpoint, evaluate what is served."""

from __future__ import annotations

import argparse
import shlex
import sys
from importlib import import_module
from pathlib import Path

from model.errors import AudiodiffError
from training.arguments import TEACHER, parser


def main() -> None:
    """Parse the command line and run the command; what is wrong is said in a line."""
    arguments = parser().parse_args()
    run, undone = _COMMANDS[arguments.command]
    try:
        run(arguments)
    except AudiodiffError as error:
        sys.exit(f"{undone}: {error}")
    except OSError as error:
        about = f"{error.filename}: {error.strerror}" if error.filename else error
        sys.exit(f"{undone}: {about}")
    except KeyboardInterrupt:
        sys.exit("stopped; run the command again to go on")


def _prepare(arguments: argparse.Namespace) -> None:
    print(arguments.about, flush=True)
    data_set = import_module(f"training.datasets.{arguments.data_set}.prepare")
    print(data_set.prepare(arguments.output, arguments.source))


def _train(arguments: argparse.Namespace) -> None:
    from training.recipes.recipe import Data
    from training.train import train

    data = Data(
        esc50=arguments.esc50,
        clotho=arguments.clotho,
        sounds=arguments.sounds,
        audiocaps=arguments.audiocaps,
        teacher=arguments.teacher,
        start=arguments.start,
        adiff=arguments.adiff,
        instructor=arguments.instructor,
        folds=arguments.folds,
    )
    train(
        recipe=arguments.recipe,
        data=data,
        output=arguments.output or Path("runs") / arguments.recipe,
        scale=arguments.scale,
        seed=arguments.seed,
    )


def _export(arguments: argparse.Namespace) -> None:
    from training.train import export

    export(arguments.run_dir, arguments.checkpoint, arguments.dtype, arguments.share)


def _import_encoder(arguments: argparse.Namespace) -> None:
    source, target = arguments.file, arguments.checkpoint
    if arguments.system == "yamnet":
        from model.published import yamnet

        yamnet.import_encoder(source or yamnet.installed(), target)
    elif source is None:
        sys.exit(f"import-encoder {arguments.system} needs the published file, too")
    elif arguments.system == "byol_a":
        from model.published import byol_a

        byol_a.import_encoder(source, target, arguments.mean, arguments.std)
    elif arguments.system == "efficientat":
        from model.published import efficientat

        efficientat.import_encoder(source, target)
    elif arguments.system == "htsat":
        from model.published import htsat

        htsat.import_encoder(source, target)
    elif arguments.system in ("cnn14", "convnext"):
        from model.published import audioset

        if arguments.system == "cnn14":
            audioset.import_cnn14(source, target)
        else:
            audioset.import_convnext(source, target)
    else:
        from model.published import dcase2023

        dcase2023.import_encoder(source, target, dcase2023.published())


def _import(arguments: argparse.Namespace) -> None:
    source, target, tokenizer = arguments.file, arguments.checkpoint, arguments.tokenizer
    if arguments.system == "adiff":
        from model.published import adiff

        adiff.import_captioner(source, target, tokenizer)
    else:
        from model.published import dcase2023

        dcase2023.import_captioner(source, target, tokenizer, dcase2023.published())


def _reproduce(arguments: argparse.Namespace) -> None:
    own = {"adc": _reproduce_adc, "adiff": _reproduce_adiff, "edtc": _reproduce_edtc}
    for name in (name for name in own if name in arguments.tables):
        if {*arguments.tables} - {name, "report"}:
            sys.exit(f"{name} is a study of its own: give it a command and a folder of its own")
        own[name](arguments)
        return
    from training.experiments.esc_scenes import Roots
    from training.experiments.report import write
    from training.experiments.reproduce import Data, prepare, reproduce

    folders = (arguments.esc50, arguments.sounds, arguments.clotho, arguments.audiocaps)
    data = Data(Roots(*folders), arguments.real, arguments.encoder)
    if "scenes" in arguments.tables:
        print(prepare(data, arguments.output))
    tables = [name for name in arguments.tables if name not in ("scenes", "report")]
    if tables:
        given = {
            name: getattr(arguments, name) for name in ("epochs", "batch_size", "learning_rate")
        }
        reproduce(
            tables,
            data=data,
            output=arguments.output,
            variants=arguments.variants,
            seeds=arguments.seeds,
            part=arguments.part,
            given={name: value for name, value in given.items() if value is not None},
        )
    if "report" in arguments.tables:
        name = "reproduction" if arguments.encoder == TEACHER else "reproduction-bundled"
        print(write(arguments.output, arguments.docs and arguments.docs / f"{name}.md"))


def _reproduce_adc(arguments: argparse.Namespace) -> None:
    from training.experiments import edit_report, edits

    edits.reproduce(
        esc50=arguments.esc50,
        encoder=arguments.encoder,
        output=arguments.output,
        seeds=arguments.seeds,
        part=arguments.part,
    )
    if "report" in arguments.tables:
        page = arguments.docs and arguments.docs / "changes.md"
        print(edit_report.write(arguments.output, page))


def _reproduce_adiff(arguments: argparse.Namespace) -> None:
    from training.experiments.explaining import reproduce, write
    from training.recipes.recipe import Data

    data = Data(
        esc50=arguments.esc50,
        clotho=None,
        sounds=arguments.sounds,
        audiocaps=None,
        teacher=TEACHER,
        start=None if arguments.encoder == TEACHER else arguments.encoder,
        adiff=arguments.answers,
    )
    rate = arguments.learning_rate
    overrides = {} if rate is None else {"learning_rate": rate}
    reproduce(data, arguments.output, arguments.seeds, overrides, arguments.part)
    if "report" in arguments.tables:
        print(write(arguments.output, arguments.docs and arguments.docs / "explanations.md"))


def _reproduce_edtc(arguments: argparse.Namespace) -> None:
    from model.published import yamnet
    from training.experiments import fusing, fusing_report
    from training.experiments.esc_scenes import Roots
    from training.recipes.edtc import BASE

    fusing.reproduce(
        roots=Roots(arguments.esc50, arguments.sounds, arguments.clotho, arguments.audiocaps),
        parts={"mobilenet": BASE, "efficientat": arguments.encoder, "yamnet": yamnet.installed()},
        output=arguments.output,
        seeds=arguments.seeds,
        part=arguments.part,
    )
    if "report" in arguments.tables:
        print(fusing_report.write(arguments.output, arguments.docs))


def _evaluate(arguments: argparse.Namespace) -> None:
    import httpx

    from training.evaluation.card import into_card, scores
    from training.evaluation.material import Material
    from training.evaluation.over_http import chosen, evaluate

    try:
        rows = chosen(arguments.only)
    except ValueError as error:
        raise SystemExit(str(error)) from error
    material = Material(
        esc50=arguments.esc50,
        folds=arguments.folds,
        sounds=arguments.sounds,
        teacher=arguments.teacher,
        seed=arguments.seed,
    )
    command = shlex.join([".venv/bin/python", "-m", "training", *sys.argv[1:]])
    try:
        evaluate(
            arguments.url, material, rows, arguments.output, limit=arguments.limit, command=command
        )
    except httpx.HTTPError as error:
        sys.exit(f"{arguments.url} does not answer as the service does: {error}")
    if not arguments.output.is_file():
        raise SystemExit("nothing was measured")
    print(scores(arguments.output))
    if arguments.card:
        into_card(arguments.card, arguments.output)


_COMMANDS = {
    "prepare": (_prepare, "it is not prepared"),
    "train": (_train, "training stopped"),
    "export": (_export, "nothing was exported"),
    "import-encoder": (_import_encoder, "nothing was imported"),
    "import": (_import, "nothing was imported"),
    "reproduce": (_reproduce, "the study stopped"),
    "evaluate": (_evaluate, "the evaluation stopped"),
}
"""What a command does, and what is said when it cannot."""

if __name__ == "__main__":
    main()
