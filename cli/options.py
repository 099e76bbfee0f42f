"""Settings of the service as options of the command line."""

from __future__ import annotations

import argparse
from collections.abc import Iterable

from pydantic import ValidationError

from service.settings import BUNDLED, Settings


def add(parser: argparse.ArgumentParser, names: Iterable[str]) -> None:
    """Add an option for each setting: text, which ``Settings`` reads as it reads variables."""
    for name in names:
        field = Settings.model_fields[name]
        default = "the bundled checkpoint" if field.default == BUNDLED else field.default
        shown = (
            f" Default: {default}."
            if field.default_factory is None and default not in ((), "", None)
            else ""
        )
        parser.add_argument(
            flag(name),
            default=argparse.SUPPRESS,
            metavar=name.rpartition("_")[2].upper(),
            help=f"{field.description}{shown}".replace("%", "%%"),
        )


def settings(args: argparse.Namespace) -> Settings:
    """Options, else the environment, else the defaults. Raises ValidationError."""
    given = {name: value for name, value in vars(args).items() if name in Settings.model_fields}
    return Settings(**given)


def explain(error: ValidationError) -> str:
    """Which settings are wrong, by their option and their variable."""
    return "; ".join(
        f"{flag(name)} (or AUDIODIFF_{name.upper()}): {detail['msg']}"
        for detail in error.errors()
        for name in [str(detail["loc"][0])]
    )


def flag(name: str) -> str:
    """--max-queue for max_queue."""
    return "--" + name.replace("_", "-")
