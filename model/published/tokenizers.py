"""The tokenizer of a published model, which lies in a repository of its own."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from transformers import AutoTokenizer, PreTrainedTokenizerFast

from model.errors import CheckpointError


def load_tokenizer(
    path: Path | None, published: str, files: str
) -> tuple[PreTrainedTokenizerFast, str]:
    """Read it from a folder, or download ``published``; and what to do if it is another one.

    ``files`` are those that the folder needs. Raises CheckpointError if it cannot be had.
    """
    advice = (
        f"download the files of {published} ({files}) on a machine that can, and name their folder "
        "with --tokenizer"
    )
    if path is not None and not path.is_dir():
        raise CheckpointError(f"{path} is no folder: {advice}")
    try:
        found = AutoTokenizer.from_pretrained(path or published, local_files_only=path is not None)
    except (OSError, ValueError) as error:
        raise CheckpointError(f"no tokenizer from {path or published}: {advice}") from error
    return cast(PreTrainedTokenizerFast, found), advice
