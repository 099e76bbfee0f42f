"""The DCASE 2023 task 6A baseline in plain PyTorch, in the layout of its published weights.

Written from facts about the network, apart from ``model``: what an import is measured against.
Shapes: B clips, S samples, T frames, M mel bands, D features, L tokens.
"""

from __future__ import annotations

from collections.abc import Sequence

import librosa
import torch
from torch import Tensor, nn
from transformers import BartConfig, BartForConditionalGeneration
from transformers.modeling_outputs import BaseModelOutput

RATE, WINDOW, HOP, N_FFT, MELS = 44_100, 1764, 882, 2048, 64
FRAMES, POOL = 2048, 64
BOS, EOS = 0, 2
FULL = (64, 128, 256, 512, 1024, 2048)
SMALL = (4, 6, 8, 10, 12, 16)
"""Channels of the encoder's blocks: the published ones, and few for speed."""


class PublishedEncoder(nn.Module):
    """CNN14 as in task 6B's ``audio_encoder.pth``, the retrieval head included."""

    def __init__(self, widths: Sequence[int], embedding: int = 300) -> None:
        super().__init__()
        self.bn0 = nn.BatchNorm2d(MELS)
        layers: list[nn.Module] = []
        for inputs, outputs in zip((1, *widths[:-1]), widths, strict=True):
            for channels in (inputs, outputs):
                layers.append(nn.Conv2d(channels, outputs, 3, padding=1, bias=False))
                layers.append(nn.BatchNorm2d(outputs))
                layers.append(nn.ReLU())
            layers.append(nn.AvgPool2d(2))
            layers.append(nn.Dropout(0.2))
        self.cnn = nn.Sequential(*layers)
        wide = widths[-1]
        self.fc = nn.Sequential(nn.Dropout(), nn.Linear(wide, wide), nn.ReLU(), nn.Dropout())
        self.fc2 = nn.Linear(wide, embedding)

    def forward(self, log_mel: Tensor) -> Tensor:
        """[B, T, M] -> [B, T / 64, D], without the head."""
        bands_first = log_mel.permute(0, 2, 1).unsqueeze(-1)
        x = self.bn0(bands_first).permute(0, 3, 2, 1)
        return self.cnn(x).mean(dim=-1).permute(0, 2, 1)


class PublishedCaptioner(nn.Module):
    """Encoder, one linear layer, BART without encoder layers: task 6A's checkpoint."""

    def __init__(self, widths: Sequence[int], bart: BartConfig) -> None:
        super().__init__()
        self.audio_enc = PublishedEncoder(widths)
        self.audio_adapt = nn.Sequential(nn.Linear(widths[-1], bart.d_model))
        self.bart_lm = BartForConditionalGeneration(bart)

    def frames(self, clips: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Clips [S] of any length -> what BART's encoder is given, [B, 32, D], and [B, 32]."""
        inputs = [padded(log_mel(clip)) for clip in clips]
        features = torch.stack([features for features, _ in inputs])
        mask = torch.stack([mask for _, mask in inputs])
        return self.audio_adapt(self.audio_enc(features)), mask

    def memory(self, clips: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """BART's encoder output [B, 32, D], in its own precision, and its mask [B, 32]."""
        embedded, mask = self.frames(clips)
        encoder = self.bart_lm.get_encoder()
        embedded = embedded.to(self.bart_lm.dtype)
        return encoder(inputs_embeds=embedded, attention_mask=mask).last_hidden_state, mask

    def logits(self, clips: Sequence[Tensor], tokens: Tensor) -> Tensor:
        """Teacher-forced logits [B, L, V] of captions [B, L], in BART's own precision."""
        memory, mask = self.memory(clips)
        start = torch.full_like(tokens[:, :1], EOS)
        return self.bart_lm(
            encoder_outputs=BaseModelOutput(last_hidden_state=memory),
            attention_mask=mask,
            decoder_input_ids=torch.cat([start, tokens[:, :-1]], dim=1),
        ).logits

    def generate(self, clips: Sequence[Tensor]) -> Tensor:
        """[B, 4, L]: the beams of the published search, without the start token."""
        memory, mask = self.memory(clips)
        tokens = self.bart_lm.generate(
            encoder_outputs=BaseModelOutput(last_hidden_state=memory),
            attention_mask=mask,
            num_beams=4,
            num_return_sequences=4,
            min_length=5,
            max_length=100,
            no_repeat_ngram_size=3,
            length_penalty=1.0,
            early_stopping=True,
            forced_bos_token_id=BOS,
            forced_eos_token_id=EOS,
        )
        return tokens[:, 1:].unflatten(0, (len(clips), 4))


def log_mel(samples: Tensor) -> Tensor:
    """One clip [S] -> [T, M], T = 1 + S // 882."""
    spectrum = torch.stft(
        samples, N_FFT, HOP, WINDOW, torch.hann_window(WINDOW), pad_mode="constant",
        return_complex=True,
    )  # fmt: skip
    filters = torch.from_numpy(librosa.filters.mel(sr=RATE, n_fft=N_FFT, n_mels=MELS))
    return torch.log(filters @ spectrum.abs() ** 2 + 2.22e-16).T


def padded(features: Tensor) -> tuple[Tensor, Tensor]:
    """[T, M] -> [2048, M], zeros at the end or cut, and the mask of every 64th frame [32]."""
    mask = torch.zeros(FRAMES, dtype=torch.long)
    mask[: len(features)] = 1
    whole = torch.zeros(FRAMES, MELS)
    kept = features[:FRAMES]
    whole[: len(kept)] = kept
    return whole, mask[::POOL]


def randomize(module: nn.Module) -> None:
    """Lively weights and running statistics, so that nothing hides behind a one or a zero."""
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.normal_(part.weight, 1, 0.3)
            nn.init.normal_(part.bias, 0, 0.3)
            nn.init.normal_(part.running_mean)
            nn.init.uniform_(part.running_var, 0.3, 3)
            part.num_batches_tracked.fill_(1000)
