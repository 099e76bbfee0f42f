"""What a stage learns: a module that turns a batch into a loss, over the model's own parts.

Arguments are those of ``samples.collate``.
"""

from training.losses.captioning import Captioning, Telling
from training.losses.distillation import Differing, Hearing, Rest

__all__ = ["Captioning", "Differing", "Hearing", "Rest", "Telling"]
