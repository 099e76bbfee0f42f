"""What a stage learns: a module that turns a batch into a loss, over the model's own parts.

Arguments are those of ``samples.collate``.
"""

from training.losses.captioning import Captioning, Telling
from training.losses.denoising import Denoising
from training.losses.disentangling import Disentangling
from training.losses.distillation import Differing, Hearing, Rest
from training.losses.explaining import Explaining, Speaking
from training.losses.instructor import Instructor
from training.losses.reading import Pairing, TextEncoder
from training.losses.twinned import Twinned

__all__ = [
    "Captioning", "Denoising", "Differing", "Disentangling", "Explaining", "Hearing", "Instructor",
    "Pairing", "Rest", "Speaking", "Telling", "TextEncoder", "Twinned",
]  # fmt: skip
