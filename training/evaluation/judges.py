"""How answers are judged: against names, moments, opinions, and each other.

Shapes: S samples, K kinds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from sklearn.metrics import roc_auc_score

from training.captions.naming import Naming, named, related
from training.captions.ontology import AUDIOSET
from training.evaluation.figures import Opinions
from training.evaluation.material import REAL_RATE
from training.evaluation.row import Answer, Case

TURNED_DOWN = 2.0
"""By how many times the reference's events those of the mixture are, in the rule on events."""
AUDIBLE = 10**-3.5
"""An event's frame sounds if it has more than this share of the energy of the loudest."""


def caption(case: Case, answers: Sequence[Answer]) -> Naming:
    """What the caption names."""
    return Naming(named(answers[0]["caption"]), case.wanted, case.unwanted)


def rule(case: Case, answers: Sequence[Answer]) -> Naming | None:
    """What the rule on events names, from the sounds of the mixture and of the reference alone.

    Each sound of the mixture is turned down by twice its score in the reference; the likeliest is
    named, by its label, if anything is left. A mask that is worth its weights does better. None
    where the service tells no sounds.
    """
    if "sounds" not in answers[0]:
        return None
    mixture, reference = ({s["label"]: s["score"] for s in a["sounds"]} for a in answers)
    left = {
        label: score - TURNED_DOWN * reference.get(label, 0.0) for label, score in mixture.items()
    }
    best = max(left, key=left.__getitem__, default=None)
    top = () if best is None or left[best] <= 0 else (best,)
    return Naming(top, case.wanted, case.unwanted)


def keeps(_: Case, answers: Sequence[Answer]) -> bool | None:
    """Whether both captions name the same; None where the first names nothing."""
    first, second = (set(named(answer["caption"])) for answer in answers)
    return first == second if first else None


def moments(case: Case, answers: Sequence[Answer]) -> float | None:
    """Area under the ROC curve of the timeline, for the frames in which ``truth`` [S] sounds.

    None where there is no timeline, or where it sounds always or never.
    """
    assert case.truth is not None
    timeline = answers[0]["timeline"]
    stem = case.truth()
    spans = [
        slice(round(frame["start_s"] * REAL_RATE), round(frame["end_s"] * REAL_RATE))
        for frame in timeline
    ]
    energy = np.array([np.square(stem[span]).sum() for span in spans])
    active = energy > AUDIBLE * energy.max(initial=0.0)
    kept = [frame["kept"] for frame in timeline]
    if None in kept or not 0 < active.sum() < len(active):
        return None
    return float(roc_auc_score(active, kept))


def opinions(case: Case, answers: Sequence[Answer]) -> Opinions | None:
    """The scores of AudioSet's kinds [K], 0 where none is told, and ``truth`` [K].

    None where the service tells no sounds.
    """
    assert case.truth is not None
    if "sounds" not in answers[0]:
        return None
    told = {sound["label"]: sound["score"] for sound in answers[0]["sounds"]}
    return np.array([told.get(label, 0.0) for label in AUDIOSET], np.float32), case.truth()


def confidence(score: Callable[[Answer], float]) -> Callable[..., tuple[bool, float]]:
    """Whether the caption is right, and how sure a score is of it."""

    def judge(case: Case, answers: Sequence[Answer]) -> tuple[bool, float]:
        return caption(case, answers).right, score(answers[0])

    return judge


def decoder_score(answer: Answer) -> float:
    """The answer's own."""
    return float(answer["score"])


def sounds_score(answer: Answer) -> float:
    """That of the surest sound which the caption names; 0 if it names none of those told."""
    labels = named(answer["caption"])
    return max(
        (
            float(sound["score"])
            for sound in answer.get("sounds", ())
            if any(related(sound["label"], label) for label in labels)
        ),
        default=0.0,
    )


def encoding(_: Case, answers: Sequence[Answer]) -> float:
    """Milliseconds in the encoder."""
    return float(answers[0]["timing_ms"]["encode"])
