"""Samples to windows: every frame counts once, and has what lies around it."""

from __future__ import annotations

import pytest
import torch

from engine.windows import MARGIN_S, WINDOW_S, Cutter

FRAME, FRAME_S = 4, 0.32
SIZE, MARGIN = round(WINDOW_S / FRAME_S), round(MARGIN_S / FRAME_S)


@pytest.mark.parametrize("frames", [1, MARGIN, SIZE - 1, SIZE, SIZE + 1, 5 * SIZE + 3])
@pytest.mark.parametrize("step", [3, 50, 10_000])
def test_kept_frames_lie_side_by_side_within_their_margins(frames: int, step: int) -> None:
    samples = torch.arange(1, frames * FRAME).float()  # the last frame lacks a sample
    cutter = Cutter(FRAME, FRAME_S)
    windows = []
    for at in range(0, len(samples), step):
        windows += cutter.add(samples[at : at + step])
    windows.append(cutter.finish())
    kept = [one.samples.view(-1, FRAME)[one.kept] for one in windows]
    assert torch.cat(kept).flatten().tolist() == [*samples.tolist(), 0.0]
    assert all(len(one.samples) <= SIZE * FRAME for one in windows)
    for one in windows[1:]:
        assert one.kept.start == MARGIN
    for one in windows[:-1]:
        assert one.kept.stop == SIZE - MARGIN
