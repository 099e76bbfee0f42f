"""Reading an answer while it is made.

Shapes: B clips, L tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor
from transformers import PreTrainedTokenizerFast

Reader = Callable[[str], bool]
"""Takes all of the text so far, in whole words; whether to go on. Called on the model thread."""


class Watching:
    """Tells readers, one a clip or none, what tokens say (``model.decoders.search.Watch``)."""

    def __init__(
        self, readers: Sequence[Reader | None], tokenizer: PreTrainedTokenizerFast, most: int
    ) -> None:
        """A caption has at most ``most`` tokens."""
        self._readers = readers
        self._tokenizer = tokenizer
        self._most = most

    def __call__(self, rows: Sequence[int], tokens: Tensor) -> list[bool]:
        """Clips ``rows``, and of each its tokens [B, L] -> with whom to go on."""
        texts = self._tokenizer.batch_decode(tokens[:, : self._most], skip_special_tokens=True)
        return [self._tell(row, text) for row, text in zip(rows, texts, strict=True)]

    def _tell(self, row: int, text: str) -> bool:
        reader = self._readers[row]
        # The last word may go on.
        return reader is None or reader(" ".join(text.split()[:-1]))


def whole_words(head: str, text: str) -> str:
    """The words of ``text`` of which all is in ``head``, its beginning; the first in any case."""
    words = text.split()
    whole = [one for one, other in zip(head.split(), words, strict=False) if one == other]
    return " ".join(words[: max(1, len(whole))])
