"""What a linear probe hears in frozen encoders' frames: which kinds sound in a clip.

The bundled recipe's captions say what an event head hears, so that more encoders can gain it
something only where the two of them hear more than the one.

Shapes: C clips, D features, K kinds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import label_ranking_average_precision_score
from torch import Tensor

from training.experiments import intervals
from training.recipes.adl import KeptSources

DECAYS = (0.03, 0.1, 0.3, 1.0, 3.0)
"""Of the probe's weights: validation chooses."""
LEAST = 10
"""Training clips of a kind that is asked for."""


def probe(
    sources: Mapping[str, KeptSources], encoders: Mapping[str, Sequence[slice]], over: str
) -> dict[str, Any]:
    """How well each of ``encoders``, which are slices of the kept features, tells the kinds apart.

    Of a split that is a ranking of all kinds per clip: ``precision`` is the mean, over its clips,
    of what share of the kinds down to each that sounds do sound (label ranking average precision).
    ``gain`` is what it is above that of the encoders called ``over``, with its interval over clips.
    """
    counts = Counter(kind for clip in sources["train"].clips for kind in clip.kinds)
    kinds = sorted(kind for kind, count in counts.items() if count >= LEAST)
    sounding = {split: _sounding(own, kinds) for split, own in sources.items()}
    found = {}
    for name, slices in encoders.items():
        heard = _standard({split: _pooled(own, slices) for split, own in sources.items()})
        scores = _best(heard, sounding)
        found[name] = {split: _precisions(scores[split], sounding[split]) for split in scores}
    return {
        "kinds": len(kinds),
        "encoders": {
            name: {split: _told(own[split], found[over][split]) for split in own}
            for name, own in found.items()
        },
    }


def _told(own: NDArray[np.float64], others: NDArray[np.float64]) -> dict[str, Any]:
    gain = asdict(intervals.difference(own[None], others[None]))
    return {
        "clips": len(own),
        "precision": round(float(own.mean()), 4),
        "gain": {name: round(value, 4) for name, value in gain.items()},
    }


def _sounding(sources: KeptSources, kinds: Sequence[str]) -> Tensor:
    """[C, K]: whether each sounds."""
    return torch.tensor([[float(kind in clip.kinds) for kind in kinds] for clip in sources.clips])


def _pooled(sources: KeptSources, slices: Sequence[slice]) -> Tensor:
    """[C, D]: mean and maximum of these features over time."""
    rows = []
    for number in sources.features.clips:
        frames = sources.features.tensor(number)
        own = torch.cat([frames[:, each] for each in slices], dim=1)
        rows.append(torch.cat([own.mean(dim=0), own.amax(dim=0)]))
    return torch.stack(rows)


def _standard(heard: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Each feature less its mean in training, over its deviation there."""
    deviation, mean = torch.std_mean(heard["train"], dim=0)
    return {split: (own - mean) / (deviation + 1e-6) for split, own in heard.items()}


def _best(heard: Mapping[str, Tensor], sounding: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What validation and test are told by the decay that ranks the validation's kinds best.

    [C, K] each, of ridge regression, whose decay is a share of the clips' number.
    """
    clips, own = heard["train"], sounding["train"]
    gram, seldom = clips.T @ clips, own.mean(dim=0)
    wanted = clips.T @ (own - seldom)
    tried = []
    for decay in DECAYS:
        penalty = torch.full((len(gram),), decay * len(clips)).diag()
        weights = torch.linalg.solve(gram + penalty, wanted)
        told = {split: heard[split] @ weights + seldom for split in ("validation", "test")}
        tried.append((_precisions(told["validation"], sounding["validation"]).mean(), told))
    return max(tried, key=lambda each: each[0])[1]


def _precisions(scores: Tensor, sounding: Tensor) -> NDArray[np.float64]:
    """Of each clip in which one of the kinds sounds."""
    some = sounding.sum(dim=1) > 0
    pairs = zip(sounding[some].numpy(), scores[some].numpy(), strict=True)
    return np.array(
        [label_ranking_average_precision_score(own[None], told[None]) for own, told in pairs]
    )
