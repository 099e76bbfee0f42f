"""Self-critical training: captions drawn at random are rewarded for what is so, and for no more.

REINFORCE with the mean of the other draws for a baseline (Rennie et al. 2017, self-critical
sequence training; Kool et al. 2019, who take the baseline from the other draws).

Shapes: B scenes, N draws, L tokens, T frames, K kinds.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedTokenizerFast

from model.decoders import BartDecoder
from model.events import Events
from model.types import Difference
from training.captions.naming import Labels, Naming, apart, named
from training.captions.sentences import NO_DIFFERENCE

HEARD = 0.25
"""What the teacher hears as surely is no false claim."""
DRAWS, LONGEST = 5, 22
"""Captions of each scene, and the tokens of each."""
SAID = 0.5
"""The weight of the sentences."""
FALSE, UNTOLD = 0.5, 0.15
"""What a false claim costs, in sounds named that are wanted; and one that no label bears out."""


class Worth:
    """What captions are worth: one for each sound that is wanted, less for each that is not so."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, kinds: Sequence[str]) -> None:
        """``kinds``: what the K kinds are called."""
        self.tokenizer = tokenizer
        self.kinds = kinds

    def __call__(self, captions: Tensor, wanted: Tensor, heard: Tensor, compared: Tensor) -> Tensor:
        """Captions [B, N, L] -> [B, N], given ``wanted`` [B, R, K] and ``compared`` [B], both bool,
        and ``heard`` [B, K]."""
        worth = torch.zeros(captions.shape[:2])
        for row, (rows, likely) in enumerate(zip(wanted, heard > HEARD, strict=True)):
            sounds = tuple(self._labels(one) for one in rows if one.any())
            for place, text in enumerate(
                self.tokenizer.batch_decode(captions[row], skip_special_tokens=True)
            ):
                worth[row, place] = self.of(
                    text, sounds, self._labels(likely), compared=bool(compared[row])
                )
        return worth.to(heard.device)

    def of(
        self, caption: str, wanted: tuple[Labels, ...], heard: Labels, *, compared: bool
    ) -> float:
        """One caption's; where nothing is heard, to say so is worth a sound."""
        if not compared and caption.strip() in NO_DIFFERENCE:
            return -FALSE  # nobody asked
        naming = Naming(named(caption), wanted)
        right = sum(naming.found) if wanted or heard else naming.right
        return right - sum(FALSE if apart((label,), heard) else UNTOLD for label in naming.strange)

    def _labels(self, kinds: Tensor) -> Labels:
        return tuple(self.kinds[kind] for kind in kinds.nonzero()[:, 0].tolist())


class Claiming(nn.Module):
    """Scenes teach what to claim, and sentences meanwhile how it is said."""

    def __init__(self, events: Events, decoder: BartDecoder, worth: Worth) -> None:
        super().__init__()
        self.events = events
        self.decoder = decoder
        self.worth = worth

    def forward(
        self,
        inputs: Tensor,
        lengths: Tensor,
        compared: Tensor,
        tokens: Tensor,
        wanted: Tensor,
        heard: Tensor,
        scene: Tensor,
    ) -> dict[str, Tensor]:
        """Events [B, T, K], each a ``scene`` [B] or a sentence's.

        The former have ``wanted`` [B, R, K] and ``heard`` [B, K], the latter ``tokens`` [B, L].
        """
        real = torch.arange(inputs.shape[1], device=lengths.device) < lengths[:, None]
        memory = self.events.memory(torch.zeros((), device=inputs.device), inputs, compared)

        def of(rows: Tensor) -> Difference:
            return Difference(memory[rows], real[rows], None)

        told = self._log_p(of(~scene), tokens[~scene])
        captions = self.decoder.sample(of(scene), DRAWS, LONGEST)
        worth = self.worth(captions, wanted[scene], heard[scene], compared[scene])
        others = (worth.sum(dim=1, keepdim=True) - worth) / (DRAWS - 1)
        each = of(scene.nonzero()[:, 0].repeat_interleave(DRAWS))
        drawn = self._log_p(each, captions.flatten(0, 1))
        better = (worth - others).flatten() * drawn.sum(dim=1)
        loss = SAID * told.sum() / (told < 0).sum() + better.sum() / (drawn < 0).sum()
        return {"loss": -loss, "worth": worth.mean()}

    def _log_p(self, memory: Difference, tokens: Tensor) -> Tensor:
        """Log-probabilities [B, L] of tokens; 0 for padding."""
        logits = self.decoder(memory, tokens).flatten(0, 1)
        padding = self.decoder.pad_token_id
        loss = F.cross_entropy(logits, tokens.flatten(), ignore_index=padding, reduction="none")
        return -loss.view_as(tokens)
