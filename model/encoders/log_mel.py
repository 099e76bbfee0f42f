"""Waveforms to log-mel spectrograms, as librosa and torchlibrosa compute them.

Shapes: B clips, S samples, T frames, M mel bands.
"""

from __future__ import annotations

from functools import cache
from typing import Literal

import torch
import torchaudio
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence


class LogMel(nn.Module):
    """Log of a power mel spectrogram: Slaney scale and norm, Hann window, centred frames.

    Over zero padding a clip padded with zeros in a batch gives the very frames it gives alone
    (facts: DCASE 2023 task 6A baseline); over reflections (PANNs, HTSAT, ConvNeXt) only a clip that
    is alone, or one of equals, does. It has no parameters, and its filters are recomputed rather
    than stored, so that a half-precision checkpoint keeps them exact.
    """

    def __init__(
        self,
        *,
        sample_rate: int,
        window: int,
        hop: int,
        n_fft: int,
        mels: int,
        f_min: float,
        f_max: float | None,
        floor: float,
        scale: Literal["ln", "db"] = "ln",
        pad: Literal["constant", "reflect"] = "constant",
    ) -> None:
        """Lengths in samples, frequencies in Hz; ``f_max`` None is the Nyquist frequency.

        ``floor`` is added to the power before a natural logarithm; decibels have no less than it.
        """
        super().__init__()
        self.sample_rate = sample_rate
        self.window = window
        self.hop = hop
        self.n_fft = n_fft
        self.mels = mels
        self.f_min = f_min
        self.f_max = sample_rate / 2 if f_max is None else f_max
        self.floor = floor
        self.scale = scale
        self.pad = pad

    def frame_counts(self, lengths: Tensor) -> Tensor:
        """[B] samples -> [B] frames: one per hop, the first centred on sample 0."""
        return 1 + lengths // self.hop

    def of_clips(self, samples: Tensor, lengths: Tensor) -> Tensor:
        """[B, S], zero beyond ``lengths`` [B] -> [B, T, M]; of each clip what it gives alone."""
        if self.pad == "constant":
            log_mel: Tensor = self(samples)
            return log_mel
        clips = zip(samples, lengths.tolist(), strict=True)
        return pad_sequence([self(clip[None, :length])[0] for clip, length in clips], True)

    def forward(self, samples: Tensor) -> Tensor:
        """[B, S] float32, zero beyond each clip's end -> [B, T, M] float32, T = 1 + S // hop."""
        spectrum = torch.stft(
            samples.float(),
            self.n_fft,
            hop_length=self.hop,
            win_length=self.window,
            window=_hann(self.window, samples.device),
            center=True,
            pad_mode=self.pad,
            return_complex=True,
        )
        power = spectrum.real.square() + spectrum.imag.square()
        filters = _mel_filters(
            self.sample_rate, self.n_fft, self.mels, self.f_min, self.f_max, samples.device
        )
        mel = power.transpose(1, 2) @ filters
        if self.scale == "db":
            return 10 * torch.log10(mel.clamp(min=self.floor))
        return torch.log(mel + self.floor)


@cache
def _hann(window: int, device: torch.device) -> Tensor:
    return torch.hann_window(window, periodic=True, device=device)


@cache
def _mel_filters(
    sample_rate: int, n_fft: int, mels: int, f_min: float, f_max: float, device: torch.device
) -> Tensor:
    """[n_fft // 2 + 1, M]."""
    filters: Tensor = torchaudio.functional.melscale_fbanks(
        n_fft // 2 + 1, f_min, f_max, mels, sample_rate, norm="slaney", mel_scale="slaney"
    )
    return filters.to(device)
