"""ADIFF's decoder: both clips, a separator and the prompt stand before GPT-2's words.

Cross-projection, a transformer over all of these, is where the clips meet.

Shapes: B clips, P vectors of a clip, Q of the prompt, D features, L tokens, V vocabulary.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from model.decoders.gpt2_modules import Gpt2
from model.decoders.gpt2_steps import Gpt2Steps
from model.decoders.search import Search, Watch, search
from model.mapper import Layer, Mapper
from model.types import Difference, Sequences


class Gpt2Decoder(nn.Module):
    """Memory and prompt -> tokens; the memory is the first clip's vectors, then the second's."""

    def __init__(
        self,
        *,
        vocab_size: int,
        width: int,
        layers: int,
        heads: int,
        max_positions: int,
        dropout: float,
        prompt_tokens: int,
        mapper_layers: int,
        mapper_heads: int,
        cross_layers: int,
        cross_heads: int,
        separator_token_id: int | None,
        pad_token_id: int,
        eos_token_id: int,
    ) -> None:
        """``width`` is D, ``prompt_tokens`` Q; without a separator the clips stand side by side."""
        super().__init__()
        self.gpt = Gpt2(
            vocab_size=vocab_size,
            width=width,
            layers=layers,
            heads=heads,
            max_positions=max_positions,
            dropout=dropout,
        )
        self.prompt = Mapper(
            width=width, queries=prompt_tokens, layers=mapper_layers, heads=mapper_heads
        )
        self.cross = nn.ModuleList(Layer(width, cross_heads) for _ in range(cross_layers))
        self.max_positions = max_positions
        self.separator_token_id = separator_token_id
        self.pad_token_id = pad_token_id
        self.eos_token_id = eos_token_id

    def forward(
        self, difference: Difference, tokens: Tensor, prompt: Tensor | None = None
    ) -> Tensor:
        """Logits [B, L, V] of each of ``tokens`` [B, L], given memory, prompt and those before."""
        prefix = self.prefix(difference.memory, prompt)
        words = self.gpt.embed(tokens[:, :-1]).to(prefix.dtype)
        found = self.gpt(torch.cat([prefix, words], dim=1))
        return self.gpt.logits(found[:, prefix.shape[1] - 1 :])

    def speak(self, tokens: Tensor, before: int) -> Tensor:
        """Logits [B, L, V] of ``tokens`` [B, L] of no clips, at places behind ``before`` others.

        As if the end had gone before them, as it does before a text of GPT-2's.
        """
        start = tokens.new_full((len(tokens), 1), self.eos_token_id)
        words = self.gpt.embed(torch.cat([start, tokens[:, :-1]], dim=1))
        return self.gpt.logits(self.gpt(words, before - 1))

    def prefix(self, memory: Tensor, prompt: Tensor | None) -> Tensor:
        """What stands before the words: [B, 2 P, D] and ids [B, L] -> [B, 2 P + 1 + Q, D]."""
        assert prompt is not None, "GPT-2 answers a prompt"
        first, second = memory.chunk(2, dim=1)
        parts = [first, second, self.prompt(self.gpt.embed(prompt).to(memory.dtype))]
        if self.separator_token_id is not None:
            separator = self.gpt.transformer.wte.weight[self.separator_token_id]
            parts.insert(1, separator.to(memory.dtype).expand(len(memory), 1, -1))
        x = torch.cat(parts, dim=1)
        for layer in self.cross:
            x = layer(x)
        return x

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
        prompt: Tensor | None = None,
        watch: Watch | None = None,
    ) -> Sequences:
        """Search answers for B memories: greedy with one beam, else beam search.

        ``max_new_tokens`` counts the end, and ``min_length`` one token more than are generated.
        """
        prefix = self.prefix(difference.memory, prompt)
        max_length = min(max_new_tokens, self.max_positions - prefix.shape[1]) + 1
        start = torch.full((len(prefix), 1), self.eos_token_id, device=prefix.device)
        return search(
            Gpt2Steps(self.gpt, prefix, num_beams, num_beams * max_length),
            start,
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
            watch,
        )
