"""Recipes: one file per system."""

from training.recipes.masking import MASKING
from training.recipes.recipe import Recipe

RECIPES: dict[str, dict[str, Recipe]] = {"masking": {**MASKING}}
"""By the name and the scale that the command line gives."""

__all__ = ["RECIPES", "Recipe"]
