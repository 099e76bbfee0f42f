"""BART's decoder compiled: the cache of ``bart_steps``, by functions of tensors alone.

What was compiled cannot write to its inputs. So a step is handed the cache as it is and returns its
own keys and values, which are then written into it: nothing else is copied. And a step of other
shapes than the last takes longer. So the cache has room beyond what is used, hidden by the mask,
and doubles when it is full; the prompt and the steps have as many queries, some of them idle;
memories are padded to multiples of a length, and clips, where each shape costs much, to a power of
two.

Shapes: B clips, T frames, H heads, D features, K cached tokens, R the room for them, Q queries per
clip, V vocabulary.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.contracts import Compile
from model.decoders.bart_network import Weights, additive

FRAMES = 16
"""What memories are padded to a multiple of."""


class CompiledBart:
    """What a search asks for: the keys and values of memories, and the next tokens."""

    def __init__(self, weights: Weights, compile: Compile) -> None:  # noqa: A002
        layers, heads, width = len(weights.layers), weights.heads, weights.embedding.shape[1]
        self.few_shapes = compile.few_shapes
        cache = torch.zeros(4 * layers, 2, heads, 5, width // heads)
        self.cross_keys_values = compile(_CrossKeysValues(weights), torch.zeros(2, 5, width))
        self.step = compile(
            _Step(weights),
            torch.zeros(2, 4, dtype=torch.long),
            torch.zeros(4, width),
            torch.zeros(2, 1, 4, 9),
            torch.zeros(2, 1, 1, 5),
            *cache,
        )


class CompiledCache:
    """See ``bart_steps.Cache``."""

    def __init__(
        self, bart: CompiledBart, memory: Tensor, mask: Tensor, queries: int, room: int
    ) -> None:
        """``memory`` [B, T, D] is what the captions are of, ``mask`` [B, T] bool.

        ``queries`` is the most tokens of a clip that are added at once; there is ``room`` for so
        many in all, and it grows.
        """
        self._queries = queries
        self._bart = bart
        padding, idle = -memory.shape[1] % FRAMES, self._idle(len(memory))
        mask = F.pad(F.pad(mask, (0, padding)), (0, 0, 0, idle), value=True)
        self._cross_mask = additive(mask, memory.dtype)[:, None, None]
        # [2 * layers, B, H, T, D / H]
        self._cross = bart.cross_keys_values(F.pad(memory, (0, 0, 0, padding, 0, idle)))
        each, clips, heads, _, size = self._cross.shape
        self._past = memory.new_zeros(each, clips, heads, room, size)
        self._caches = (*self._past, *self._cross)

    def run(self, tokens: Tensor, positions: Tensor, mask: Tensor) -> Tensor:
        """See ``Cache``."""
        (clips, count), end = tokens.shape, mask.shape[3]
        start, idle = end - count, self._queries - count
        if end > self._past.shape[3]:
            self._past = F.pad(self._past, (0, 0, 0, self._past.shape[3]))
            self._caches = (*self._past, *self._cross)
        hidden = mask.new_full((*mask.shape[:3], self._past.shape[3] - start), -torch.inf)
        mask = torch.cat([mask[..., :start], hidden, mask[..., start:]], dim=3)
        positions = positions.expand(count, -1)
        if idle:  # they attend to anything, and none attends to them
            tokens = F.pad(tokens, (0, idle))
            positions = F.pad(positions, (0, 0, 0, idle))
            mask = F.pad(F.pad(mask, (0, idle), value=-torch.inf), (0, 0, 0, idle))
        if others := len(self._cross_mask) - clips:
            tokens = F.pad(tokens, (0, 0, 0, others))
            mask = F.pad(mask, (0, 0, 0, 0, 0, 0, 0, others))
        logits, new = self._bart.step(tokens, positions, mask, self._cross_mask, *self._caches)
        self._past[:, :, :, start:end] = new[:, :, :, :count]
        return logits[:clips, :count]  # type: ignore[no-any-return]

    def take(self, rows: Tensor) -> None:
        """Go on with these clips alone."""
        rows = F.pad(rows, (0, self._idle(len(rows))))
        self._cross_mask = self._cross_mask[rows]
        self._cross = self._cross[:, rows]
        self._past = self._past[:, rows]
        self._caches = (*self._past, *self._cross)

    def _idle(self, clips: int) -> int:
        """How many clips are added for their number to be a power of two."""
        return (1 << (clips - 1).bit_length()) - clips if self._bart.few_shapes else 0


class _CrossKeysValues(nn.Module):
    """As a module of its own, for a compiler."""

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        self._weights = weights

    def forward(self, memory: Tensor) -> Tensor:
        """[B, T, D] -> [2 * layers, B, H, T, D / H]."""
        return self._weights.cross_keys_values(memory)


class _Step(nn.Module):
    """A step that writes nothing."""

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        self._weights = weights
        self._scale = (weights.embedding.shape[1] // weights.heads) ** -0.5

    def forward(
        self, tokens: Tensor, positions: Tensor, mask: Tensor, cross_mask: Tensor, *caches: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Logits [B, Q, V], and keys and values [2 * layers, B, H, Q, D / H] of ``tokens`` [B, Q].

        ``caches`` are each layer's keys and values, first of the past [B, H, R, D / H], then of
        the memory [B, H, T, D / H]. ``mask`` [B, 1, Q, R + Q] is for the past and then the tokens
        themselves, ``cross_mask`` [B, 1, 1, T] for the memory.
        """
        past, cross = caches[: len(caches) // 2], caches[len(caches) // 2 :]
        new = []

        def attend_self(layer: int, qkv: Tensor) -> Tensor:
            query, key, value = qkv[0], qkv[1], qkv[2]
            new.extend([key, value])
            past_key, past_value = past[2 * layer : 2 * layer + 2]
            keys = (past_key, key)
            scores = torch.cat([query @ each.transpose(2, 3) for each in keys], dim=3)
            share: Tensor = (self._scale * scores + mask).softmax(-1)
            room = past_key.shape[2]
            return share[..., :room] @ past_value + share[..., room:] @ value

        def attend_cross(layer: int, query: Tensor) -> Tensor:
            key, value = cross[2 * layer : 2 * layer + 2]
            return F.scaled_dot_product_attention(query, key, value, attn_mask=cross_mask)

        logits = self._weights.logits(tokens, positions, attend_self, attend_cross)
        return logits, torch.stack(new)
