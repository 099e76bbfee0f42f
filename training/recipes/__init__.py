"""Recipes: one file per system."""

from typing import Any

from training.recipes.adc import ADC
from training.recipes.adiff import ADIFF
from training.recipes.edtc import EDTC
from training.recipes.hearing import HEARING, PUBLISHED
from training.recipes.recipe import Recipe

RECIPES: dict[str, dict[str, Recipe[Any]]] = {
    "hearing": {**HEARING},
    "published": {**PUBLISHED},
    "adc": {**ADC},
    "adiff": {**ADIFF},
    "edtc": {**EDTC},
}
"""By the name and the scale that the command line gives."""

__all__ = ["RECIPES", "Recipe"]
