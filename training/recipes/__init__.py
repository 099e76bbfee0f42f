"""Recipes: one file per system, each a list of stages. The name on the command line picks one."""

from training.recipes.masking import masking
from training.recipes.recipe import Recipe

RECIPES: dict[str, Recipe] = {"masking": masking}

__all__ = ["RECIPES", "Recipe"]
