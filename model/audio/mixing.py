"""Channels to one.

Shapes: S samples, C channels.
"""

from __future__ import annotations

import numpy as np

from model.audio.readers import Samples

OPPOSED = -0.7
"""Correlation below which a channel is the others' inverse more than anything of its own."""


def mix(channels: Samples) -> Samples:
    """[C, S] -> [S]: the mean of the channels that do not cancel each other.

    From the loudest on, each is taken unless it is opposed to the sum of those taken before it:
    then most of it is in that sum already, the other way round, and would take it away. So each
    weakens the sum by 3 dB at most, where the plain mean of a channel and its inverse is silence.
    """
    if len(channels) == 1:
        return channels.reshape(-1)
    means = channels.mean(axis=1)  # a constant part is not heard
    products = channels @ channels.T - channels.shape[1] * np.outer(means, means)  # [C, C]
    powers = np.diag(products)
    taken: list[int] = []
    for one in np.argsort(-powers, kind="stable"):
        of_sum = products[np.ix_(taken, taken)].sum()
        scale = np.sqrt(max(0.0, powers[one] * of_sum))
        if products[one, taken].sum() >= OPPOSED * scale:
            taken.append(int(one))
    chosen = channels if len(taken) == len(channels) else channels[sorted(taken)]
    mixed: Samples = chosen.mean(axis=0)
    return mixed
