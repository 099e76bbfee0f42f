"""ADIFF and its HTSAT in plain PyTorch, in the layout of the released weights.

Written from facts about the networks: what an import is measured against.
Shapes: B clips, S samples, T frames, M mel bands, N tokens, D features, L words.
"""

from __future__ import annotations

from collections.abc import Sequence

import librosa
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import GPT2Config, GPT2LMHeadModel

RATE, SECONDS = 32_000, 10
FULL = {"width": 96, "depths": (2, 2, 6, 2), "heads": (4, 8, 16, 32)}


def log_mel(samples: Tensor) -> Tensor:
    """[S] of 10 s -> decibels [1001, 64], as librosa has them."""
    power = librosa.feature.melspectrogram(
        y=samples.double().numpy(), sr=RATE, n_fft=1024, hop_length=320, n_mels=64, fmin=50,
        fmax=14_000, pad_mode="reflect",
    )  # fmt: skip
    return torch.from_numpy(10 * np.log10(np.maximum(power, 1e-10))).float().T


class Attention(nn.Module):
    def __init__(self, dim: int, window: int, heads: int) -> None:
        super().__init__()
        self.window, self.heads = window, heads
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * window - 1) ** 2, heads))
        coords = torch.stack(torch.meshgrid(*[torch.arange(window)] * 2, indexing="ij")).flatten(1)
        relative = (coords[:, :, None] - coords[:, None, :]).permute(1, 2, 0) + window - 1
        index = relative[..., 0] * (2 * window - 1) + relative[..., 1]
        self.register_buffer("relative_position_index", index)
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """[windows, N, D]."""
        count, tokens, dim = x.shape
        qkv = self.qkv(x).reshape(count, tokens, 3, self.heads, dim // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        attention = q * (dim // self.heads) ** -0.5 @ k.transpose(-2, -1)
        bias = self.relative_position_bias_table[self.relative_position_index]
        attention = attention + bias.permute(2, 0, 1)[None]
        if mask is not None:
            each = len(mask)
            attention = attention.view(count // each, each, self.heads, tokens, tokens)
            attention = (attention + mask[None, :, None]).view(-1, self.heads, tokens, tokens)
        return self.proj((attention.softmax(-1) @ v).transpose(1, 2).reshape(count, tokens, dim))


class Mlp(nn.Module):
    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.fc2 = nn.Linear(hidden, dim)


def partition(x: Tensor, window: int) -> Tensor:
    """[B, H, W, D] -> [windows, N, D]."""
    b, h, w, d = x.shape
    x = x.view(b, h // window, window, w // window, window, d)
    return x.permute(0, 1, 3, 2, 4, 5).reshape(-1, window * window, d)


class Block(nn.Module):
    def __init__(self, dim: int, side: int, heads: int, shift: int) -> None:
        super().__init__()
        self.side, self.window = side, min(8, side)
        self.shift = shift if side > 8 else 0
        self.norm1 = nn.LayerNorm(dim)
        self.attn = Attention(dim, self.window, heads)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = Mlp(dim, 4 * dim)
        self.register_buffer("attn_mask", self._mask() if self.shift else None)

    def _mask(self) -> Tensor:
        image, count = torch.zeros(1, self.side, self.side, 1), 0
        cuts = [slice(0, -self.window), slice(-self.window, -self.shift), slice(-self.shift, None)]
        for rows in cuts:
            for columns in cuts:
                image[:, rows, columns] = count
                count += 1
        cut = partition(image, self.window).squeeze(-1)
        apart = cut[:, None] - cut[:, :, None]
        return torch.where(apart != 0, -100.0, 0.0)

    def forward(self, x: Tensor) -> Tensor:
        """[B, N, D]."""
        b, n, d = x.shape
        side, window = self.side, self.window
        image = self.norm1(x).view(b, side, side, d)
        image = torch.roll(image, (-self.shift, -self.shift), (1, 2))
        found = self.attn(partition(image, window), self.attn_mask)
        found = found.view(b, side // window, side // window, window, window, d)
        found = found.permute(0, 1, 3, 2, 4, 5).reshape(b, side, side, d)
        x = x + torch.roll(found, (self.shift, self.shift), (1, 2)).view(b, n, d)
        return x + self.mlp.fc2(F.gelu(self.mlp.fc1(self.norm2(x))))


class Merging(nn.Module):
    def __init__(self, dim: int, side: int) -> None:
        super().__init__()
        self.side = side
        self.reduction = nn.Linear(4 * dim, 2 * dim, bias=False)
        self.norm = nn.LayerNorm(4 * dim)

    def forward(self, x: Tensor) -> Tensor:
        b, _, d = x.shape
        x = x.view(b, self.side, self.side, d)
        parts = [x[:, 0::2, 0::2], x[:, 1::2, 0::2], x[:, 0::2, 1::2], x[:, 1::2, 1::2]]
        return self.reduction(self.norm(torch.cat(parts, -1).view(b, -1, 4 * d)))


class Stage(nn.Module):
    def __init__(self, dim: int, side: int, depth: int, heads: int, last: bool) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            Block(dim, side, heads, 0 if n % 2 == 0 else 4) for n in range(depth)
        )
        self.downsample = None if last else Merging(dim, side)

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        return x if self.downsample is None else self.downsample(x)


class PublishedHtsat(nn.Module):
    """With the tagger's layers and the front end's buffers, which an importer leaves."""

    def __init__(self, width: int, depths: Sequence[int], heads: Sequence[int]) -> None:
        super().__init__()
        last = width * 2 ** (len(depths) - 1)
        self.spectrogram_extractor = nn.Module()
        self.spectrogram_extractor.stft = nn.Conv1d(1, 3, 5, bias=False)
        self.logmel_extractor = nn.Module()
        self.logmel_extractor.melW = nn.Parameter(torch.zeros(513, 64))
        self.bn0 = nn.BatchNorm2d(64)
        self.patch_embed = nn.Module()
        self.patch_embed.proj = nn.Conv2d(1, width, 4, 4)
        self.patch_embed.norm = nn.LayerNorm(width)
        self.layers = nn.ModuleList(
            Stage(width * 2**n, 64 // 2**n, depth, heads[n], n == len(depths) - 1)
            for n, depth in enumerate(depths)
        )
        self.norm = nn.LayerNorm(last)
        self.tscam_conv = nn.Conv2d(last, 5, (2, 3), padding=(0, 1))
        self.head = nn.Linear(5, 5)

    def forward(self, samples: Tensor) -> tuple[Tensor, Tensor]:
        """[B, 10 s] -> frames [B, 32, D] and their mean [B, D]."""
        x = torch.stack([log_mel(one) for one in samples])[:, None]  # [B, 1, T, M]
        x = self.bn0(x.transpose(1, 3)).transpose(1, 3)
        x = F.interpolate(x, (1024, 64), mode="bicubic", align_corners=True)
        b, c, t, f = x.shape
        x = x.permute(0, 1, 3, 2).reshape(b, c, f, 4, t // 4)
        x = x.permute(0, 1, 3, 2, 4).reshape(b, c, 4 * f, t // 4)
        x = self.patch_embed.norm(self.patch_embed.proj(x).flatten(2).transpose(1, 2))
        for layer in self.layers:
            x = layer(x)
        x = self.norm(x).permute(0, 2, 1).reshape(b, -1, 8, 8)
        x = x.reshape(b, -1, 4, 2, 8).permute(0, 1, 3, 2, 4).reshape(b, x.shape[1], 2, 32)
        return x.mean(dim=2).transpose(1, 2), x.flatten(2).mean(dim=2)


class MultiHead(nn.Module):
    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.to_queries = nn.Linear(dim, dim, bias=False)
        self.to_keys_values = nn.Linear(dim, 2 * dim, bias=False)
        self.project = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        b, n, d = x.shape
        queries = self.to_queries(x).reshape(b, n, self.heads, d // self.heads)
        both = self.to_keys_values(x).reshape(b, n, 2, self.heads, d // self.heads)
        keys, values = both[:, :, 0], both[:, :, 1]
        attention = torch.einsum("bnhd,bmhd->bnmh", queries, keys) * (d // self.heads) ** -0.5
        out = torch.einsum("bnmh,bmhd->bnhd", attention.softmax(dim=2), values)
        return self.project(out.reshape(b, n, d))


class TransformerLayer(nn.Module):
    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim)
        self.attn = MultiHead(dim, heads)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = Mlp(dim, 2 * dim)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp.fc2(F.relu(self.mlp.fc1(self.norm2(x))))


class Transformer(nn.Module):
    def __init__(self, dim: int, heads: int, layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(TransformerLayer(dim, heads) for _ in range(layers))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        return x


class PublishedMapper(nn.Module):
    def __init__(self, inputs: int | None, dim: int, length: int, heads: int, layers: int) -> None:
        super().__init__()
        self.length = length
        self.transformer = Transformer(dim, heads, layers)
        if inputs is not None:
            self.linear = nn.Linear(inputs, length * dim)
        self.prefix_const = nn.Parameter(torch.randn(length, dim))

    def forward(self, x: Tensor) -> Tensor:
        """[B, inputs], or words' embeddings [B, N, D] -> [B, length, D]."""
        if hasattr(self, "linear"):
            x = self.linear(x).view(len(x), self.length, -1)
        prefix = self.prefix_const[None].expand(len(x), -1, -1)
        return self.transformer(torch.cat((x, prefix), dim=1))[:, -self.length :]


class Projection(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.linear1 = nn.Linear(inputs, outputs, bias=False)
        self.linear2 = nn.Linear(outputs, outputs, bias=False)
        self.layer_norm = nn.LayerNorm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        first = self.linear1(x)
        found = self.layer_norm(first + self.linear2(F.gelu(first)))
        return found / found.norm(2, dim=-1, keepdim=True)


class PublishedAdiff(nn.Module):
    """The whole, of any sizes."""

    def __init__(
        self, htsat: PublishedHtsat, features: int, gpt: GPT2Config, length: int,
        mapper: tuple[int, int], cross: tuple[int, int], separator: int,
    ) -> None:  # fmt: skip
        """``mapper`` and ``cross`` are heads and layers."""
        super().__init__()
        dim, self.separator = gpt.n_embd, separator
        self.audio_encoder = nn.Module()
        self.audio_encoder.base = nn.Module()
        self.audio_encoder.base.htsat = htsat
        self.audio_encoder.projection = Projection(htsat.norm.weight.shape[0], features)
        decoder = self.caption_decoder = nn.Module()
        decoder.audio_project1 = PublishedMapper(features, dim, length, *mapper)
        decoder.audio_project2 = PublishedMapper(features, dim, length, *mapper)
        decoder.text_project = PublishedMapper(None, dim, length, *mapper)
        decoder.cross_project = Transformer(dim, *cross)
        decoder.gpt = GPT2LMHeadModel(gpt)

    def prefix(self, one: Tensor, other: Tensor, prompt: Tensor) -> Tensor:
        """Clips [B, 10 s] and [B, 10 s], prompts [B, N] -> what stands before the words."""
        parts, decoder = [], self.caption_decoder
        words = decoder.gpt.transformer.wte
        for clips, mapper in ((one, decoder.audio_project1), (other, decoder.audio_project2)):
            heard = self.audio_encoder.base.htsat(clips)[1]
            parts.append(mapper(self.audio_encoder.projection(heard)))
        separator = words(torch.full((len(one), 1), self.separator))
        text = decoder.text_project(words(prompt))
        return decoder.cross_project(torch.cat([parts[0], separator, parts[1], text], dim=1))


def randomize(module: nn.Module) -> None:
    """Weights, biases and running statistics that matter."""
    torch.manual_seed(0)
    with torch.no_grad():
        for name, value in module.state_dict().items():
            if name.endswith("running_var"):
                value.uniform_(50, 200)
            elif name.endswith("running_mean"):
                value.normal_(-40, 10)
            elif value.is_floating_point() and not name.endswith(("attn_mask", "melW")):
                value.add_(0.1 * torch.randn_like(value))
