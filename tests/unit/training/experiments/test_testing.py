"""What is made of a mask: how well it tells the reference's frames from the others."""

from __future__ import annotations

import numpy as np
import pytest

from training.experiments.testing import others, separation
from training.samples.features import Mixed


def mixed(*active: bool) -> Mixed:
    return Mixed(0, 0, ("dog",), np.array(active))


def test_a_mask_separates_where_it_keeps_less_of_the_frames_with_the_reference() -> None:
    kept = np.array([0.1, 0.4, 0.4, 0.9])
    assert separation([kept], [mixed(True, True, False, False)]) == 3.5 / 4
    assert separation([kept], [mixed(False, False, True, True)]) == 0.5 / 4


def test_a_partial_last_frame_and_clips_without_both_do_not_count() -> None:
    kept = np.array([0.1, 0.9, 0.0])
    clips = [mixed(True, False), mixed(False, False), mixed(True, True)]
    assert separation([kept] * 3, clips) == pytest.approx(1.0)


def test_the_other_reference_is_the_next_one_of_nothing_that_is_heard_in_the_mixture() -> None:
    kinds = [(("Speech",),), (("Dog",),), (("Speech",),), (("Rain",),)]
    added = [("dog",), ("rain",), ("clapping",), ("dog",)]
    mixtures = [Mixed(10 + n, 20 + n, one, np.array([True])) for n, one in enumerate(added)]
    # a dog's reference would be of the clip for the second, of what was added for the last
    assert others(kinds, mixtures) == [(0, 1), (1, 2), (2, 3), (3, 2)]


def test_a_mixture_without_another_reference_is_left_out() -> None:
    mixtures = [Mixed(10 + n, 20 + n, ("dog",), np.array([True])) for n in range(2)]
    assert others([(("Speech",),)] * 2, mixtures) == []
