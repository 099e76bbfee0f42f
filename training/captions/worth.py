"""What a caption is worth: one for each sound that is there, less for each that is not."""

from __future__ import annotations

from training.captions.naming import Labels, Naming, apart, named
from training.captions.sentences import NO_DIFFERENCE

FALSE, FALSE_DIFFERENCE, UNTOLD = 0.45, 0.3, 0.1
"""What a false claim costs, in sounds named that are wanted: of a clip, of a difference, and one
that no label bears out, but the teacher."""
REPEATED = 0.25
"""What it costs to say a word of more than three letters twice."""


def worth(caption: str, wanted: tuple[Labels, ...], heard: Labels, *, compared: bool) -> float:
    """One caption's, of what is ``wanted``; where nothing is heard, to say so is worth a sound.

    ``heard`` are the labels that the teacher is sure of; ``compared``: a reference was given.
    """
    if not compared and caption.strip() in NO_DIFFERENCE:
        return -1.0  # nobody asked
    naming = Naming(named(caption), wanted)
    right = sum(naming.found) if wanted or heard else naming.right
    cost = FALSE_DIFFERENCE if compared else FALSE
    words = [word for word in caption.split() if len(word) > 3]
    return (
        right
        - sum(cost if apart((label,), heard) else UNTOLD for label in naming.strange)
        - REPEATED * (len(words) > len(set(words)))
    )
