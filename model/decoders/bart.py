"""The caption decoder: BART built from its configuration, not from pretrained weights.

Shapes: B clips, T frames, D features, L tokens, V vocabulary.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from model.contracts import Compile
from model.decoders.bart_compiled import CompiledBart, CompiledCache
from model.decoders.bart_modules import Bart
from model.decoders.bart_network import Weights
from model.decoders.bart_steps import BartSteps, Cache, TorchCache
from model.decoders.search import Search, search
from model.types import Difference, Sequences

_PROMPT = 2
"""Tokens that every caption begins with: the start and the first."""
_USUAL_STEPS = 16
"""What a cache that grows has room for at first: captions are rarely longer."""


class BartDecoder(nn.Module):
    """Memory -> tokens: logits for training, generation for use, one set of weights.

    With no encoder layer, positions and layer norm over the memory remain of BART's encoder.
    """

    def __init__(
        self,
        *,
        vocab_size: int,
        width: int,
        layers: int,
        heads: int,
        ffn: int,
        dropout: float,
        max_positions: int,
        bos_token_id: int,
        pad_token_id: int,
        eos_token_id: int,
        encoder_layers: int = 0,
    ) -> None:
        """``width`` is D, ``ffn`` that of the feed-forward layers; ``layers`` the decoder's."""
        super().__init__()
        self.bart = Bart(
            vocab_size=vocab_size,
            width=width,
            layers=layers,
            encoder_layers=encoder_layers,
            heads=heads,
            ffn=ffn,
            dropout=dropout,
            max_positions=max_positions,
            pad_token_id=pad_token_id,
        )
        # A place in a clip longer than any heard in training then adds nothing, not noise.
        nn.init.zeros_(self.bart.model.encoder.embed_positions.weight)
        self.max_positions = max_positions
        self.pad_token_id = pad_token_id
        self.bos_token_id = bos_token_id
        self.eos_token_id = eos_token_id
        self._weights: tuple[list[tuple[int, int]], Weights] | None = None
        self._compiled: CompiledBart | None = None

    def compile_with(self, compile: Compile) -> None:  # noqa: A002
        """``generate`` is compiled, with the weights that there are now."""
        self.requires_grad_(False)  # a compiler takes them for constants
        self._compiled = CompiledBart(self._step_weights(), compile)
        self._weights = None  # it has its own

    def forward(self, difference: Difference, tokens: Tensor) -> Tensor:
        """Logits [B, L, V] of each of ``tokens`` [B, L] given the memory and those before it."""
        logits: Tensor = self.bart(difference.memory, difference.mask, self._shifted(tokens))
        return logits

    @torch.inference_mode()
    def generate(
        self,
        difference: Difference,
        *,
        num_beams: int,
        num_captions: int,
        max_new_tokens: int,
        min_length: int,
        no_repeat_ngram_size: int,
        no_repeat_window: int = 0,
        length_penalty: float,
        early_stopping: bool,
    ) -> Sequences:
        """Search captions for B memories: greedy with one beam, else beam search.

        ``max_new_tokens`` counts the end-of-sentence token but not the forced first one;
        ``min_length`` counts as Transformers does, start and first token included.
        """
        memory, mask = difference.memory, difference.mask
        max_length = max_new_tokens + 2
        return search(
            self._steps(memory, mask, num_beams, max_new_tokens),
            self._prompt(memory),
            Search(
                num_beams=num_beams,
                num_captions=num_captions,
                max_length=max_length,
                min_length=min(min_length, max_length - 1),
                no_repeat_ngram_size=no_repeat_ngram_size,
                no_repeat_window=no_repeat_window,
                length_penalty=length_penalty,
                early_stopping=early_stopping or num_beams == 1,
                eos_token_id=self.eos_token_id,
                pad_token_id=self.pad_token_id,
            ),
        )

    @torch.no_grad()  # what is drawn is learned from: an inference tensor could not be
    def sample(self, difference: Difference, count: int, max_new_tokens: int) -> Tensor:
        """Draw ``count`` captions of each of B memories, as likely as they are: [B, count, L].

        They begin with BART's start token; cut at ``max_new_tokens`` they lack the end.
        """
        memory, clips = difference.memory, len(difference.memory)
        prompt = self._prompt(memory)
        steps = self._steps(memory, difference.mask, count, max_new_tokens)
        tokens = prompt[:, None, 1:].expand(-1, count, -1)
        parents = torch.arange(count, device=memory.device).expand(clips, -1)
        logits = steps.prefill(prompt).expand(-1, count, -1)
        over = torch.zeros(clips, count, dtype=torch.bool, device=memory.device)
        while True:
            drawn = logits.softmax(-1).flatten(0, 1).multinomial(1).view(clips, count)
            drawn = drawn.masked_fill(over, self.pad_token_id)
            tokens = torch.cat([tokens, drawn[..., None]], dim=2)
            over |= drawn == self.eos_token_id
            if bool(over.all()) or tokens.shape[2] > max_new_tokens:
                return tokens
            logits = steps.step(drawn, parents)

    def _prompt(self, memory: Tensor) -> Tensor:
        """[B, 2]: what each sentence begins with, before anything is searched for or drawn."""
        start = [self.eos_token_id, self.bos_token_id]  # BART starts with the end
        return torch.tensor([start], device=memory.device).expand(len(memory), -1)

    def _steps(self, memory: Tensor, mask: Tensor, beams: int, steps: int) -> BartSteps:
        memory = self.bart.model.encoder(memory, mask)
        cache: Cache
        if self._compiled is not None:
            room = beams * min(steps, _USUAL_STEPS)
            cache = CompiledCache(self._compiled, memory, mask, max(beams, _PROMPT), room)
        else:
            cache = TorchCache(self._step_weights(), memory, mask, _PROMPT + beams * steps)
        positions = self.bart.model.decoder.embed_positions.places
        return BartSteps(cache, positions, beams)

    def _step_weights(self) -> Weights:
        """The weights as steps want them; joined anew if a parameter has changed or moved."""
        state = [(each.data_ptr(), each._version) for each in self.bart.parameters()]
        if self._weights is None or self._weights[0] != state:
            self._weights = (state, Weights.of(self.bart))
        return self._weights[1]

    def _shifted(self, tokens: Tensor) -> Tensor:
        """What the decoder sees before each token: the start token, then all but the last."""
        start = tokens.new_full((len(tokens), 1), self.eos_token_id)
        return torch.cat([start, tokens[:, :-1]], dim=1)
